/**
 * random-network: networks put together by chance out of everything that works on a picture locally, with branches of
 * other scales that are added or joined. The same recipe always makes the same network.
 */
import * as fc from 'fast-check';
import {
  add,
  avgPool2d,
  batchNorm,
  concat,
  conv2d,
  convTranspose2d,
  gelu,
  layerNorm,
  matmul,
  maxPool2d,
  maxUnpool2d,
  mean,
  mul,
  ones,
  pad,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  randn,
  relu,
  sigmoid,
  slice,
  softmax,
  type Tensor,
  upsample,
} from '../../packages/deconv/src/index.js';

export type Network = (x: Tensor) => Tensor;

/** How a layer is drawn: its kind, and numbers of which each kind takes what it needs. */
export interface LayerRecipe {
  readonly kind: keyof typeof layers;
  readonly k: number;
  readonly s: number;
  readonly d: number;
  readonly p: number;
  readonly seed: number;
  readonly flag: boolean;
  readonly inner: readonly LayerRecipe[];
}

const CHANNELS = 3;
const weights = (shape: number[], seed: number) => mul(randn(shape, { seed }), 0.4);
const bias = (seed: number) => randn([CHANNELS], { seed: seed + 1 });

/** The first rows and columns of several values, as many as all have. */
function cropped(...values: Tensor[]): Tensor[] {
  const [h, w] = [2, 3].map((axis) => Math.min(...values.map(({ shape }) => shape[axis])));
  return values.map((x) => slice(x, { end: [undefined, undefined, h, w] }));
}

/** Rows and columns added by repetition up to a multiple. */
function toMultiple(x: Tensor, of: number): Tensor {
  const rest = (n: number): [number, number] => [0, (of - (n % of)) % of];
  return pad(x, [rest(x.shape[2]), rest(x.shape[3])], { mode: 'replicate' });
}

const lastAxis = (x: Tensor) => permute(x, [0, 2, 3, 1]);
const secondAxis = (x: Tensor) => permute(x, [0, 3, 1, 2]);

