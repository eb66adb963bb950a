/**
 * Winograd's form against the definition, on random shapes that it is used for. The matrices of tiles of four inputs hold halves, so
 * small integers are summed without rounding here too, and the two must agree exactly. Those of six and of eight round.
 */
import { describe, expect, it } from 'vitest';
import {
  type ConvGeometry,
  convGeometry,
  convTransposeGeometry,
  weightShapeOf,
} from '../packages/deconv/src/geometry/conv.js';
import { filledKernel, type Tiling, tilingOf } from '../packages/deconv/src/geometry/winograd.js';
import { kernelBuilds, type Tile } from '../packages/deconv/src/kernels/wasm/microkernels.js';
import { problemOf } from '../packages/deconv/src/kernels/wasm/problem.js';
import { arrange, tileProblem } from '../packages/deconv/src/kernels/wasm/winograd.js';
import { planWinograd } from '../packages/deconv/src/kernels/wasm/winograd-plan.js';
import { sizeOf } from '../packages/deconv/src/shape.js';
import {
  type Case,
  compare,
  drawEnding,
  drawInputs,
  openWasm,
  reference,
  roundingOf,
  runKernel,
  TILES,
  uniform,
} from './support/wasm.js';

const LINEAR = ['conv.forward', 'conv.inputGrad'] as const;
type Linear = (typeof LINEAR)[number];

const names = [...kernelBuilds(TILES[0]).keys()];
/** Commands of plans that are only looked at. */
const commands = (name: string) => names.indexOf(name);

/** The plan of a case, if it is computed in Winograd's form. */
function planOf(kernel: Linear, { geometry: g, bias, average, activation }: Case, tile: Tile, threads = 1) {
  const tiling = tilingOf(g, kernel === 'conv.inputGrad', average);
  if (tiling === undefined) return undefined;
  const filled = { ...g, kernelSize: filledKernel(g, kernel === 'conv.inputGrad', tiling) };
  const problem = problemOf(filled, kernel === 'conv.inputGrad', !tiling.form.plane);
  const finish = { bias, average, activation: average ? undefined : activation };
  return planWinograd(problem, tiling, g, { tile, commands, threads }, finish);
}

/** A random case, of at most `flops` operations, that is computed in Winograd's form. */
function draw(random: () => number, kernel: Linear, tile: Tile, flops: number): Case {
  const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const pick = <T>(list: readonly T[]): T => list[integer(0, list.length - 1)];
  for (;;) {
    // Kernel and stride: every phase has two taps or three.
    const [k, s] = pick(
      kernel === 'conv.forward'
        ? ([
            [3, 1],
            [3, 1],
            [2, 1],
            [4, 2],
            [5, 2],
            [6, 2],
            [6, 3],
            [8, 3],
            [11, 4],
            // Filled up: some parts have a tap less.
            [3, 2],
            [5, 3],
            [7, 3],
          ] as const)
        : ([
            [3, 1],
            [2, 1],
            [4, 2],
            [4, 2],
            [5, 2],
            [6, 2],
            [6, 3],
            [8, 3],
            [11, 4],
            [9, 3],
            [8, 4],
            [3, 2],
            [5, 3],
            [7, 3],
          ] as const),
    );
    const axes = [0, 1].map(() => {
      const d = s === 1 ? pick([1, 1, 1, 2, 3]) : 1;
      const [before, after] = [integer(-2, 4), integer(-2, 4)];
      const out =
        integer(kernel === 'conv.forward' ? 4 : 11, 26) * (kernel === 'conv.forward' ? d : Math.max(s, d));
      const seen = s * (out - 1) + d * (k - 1) + 1 - before - after;
      return { d, before, after, n: kernel === 'conv.forward' ? seen : out };
    });
    const groups = pick([1, 1, 1, 2]);
    const [inputs, outputs] = [integer(12, 60), integer(8, 60)];
    if (axes.some(({ n }) => n < 1)) continue;
    const geometry = convGeometry(
      [pick([1, 1, 2, 3, 7]), groups * inputs, ...axes.map(({ n }) => n)],
      [groups * outputs, inputs, k, k],
      {
        stride: s,
        dilation: axes.map(({ d }) => d),
        groups,
        padding: axes.map(({ before, after }) => [before, after] as const),
      },
    );
    const work = 2 * geometry.batch * sizeOf(geometry.ySize) * sizeOf(weightShapeOf(geometry));
    const ending = drawEnding(random, false);
    const split = groups === 1 && random() < 0.3 ? integer(1, inputs - 1) : undefined;
    const c = { geometry, ...ending, average: kernel === 'conv.inputGrad' && ending.average, split };
    if (work <= flops && planOf(kernel, c, tile) !== undefined) return c;
  }
}

