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
import { builtMaterial, hitBuilt } from './sample-picture/built.mjs';
import { groundMaterial, hitForest, hitGround, inland, slope } from './sample-picture/land.mjs';
import {
  add,
  along,
  clamp,
  dot,
  fbm2,
  mix,
  mul,
  noise3,
  normalise,
  random,
  scale,
  smoothstep,
} from './sample-picture/maths.mjs';

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
