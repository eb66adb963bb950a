/**
 * operations: each operation of the contract with its kernels, by engine: the definition, which is always there, and what
 * faster engines have of their own. Whoever runs an operation hands this record over, so a program contains the kernels of
 * the operations that it uses, and a bundler drops all others; no table anywhere lists them.
 *
 * To add an operation: its attributes in backend.ts, its definition in kernels/reference, a loop in kernels/wasm/loops if it
 * is worth one, and a record here.
 */
import type { OpName } from './backend.js';
import {
  channelAffine as channelAffineDefinition,
  channelDot as channelDotDefinition,
  channelResponse as channelResponseDefinition,
} from './kernels/reference/channels.js';
import {
  convForward as convForwardDefinition,
  convInputGrad as convInputGradDefinition,
  convWeightGrad as convWeightGradDefinition,
} from './kernels/reference/conv.js';
import {
  argMax as argMaxDefinition,
  binary as binaryDefinition,
  reduce as reduceDefinition,
  reduceSum as reduceSumDefinition,
  select as selectDefinition,
  unary as unaryDefinition,
} from './kernels/reference/elementwise.js';
import {
  convForwardFused as convForwardFusedDefinition,
  convInputGradFused as convInputGradFusedDefinition,
} from './kernels/reference/fused.js';
import {
  axisMap as axisMapDefinition,
  concat as concatDefinition,
  stridedRead as stridedReadDefinition,
  stridedWrite as stridedWriteDefinition,
} from './kernels/reference/layout.js';
import { matmul as matmulDefinition, softmax as softmaxDefinition } from './kernels/reference/matmul.js';
import {
  fold as foldDefinition,
  planeGather as planeGatherDefinition,
  planeScatter as planeScatterDefinition,
  poolArgMax as poolArgMaxDefinition,
  poolAverage as poolAverageDefinition,
  poolAverageGrad as poolAverageGradDefinition,
  poolMax as poolMaxDefinition,
  unfold as unfoldDefinition,
} from './kernels/reference/window.js';
import { convInputGrad as convInputGradLoop } from './kernels/wasm/loops/averaged.js';
import {
  channelAffine as channelAffineLoop,
  channelDot as channelDotLoop,
  channelResponse as channelResponseLoop,
} from './kernels/wasm/loops/channels.js';
import {
  convForward as convForwardLoop,
  convWeightGrad as convWeightGradLoop,
} from './kernels/wasm/loops/conv.js';
import {
  binary as binaryLoop,
  cast as castLoop,
  select as selectLoop,
  unary as unaryLoop,
} from './kernels/wasm/loops/elementwise.js';
import {
  convForward as convForwardFusedLoop,
  convInputGrad as convInputGradFusedLoop,
} from './kernels/wasm/loops/fused.js';
import type { WasmOperation } from './kernels/wasm/loops/ground.js';
import {
  concat as concatLoop,
  stridedRead as stridedReadLoop,
  stridedWrite as stridedWriteLoop,
} from './kernels/wasm/loops/layout.js';
import { matmul as matmulLoop } from './kernels/wasm/loops/matmul.js';
import {
  argMax as argMaxLoop,
  reduce as reduceLoop,
  reduceSum as reduceSumLoop,
} from './kernels/wasm/loops/reduce.js';
import { softmax as softmaxLoop } from './kernels/wasm/loops/softmax.js';
import {
  axisMap as axisMapLoop,
  poolAverageGrad as poolAverageGradLoop,
  poolAverage as poolAverageLoop,
} from './kernels/wasm/loops/sparse.js';
import {
  fold as foldLoop,
  planeGather as planeGatherLoop,
  planeScatter as planeScatterLoop,
  poolArgMax as poolArgMaxLoop,
  poolMax as poolMaxLoop,
  unfold as unfoldLoop,
} from './kernels/wasm/loops/window.js';

/** An operation with its kernels. */
type Operation<K extends OpName> = WasmOperation<K>;

const positions = () => 'int32' as const;
const places = ['float32', 'int32'] as const;

export const convForward: Operation<'conv.forward'> = {
  name: 'conv.forward',
  reference: convForwardDefinition,
  wasm: convForwardLoop,
};

export const convInputGrad: Operation<'conv.inputGrad'> = {
  name: 'conv.inputGrad',
  reference: convInputGradDefinition,
  wasm: convInputGradLoop,
};

export const convWeightGrad: Operation<'conv.weightGrad'> = {
  name: 'conv.weightGrad',
  reference: convWeightGradDefinition,
  wasm: convWeightGradLoop,
};

