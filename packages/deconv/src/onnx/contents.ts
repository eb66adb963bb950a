/**
 * contents: what stands in an ONNX file, as it stands there: nodes with their attributes, weights by name. Nothing is
 * planned, so files that deconv cannot run can be looked at too. And the way back: the same file with other weights.
 *
 * Refuses damaged files, and weights that do not fit.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { checkOptions, nearestName, refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { sameShape, showShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { amongBytes, besideFile, readModelFile } from './files.js';
import { initializerValues, storedValues } from './initializers.js';
import type { LoadOnnxOptions } from './load.js';
import { type ElementType, elementType, unsupportedName } from './types.js';
import {
  type AttributeValue,
  type NodeRecord,
  readModelRecord,
  readTensorRecord,
  type ValueRecord,
} from './wire.js';

/** An attribute as it stands in the file; subgraphs and the like as undefined. */
export type OnnxAttribute = number | string | readonly number[] | readonly string[] | Tensor | undefined;

/** A node as it stands in the file. */
export interface OnnxNode {
  /** Its name, or that of its first output. */
  readonly name: string;
  readonly op: string;
  /** '' for those of the standard. */
  readonly domain: string;
  /** Names of values; '' for an optional one left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output as it is declared. */
export interface OnnxDeclaration {
  readonly name: string;
  /** Axis lengths; a name or −1 where it is open; undefined where not even the rank is told. */
  readonly shape: readonly (number | string)[] | undefined;
  readonly elementType: string;
}

/** What {@link readOnnx} returns. */
export interface OnnxContents {
  readonly opset: number;
  readonly producer: string;
  readonly name: string;
  readonly inputs: readonly OnnxDeclaration[];
  readonly outputs: readonly OnnxDeclaration[];
  readonly nodes: readonly OnnxNode[];
  /** Weights and other constants, by name: float16 and bfloat16 as float32. */
  readonly initializers: Readonly<Record<string, Tensor>>;
  /** Element type of each initializer in the file. */
  readonly elementTypes: Readonly<Record<string, ElementType>>;
  readonly metadata: Readonly<Record<string, string>>;
}

function attributeOf(attribute: AttributeValue, where: string): OnnxAttribute {
  if (!('value' in attribute)) return undefined;
  if (attribute.kind !== 'tensor') return attribute.value;
  if (elementType(attribute.value.dataType) === undefined) return undefined;
  const { shape, values } = storedValues(attribute.value, where);
  return fromValues(values, shape);
}

function nodeOf({ name, op, domain, inputs, outputs, attributes }: NodeRecord): OnnxNode {
  const called = name || outputs[0] || '';
  const read = Array.from(attributes, ([key, value]) => [key, attributeOf(value, `${op} node '${called}'`)]);
  return { name: called, op, domain, inputs, outputs, attributes: Object.fromEntries(read) };
}

function declarationOf({ name, dataType = 0, shape, kind }: ValueRecord): OnnxDeclaration {
  return {
    name,
    shape: shape?.map((length) => length ?? -1),
    elementType: kind === 'tensor' ? (elementType(dataType) ?? unsupportedName(dataType)) : kind,
  };
}

/**
 * Reads an ONNX file without planning it: its nodes and weights, whatever its operators are.
 *
 * @param source the bytes of the file, or in Node its path
 * @param options as for {@link loadOnnx}
 * @throws DeconvError when the file is damaged
 * @example
 * ```ts
 * import { readOnnx } from 'deconv/onnx';
 * const { nodes, initializers } = await readOnnx('test/fixtures/onnx/dcgan/model.onnx');
 * console.log(nodes[0].op, nodes[0].attributes['strides']); // ConvTranspose [ 1, 1 ]
 * console.log(initializers[nodes[0].inputs[1]].shape); // [ 32, 64, 4, 4 ]
 * ```
 */
export async function readOnnx(
  source: Uint8Array | ArrayBuffer | string,
  options: LoadOnnxOptions = {},
): Promise<OnnxContents> {
  const op = 'readOnnx';
  checkOptions(op, options, ['externalData']);
  const path = typeof source === 'string' ? source : undefined;
  const bytes = typeof source === 'string' ? await readModelFile(source) : bytesOf(op, source);
  const { opsets, producer, graph, metadata } = readModelRecord(bytes);
  if (graph === undefined) refuse(op, 'source', 'the bytes hold no ONNX graph');
  const external =
    path === undefined || options.externalData !== undefined
      ? amongBytes(options.externalData)
      : besideFile(path);
  const initializers: Record<string, Tensor> = Object.create(null);
  const elementTypes: Record<string, ElementType> = Object.create(null);
  for (const record of graph.initializers) {
    const { type, shape, values } = await initializerValues(
      record,
      external,
      path === undefined ? 'lent' : 'ours',
    );
    initializers[record.name] = fromValues(values, shape);
    elementTypes[record.name] = type;
  }
  const stored = new Set(graph.initializers.map(({ name }) => name));
  return {
    opset: opsets.get('') ?? 0,
    producer,
    name: graph.name,
    // Old files list their weights as inputs, too.
    inputs: graph.inputs.filter(({ name }) => !stored.has(name)).map(declarationOf),
    outputs: graph.outputs.map(declarationOf),
    nodes: graph.nodes.map(nodeOf),
    initializers,
    elementTypes,
    metadata: Object.fromEntries(metadata),
  };
}

function bytesOf(op: string, source: unknown): Uint8Array {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  return refuse(op, 'source', `source must be a Uint8Array, an ArrayBuffer or a path, got ${show(source)}`);
}

/** Field numbers: of the graph in a model, of initializers in a graph, of what says where a tensor's values are. */
const GRAPH = 7;
const INITIALIZER = 5;
const VALUE_FIELDS = new Set([4, 5, 7, 10, 11, 13, 14]);
const RAW_DATA = 9;

/** A message copied field by field, but for what `change` makes anew from a field's number and bytes. */
function rewritten(
  source: Uint8Array,
  change: (field: number, bytes: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  const [reader, writer] = [new BinaryReader(source), new BinaryWriter()];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wire] = reader.tag();
    if (wire === WireType.LengthDelimited) {
      const old = reader.bytes();
      const made = change(field, old);
      if (made !== undefined) {
        writer.tag(field, WireType.LengthDelimited).bytes(made);
        continue;
      }
    } else reader.skip(wire);
    writer.raw(source.subarray(start, reader.pos));
  }
  return writer.finish();
}

