/** reach: what operations read along an axis, as the numbers of a window, and what they are called in messages. */
import type { OpName } from '../backend.js';

/** A window's numbers: 1, 1, 0 and first where left out. */
export interface Reach {
  readonly step?: number;
  readonly over?: number;
  readonly first?: number;
  readonly last?: number;
}

/** How operations are called in messages. */
export const SPOKEN: Partial<Readonly<Record<OpName, string>>> = {
  'conv.forward': 'a convolution',
  'conv.inputGrad': 'a transposed convolution',
  'conv.forwardFused': 'a convolution',
  'conv.inputGradFused': 'a transposed convolution',
  reduce: 'a sum, mean or extremum',
  argMax: 'argMax',
  'strided.read': 'a slice, permutation or repetition',
  'strided.write': 'a padding',
  concat: 'concat',
  'axis.map': 'a resampling or padding',
  matmul: 'a matrix product',
  softmax: 'a softmax',
  'channel.affine': 'a normalisation',
  'channel.dot': 'a normalisation',
  'pool.max': 'a pooling',
  'pool.argMax': 'a pooling',
  'pool.average': 'a pooling',
  'plane.scatter': 'an unpooling',
};

/** Output o of a transposed window is reached by inputs ⌈(o + p − d(k−1)) / s⌉ … ⌊(o + p) / s⌋. */
export function transposed(k: number, s: number, d: number, p: number): Reach {
  return { over: s, first: p - d * (k - 1) + s - 1, last: p };
}
