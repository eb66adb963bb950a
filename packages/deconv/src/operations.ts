/**
 * operations: each operation of the contract with its kernels, by engine: the definition, which is always there, and what
 * faster engines have of their own. Whoever runs an operation hands this record over, so a program contains the kernels of
 * the operations that it uses, and a bundler drops all others; no table anywhere lists them.
 *
 * To add an operation: its attributes in backend.ts, its definition in kernels/reference, a loop in kernels/wasm/loops if it
 * is worth one, and a record here.
 */
import type { OpName } from './backend.js';
import * as channels from './kernels/reference/channels.js';
import * as conv from './kernels/reference/conv.js';
import * as elementwise from './kernels/reference/elementwise.js';
import * as layout from './kernels/reference/layout.js';
import * as products from './kernels/reference/matmul.js';
import * as windows from './kernels/reference/window.js';
import * as channelLoops from './kernels/wasm/loops/channels.js';
import * as convLoops from './kernels/wasm/loops/conv.js';
import * as elementwiseLoops from './kernels/wasm/loops/elementwise.js';
import type { WasmOperation } from './kernels/wasm/loops/ground.js';
import * as layoutLoops from './kernels/wasm/loops/layout.js';
import * as matmulLoops from './kernels/wasm/loops/matmul.js';
import * as reduceLoops from './kernels/wasm/loops/reduce.js';
import * as softmaxLoops from './kernels/wasm/loops/softmax.js';
import * as sparseLoops from './kernels/wasm/loops/sparse.js';
import * as windowLoops from './kernels/wasm/loops/window.js';

/** An operation with its kernels. */
type Operation<K extends OpName> = WasmOperation<K>;

const positions = () => 'int32' as const;
const places = ['float32', 'int32'] as const;

export const convForward: Operation<'conv.forward'> = {
  name: 'conv.forward',
  reference: conv.convForward,
  wasm: convLoops.convForward,
};

export const convInputGrad: Operation<'conv.inputGrad'> = {
  name: 'conv.inputGrad',
  reference: conv.convInputGrad,
  wasm: convLoops.convInputGrad,
};

export const convWeightGrad: Operation<'conv.weightGrad'> = {
  name: 'conv.weightGrad',
  reference: conv.convWeightGrad,
  wasm: convLoops.convWeightGrad,
};

export const unary: Operation<'unary'> = {
  name: 'unary',
  reference: elementwise.unary,
  wasm: elementwiseLoops.unary,
};

export const binary: Operation<'binary'> = {
  name: 'binary',
  reference: elementwise.binary,
  wasm: elementwiseLoops.binary,
};

export const select: Operation<'select'> = {
  name: 'select',
  reference: elementwise.select,
  type: ([, a]) => a.dtype,
  wasm: elementwiseLoops.select,
};

export const reduce: Operation<'reduce'> = {
  name: 'reduce',
  reference: elementwise.reduce,
  wasm: reduceLoops.reduce,
};

export const argMax: Operation<'argMax'> = {
  name: 'argMax',
  reference: elementwise.argMax,
  type: positions,
  wasm: reduceLoops.argMax,
};

export const stridedRead: Operation<'strided.read'> = {
  name: 'strided.read',
  reference: layout.stridedRead,
  wasm: layoutLoops.stridedRead,
};

export const stridedWrite: Operation<'strided.write'> = {
  name: 'strided.write',
  reference: layout.stridedWrite,
  wasm: layoutLoops.stridedWrite,
};

export const concat: Operation<'concat'> = {
  name: 'concat',
  reference: layout.concat,
  wasm: layoutLoops.concat,
};

export const axisMap: Operation<'axis.map'> = {
  name: 'axis.map',
  reference: layout.axisMap,
  wasm: sparseLoops.axisMap,
};

export const matmul: Operation<'matmul'> = {
  name: 'matmul',
  reference: products.matmul,
  wasm: matmulLoops.matmul,
};

export const softmax: Operation<'softmax'> = {
  name: 'softmax',
  reference: products.softmax,
  wasm: softmaxLoops.softmax,
};

export const channelAffine: Operation<'channel.affine'> = {
  name: 'channel.affine',
  reference: channels.channelAffine,
  wasm: channelLoops.channelAffine,
};

export const channelDot: Operation<'channel.dot'> = {
  name: 'channel.dot',
  reference: channels.channelDot,
  wasm: channelLoops.channelDot,
};

export const poolArgMax: Operation<'pool.argMax'> = {
  name: 'pool.argMax',
  reference: windows.poolArgMax,
  type: positions,
  wasm: windowLoops.poolArgMax,
};

export const planeGather: Operation<'plane.gather'> = {
  name: 'plane.gather',
  reference: windows.planeGather,
  wasm: windowLoops.planeGather,
  takes: places,
};

export const planeScatter: Operation<'plane.scatter'> = {
  name: 'plane.scatter',
  reference: windows.planeScatter,
  wasm: windowLoops.planeScatter,
  takes: places,
};

export const poolAverage: Operation<'pool.average'> = {
  name: 'pool.average',
  reference: windows.poolAverage,
  wasm: sparseLoops.poolAverage,
};

export const poolAverageGrad: Operation<'pool.averageGrad'> = {
  name: 'pool.averageGrad',
  reference: windows.poolAverageGrad,
  wasm: sparseLoops.poolAverageGrad,
};

export const unfold: Operation<'unfold'> = {
  name: 'unfold',
  reference: windows.unfold,
  wasm: windowLoops.unfold,
};

export const fold: Operation<'fold'> = {
  name: 'fold',
  reference: windows.fold,
  wasm: windowLoops.fold,
};

export const cast: Operation<'cast'> = {
  name: 'cast',
  reference: ([x]) => x,
  type: (_, { dtype }) => dtype,
  wasm: elementwiseLoops.cast,
};
