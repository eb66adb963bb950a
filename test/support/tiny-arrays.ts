/**
 * Tiny integer arrays and textbook loops for the tests of geometry/dialects: zero insertion, padding, plain correlation
 * and its gradient, from which a test builds an independent model of a framework; and deconv's own definition, driven by
 * translated options, to hold against it.
 */
import fc from 'fast-check';
import { convGeometry, convTransposeGeometry } from '../../packages/deconv/src/geometry/conv.js';
import {
  type DialectName,
  type DialectOptions,
  type FromDialect,
  fromDialect,
} from '../../packages/deconv/src/geometry/dialects/index.js';

/** A tiny integer array. */
export interface A {
  shape: number[];
  data: number[];
}

export const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
export const zeros = (...shape: number[]): A => ({ shape, data: new Array<number>(size(shape)).fill(0) });
export const at = (a: A, ...index: number[]) =>
  index.every((i, axis) => i >= 0 && i < a.shape[axis])
    ? a.data[index.reduce((sum, i, axis) => sum * a.shape[axis] + i, 0)]
    : 0;
export const add = (a: A, value: number, ...index: number[]) => {
  if (index.some((i, axis) => i < 0 || i >= a.shape[axis])) return;
  a.data[index.reduce((sum, i, axis) => sum * a.shape[axis] + i, 0)] += value;
};
export const each = (shape: number[], visit: (...index: number[]) => void) => {
  for (let flat = 0; flat < size(shape); flat++) {
    let rest = flat;
    const index = shape.map(() => 0);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    visit(...index);
  }
};
export const make = (shape: number[], value: (...index: number[]) => number): A => {
  const a = zeros(...shape);
  each(shape, (...index) => add(a, value(...index), ...index));
  return a;
};
export const permute = (a: A, p: readonly number[]): A =>
  make(
    p.map((axis) => a.shape[axis]),
    (...index) => {
      const from = a.shape.map(() => 0);
      p.forEach((axis, j) => {
        from[axis] = index[j];
      });
      return at(a, ...from);
    },
  );
export const flip = (a: A): A =>
  make(a.shape, (p, q, u, v) => at(a, p, q, a.shape[2] - 1 - u, a.shape[3] - 1 - v));
export const toNCHW = (a: A) => permute(a, [0, 3, 1, 2]);
export const toNHWC = (a: A) => permute(a, [0, 2, 3, 1]);
/** Different, sign-changing, hard to cancel. */
export const fill = (shape: number[], seed: number) => {
  let state = seed;
  return make(shape, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state % 19) - 9;
  });
};

/** deconv's definition of conv, NCHW and OIHW. */
export function ownConv(x: A, w: A, options: FromDialect['options']): A {
  const g = convGeometry(x.shape, w.shape, options);
  const perGroup = [g.xChannels / g.groups, g.yChannels / g.groups];
  return make([g.batch, g.yChannels, ...g.ySize], (b, o, p, q) => {
    let sum = 0;
    const first = Math.floor(o / perGroup[1]) * perGroup[0];
    each([perGroup[0], ...g.kernelSize], (c, u, v) => {
      const i = p * g.stride[0] + u * g.dilation[0] - g.padBefore[0];
      const j = q * g.stride[1] + v * g.dilation[1] - g.padBefore[1];
      sum += at(x, b, first + c, i, j) * at(w, o, c, u, v);
    });
    return sum;
  });
}

/** deconv's definition of convTranspose, NCHW and IOHW. */
export function ownTranspose(x: A, w: A, options: FromDialect['options']): A {
  const g = convTransposeGeometry(x.shape, w.shape, options);
  const y = zeros(g.batch, g.xChannels, ...g.xSize);
  const perGroup = [g.yChannels / g.groups, g.xChannels / g.groups];
  each(x.shape, (b, c, i, j) =>
    each([perGroup[1], ...g.kernelSize], (o, u, v) => {
      const p = i * g.stride[0] + u * g.dilation[0] - g.padBefore[0];
      const q = j * g.stride[1] + v * g.dilation[1] - g.padBefore[1];
      add(y, at(x, b, c, i, j) * at(w, c, o, u, v), b, Math.floor(c / perGroup[0]) * perGroup[1] + o, p, q);
    }),
  );
  return y;
}

