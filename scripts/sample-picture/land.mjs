/** land: the ground as a height over x and z, the firs planted on it, what rays hit of both, and the ground's colours. */
import { clamp, fbm2, mix, noise2, noise3, normalise, ridged2, rng, scale, smoothstep } from './maths.mjs';

/** How far inside the land a place is; negative on the lake. */
export function inland(x, z) {
  const wobble = 2.6 * fbm2(x * 0.09, z * 0.09, 4);
  const left = -x - 13 - 0.1 * z + wobble * 1.6;
  const right = x - 15.5 + 7.5 * smoothstep(14, 27, z) - 2.5 * smoothstep(34, 46, z) + wobble;
  const far = z - 56 + wobble * 2;
  return Math.max(left, right, far);
}

export function terrain(x, z) {
  const d = inland(x, z);
  if (d < -3) return -0.6;
  let h = d < 0 ? d * 0.2 : 0.9 * (1 - Math.exp(-d * 0.35)) + d * 0.035;
  h += 0.16 * fbm2(x * 0.5, z * 0.5, 4) * smoothstep(0, 3, d);
  const hills = smoothstep(62, 118, z) + 0.75 * smoothstep(26, 70, Math.abs(x + 4)) * smoothstep(10, 80, z);
  h += hills * (9 + 9 * fbm2(x * 0.022 + 5, z * 0.022, 5));
  const range = smoothstep(125, 235, z + 0.12 * Math.abs(x - 20));
  if (range > 0) {
    const massif = 0.42 + 0.5 * Math.exp(-(((x - 30) / 58) ** 2)) + 0.5 * Math.exp(-(((x + 78) / 52) ** 2));
    h += range * (massif * (30 + 74 * ridged2(x * 0.0125 + 1.9, z * 0.0125 + 7.7, 9)) - 4);
  }
  return h;
}

// The formula is slow and rays ask often, so that it is tabulated once and read with linear interpolation.
const GRID = { x0: -190, z0: -14, step: 0.2, width: 1900, depth: 1600 };
const heights = new Float32Array(GRID.width * GRID.depth);
for (let j = 0, at = 0; j < GRID.depth; j++) {
  for (let i = 0; i < GRID.width; i++)
    heights[at++] = terrain(GRID.x0 + i * GRID.step, GRID.z0 + j * GRID.step);
}
function height(x, z) {
  const gx = clamp((x - GRID.x0) / GRID.step, 0, GRID.width - 1.001);
  const gz = clamp((z - GRID.z0) / GRID.step, 0, GRID.depth - 1.001);
  const [i, j] = [Math.floor(gx), Math.floor(gz)];
  const at = j * GRID.width + i;
  const a = heights[at] + (heights[at + 1] - heights[at]) * (gx - i);
  const b = heights[at + GRID.width] + (heights[at + GRID.width + 1] - heights[at + GRID.width]) * (gx - i);
  return a + (b - a) * (gz - j);
}
export function slope(x, z, e) {
  return normalise([height(x - e, z) - height(x + e, z), 2 * e, height(x, z - e) - height(x, z + e)]);
}

/** Distance along a ray to the ground, or Infinity. Steps grow with the height above it. */
export function hitGround(o, d, tMax) {
  let t = 0.05;
  let last = t;
  for (let i = 0; i < 260 && t < tMax; i++) {
    const y = o[1] + d[1] * t;
    if (y > 125 && d[1] >= 0) return Infinity;
    const above = y - height(o[0] + d[0] * t, o[2] + d[2] * t);
    if (above < 0.0015 * t) {
      let [low, high] = [last, t];
      for (let k = 0; k < 7; k++) {
        const m = (low + high) / 2;
        if (o[1] + d[1] * m < height(o[0] + d[0] * m, o[2] + d[2] * m)) high = m;
        else low = m;
      }
      return high;
    }
    last = t;
    t += Math.max(above * 0.5, 0.03 + 0.0022 * t);
  }
  return Infinity;
}

