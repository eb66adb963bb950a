/**
 * loops: every float32 operation that is no convolution, over linear memory: by vector kernels where vectors pay, by plain
 * loops where they do not. What is not here, or not in this form, is left to the reference.
 */
import type { OpName, OpTable } from '../../../backend.js';
import type { Storage } from '../../../tensor.js';
import { binary, cast, select, unary } from './elementwise.js';
import type { Ground, Loop } from './ground.js';
import { concat, stridedRead, stridedWrite } from './layout.js';
import { matmul } from './matmul.js';
import { reduce } from './reduce.js';
import { softmax } from './softmax.js';
import { axisMap, poolAverage, poolAverageGrad } from './sparse.js';
import { fold, planeGather, planeScatter, poolArgMax, unfold } from './window.js';

export { Ground } from './ground.js';

const LOOPS: { readonly [K in OpName]?: Loop<OpTable[K]> } = {
  unary,
  binary,
  select,
  reduce,
  'strided.read': stridedRead,
  'strided.write': stridedWrite,
  concat,
  'axis.map': axisMap,
  matmul,
  softmax,
  'pool.argMax': poolArgMax,
  'plane.gather': planeGather,
  'plane.scatter': planeScatter,
  'pool.average': poolAverage,
  'pool.averageGrad': poolAverageGrad,
  unfold,
  fold,
  cast,
};

/** Which inputs hold places rather than values. */
const isPlane = (op: OpName) => op === 'plane.gather' || op === 'plane.scatter';

/** Runs the operation if there is a loop for it and its operands are of the types it takes. */
export function runLoop<K extends OpName>(
  ground: Ground,
  op: K,
  inputs: readonly Storage[],
  attributes: OpTable[K],
): Storage | undefined {
  const fits = inputs.every(({ dtype }, i) => dtype === (i === 1 && isPlane(op) ? 'int32' : 'float32'));
  return fits ? LOOPS[op]?.(ground, inputs, attributes) : undefined;
}
