/**
 * elements: numbers as files store them, and the number types that tensors have. Reading is exact or refused:
 *
 *     float64                                        → float64
 *     float32, float16, bfloat16, 8-bit floats       → float32
 *     int32, int16, int8, uint16                     → int32
 *     int64, uint64, uint32                          → int32 if every value lies in −2³¹ … 2³¹ − 1, else refused
 *     uint8, bool (anything but 0 is 1)              → uint8
 *
 * A float of e exponent bits E and m mantissa bits M is (−1)^S · 2^(E − bias) · (1 + M/2^m), bias = 2^(e−1) − 1, and
 * (−1)^S · 2^(1 − bias) · M/2^m where E = 0 (IEEE 754). The highest E means infinity (M = 0) and NaN; except in E4M3, where
 * only E and M all ones mean NaN and there is no infinity, and in E8M0, which is 2^(E − 127) with E = 255 for NaN (OCP 8-bit
 * and microscaling formats).
 */
import { refuse } from '../errors.js';
import { convert, type DType, type TypedArray } from '../tensor.js';
import { LOW_HALF, toHostOrder } from './bytes.js';

/** Bytes of an element, and the number type it becomes. */
const elements = {
  float64: [8, 'float64'],
  float32: [4, 'float32'],
  float16: [2, 'float32'],
  bfloat16: [2, 'float32'],
  float8_e4m3: [1, 'float32'],
  float8_e5m2: [1, 'float32'],
  float8_e8m0: [1, 'float32'],
  int64: [8, 'int32'],
  int32: [4, 'int32'],
  int16: [2, 'int32'],
  int8: [1, 'int32'],
  uint64: [8, 'int32'],
  uint32: [4, 'int32'],
  uint16: [2, 'int32'],
  uint8: [1, 'uint8'],
  bool: [1, 'uint8'],
} as const satisfies Record<string, readonly [number, DType]>;

/** How a file stores a number. */
export type Element = keyof typeof elements;

/** Bytes of one element. */
export const bytesOf = (element: Element): number => elements[element][0];

/** Value of a small float's bits, by the formula above. */
function smallFloat(bits: number, exponentBits: number, mantissaBits: number, finite: boolean): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const top = 2 ** exponentBits - 1;
  const sign = bits >> (exponentBits + mantissaBits) ? -1 : 1;
  const exponent = (bits >> mantissaBits) & top;
  const fraction = (bits & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  if (exponent === 0) return sign * 2 ** (1 - bias) * fraction;
  if (exponent === top && !finite) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === top && fraction === 1 - 2 ** -mantissaBits) return Number.NaN;
  return sign * 2 ** (exponent - bias) * (1 + fraction);
}

/** The small floats that are looked up: value of a bit pattern. */
const small = {
  float16: (bits: number) => smallFloat(bits, 5, 10, false),
  float8_e5m2: (bits: number) => smallFloat(bits, 5, 2, false),
  float8_e4m3: (bits: number) => smallFloat(bits, 4, 3, true),
  float8_e8m0: (bits: number) => (bits === 255 ? Number.NaN : 2 ** (bits - 127)),
} as const;

const tables = new Map<Element, Float32Array>();

/** Values of all bit patterns; made when first asked for. */
function tableOf(element: keyof typeof small): Float32Array {
  const table =
    tables.get(element) ??
    Float32Array.from({ length: 2 ** (8 * bytesOf(element)) }, (_, bits) => small[element](bits));
  tables.set(element, table);
  return table;
}

/** Integers of 64 or 32 bits as int32; `lost` is called at the first one that does not fit. */
function narrowed(
  element: 'int64' | 'uint64' | 'uint32',
  buffer: ArrayBuffer,
  lost: (value: bigint | number) => never,
): Int32Array {
  const halves = new Int32Array(buffer);
  if (element === 'uint32') {
    const at = halves.findIndex((value) => value < 0);
    return at < 0 ? halves : lost(new Uint32Array(buffer)[at]);
  }
  const out = new Int32Array(halves.length / 2);
  for (let i = 0; i < out.length; i++) {
    const low = halves[2 * i + LOW_HALF];
    const high = halves[2 * i + 1 - LOW_HALF];
    // The upper half must repeat the sign of the lower; unsigned, both must be free of it.
    if (high !== (element === 'int64' ? low >> 31 : 0) || (element === 'uint64' && low < 0)) {
      lost((element === 'int64' ? new BigInt64Array(buffer) : new BigUint64Array(buffer))[i]);
    }
    out[i] = low;
  }
  return out;
}

/**
 * The elements that fill `bytes`, which are copied.
 *
 * @param what the tensor, as messages call it
 */
