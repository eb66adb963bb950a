/**
 * types: the element types of ONNX, and how this library holds them. There are four number types underneath, so some
 * share one: half precision is widened to float32, 64-bit integers live in float64 (exact up to 2⁵³, which no shape or
 * index exceeds), booleans are bytes of 0 and 1. The type by name stays with every value, since operators ask for it.
 *
 * Refuses strings, complex numbers and the 8-bit and smaller floating-point types, by name.
 */
import type { DType, TypedArray } from '../tensor.js';

/** An element type by the name this library uses for it. */
export type ElementType =
  | 'float32' | 'float64' | 'float16' | 'bfloat16'
  | 'int8' | 'int16' | 'int32' | 'int64' | 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'bool'; // biome-ignore format: a word list

interface TypeRow {
  /** Number in TensorProto.DataType. */
  readonly code: number;
  /** The number type that holds it here. */
  readonly held: DType;
  /** Bytes of one element in a file. */
  readonly bytes: number;
}

const TYPES: Readonly<Record<ElementType, TypeRow>> = {
  float32: { code: 1, held: 'float32', bytes: 4 },
  uint8: { code: 2, held: 'uint8', bytes: 1 },
  int8: { code: 3, held: 'int32', bytes: 1 },
  uint16: { code: 4, held: 'int32', bytes: 2 },
  int16: { code: 5, held: 'int32', bytes: 2 },
  int32: { code: 6, held: 'int32', bytes: 4 },
  int64: { code: 7, held: 'float64', bytes: 8 },
  bool: { code: 9, held: 'uint8', bytes: 1 },
  float16: { code: 10, held: 'float32', bytes: 2 },
  float64: { code: 11, held: 'float64', bytes: 8 },
  uint32: { code: 12, held: 'float64', bytes: 4 },
  uint64: { code: 13, held: 'float64', bytes: 8 },
  bfloat16: { code: 16, held: 'float32', bytes: 2 },
};

const UNSUPPORTED: Readonly<Record<number, string>> = {
  0: 'undefined',
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
};

const names = Object.keys(TYPES) as ElementType[];
const byCode = new Map(names.map((name) => [TYPES[name].code, name]));

/** Element type of a TensorProto.DataType; undefined for those this library has not. */
export function elementType(code: number): ElementType | undefined {
  return byCode.get(code);
}

/** Name of a TensorProto.DataType that {@link elementType} does not know. */
export function unsupportedName(code: number): string {
  return UNSUPPORTED[code] ?? `number ${code}`;
}

/** Number type that holds an element type. */
export function heldAs(type: ElementType): DType {
  return TYPES[type].held;
}

/** Bytes of one element in a file. */
export function bytesPerElement(type: ElementType): number {
  return TYPES[type].bytes;
}

/** Number type by which values of this element type go in and out of a model: 64-bit integers as int32. */
export function publicDType(type: ElementType): DType {
  return isInteger(type) && heldAs(type) === 'float64' ? 'int32' : heldAs(type);
}

/** True for the floating-point types. */
export function isFloat(type: ElementType): boolean {
  return type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16';
}

/** True for integers; booleans are none. */
export function isInteger(type: ElementType): boolean {
  return !isFloat(type) && type !== 'bool';
}

/** Half precision to number: sign, 5 bits of exponent, 10 of fraction (IEEE 754 binary16). */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** Ties go to the even neighbour. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** The nearest half-precision number, ties to even; beyond 65504 infinite. */
export function toHalf(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(x))));
  const unit = 2 ** (exponent - 10);
  const rounded = roundHalfEven(x / unit) * unit;
  return Math.abs(rounded) > 65504 ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}

const float = new Float32Array(1);
const bitsOfFloat = new Uint32Array(float.buffer);

/** The nearest bfloat16 number: float32 with 16 bits cut off, ties to even. */
export function toBfloat(x: number): number {
  float[0] = x;
  if (!Number.isFinite(float[0])) return float[0];
  const bits = bitsOfFloat[0];
  bitsOfFloat[0] = ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0;
  return float[0];
}

/** bfloat16 to number: the upper half of a float32. */
export function fromBfloat(bits: number): number {
  bitsOfFloat[0] = bits << 16;
  return float[0];
}

/** What a number becomes in an integer type of so many bits, as C has it: the fraction cut off, the high bits dropped. */
const CLIPPED: Partial<Readonly<Record<ElementType, (x: number) => number>>> = {
  int8: (x) => (x << 24) >> 24,
  uint8: (x) => x & 0xff,
  int16: (x) => (x << 16) >> 16,
  uint16: (x) => x & 0xffff,
  int32: (x) => x | 0,
  uint32: (x) => x >>> 0,
  int64: Math.trunc,
  uint64: Math.trunc,
  bool: (x) => (x === 0 ? 0 : 1),
  float16: toHalf,
  bfloat16: toBfloat,
};

/** How a computed number is brought into an element type; undefined where its typed array does that. */
export function roundingOf(type: ElementType): ((x: number) => number) | undefined {
  return CLIPPED[type];
}

/** Elements of a value as they lie in a file (little-endian), as this library holds them. */
export function decodeElements(type: ElementType, bytes: Uint8Array, count: number): TypedArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Not slice(): a Buffer of Node would share its memory.
  const copy = () => new Uint8Array(bytes).buffer;
  const each = (array: TypedArray, read: (i: number) => number): TypedArray => {
    for (let i = 0; i < count; i++) array[i] = read(i);
    return array;
  };
  switch (type) {
    case 'float32':
      return new Float32Array(copy());
    case 'float64':
      return new Float64Array(copy());
    case 'int32':
      return new Int32Array(copy());
    case 'uint8':
      return new Uint8Array(bytes);
    case 'bool':
      return each(new Uint8Array(count), (i) => (bytes[i] === 0 ? 0 : 1));
    case 'int8':
      return each(new Int32Array(count), (i) => view.getInt8(i));
    case 'int16':
      return each(new Int32Array(count), (i) => view.getInt16(2 * i, true));
    case 'uint16':
      return each(new Int32Array(count), (i) => view.getUint16(2 * i, true));
    case 'uint32':
      return each(new Float64Array(count), (i) => view.getUint32(4 * i, true));
    case 'int64':
      return each(new Float64Array(count), (i) => Number(view.getBigInt64(8 * i, true)));
    case 'uint64':
      return each(new Float64Array(count), (i) => Number(view.getBigUint64(8 * i, true)));
    case 'float16':
      return each(new Float32Array(count), (i) => fromHalf(view.getUint16(2 * i, true)));
    case 'bfloat16':
      return each(new Float32Array(count), (i) => fromBfloat(view.getUint16(2 * i, true)));
  }
}
