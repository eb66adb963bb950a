/**
 * plan: a graph made ready for inputs of one signature. Planning walks the nodes once, in order; every value has a type
 * and a shape, and if it does not depend on the data of a run, its contents: those nodes are computed while planning, and
 * only once. What is left are steps, which run without asking anything.
 *
 * Some operators must know an input beforehand (the shape for Reshape, the sizes for Resize). If it comes from small
 * inputs of the graph, planning starts again with the values of these; a plan is then good for these values. If it comes
 * from larger data, the node is refused by name: a shape that depends on data cannot be planned.
 */
import { noGrad } from '../autograd.js';
import { refuse } from '../errors.js';
import { sameShape, showShape, sizeOf } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { checkDims } from './initializers.js';
import {
  type GraphNode,
  labelled,
  NeedsValue,
  NodeContext,
  nodeLabel,
  type Planned,
  type Run,
  type Value,
} from './node.js';
import {
  joinChannels,
  joinFunctions,
  joinNorms,
  joinResiduals,
  joinShuffles,
  mergeSlices,
  type Todo,
} from './steps.js';
import type { ElementType } from './types.js';
import { peek } from './values.js';

/** One thing to do. Slots are places in the state of a run; −1 stands for what is left out or unused. */
export interface Step {
  readonly node: GraphNode;
  readonly run: Run;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** What the outputs will be. */
  readonly values: readonly Value[];
  /** Slots that nothing needs after this step. */
  readonly dead: readonly number[];
}

/** A node as a summary shows it. */
export interface PlanRow {
  readonly node: GraphNode;
  readonly outputs: readonly Value[];
  readonly flops: number;
}

/** Steps for one signature. Never changed; any number of runs may use it at once. */
export interface Plan {
  readonly steps: readonly Step[];
  /** Contents of the slots before the first step: constants. */
  readonly fixed: readonly (Tensor | undefined)[];
  /** Slot of each input of the graph that is used. */
  readonly inputs: ReadonlyMap<string, number>;
  readonly outputs: readonly { readonly name: string; readonly slot: number; readonly type: ElementType }[];
  readonly rows: readonly PlanRow[];
}

/** What is planned: nodes in order and the values that are there. */
export interface Program {
  readonly opset: number;
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, Value>;
}

/** Thrown when the contents of these inputs must be part of the signature. */
export class NeedsInputs extends Error {
  readonly names: readonly string[];
  constructor(names: readonly string[]) {
    super('planning needs the contents of inputs');
    this.names = names;
  }
}

/** Inputs with more elements do not become part of a signature. */
const MOST_KNOWN = 4096;
/** Elements that nodes may make while planning; what is larger is computed by every run. */
const MOST_FOLDED = 2 ** 20;

/** Plans one node, and checks the answer. */
export function planNode(node: GraphNode, opset: number, values: readonly (Value | undefined)[]): Planned {
  const label = nodeLabel(node.op, node.name);
  const planned = labelled(label, () => node.operator.plan(new NodeContext(node, opset, values, peek)));
  for (const { shape } of planned.outputs) checkDims(label, shape);
  return planned;
}

/** The outputs of a node whose inputs are all known, computed now. */
export function computeNow(planned: Planned, values: readonly (Value | undefined)[]): Value[] {
  if (planned.run === undefined) return [...planned.outputs];
  const { run } = planned;
  const tensors = noGrad(() => scoped(() => run(values.map((value) => value?.constant as Tensor))));
  return planned.outputs.map((output, i) => ({ ...output, constant: output.constant ?? tensors[i] }));
}

/** The nodes that the wanted values depend on, in order. */
export function neededFor(nodes: readonly GraphNode[], wanted: readonly string[]): GraphNode[] {
  const open = new Set(wanted);
  const kept: GraphNode[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    if (!nodes[i].outputs.some((output) => open.has(output))) continue;
    kept.push(nodes[i]);
    for (const input of nodes[i].inputs) open.add(input);
  }
  return kept.reverse();
}

/** A value, and the graph's inputs on whose data it depends. */
interface Tracked extends Value {
  readonly from: ReadonlySet<string>;
}

const NOTHING: ReadonlySet<string> = new Set();

function union(values: readonly (Tracked | undefined)[]): ReadonlySet<string> {
  let all = NOTHING;
  for (const value of values) {
    if (value === undefined || value.from === all || value.from.size === 0) continue;
    all = all.size === 0 ? value.from : new Set([...all, ...value.from]);
  }
  return all;
}

/** Makes known what a node needs, or says why that cannot be. */
function answerNeed(need: NeedsValue, values: ReadonlyMap<string, Tracked>): never {
  const from = [...(values.get(need.value)?.from ?? [])];
  const large = from.find((name) => sizeOf(values.get(name)?.shape ?? []) > MOST_KNOWN);
  if (from.length === 0 || large !== undefined) {
    refuse(
      need.label,
      'inputs',
      `must know the contents of '${need.value}' before the run, but they depend on the data of ${from.map((name) => `input '${name}'`).join(', ')}`,
      'export the model with fixed shapes',
    );
  }
  throw new NeedsInputs(from);
}

