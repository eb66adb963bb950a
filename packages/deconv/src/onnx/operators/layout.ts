/**
 * Operators that move values. Those that only give the same values another shape share the storage of their input; so does
 * any that turns out to move nothing: a slice of everything, a transposition of axes of length 1.
 */
import { concat, expand, pad, permute, reshape, slice } from '../../ops/layout.js';
import { broadcastShapes, type Shape, sameShape, showShape, sizeOf } from '../../shape.js';
import type { AxisSlice, NodeContext, Operator, Planned } from '../node.js';
import { chain, sliceRun, tensorOf, throughFloat } from '../values.js';

/** The input's values in another shape, without a copy. */
function reshaped(node: NodeContext, shape: Shape): Planned {
  return { outputs: [{ type: node.type(0), shape }], run: ([x]) => [reshape(x, shape)] };
}

/** The input as it is. */
const same = (node: NodeContext): Planned => reshaped(node, node.shape(0));

function planConcat(node: NodeContext): Planned {
  const indices = Array.from({ length: node.count }, (_, i) => i);
  const type = node.sameType(...indices);
  const shapes = indices.map((i) => node.shape(i));
  if (!node.hasAttribute('axis')) node.refuse('axis', 'attribute axis is required');
  const axis = node.axis(node.int('axis', 0), shapes[0].length);
  for (const [i, shape] of shapes.entries()) {
    const fits =
      shape.length === shapes[0].length && shape.every((n, at) => at === axis || n === shapes[0][at]);
    if (!fits)
      node.refuse(
        'inputs',
        `input ${i} ${showShape(shape)} must match input 0 ${showShape(shapes[0])} but for axis ${axis}`,
      );
  }
  const length = shapes.reduce((sum, shape) => sum + shape[axis], 0);
  const shape = shapes[0].map((n, at) => (at === axis ? length : n));
  const full = indices.filter((i) => shapes[i][axis] > 0);
  if (full.length === 1) {
    const [only] = full;
    return { outputs: [{ type, shape }], run: (inputs) => [reshape(inputs[only], shape)] };
  }
  return { outputs: [{ type, shape }], run: (inputs) => [concat(inputs, axis)] };
}

/** Lengths of the parts: given, or equal; with num_outputs the last may be shorter. */
function partLengths(node: NodeContext, length: number): readonly number[] {
  const given = node.listBoth('split', 1);
  const count =
    node.opset >= 18 && given === undefined ? node.int('num_outputs', node.outputs) : node.outputs;
  if (given !== undefined) {
    const total = given.reduce((sum, n) => sum + n, 0);
    if (given.length !== node.outputs || total !== length || given.some((n) => n < 0))
      node.refuse(
        'split',
        `split [${given.join(', ')}] must be ${node.outputs} lengths that sum to ${length}`,
      );
    return given;
  }
  if (count !== node.outputs) node.refuse('num_outputs', `num_outputs ${count} for ${node.outputs} outputs`);
  if (node.opset < 18 && length % count !== 0)
    node.refuse('split', `an axis of ${length} does not divide into ${count} equal parts`);
  const each = Math.ceil(length / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(each, length - i * each)));
}

function planSplit(node: NodeContext): Planned {
  const [type, shape] = [node.type(0), node.shape(0)];
  const axis = node.axis(node.int('axis', 0), shape.length);
  const lengths = partLengths(node, shape[axis]);
  let start = 0;
  const parts = lengths.map((length) => {
    const from = start;
    start += length;
    const at = (position: number) => shape.map((_, other) => (other === axis ? position : undefined));
    return { start: at(from), end: at(from + length) };
  });
  const whole = parts.length === 1;
  return {
    outputs: lengths.map((length) => ({ type, shape: shape.map((n, at) => (at === axis ? length : n)) })),
    run: ([x]) => (whole ? [reshape(x, shape)] : parts.map((part) => slice(x, part))),
  };
}

