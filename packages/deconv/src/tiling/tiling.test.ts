import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { layerRecipe, type Network, networkOf } from '../../../../test/support/random-network.js';
import { configure } from '../backends.js';
import {
  adaptiveAvgPool2d,
  add,
  argMax,
  batchNorm,
  concat,
  conv1d,
  conv2d,
  conv3d,
  convTranspose2d,
  DeconvError,
  flip,
  full,
  instanceNorm,
  matmul,
  maxPool2d,
  mean,
  mul,
  pad,
  permute,
  randn,
  reshape,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
  upsample,
} from '../index.js';
import { autoencoder, denoiser, segmenter, upscaler } from '../nn/index.js';
import { planTiles, runTiled, streamTiles } from './index.js';

const weight = (o: number, i: number, ...k: number[]) => randn([o, i, ...k], { seed: o * 10 + i });
const smooth: Network = (x) => conv2d(x, weight(2, 2, 3, 3), { padding: 1, activation: 'tanh' });
const picture = (...shape: number[]) => randn(shape, { seed: shape.length });

/** Every element the same, to the last bit. */
function expectSame(tiled: Tensor, whole: Tensor): void {
  expect([tiled.shape, tiled.dtype]).toEqual([whole.shape, whole.dtype]);
  const [a, b] = [tiled.data, whole.data];
  expect(a.findIndex((value, i) => !Object.is(value, b[i]))).toBe(-1);
}

async function expectExact(network: Network, x: Tensor, tile: number | number[]): Promise<void> {
  expect(planTiles(network, x.shape, { tile }).tiles.length).toBeGreaterThan(1);
  expectSame(await runTiled(network, x, { tile }), network(x));
}

/** Whether some layer refuses what those before make of a picture of this shape, or leaves less than two rows or columns. */
function vanishes(layers: readonly Network[], shape: number[]): boolean {
  try {
    let x = randn(shape, { seed: 1 });
    return layers.some((layer) => {
      x = layer(x);
      return x.shape.slice(2).some((n) => n < 2);
    });
  } catch (error) {
    if (error instanceof DeconvError) return true;
    throw error;
  }
}

