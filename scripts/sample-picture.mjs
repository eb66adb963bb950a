/**
 * sample-picture: renders assets/sample.png, the picture that the examples work on. A lake in the late afternoon:
 * mountains, a forest, a cabin and a jetty, traced ray by ray from formulas and a seeded noise. Nothing is downloaded
 * and nobody owns it. It has what photographs have: large faces of colour, hard edges, texture at every scale, haze,
 * soft light and reflections.
 *
 *   node scripts/sample-picture.mjs [--size 768] [--samples 3] [-o assets/sample.png]
 *
 * World: x to the right, y up, z away from the viewer, one unit about one metre; the lake's surface is y = 0.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '768' },
    samples: { type: 'string', default: '3' },
    output: {
      type: 'string',
      short: 'o',
      default: fileURLToPath(new URL('../assets/sample.png', import.meta.url)),
    },
  },
});
const SIZE = Number(values.size);
const SAMPLES = Number(values.samples); // per pixel and axis

// ---------------------------------------------------------------------------------------------------------- vectors

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const mul = (a, b) => [a[0] * b[0], a[1] * b[1], a[2] * b[2]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const mix = (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
const normalise = (a) => scale(a, 1 / Math.hypot(a[0], a[1], a[2]));
const along = (o, d, t) => [o[0] + d[0] * t, o[1] + d[1] * t, o[2] + d[2] * t];
const clamp = (x, low = 0, high = 1) => Math.min(Math.max(x, low), high);
const smoothstep = (a, b, x) => {
  const t = clamp((x - a) / (b - a));
  return t * t * (3 - 2 * t);
};

// ------------------------------------------------------------------------------------------------------------ noise

/** Mulberry32: 32 bits of state, good enough to plant trees with. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const rng = random(20160117);
const LATTICE = Float64Array.from({ length: 4096 }, () => rng() * 2 - 1);
const lattice = (x, y, z) => {
  let h = Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ Math.imul(z, 0x5f356495);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return LATTICE[(h ^ (h >>> 13)) & 4095];
};

/** Value noise in −1…1, smoothed by the quintic 6t⁵ − 15t⁴ + 10t³. */
function noise3(x, y, z) {
  const [ix, iy, iz] = [Math.floor(x), Math.floor(y), Math.floor(z)];
  const [fx, fy, fz] = [x - ix, y - iy, z - iz];
  const u = fx * fx * fx * (fx * (fx * 6 - 15) + 10);
  const v = fy * fy * fy * (fy * (fy * 6 - 15) + 10);
  const w = fz * fz * fz * (fz * (fz * 6 - 15) + 10);
  const edge = (dy, dz) => {
    const a = lattice(ix, iy + dy, iz + dz);
    return a + (lattice(ix + 1, iy + dy, iz + dz) - a) * u;
  };
  const near = edge(0, 0) + (edge(1, 0) - edge(0, 0)) * v;
  const far = edge(0, 1) + (edge(1, 1) - edge(0, 1)) * v;
  return near + (far - near) * w;
}

function noise2(x, y) {
  const [ix, iy] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [x - ix, y - iy];
  const u = fx * fx * fx * (fx * (fx * 6 - 15) + 10);
  const v = fy * fy * fy * (fy * (fy * 6 - 15) + 10);
  const a = lattice(ix, iy, 0);
  const b = lattice(ix + 1, iy, 0);
  const c = lattice(ix, iy + 1, 0);
  const d = lattice(ix + 1, iy + 1, 0);
  return a + (b - a) * u + (c - a + (a - b - c + d) * u) * v;
}

/** Sum of octaves, each twice as fine and half as strong, turned by 37° so that no grid shows. About −1…1. */
function fbm2(x, y, octaves) {
  let sum = 0;
  let strength = 0.5;
  for (let i = 0; i < octaves; i++) {
    sum += strength * noise2(x, y);
    [x, y] = [1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y - 9.1];
    strength *= 0.5;
  }
  return sum;
}

/** The same with creases: 1 − |noise| makes ridges. About 0…1. */
function ridged2(x, y, octaves) {
  let sum = 0;
  let strength = 0.5;
  let weight = 1;
  for (let i = 0; i < octaves; i++) {
    const ridge = (1 - Math.abs(noise2(x, y))) ** 2;
    sum += strength * ridge * weight;
    weight = clamp(ridge * 1.4);
    [x, y] = [1.6 * x - 1.2 * y + 3.7, 1.2 * x + 1.6 * y + 21.9];
    strength *= 0.5;
  }
  return sum;
}