/** A random case over one axis, two or three that is computed in lines of tiles. */
function drawLines(random: () => number, kernel: Linear, tile: Tile, flops: number): Case {
  const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const pick = <T>(list: readonly T[]): T => list[integer(0, list.length - 1)];
  for (;;) {
    const rank = pick([1, 2, 2, 3]);
    const axes = Array.from({ length: rank }, () => {
      const s = pick([1, 1, 1, 2, 3]);
      const d = s === 1 ? pick([1, 1, 2, 3]) : 1;
      const n = integer(1, 40) * d * (kernel === 'conv.forward' ? s : 1);
      return { s, d, n, k: integer(1, rank === 3 ? 5 : 11), pad: [integer(-2, 5), integer(-2, 5)] as const };
    });
    const groups = pick([1, 1, 2]);
    const [inputs, outputs] = [integer(1, 40), integer(1, 40)];
    const options = {
      stride: axes.map(({ s }) => s),
      dilation: axes.map(({ d }) => d),
      padding: axes.map(({ pad }) => pad),
      groups,
    };
    const size = axes.map(({ n }) => n);
    const k = axes.map(({ k }) => k);
    const batch = pick([1, 1, 2, 3, 9]);
    let geometry: ConvGeometry;
    try {
      geometry =
        kernel === 'conv.forward'
          ? convGeometry([batch, groups * inputs, ...size], [groups * outputs, inputs, ...k], options)
          : convTransposeGeometry(
              [batch, groups * inputs, ...size],
              [groups * inputs, outputs, ...k],
              options,
            );
    } catch {
      continue; // nothing is left of the output
    }
    const work = 2 * geometry.batch * sizeOf(geometry.ySize) * sizeOf(weightShapeOf(geometry));
    const split = groups === 1 && inputs > 1 && random() < 0.3 ? integer(1, inputs - 1) : undefined;
    const c = { geometry, ...drawEnding(random, false), average: false, split };
    if (work <= flops && planOf(kernel, c, tile) !== undefined && !tiling(kernel, c).form.plane) return c;
  }
}

const tiling = (kernel: Linear, { geometry, average }: Case) =>
  tilingOf(geometry, kernel === 'conv.inputGrad', average) as Tiling;

