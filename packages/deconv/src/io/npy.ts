/**
 * npy: one array per file, NumPy's own format, versions 1 to 3: the magic bytes, the version, the length of the header,
 * and the header: a Python dictionary of element type, memory order and shape
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). The dictionary is read by a grammar that
 * knows these three keys and nothing else. Arrays of Python objects, texts, records, dates and complex numbers are
 * refused: a tensor has no such values.
 */
import { refuse, show } from '../errors.js';
import { type Shape, stridesOf } from '../shape.js';
import { hostTensor, Tensor, type TypedArray } from '../tensor.js';
import { asBytes, countElements, encodeText, reserve, viewOf } from './bytes.js';
import { bytesOf, decode, type Element, encode } from './elements.js';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** The longest header that is read; one of numbers has about a hundred bytes. */
const MAX_HEADER = 2 ** 16;

/** Kind and size, as NumPy writes them after the byte order. */
const types = new Map<string, Element>([
  ['f8', 'float64'],
  ['f4', 'float32'],
  ['f2', 'float16'],
  ['i8', 'int64'],
  ['i4', 'int32'],
  ['i2', 'int16'],
  ['i1', 'int8'],
  ['u8', 'uint64'],
  ['u4', 'uint32'],
  ['u2', 'uint16'],
  ['u1', 'uint8'],
  ['b1', 'bool'],
]);

/** What the head of a file says, checked. */
export interface NpyLayout {
  readonly element: Element;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: Shape;
  /** Where the values begin, and how long the whole file is. */
  readonly start: number;
  readonly length: number;
}

/** `'<f4'` as element and byte order. */
function readDescr(op: string, what: string, descr: string): { element: Element; littleEndian: boolean } {
  const [, order, type] = /^([<>|])([a-zA-Z]\d+)$/.exec(descr) ?? [];
  const element = types.get(type);
  if (element !== undefined && (order !== '|' || bytesOf(element) === 1)) {
    return { element, littleEndian: order !== '>' };
  }
  const hint = /^\|?O/.test(descr)
    ? 'it holds Python objects: convert it with astype(numpy.float32) before saving'
    : 'convert it with astype(numpy.float32) before saving';
  refuse(
    op,
    'bytes',
    `${what} has the element type ${show(descr)}, read are ${[...types.keys()].join(', ')}`,
    hint,
  );
}

/** `'(2, 3)'`, without its parentheses, as numbers. */
function readShape(op: string, what: string, text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  const bad = () => refuse(op, 'bytes', `the header of ${what} has the shape ${show(`(${text})`)}`);
  if (parts.length === 1) return parts[0] === '' ? [] : bad();
  if (parts.at(-1) === '') parts.pop();
  // Python 2 wrote 3L for 3.
  return parts.map((part) => (/^\d{1,16}L?$/.test(part) ? Number.parseInt(part, 10) : bad()));
}

