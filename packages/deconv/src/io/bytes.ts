/**
 * bytes: what every format of this folder stands on: bytes as an argument, elements copied out in the machine's own byte
 * order, text, and sizes checked before anything is allocated for them. A file is never trusted: each length that it
 * states is held against the bytes that are there.
 */
import { refuse, show } from '../errors.js';
import { MAX_ELEMENTS, type Shape, showShape } from '../shape.js';
import { Tensor } from '../tensor.js';

interface TextHost {
  readonly TextDecoder: new (
    label: string,
    options: { fatal: boolean; ignoreBOM: boolean },
  ) => { decode(bytes: Uint8Array): string };
  readonly TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> };
}

const host = globalThis as object as TextHost;

/** The most axes a tensor in a file may have: NumPy's own bound. */
export const MAX_RANK = 64;

/** True where the machine stores the lowest byte of a number first. */
const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Where the lower half of a 64-bit number lies among its two 32-bit halves, on this machine. */
export const LOW_HALF = littleEndianHost ? 0 : 1;

/** The argument as bytes. */
export function asBytes(op: string, bytes: unknown): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  refuse(op, 'bytes', `bytes must be a Uint8Array or an ArrayBuffer, got ${show(bytes)}`);
}

/** A view for reading the numbers of a header. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Turns the bytes of each element of `size` bytes round, in place, where file and machine differ in their order. */
export function toHostOrder(bytes: Uint8Array, size: number, littleEndian: boolean): void {
  if (size === 1 || littleEndian === littleEndianHost) return;
  for (let start = 0; start < bytes.length; start += size) {
    for (let a = start, b = start + size - 1; a < b; a++, b--) [bytes[a], bytes[b]] = [bytes[b], bytes[a]];
  }
}

/** `length` bytes, all zero; refuses what the machine does not have. */
export function reserve(op: string, argument: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    refuse(op, argument, `${length} bytes are more than this machine gives at once`);
  }
}

/** Bytes that must be UTF-8, as text. */
export function decodeText(op: string, what: string, bytes: Uint8Array): string {
  try {
    // Copied, because shared memory cannot be decoded.
    return new host.TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.slice());
  } catch {
    refuse(op, 'bytes', `${what} is not UTF-8 text`);
  }
}

/** Text as UTF-8. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return new host.TextEncoder().encode(text);
}

/**
 * How many elements a shape out of a file has. An axis of length 0 makes a tensor empty, but does not excuse the others:
 * their product must stay in bounds too.
 */
export function countElements(op: string, what: string, shape: Shape): number {
  if (shape.length > MAX_RANK) refuse(op, 'bytes', `${what} has ${shape.length} axes, more than ${MAX_RANK}`);
  let bound = 1;
  for (const length of shape) {
    bound *= length || 1;
    if (!(bound <= MAX_ELEMENTS)) {
      refuse(op, 'bytes', `${what} has shape ${showShape(shape)}, more than ${MAX_ELEMENTS} elements`);
    }
  }
  return shape.includes(0) ? 0 : bound;
}

/** Refuses a name that some reader would stumble over. `__proto__` is one: it means something else in JavaScript. */
export function checkEntryName(op: string, argument: string, name: string): void {
  if (name === '__proto__' || name === '') {
    refuse(op, argument, `a tensor cannot be named ${show(name)}`);
  }
}

/** The tensors of a record, in order; refuses anything else. */
export function checkTensors(op: string, tensors: unknown): [name: string, tensor: Tensor][] {
  if (
    tensors === null ||
    typeof tensors !== 'object' ||
    tensors instanceof Tensor ||
    Array.isArray(tensors) ||
    ArrayBuffer.isView(tensors)
  ) {
    refuse(op, 'tensors', `tensors must be an object of tensors by name, got ${show(tensors)}`);
  }
  const entries: [string, unknown][] = Object.entries(tensors);
  return entries.map(([name, value]) => {
    checkEntryName(op, 'tensors', name);
    if (/\p{Surrogate}/u.test(name)) {
      refuse(op, 'tensors', `the name ${JSON.stringify(name)} has half a character in it`);
    }
    if (!(value instanceof Tensor)) {
      refuse(op, 'tensors', `tensors[${show(name)}] must be a tensor, got ${show(value)}`);
    }
    return [name, value];
  });
}