describe.each(TILES.map((tile) => [`${tile.mr}×${tile.nr}`, tile] as const))('tile %s', (_, tile) => {
  const backend = openWasm(tile);

  it.each(LINEAR)(
    '%s is exact on small integers where nothing is rounded, and close where it is, 90 shapes',
    (kernel) => {
      const random = uniform(tile.mr * 200 + tile.nr);
      const forms = new Set<string>();
      for (let i = 0; i < 90; i++) {
        const c = draw(random, kernel, tile, 1e7);
        const { form } = tilingOf(c.geometry, kernel === 'conv.inputGrad', c.average) as Tiling;
        forms.add(`${form.taps} taps, ${form.inputs} inputs, stride ${c.geometry.stride[0] > 1}`);
        const inputs = drawInputs(kernel, c, () => Math.floor(random() * 7) - 3);
        compare(kernel, c, inputs, backend, roundingOf(kernel, c));
      }
      expect(forms.size).toBeGreaterThanOrEqual(5);
    },
  );

  it.each(LINEAR)('%s in lines, over one axis to three, is close, 60 shapes', (kernel) => {
    const random = uniform(tile.mr * 203 + tile.nr);
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const c = drawLines(random, kernel, tile, 6e6);
      const { form, axes, pieces } = tiling(kernel, c);
      for (const what of [
        `${form.taps} taps`,
        `${c.geometry.rank} axes`,
        `along ${axes}`,
        `pieces ${pieces > 1}`,
      ])
        seen.add(what);
      compare(
        kernel,
        c,
        drawInputs(kernel, c, () => Math.floor(random() * 7) - 3),
        backend,
        roundingOf(kernel, c),
      );
    }
    // Three numbers of taps, three of axes, one piece and several; mostly along others than the first.
    expect(seen.size).toBeGreaterThanOrEqual(8);
  });

  it.each(LINEAR)('%s keeps NaN and infinity to the outputs that they reach, 20 shapes', (kernel) => {
    const random = uniform(tile.mr * 201 + tile.nr);
    for (let i = 0; i < 20; i++) {
      const c = (i % 2 ? draw : drawLines)(random, kernel, tile, 5e6);
      const inputs = drawInputs(kernel, c, () => 1 + Math.floor(random() * 3));
      inputs[0][Math.floor(random() * inputs[0].length)] = [Number.NaN, Infinity, -Infinity][i % 3];
      compare(kernel, c, inputs, backend, roundingOf(kernel, c));
    }
  });

  it('large values whose differences overflow', () => {
    const c: Case = {
      geometry: convGeometry([1, 32, 16, 16], [32, 32, 3, 3], { padding: 1 }),
      bias: false,
      average: false,
    };
    expect(planOf('conv.forward', c, tile)).toBeDefined();
    const [x, w] = drawInputs('conv.forward', c, () => 0);
    for (let i = 0; i < x.length; i++) x[i] = (i % 4 < 2 ? 1 : -1) * 3e38;
    for (let i = 0; i < w.length; i++) w[i] = 1e-4 * ((i % 7) - 3);
    const result = runKernel(backend, 'conv.forward', c, [x, w]);
    expect(result.every(Number.isFinite)).toBe(true);
    compare('conv.forward', c, [x, w], backend, 1e-5);
  });
});

// Side of the picture, channels, taps, stride, outputs of a tile, and how many times the error of plain sums there may be.
it.each([
  [12, 128, 3, 1, 2, 1],
  [24, 128, 3, 1, 4, 3],
  [48, 12, 3, 1, 6, 5],
  [32, 128, 4, 2, 4, 2.5],
  [8, 128, 4, 2, 2, 1.5],
] as const)(
  'on a side of %i, %i channels, %i taps at stride %i, tiles of %i err at most %f times as much as plain sums',
  (...of) => {
    const [side, channels, taps, stride, outputs, times] = of;
    const random = uniform(5);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const geometry = convGeometry([1, channels, side, side], [channels, channels, taps, taps], {
      padding: 1,
      stride,
    });
    const c: Case = { geometry, bias: false, average: false };
    for (const kernel of stride > 1 ? (['conv.forward'] as const) : LINEAR) {
      expect(tilingOf(geometry, kernel === 'conv.inputGrad')?.form.outputs).toBe(outputs);
      const inputs = drawInputs(kernel, c, normal);
      const expected = runKernel(reference, kernel, c, inputs);
      const [winograd, plain] = [true, false].map((form) => {
        const result = runKernel(openWasm(TILES[0], 1, form), kernel, c, inputs);
        return result.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
      });
      expect(winograd).toBeGreaterThan(0);
      expect(winograd).toBeLessThan(times * plain);
    }
  },
);

it('leaves a batch without pictures empty', () => {
  const geometry = convGeometry([0, 32, 16, 16], [32, 32, 3, 3], { padding: 1 });
  for (const kernel of LINEAR) {
    const c: Case = { geometry, bias: true, average: false };
    expect(
      runKernel(
        openWasm(),
        kernel,
        c,
        drawInputs(kernel, c, () => 1),
      ),
    ).toHaveLength(0);
  }
});