describe('tiles put together are the whole', () => {
  afterEach(() => configure({ backend: 'wasm' }));

  /** Random networks on pictures whose sizes are multiples of nothing. */
  const randomNetworks = (numRuns: number) =>
    fc.assert(
      fc.asyncProperty(
        fc.array(layerRecipe, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 60, max: 150 }),
        fc.integer({ min: 60, max: 150 }),
        fc.integer({ min: 16, max: 70 }),
        async (recipes, height, width, tile) => {
          const layers = recipes.map(networkOf);
          const network: Network = (x) => layers.reduce((y, layer) => layer(y), x);
          const x = randn([1, 3, height, width], { seed: height * width });
          let whole: Tensor;
          try {
            whole = network(x);
          } catch (error) {
            // Layer upon layer, nothing may be left of the picture.
            if (error instanceof DeconvError) fc.pre(false);
            throw error;
          }
          let tiled: Tensor;
          try {
            tiled = await runTiled(network, x, { tile });
          } catch (error) {
            // Rightly refused where hardly anything is left of half of the picture.
            if (!(error instanceof DeconvError) || !vanishes(layers, [1, 3, height >> 1, width >> 1]))
              throw error;
            return;
          }
          expectSame(tiled, whole);
        },
      ),
      { numRuns },
    );

  it('for networks put together by chance', () => randomNetworks(40), 120_000);

  it('in larger tiles than were asked for, where parts of that size are nothing to the network', async () => {
    const strides = [3, 2, 3].map(
      (stride, i) => (x: Tensor) => conv2d(x, weight(2, 2, 1, 1), { stride, padding: i && 1 }),
    );
    const network: Network = (x) => strides.reduce((y, layer) => layer(y), x);
    await expectExact(network, picture(1, 2, 200, 150), 16);
  });

  it('for layers that are computed tile by tile themselves', async () => {
    const wide = (o: number, i: number, k: number, seed: number) => randn([o, i, k, k], { seed });
    const first: Network = (x) => conv2d(x, wide(32, 3, 3, 1), { padding: 1, activation: 'relu' });
    const plain: Network = (x) => conv2d(x, wide(32, 32, 3, 2), { padding: 1, activation: 'relu' });
    const dilated: Network = (x) => conv2d(x, wide(32, 32, 3, 3), { padding: 2, dilation: 2 });
    const shrunk: Network = (x) => conv2d(x, wide(32, 32, 2, 4));
    const half: Network = (x) => conv2d(x, wide(32, 32, 3, 5), { stride: 2, padding: 1 });
    const twice: Network = (x) => convTranspose2d(x, wide(32, 24, 4, 6), { stride: 2, padding: 1 });
    const thrice: Network = (x) => convTranspose2d(x, wide(32, 24, 6, 7), { stride: 3, padding: 2 });
    const quarter: Network = (x) => conv2d(x, wide(48, 3, 11, 8), { stride: 4, padding: 3 });
    const split: Network = (x) => conv2d(x, wide(32, 32, 4, 9), { stride: 2, padding: 1 });
    const fivefold: Network = (x) => conv2d(x, wide(64, 32, 5, 10), { stride: 2, padding: 2 });
    const filled: Network = (x) => convTranspose2d(x, wide(48, 48, 11, 11), { stride: 4, padding: 4 });
    const few: Network = (x) => conv2d(x, wide(20, 3, 5, 12), { padding: 2 });
    const averaged: Network = (x) =>
      convTranspose2d(x, wide(20, 20, 3, 13), { padding: 1, overlap: 'average' });
    const stem: Network = (x) => conv2d(x, wide(32, 3, 7, 14), { stride: 2, padding: 3 });
    const long: Network = (x) => conv2d(x, wide(12, 20, 9, 15), { padding: 4 });
    const planes = (k: number, stride: number): Network => {
      const own = randn([32, 1, k, k], { seed: k });
      return (x) => conv2d(x, own, { stride, padding: (k - 1) / 2, groups: 32, activation: 'relu' });
    };
    const networks = [
      [first, plain, planes(3, 1), planes(3, 2), planes(5, 1)],
      [few, averaged],
      [few, long],
      [stem, plain],
      [first, split, plain],
      [first, fivefold],
      [quarter, filled],
      [first, plain, plain],
      [first, dilated, plain],
      [first, shrunk, plain, shrunk],
      [first, plain, half, plain, twice],
      [first, half, plain, thrice],
    ];
    for (const layers of networks) {
      const network: Network = (x) => layers.reduce((y, layer) => layer(y), x);
      for (const [height, width] of [
        [151, 134],
        [130, 145],
      ]) {
        const x = picture(1, 3, height, width);
        const y = network(x);
        // That they are.
        await configure({ winograd: false });
        expect(network(x).data).not.toEqual(y.data);
        await configure({ winograd: true });
        await expectExact(network, x, 50);
        await expectExact(network, x, [60, 1000]);
      }
    }
  });

  it('for layers whose other side is too short for their larger tiles', async () => {
    const split = (channels: number): Network => {
      const [w, v] = [1, 2].map((seed) => randn([channels, channels, 4, 4], { seed }));
      return (x) => conv2d(conv2d(x, w, { stride: 2, padding: 1 }), v, { stride: 2, padding: 1 });
    };
    for (const channels of [48, 128])
      for (const height of [10, 14, 22])
        await expectExact(split(channels), picture(1, channels, height, 300), [50, 40]);
  });

  it('for pictures without pixels', async () => {
    for (const [height, width] of [
      [0, 5],
      [5, 0],
      [0, 0],
    ])
      for (const tile of [1, 4, 9])
        expectSame(
          await runTiled(sigmoid, picture(2, 3, height, width), { tile }),
          picture(2, 3, height, width),
        );
  });

  it('on the reference engine too', async () => {
    await configure({ backend: 'reference' });
    await randomNetworks(4);
  }, 120_000);

  it.each([
    ['upscaler ×2', () => upscaler({ scale: 2, channels: 4, blocks: 1 })],
    ['upscaler ×3', () => upscaler({ scale: 3, channels: 4, blocks: 1 })],
    ['denoiser', () => denoiser({ channels: 4, blocks: 1 })],
    ['autoencoder', () => autoencoder({ channels: 4, levels: 2, code: 3 })],
    ['autoencoder that pools', () => autoencoder({ channels: 4, levels: 2, code: 3, down: 'pool' })],
    ['segmenter', () => segmenter({ classes: 3, channels: 4, levels: 2 })],
  ])('for the ready %s', async (_, make) => {
    const model = make();
    for (const [i, parameter] of model.parameters().entries())
      parameter.assign(mul(randn([...parameter.shape], { seed: i }), 0.3));
    await expectExact((x) => model.apply(x), picture(1, 3, 91, 107), [24, 40]);
  });

  it('in one and three axes', async () => {
    const wave: Network = (x) => conv1d(x, weight(2, 1, 9), { stride: 3, padding: 4 });
    await expectExact(wave, picture(2, 1, 1001), 100);
    const volume: Network = (x) => conv3d(x, weight(2, 1, 3, 3, 3), { padding: 1 });
    await expectExact(volume, picture(1, 1, 20, 17, 19), [8, 7, 6]);
  });

  it('where outputs are smaller than inputs and stand elsewhere, and tiles at the end have none', async () => {
    const valid: Network = (x) => conv2d(x, weight(1, 2, 21, 21));
    await expectExact(valid, picture(1, 2, 64, 50), 10);
  });

  it('where tiles of the output lie in padding alone', async () => {
    const around: [number, number] = [40, 40];
    const network: Network = (x) =>
      conv2d(pad(x, [around, around]), weight(2, 2, 3, 3), { bias: randn([2]) });
    await expectExact(network, picture(1, 2, 30, 20), 10);
    await expectExact(
      (x) => conv2d(network(x), weight(2, 2, 5, 5), { stride: 5 }),
      picture(1, 2, 30, 20),
      10,
    );
  });

  it('where the output has another rank and number type', async () => {
    await expectExact((x) => argMax(smooth(x), 1), picture(1, 2, 40, 40), 16);
  });

  it('along the one axis that can be cut', async () => {
    // A spectrum: every frequency sees all others, every moment its neighbours.
    const mixing = weight(24, 24);
    const network: Network = (x) => permute(matmul(permute(smooth(x), [0, 1, 3, 2]), mixing), [0, 1, 3, 2]);
    const x = picture(1, 2, 24, 200);
    await expectExact(network, x, [24, 50]);
    const plan = planTiles(network, x.shape, { maxMemory: 40_000 });
    expect(new Set(plan.tiles.map(({ input }) => input.size[2]))).toEqual(new Set([24]));
    expect(() => planTiles(network, x.shape, { tile: 12 })).toThrow('a matrix product sums over the picture');
  });

  it('with constants that are the same everywhere', async () => {
    const network: Network = (x) => {
      const [n, , h, w] = x.shape;
      return conv2d(concat([x, full([n, 1, h, w], 0.3)], 1), weight(2, 3, 3, 3), { padding: 1 });
    };
    await expectExact(network, picture(1, 2, 50, 50), 20);
  });

  it('where one end of the picture sees the other', async () => {
    const around: [number, number] = [3, 3];
    const network: Network = (x) =>
      conv2d(pad(x, [around, around], { mode: 'circular' }), weight(2, 2, 7, 7));
    await expectExact(network, picture(1, 2, 50, 60), 20);
  });

  it('with values that are not there in every tile', async () => {
    const x = picture(1, 2, 40, 40);
    x.data[700] = Number.NaN;
    x.data[900] = Number.POSITIVE_INFINITY;
    await expectExact((v) => maxPool2d(smooth(v), { kernelSize: 2 }).output, x, 12);
  });
});