/** Starts, ends, axes and steps: attributes in operator set 1, inputs since 10. */
function planSlice(node: NodeContext): Planned {
  const shape = node.shape(0);
  const starts = node.listBoth('starts', 1) ?? node.refuse('starts', 'starts are required');
  const ends = node.listBoth('ends', 2) ?? node.refuse('ends', 'ends are required');
  const axes = node.axes(node.listBoth('axes', 3) ?? starts.map((_, i) => i), shape.length);
  const steps = node.has(4) ? node.known(4) : starts.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length))
    node.refuse(
      'inputs',
      `starts, ends, axes and steps must be equally many, got ${starts.length}, ${ends.length}, ${axes.length}, ${steps.length}`,
    );
  const slices = shape.map((count): AxisSlice => ({ start: 0, step: 1, count }));
  for (const [i, axis] of axes.entries()) {
    const [n, step] = [shape[axis], steps[i]];
    if (step === 0) node.refuse('steps', `the step of axis ${axis} must not be 0`);
    const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
    const place = (at: number, least: number) => Math.min(high, Math.max(least, at < 0 ? at + n : at));
    const [start, end] = [place(starts[i], 0), place(ends[i], low)];
    const count = n === 0 ? 0 : Math.max(0, Math.ceil((end - start) / step));
    slices[axis] = { start: count === 0 ? 0 : start, step, count };
  }
  const out = slices.map(({ count }) => count);
  if (sameShape(out, shape) && slices.every(({ step, count }) => step === 1 || count <= 1)) return same(node);
  return { outputs: [{ type: node.type(0), shape: out }], run: sliceRun(shape, slices), slices };
}

const MODES = { constant: 'constant', reflect: 'reflect', edge: 'replicate', wrap: 'circular' } as const;

function planPad(node: NodeContext): Planned {
  const [type, shape] = [node.type(0), node.shape(0)];
  const pads = node.listBoth('pads', 1) ?? node.refuse('pads', 'pads are required');
  const axes = node.has(3) ? node.axes(node.known(3), shape.length) : shape.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length)
    node.refuse(
      'pads',
      `pads must be ${2 * axes.length} integers, begins then ends, got [${pads.join(', ')}]`,
    );
  const named = node.choice('mode', ['constant', 'reflect', 'edge', 'wrap'], 'constant');
  const value = node.knownScalar(2, node.number('value', 0));
  const amounts = shape.map((): [number, number] => [0, 0]);
  for (const [i, axis] of axes.entries()) amounts[axis] = [pads[i], pads[i + axes.length]];
  const out = shape.map((n, axis) => n + amounts[axis][0] + amounts[axis][1]);
  const bad = out.findIndex((n) => n < 0);
  if (bad >= 0) node.refuse('pads', `axis ${bad} would have ${out[bad]} elements`);
  if (amounts.every(([before, after]) => before === 0 && after === 0)) return same(node);
  const mode = MODES[named];
  const empty = shape.findIndex((n, axis) => n === 0 && out[axis] > 0);
  if (mode !== 'constant' && empty >= 0)
    node.refuse('mode', `mode '${named}' needs something to copy, axis ${empty} is empty`);
  return {
    outputs: [{ type, shape: out }],
    run: ([x]) => [
      mode === 'constant' ? pad(x, amounts, { value }) : throughFloat(x, (v) => pad(v, amounts, { mode })),
    ],
  };
}

function planReshape(node: NodeContext): Planned {
  const shape = node.shape(0);
  const size = sizeOf(shape);
  const allowZero = node.flag('allowzero', false);
  const given = node.listBoth('shape', 1) ?? node.refuse('shape', 'the shape is required');
  const wanted = given.map((n, axis) => {
    if (n !== 0 || allowZero) return n;
    return (
      shape[axis] ?? node.refuse('shape', `axis ${axis} is to be copied, the input has ${shape.length} axes`)
    );
  });
  const open = wanted.indexOf(-1);
  if (open >= 0) {
    const rest = sizeOf(wanted.filter((_, axis) => axis !== open));
    if (wanted.lastIndexOf(-1) !== open || rest === 0 || size % rest !== 0)
      node.refuse(
        'shape',
        `shape ${showShape(wanted)} has no single whole value for -1 with ${size} elements`,
      );
    wanted[open] = size / rest;
  }
  if (wanted.some((n) => n < 0) || sizeOf(wanted) !== size)
    node.refuse(
      'shape',
      `shape ${showShape(wanted)} holds ${sizeOf(wanted)} values, the input ${showShape(shape)} has ${size}`,
    );
  return reshaped(node, wanted);
}

