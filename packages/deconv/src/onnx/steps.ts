/**
 * steps: the steps of a plan, fewer of them: what can only be joined once shapes are known.
 *
 *   Slice → Slice              one slice
 *   Concat → channel shuffle   joined in that order
 *   Concat of two → Conv       read from where the two are
 *   Relu, LeakyRelu → Conv     applied to the padded input, where it lies in the cache
 *   Conv → Add                 the other addend, of the output's shape, added as the convolution stores: a shortcut
 *   Conv → Add → Relu          likewise
 *   BatchNormalization → Relu  one pass
 *
 * Values in between must be used once and asked for by nobody. Conv stands for ConvTranspose too, except after Concat.
 */
import { run as runKernel } from '../autograd.js';
import * as operation from '../operations.js';
import { type Shape, sameShape, sizeOf } from '../shape.js';
import type { AxisSlice, GraphNode, Planned, Run, Value } from './node.js';
import { sliceRun } from './values.js';

/** A step before its slots are known. */
export interface Todo {
  readonly node: GraphNode;
  readonly run: Run;
  readonly inputs: readonly string[];
  readonly outputs: readonly Value[];
  readonly slices: readonly AxisSlice[] | undefined;
  readonly flops: number;
}

const isConv = ({ op }: GraphNode): boolean => op === 'Conv' || op === 'ConvTranspose';

/** How often each value is used, asking for it included. */
function usesOf(todo: readonly Todo[], wanted: readonly string[]): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const name of [...wanted, ...todo.flatMap(({ inputs }) => inputs)])
    uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

/**
 * Slices of slices as one: exporters cut axis by axis. Start and step of the second count in steps of the first:
 * start₁ + step₁·(start₂ + step₂·i).
 */
export function mergeSlices(
  todo: readonly Todo[],
  values: ReadonlyMap<string, Value>,
  wanted: readonly string[],
): Todo[] {
  const uses = usesOf(todo, wanted);
  const makers = new Map<string, Todo>();
  const merged = new Set<Todo>();
  const all = todo.map((step) => {
    const [source] = step.inputs;
    const before = makers.get(source);
    let now = step;
    if (step.slices !== undefined && before?.slices !== undefined && uses.get(source) === 1) {
      const from = before.slices;
      const slices = step.slices.map(({ start, step: by, count }, axis) => ({
        start: from[axis].start + from[axis].step * start,
        step: from[axis].step * by,
        count,
      }));
      const inputs = [before.inputs[0]];
      now = { ...step, inputs, slices, run: sliceRun(values.get(inputs[0])?.shape as Shape, slices) };
      merged.add(before);
    }
    makers.set(step.node.outputs[0], now);
    return now;
  });
  return all.filter((step) => !merged.has(step));
}

/**
 * Channels of arrays joined, then dealt out in turn (Reshape, Transpose, Reshape): the same as joining the arrays channel by channel.
 */
export function joinShuffles(todo: readonly Todo[], { values, wanted }: Known): Todo[] {
  const uses = usesOf(todo, wanted);
  const makers = new Map<string, Todo>();
  const left = new Set<Todo>();
  const before = (step: Todo | undefined, op: string) => {
    const [name] = step?.inputs ?? [];
    const maker = name !== undefined && uses.get(name) === 1 ? makers.get(name) : undefined;
    return maker?.node.op === op ? maker : undefined;
  };
  const steps = todo.map((step) => {
    for (const name of step.node.outputs) makers.set(name, step);
    const turned = step.node.op === 'Reshape' ? before(step, 'Transpose') : undefined;
    const split = before(turned, 'Reshape');
    const concat = before(split, 'Concat');
    if (turned === undefined || split === undefined || concat === undefined) return step;
    const { inputs } = concat;
    const [n, , channels, ...space] = split.outputs[0].shape;
    const shape = [n, inputs.length * channels, ...space];
    const perm = turned.node.attributes.get('perm');
    const order = [0, 2, 1, ...space.map((_, axis) => axis + 3)];
    const fits =
      perm?.kind === 'ints' &&
      sameShape(perm.value, order) &&
      sameShape(split.outputs[0].shape, [n, inputs.length, channels, ...space]) &&
      [step, concat].every(({ outputs }) => sameShape(outputs[0].shape, shape)) &&
      inputs.every((name) => sameShape(values.get(name)?.shape ?? [], [n, channels, ...space]));
    if (!fits) return step;
    for (const gone of [turned, split, concat]) left.add(gone);
    const attributes = { outer: n * channels, lengths: inputs.map(() => sizeOf(space)) };
    const run: Run = (given) => [runKernel(operation.concat, given, attributes, shape)];
    return { ...concat, node: { ...concat.node, outputs: step.node.outputs }, run, outputs: step.outputs };
  });
  return steps.filter((step) => !left.has(step));
}

/** What the steps are joined in view of: the values, those that are asked for, and how a node is planned. */
export interface Known {
  readonly values: ReadonlyMap<string, Value>;
  readonly wanted: readonly string[];
  readonly plan: (node: GraphNode) => Planned;
}

/** Steps whose first input nobody else uses, with the step before taken in where `rule` makes one node of the two. */
function takeIn(
  todo: readonly Todo[],
  { wanted, plan }: Known,
  rule: (step: Todo, before: Todo) => GraphNode | undefined,
): Todo[] {
  const uses = usesOf(todo, wanted);
  const makers = new Map<string, Todo>();
  const left = new Set<Todo>();
  const steps = todo.map((step) => {
    for (const name of step.node.outputs) makers.set(name, step);
    const [x] = step.inputs;
    const before = makers.get(x);
    const node = before === undefined || uses.get(x) !== 1 ? undefined : rule(step, before);
    const run = node === undefined ? undefined : plan(node).run;
    if (before === undefined || node === undefined || run === undefined) return step;
    left.add(before);
    return { ...step, node, run, inputs: node.inputs };
  });
  return steps.filter((step) => !left.has(step));
}