export function decode(
  op: string,
  what: string,
  element: Element,
  bytes: Uint8Array,
  littleEndian: boolean,
): TypedArray {
  // slice() of a Node Buffer would share; the constructor copies, to an aligned start.
  const copy = new Uint8Array(bytes);
  toHostOrder(copy, bytesOf(element), littleEndian);
  const { buffer } = copy;
  switch (element) {
    case 'float64':
      return new Float64Array(buffer);
    case 'float32':
      return new Float32Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'int16':
      return new Int32Array(new Int16Array(buffer));
    case 'uint16':
      return new Int32Array(new Uint16Array(buffer));
    case 'int8':
      return new Int32Array(new Int8Array(buffer));
    case 'uint8':
      return copy;
    case 'bool':
      return copy.map((value) => (value === 0 ? 0 : 1));
    case 'int64':
    case 'uint64':
    case 'uint32':
      return narrowed(element, buffer, (value) =>
        refuse(
          op,
          'bytes',
          `${what} is ${element} and has the value ${value}, which int32 cannot hold`,
          'store it as float64',
        ),
      );
    case 'bfloat16': {
      // The upper half of a float32.
      const halves = new Uint16Array(buffer);
      const out = new Uint32Array(halves.length);
      for (let i = 0; i < out.length; i++) out[i] = halves[i] << 16;
      return new Float32Array(out.buffer);
    }
    default: {
      const table = tableOf(element);
      const patterns = bytesOf(element) === 2 ? new Uint16Array(buffer) : copy;
      const out = new Float32Array(patterns.length);
      for (let i = 0; i < out.length; i++) out[i] = table[patterns[i]];
      return out;
    }
  }
}

const double = new Float64Array(1);
const doubleHalves = new Int32Array(double.buffer);

/** 2^exponent by its bits, for −1022 … 1023; several times as fast as `**`. */
function powerOfTwo(exponent: number): number {
  doubleHalves[LOW_HALF] = 0;
  doubleHalves[1 - LOW_HALF] = (exponent + 1023) << 20;
  return double[0];
}

/**
 * Bits of the small float nearest to a number, ties to even. With the exponent p = max(⌊log₂|x|⌋, 1 − bias) and
 * n = round(|x| / 2^(p−m)), they are (p − (1 − bias))·2^m + n: a round up that carries raises the exponent by itself.
 */
function smallBits(value: number, exponentBits: number, mantissaBits: number): number {
  const lowest = 2 - 2 ** (exponentBits - 1);
  const infinity = (2 ** exponentBits - 1) << mantissaBits;
  double[0] = value;
  const high = doubleHalves[1 - LOW_HALF];
  const sign = high < 0 ? 1 << (exponentBits + mantissaBits) : 0;
  if (Number.isNaN(value)) return infinity | (1 << (mantissaBits - 1));
  const exponent = Math.max(((high >>> 20) & 0x7ff) - 1023, lowest);
  if (exponent > -lowest + 1) return sign | infinity;
  // Adding and taking away 2^52 leaves an integer, rounded to nearest even.
  const n = Math.abs(value) * powerOfTwo(mantissaBits - exponent) + 2 ** 52 - 2 ** 52;
  return sign | Math.min(((exponent - lowest) << mantissaBits) + n, infinity);
}

/** Floating-point types that values can be stored as. */
export type FloatElement = 'float64' | 'float32' | 'float16' | 'bfloat16';

/** Bits of infinity, and how the bits of a value are found. */
const sixteen = {
  float16: { infinity: 0x7c00, bits: (value: number) => smallBits(value, 5, 10) },
  bfloat16: { infinity: 0x7f80, bits: (value: number) => smallBits(value, 8, 7) },
} as const;

/** Values as little-endian bytes of the type. Refuses a finite value that would become infinite. */
export function encode(
  op: string,
  what: string,
  values: TypedArray,
  element: FloatElement | DType,
): Uint8Array<ArrayBuffer> {
  let stored: TypedArray | Uint16Array;
  let isInfinite: (i: number) => boolean;
  if (element === 'float16' || element === 'bfloat16') {
    const { infinity, bits } = sixteen[element];
    stored = new Uint16Array(values.length);
    for (let i = 0; i < values.length; i++) stored[i] = bits(values[i]);
    isInfinite = (i) => (stored[i] & 0x7fff) === infinity;
  } else {
    stored = convert(element, values);
    isInfinite = (i) => Math.abs(stored[i]) === Number.POSITIVE_INFINITY;
  }
  const lost = values.findIndex((value, i) => isInfinite(i) && Number.isFinite(value));
  if (lost >= 0) {
    refuse(op, 'dtype', `${what} has the value ${values[lost]}, which is too large for ${element}`);
  }
  const bytes = new Uint8Array(stored.buffer as ArrayBuffer);
  toHostOrder(bytes, stored.BYTES_PER_ELEMENT, true);
  return bytes;
}