function planFlatten(node: NodeContext): Planned {
  const shape = node.shape(0);
  const axis = node.axis(node.int('axis', 1), shape.length, 1);
  return reshaped(node, [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))]);
}

function planTranspose(node: NodeContext): Planned {
  const shape = node.shape(0);
  const order = node.axes(node.ints('perm') ?? shape.map((_, axis) => shape.length - 1 - axis), shape.length);
  if (order.length !== shape.length)
    node.refuse('perm', `perm [${order.join(', ')}] must name each of ${shape.length} axes once`);
  const out = order.map((axis) => shape[axis]);
  const moving = order.filter((axis) => shape[axis] !== 1);
  if (moving.every((axis, i) => i === 0 || axis > moving[i - 1])) return reshaped(node, out);
  return { outputs: [{ type: node.type(0), shape: out }], run: ([x]) => [permute(x, order)] };
}

function planSqueeze(node: NodeContext): Planned {
  const shape = node.shape(0);
  const given = node.listBoth('axes', 1);
  const axes =
    given === undefined
      ? shape.map((_, axis) => axis).filter((axis) => shape[axis] === 1)
      : node.axes(given, shape.length);
  const long = axes.find((axis) => shape[axis] !== 1);
  if (long !== undefined) node.refuse('axes', `axis ${long} of ${showShape(shape)} is not of length 1`);
  return reshaped(
    node,
    shape.filter((_, axis) => !axes.includes(axis)),
  );
}

function planUnsqueeze(node: NodeContext): Planned {
  const shape = node.shape(0);
  const given = node.listBoth('axes', 1) ?? node.refuse('axes', 'axes are required');
  const rank = shape.length + given.length;
  const axes = node.axes(given, rank);
  let next = 0;
  return reshaped(
    node,
    Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : shape[next++])),
  );
}

function expanded(node: NodeContext, shape: Shape): Planned {
  if (sameShape(shape, node.shape(0))) return same(node);
  return { outputs: [{ type: node.type(0), shape }], run: ([x]) => [expand(x, shape)] };
}

function planExpand(node: NodeContext): Planned {
  const wanted = node.known(1);
  if (wanted.some((n) => n < 0)) node.refuse('shape', `shape [${wanted.join(', ')}] must be integers ≥ 0`);
  return expanded(node, broadcastShapes(node.label, node.shape(0), wanted));
}

/** Repetition is reading with stride 0: (n₀, n₁) as (1, n₀, 1, n₁) expanded to (r₀, n₀, r₁, n₁). */
function planTile(node: NodeContext): Planned {
  const [type, shape] = [node.type(0), node.shape(0)];
  const repeats = node.known(1);
  if (repeats.length !== shape.length || repeats.some((n) => n < 0))
    node.refuse('repeats', `repeats [${repeats.join(', ')}] must be ${shape.length} integers ≥ 0`);
  const out = shape.map((n, axis) => n * repeats[axis]);
  if (sameShape(out, shape)) return same(node);
  const split = shape.flatMap((n) => [1, n]);
  const wide = shape.flatMap((n, axis) => [repeats[axis], n]);
  return {
    outputs: [{ type, shape: out }],
    run: ([x]) => [
      chain(
        x,
        (v) => reshape(v, split),
        (v) => expand(v, wide),
        (v) => reshape(v, out),
      ),
    ],
  };
}