/** The pieces of the dictionary; the second group is what counts. */
const patterns = {
  key: /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*/y,
  descr: /(['"])([^'"\\]*)\1\s*/y,
  fortran_order: /()(True|False)\s*/y,
  shape: /(\()([\dL,\s]*)\)\s*/y,
  comma: /()(,?)\s*/y,
} as const;

function readDictionary(op: string, what: string, text: string): Record<string, string> {
  const found: Record<string, string> = {};
  const fail = (at: number): never =>
    refuse(
      op,
      'bytes',
      `the header of ${what} has ${show(text.slice(at, at + 12))} at character ${at}, where it is no array of numbers`,
    );
  const body = text.trimEnd();
  let at = 0;
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const result = pattern.exec(body);
    if (result === null) return fail(at);
    at = pattern.lastIndex;
    return result[2];
  };
  if (body[at++] !== '{') fail(0);
  while (body[at] !== '}') {
    const key = match(patterns.key) as 'descr' | 'fortran_order' | 'shape';
    if (Object.hasOwn(found, key)) refuse(op, 'bytes', `the header of ${what} has ${show(key)} twice`);
    found[key] = match(patterns[key]);
    if (match(patterns.comma) === '' && body[at] !== '}') fail(at);
  }
  if (at !== body.length - 1) fail(at);
  for (const key of ['descr', 'fortran_order', 'shape']) {
    if (!Object.hasOwn(found, key)) refuse(op, 'bytes', `the header of ${what} has no ${show(key)}`);
  }
  return found;
}

/**
 * Reads the head of a file of which `head` is the beginning.
 *
 * @param what the array, as messages call it
 * @returns undefined when `head` is too short
 */
export function npyLayout(op: string, what: string, head: Uint8Array): NpyLayout | undefined {
  for (const [i, byte] of MAGIC.entries()) {
    if (i >= head.length) return undefined;
    if (head[i] !== byte) refuse(op, 'bytes', `${what} does not begin as an npy file does, with \\x93NUMPY`);
  }
  if (head.length < 12) return undefined;
  const [version, minor] = head.subarray(6, 8);
  if (version < 1 || version > 3 || minor !== 0) {
    refuse(op, 'bytes', `${what} has npy version ${version}.${minor}, read are 1.0, 2.0 and 3.0`);
  }
  const view = viewOf(head);
  const begin = version === 1 ? 10 : 12;
  const size = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (size > MAX_HEADER) {
    refuse(op, 'bytes', `the header of ${what} should be ${size} bytes long, more than ${MAX_HEADER}`);
  }
  const start = begin + size;
  if (head.length < start) return undefined;
  // What is understood is ASCII, the same in all versions; other letters only appear in what is refused.
  const text = Array.from(head.subarray(begin, start), (code) => String.fromCharCode(code)).join('');
  const { descr, fortran_order: order, shape: axes } = readDictionary(op, what, text);
  const { element, littleEndian } = readDescr(op, what, descr);
  const shape = readShape(op, what, axes);
  const length = start + countElements(op, what, shape) * bytesOf(element);
  return { element, littleEndian, fortranOrder: order === 'True', shape, start, length };
}

/** Values that lie first axis fastest, put in row-major order. */
function rowMajor(values: TypedArray, shape: Shape): TypedArray {
  const out = values.slice();
  const from = stridesOf([...shape].reverse()).reverse();
  const index = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = values[at];
    // The next index, last axis fastest, and where it lies.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += from[axis];
      if (++index[axis] < shape[axis]) break;
      at -= shape[axis] * from[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** The tensor in a whole file; `what` as messages call it. */
export function readArray(op: string, what: string, file: Uint8Array): Tensor {
  const layout = npyLayout(op, what, file);
  if (layout === undefined) {
    refuse(op, 'bytes', `${what} ends within its header, after ${file.length} bytes`);
  }
  const { element, littleEndian, fortranOrder, shape, start, length } = layout;
  if (file.length !== length) {
    const fault = file.length < length ? 'is it whole?' : 'only one array per file is read';
    refuse(op, 'bytes', `${what} should be ${length} bytes long, got ${file.length}`, fault);
  }
  const values = decode(op, what, element, file.subarray(start), littleEndian);
  return hostTensor(fortranOrder && shape.length > 1 ? rowMajor(values, shape) : values, shape);
}

/** A file of one tensor, as NumPy writes it. */
export function writeArray(op: string, what: string, tensor: Tensor): Uint8Array<ArrayBuffer> {
  const { shape, dtype, data } = tensor;
  const descr = { float64: '<f8', float32: '<f4', int32: '<i4', uint8: '|u1' }[dtype];
  const axes = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${axes}, }`;
  // NumPy leaves room for the first axis to grow to 21 digits, and ends the header in a line feed, values aligned to 64.
  const room = shape.length === 0 ? 0 : 21 - String(shape[0]).length;
  const start = 64 * Math.ceil((10 + dictionary.length + room + 1) / 64);
  const values = encode(op, what, data, dtype);
  const file = reserve(op, 'tensor', start + values.length);
  file.set([...MAGIC, 1, 0]);
  viewOf(file).setUint16(8, start - 10, true);
  file.set(encodeText(`${dictionary.padEnd(start - 11)}\n`), 10);
  file.set(values, start);
  return file;
}

/**
 * The tensor in an npy file, as `numpy.save` writes it: versions 1 to 3, either byte order, row-major or Fortran order.
 *
 * float64 stays float64; float32 and float16 become float32; int32, int16, int8 and uint16 become int32, and so do
 * int64, uint64 and uint32 if every value lies in −2³¹ … 2³¹ − 1; uint8 and bool become uint8.
 *
 * @param bytes the whole file
 * @throws DeconvError for a malformed file, one that is shorter or longer than it says, an element type that has no
 *   counterpart here, and an integer that int32 cannot hold
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { readNpy, writeNpy } from 'deconv/io';
 * console.log(readNpy(writeNpy(tensor([[1, 2], [3, 4]]))).toArray()); // [ [ 1, 2 ], [ 3, 4 ] ]
 * ```
 */
export function readNpy(bytes: Uint8Array | ArrayBuffer): Tensor {
  return readArray('readNpy', 'the file', asBytes('readNpy', bytes));
}

/**
 * An npy file of one tensor, for `numpy.load`: version 1.0, little-endian, row-major, byte for byte as NumPy writes it.
 *
 * @example
 * ```ts
 * import { arange } from 'deconv';
 * import { writeNpy } from 'deconv/io';
 * console.log(writeNpy(arange(3)).length); // 140
 * ```
 */
export function writeNpy(tensor: Tensor): Uint8Array<ArrayBuffer> {
  if (!(tensor instanceof Tensor))
    refuse('writeNpy', 'tensor', `tensor must be a tensor, got ${show(tensor)}`);
  return writeArray('writeNpy', 'the tensor', tensor);
}