/** Sizes of a convolution's kernel. A single pixel is read where it is, so nothing is done to it on the way. */
const kernelOf = ({ inputs }: Todo, { values }: Known): readonly number[] =>
  (values.get(inputs[1])?.shape ?? []).slice(2);

/** A function that leaves zeros what they are, as a convolution can apply it to its input. */
function beforeOf({ node }: Todo): NonNullable<GraphNode['fused']>['before'] {
  if (node.op === 'Relu') return { name: 'relu' };
  const alpha = node.attributes.get('alpha');
  const slope = alpha?.kind === 'float' ? alpha.value : 0.01;
  return node.op === 'LeakyRelu' && slope >= 0 ? { name: 'leakyRelu', slope } : undefined;
}

/** Functions whose result a convolution alone reads are left to it. */
export function joinFunctions(todo: readonly Todo[], known: Known): Todo[] {
  return takeIn(todo, known, (step, function_) => {
    const { node } = step;
    const before = beforeOf(function_);
    // Of two inputs both would have to go through it.
    const fits = isConv(node) && !node.fused?.joined && kernelOf(step, known).some((n) => n > 1);
    if (before === undefined || !fits) return undefined;
    const inputs = [function_.inputs[0], ...step.inputs.slice(1)];
    return { ...node, inputs, fused: { ...node.fused, before } };
  });
}

/** A Relu after a normalisation by constants is left to it. */
export function joinNorms(todo: readonly Todo[], known: Known): Todo[] {
  return takeIn(todo, known, ({ node: { op, outputs } }, { node }) =>
    op === 'Relu' && node.op === 'BatchNormalization' && node.outputs.slice(1).every((name) => name === '')
      ? { ...node, outputs, fused: { activation: { name: 'relu' } } }
      : undefined,
  );
}

/** Channels that a convolution would read from one array joined of two are read from both. */
export function joinChannels(todo: readonly Todo[], known: Known): Todo[] {
  return takeIn(todo, known, (step, concat) => {
    const { node } = step;
    const [x, weight, bias = '', third = ''] = step.inputs;
    const shapeOf = (name: string) => known.values.get(name)?.shape ?? [];
    const [a, b, ...more] = concat.inputs.map((name) => ({ name, shape: shapeOf(name) }));
    const [, channels] = shapeOf(x);
    if (node.op !== 'Conv' || concat.node.op !== 'Concat' || b === undefined || more.length > 0)
      return undefined;
    // Joined along the channels; of one group.
    const fits =
      a.shape[1] + b.shape[1] === channels &&
      a.shape.every((n, axis) => axis === 1 || n === b.shape[axis]) &&
      shapeOf(weight)[1] === channels &&
      kernelOf(step, known).some((n) => n > 1);
    const inputs = [a.name, weight, bias, third, b.name];
    return fits ? { ...node, inputs, fused: { ...node.fused, joined: true } } : undefined;
  });
}

/** The convolution before, with one operation after it taken in; undefined if that cannot be. */
function takenIn(conv: Todo, step: Todo, shapes: readonly (Shape | undefined)[]): GraphNode | undefined {
  const { node } = conv;
  const { fused = {} } = node;
  if (!isConv(node)) return undefined;
  if (fused.activation !== undefined || fused.slopes) return undefined;
  const outputs = step.node.outputs;
  if (step.node.op === 'Relu' && fused.residual)
    return { ...node, outputs, fused: { ...fused, activation: { name: 'relu' } } };
  const alike = shapes.every((shape) => shape !== undefined && sameShape(shape, conv.outputs[0].shape));
  if (step.node.op !== 'Add' || fused.residual || !alike) return undefined;
  const [x, weight, bias = ''] = node.inputs;
  const [other] = step.inputs.filter((name) => name !== node.outputs[0]);
  if (other === undefined) return undefined;
  const inputs = [x, weight, bias, other, ...node.inputs.slice(4)];
  return { ...node, inputs, outputs, fused: { ...fused, residual: true } };
}

/** Sums with a convolution that is used for nothing else are left to it, and what comes after them. */
export function joinResiduals(todo: readonly Todo[], { values, wanted, plan }: Known): Todo[] {
  const uses = usesOf(todo, wanted);
  const places = new Map<string, number>();
  const steps: (Todo | undefined)[] = [...todo];
  for (const [at, step] of todo.entries()) {
    const shapes = step.inputs.map((name) => values.get(name)?.shape);
    // Of two convolutions the later one: the other's result is there then.
    const makers = step.inputs
      .filter((name) => uses.get(name) === 1)
      .map((name) => places.get(name) ?? -1)
      .sort((a, b) => b - a);
    for (const place of makers) {
      const conv = steps[place];
      const node = conv === undefined ? undefined : takenIn(conv, step, shapes);
      const run = node === undefined ? undefined : plan(node).run;
      if (conv === undefined || node === undefined || run === undefined) continue;
      steps[at] = { ...conv, node, run, inputs: node.inputs, outputs: step.outputs };
      steps[place] = undefined;
      break;
    }
    for (const name of step.node.outputs) places.set(name, at);
  }
  return steps.filter((step) => step !== undefined);
}
