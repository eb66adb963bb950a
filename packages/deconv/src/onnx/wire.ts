/**
 * wire: the bytes of a model file as plain records. ONNX files are protocol buffers: fields of (number, wire type,
 * value), where a message is a field that holds fields. Only what deconv uses is read; the rest is skipped. The field
 * numbers are those of onnx.proto, IR version 13.
 *
 * Lengths are held against the bytes that are there before anything is taken, nothing here recurses (subgraphs are noted,
 * not read), and what is allocated is in proportion to the bytes, so a damaged or hostile file costs an error. Refuses
 * truncated messages, wrong wire types and groups.
 */
import { BinaryReader, getTextEncoding } from '@bufbuild/protobuf/wire';
import { refuse } from '../errors.js';

/** A tensor as it is stored, its values in one of several places. */
export interface TensorRecord {
  name: string;
  dims: number[];
  dataType: number;
  raw: Uint8Array | undefined;
  floats: number[];
  doubles: number[];
  /** int32_data, int64_data or uint64_data. */
  integers: number[];
  /** Present when the values lie in another file: location, offset, length. */
  external: Map<string, string> | undefined;
}

/** What an attribute can hold; graphs and the like are noted by kind only. */
export type AttributeValue =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: TensorRecord }
  | { readonly kind: 'graph' | 'other' };

/** One node as it is stored. */
export interface NodeRecord {
  name: string;
  op: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, AttributeValue>;
}

/** One axis: a length, a name, or nothing known. */
export type Dimension = number | string | undefined;

/** A declared value: of a graph's input or output. */
export interface ValueRecord {
  name: string;
  /** TensorProto.DataType; undefined when the value is no tensor, which `kind` then names. */
  dataType: number | undefined;
  shape: Dimension[] | undefined;
  kind: 'tensor' | 'sequence' | 'map' | 'sparse tensor' | 'optional' | 'unknown';
}

/** The graph of a model. */
export interface GraphRecord {
  name: string;
  nodes: NodeRecord[];
  initializers: TensorRecord[];
  sparseInitializers: number;
  inputs: ValueRecord[];
  outputs: ValueRecord[];
}

/** A model file. */
export interface ModelRecord {
  irVersion: number;
  producer: string;
  opsets: Map<string, number>;
  graph: GraphRecord | undefined;
  /** Names of functions that the model defines for itself. */
  functions: number;
  metadata: Map<string, string>;
}

type Field = (reader: BinaryReader, wireType: number) => void;
type Fields = Readonly<Record<number, Field>>;

const VARINT = 0;
const BIT64 = 1;
const LENGTH = 2;
const BIT32 = 5;

function expectWire(wireType: number, wanted: number): void {
  if (wireType !== wanted) throw new RangeError(`wire type ${wireType} where ${wanted} belongs`);
}

/** Fixed-width reads may have stepped beyond the end. */
function checkEnd(reader: BinaryReader): void {
  if (reader.pos > reader.len) throw new RangeError('premature EOF');
}

/** Runs through the fields of a message. */
function readFields(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field !== undefined) field(reader, wireType);
    else if (wireType === 3 || wireType === 4) throw new RangeError('groups are not used in ONNX');
    else reader.skip(wireType);
    checkEnd(reader);
  }
}

const bytes =
  (take: (value: Uint8Array) => void): Field =>
  (reader, wireType) => {
    expectWire(wireType, LENGTH);
    take(reader.bytes());
  };

const text =
  (take: (value: string) => void): Field =>
  (reader, wireType) => {
    expectWire(wireType, LENGTH);
    take(reader.string());
  };

const message = <T>(read: (value: Uint8Array) => T, take: (value: T) => void): Field =>
  bytes((value) => take(read(value)));

