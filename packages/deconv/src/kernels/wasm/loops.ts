/**
 * loops: memory-bound float32 operations as plain loops over linear memory, where the reference's generality would cost
 * more than the arithmetic. What is not here, or not in this form, is left to the reference.
 */
import type { BinaryName, OpName, OpTable, UnaryName } from '../../backend.js';
import { sameShape, sizeOf } from '../../shape.js';
import type { Storage } from '../../tensor.js';
import type { Residency, WasmStorage } from './storage.js';

/** Runs the operation if there is a loop for it. */
export function runLoop<K extends OpName>(
  residency: Residency,
  op: K,
  inputs: readonly Storage[],
  attributes: OpTable[K],
): WasmStorage | undefined {
  if (op === 'unary') return unary(residency, inputs[0], attributes as OpTable['unary']);
  if (op === 'binary') return binary(residency, inputs, attributes as OpTable['binary']);
  if (op === 'cast') return copy(residency, inputs[0], attributes as OpTable['cast']);
  return undefined;
}

/** Views of the operands and of a new result; made together, since memory may grow on the way. */
function operands(residency: Residency, inputs: readonly Storage[], length: number) {
  const places = inputs.map((input) => residency.address(input) / 4);
  const { storage, at } = residency.result('float32', length);
  const { floats } = residency.heap;
  const arrays = inputs.map((input, i) => floats.subarray(places[i], places[i] + input.length));
  return { storage, out: floats.subarray(at / 4, at / 4 + length), arrays };
}

type UnaryLoop = (x: Float32Array, out: Float32Array, p: readonly number[]) => void;

/** f and f′ of the activations that need no library function. */
const UNARY_LOOPS: Readonly<Partial<Record<UnaryName, readonly UnaryLoop[]>>> = {
  relu: [
    (x, out) => {
      // Written so that NaN stays NaN.
      for (let i = 0; i < x.length; i++) out[i] = x[i] < 0 ? 0 : x[i];
    },
    (x, out) => {
      for (let i = 0; i < x.length; i++) out[i] = x[i] > 0 ? 1 : x[i] <= 0 ? 0 : x[i];
    },
  ],
  leakyRelu: [
    (x, out, [slope]) => {
      for (let i = 0; i < x.length; i++) out[i] = x[i] > 0 ? x[i] : slope * x[i];
    },
    (x, out, [slope]) => {
      for (let i = 0; i < x.length; i++) out[i] = x[i] > 0 ? 1 : x[i] <= 0 ? slope : x[i];
    },
  ],
  square: [
    (x, out) => {
      for (let i = 0; i < x.length; i++) out[i] = x[i] * x[i];
    },
    (x, out) => {
      for (let i = 0; i < x.length; i++) out[i] = 2 * x[i];
    },
  ],
};

function unary(
  residency: Residency,
  x: Storage,
  { fn, order, parameters }: OpTable['unary'],
): WasmStorage | undefined {
  const loop = UNARY_LOOPS[fn]?.[order];
  if (loop === undefined) return undefined;
  const { storage, out, arrays } = operands(residency, [x], x.length);
  loop(arrays[0], out, parameters);
  return storage;
}

type BinaryLoop = (a: Float32Array, b: Float32Array, out: Float32Array, stepA: number, stepB: number) => void;

/** Steps are 1, or 0 for an operand of one element. */
const BINARY_LOOPS: Readonly<Partial<Record<BinaryName, BinaryLoop>>> = {
  add: (a, b, out, stepA, stepB) => {
    for (let i = 0, p = 0, q = 0; i < out.length; i++, p += stepA, q += stepB) out[i] = a[p] + b[q];
  },
  sub: (a, b, out, stepA, stepB) => {
    for (let i = 0, p = 0, q = 0; i < out.length; i++, p += stepA, q += stepB) out[i] = a[p] - b[q];
  },
  mul: (a, b, out, stepA, stepB) => {
    for (let i = 0, p = 0, q = 0; i < out.length; i++, p += stepA, q += stepB) out[i] = a[p] * b[q];
  },
  div: (a, b, out, stepA, stepB) => {
    for (let i = 0, p = 0, q = 0; i < out.length; i++, p += stepA, q += stepB) out[i] = a[p] / b[q];
  },
};

function binary(
  residency: Residency,
  inputs: readonly Storage[],
  attributes: OpTable['binary'],
): WasmStorage | undefined {
  const { fn, aShape, bShape, shape } = attributes;
  const loop = BINARY_LOOPS[fn];
  const fits = (own: readonly number[]) => sameShape(own, shape) || sizeOf(own) === 1;
  if (loop === undefined || !fits(aShape) || !fits(bShape)) return undefined;
  const length = sizeOf(shape);
  const { storage, out, arrays } = operands(residency, inputs, length);
  loop(arrays[0], arrays[1], out, inputs[0].length === 1 ? 0 : 1, inputs[1].length === 1 ? 0 : 1);
  return storage;
}

function copy(residency: Residency, x: Storage, { dtype }: OpTable['cast']): WasmStorage | undefined {
  if (dtype !== 'float32') return undefined;
  const { storage, out, arrays } = operands(residency, [x], x.length);
  out.set(arrays[0]);
  return storage;
}
