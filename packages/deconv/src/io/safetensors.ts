/**
 * safetensors: named tensors in one file, as model weights are mostly published: eight bytes of header length, a JSON
 * header with the type, shape and place of each tensor, then the values, little-endian and row-major
 * (https://github.com/huggingface/safetensors). The values of all tensors must fill the rest of the file without gap or
 * overlap; what breaks a rule is refused before anything is allocated for it.
 */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { showShape } from '../shape.js';
import { hostTensor, type Tensor } from '../tensor.js';
import {
  asBytes,
  checkEntryName,
  checkTensors,
  countElements,
  decodeText,
  encodeText,
  reserve,
  viewOf,
} from './bytes.js';
import { bytesOf, decode, type Element, encode, type FloatElement } from './elements.js';
import { type Header, parseHeader } from './safetensors-header.js';

/** The longest header, in bytes, that is read: the bound of the format's own implementation. */
const MAX_HEADER = 100_000_000;

/** The format's names of number types. */
const types = new Map<string, Element>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['F8_E4M3', 'float8_e4m3'],
  ['F8_E5M2', 'float8_e5m2'],
  ['F8_E8M0', 'float8_e8m0'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** The header, and where the values begin. */
function readHeader(op: string, bytes: Uint8Array): Header & { readonly start: number } {
  if (bytes.length < 8) {
    refuse(op, 'bytes', `a safetensors file begins with 8 bytes of header length, got ${bytes.length} bytes`);
  }
  const length = viewOf(bytes).getBigUint64(0, true);
  const room = Math.min(bytes.length - 8, MAX_HEADER);
  if (length > room) {
    const rule = length > MAX_HEADER ? `more than ${MAX_HEADER}` : `the file has ${room} more`;
    refuse(
      op,
      'bytes',
      `the header should be ${length} bytes long, ${rule}`,
      'is this a safetensors file, and whole?',
    );
  }
  const start = 8 + Number(length);
  return { ...parseHeader(op, decodeText(op, 'the header', bytes.subarray(8, start))), start };
}

/**
 * The tensors of a safetensors file, by name.
 *
 * float64 stays float64; float32, float16, bfloat16 and the 8-bit floats become float32; int32, int16, int8 and uint16
 * become int32, and so do int64, uint64 and uint32 if every value lies in −2³¹ … 2³¹ − 1; uint8 and bool become uint8.
 *
 * @param bytes the whole file
 * @returns an object without prototype, in the order of the header
 * @throws DeconvError for a malformed file (lengths, offsets, gaps, overlaps, names that stand twice, types that have
 *   no counterpart here), and for an integer that int32 cannot hold
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { readSafetensors, writeSafetensors } from 'deconv/io';
 * const bytes = writeSafetensors({ 'conv.weight': tensor([[1, 2]]), 'conv.bias': tensor([3]) });
 * const { 'conv.weight': weight } = readSafetensors(bytes);
 * console.log(weight.shape, weight.data); // [ 1, 2 ] Float32Array(2) [ 1, 2 ]
 * ```
 */
export function readSafetensors(bytes: Uint8Array | ArrayBuffer): Record<string, Tensor> {
  const op = 'readSafetensors';
  const file = asBytes(op, bytes);
  const { entries, start } = readHeader(op, file);
  const data = file.subarray(start);
  const plan = [...entries].map(([name, { dtype, shape, begin, end }]) => {
    const what = `tensor ${show(name)}`;
    const element = types.get(dtype);
    if (element === undefined) {
      refuse(op, 'bytes', `${what} has number type ${show(dtype)}, read are ${[...types.keys()].join(', ')}`);
    }
    if (begin > end || end > data.length) {
      refuse(
        op,
        'bytes',
        `${what} lies at bytes ${begin} … ${end}, the file has ${data.length} bytes of values`,
      );
    }
    const needed = countElements(op, what, shape) * bytesOf(element);
    if (end - begin !== needed) {
      refuse(
        op,
        'bytes',
        `${what} ${dtype} ${showShape(shape)} needs ${needed} bytes, the header gives it ${end - begin}`,
      );
    }
    return { name, what, element, shape, begin, end };
  });
  let filled = 0;
  for (const { what, begin, end } of [...plan].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== filled) {
      const fault = begin < filled ? 'overlaps another tensor' : 'leaves a gap before it';
      refuse(op, 'bytes', `${what} at byte ${begin} ${fault}: values go on at byte ${filled}`);
    }
    filled = end;
  }
  if (filled !== data.length) {
    refuse(op, 'bytes', `the tensors fill ${filled} bytes of values, the file has ${data.length}`);
  }
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const { name, what, element, shape, begin, end } of plan) {
    tensors[name] = hostTensor(decode(op, what, element, data.subarray(begin, end), true), shape);
  }
  return tensors;
}