it('works in at most 4 MiB per thread', () => {
  const random = uniform(9);
  const pick = (list: readonly number[]) => list[Math.floor(random() * list.length)];
  let found = 0;
  for (let i = 0; i < 600; i++) {
    const [inputs, outputs] = [pick([1, 3, 8, 16, 33, 64, 100, 256, 512, 1024]), pick([1, 16, 64, 130])];
    const size = [pick([4, 7, 14, 30, 65, 256, 500]), pick([4, 7, 14, 30, 65, 256, 500])];
    const [k, stride] = [
      [3, 1],
      [3, 1],
      [4, 2],
      [6, 2],
      [6, 3],
      [8, 4],
      [11, 4],
      [12, 4],
      [32, 16],
      [64, 32],
      [5, 1],
      [7, 1],
      [7, 2],
      [9, 1],
      [15, 3],
    ][Math.floor(random() * 15)];
    const dilation = stride === 1 ? pick([1, 1, 2, 3, 8]) : 1;
    const x = [pick([1, 3, 16]), outputs, size[0] * stride, size[1] * stride];
    if (sizeOf(x) > 2 ** 31) continue;
    const geometry = convGeometry(x, [inputs, outputs, k, k], {
      stride,
      dilation,
      padding: dilation * Math.floor(k / 2),
    });
    const kernel = LINEAR[i % 2];
    const threads = 1 + (i % 4);
    const c = { geometry, bias: false, average: false };
    const plan = planOf(kernel, c, TILES[i % TILES.length], threads);
    if (plan === undefined) continue;
    found++;
    const bytes = plan.workBytes + plan.sharedBytes / threads;
    expect(bytes / 2 ** 20, JSON.stringify(geometry)).toBeLessThanOrEqual(4);
  }
  expect(found).toBeGreaterThan(80);
});

describe('a kernel that is filled up', () => {
  // 4 parts, or phases, of 16 places; with stride 2, one of 2 × 2 taps, two of 2 × 1 and one of 1 × 1: 16 + 2 · 12 + 9.
  it.each([
    ['conv.forward', 3, 2, 49],
    ['conv.inputGrad', 3, 2, 49],
    ['conv.forward', 4, 2, 64],
    ['conv.inputGrad', 4, 2, 64],
    // 3 taps of 36 places: 36 + 2 · 30 + 25; 9 of them: 36 + 4 · 30 + 4 · 25.
    ['conv.forward', 5, 2, 121],
    ['conv.inputGrad', 7, 3, 256],
  ] as const)('leaves products out: %s, %i taps at stride %i', (kernel, k, s, products) => {
    const side = kernel === 'conv.forward' ? 64 * s : 64;
    const make = kernel === 'conv.forward' ? convGeometry : convTransposeGeometry;
    const g = make([1, 64, side, side], [64, 64, k, k], { stride: s, padding: 1 });
    const transposed = kernel === 'conv.inputGrad';
    const tiling = tilingOf(g, transposed) as Tiling;
    const kernelSize = filledKernel(g, transposed, tiling);
    const problem = problemOf({ ...g, kernelSize }, transposed);
    const { axes, form } = tileProblem(problem, tiling, g);
    const parts = arrange(axes, form, (axis) => axis.parts);
    const kinds = arrange(axes, form, (axis) => axis.kinds);
    let [sum, least] = [0, 0];
    for (let i = 0; i < form.inputs; i++)
      for (let j = 0; j < form.inputs; j++) {
        const place = form.inputs * i + j;
        const [[p0, p1], [k0, k1]] = [parts.at(place), kinds.at(place)];
        sum += (p1 - p0) * (k1 - k0);
        const occupied = (all: typeof parts.list | typeof kinds.list) =>
          all.filter(([, y, x]) => y.places[0] <= i && i < y.places[1] && x.places[0] <= j && j < x.places[1])
            .length;
        least += occupied(parts.list) * occupied(kinds.list);
      }
    expect(form.plane).toBe(true);
    expect([sum, least]).toEqual([products, products]);
  });
});