function shuffle(node: NodeContext, split: Shape, order: readonly number[], out: Shape): Planned {
  return {
    outputs: [{ type: node.type(0), shape: out }],
    run: ([x]) => [
      chain(
        x,
        (v) => reshape(v, split),
        (v) => permute(v, order),
        (v) => reshape(v, out),
      ),
    ],
  };
}

function blockSize(node: NodeContext): number {
  const block = node.int('blocksize', 0);
  return block >= 1 ? block : node.refuse('blocksize', `attribute blocksize must be ≥ 1, it is ${block}`);
}

/** DCR: the block's position is the slower part of the channel; CRD: the faster one. */
function planDepthToSpace(node: NodeContext): Planned {
  const [n, c, h, w] = node.rank(0, 4);
  const b = blockSize(node);
  if (c % (b * b) !== 0) node.refuse('blocksize', `${c} channels must divide by blocksize² = ${b * b}`);
  const out = [n, c / (b * b), h * b, w * b];
  return node.choice('mode', ['DCR', 'CRD'], 'DCR') === 'DCR'
    ? shuffle(node, [n, b, b, c / (b * b), h, w], [0, 3, 4, 1, 5, 2], out)
    : shuffle(node, [n, c / (b * b), b, b, h, w], [0, 1, 4, 2, 5, 3], out);
}

function planSpaceToDepth(node: NodeContext): Planned {
  const [n, c, h, w] = node.rank(0, 4);
  const b = blockSize(node);
  if (h % b !== 0 || w % b !== 0)
    node.refuse('blocksize', `height ${h} and width ${w} must divide by blocksize ${b}`);
  return shuffle(node, [n, c, h / b, b, w / b, b], [0, 3, 5, 1, 2, 4], [n, c * b * b, h / b, w / b]);
}

/** The seed and ratio of training have no use here: a model that runs drops nothing. */
function planDropout(node: NodeContext): Planned {
  const [type, shape] = [node.type(0), node.shape(0)];
  if (node.has(2) && node.knownScalar(2, 0) !== 0 && node.knownScalar(1, 0.5) !== 0)
    node.refuse(
      'training_mode',
      'dropout in training mode draws random numbers',
      'export the model in evaluation mode',
    );
  const mask = node.wants(1);
  return {
    outputs: [{ type, shape }, ...(mask ? [{ type: 'bool' as const, shape }] : [])],
    run: ([x]) => [
      reshape(x, shape),
      ...(mask ? [tensorOf('bool', shape, new Uint8Array(sizeOf(shape)).fill(1))] : []),
    ],
  };
}

const op = (
  inputs: readonly [number, number],
  attributes: readonly string[],
  plan: Operator['plan'],
  outputs = 1,
): Operator => ({
  inputs,
  outputs,
  attributes,
  plan,
});

const MANY = Number.POSITIVE_INFINITY;

export const layout: Readonly<Record<string, Operator>> = {
  Concat: op([1, MANY], ['axis'], planConcat),
  Split: op([1, 2], ['axis', 'split', 'num_outputs'], planSplit, MANY),
  Slice: op([1, 5], ['axes', 'ends', 'starts'], planSlice),
  Pad: op([1, 4], ['mode', 'pads', 'value'], planPad),
  Reshape: op([1, 2], ['allowzero', 'shape'], planReshape),
  Flatten: op([1, 1], ['axis'], planFlatten),
  Transpose: op([1, 1], ['perm'], planTranspose),
  Squeeze: op([1, 2], ['axes'], planSqueeze),
  Unsqueeze: op([1, 2], ['axes'], planUnsqueeze),
  Expand: op([2, 2], [], planExpand),
  Tile: op([2, 2], [], planTile),
  DepthToSpace: op([1, 1], ['blocksize', 'mode'], planDepthToSpace),
  SpaceToDepth: op([1, 1], ['blocksize', 'mode'], planSpaceToDepth),
  Identity: op([1, 1], [], same),
  Dropout: op([1, 3], ['ratio', 'seed'], planDropout, 2),
};