describe('refusals', () => {
  const shape = [1, 2, 60, 60];
  const mask = randn([60, 60]);
  const linear = weight(2 * 60 * 60, 3);
  it.each<[string, Network, string]>([
    [
      'global pooling',
      (x) => mul(x, mean(x, { axis: [2, 3], keepDims: true })),
      'a sum, mean or extremum takes the whole picture together',
    ],
    ['adaptive pooling', (x) => adaptiveAvgPool2d(x, 4), 'cannot be cut into tiles'],
    [
      'instance normalisation',
      (x) => instanceNorm(x),
      'takes the whole picture together, or all its rows or columns',
    ],
    ['batch normalisation in training', (x) => batchNorm(x, { training: true }), 'model.eval()'],
    [
      'softmax along an axis',
      (x) => softmax(softmax(x, 2), 3),
      'a softmax goes over a whole axis of the picture',
    ],
    ['a linear layer', (x) => matmul(reshape(x, [1, -1]), linear), 'a matrix product sums over the picture'],
    [
      'attention',
      (x) => matmul(softmax(matmul(x, permute(x, [0, 1, 3, 2])), 1), x),
      'a matrix product multiplies two values that both come from the picture',
    ],
    [
      'resizing to a size',
      (x) => upsample(x, { size: 50 }),
      'a resampling or padding makes 50 positions of a part of 24, and 50 of the whole 60',
    ],
    [
      'aligned corners',
      (x) => upsample(x, { scaleFactor: 2, mode: 'bilinear', alignCorners: true }),
      'reads positions that do not repeat',
    ],
    ['a mask', (x) => mul(x, mask), 'binary meets a constant that varies over the picture'],
    [
      'mirroring',
      (x) => add(x, flip(x, [2, 3])),
      'a slice, permutation or repetition turns the picture round',
    ],
    [
      'places of maxima',
      (x) => maxPool2d(x, { kernelSize: 2 }).indices,
      'the output is a place in the picture',
    ],
    [
      'weights made from the picture',
      (x) => conv2d(x, reshape(mean(x, { axis: 1 }), [1, 2, 30, 60])),
      'a convolution has parameters that are made from the picture',
    ],
    [
      'looking at values',
      (x) => (x.data[0] > 0 ? x : mul(x, 2)),
      'the network looks at values, which are other ones in each part',
    ],
    [
      'another network for each size',
      (x) => (x.shape[2] < 60 ? add(x, 1) : mul(x, 2)),
      'the network does other operations',
    ],
    ['numbers that go by the size', (x) => mul(x, 1 / x.shape[2]), 'the network does other operations'],
    [
      'a map that goes by the size',
      (x) =>
        add(
          x,
          full(
            [60, 60].map((_, i) => x.shape[i + 2]),
            x.shape[2],
          ),
        ),
      'binary does something else with a part than with the whole picture',
    ],
    [
      'a shape that goes by the size',
      (x) => add(full([x.shape[2], 1, 1, 1, 1], 1), x),
      'the output grows along more axes than one with the picture',
    ],
    ['nothing of the picture', () => tensor([1]), 'the output does not depend on the picture'],
  ])('%s', (_, network, message) => {
    expect(() => planTiles(network, shape, { tile: 20 })).toThrow(message);
  });

  it('of wrong arguments', async () => {
    expect(() => planTiles(smooth, [60, 60])).toThrow(
      'shape: a picture must be (N, C, …1 or more spatial axes), got [60, 60]'.slice(7),
    );
    expect(() => planTiles(smooth, shape, { tile: 0 })).toThrow(
      "tile must be 'auto', an integer ≥ 1, or 2 of them, got 0",
    );
    expect(() => planTiles(smooth, shape, { tile: [10, 10, 10] })).toThrow('got [10, 10, 10]');
    expect(() => planTiles(smooth, shape, { maxMemory: -1 })).toThrow(
      'maxMemory must be a number of bytes > 0, got -1',
    );
    expect(() => planTiles(smooth, shape, { maxMemory: 100 })).toThrow(
      /^tiling: the smallest tile needs 1 MiB, maxMemory is 1 MiB/,
    );
    // @ts-expect-error an unknown option
    expect(() => planTiles(smooth, shape, { tiles: 3 })).toThrow(
      "unknown option 'tiles' — did you mean 'tile'?",
    );
    // @ts-expect-error no network
    await expect(runTiled(3, picture(...shape))).rejects.toThrow(
      'network must be a function of a tensor or a module, got 3',
    );
  });
});

