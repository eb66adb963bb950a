/**
 * initializers: stored tensors as values. A TensorProto keeps its values in raw bytes, in one of several typed lists, or
 * in another file; whichever it is, their number is held against the shape before an array is made.
 *
 * Refuses element types that deconv has not, shapes with negative axes, and values that do not fill the shape.
 */
import { refuse } from '../errors.js';
import { type Shape, showShape, sizeOf } from '../shape.js';
import { allocate, type Recipe, type TypedArray } from '../tensor.js';
import {
  bytesPerElement,
  decodeElements,
  type ElementType,
  elementType,
  fromBfloat,
  fromHalf,
  heldAs,
  roundingOf,
  unsupportedName,
} from './types.js';
import type { TensorRecord } from './wire.js';

/** Elements that one value may have. A shape in a damaged file must not ask for all memory there is. */
export const MOST_ELEMENTS = 2 ** 28;

/** Values with their type and shape. */
export interface StoredValues<Values = TypedArray> {
  readonly type: ElementType;
  readonly shape: Shape;
  readonly values: Values;
}

/**
 * Whose the bytes of a model are: ours, which nobody else reads, and we no second time; kept as they are by their owner as long as the
 * values are used; or lent for now.
 */
export type Holding = 'ours' | 'kept' | 'lent';

/** Values of so many bytes or more are made from bytes that are kept whenever they are wanted: most are only packed, once. */
export const KEPT_FROM = 256 * 1024;

/** Bytes of another file, to be kept: `offset` and `length` as the model says, undefined for all. */
export type ReadExternal = (
  location: string,
  offset: number,
  length: number | undefined,
) => Uint8Array | Promise<Uint8Array>;

/** Refuses a shape that is none, or larger than {@link MOST_ELEMENTS}. */
export function checkDims(where: string, dims: readonly number[]): void {
  const bad = dims.find((length) => !Number.isSafeInteger(length) || length < 0);
  if (bad !== undefined) refuse(where, 'dims', `shape ${showShape(dims)} has an axis of ${bad}`);
  if (sizeOf(dims) > MOST_ELEMENTS) {
    refuse(where, 'dims', `shape ${showShape(dims)} has ${sizeOf(dims)} elements, more than 2^28`);
  }
}

function readType(where: string, code: number): ElementType {
  return (
    elementType(code) ??
    refuse(where, 'data_type', `element type ${unsupportedName(code)} is not supported`, undefined)
  );
}

/** The values of a stored tensor whose bytes are in the model, and lent. */
export function storedValues(record: TensorRecord, where: string): StoredValues {
  const type = readType(where, record.dataType);
  checkDims(where, record.dims);
  if (record.external !== undefined)
    refuse(where, 'external_data', 'values in another file are for initializers only');
  const count = sizeOf(record.dims);
  return { type, shape: record.dims, values: valuesOf(record, type, count, where, false) };
}

/** Values that are decoded when they are wanted. */
function recipeOf(kept: Uint8Array, count: number, where: string): Recipe {
  const bytes = (): Uint8Array => {
    // An array whose buffer went elsewhere is empty.
    if (kept.length === 0)
      refuse(
        where,
        'source',
        "the model's bytes are gone: their buffer was transferred while the model is in use",
        'load a copy of them',
      );
    return kept;
  };
  return {
    dtype: 'float32',
    length: count,
    get bytes() {
      return bytes();
    },
    make: () => decodeElements('float32', bytes(), count),
  };
}

function valuesOf(
  record: TensorRecord,
  type: ElementType,
  count: number,
  where: string,
  ours: boolean,
): TypedArray {
  if (record.raw !== undefined) return fromBytes(record.raw, type, count, where, ours);
  const list =
    record.floats.length > 0 ? record.floats : record.doubles.length > 0 ? record.doubles : record.integers;
  if (list.length !== count) {
    refuse(
      where,
      'dims',
      `shape ${showShape(record.dims)} holds ${count} values, the file has ${list.length}`,
    );
  }
  const values = allocate(heldAs(type), count);
  // Half precision is stored as bits in int32_data.
  const bits = { float16: fromHalf, bfloat16: fromBfloat }[type as string];
  const read = bits ?? (heldAs(type) === type ? undefined : roundingOf(type));
  for (let i = 0; i < count; i++) values[i] = read === undefined ? list[i] : read(list[i]);
  return values;
}

/**
 * The bytes of floats as an array where they lie, in a file that is ours. An array begins at a multiple of four: they move back by up to
 * three bytes, over their own length, which stands before them and from 128 bytes on takes two, and the byte before that, which says
 * that they are values. They can be read so once.
 */
function inPlace(bytes: Uint8Array): Float32Array | undefined {
  const back = bytes.byteOffset % 4;
  if (bytes.length < 128) return undefined;
  const start = bytes.byteOffset - back;
  if (back > 0) new Uint8Array(bytes.buffer, start, bytes.length + back).copyWithin(0, back);
  return new Float32Array(bytes.buffer, start, bytes.length / 4);
}

function fromBytes(
  bytes: Uint8Array,
  type: ElementType,
  count: number,
  where: string,
  ours: boolean,
): TypedArray {
  const wanted = count * bytesPerElement(type);
  if (bytes.length !== wanted) {
    refuse(where, 'dims', `${count} values of ${type} take ${wanted} bytes, the file has ${bytes.length}`);
  }
  return (ours && type === 'float32' && inPlace(bytes)) || decodeElements(type, bytes, count);
}

/** The values of an initializer, from the model's bytes or from another file's; made later only where they are kept. */
export async function initializerValues<How extends Holding>(
  record: TensorRecord,
  external: ReadExternal,
  holding: How,
): Promise<StoredValues<How extends 'kept' ? TypedArray | Recipe : TypedArray>>;
export async function initializerValues(
  record: TensorRecord,
  external: ReadExternal,
  holding: Holding,
): Promise<StoredValues<TypedArray | Recipe>> {
  const where = `initializer '${record.name}'`;
  const type = readType(where, record.dataType);
  checkDims(where, record.dims);
  const count = sizeOf(record.dims);
  if (record.external === undefined) {
    const { raw, dims: shape } = record;
    const later =
      holding === 'kept' && type === 'float32' && raw?.length === 4 * count && raw.length >= KEPT_FROM;
    const values = later
      ? recipeOf(raw, count, where)
      : valuesOf(record, type, count, where, holding === 'ours');
    return { type, shape, values };
  }
  const location = record.external.get('location') ?? refuse(where, 'external_data', 'no location is given');
  const number = (key: string): number | undefined => {
    const said = record.external?.get(key);
    if (said === undefined) return undefined;
    const value = Number(said);
    if (!Number.isSafeInteger(value) || value < 0)
      refuse(where, 'external_data', `${key} must be an integer ≥ 0, got '${said}'`);
    return value;
  };
  const wanted = count * bytesPerElement(type);
  const length = number('length') ?? wanted;
  if (length !== wanted) {
    refuse(where, 'external_data', `length ${length} must be ${wanted} for ${count} values of ${type}`);
  }
  const bytes = await external(location, number('offset') ?? 0, length);
  return { type, shape: record.dims, values: fromBytes(bytes, type, count, where, true) };
}