/** One number, or many packed into one field. */
const numbers =
  (wire: number, read: (reader: BinaryReader) => number, take: (value: number) => void): Field =>
  (reader, wireType) => {
    if (wireType === wire) return take(read(reader));
    expectWire(wireType, LENGTH);
    const packed = new BinaryReader(reader.bytes());
    while (packed.pos < packed.len) take(read(packed));
    checkEnd(packed);
  };

// Beyond 2⁵³ the number is the nearest; such values only ever mean "to the end".
const integers = (take: (value: number) => void) => numbers(VARINT, (r) => Number(r.int64()), take);
const unsigned = (take: (value: number) => void) => numbers(VARINT, (r) => Number(r.uint64()), take);
const floats = (take: (value: number) => void) => numbers(BIT32, (r) => r.float(), take);
const doubles = (take: (value: number) => void) => numbers(BIT64, (r) => r.double(), take);

/** StringStringEntryProto into a map. */
const entry = (into: Map<string, string>): Field =>
  bytes((value) => {
    let [key, content] = ['', ''];
    readFields(value, {
      1: text((v) => {
        key = v;
      }),
      2: text((v) => {
        content = v;
      }),
    });
    into.set(key, content);
  });

const EXTERNAL = 1;

/** TensorProto. */
export function readTensorRecord(source: Uint8Array): TensorRecord {
  const tensor: TensorRecord = {
    name: '',
    dims: [],
    dataType: 0,
    raw: undefined,
    floats: [],
    doubles: [],
    integers: [],
    external: undefined,
  };
  const external = new Map<string, string>();
  let location = 0;
  readFields(source, {
    1: integers((v) => tensor.dims.push(v)),
    2: integers((v) => {
      tensor.dataType = v;
    }),
    4: floats((v) => tensor.floats.push(v)),
    5: integers((v) => tensor.integers.push(v)),
    7: integers((v) => tensor.integers.push(v)),
    8: text((v) => {
      tensor.name = v;
    }),
    9: bytes((v) => {
      tensor.raw = v;
    }),
    10: doubles((v) => tensor.doubles.push(v)),
    11: unsigned((v) => tensor.integers.push(v)),
    13: entry(external),
    14: integers((v) => {
      location = v;
    }),
  });
  if (location === EXTERNAL) tensor.external = external;
  return tensor;
}

const KINDS = ['', 'float', 'int', 'string', 'tensor', 'graph', 'floats', 'ints', 'strings'] as const;

/** AttributeProto. Files of IR version 1 do not say the type; then what is filled tells. */
function readAttribute(source: Uint8Array): [string, AttributeValue] {
  let name = '';
  let type = 0;
  let found = 0;
  let number = 0;
  let string = '';
  let tensor: TensorRecord | undefined;
  const list: number[] = [];
  const strings: string[] = [];
  const { decodeUtf8 } = getTextEncoding();
  readFields(source, {
    1: text((v) => {
      name = v;
    }),
    2: floats((v) => {
      [number, found] = [v, 1];
    }),
    3: integers((v) => {
      [number, found] = [v, 2];
    }),
    4: bytes((v) => {
      [string, found] = [decodeUtf8(v), 3];
    }),
    5: message(readTensorRecord, (v) => {
      [tensor, found] = [v, 4];
    }),
    6: bytes(() => {
      found = 5;
    }),
    7: floats((v) => {
      list.push(v);
      found = 6;
    }),
    8: integers((v) => {
      list.push(v);
      found = 7;
    }),
    9: bytes((v) => {
      strings.push(decodeUtf8(v));
      found = 8;
    }),
    11: bytes(() => {
      found = 5;
    }),
    20: integers((v) => {
      type = v;
    }),
  });
  if (type === 0) type = found;
  const kind = KINDS[type];
  if (kind === 'float' || kind === 'int') return [name, { kind, value: number }];
  if (kind === 'string') return [name, { kind, value: string }];
  if (kind === 'floats' || kind === 'ints') return [name, { kind, value: list }];
  if (kind === 'strings') return [name, { kind, value: strings }];
  if (kind === 'tensor' && tensor !== undefined) return [name, { kind, value: tensor }];
  return [name, { kind: type === 5 || type === 10 ? 'graph' : 'other' }];
}

