/**
 * graph: what a model computes, checked: nodes in an order in which each comes after all it needs, every value made by
 * exactly one place, every operator one that deconv has.
 *
 * Refuses, by name: missing operators (all of them at once), control flow, values that nothing makes or that two nodes
 * make, cycles, inputs that are no tensors, and operator sets outside 7 to 27.
 */
import { nearestName, refuse } from '../errors.js';
import { type GraphNode, nodeLabel, type Operator } from './node.js';
import { type ElementType, elementType, unsupportedName } from './types.js';
import type { Dimension, GraphRecord, ModelRecord, NodeRecord, ValueRecord } from './wire.js';

/** An input or output of the graph, as declared. */
export interface GraphValue {
  readonly name: string;
  /** undefined for an output whose type is not declared. */
  readonly type: ElementType | undefined;
  /** undefined when not even the rank is declared. */
  readonly shape: readonly Dimension[] | undefined;
}

/** The graph of a model, without the values of its initializers. */
export interface Graph {
  readonly name: string;
  readonly opset: number;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodes: readonly GraphNode[];
}

const OP = 'loadOnnx';
const OLDEST = 7;
const NEWEST = 27;

const shorten = (names: readonly string[], most = 8): string =>
  names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;

function checkOpset(model: ModelRecord): number {
  const opset = model.opsets.get('');
  if (opset === undefined)
    return refuse(OP, 'opset_import', 'the model does not say which operator set it is written in');
  if (opset < OLDEST || opset > NEWEST) {
    refuse(
      OP,
      'opset_import',
      `the model is written in operator set ${opset}, deconv knows ${OLDEST} to ${NEWEST}`,
      'convert it with onnx.version_converter, or export it with opset_version=17',
    );
  }
  return opset;
}

const isDefault = (domain: string) => domain === '' || domain === 'ai.onnx';

/** Refuses operators that are not there, all of them in one message. */
function checkOperators(nodes: readonly NodeRecord[], operators: ReadonlyMap<string, Operator>): void {
  const missing = new Map<string, string[]>();
  for (const node of nodes) {
    if (isDefault(node.domain) && operators.has(node.op)) continue;
    const name = isDefault(node.domain) ? node.op : `${node.domain}.${node.op}`;
    const where = missing.get(name) ?? [];
    where.push(`'${node.name || node.outputs[0] || ''}'`);
    missing.set(name, where);
  }
  if (missing.size === 0) return;
  const list = [...missing].map(([op, where]) => `${op} (node ${shorten(where, 3)})`);
  const control = ['If', 'Loop', 'Scan'].filter((op) => missing.has(op));
  const misspelt = [...missing.keys()].find(
    (op) => nearestName(op, [...operators.keys()])?.toLowerCase() === op.toLowerCase(),
  );
  const foreign = [...missing.keys()].some((op) => op.includes('.'));
  const hint =
    control.length > 0
      ? 'control flow cannot be planned: export the model with fixed shapes, or simplify it with onnxsim'
      : misspelt !== undefined
        ? `did you mean ${nearestName(misspelt, [...operators.keys()])}?`
        : foreign
          ? 'operators outside the standard come from an optimiser: export the model without it'
          : 'export the model with other layers, or cut the graph before these nodes';
  refuse(
    OP,
    'operators',
    `${missing.size} operator${missing.size === 1 ? '' : 's'} not supported: ${shorten(list)}`,
    hint,
  );
}

function readDeclared(value: ValueRecord, needed: boolean): GraphValue {
  if (value.kind !== 'tensor' && !(value.kind === 'unknown' && !needed))
    refuse(OP, value.name, `'${value.name}' is of kind ${value.kind}, only tensors go in and out`);
  const { dataType, shape } = value;
  const type = dataType === undefined || dataType === 0 ? undefined : elementType(dataType);
  if (type === undefined && (needed || (dataType ?? 0) !== 0)) {
    refuse(
      OP,
      value.name,
      `'${value.name}' has element type ${unsupportedName(dataType ?? 0)}, which is not supported`,
    );
  }
  // Lengths of 0 and below are how some exporters say that they do not know.
  const known = shape?.map((length) => (typeof length === 'number' && length < 0 ? undefined : length));
  return { name: value.name, type, shape: known };
}

