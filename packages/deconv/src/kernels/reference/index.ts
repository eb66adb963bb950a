/**
 * The reference backend: every operation by its textbook definition, summed in float64 and rounded once to the number
 * type of the output. It is the yardstick of every faster backend and is never optimised.
 */
import type { Backend, OpName, OpTable } from '../../backend.js';
import { convert, type DType, HostStorage, type Storage } from '../../tensor.js';
import { convForward, convInputGrad, convWeightGrad } from './conv.js';
import { binary, reduce, select, unary } from './elementwise.js';
import { axisMap, concat, stridedRead, stridedWrite } from './layout.js';
import { matmul, softmax } from './matmul.js';
import {
  fold,
  planeGather,
  planeScatter,
  poolArgMax,
  poolAverage,
  poolAverageGrad,
  unfold,
} from './window.js';

type Values = ArrayLike<number>;
type Kernels = { readonly [K in OpName]: (inputs: readonly Values[], attributes: OpTable[K]) => Values };

const KERNELS: Kernels = {
  'conv.forward': convForward,
  'conv.inputGrad': convInputGrad,
  'conv.weightGrad': convWeightGrad,
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
  cast: ([x]) => x,
};

/** Number type of an operation's output: that of its values, except where positions or another type are asked for. */
function outputType<K extends OpName>(op: K, inputs: readonly Storage[], attributes: OpTable[K]): DType {
  if (op === 'cast') return (attributes as OpTable['cast']).dtype;
  if (op === 'pool.argMax' || (op === 'reduce' && (attributes as OpTable['reduce']).fn === 'argMax'))
    return 'int32';
  return inputs[op === 'select' ? 1 : 0].dtype;
}

/** The reference backend. Synchronous; values are ordinary typed arrays. */
export const reference: Backend = {
  name: 'reference',
  synchronous: true,
  upload: (values) => new HostStorage(values),
  run(op, inputs, attributes) {
    const values = KERNELS[op](
      inputs.map((storage) => storage.host()),
      attributes,
    );
    return new HostStorage(convert(outputType(op, inputs, attributes), values));
  },
};
