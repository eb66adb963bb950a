/**
 * idx: the format of the MNIST family of data sets: two zero bytes, a type, the number of axes, the axes as big-endian
 * 32-bit numbers, then the values, big-endian and row-major (http://yann.lecun.com/exdb/mnist/).
 */
import { refuse } from '../errors.js';
import { showShape } from '../shape.js';
import { hostTensor, type Tensor } from '../tensor.js';
import { asBytes, countElements, viewOf } from './bytes.js';
import { bytesOf, decode, type Element } from './elements.js';
import { gunzip, isGzip } from './gzip.js';
import { checkMaxBytes, type UnpackOptions } from './inflate.js';

const types = new Map<number, Element>([
  [0x08, 'uint8'],
  [0x09, 'int8'],
  [0x0b, 'int16'],
  [0x0c, 'int32'],
  [0x0d, 'float32'],
  [0x0e, 'float64'],
]);

interface Layout {
  readonly element: Element;
  readonly shape: readonly number[];
  /** Where the values begin, and how long the whole file is. */
  readonly start: number;
  readonly length: number;
}

/** Reads the head of a file of which `head` is the beginning; undefined when that is too short. */
function layoutOf(op: string, head: Uint8Array): Layout | undefined {
  if (head.length < 4) return undefined;
  const element = types.get(head[2]);
  if (head[0] !== 0 || head[1] !== 0 || element === undefined) {
    const hex = Array.from(head.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    refuse(op, 'bytes', `an IDX file begins with 00 00, a type 08, 09, 0b … 0e and a rank, got ${hex}`);
  }
  const start = 4 + 4 * head[3];
  if (head.length < start) return undefined;
  const view = viewOf(head);
  const shape = Array.from({ length: head[3] }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { element, shape, start, length: start + countElements(op, 'the file', shape) * bytesOf(element) };
}

/**
 * The tensor in an IDX file, the format of MNIST and its kin; packed with gzip or not. uint8 stays uint8; int8, int16 and
 * int32 become int32; float32 and float64 stay what they are.
 *
 * @param bytes the whole file
 * @throws DeconvError for a malformed or damaged file, and for one that unpacks to more than `maxBytes`
 * @example
 * ```ts
 * import { readIdx } from 'deconv/io';
 * const file = new Uint8Array([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]);
 * console.log(readIdx(file).toArray()); // [ [ 7, 8, 9 ] ]
 * ```
 */
export function readIdx(bytes: Uint8Array | ArrayBuffer, options: UnpackOptions = {}): Tensor {
  const op = 'readIdx';
  const maxBytes = checkMaxBytes(op, options);
  const given = asBytes(op, bytes);
  const lengthOf = (head: Uint8Array) => layoutOf(op, head)?.length;
  const file = isGzip(given) ? gunzip(op, 'the file', given, { lengthOf, maxBytes }) : given;
  const layout = layoutOf(op, file);
  if (layout === undefined || file.length !== layout.length) {
    const wanted =
      layout === undefined ? 'a whole header' : `${layout.length} for ${showShape(layout.shape)}`;
    refuse(op, 'bytes', `the file has ${file.length} bytes, it needs ${wanted}`, 'is it whole?');
  }
  const { element, shape, start } = layout;
  return hostTensor(decode(op, 'the file', element, file.subarray(start), false), shape);
}