const layers = {
  conv: ({ k, s, d, p, seed, flag }: LayerRecipe): Network => {
    const w = weights([CHANNELS, CHANNELS, k, k], seed);
    const padding = flag ? 'same' : Math.min(p, k);
    return (x) => conv2d(x, w, { stride: s, dilation: d, padding, bias: bias(seed), activation: 'tanh' });
  },
  depthwise: ({ k, s, d, p, seed }: LayerRecipe): Network => {
    const w = weights([CHANNELS, 1, k, k], seed);
    return (x) => conv2d(x, w, { stride: s, dilation: d, padding: p, groups: CHANNELS });
  },
  channelsLast: ({ k, s, seed }: LayerRecipe): Network => {
    const w = weights([CHANNELS, CHANNELS, k, k], seed);
    return (x) => secondAxis(conv2d(lastAxis(x), w, { stride: s, padding: 1, dataFormat: 'NHWC' }));
  },
  transposed: ({ k, s, d, p, seed, flag }: LayerRecipe): Network => {
    const w = weights([CHANNELS, CHANNELS, k, k], seed);
    const outputPadding = flag ? Math.max(s, d) - 1 : 0;
    return (x) =>
      convTranspose2d(x, w, {
        stride: s,
        dilation: d,
        padding: Math.min(p, k - 1),
        outputPadding,
        bias: bias(seed),
      });
  },
  average: ({ k, s, d, flag, p, seed }: LayerRecipe): Network => {
    const options = {
      kernelSize: k,
      stride: s,
      dilation: d,
      padding: Math.min(p, Math.floor(k / 2)),
      ceilMode: flag,
    };
    return (x) => avgPool2d(x, { ...options, countIncludePad: seed % 2 === 0 });
  },
  maximum: ({ k, s, d, flag, p }: LayerRecipe): Network => {
    const options = {
      kernelSize: k,
      stride: s,
      dilation: d,
      padding: Math.min(p, Math.floor(k / 2)),
      ceilMode: flag,
    };
    return (x) => maxPool2d(x, options).output;
  },
  unpooled: ({ k, s, inner }: LayerRecipe): Network => {
    const middle = inner.map(networkOf);
    return (x) => {
      const window = { kernelSize: Math.max(k, s), stride: s };
      const { output, indices } = maxPool2d(x, window);
      const h = middle.reduce((y, layer) => layer(y), output);
      return maxUnpool2d(h, indices, { ...window, outputSize: x.shape.slice(2) });
    };
  },
  resized: ({ k, s, flag, seed }: LayerRecipe): Network => {
    const mode = (['nearest', 'bilinear', 'bicubic'] as const)[k % 3];
    const scaleFactor = ([2, 3, 1.5, 0.5, 4 / 3, 0.75] as const)[(seed + s + Number(flag)) % 6];
    return (x) => upsample(x, { scaleFactor, mode });
  },
  shuffled: ({ s, seed }: LayerRecipe): Network => {
    const w = weights([CHANNELS * s * s, CHANNELS, 3, 3], seed);
    return (x) => pixelShuffle(conv2d(x, w, { padding: 1 }), s);
  },
  unshuffled: ({ s, seed }: LayerRecipe): Network => {
    const w = weights([CHANNELS, CHANNELS * s * s, 1, 1], seed);
    return (x) => conv2d(pixelUnshuffle(toMultiple(x, s), s), w);
  },
  padded: ({ k, p, s }: LayerRecipe): Network => {
    const mode = (['constant', 'reflect', 'replicate'] as const)[k % 3];
    return (x) =>
      pad(
        x,
        [
          [p, s],
          [s, p],
        ],
        { mode },
      );
  },
  sliced: ({ s, p, k, flag }: LayerRecipe): Network =>
    flag
      ? (x) => slice(x, { start: [0, 0, p, s], step: [1, 1, s, 1] })
      : (x) => slice(x, { start: [0, 0, p, 0], end: [undefined, undefined, -k, -s] }),
  pointwise: ({ seed, flag }: LayerRecipe): Network => {
    const scale = randn([CHANNELS, 1, 1], { seed });
    const normalise = { runningMean: bias(seed), runningVar: ones([CHANNELS]) };
    return (x) => batchNorm(add(mul(flag ? gelu(x) : relu(x), scale), sigmoid(x)), normalise);
  },
  acrossChannels: ({ seed, flag, k }: LayerRecipe): Network => {
    const mix = weights([CHANNELS, CHANNELS], seed);
    if (k % 3 === 0) return (x) => add(softmax(x, 1), mean(x, { axis: 1, keepDims: true }));
    if (k % 3 === 1) return (x) => secondAxis(layerNorm(lastAxis(x), [CHANNELS], { weight: bias(seed) }));
    return (x) => (flag ? secondAxis(matmul(lastAxis(x), mix)) : secondAxis(matmul(relu(lastAxis(x)), mix)));
  },
  /** Something beside the input. */
  residual: ({ inner }: LayerRecipe): Network => {
    const branch = inner.map(networkOf);
    return (x) =>
      add(
        branch.reduce((y, layer) => layer(y), x),
        x,
      );
  },
  /** Down by s, something, up by s; beside the input, as in a U. */
  joined: ({ inner, s, seed, k }: LayerRecipe): Network => {
    const middle = inner.map(networkOf);
    const w = weights([CHANNELS, 2 * CHANNELS, 1, 1], seed);
    return (x) => {
      const small = avgPool2d(x, { kernelSize: s });
      const h = middle.reduce((y, layer) => layer(y), small);
      const large = upsample(h, { scaleFactor: s, mode: k % 2 === 0 ? 'bicubic' : 'nearest' });
      return conv2d(concat(cropped(large, x), 1), w, { activation: 'tanh' });
    };
  },
  /** What keeps the size, for the inside of others. */
  same: ({ k, d, seed, flag }: LayerRecipe): Network => {
    const w = weights([CHANNELS, CHANNELS, k, k], seed);
    const before = Math.floor((d * (k - 1)) / 2);
    const around: [number, number] = [before, d * (k - 1) - before];
    return (x) =>
      flag
        ? conv2d(x, w, { dilation: d, padding: 'same', activation: 'tanh' })
        : conv2d(pad(x, [around, around], { mode: 'reflect' }), w, { dilation: d });
  },
};

const KINDS = Object.keys(layers) as (keyof typeof layers)[];

/** The network of a recipe. */
export function networkOf(recipe: LayerRecipe): Network {
  return layers[recipe.kind](recipe);
}

const recipeWith = (
  kinds: readonly (keyof typeof layers)[],
  inner: fc.Arbitrary<readonly LayerRecipe[]>,
): fc.Arbitrary<LayerRecipe> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    k: fc.integer({ min: 1, max: 5 }),
    s: fc.integer({ min: 1, max: 3 }),
    d: fc.integer({ min: 1, max: 2 }),
    p: fc.integer({ min: 0, max: 3 }),
    seed: fc.integer({ min: 0, max: 999 }),
    flag: fc.boolean(),
    inner,
  });

const SAME_SIZE = ['same', 'pointwise', 'acrossChannels', 'joined', 'residual'] as const;
const few = (recipe: fc.Arbitrary<LayerRecipe>) => fc.array(recipe, { maxLength: 2 });
const plain = recipeWith(['same', 'pointwise', 'acrossChannels'], fc.constant([]));

/** Recipes of layers, some with others inside. */
export const layerRecipe: fc.Arbitrary<LayerRecipe> = recipeWith(
  KINDS,
  few(recipeWith([...SAME_SIZE, 'unpooled'], few(plain))),
);