describe('plans', () => {
  it('keep to the memory they are given, and take the picture at once if it fits', () => {
    const network = denoiser({ channels: 8, blocks: 2 });
    const shape = [1, 3, 1000, 1500];
    const budgets = [2 ** 21, 2 ** 24, 2 ** 27, 2 ** 30];
    const plans = budgets.map((maxMemory) => planTiles(network, shape, { maxMemory }));
    for (const [i, { bytes }] of plans.entries()) expect(bytes).toBeLessThanOrEqual(budgets[i]);
    const counts = plans.map(({ tiles }) => tiles.length);
    expect(counts[0]).toBeGreaterThan(counts[1]);
    expect(counts[1]).toBeGreaterThan(counts[2]);
    expect(counts[3]).toBe(1);
    // A budget is used: with tiles half as large it would not be.
    expect(plans[1].bytes).toBeGreaterThan(2 ** 23);
  });

  it('count what lives at the same time', () => {
    const network: Network = (x) => convTranspose2d(x, weight(1, 4, 2, 2), { stride: 2 });
    // 10×10 in, 4×20×20 out, and that once more when it is cut to what is kept.
    expect(planTiles(network, [1, 1, 10, 10]).bytes).toBe(4 * (100 + 1600 + 1600));
  });

  it('cover the output once', () => {
    const plan = planTiles(
      (x) => upsample(smooth(x), { scaleFactor: 1.5, mode: 'bilinear' }),
      [2, 2, 101, 67],
      { tile: 20 },
    );
    const [{ shape }] = plan.outputs;
    expect([shape, plan.alignment]).toEqual([
      [2, 2, 151, 100],
      [2, 2],
    ]);
    const seen = new Uint8Array(151 * 100);
    for (const { outputs } of plan.tiles) {
      const [{ keep, place }] = outputs;
      expect(keep.size).toEqual(place.size);
      const [, , y, x] = place.start;
      for (let i = 0; i < place.size[2]; i++)
        for (let j = 0; j < place.size[3]; j++) seen[(y + i) * 100 + x + j]++;
    }
    expect(seen.every((count) => count === 1)).toBe(true);
  });

  it('are made of very large pictures without computing anything', () => {
    const { tiles, outputs } = planTiles(
      upscaler({ scale: 4, channels: 64, blocks: 2 }),
      [1, 3, 60_000, 40_000],
    );
    expect(outputs[0].shape).toEqual([1, 3, 240_000, 160_000]);
    expect(tiles.length).toBeGreaterThan(100);
  });

  it('change nothing in the network', () => {
    const model = autoencoder({ channels: 4, levels: 1, code: 2, down: 'pool' });
    const x = picture(1, 3, 16, 16);
    const before = model.forward(x);
    planTiles(model, [1, 3, 200, 200], { tile: 50 });
    expectSame(model.forward(x), before);
  });
});