// ------------------------------------------------------------------------------------------------------------ light

const SUN = normalise([-0.72, 0.46, -0.5]);
const SUNLIGHT = [3.1, 2.55, 1.85];
const SKYLIGHT = [0.36, 0.5, 0.74];
const HAZE = [0.72, 0.77, 0.84];

function sky(d) {
  const up = Math.max(d[1], 0);
  let colour = mix([0.8, 0.82, 0.84], [0.17, 0.36, 0.7], clamp(1 - (1 - up) ** 3.2));
  const glow = Math.max(dot(d, normalise([-0.75, 0.1, 0.7])), 0);
  colour = add(colour, scale([0.5, 0.3, 0.1], glow ** 6 * 0.55));
  if (d[1] > 0.015) {
    // Clouds lie on a plane high above; a second look towards the sun tells lit edges from shaded middles.
    const x = (d[0] / (d[1] + 0.06)) * 1.25;
    const z = (d[2] / (d[1] + 0.06)) * 0.9;
    const thick = (dx, dz) => smoothstep(0.02, 0.42, fbm2(x + dx + 4.4, z + dz + 1.7, 7) + 0.1);
    const cover = thick(0, 0) * smoothstep(0.015, 0.12, d[1]);
    if (cover > 0) {
      const shade = clamp(0.5 + (cover - thick(-0.22, -0.1)) * 0.9 + (1 - cover) * 0.3);
      colour = mix(colour, mix([0.62, 0.64, 0.7], [1.25, 1.16, 1.03], shade), cover * 0.88);
    }
  }
  return colour;
}

const haze = (colour, t, d) => {
  const warm = Math.max(dot(d, normalise([-0.75, 0, 0.7])), 0) ** 4;
  const veil = mix(HAZE, [0.98, 0.86, 0.7], warm * 0.6);
  return mix(colour, veil, 1 - Math.exp(-((t * 0.00215) ** 1.5)));
};

// ---------------------------------------------------------------------------------------------------------- terrain

/** How far inside the land a place is; negative on the lake. */
function inland(x, z) {
  const wobble = 2.6 * fbm2(x * 0.09, z * 0.09, 4);
  const left = -x - 13 - 0.1 * z + wobble * 1.6;
  const right = x - 15.5 + 7.5 * smoothstep(14, 27, z) - 2.5 * smoothstep(34, 46, z) + wobble;
  const far = z - 56 + wobble * 2;
  return Math.max(left, right, far);
}

