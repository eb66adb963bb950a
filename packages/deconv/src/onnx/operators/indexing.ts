/**
 * Operators that pick values by index. Indices that are known while planning become a map that the engine applies; others
 * are read during the run.
 */

import { fromValues } from '../../ops/input.js';
import { mapAxis, reshape } from '../../ops/layout.js';
import { type Shape, showShape, sizeOf, stridesOf } from '../../shape.js';
import { allocate, type Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { isInteger } from '../types.js';
import { peek } from '../values.js';

/** Indices within an axis of length n; negative ones count from the end. */
function within(node: NodeContext, indices: ArrayLike<number>, n: number): Int32Array {
  return Int32Array.from(indices, (index) => {
    if (!(index >= -n && index < n)) node.refuse('inputs', `index ${index} must lie in [${-n}, ${n - 1}]`);
    return index < 0 ? index + n : index;
  });
}

function checkIndices(node: NodeContext, input: number): void {
  if (!isInteger(node.type(input)))
    node.refuse('inputs', `indices must be integers, they are ${node.type(input)}`);
}

const axisMap = (index: Int32Array, inLength: number) => ({
  inLength,
  outLength: index.length,
  taps: 1,
  index,
  weight: new Float64Array(index.length).fill(1),
});

/** out[…before, …i, …after] = x[…before, indices[…i], …after]. */
function planGather(node: NodeContext): Planned {
  const shape = node.shape(0);
  checkIndices(node, 1);
  const axis = node.axis(node.int('axis', 0), shape.length);
  const out = [...shape.slice(0, axis), ...node.shape(1), ...shape.slice(axis + 1)];
  const constant = node.constant(1);
  const known =
    constant === undefined ? undefined : axisMap(within(node, peek(constant), shape[axis]), shape[axis]);
  return {
    outputs: [{ type: node.type(0), shape: out }],
    run: ([x, indices]) => {
      const map = known ?? axisMap(within(node, peek(indices), shape[axis]), shape[axis]);
      return [reshape(mapAxis(node.label, x, axis, map), out)];
    },
  };
}

/** Values picked one by one: `from(i)` says where in x the i-th output lies. */
function picked(x: Tensor, shape: Shape, from: (i: number) => number): Tensor {
  const values = x.data;
  const out = allocate(x.dtype, sizeOf(shape));
  for (let i = 0; i < out.length; i++) out[i] = values[from(i)];
  return fromValues(out, shape);
}

/** out[i] = x[i with its position along the axis replaced by indices[i]]. */
function planGatherElements(node: NodeContext): Planned {
  const [shape, out] = [node.shape(0), node.shape(1)];
  checkIndices(node, 1);
  if (shape.length !== out.length)
    node.refuse('inputs', `indices ${showShape(out)} must have the rank of ${showShape(shape)}`);
  const axis = node.axis(node.int('axis', 0), shape.length);
  const long = out.findIndex((n, at) => at !== axis && n > shape[at]);
  if (long >= 0)
    node.refuse('inputs', `indices ${showShape(out)} reach beyond ${showShape(shape)} along axis ${long}`);
  const [own, strides] = [stridesOf(shape), stridesOf(out)];
  return {
    outputs: [{ type: node.type(0), shape: out }],
    run: ([x, indices]) => {
      const places = within(node, peek(indices), shape[axis]);
      return [
        picked(x, out, (i) =>
          own.reduce(
            (sum, stride, at) =>
              sum + stride * (at === axis ? places[i] : Math.floor(i / strides[at]) % out[at]),
            0,
          ),
        ),
      ];
    },
  };
}

/** The last axis of indices names a place in the first axes of x, after `batch_dims` shared ones. */
function planGatherNd(node: NodeContext): Planned {
  const [shape, indices] = [node.shape(0), node.shape(1)];
  checkIndices(node, 1);
  const batch = node.int('batch_dims', 0);
  const depth = indices[indices.length - 1] ?? 0;
  if (
    indices.length < 1 ||
    batch < 0 ||
    batch >= indices.length ||
    batch + depth > shape.length ||
    shape.slice(0, batch).join() !== indices.slice(0, batch).join()
  )
    node.refuse(
      'inputs',
      `indices ${showShape(indices)} with batch_dims ${batch} do not fit ${showShape(shape)}`,
    );
  const tail = shape.slice(batch + depth);
  const out = [...indices.slice(0, -1), ...tail];
  const inner = sizeOf(tail);
  const each = sizeOf(indices.slice(batch, -1));
  const own = stridesOf(shape);
  const batchSize = sizeOf(shape.slice(batch));
  return {
    outputs: [{ type: node.type(0), shape: out }],
    run: ([x, where]) => {
      const values = peek(where);
      const starts = Array.from({ length: sizeOf(indices.slice(0, -1)) }, (_, row) => {
        let at = Math.floor(row / each) * batchSize;
        for (let axis = 0; axis < depth; axis++)
          at += within(node, [values[row * depth + axis]], shape[batch + axis])[0] * own[batch + axis];
        return at;
      });
      return [picked(x, out, (i) => starts[Math.floor(i / inner)] + (i % inner))];
    },
  };
}

export const indexing: Readonly<Record<string, Operator>> = {
  Gather: { inputs: [2, 2], outputs: 1, attributes: ['axis'], plan: planGather },
  GatherElements: { inputs: [2, 2], outputs: 1, attributes: ['axis'], plan: planGatherElements },
  GatherND: { inputs: [2, 2], outputs: 1, attributes: ['batch_dims'], plan: planGatherNd },
};