function readNode(source: Uint8Array): NodeRecord {
  const node: NodeRecord = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: new Map() };
  readFields(source, {
    1: text((v) => node.inputs.push(v)),
    2: text((v) => node.outputs.push(v)),
    3: text((v) => {
      node.name = v;
    }),
    4: text((v) => {
      node.op = v;
    }),
    5: message(readAttribute, ([name, value]) => node.attributes.set(name, value)),
    7: text((v) => {
      node.domain = v;
    }),
  });
  return node;
}

/** TensorShapeProto. */
function readShape(source: Uint8Array): Dimension[] {
  const shape: Dimension[] = [];
  readFields(source, {
    1: bytes((dimension) => {
      let length: Dimension;
      readFields(dimension, {
        1: integers((v) => {
          length = v;
        }),
        2: text((v) => {
          if (v !== '') length = v;
        }),
      });
      shape.push(length);
    }),
  });
  return shape;
}

function readValue(source: Uint8Array): ValueRecord {
  const value: ValueRecord = { name: '', dataType: undefined, shape: undefined, kind: 'unknown' };
  const is = (kind: ValueRecord['kind']) =>
    bytes(() => {
      value.kind = kind;
    });
  readFields(source, {
    1: text((v) => {
      value.name = v;
    }),
    2: bytes((type) =>
      readFields(type, {
        1: bytes((tensor) => {
          value.kind = 'tensor';
          readFields(tensor, {
            1: integers((v) => {
              value.dataType = v;
            }),
            2: message(readShape, (v) => {
              value.shape = v;
            }),
          });
        }),
        4: is('sequence'),
        5: is('map'),
        8: is('sparse tensor'),
        9: is('optional'),
      }),
    ),
  });
  return value;
}

function readGraph(source: Uint8Array): GraphRecord {
  const graph: GraphRecord = {
    name: '',
    nodes: [],
    initializers: [],
    sparseInitializers: 0,
    inputs: [],
    outputs: [],
  };
  readFields(source, {
    1: message(readNode, (v) => graph.nodes.push(v)),
    2: text((v) => {
      graph.name = v;
    }),
    5: message(readTensorRecord, (v) => graph.initializers.push(v)),
    11: message(readValue, (v) => graph.inputs.push(v)),
    12: message(readValue, (v) => graph.outputs.push(v)),
    15: bytes(() => {
      graph.sparseInitializers++;
    }),
  });
  return graph;
}

function readOpset(source: Uint8Array): [string, number] {
  let [domain, version] = ['', 0];
  readFields(source, {
    1: text((v) => {
      domain = v;
    }),
    2: integers((v) => {
      version = v;
    }),
  });
  return [domain === 'ai.onnx' ? '' : domain, version];
}

/** A model file's bytes as records. Byte arrays in them are views of `source`. */
export function readModelRecord(source: Uint8Array): ModelRecord {
  const model: ModelRecord = {
    irVersion: 0,
    producer: '',
    opsets: new Map(),
    graph: undefined,
    functions: 0,
    metadata: new Map(),
  };
  try {
    readFields(source, {
      1: integers((v) => {
        model.irVersion = v;
      }),
      2: text((v) => {
        model.producer = v;
      }),
      7: message(readGraph, (v) => {
        model.graph = v;
      }),
      8: message(readOpset, ([domain, version]) => model.opsets.set(domain, version)),
      14: entry(model.metadata),
      25: bytes(() => {
        model.functions++;
      }),
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    refuse(
      'loadOnnx',
      'source',
      `the bytes are no whole ONNX model: ${why}`,
      'is the file complete? Git LFS leaves small text files in place of large ones',
    );
  }
  return model;
}
