/**
 * mutate: damages a model file. Bytes are flipped, cut, repeated and exchanged anywhere; or the file is taken apart into
 * fields by the structure of onnx.proto, a few of them are given hostile contents (lengths of 2^60, other values' names,
 * other operators, nothing at all), and it is put together again, so that the damage gets past the first look.
 */

/** Messages by kind: which fields hold which messages. @type {Record<string, Record<number, string>>} */
const SCHEMA = {
  Model: { 7: 'Graph', 8: 'Opset' },
  Graph: { 1: 'Node', 5: 'Tensor', 11: 'Value', 12: 'Value', 13: 'Value' },
  Node: { 5: 'Attribute' },
  Attribute: { 5: 'Tensor', 6: 'Graph' },
  Tensor: { 13: 'Entry' },
  Value: { 2: 'Type' },
  Type: { 1: 'TensorType' },
  TensorType: { 2: 'Shape' },
  Shape: { 1: 'Dim' },
};

/**
 * One field: a number, eight or four bytes, bytes, or a message as the list of its fields.
 *
 * @typedef {{ number: number, wire: number, integer?: bigint, bytes?: Uint8Array, fields?: Field[], kind?: string }} Field
 */

/** @param {Uint8Array} bytes @param {number} at @returns {[bigint, number]} */
function varint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [value, at];
  }
}

/** @param {Uint8Array} bytes a well-formed message @param {string} kind @returns {Field[]} */
function parse(bytes, kind) {
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    let key;
    [key, at] = varint(bytes, at);
    const [number, wire] = [Number(key >> 3n), Number(key & 7n)];
    if (wire === 0) {
      let integer;
      [integer, at] = varint(bytes, at);
      fields.push({ number, wire, integer });
      continue;
    }
    let length = wire === 1 ? 8 : 4;
    if (wire === 2) {
      const [long, next] = varint(bytes, at);
      [length, at] = [Number(long), next];
    }
    const content = bytes.subarray(at, at + length);
    at += length;
    const inner = wire === 2 ? SCHEMA[kind]?.[number] : undefined;
    if (inner === undefined) fields.push({ number, wire, bytes: content });
    else fields.push({ number, wire, fields: parse(content, inner), kind: inner });
  }
  return fields;
}

/** @param {bigint} value @param {number[]} out */
function writeVarint(value, out) {
  let left = BigInt.asUintN(64, value);
  while (left > 127n) {
    out.push(Number(left & 127n) | 128);
    left >>= 7n;
  }
  out.push(Number(left));
}

/** @param {Field[]} fields @returns {Uint8Array} */
function write(fields) {
  /** @type {(Uint8Array | number[])[]} */
  const parts = [];
  for (const field of fields) {
    /** @type {number[]} */
    const head = [];
    writeVarint((BigInt(field.number) << 3n) | BigInt(field.wire), head);
    if (field.integer !== undefined) {
      writeVarint(field.integer, head);
      parts.push(head);
      continue;
    }
    const content = field.fields ? write(field.fields) : (field.bytes ?? new Uint8Array());
    if (field.wire === 2) writeVarint(BigInt(content.length), head);
    parts.push(head, content);
  }
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
}

const HOSTILE = [
  0n, 1n, 2n, 3n, 7n, -1n, -2n, 16n, 127n, 255n, 65_536n, 100_000n,
  2n ** 31n - 1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 40n, -(2n ** 40n), 2n ** 53n, 2n ** 60n, 2n ** 63n - 1n, -(2n ** 63n),
]; // biome-ignore format: a list of numbers

const OPERATORS =
  'Conv ConvTranspose MaxPool AveragePool MaxUnpool Resize Upsample Pad Slice Expand Tile Range ConstantOfShape Reshape Gather Concat Split Transpose Flatten Squeeze Unsqueeze Gemm MatMul Softmax ReduceSum ReduceMax Add Pow Mod Where Cast Shape Col2Im DepthToSpace SpaceToDepth BatchNormalization LayerNormalization LRN Clip If Loop Scan Constant Identity NoSuchOperator'.split(
    ' ',
  );