/** Runs a framework's layer (its input, its weight, its options) through deconv and gives its output back. */
export function through(
  dialect: DialectName,
  op: 'conv' | 'convTranspose',
  x: A,
  w: A,
  options: DialectOptions,
): A {
  const t = fromDialect(dialect, op, options);
  const last = t.dataFormat === 'NHWC';
  let own = permute(w, t.weightPermutation);
  if (t.weightFlip) own = flip(own);
  const y = (op === 'conv' ? ownConv : ownTranspose)(last ? toNCHW(x) : x, own, t.options);
  return last ? toNHWC(y) : y;
}

/** Zeros between rows and columns. */
export const insertZeros = (x: A, s: number[]): A => {
  const [b, c, h, w] = x.shape;
  return make([b, c, (h - 1) * s[0] + 1, (w - 1) * s[1] + 1], (n, k, i, j) =>
    i % s[0] === 0 && j % s[1] === 0 ? at(x, n, k, i / s[0], j / s[1]) : 0,
  );
};
/** Zeros around (negative: rows cut off). NCHW. */
export const pad = (x: A, p: number[][]): A => {
  const [b, c, h, w] = x.shape;
  return make([b, c, h + p[0][0] + p[0][1], w + p[1][0] + p[1][1]], (n, k, i, j) =>
    at(x, n, k, i - p[0][0], j - p[1][0]),
  );
};
/** Plain valid correlation with a weight (O, I, h, w), stride and dilation; output sizes floored. */
export const correlate = (x: A, w: A, s: number[], d: number[]): A => {
  const out = [0, 1].map((a) => Math.floor((x.shape[2 + a] - d[a] * (w.shape[2 + a] - 1) - 1) / s[a]) + 1);
  return make([x.shape[0], w.shape[0], ...out], (b, o, p, q) => {
    let sum = 0;
    each(w.shape.slice(1), (c, u, v) => {
      sum += at(x, b, c, p * s[0] + u * d[0], q * s[1] + v * d[1]) * at(w, o, c, u, v);
    });
    return sum;
  });
};

export const pair = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
export const layer = fc.record({
  n: pair(1, 5),
  k: pair(1, 5),
  s: pair(1, 4),
  d: pair(1, 3),
  seed: fc.nat(99999),
});
/** Runs a property over random cases. */
export const run = <T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => void, numRuns = 100) =>
  fc.assert(fc.property(arbitrary, check), { numRuns });
export const ext = (k: number, d: number) => d * (k - 1) + 1;
/** Channels in and out of the test layers. */
export const [I, O] = [2, 3];
export const fits = (n: number[]) => n.every((v) => v >= 1);

export type Layer = { n: number[]; k: number[]; s: number[]; d: number[]; seed: number };

/** TensorFlow's SAME: total = max((ceil(n/s) − 1)s + e − n, 0), half of it (rounded down) before. */
export const tfSame = (n: number, e: number, s: number): number[] => {
  const total = Math.max((Math.ceil(n / s) - 1) * s + e - n, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
};
/** Gradient of a convolution of stride s, dilation d and the given pads, from y back to an image of size `out`. */
export const gradient = (y: A, w: A, out: number[], s: number[], d: number[], pads: number[][]): A => {
  // Probe the forward convolution with one pixel at a time: its response, dotted with y, is that pixel's gradient.
  const image = (p: number, q: number) => make([1, 1, ...out], (_, __, i, j) => (i === p && j === q ? 1 : 0));
  return make([1, w.shape[1], ...out], (_, o, p, q) => {
    let sum = 0;
    const kernels = make([w.shape[0], 1, ...w.shape.slice(2)], (c, _0, u, v) => at(w, c, o, u, v));
    const response = correlate(pad(image(p, q), pads), kernels, s, d);
    each(response.shape, (_b, c, i, j) => {
      sum += at(response, 0, c, i, j) * at(y, 0, c, i, j);
    });
    return sum;
  });
};