function terrain(x, z) {
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
function slope(x, z, e) {
  return normalise([height(x - e, z) - height(x + e, z), 2 * e, height(x, z - e) - height(x, z + e)]);
}

/** Distance along a ray to the ground, or Infinity. Steps grow with the height above it. */
function hitGround(o, d, tMax) {
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

// ------------------------------------------------------------------------------------------------------------ trees

const CABIN = { x: 12.6, z: 27.5, turn: -0.42 };
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
function hitForest(o, d, tMax) {
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

// --------------------------------------------------------------------------------------------------- cabin and jetty

/** Boxes and gable roofs, each convex: a list of half-spaces n·p ≤ c in the cabin's own axes. */
const box = (x0, x1, y0, y1, z0, z1) => [
  [-1, 0, 0, -x0],
  [1, 0, 0, x1],
  [0, -1, 0, -y0],
  [0, 1, 0, y1],
  [0, 0, -1, -z0],
  [0, 0, 1, z1],
];
const gable = (half, eaves, ridge, z0, z1) => {
  const n = normalise([ridge - eaves, half, 0]);
  const c = n[1] * ridge;
  return [
    [n[0], n[1], 0, c],
    [-n[0], n[1], 0, c],
    [0, -1, 0, -eaves],
    [0, 0, -1, -z0],
    [0, 0, 1, z1],
  ];
};
const roofSide = (side) => {
  const n = normalise([2.1, 3.1, 0]);
  const c = n[1] * 4.75;
  return [
    [side * n[0], n[1], 0, c + 0.16],
    [-side * n[0], -n[1], 0, -c + 0.0],
    [-side, 0, 0, 0.02],
    [side, 0, 0, 3.55],
    [0, 0, -1, 3.4],
    [0, 0, 1, 3.3],
  ];
};
const base = terrain(CABIN.x, CABIN.z) - 0.1;
const parts = [
  { name: 'wall', planes: box(-2.7, 2.7, -1, 2.75, -2.9, 2.9) },
  { name: 'wall', planes: gable(2.98, 2.73, 4.72, -2.9, 2.9) },
  { name: 'roof', planes: roofSide(1) },
  { name: 'roof', planes: roofSide(-1) },
  { name: 'stone', planes: box(1.2, 1.95, 2, 5.5, 0.6, 1.4) },
  { name: 'stone', planes: box(-2.95, 2.95, -1.4, 0.22, -3.1, 3.1) },
  { name: 'deck', planes: box(-2.95, 2.95, 0.1, 0.3, -4.7, -2.9) },
  { name: 'post', planes: box(-2.9, -2.74, 0.2, 1.25, -4.65, -4.5) },
  { name: 'post', planes: box(2.74, 2.9, 0.2, 1.25, -4.65, -4.5) },
  { name: 'post', planes: box(-0.98, -0.82, 0.2, 1.25, -4.65, -4.5) },
  { name: 'post', planes: box(0.82, 0.98, 0.2, 1.25, -4.65, -4.5) },
  { name: 'post', planes: box(-2.9, -0.9, 1.12, 1.24, -4.66, -4.52) },
  { name: 'post', planes: box(0.9, 2.9, 1.12, 1.24, -4.66, -4.52) },
  { name: 'post', planes: box(-2.9, -0.9, 0.68, 0.78, -4.64, -4.54) },
  { name: 'post', planes: box(0.9, 2.9, 0.68, 0.78, -4.64, -4.54) },
];
const [cosTurn, sinTurn] = [Math.cos(CABIN.turn), Math.sin(CABIN.turn)];
const toCabin = (p, w) => [
  cosTurn * (p[0] - w * CABIN.x) + sinTurn * (p[2] - w * CABIN.z),
  p[1] - w * base,
  -sinTurn * (p[0] - w * CABIN.x) + cosTurn * (p[2] - w * CABIN.z),
];
const fromCabin = (n) => [cosTurn * n[0] - sinTurn * n[2], n[1], sinTurn * n[0] + cosTurn * n[2]];

// The jetty runs from the near right bank out into the lake, towards the viewer's left.
const JETTY = { x: 1.6, z: 12.6, turn: -0.72 };
const [cosJetty, sinJetty] = [Math.cos(JETTY.turn), Math.sin(JETTY.turn)];
const toJetty = (p, w) => [
  cosJetty * (p[0] - w * JETTY.x) + sinJetty * (p[2] - w * JETTY.z),
  p[1],
  -sinJetty * (p[0] - w * JETTY.x) + cosJetty * (p[2] - w * JETTY.z),
];
const fromJetty = (n) => [cosJetty * n[0] - sinJetty * n[2], n[1], sinJetty * n[0] + cosJetty * n[2]];
const jetty = [{ name: 'planks', planes: box(-0.85, 0.85, 0.48, 0.58, -1, 13) }];
for (const z of [-0.8, 1.6, 4, 6.4, 8.8]) {
  for (const x of [-0.92, 0.92])
    jetty.push({ name: 'pile', planes: box(x - 0.1, x + 0.1, -1, 0.95, z - 0.1, z + 0.1) });
}

/** Entry point of a ray into a convex part: the last of the planes that it crosses inwards. */
function hitConvex(planes, o, d) {
  let enter = 0.001;
  let leave = Infinity;
  let normal;
  for (const plane of planes) {
    const facing = plane[0] * d[0] + plane[1] * d[1] + plane[2] * d[2];
    const t = (plane[3] - plane[0] * o[0] - plane[1] * o[1] - plane[2] * o[2]) / facing;
    if (facing < 0) {
      if (t > enter) {
        enter = t;
        normal = plane;
      }
    } else if (t < leave) leave = t;
    if (enter > leave) return undefined;
  }
  return normal && { t: enter, normal };
}

function hitBuilt(o, d, tMax) {
  let best = { t: tMax };
  for (const [list, to, from] of [
    [parts, toCabin, fromCabin],
    [jetty, toJetty, fromJetty],
  ]) {
    const [lo, ld] = [to(o, 1), to(d, 0)];
    // A sphere round the whole first.
    const centre = list === parts ? [0, 2, -0.5] : [0, 0.3, 6];
    const oc = [lo[0] - centre[0], lo[1] - centre[1], lo[2] - centre[2]];
    const b = dot(oc, ld);
    if (b * b - dot(oc, oc) + 56 < 0) continue;
    for (const part of list) {
      const hit = hitConvex(part.planes, lo, ld);
      if (hit && hit.t < best.t)
        best = { t: hit.t, part, local: along(lo, ld, hit.t), ln: hit.normal, n: from(hit.normal) };
    }
  }
  return best;
}

// --------------------------------------------------------------------------------------------------------- materials

/** Colour and glow of a place on the cabin or the jetty, in its own axes p, on the face with normal n. */
function builtMaterial(name, p, n) {
  const grain = noise3(p[0] * 9, p[1] * 9, p[2] * 9) * 0.5 + noise3(p[0] * 31, p[1] * 31, p[2] * 31) * 0.5;
  if (name === 'roof') {
    const row = Math.floor(p[1] * 5.2);
    const tile = Math.floor(p[2] * 3.4 + (row % 2) * 0.5);
    const lip = p[1] * 5.2 - row;
    const tone = 0.8 + 0.32 * lattice(row, tile, 3) + 0.12 * grain;
    return { colour: scale([0.2, 0.185, 0.19], tone * (0.62 + 0.5 * lip)), glow: 0 };
  }
  if (name === 'stone') {
    const row = Math.floor(p[1] * 3.6);
    const u = (p[0] + p[2]) * 2.2 + (row % 2) * 0.5;
    const brick = lattice(row, Math.floor(u), 9);
    const joint = Math.min(u - Math.floor(u), p[1] * 3.6 - row) < 0.1 ? 0.6 : 1;
    return {
      colour: scale(mix([0.36, 0.33, 0.31], [0.5, 0.45, 0.4], 0.5 + 0.5 * brick), joint * (1 + 0.2 * grain)),
      glow: 0,
    };
  }
  if (name === 'wall') {
    const front = Math.abs(n[2]) > 0.5;
    const u = front ? p[0] : p[2];
    // Windows and a door: a white frame round panes with bars, warm light inside.
    const holes = front
      ? [
          [-1.55, 1.55, 0.62, 0.6],
          [1.55, 1.55, 0.62, 0.6],
          [0, 3.35, 0.45, 0.42],
        ]
      : [
          [-1.3, 1.55, 0.65, 0.6],
          [1.3, 1.55, 0.65, 0.6],
        ];
    for (const [cx, cy, w, h] of holes) {
      const [dx, dy] = [Math.abs(u - cx), Math.abs(p[1] - cy)];
      if (dx < w && dy < h) {
        if (dx < 0.045 || Math.abs(dy - 0.03) < 0.035) return { colour: [0.82, 0.8, 0.75], glow: 0 };
        const lamp = Math.exp(-((u - cx - 0.2) ** 2 * 2.5 + (p[1] - cy + 0.1) ** 2 * 2));
        return { colour: [0.05, 0.06, 0.08], glow: 0.16 + 0.75 * lamp, glass: true };
      }
      if (dx < w + 0.12 && dy < h + 0.12) return { colour: [0.84, 0.81, 0.76], glow: 0 };
    }
    if (front && Math.abs(u) < 0.55 && p[1] < 2.25) {
      const frame = Math.abs(u) > 0.45 || p[1] > 2.15;
      const panel =
        Math.abs(Math.abs(u) - 0.22) < 0.16 && (Math.abs(p[1] - 0.85) < 0.36 || Math.abs(p[1] - 1.72) < 0.32);
      return { colour: frame ? [0.84, 0.81, 0.76] : scale([0.09, 0.23, 0.24], panel ? 0.75 : 1.05), glow: 0 };
    }
    if (Math.abs(u) > (front ? 2.55 : 2.75))
      return { colour: scale([0.84, 0.81, 0.76], 1 + 0.06 * grain), glow: 0 };
    const board = p[1] * 5.5;
    const lip = board - Math.floor(board);
    const tone =
      (0.93 + 0.1 * lattice(Math.floor(board), 5, 1) + 0.12 * grain) * (lip < 0.12 ? 0.55 : 0.9 + 0.15 * lip);
    return { colour: scale([0.47, 0.105, 0.07], tone), glow: 0 };
  }
  if (name === 'planks' || name === 'deck') {
    const along = name === 'planks' ? p[2] : p[0];
    const board = Math.floor(along * 3.6);
    const gap = along * 3.6 - board < 0.1 ? 0.3 : 1;
    const streak = noise3(
      p[0] * (name === 'planks' ? 2 : 22),
      p[1] * 22,
      p[2] * (name === 'planks' ? 22 : 2),
    );
    return {
      colour: scale([0.43, 0.35, 0.27], gap * (0.92 + 0.2 * lattice(board, 2, 7) + 0.22 * streak)),
      glow: 0,
    };
  }
  const streak = noise3(p[0] * 18, p[1] * 2.5, p[2] * 18);
  const wet = name === 'pile' ? smoothstep(-0.1, 0.35, p[1]) : 1;
  return {
    colour: scale(
      name === 'pile' ? [0.33, 0.26, 0.2] : [0.8, 0.77, 0.71],
      (0.9 + 0.25 * streak) * (0.35 + 0.65 * wet),
    ),
    glow: 0,
  };
}

function groundMaterial(p, n, t) {
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

/** How much sun reaches a place: ground, trees and buildings in the way. */
function sunAt(p, far) {
  if (hitBuilt(p, SUN, 40).part) return 0;
  if (hitGround(p, SUN, far) < far) return 0;
  return hitForest(p, SUN, 40).tree ? 0.06 : 1;
}

const lit = (colour, n, sun, open) => {
  const direct = Math.max(dot(n, SUN), 0) * sun;
  const fromSky = open * (0.55 + 0.45 * n[1]);
  const bounce = 0.16 * open * (0.5 - 0.5 * n[1]) + 0.05;
  const light = add(add(scale(SUNLIGHT, direct), scale(SKYLIGHT, fromSky)), scale([0.6, 0.5, 0.36], bounce));
  return mul(colour, light);
};

// ------------------------------------------------------------------------------------------------------------- rays

function trace(o, d, depth) {
  const built = hitBuilt(o, d, 400);
  const tWater = d[1] < 0 ? -o[1] / d[1] : Infinity;
  let t = Math.min(built.t, tWater);
  const ground = hitGround(o, d, Math.min(t, 340));
  t = Math.min(t, ground);
  const wood = hitForest(o, d, t);
  t = Math.min(t, wood.t);
  if (!(t < 340)) return sky(d);
  const p = along(o, d, t);

  if (t === wood.t) {
    const { tree } = wood;
    const [px, pz] = [p[0] - tree.x, p[2] - tree.z];
    const rho = Math.hypot(px, pz) / tree.radius;
    const y = (p[1] - tree.y) / tree.tall;
    const rough = noise3(p[0] * 7, p[1] * 7, p[2] * 7);
    const n = normalise([px / tree.radius + 0.5 * rough, 0.55 + 0.3 * rough, pz / tree.radius]);
    const deep = clamp(rho / ((1 - y) ** 0.85 + 0.02)); // 0 at the stem, 1 at the tips
    const needles = mix(
      mix([0.035, 0.075, 0.035], [0.075, 0.125, 0.04], deep),
      [0.14, 0.14, 0.045],
      tree.tint * 0.55,
    );
    const colour = y < 0.09 ? [0.12, 0.085, 0.06] : scale(needles, 0.9 + 0.5 * rough);
    const sun = sunAt(add(p, scale(n, 0.25)), 60) * (0.35 + 0.65 * deep);
    return haze(lit(colour, n, sun, 0.3 + 0.7 * deep * clamp(y * 1.4 + 0.15)), t, d);
  }
  if (t === built.t && built.part) {
    const { colour, glow, glass } = builtMaterial(built.part.name, built.local, built.ln);
    let shade = lit(colour, built.n, sunAt(add(p, scale(built.n, 0.02)), 60), 0.85);
    if (glass && depth < 2) {
      const back = add(d, scale(built.n, -2 * dot(d, built.n)));
      shade = add(
        scale(trace(add(p, scale(built.n, 0.02)), back, depth + 1), 0.18),
        scale([1.0, 0.62, 0.26], glow),
      );
    }
    return haze(shade, t, d);
  }
  if (t === ground) {
    const n = slope(p[0], p[2], Math.max(0.2, t * 0.0018));
    const rough = t < 60 ? 0.35 : 0.12;
    const bumped = normalise([
      n[0] + rough * fbm2(p[0] * 4, p[2] * 4, 3),
      n[1],
      n[2] + rough * fbm2(p[0] * 4 + 31, p[2] * 4, 3),
    ]);
    const sun = sunAt(add(p, scale(n, 0.06 + t * 0.002)), p[1] > 20 ? 150 : 60);
    return haze(lit(groundMaterial(p, n, t), bumped, sun, 0.9), t, d);
  }

  // Water: waves as a tilted normal, calmer far away and in lanes; then a mirror and what the depth gives back.
  const lane = 0.35 + 0.65 * smoothstep(-0.25, 0.3, fbm2(p[0] * 0.06 + 2, p[2] * 0.16, 3));
  const calm = (0.055 * lane) / (1 + t * 0.035);
  const wave = (dx) =>
    fbm2(p[0] * 0.75 + dx, p[2] * 1.9 + dx, 3) + 0.5 * fbm2(p[0] * 2.6 - dx, p[2] * 5.2, 2);
  const n = normalise([calm * wave(0), 1, calm * 1.6 * wave(53)]);
  const facing = Math.max(-dot(d, n), 0.001);
  const mirror = 0.03 + 0.97 * (1 - facing) ** 5;
  const back = add(d, scale(n, 2 * facing));
  back[1] = Math.max(back[1], 0.004);
  const reflection = depth < 2 ? trace([p[0], 0.01, p[2]], normalise(back), depth + 1) : HAZE;
  const shallow = smoothstep(-2.6, -0.2, inland(p[0], p[2]));
  const bed = scale([0.3, 0.26, 0.17], 0.8 + 0.4 * fbm2(p[0] * 1.6, p[2] * 1.6, 4));
  const sun = t < 60 ? sunAt([p[0], 0.02, p[2]], 40) : 1;
  const body = mix(scale([0.02, 0.085, 0.1], 0.6 + 0.4 * sun), scale(bed, 0.4 + 0.6 * sun), shallow * 0.7);
  return haze(mix(body, scale(reflection, 0.95), clamp(mirror * 1.25 + 0.06)), t, d);
}

// ---------------------------------------------------------------------------------------------------------- exposure

/** Filmic curve (Narkowicz' fit of ACES), then sRGB's gamma. */
function develop(v) {
  const x = Math.max(v - 0.006, 0) * 0.74;
  const film = clamp((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14));
  return film <= 0.0031308 ? film * 12.92 : 1.055 * film ** (1 / 2.4) - 0.055;
}

const EYE = [-1.4, 3.3, -8.5];
const forward = normalise([0.09, 0.035, 1]);
const right = normalise([forward[2], 0, -forward[0]]);
const up = [
  forward[1] * right[2] - forward[2] * right[1],
  forward[2] * right[0] - forward[0] * right[2],
  forward[0] * right[1] - forward[1] * right[0],
];
const LENS = Math.tan((46 / 2) * (Math.PI / 180));

const pixels = Buffer.alloc(SIZE * SIZE * 3);
const jitter = random(7);
for (let row = 0; row < SIZE; row++) {
  for (let column = 0; column < SIZE; column++) {
    let sum = [0, 0, 0];
    for (let s = 0; s < SAMPLES * SAMPLES; s++) {
      const u = (((column + ((s % SAMPLES) + jitter()) / SAMPLES) / SIZE) * 2 - 1) * LENS;
      const v = (1 - ((row + (Math.floor(s / SAMPLES) + jitter()) / SAMPLES) / SIZE) * 2) * LENS;
      const d = normalise(add(forward, add(scale(right, u), scale(up, v))));
      const light = trace(EYE, d, 0);
      // Averaged as developed values, so that a bright speck does not outweigh its neighbours.
      sum = add(sum, [develop(light[0]), develop(light[1]), develop(light[2])]);
    }
    for (let c = 0; c < 3; c++) {
      pixels[(row * SIZE + column) * 3 + c] = Math.round(clamp(sum[c] / SAMPLES ** 2) * 255);
    }
  }
}
await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } })
  .png({ compressionLevel: 9, adaptiveFiltering: true })
  .toFile(values.output);