const NAMES = [
  'kernel_shape', 'strides', 'pads', 'dilations', 'group', 'axis', 'axes', 'auto_pad', 'output_shape', 'output_padding',
  'perm', 'to', 'value', 'mode', 'alpha', 'blocksize', 'size', 'ceil_mode', 'scales', 'split',
]; // biome-ignore format: a list of names

/** @typedef {(least: number, most: number) => number} Integer */

/** Every field of a tree with the list that it stands in. @param {Field[]} fields @returns {{ list: Field[], field: Field }[]} */
const all = (fields) =>
  fields.flatMap((field) => [{ list: fields, field }, ...(field.fields ? all(field.fields) : [])]);

/** @param {Uint8Array} original @param {Integer} integer */
function mutateTree(original, integer) {
  const model = parse(original, 'Model');
  const pick = (/** @type {any[]} */ list) => list[integer(0, list.length - 1)];
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  for (let times = integer(1, 3); times > 0; times--) {
    const places = all(model);
    if (places.length === 0) break;
    const { list, field } = /** @type {{ list: Field[], field: Field }} */ (pick(places));
    const at = list.indexOf(field);
    const other = /** @type {{ list: Field[], field: Field }} */ (pick(places)).field;
    const what = integer(0, 9);
    if (what === 0) list.splice(at, 1);
    else if (what === 1) list.splice(at, 0, structuredClone(field));
    else if (what === 2) {
      const swap = integer(0, list.length - 1);
      [list[at], list[swap]] = [list[swap], list[at]];
    } else if (what === 3) field.number = integer(1, 21);
    else if (field.integer !== undefined) field.integer = pick(HOSTILE);
    else if (field.bytes !== undefined && what < 7 && other.bytes !== undefined) field.bytes = other.bytes;
    else if (field.bytes !== undefined && what === 7) field.bytes = encode(pick(OPERATORS));
    else if (field.bytes !== undefined && what === 8) {
      // Packed numbers: dims, ints, int64_data.
      /** @type {number[]} */
      const packed = [];
      for (let i = integer(0, 6); i > 0; i--) writeVarint(pick(HOSTILE), packed);
      field.bytes = Uint8Array.from(packed);
    } else if (field.bytes !== undefined) field.bytes = encode(pick(NAMES));
    else if (field.kind === 'Node' && field.fields) {
      /** An attribute with a hostile number, or numbers. @type {Field[]} */
      const attribute = [{ number: 1, wire: 2, bytes: encode(pick(NAMES)) }];
      const several = integer(0, 1) === 1;
      for (let i = several ? integer(1, 4) : 1; i > 0; i--)
        attribute.push({ number: several ? 8 : 3, wire: 0, integer: pick(HOSTILE) });
      attribute.push({ number: 20, wire: 0, integer: several ? 7n : 2n });
      field.fields.push({ number: 5, wire: 2, fields: attribute, kind: 'Attribute' });
    } else if (other.fields && field.kind === other.kind) field.fields = structuredClone(other.fields);
  }
  return write(model);
}

/** @param {Uint8Array} original @param {Uint8Array} stranger @param {Integer} integer */
function mutateBytes(original, stranger, integer) {
  let bytes = Uint8Array.from(original);
  for (let times = integer(1, 6); times > 0; times--) {
    const at = integer(0, Math.max(0, bytes.length - 1));
    const length = integer(1, 24);
    const what = integer(0, 5);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + length))];
    if (what === 0) bytes = bytes.slice(0, at);
    else if (what === 1) bytes[at] ^= 1 << integer(0, 7);
    else if (what === 2) bytes[at] = integer(0, 255);
    else if (what === 3) bytes = Uint8Array.from([...before, ...after]);
    else if (what === 4)
      bytes = Uint8Array.from([...before, ...bytes.subarray(at, at + length), ...bytes.subarray(at)]);
    else {
      const from = integer(0, Math.max(0, stranger.length - 1));
      bytes = Uint8Array.from([...before, ...stranger.subarray(from, from + length), ...after]);
    }
    if (bytes.length === 0) break;
  }
  return bytes;
}

/**
 * A damaged copy of a file.
 *
 * @param {Uint8Array} original @param {Uint8Array} stranger another file, from which spans are taken @param {Integer} integer
 */
export function mutate(original, stranger, integer) {
  return integer(0, 2) === 0 ? mutateBytes(original, stranger, integer) : mutateTree(original, integer);
}