/**
 * The texts that a safetensors file carries beside its tensors. The tensors are not looked at: the first bytes of a file,
 * as far as its header goes, are enough.
 *
 * @param bytes the file, or its beginning
 * @returns an object without prototype
 * @example
 * ```ts
 * import { ones } from 'deconv';
 * import { safetensorsMetadata, writeSafetensors } from 'deconv/io';
 * const bytes = writeSafetensors({ w: ones([2]) }, { metadata: { trained: 'not yet' } });
 * console.log(safetensorsMetadata(bytes).trained); // not yet
 * ```
 */
export function safetensorsMetadata(bytes: Uint8Array | ArrayBuffer): Record<string, string> {
  const op = 'safetensorsMetadata';
  const texts: Record<string, string> = Object.create(null);
  for (const [key, text] of readHeader(op, asBytes(op, bytes)).metadata) texts[key] = text;
  return texts;
}

/** Options of {@link writeSafetensors}. */
export interface SafetensorsOptions {
  /** Texts to carry beside the tensors. Default none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** How floating-point tensors are stored; integers stay as they are. Default: each as its own type. */
  readonly dtype?: FloatElement | undefined;
}

function checkMetadata(op: string, metadata: unknown): Record<string, string> | undefined {
  if (metadata === undefined) return undefined;
  if (metadata === null || typeof metadata !== 'object' || Array.isArray(metadata)) {
    refuse(op, 'metadata', `metadata must be an object of texts, got ${show(metadata)}`);
  }
  for (const [key, text] of Object.entries(metadata)) {
    checkEntryName(op, 'metadata', key);
    if (typeof text !== 'string')
      refuse(op, 'metadata', `metadata[${show(key)}] must be text, got ${show(text)}`);
  }
  return metadata as Record<string, string>;
}

/**
 * A safetensors file of tensors by name. Values are laid out with the widest types first, so that every tensor starts at
 * a multiple of its element's size; the header keeps the order given.
 *
 * @param tensors for example a module's state
 * @throws DeconvError when a finite value is too large for `dtype`
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { readSafetensors, writeSafetensors } from 'deconv/io';
 * const half = writeSafetensors({ w: tensor([0.1, 1]) }, { dtype: 'float16' });
 * console.log(readSafetensors(half).w.data); // Float32Array(2) [ 0.0999755859375, 1 ]
 * ```
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  options: SafetensorsOptions = {},
): Uint8Array<ArrayBuffer> {
  const op = 'writeSafetensors';
  checkOptions(op, options, ['metadata', 'dtype']);
  const floats = ['float64', 'float32', 'float16', 'bfloat16'];
  if (options.dtype !== undefined) checkName(op, 'dtype', options.dtype, floats);
  const metadata = checkMetadata(op, options.metadata);
  const plan = checkTensors(op, tensors).map(([name, { dtype, shape, size, data }]) => {
    if (name === '__metadata__') {
      refuse(
        op,
        'tensors',
        "a tensor cannot be named '__metadata__'",
        'texts are written with the option metadata',
      );
    }
    const element = floats.includes(dtype) ? (options.dtype ?? dtype) : dtype;
    return { name, element, shape, data, length: size * bytesOf(element), begin: 0 };
  });
  let length = 0;
  for (const item of [...plan].sort((a, b) => bytesOf(b.element) - bytesOf(a.element))) {
    item.begin = length;
    length += item.length;
  }
  const lines = plan.map(({ name, element, shape, begin, length }) => {
    const dtype = [...types].find(([, known]) => known === element)?.[0];
    return [name, { dtype, shape, data_offsets: [begin, begin + length] }] as const;
  });
  const parts = metadata === undefined ? lines : [['__metadata__', metadata] as const, ...lines];
  // Written entry by entry: a name such as "1" would change places in an object.
  const json = `{${parts.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = encodeText(json);
  const start = 8 + 8 * Math.ceil(text.length / 8);
  if (start - 8 > MAX_HEADER)
    refuse(op, 'tensors', `the header is ${text.length} bytes long, more than ${MAX_HEADER}`);
  const file = reserve(op, 'tensors', start + length);
  viewOf(file).setBigUint64(0, BigInt(start - 8), true);
  file.fill(0x20, 8, start);
  file.set(text, 8);
  for (const { name, element, data, begin } of plan) {
    file.set(encode(op, `tensor ${show(name)}`, data, element), start + begin);
  }
  return file;
}