/** Refuses an attribute that the operator does not have, and subgraphs. */
function checkNode(node: NodeRecord, operator: Operator, name: string): void {
  const where = nodeLabel(node.op, name);
  for (const [key, { kind }] of node.attributes) {
    if (!operator.attributes.includes(key)) {
      const near = nearestName(key, operator.attributes);
      refuse(
        where,
        key,
        `unknown attribute '${key}'`,
        near === undefined ? undefined : `did you mean '${near}'?`,
      );
    }
    if (kind === 'graph') refuse(where, key, `attribute '${key}' holds a subgraph, which is not supported`);
  }
  const [least, most] = operator.inputs;
  const given = node.inputs.length;
  if (given < least || given > most)
    refuse(where, 'inputs', `needs ${least === most ? least : `${least} to ${most}`} inputs, has ${given}`);
  for (let i = 0; i < least; i++)
    if (node.inputs[i] === '') refuse(where, 'inputs', `input ${i} is left out but not optional`);
  if (node.outputs.length > operator.outputs || node.outputs.length === 0)
    refuse(where, 'outputs', `has ${node.outputs.length} outputs, must be 1 to ${operator.outputs}`);
}

/** The nodes, each after those that make its inputs (Kahn's algorithm; the file's order where that is possible). */
function sortNodes(nodes: readonly GraphNode[], given: ReadonlySet<string>): GraphNode[] {
  const maker = new Map<string, number>();
  for (const [i, node] of nodes.entries()) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (given.has(output) || maker.has(output))
        refuse(
          OP,
          'graph',
          `value '${output}' is made twice, the second time by ${nodeLabel(node.op, node.name)}`,
        );
      maker.set(output, i);
    }
  }
  const waits = new Array<number>(nodes.length).fill(0);
  const users = nodes.map((): number[] => []);
  const undefinedValues: string[] = [];
  for (const [i, node] of nodes.entries()) {
    for (const input of new Set(node.inputs)) {
      if (input === '' || given.has(input)) continue;
      const from = maker.get(input);
      if (from === undefined) undefinedValues.push(`'${input}' of ${nodeLabel(node.op, node.name)}`);
      else {
        users[from].push(i);
        waits[i]++;
      }
    }
  }
  if (undefinedValues.length > 0)
    refuse(
      OP,
      'graph',
      `nothing makes the value${undefinedValues.length === 1 ? '' : 's'} ${shorten(undefinedValues)}`,
    );
  const ready = nodes.map((_, i) => i).filter((i) => waits[i] === 0);
  for (let at = 0; at < ready.length; at++) {
    for (const user of users[ready[at]]) if (--waits[user] === 0) ready.push(user);
  }
  if (ready.length < nodes.length) {
    const stuck = nodes.filter((_, i) => waits[i] > 0).map((node) => nodeLabel(node.op, node.name));
    refuse(OP, 'graph', `the graph has a cycle among ${shorten(stuck)}`);
  }
  // The file's own order is kept if it is one: values then die as early as the exporter arranged.
  const inOrder = nodes.every((node, i) =>
    node.inputs.every((input) => input === '' || given.has(input) || (maker.get(input) as number) < i),
  );
  return inOrder ? [...nodes] : ready.map((i) => nodes[i]);
}

/** The graph of a model record, checked. */
export function readGraph(model: ModelRecord, operators: ReadonlyMap<string, Operator>): Graph {
  const opset = checkOpset(model);
  const record: GraphRecord =
    model.graph ?? refuse(OP, 'source', 'the model has no graph', 'is this an ONNX model at all?');
  checkOperators(record.nodes, operators);
  if (record.sparseInitializers > 0) refuse(OP, 'graph', 'sparse initializers are not supported');
  const constants = new Set<string>();
  for (const { name } of record.initializers) {
    if (constants.has(name)) refuse(OP, 'graph', `initializer '${name}' is there twice`);
    constants.add(name);
  }
  // Old files list initializers among the inputs, as values that could be given instead.
  const inputs = record.inputs
    .filter(({ name }) => !constants.has(name))
    .map((value) => readDeclared(value, true));
  const given = new Set(constants);
  for (const { name } of inputs) {
    if (given.has(name)) refuse(OP, 'graph', `input '${name}' is there twice`);
    given.add(name);
  }
  const nodes = record.nodes.map((node): GraphNode => {
    const operator = operators.get(node.op) as Operator;
    const name = node.name || node.outputs[0] || node.op;
    checkNode(node, operator, name);
    const { op, attributes, outputs } = node;
    return { name, op, operator, inputs: node.inputs, outputs, attributes };
  });
  const sorted = sortNodes(nodes, given);
  const made = new Set([...given, ...sorted.flatMap((node) => node.outputs)]);
  const outputs = record.outputs.map((value) => readDeclared(value, false));
  if (outputs.length === 0) refuse(OP, 'graph', 'the graph has no outputs');
  for (const { name } of outputs)
    if (!made.has(name)) refuse(OP, 'graph', `nothing makes the output '${name}'`);
  return { name: record.name, opset, inputs, outputs, nodes: sorted };
}
