/** Writes small ONNX models for tests: nodes, attributes, initializers and declared values as protocol buffers. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** TensorProto.DataType by name. */
export const TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;
export type TypeName = keyof typeof TYPE;

/** A tensor: its type, shape, and values or raw bytes. */
export interface TensorSpec {
  readonly type?: TypeName;
  readonly dims: readonly number[];
  readonly values?: readonly number[];
  readonly raw?: Uint8Array;
  readonly external?: Readonly<Record<string, string>>;
}

/** An attribute: whole numbers are ints, `{ float: 1 }` forces a float, `{ tensor }` a tensor, `{ graph: true }` an empty graph. */
export type AttributeSpec =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorSpec }
  | { readonly graph: true };

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  readonly name?: string;
  readonly domain?: string;
}

export interface ValueSpec {
  readonly name: string;
  readonly type?: TypeName;
  /** Names and −1 are open axes; undefined: not even the rank is known. */
  readonly shape?: readonly (number | string)[];
}

export interface ModelSpec {
  readonly opset?: number;
  readonly nodes: readonly NodeSpec[];
  readonly inputs?: readonly ValueSpec[];
  readonly outputs: readonly (ValueSpec | string)[];
  readonly initializers?: Readonly<Record<string, TensorSpec>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

type Write = (writer: BinaryWriter) => void;

function message(writer: BinaryWriter, field: number, write: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

const text = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value);
const int = (writer: BinaryWriter, field: number, value: number) =>
  writer.tag(field, WireType.Varint).int64(BigInt(value));
const bytes = (writer: BinaryWriter, field: number, value: Uint8Array) =>
  writer.tag(field, WireType.LengthDelimited).bytes(value);

/** Values as they lie in raw_data. */
export function rawBytes(type: TypeName, values: readonly number[]): Uint8Array {
  const arrays = {
    float32: Float32Array,
    float64: Float64Array,
    int8: Int8Array,
    int16: Int16Array,
    int32: Int32Array,
    uint8: Uint8Array,
    uint16: Uint16Array,
    uint32: Uint32Array,
    bool: Uint8Array,
  };
  if (type === 'int64' || type === 'uint64')
    return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
  return new Uint8Array(new arrays[type as keyof typeof arrays](values).buffer);
}

/** TensorProto. */
export function writeTensor(writer: BinaryWriter, name: string, tensor: TensorSpec): void {
  const type = tensor.type ?? 'float32';
  for (const length of tensor.dims) int(writer, 1, length);
  int(writer, 2, TYPE[type]);
  text(writer, 8, name);
  if (tensor.external !== undefined) {
    for (const [key, value] of Object.entries(tensor.external))
      message(writer, 13, (w) => {
        text(w, 1, key);
        text(w, 2, value);
      });
    int(writer, 14, 1);
  } else bytes(writer, 9, tensor.raw ?? rawBytes(type, tensor.values ?? []));
}

function writeAttribute(writer: BinaryWriter, name: string, value: AttributeSpec): void {
  text(writer, 1, name);
  const float = (given: number) => {
    writer.tag(2, WireType.Bit32).float(given);
    int(writer, 20, 1);
  };
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) float(value);
    else {
      int(writer, 3, value);
      int(writer, 20, 2);
    }
  } else if (typeof value === 'string') {
    text(writer, 4, value);
    int(writer, 20, 3);
  } else if (Array.isArray(value)) {
    for (const one of value) int(writer, 8, one);
    int(writer, 20, 7);
  } else if ('float' in value) float(value.float);
  else if ('floats' in value) {
    for (const one of value.floats) writer.tag(7, WireType.Bit32).float(one);
    int(writer, 20, 6);
  } else if ('tensor' in value) {
    message(writer, 5, (w) => writeTensor(w, '', value.tensor));
    int(writer, 20, 4);
  } else {
    message(writer, 6, () => {});
    int(writer, 20, 5);
  }
}

function writeValue(writer: BinaryWriter, { name, type, shape }: ValueSpec): void {
  text(writer, 1, name);
  if (type === undefined) return;
  message(writer, 2, (outer) =>
    message(outer, 1, (w) => {
      int(w, 1, TYPE[type]);
      if (shape === undefined) return;
      message(w, 2, (dims) => {
        for (const length of shape)
          message(dims, 1, (d) => {
            if (typeof length === 'string') text(d, 2, length);
            else if (length >= 0) int(d, 1, length);
          });
      });
    }),
  );
}

/** The bytes of a model file. */
export function onnxModel(model: ModelSpec): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  int(writer, 1, 8);
  text(writer, 2, 'deconv tests');
  message(writer, 7, (graph) => {
    for (const node of model.nodes)
      message(graph, 1, (w) => {
        for (const input of node.inputs) text(w, 1, input);
        for (const output of node.outputs) text(w, 2, output);
        if (node.name !== undefined) text(w, 3, node.name);
        text(w, 4, node.op);
        for (const [name, value] of Object.entries(node.attributes ?? {}))
          message(w, 5, (a) => writeAttribute(a, name, value));
        if (node.domain !== undefined) text(w, 7, node.domain);
      });
    text(graph, 2, 'test');
    for (const [name, tensor] of Object.entries(model.initializers ?? {}))
      message(graph, 5, (w) => writeTensor(w, name, tensor));
    for (const value of model.inputs ?? []) message(graph, 11, (w) => writeValue(w, value));
    for (const value of model.outputs)
      message(graph, 12, (w) => writeValue(w, typeof value === 'string' ? { name: value } : value));
  });
  message(writer, 8, (w) => {
    text(w, 1, '');
    int(w, 2, model.opset ?? 17);
  });
  for (const [key, value] of Object.entries(model.metadata ?? {}))
    message(writer, 14, (w) => {
      text(w, 1, key);
      text(w, 2, value);
    });
  return Uint8Array.from(writer.finish());
}

/** A model of one node over inputs of these types and shapes. */
export function oneNode(
  op: string,
  inputs: readonly (ValueSpec | '')[],
  attributes: Readonly<Record<string, AttributeSpec>> = {},
  { opset = 17, outputs = ['y'] }: { readonly opset?: number; readonly outputs?: readonly string[] } = {},
): Uint8Array<ArrayBuffer> {
  const given = inputs.filter((value) => value !== '');
  return onnxModel({
    opset,
    nodes: [{ op, inputs: inputs.map((value) => (value === '' ? '' : value.name)), outputs, attributes }],
    inputs: given.map(({ type = 'float32', ...rest }) => ({ type, ...rest })),
    outputs: outputs.filter((name) => name !== ''),
  });
}
