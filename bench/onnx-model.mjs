/**
 * onnx-model: a model file of one node, for the peers that run ONNX. Protocol buffers are tag, length, bytes; the few
 * messages needed are written out by hand. The weight is an initializer, so that a peer may pack it once.
 */
import { inputShape, kernelSize, outputShape, weightShape } from './problem.mjs';

const text = new TextEncoder();

/** Base 128, least significant group first. @param {number} value a non-negative integer @returns {number[]} */
const varint = (value) => (value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]);

/** @param {Uint8Array[]} parts */
function join(parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Wire type 0. @param {number} field @param {number} value */
const integer = (field, value) => Uint8Array.from([...varint(field * 8), ...varint(value)]);

/** Wire type 2: a string, raw bytes, or a message in its parts. @param {number} field @param {string | Uint8Array | Uint8Array[]} value */
function bytes(field, value) {
  const body = typeof value === 'string' ? text.encode(value) : Array.isArray(value) ? join(value) : value;
  return join([Uint8Array.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);
}

const FLOAT = 1;

/** AttributeProto: name 1, ints 8, type 20 (INTS = 7). @param {string} name @param {number[]} values */
const ints = (name, values) =>
  bytes(5, [bytes(1, name), ...values.map((value) => integer(8, value)), integer(20, 7)]);

/** AttributeProto: name 1, i 3, type 20 (INT = 2). @param {string} name @param {number} value */
const int = (name, value) => bytes(5, [bytes(1, name), integer(3, value), integer(20, 2)]);

/** ValueInfoProto of a float tensor. @param {number} field @param {string} name @param {number[]} shape */
const value = (field, name, shape) => {
  const dims = shape.map((n) => bytes(1, [integer(1, n)]));
  return bytes(field, [bytes(1, name), bytes(2, [bytes(1, [integer(1, FLOAT), bytes(2, dims)])])]);
};

/**
 * ModelProto: y = Conv or ConvTranspose of x by the weight given.
 *
 * @param {import('./problem.mjs').Problem} problem
 * @param {Float32Array} weight
 */
export function onnxModel(problem, weight) {
  const { kind, size, s, p, op, d, g } = problem;
  const each = (/** @type {number} */ n) => size.map(() => n);
  const node = [
    bytes(1, 'x'),
    bytes(1, 'w'),
    bytes(2, 'y'),
    bytes(4, kind === 'conv' ? 'Conv' : 'ConvTranspose'),
    ints('kernel_shape', kernelSize(problem)),
    ints('strides', each(s)),
    ints('pads', [...each(p), ...each(p)]),
    ints('dilations', each(d)),
    int('group', g),
    ...(kind === 'conv' ? [] : [ints('output_padding', each(op))]),
  ];
  const raw = new Uint8Array(weight.buffer, weight.byteOffset, weight.byteLength);
  const initializer = [
    ...weightShape(problem).map((n) => integer(1, n)),
    integer(2, FLOAT),
    bytes(8, 'w'),
    bytes(9, raw),
  ];
  const graph = [
    bytes(1, node),
    bytes(2, 'one'),
    bytes(5, initializer),
    value(11, 'x', inputShape(problem)),
    value(12, 'y', outputShape(problem)),
  ];
  return join([integer(1, 8), bytes(7, graph), bytes(8, [bytes(1, ''), integer(2, 13)])]);
}