/** The convolutions with all that networks draw into them. */
export const convForwardFused: Operation<'conv.forwardFused'> = {
  name: 'conv.forwardFused',
  reference: convForwardFusedDefinition,
  wasm: convForwardFusedLoop,
};

export const convInputGradFused: Operation<'conv.inputGradFused'> = {
  name: 'conv.inputGradFused',
  reference: convInputGradFusedDefinition,
  wasm: convInputGradFusedLoop,
};

export const unary: Operation<'unary'> = {
  name: 'unary',
  reference: unaryDefinition,
  wasm: unaryLoop,
};

export const binary: Operation<'binary'> = {
  name: 'binary',
  reference: binaryDefinition,
  wasm: binaryLoop,
};

export const select: Operation<'select'> = {
  name: 'select',
  reference: selectDefinition,
  type: ([, a]) => a.dtype,
  wasm: selectLoop,
};

export const reduce: Operation<'reduce'> = {
  name: 'reduce',
  reference: reduceDefinition,
  wasm: reduceLoop,
};

/** Sums alone, for programs that use no others. */
export const reduceSum: Operation<'reduce'> = {
  name: 'reduce',
  reference: reduceSumDefinition,
  wasm: reduceSumLoop,
};

export const argMax: Operation<'argMax'> = {
  name: 'argMax',
  reference: argMaxDefinition,
  type: positions,
  wasm: argMaxLoop,
};

export const stridedRead: Operation<'strided.read'> = {
  name: 'strided.read',
  reference: stridedReadDefinition,
  wasm: stridedReadLoop,
};

export const stridedWrite: Operation<'strided.write'> = {
  name: 'strided.write',
  reference: stridedWriteDefinition,
  wasm: stridedWriteLoop,
};

export const concat: Operation<'concat'> = {
  name: 'concat',
  reference: concatDefinition,
  wasm: concatLoop,
};

export const axisMap: Operation<'axis.map'> = {
  name: 'axis.map',
  reference: axisMapDefinition,
  wasm: axisMapLoop,
};

export const matmul: Operation<'matmul'> = {
  name: 'matmul',
  reference: matmulDefinition,
  wasm: matmulLoop,
};

export const softmax: Operation<'softmax'> = {
  name: 'softmax',
  reference: softmaxDefinition,
  wasm: softmaxLoop,
};

export const channelAffine: Operation<'channel.affine'> = {
  name: 'channel.affine',
  reference: channelAffineDefinition,
  wasm: channelAffineLoop,
};

export const channelDot: Operation<'channel.dot'> = {
  name: 'channel.dot',
  reference: channelDotDefinition,
  wasm: channelDotLoop,
};

export const channelResponse: Operation<'channel.response'> = {
  name: 'channel.response',
  reference: channelResponseDefinition,
  wasm: channelResponseLoop,
};

export const poolMax: Operation<'pool.max'> = {
  name: 'pool.max',
  reference: poolMaxDefinition,
  wasm: poolMaxLoop,
};

export const poolArgMax: Operation<'pool.argMax'> = {
  name: 'pool.argMax',
  reference: poolArgMaxDefinition,
  type: positions,
  wasm: poolArgMaxLoop,
};

export const planeGather: Operation<'plane.gather'> = {
  name: 'plane.gather',
  reference: planeGatherDefinition,
  wasm: planeGatherLoop,
  takes: places,
};

export const planeScatter: Operation<'plane.scatter'> = {
  name: 'plane.scatter',
  reference: planeScatterDefinition,
  wasm: planeScatterLoop,
  takes: places,
};

export const poolAverage: Operation<'pool.average'> = {
  name: 'pool.average',
  reference: poolAverageDefinition,
  wasm: poolAverageLoop,
};

export const poolAverageGrad: Operation<'pool.averageGrad'> = {
  name: 'pool.averageGrad',
  reference: poolAverageGradDefinition,
  wasm: poolAverageGradLoop,
};

export const unfold: Operation<'unfold'> = {
  name: 'unfold',
  reference: unfoldDefinition,
  wasm: unfoldLoop,
};

export const fold: Operation<'fold'> = {
  name: 'fold',
  reference: foldDefinition,
  wasm: foldLoop,
};

export const cast: Operation<'cast'> = {
  name: 'cast',
  reference: ([x]) => x,
  type: (_, { dtype }) => dtype,
  wasm: castLoop,
};