export const CABIN = { x: 12.6, z: 27.5, turn: -0.42 };
const CELL = 5;
const CELLS = { x0: -190, z0: -14, width: 76, depth: 52 };
const forest = Array.from({ length: CELLS.width * CELLS.depth }, () => []);

function plant(x, z, tall) {
  const y = terrain(x, z) - 0.15;
  const radius = tall * (0.17 + 0.05 * rng());
  const tree = {
    x,
    y,
    z,
    tall,
    radius,
    tiers: 7 + Math.floor(tall * 0.7),
    seed: Math.floor(rng() * 1e6),
    tint: rng(),
  };
  const cell = (v, v0) => Math.floor((v - v0) / CELL);
  for (let j = cell(z - radius, CELLS.z0); j <= cell(z + radius, CELLS.z0); j++) {
    for (let i = cell(x - radius, CELLS.x0); i <= cell(x + radius, CELLS.x0); i++) {
      if (i >= 0 && j >= 0 && i < CELLS.width && j < CELLS.depth) forest[j * CELLS.width + i].push(tree);
    }
  }
}

for (let n = 0; n < 60000; n++) {
  // Sown evenly over the angle of view, so that the far forest is not denser than it need be.
  const z = 4 + 200 * rng();
  const x = (rng() * 2 - 1) * (24 + z * 0.78);
  const d = inland(x, z);
  const h = terrain(x, z);
  const grove = fbm2(x * 0.05 + 40, z * 0.05, 3);
  const treeLine = 25 + 12 * fbm2(x * 0.03, z * 0.03 + 9, 3);
  if (d < 1.4 || h > treeLine || Math.hypot(x - CABIN.x + 1, z - CABIN.z + 1.5) < 8.2) continue;
  if (x > 4 && z < CABIN.z + 1 && x < 24) continue; // a meadow before the cabin
  const density = z < 60 ? 0.16 + 0.3 * grove : 0.42 + 0.5 * grove;
  if (rng() > density) continue;
  plant(x, z, (z < 60 ? 4.2 : 4.6) + 4.2 * rng() ** 1.5);
}
for (const [x, z, tall] of [
  [18.6, 31, 11],
  [20.8, 28.5, 9.2],
  [8.6, 34.5, 9.6],
  [6.4, 36, 7],
  [16.2, 35.5, 12],
  [21.5, 23, 8],
]) {
  plant(x, z, tall);
}

/** Where a ray meets a fir: a cone of drooping tiers, each of some branches, roughened by noise; walked in small steps. */
function hitTree(tree, o, d, tMax) {
  // Against the bounding cylinder first.
  const [ox, oz] = [o[0] - tree.x, o[2] - tree.z];
  const a = d[0] * d[0] + d[2] * d[2];
  const b = ox * d[0] + oz * d[2];
  const disc = b * b - a * (ox * ox + oz * oz - tree.radius * tree.radius);
  if (disc <= 0) return Infinity;
  const root = Math.sqrt(disc);
  let enter = Math.max((-b - root) / a, 0.02);
  let leave = Math.min((-b + root) / a, tMax);
  const [y0, y1] = [(tree.y - o[1]) / d[1], (tree.y + tree.tall - o[1]) / d[1]];
  enter = Math.max(enter, Math.min(y0, y1));
  leave = Math.min(leave, Math.max(y0, y1));
  if (enter >= leave) return Infinity;
  const step = Math.max(tree.radius * 0.07, enter * 0.0007);
  for (let t = enter + step * 0.5; t < leave; t += step) {
    const y = (o[1] + d[1] * t - tree.y) / tree.tall;
    const [px, pz] = [ox + d[0] * t, oz + d[2] * t];
    const rho = Math.hypot(px, pz);
    if (y < 0.09) {
      if (rho < 0.02 * tree.tall) return t;
      continue;
    }
    const cone = tree.radius * (1 - y) ** 0.85;
    if (rho > cone * 1.05) continue;
    const angle = Math.atan2(pz, px);
    const tier = y * tree.tiers + 0.35 * Math.sin(angle * 2 + tree.seed) + 0.5 * (rho / tree.radius);
    const layer = Math.floor(tier);
    const branch = 0.72 + 0.28 * Math.cos(angle * (5 + (layer % 3)) + layer * 2.4 + tree.seed);
    const droop = 0.5 + 0.5 * (1 - (tier - layer));
    const rough = 0.24 * noise3(px * 5.5 + tree.seed, y * tree.tall * 5.5, pz * 5.5);
    if (rho < cone * (branch * droop + rough)) return t;
  }
  return Infinity;
}

