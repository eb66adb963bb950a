/**
 * Shapes and constants: operators whose results are known while planning, and Cast, through which shapes travel. In a
 * network these are mostly the exporter's arithmetic about sizes; none of them is left when a run starts.
 */
import { cast, reshape } from '../../ops/layout.js';
import { sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import { checkDims, storedValues } from '../initializers.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { type ElementType, elementType, heldAs, unsupportedName } from '../types.js';
import { mapElements, tensorOf } from '../values.js';

/** A result that is known now. */
function known(type: ElementType, shape: readonly number[], numbers: ArrayLike<number>): Planned {
  return { outputs: [{ type, shape, constant: tensorOf(type, shape, numbers) }] };
}

function planShape(node: NodeContext): Planned {
  const shape = node.shape(0);
  const rank = shape.length;
  const place = (at: number) => Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
  const lengths = shape.slice(place(node.int('start', 0)), place(node.int('end', rank)));
  return known('int64', [lengths.length], lengths);
}

/** start, start + delta … before limit. */
function planRange(node: NodeContext): Planned {
  const type = node.sameType(0, 1, 2);
  const [start, limit, delta] = [0, 1, 2].map((i) => node.knownScalar(i, 0));
  if (delta === 0) node.refuse('inputs', 'delta must not be 0');
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  checkDims(node.label, [count]);
  return known(
    type,
    [count],
    Float64Array.from({ length: count }, (_, i) => start + i * delta),
  );
}

const VALUES = ['value', 'value_float', 'value_floats', 'value_int', 'value_ints'];

function planConstant(node: NodeContext): Planned {
  const given = [...node.node.attributes.keys()];
  if (given.length !== 1)
    node.refuse('value', `needs one attribute out of ${VALUES.join(', ')}, has ${given.length}`);
  const record = node.tensor('value');
  if (record !== undefined) {
    const { type, shape, values } = storedValues(record, node.label);
    return known(type, shape, values);
  }
  const [name] = given;
  if (name === 'value_float') return known('float32', [], [node.number(name, 0)]);
  if (name === 'value_int') return known('int64', [], [node.int(name, 0)]);
  const list = name === 'value_floats' ? node.floats(name) : node.ints(name);
  return known(name === 'value_floats' ? 'float32' : 'int64', [list?.length ?? 0], list ?? []);
}

function planConstantOfShape(node: NodeContext): Planned {
  const shape = node.known(0);
  checkDims(node.label, shape);
  const record = node.tensor('value');
  const one = record === undefined ? undefined : storedValues(record, node.label);
  if (one !== undefined && one.values.length !== 1)
    node.refuse('value', `attribute value must be one number, got ${one.values.length}`);
  const type = one?.type ?? 'float32';
  const fill = one?.values[0] ?? 0;
  return {
    outputs: [{ type, shape }],
    run: () => [tensorOf(type, shape, new Float64Array(sizeOf(shape)).fill(fill))],
  };
}

/** The same values in another type: the fraction cut off for integers, rounded to even for the short floats. */
function casting(node: NodeContext, to: ElementType): Planned {
  const [from, shape] = [node.type(0), node.shape(0)];
  const outputs = [{ type: to, shape }];
  if (from === to) return { outputs, run: ([x]) => [reshape(x, shape)] };
  const plain = (to === 'float32' || to === 'float64') && heldAs(to) === to;
  const convert = plain ? (x: Tensor) => cast(x, heldAs(to)) : (x: Tensor) => mapElements(x, to, (v) => v);
  return { outputs, run: ([x]) => [convert(x)] };
}

function planCast(node: NodeContext): Planned {
  const code = node.int('to', 0);
  node.int('saturate', 1);
  const to = elementType(code);
  return casting(node, to ?? node.refuse('to', `element type ${unsupportedName(code)} is not supported`));
}

function planEyeLike(node: NodeContext): Planned {
  const [rows, columns] = node.rank(0, 2);
  const to = node.hasAttribute('dtype') ? elementType(node.int('dtype', 1)) : node.type(0);
  if (to === undefined)
    return node.refuse('dtype', `element type ${unsupportedName(node.int('dtype', 0))} is not supported`);
  const k = node.int('k', 0);
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    if (row + k >= 0 && row + k < columns) values[row * columns + row + k] = 1;
  return known(to, [rows, columns], values);
}

export const shapes: Readonly<Record<string, Operator>> = {
  Shape: { inputs: [1, 1], outputs: 1, attributes: ['start', 'end'], plan: planShape },
  Size: {
    inputs: [1, 1],
    outputs: 1,
    attributes: [],
    plan: (node) => known('int64', [], [sizeOf(node.shape(0))]),
  },
  Range: { inputs: [3, 3], outputs: 1, attributes: [], plan: planRange },
  Constant: { inputs: [0, 0], outputs: 1, attributes: VALUES, plan: planConstant },
  ConstantOfShape: { inputs: [1, 1], outputs: 1, attributes: ['value'], plan: planConstantOfShape },
  Cast: { inputs: [1, 1], outputs: 1, attributes: ['to', 'saturate', 'round_mode'], plan: planCast },
  CastLike: {
    inputs: [2, 2],
    outputs: 1,
    attributes: ['saturate', 'round_mode'],
    plan: (node) => casting(node, node.type(1)),
  },
  EyeLike: { inputs: [1, 1], outputs: 1, attributes: ['dtype', 'k'], plan: planEyeLike },
};
