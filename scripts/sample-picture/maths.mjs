/** maths: small vectors as arrays of three, a seeded random stream, and the noise that everything is textured with. */

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
export const mul = (a, b) => [a[0] * b[0], a[1] * b[1], a[2] * b[2]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const mix = (a, b, t) => [
  a[0] + (b[0] - a[0]) * t,
  a[1] + (b[1] - a[1]) * t,
  a[2] + (b[2] - a[2]) * t,
];
export const normalise = (a) => scale(a, 1 / Math.hypot(a[0], a[1], a[2]));
export const along = (o, d, t) => [o[0] + d[0] * t, o[1] + d[1] * t, o[2] + d[2] * t];
export const clamp = (x, low = 0, high = 1) => Math.min(Math.max(x, low), high);
export const smoothstep = (a, b, x) => {
  const t = clamp((x - a) / (b - a));
  return t * t * (3 - 2 * t);
};

/** Mulberry32: 32 bits of state, good enough to plant trees with. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const rng = random(20160117);
const LATTICE = Float64Array.from({ length: 4096 }, () => rng() * 2 - 1);
export const lattice = (x, y, z) => {
  let h = Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ Math.imul(z, 0x5f356495);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return LATTICE[(h ^ (h >>> 13)) & 4095];
};

/** Value noise in −1…1, smoothed by the quintic 6t⁵ − 15t⁴ + 10t³. */
export function noise3(x, y, z) {
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

export function noise2(x, y) {
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
export function fbm2(x, y, octaves) {
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
export function ridged2(x, y, octaves) {
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
