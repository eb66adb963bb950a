/**
 * Pooling: MaxPool with its indices and MaxUnpool, AveragePool, LpPool, and the global ones. Padding may differ on the
 * two sides here, which the library's own pooling does not have; the kernels underneath only ask where the first window
 * starts and how many there are, so most cases go straight to them.
 */
import { run as runKernel } from '../../autograd.js';
import type { WindowGeometry } from '../../geometry/window.js';
import * as operation from '../../operations.js';
import { abs, mul, pow } from '../../ops/elementwise.js';
import { pad } from '../../ops/layout.js';
import { max, mean, sum } from '../../ops/reduce.js';
import { type Shape, sizeOf, stridesOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { isFloat } from '../types.js';
import { chain, mapElements, peek, tensorOf, throughFloat } from '../values.js';
import { allSee, overPadded, wholeAmounts, windowOf } from './window.js';

const WINDOW = ['auto_pad', 'ceil_mode', 'dilations', 'kernel_shape', 'pads', 'strides'];

const shapeOver = (w: WindowGeometry) => [w.batch, w.channels, ...w.outputSize];

/** Positions in a channel's plane as the flat positions in the whole tensor that ONNX has; the first axis fastest if so ordered. */
function globalIndices(indices: Tensor, w: WindowGeometry, columnMajor: boolean): Tensor {
  const plane = sizeOf(w.inputSize);
  const windows = sizeOf(w.outputSize);
  const rowStrides = stridesOf(w.inputSize);
  const columnStrides = stridesOf([...w.inputSize].reverse()).reverse();
  const reorder = (at: number): number =>
    w.inputSize.reduce(
      (sum, n, axis) => sum + (Math.floor(at / rowStrides[axis]) % n) * columnStrides[axis],
      0,
    );
  let i = 0;
  return mapElements(indices, 'int64', (at) => {
    const start = Math.floor(i++ / windows) * plane;
    return start + (columnMajor ? reorder(at) : at);
  });
}

function planMaxPool(node: NodeContext): Planned {
  const { geometry } = windowOf(node, node.rank(0, 3, 5));
  const columnMajor = node.flag('storage_order', false);
  const type = node.type(0);
  const shape = shapeOver(geometry);
  const wanted = node.wants(1);
  const amounts = wholeAmounts(geometry);
  const blind = !allSee(geometry);
  if (blind && wanted)
    node.refuse(
      'pads',
      'some windows lie in the padding alone, their maximum has no index',
      'use smaller pads',
    );
  const window = blind ? overPadded(geometry, amounts) : geometry;
  const attributes = {
    planes: shape[0] * shape[1],
    from: sizeOf(window.inputSize),
    to: sizeOf(window.outputSize),
  };
  const lowest = isFloat(type) ? Number.NEGATIVE_INFINITY : type === 'int8' ? -128 : 0;
  return {
    outputs: [{ type, shape }, ...(wanted ? [{ type: 'int64' as const, shape }] : [])],
    run: ([x]) => {
      let indices: Tensor | undefined;
      const output = throughFloat(x, (given) => {
        const source = blind ? pad(given, amounts, { value: lowest }) : given;
        if (wanted) indices = runKernel(operation.poolArgMax, [source], window, shape);
        const found =
          indices === undefined
            ? runKernel(operation.poolMax, [source], window, shape)
            : runKernel(operation.planeGather, [source, indices], attributes, shape);
        if (blind) source.dispose();
        return found;
      });
      return indices === undefined ? [output] : [output, globalIndices(indices, window, columnMajor)];
    },
  };
}

/**
 * Flat positions in an output of `shape`, as plane and position; `fits` says whether each lies in the window that its
 * element of the input was pooled from.
 */
function decode(
  indices: ArrayLike<number>,
  inputShape: Shape,
  shape: Shape,
  start: (position: number, axis: number) => number,
  kernel: readonly number[],
): { readonly places: Int32Array; readonly fits: boolean; readonly inside: boolean } {
  const plane = sizeOf(shape.slice(2));
  const each = sizeOf(inputShape.slice(2));
  const [own, from] = [stridesOf(shape.slice(2)), stridesOf(inputShape.slice(2))];
  const places = new Int32Array(indices.length);
  let [fits, inside] = [true, true];
  for (let i = 0; i < indices.length; i++) {
    const place = indices[i] - Math.floor(i / each) * plane;
    places[i] = place;
    if (!(place >= 0 && place < plane)) {
      [fits, inside] = [false, false];
      continue;
    }
    for (let axis = 0; axis < kernel.length && fits; axis++) {
      const at = Math.floor(place / own[axis]) % shape[axis + 2];
      const q = Math.floor((i % each) / from[axis]) % inputShape[axis + 2];
      const first = start(q, axis);
      fits = at >= first && at < first + kernel[axis];
    }
  }
  return { places, fits, inside };
}

/**
 * The standard counts indices in an output of the natural size, (n − 1)·s + k − pads, and lays that into output_shape;
 * exporters count them in output_shape itself, for that is what the pooling saw. The indices tell: each must lie in the
 * window it came from.
 */
function planMaxUnpool(node: NodeContext): Planned {
  const shape = node.rank(0, 3, 5);
  const rank = shape.length - 2;
  const kernel =
    node.ints('kernel_shape') ?? node.refuse('kernel_shape', 'attribute kernel_shape is required');
  const strides = node.ints('strides') ?? kernel.map(() => 1);
  const pads = node.ints('pads') ?? new Array<number>(2 * rank).fill(0);
  if (kernel.length !== rank || strides.length !== rank || pads.length !== 2 * rank)
    node.refuse('kernel_shape', `kernel_shape, strides and pads must be for ${rank} spatial axes`);
  if (node.shape(1).join() !== shape.join())
    node.refuse(
      'inputs',
      `indices of shape [${node.shape(1).join(', ')}] for an input of [${shape.join(', ')}]`,
    );
  const natural = [
    ...shape.slice(0, 2),
    ...kernel.map((k, a) => (shape[a + 2] - 1) * strides[a] - pads[a] - pads[a + rank] + k),
  ];
  const wanted = node.has(2) ? [...node.known(2)] : natural;
  if (wanted.length !== shape.length || wanted[0] !== shape[0] || wanted[1] !== shape[1])
    node.refuse(
      'output_shape',
      `output_shape [${wanted.join(', ')}] must start with [${shape[0]}, ${shape[1]}]`,
    );
  const start = (q: number, axis: number) => q * strides[axis] - pads[axis];
  const planes = shape[0] * shape[1];
  const from = sizeOf(shape.slice(2));
  const scatter = (x: Tensor, places: Int32Array, into: Shape) =>
    runKernel(
      operation.planeScatter,
      [x, tensorOf('int32', x.shape, places)],
      { planes, from, to: sizeOf(into.slice(2)), mode: 'set' },
      into,
    );
  return {
    outputs: [{ type: node.float(0), shape: wanted }],
    run: ([x, indices]) => {
      const values = peek(indices);
      const small = decode(values, shape, natural, start, kernel);
      if (!small.fits) {
        const large = decode(values, shape, wanted, start, kernel);
        if (large.fits || !small.inside) {
          if (!large.inside)
            node.refuse('inputs', `indices lie outside the output of shape [${wanted.join(', ')}]`);
          return [scatter(x, large.places, wanted)];
        }
      }
      const output = scatter(x, small.places, natural);
      const amounts = wanted.map((n, axis): [number, number] => [0, n - natural[axis]]);
      return [chain(output, (v) => pad(v, amounts))];
    },
  };
}

function planAveragePool(node: NodeContext): Planned {
  const { geometry, before, after } = windowOf(node, node.rank(0, 3, 5));
  const countIncludePad = node.flag('count_include_pad', false);
  const shape = shapeOver(geometry);
  const type = node.float(0);
  // The kernels know padding that is alike on both sides; else the zeros that count are put there.
  const uneven = countIncludePad && before.some((amount, axis) => amount !== after[axis]);
  const amounts = before.map((amount, axis): [number, number] => [amount, after[axis]]);
  const window = uneven ? overPadded(geometry, amounts) : geometry;
  const attributes = { window, countIncludePad };
  return {
    outputs: [{ type, shape }],
    run: ([x]) => {
      const source = uneven ? pad(x, amounts) : x;
      const output = runKernel(operation.poolAverage, [source], attributes, shape);
      if (uneven) source.dispose();
      return [output];
    },
  };
}

/** (Σ |x|^p)^(1/p) of each window: a mean over whole windows, times their size. */
function planLpPool(node: NodeContext): Planned {
  const { geometry } = windowOf(node, node.rank(0, 3, 5));
  const p = node.number('p', 2);
  const amounts = wholeAmounts(geometry);
  const window = overPadded(geometry, amounts);
  const padded = amounts.some(([before, after]) => before + after > 0);
  const shape = shapeOver(geometry);
  const attributes = { window, countIncludePad: true };
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x]) => [
      chain(
        x,
        abs,
        (v) => pow(v, p),
        (v) => (padded ? pad(v, amounts) : v),
        (v) => runKernel(operation.poolAverage, [v], attributes, shape),
        (v) => mul(v, sizeOf(window.kernelSize)),
        (v) => pow(v, 1 / p),
      ),
    ],
  };
}