/** TensorProto with other values of its type, in raw_data. */
function tensorWith(source: Uint8Array, { data }: Tensor): Uint8Array {
  const [reader, writer] = [new BinaryReader(source), new BinaryWriter()];
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let written = false;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wire] = reader.tag();
    reader.skip(wire);
    // In its place, so that the same values make the same bytes.
    if (field === RAW_DATA) writer.tag(RAW_DATA, WireType.LengthDelimited).bytes(raw);
    else if (!VALUE_FIELDS.has(field)) writer.raw(source.subarray(start, reader.pos));
    written ||= field === RAW_DATA;
  }
  if (!written) writer.tag(RAW_DATA, WireType.LengthDelimited).bytes(raw);
  return writer.finish();
}

/**
 * The same ONNX file with other weights; all else stays as it is, byte for byte.
 *
 * @param bytes the file
 * @param weights by the names that they have in the file; what is not named stays
 * @returns the bytes of the new file; the weights lie in it, also where the old one kept them beside it
 * @throws DeconvError for names that the file has not, other shapes, and number types other than the file's
 * @example
 * ```ts
 * import { ones } from 'deconv';
 * import { Conv2d } from 'deconv/nn';
 * import { exportOnnx, readOnnx, replaceOnnxWeights } from 'deconv/onnx';
 * const file = exportOnnx(new Conv2d(1, 1, { kernelSize: 2 }), ones([1, 1, 4, 4]));
 * const other = replaceOnnxWeights(file, { weight: ones([1, 1, 2, 2]) });
 * console.log((await readOnnx(other)).initializers['weight'].data); // Float32Array(4) [ 1, 1, 1, 1 ]
 * ```
 */
export function replaceOnnxWeights(bytes: Uint8Array, weights: Readonly<Record<string, Tensor>>): Uint8Array {
  const op = 'replaceOnnxWeights';
  const source = bytesOf(op, bytes);
  const { graph } = readModelRecord(source);
  const known = new Map((graph?.initializers ?? []).map((record) => [record.name, record]));
  for (const [name, tensor] of Object.entries(weights)) {
    const record = known.get(name);
    if (record === undefined) {
      const near = nearestName(name, [...known.keys()].slice(0, 5000));
      refuse(op, 'weights', `the file has no weight '${name}'`, near && `did you mean '${near}'?`);
    }
    if (!(tensor instanceof Tensor) || !sameShape(tensor.shape, record.dims)) {
      const got = tensor instanceof Tensor ? showShape(tensor.shape) : show(tensor);
      refuse(op, 'weights', `weight '${name}' must be ${showShape(record.dims)}, got ${got}`);
    }
    const type = elementType(record.dataType) ?? unsupportedName(record.dataType);
    if (type !== tensor.dtype || (type !== 'float32' && type !== 'float64'))
      refuse(op, 'weights', `weight '${name}' is ${type} in the file, got ${tensor.dtype}`);
  }
  const withWeights = (field: number, old: Uint8Array) => {
    if (field !== INITIALIZER) return undefined;
    const { name } = readTensorRecord(old);
    return Object.hasOwn(weights, name) ? tensorWith(old, weights[name]) : undefined;
  };
  return rewritten(source, (field, old) => (field === GRAPH ? rewritten(old, withWeights) : undefined));
}
