/** built: the cabin and the jetty: convex parts in axes of their own, what rays hit of them, and their colours. */
import { CABIN, terrain } from './land.mjs';
import { along, dot, lattice, mix, noise3, normalise, scale, smoothstep } from './maths.mjs';

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

export function hitBuilt(o, d, tMax) {
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

/** Colour and glow of a place on the cabin or the jetty, in its own axes p, on the face with normal n. */
export function builtMaterial(name, p, n) {
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
    const length = name === 'planks' ? p[2] : p[0];
    const board = Math.floor(length * 3.6);
    const gap = length * 3.6 - board < 0.1 ? 0.3 : 1;
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