/** The nearest tree along a ray: from cell to cell of the planting grid. */
export function hitForest(o, d, tMax) {
  let best = tMax;
  let found;
  let i = Math.floor((o[0] - CELLS.x0) / CELL);
  let j = Math.floor((o[2] - CELLS.z0) / CELL);
  const [si, sj] = [d[0] > 0 ? 1 : -1, d[2] > 0 ? 1 : -1];
  let tx = (CELLS.x0 + (i + (si > 0 ? 1 : 0)) * CELL - o[0]) / d[0];
  let tz = (CELLS.z0 + (j + (sj > 0 ? 1 : 0)) * CELL - o[2]) / d[2];
  let t = 0;
  while (t < best && i >= 0 && i < CELLS.width && j >= 0 && j < CELLS.depth) {
    if (o[1] + d[1] * t > 48 && d[1] > 0) break;
    for (const tree of forest[j * CELLS.width + i]) {
      const hit = hitTree(tree, o, d, best);
      if (hit < best) {
        best = hit;
        found = tree;
      }
    }
    if (tx < tz) {
      t = tx;
      tx += (CELL * si) / d[0];
      i += si;
    } else {
      t = tz;
      tz += (CELL * sj) / d[2];
      j += sj;
    }
  }
  return { t: found ? best : Infinity, tree: found };
}

export function groundMaterial(p, n, t) {
  const fine = t < 90 ? fbm2(p[0] * 2.7, p[2] * 2.7, 5) : 0;
  const broad = fbm2(p[0] * 0.16 + 9, p[2] * 0.16, 4);
  const grass = mix([0.13, 0.2, 0.045], [0.36, 0.34, 0.1], clamp(0.5 + broad * 0.9 + fine * 0.55));
  const d = inland(p[0], p[2]);
  let colour = scale(grass, 1 + 0.8 * fine);
  if (p[1] < 1.3) {
    const pebbles = noise2(p[0] * 7, p[2] * 7) * 0.5 + noise2(p[0] * 17, p[2] * 17) * 0.5;
    const shore = scale([0.36, 0.32, 0.27], 0.9 + 0.55 * pebbles);
    colour = mix(
      scale(shore, 0.45 + 0.55 * smoothstep(0, 0.35, p[1])),
      colour,
      smoothstep(0.5, 1.7, d + 0.8 * broad + 0.5 * fine),
    );
  }
  const high = smoothstep(16, 34, p[1] + 9 * broad);
  if (high > 0) {
    const strata = noise2(p[0] * 0.05 + p[2] * 0.03, p[1] * 0.55 + 2 * fbm2(p[0] * 0.1, p[2] * 0.1, 3));
    const speck = fbm2(p[0] * 0.9, p[2] * 0.9 + p[1] * 0.6, 5);
    const rock = scale(
      mix([0.15, 0.14, 0.145], [0.29, 0.265, 0.245], clamp(0.5 + 0.5 * strata + 0.6 * speck)),
      1 + 0.35 * speck,
    );
    const snowy =
      smoothstep(0.56, 0.74, n[1] + 0.4 * speck) * smoothstep(36, 62, p[1] + 14 * broad + 8 * speck);
    colour = mix(colour, mix(rock, [0.93, 0.94, 0.97], snowy), high);
  }
  return colour;
}