/**
 * Plans the wanted values of a program.
 *
 * @param inputs type and shape of each input of the graph, and its contents where they are part of the signature
 * @throws NeedsInputs when the contents of more inputs are needed
 */
export function makePlan(
  program: Program,
  inputs: ReadonlyMap<string, Value>,
  wanted: readonly string[],
): Plan {
  const values = new Map<string, Tracked>();
  for (const [name, value] of program.constants) values.set(name, { ...value, from: NOTHING });
  for (const [name, value] of inputs)
    values.set(name, { ...value, from: value.constant === undefined ? new Set([name]) : NOTHING });
  const todo: Todo[] = [];
  for (const node of neededFor(program.nodes, wanted)) {
    const given = node.inputs.map((name) => values.get(name));
    let planned: Planned;
    try {
      planned = planNode(node, program.opset, given);
    } catch (error) {
      if (error instanceof NeedsValue) return answerNeed(error, values);
      throw error;
    }
    const size = planned.outputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const known = given.every((value) => value === undefined || value.constant !== undefined);
    const outputs = known && size <= MOST_FOLDED ? computeNow(planned, given) : planned.outputs;
    const from = union(given);
    for (const [i, output] of outputs.entries()) {
      const name = node.outputs[i] ?? '';
      if (name !== '') values.set(name, { ...output, from: output.constant === undefined ? from : NOTHING });
    }
    const { run } = planned;
    if (outputs.every(({ constant }) => constant !== undefined) || run === undefined) continue;
    todo.push({ node, run, outputs, inputs: node.inputs, slices: planned.slices, flops: planned.flops ?? 0 });
  }
  const plan = (node: GraphNode) =>
    planNode(
      node,
      program.opset,
      node.inputs.map((name) => values.get(name)),
    );
  const known = { values, wanted, plan };
  const joined = joinFunctions(
    joinChannels(joinShuffles(mergeSlices(todo, values, wanted), known), known),
    known,
  );
  const steps = joinResiduals(joinNorms(joined, known), known);
  return allot(steps, values, inputs, wanted);
}

/** Gives every value a slot, and finds where each is used last. */
function allot(
  todo: readonly Todo[],
  values: ReadonlyMap<string, Tracked>,
  inputs: ReadonlyMap<string, Value>,
  wanted: readonly string[],
): Plan {
  const slots = new Map<string, number>();
  const fixed: (Tensor | undefined)[] = [];
  const slotOf = (name: string): number => {
    if (name === '') return -1;
    let slot = slots.get(name);
    if (slot === undefined) {
      slot = fixed.length;
      slots.set(name, slot);
      fixed.push(values.get(name)?.constant);
    }
    return slot;
  };
  const outputs = wanted.map((name) => {
    const value = values.get(name);
    if (value === undefined) return refuse('run', name, `nothing makes the value '${name}'`);
    return { name, slot: slotOf(name), type: value.type };
  });
  const lasting = new Set(outputs.map(({ slot }) => slot));
  const steps = todo.map(({ node, run, inputs: names, outputs: made }) => ({
    node,
    run,
    inputs: names.map(slotOf),
    outputs: made.map((_, i) => slotOf(node.outputs[i] ?? '')),
    values: made,
    dead: [] as number[],
  }));
  const seen = new Set<number>();
  for (let i = steps.length - 1; i >= 0; i--) {
    const { inputs: read, outputs: written, dead } = steps[i];
    for (const slot of [...read, ...written]) {
      if (slot < 0 || seen.has(slot) || lasting.has(slot) || fixed[slot] !== undefined) continue;
      seen.add(slot);
      dead.push(slot);
    }
  }
  const used = [...inputs].filter(
    ([name]) => slots.has(name) && fixed[slots.get(name) as number] === undefined,
  );
  return {
    steps,
    fixed,
    inputs: new Map(used.map(([name]) => [name, slots.get(name) as number])),
    outputs,
    rows: todo.map(({ node, outputs: made, flops }) => ({ node, outputs: made, flops })),
  };
}

/** Refuses what a step made if it is not what was planned: an error of deconv's own, better found than passed on. */
export function checkMade(step: Step, made: readonly Tensor[]): void {
  for (const [i, value] of step.values.entries()) {
    if (step.outputs[i] < 0) continue;
    if (!sameShape(made[i].shape, value.shape)) {
      throw new Error(
        `deconv: ${nodeLabel(step.node.op, step.node.name)} made ${showShape(made[i].shape)} where ${showShape(value.shape)} was planned`,
      );
    }
  }
}
