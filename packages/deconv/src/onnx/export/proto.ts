/**
 * proto: a model as the bytes of an ONNX file: protocol buffers, fields of (number, wire type, value). The field numbers
 * are those of onnx.proto; {@link ../wire.ts} reads what is written here.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { refuse } from '../../errors.js';
import type { Shape } from '../../shape.js';
import type { DType, TypedArray } from '../../tensor.js';

/** Element types that are written: those of tensors, and what operators need beside them. */
export type FileType = DType | 'int64' | 'bool';

/** TensorProto.DataType. */
export const TYPE_CODES: Readonly<Record<FileType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
};

/** An attribute: a number is an INT, `{ float }` a FLOAT, text a STRING, an array INTS, `{ tensor }` a TENSOR. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly tensor: Initializer };

/** A tensor with its values. */
export interface Initializer {
  readonly name: string;
  readonly type: FileType;
  readonly shape: Shape;
  readonly values: TypedArray | BigInt64Array;
}

/** One operation. */
export interface FileNode {
  readonly name: string;
  readonly op: string;
  /** '' for an optional one left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output: a name in its shape is an axis of any length. */
export interface FileValue {
  readonly name: string;
  readonly type: FileType;
  readonly shape: readonly (number | string)[];
}

/** All that a file says. */
export interface FileModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: string;
  readonly name: string;
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
  readonly nodes: readonly FileNode[];
  readonly initializers: readonly Initializer[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Protocol buffers end here. */
const MOST_BYTES = 2 ** 31 - 1;

type Write = (writer: BinaryWriter) => void;

const text = (w: BinaryWriter, field: number, value: string) =>
  w.tag(field, WireType.LengthDelimited).string(value);
const int = (w: BinaryWriter, field: number, value: number) => w.tag(field, WireType.Varint).int64(value);
const bytes = (w: BinaryWriter, field: number, value: Uint8Array) =>
  w.tag(field, WireType.LengthDelimited).bytes(value);
function message(w: BinaryWriter, field: number, write: Write): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9. */
function writeTensor(w: BinaryWriter, { name, type, shape, values }: Initializer): void {
  for (const length of shape) int(w, 1, length);
  int(w, 2, TYPE_CODES[type]);
  text(w, 8, name);
  bytes(w, 9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** AttributeProto: name 1, f 2, i 3, s 4, t 5, ints 8, type 20. */
function writeAttribute(w: BinaryWriter, name: string, value: Attribute): void {
  text(w, 1, name);
  if (typeof value === 'number') {
    int(w, 3, value);
    int(w, 20, 2);
  } else if (typeof value === 'string') {
    text(w, 4, value);
    int(w, 20, 3);
  } else if ('float' in value) {
    w.tag(2, WireType.Bit32).float(value.float);
    int(w, 20, 1);
  } else if ('tensor' in value) {
    message(w, 5, (t) => writeTensor(t, value.tensor));
    int(w, 20, 4);
  } else {
    for (const one of value) int(w, 8, one);
    int(w, 20, 7);
  }
}

/** NodeProto: input 1, output 2, name 3, op_type 4, attribute 5. */
function writeNode(w: BinaryWriter, node: FileNode): void {
  for (const input of node.inputs) text(w, 1, input);
  for (const output of node.outputs) text(w, 2, output);
  text(w, 3, node.name);
  text(w, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes))
    message(w, 5, (attribute) => writeAttribute(attribute, name, value));
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1, dim_param 2 } } } }. */
function writeValue(w: BinaryWriter, { name, type, shape }: FileValue): void {
  text(w, 1, name);
  message(w, 2, (kind) =>
    message(kind, 1, (tensor) => {
      int(tensor, 1, TYPE_CODES[type]);
      message(tensor, 2, (dims) => {
        for (const length of shape)
          message(dims, 1, (dim) => {
            if (typeof length === 'string') text(dim, 2, length);
            else int(dim, 1, length);
          });
      });
    }),
  );
}

/**
 * ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8, metadata_props 14. GraphProto: node 1, name 2,
 * initializer 5, input 11, output 12.
 */
export function writeModel(model: FileModel): Uint8Array<ArrayBuffer> {
  const weights = model.initializers.reduce((sum, { values }) => sum + values.byteLength, 0);
  if (weights > MOST_BYTES - 2 ** 20) {
    refuse('exportOnnx', 'module', `its parameters take ${weights} bytes, an ONNX file holds ${MOST_BYTES}`);
  }
  const w = new BinaryWriter();
  int(w, 1, model.irVersion);
  text(w, 2, model.producer);
  message(w, 7, (graph) => {
    for (const node of model.nodes) message(graph, 1, (n) => writeNode(n, node));
    text(graph, 2, model.name);
    for (const initializer of model.initializers) message(graph, 5, (t) => writeTensor(t, initializer));
    for (const input of model.inputs) message(graph, 11, (v) => writeValue(v, input));
    for (const output of model.outputs) message(graph, 12, (v) => writeValue(v, output));
  });
  message(w, 8, (opset) => {
    text(opset, 1, '');
    int(opset, 2, model.opset);
  });
  for (const [key, value] of Object.entries(model.metadata))
    message(w, 14, (entry) => {
      text(entry, 1, key);
      text(entry, 2, value);
    });
  return w.finish();
}