/** A reduction over all spatial axes, which stay with length 1. */
const global = (
  reduce: (x: Tensor, axis: number[], node: NodeContext) => Tensor,
  attributes: string[] = [],
): Operator => ({
  inputs: [1, 1],
  outputs: 1,
  attributes,
  plan(node) {
    const shape = node.shape(0);
    if (shape.length < 3)
      node.refuse('inputs', `the input must be (N, C, …space), its shape is [${shape.join(', ')}]`);
    const axis = shape.map((_, at) => at).slice(2);
    return {
      outputs: [{ type: node.float(0), shape: shape.map((n, at) => (at < 2 ? n : 1)) }],
      run: ([x]) => [reduce(x, axis, node)],
    };
  },
});

export const pooling: Readonly<Record<string, Operator>> = {
  MaxPool: { inputs: [1, 1], outputs: 2, attributes: [...WINDOW, 'storage_order'], plan: planMaxPool },
  MaxUnpool: {
    inputs: [2, 3],
    outputs: 1,
    attributes: ['kernel_shape', 'pads', 'strides'],
    plan: planMaxUnpool,
  },
  AveragePool: {
    inputs: [1, 1],
    outputs: 1,
    attributes: [...WINDOW, 'count_include_pad'],
    plan: planAveragePool,
  },
  LpPool: { inputs: [1, 1], outputs: 1, attributes: [...WINDOW, 'p'], plan: planLpPool },
  GlobalAveragePool: global((x, axis) => mean(x, { axis, keepDims: true })),
  GlobalMaxPool: global((x, axis) => max(x, { axis, keepDims: true })),
  GlobalLpPool: global(
    (x, axis, node) => {
      const p = node.number('p', 2);
      return chain(
        x,
        abs,
        (v) => pow(v, p),
        (v) => sum(v, { axis, keepDims: true }),
        (v) => pow(v, 1 / p),
      );
    },
    ['p'],
  ),
};