describe('streams', () => {
  it('of bytes, from one array to another', async () => {
    const [height, width] = [70, 50];
    const source = Uint8Array.from({ length: height * width * 2 }, (_, i) => (i * 37) % 256);
    const sink = new Uint8Array(source.length);
    const asFloats = (size: readonly number[], at: (c: number, y: number, x: number) => number) => {
      const [, , h, w] = size;
      return tensor(
        Float32Array.from(
          { length: 2 * h * w },
          (_, i) => source[at(Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w)] / 255,
        ),
        [...size],
      );
    };
    const network: Network = (x) => mul(smooth(x), 0.5);
    const plan = planTiles(network, [1, 2, height, width], { tile: 16 });
    let largest = 0;
    const steps: number[] = [];
    await streamTiles({
      plan,
      run: network,
      read: ({ start: [, , top, left], size }) => {
        largest = Math.max(largest, size[2] * size[3]);
        return asFloats(size, (c, y, x) => (c * height + top + y) * width + left + x);
      },
      write: ({ start: [, , top, left], size: [, , h, w] }, tile) => {
        for (const [i, value] of tile.data.entries()) {
          const [c, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
          sink[(c * height + top + y) * width + left + x] = Math.round((value + 0.5) * 255);
        }
      },
      onProgress: ({ done, total }) => steps.push(done / total),
    });
    const whole = network(asFloats([1, 2, height, width], (c, y, x) => (c * height + y) * width + x));
    expect(sink).toEqual(Uint8Array.from(whole.data, (value) => Math.round((value + 0.5) * 255)));
    expect(largest).toBe((14 + 2) * (13 + 2));
    expect([steps[0], steps.at(-1), steps.length]).toEqual([0, 1, plan.tiles.length + 1]);
  });

  it('stop when told to', async () => {
    const controller = new AbortController();
    let tiles = 0;
    const run = runTiled(smooth, picture(1, 2, 64, 64), {
      tile: 16,
      signal: controller.signal,
      onProgress: () => {
        tiles++;
        if (tiles === 3) controller.abort();
      },
    });
    await expect(run).rejects.toThrow(/abort/i);
    expect(tiles).toBe(3);
  });

  it('refuse what does not fit the box', async () => {
    const plan = planTiles(smooth, [1, 2, 64, 64], { tile: 32 });
    const stream = { plan, run: smooth, read: () => picture(1, 2, 3, 3), write: () => undefined };
    await expect(streamTiles(stream)).rejects.toThrow(
      'streamTiles: read must give a tensor of shape [1, 2, 33, 33], got [1, 2, 3, 3]',
    );
  });
});
