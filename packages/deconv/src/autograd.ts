/**
 * autograd: the tape. Each operation that is recorded leaves a node that can turn the gradient of its output into
 * gradients of its inputs (a vector–Jacobian product, vjp); backward walks the nodes from the result to the leaves,
 * each once, after everything that uses it.
 *
 * The vjps are themselves written with recorded operations. With `createGraph` they run with the tape on, and the
 * gradients can be differentiated again; there is no second mechanism for gradients of gradients.
 *
 * Nodes refer to nodes, not to tensors, and hold the values that their vjp reads, whatever becomes of the tensors. A graph
 * is let go as it is walked (unless `retainGraph`), and each gradient as soon as it has been passed on.
 */
import type { Operation, OpName, OpTable } from './backend.js';
import { currentBackend } from './backends.js';
import { checkOptions, refuse, show } from './errors.js';
import { binary, cast } from './operations.js';
import { type Shape, sameShape, showShape } from './shape.js';
import {
  allocate,
  type BackwardOptions,
  type GradNode,
  HostStorage,
  hold,
  installEngine,
  letGo,
  type Storage,
  scoped,
  Tensor,
  unscoped,
} from './tensor.js';
import { tracer } from './trace.js';

let recording = true;

/** True when operations are being recorded. */
export function isGradEnabled(): boolean {
  return recording;
}

function withRecording<T>(enabled: boolean, body: () => T): T {
  const before = recording;
  recording = enabled;
  try {
    return body();
  } finally {
    recording = before;
  }
}

/**
 * Runs `body` without recording: results need no gradient, and nothing is kept for a backward pass. `body` must be
 * synchronous.
 *
 * @example
 * ```ts
 * import { mul, noGrad, tensor } from 'deconv';
 * const w = tensor([1, 2], { requiresGrad: true });
 * console.log(noGrad(() => mul(w, 2)).requiresGrad); // false
 * ```
 */
export function noGrad<T>(body: () => T): T {
  return withRecording(false, () => {
    const result = body();
    if (result instanceof Promise)
      refuse('noGrad', 'body', 'body must be synchronous, it returned a promise');
    return result;
  });
}

/** Runs one backend operation on the tensors' values; the result is not recorded. */
export function run<K extends OpName>(
  operation: Operation<K>,
  inputs: readonly Tensor[],
  attributes: OpTable[K],
  shape: Shape,
): Tensor {
  const storages = inputs.map((input) => input.storage);
  const output = new Tensor(currentBackend().run(operation, storages, attributes), shape);
  tracer?.(operation.name, inputs, [output], attributes);
  return output;
}

/**
 * Puts an operation on the tape: returns the output, tied to its inputs, if recording is on and any input needs a
 * gradient; else the output as it is.
 *
 * @param vjp gives one gradient per input, null where none is needed; written with recorded operations. It reads through
 *   handles that nobody else can dispose of: snapshots, and the output that it is given
 * @param reads what the vjp reads the values of, if not all inputs and the output; the node holds these
 */
export function record(
  name: string,
  output: Tensor,
  inputs: readonly Tensor[],
  vjp: (gradOutput: Tensor, output: Tensor) => readonly (Tensor | null)[],
  reads: readonly (Tensor | false)[] = [...inputs, output],
): Tensor {
  if (!recording || !inputs.some((input) => input.requiresGrad)) return output;
  const kept = reads.filter((x) => x !== false).map((x) => x.storage);
  kept.forEach(hold);
  const node: GradNode = {
    name,
    inputs: inputs.map((input) => input.node),
    kept,
    leaf: false,
    grad: null,
    shown: false,
    vjp: (gradOutput) => vjp(gradOutput, own),
  };
  const recorded = new Tensor(output.storage, output.shape, node);
  const own = recorded.snapshot();
  output.letGo();
  return recorded;
}

/** Lets a node go: it holds nothing any more, and leads nowhere. */
function forget(node: GradNode): void {
  node.vjp = null;
  node.inputs = [];
  node.kept.forEach(letGo);
  node.kept = [];
}

/** a + b of equal shapes: how gradients that arrive by several ways are joined. */
function accumulate(a: Tensor, b: Tensor): Tensor {
  const attributes = { fn: 'add', aShape: a.shape, bShape: b.shape, shape: a.shape } as const;
  return record('accumulate', run(binary, [a, b], attributes, a.shape), [a, b], (g) => [g, g], []);
}

/** Nodes reachable from `root`, each before all nodes it feeds from; without recursion, graphs may be deep. */
function fromResultToLeaves(root: GradNode): GradNode[] {
  const order: GradNode[] = [];
  const seen = new Set<GradNode>([root]);
  const path: { node: GradNode; next: number }[] = [{ node: root, next: 0 }];
  while (path.length > 0) {
    const top = path[path.length - 1];
    if (top.next === top.node.inputs.length) {
      order.push(top.node);
      path.pop();
      continue;
    }
    const input = top.node.inputs[top.next++];
    if (input !== null && !seen.has(input)) {
      seen.add(input);
      path.push({ node: input, next: 0 });
    }
  }
  return order.reverse();
}

interface WalkOptions {
  readonly createGraph: boolean;
  readonly retainGraph: boolean;
}

/** The node at which a backward pass starts. */
function startOf(op: string, root: Tensor): GradNode {
  return (
    root.node ??
    refuse(op, 'this', 'this tensor does not depend on any tensor with requiresGrad, there is no gradient')
  );
}

/** The seed of a backward pass: as given, checked, or 1 for a single number. */
function seedOf(op: string, root: Tensor, gradOutput: Tensor | undefined): Tensor {
  if (gradOutput === undefined) {
    if (root.size !== 1) {
      refuse(
        op,
        'gradOutput',
        `gradOutput is required for a tensor of ${root.size} elements, shape ${showShape(root.shape)}`,
      );
    }
    return new Tensor(new HostStorage(allocate(root.dtype, 1).fill(1)), root.shape);
  }
  if (!(gradOutput instanceof Tensor))
    refuse(op, 'gradOutput', `gradOutput must be a tensor, got ${show(gradOutput)}`);
  if (!sameShape(gradOutput.shape, root.shape) || gradOutput.dtype !== root.dtype) {
    refuse(
      op,
      'gradOutput',
      `gradOutput must be ${root.dtype} ${showShape(root.shape)} like the output, got ${gradOutput.dtype} ${showShape(gradOutput.shape)}`,
    );
  }
  return gradOutput.snapshot();
}

function walk(
  op: string,
  start: GradNode,
  seed: Tensor,
  { createGraph, retainGraph }: WalkOptions,
  arrive: (node: GradNode, gradient: Tensor) => void,
): void {
  // Each gradient is held by its entry alone; whoever wants it longer takes a share.
  const gradients = new Map<GradNode, Tensor>([[start, seed]]);
  withRecording(createGraph, () => {
    for (const node of fromResultToLeaves(start)) {
      const gradient = gradients.get(node);
      if (gradient === undefined) continue;
      gradients.delete(node);
      arrive(node, gradient);
      if (!node.leaf) {
        for (const [input, share] of sharesOf(op, node, gradient)) {
          const before = gradients.get(input);
          gradients.set(input, before === undefined ? share : accumulate(before, share));
          if (before === undefined) continue;
          before.letGo();
          share.letGo();
        }
        if (!retainGraph) forget(node);
      }
      gradient.letGo();
    }
  });
}

/** What a node passes on to each of its inputs: handles of the walk's own, whatever the vjp has made them from. */
function sharesOf(op: string, node: GradNode, gradient: Tensor): [GradNode, Tensor][] {
  const { inputs, vjp } = node;
  if (vjp === null) {
    refuse(
      op,
      'retainGraph',
      `the tape of ${node.name} was already walked and let go; pass { retainGraph: true } the first time`,
    );
  }
  const shares = scoped(() => vjp(gradient).map((share, i) => (share && inputs[i] ? share.share() : null)));
  return inputs.flatMap((input, i) => (input && shares[i] ? [[input, shares[i]]] : []));
}

function walkOptions(options: BackwardOptions | undefined): WalkOptions {
  const createGraph = options?.createGraph ?? false;
  return { createGraph, retainGraph: options?.retainGraph ?? createGraph };
}

/**
 * A gradient as it is handed out: a tensor with values of its own, so that writing to one never shows in another, nor
 * in the caller's seed. `taken` are the values already handed out.
 */
function own(gradient: Tensor, taken: Set<Storage>, createGraph: boolean): Tensor {
  const x = createGraph ? gradient.share() : gradient.detach();
  if (!taken.has(x.storage)) {
    taken.add(x.storage);
    return x;
  }
  const copy = record('copy', run(cast, [x], { dtype: x.dtype }, x.shape), [x], (g) => [g], []);
  x.letGo();
  return copy;
}

function backward(root: Tensor, gradOutput: Tensor | undefined, options: BackwardOptions | undefined): void {
  checkOptions('backward', options, ['createGraph', 'retainGraph']);
  const walking = walkOptions(options);
  const start = startOf('backward', root);
  const seed = seedOf('backward', root, gradOutput);
  const taken = new Set<Storage>([seed.storage]);
  walk('backward', start, seed, walking, (node, gradient) => {
    if (!node.leaf) return;
    const { grad: before, shown } = node;
    node.grad = unscoped(() =>
      before === null ? own(gradient, taken, walking.createGraph) : accumulate(before, gradient),
    );
    node.shown = false;
    if (!shown) before?.letGo();
  });
}

function leaf(): GradNode {
  return { name: 'leaf', inputs: [], vjp: null, kept: [], leaf: true, grad: null, shown: false };
}

installEngine({ backward, leaf });

/**
 * Starts collecting gradients in a tensor just made. It stands here, and not with the makers, so that a bundle in which
 * tensors can ask for gradients contains the engine, even if the program calls no operation.
 */
export function collectGradients(x: Tensor): Tensor {
  x.requiresGrad = true;
  return x;
}

/** Options of {@link grad}. */
export interface GradOptions extends BackwardOptions {
  /** Gradient of the final scalar with respect to `output`; may be left out for a one-element output. */
  readonly gradOutput?: Tensor | undefined;
}

/**
 * Gradients of `output` with respect to each of `inputs`, returned instead of collected: no `grad` changes. An input
 * that the output does not depend on gets zeros.
 *
 * @example
 * ```ts
 * import { grad, mul, sum, tensor } from 'deconv';
 * const x = tensor([2, 3], { requiresGrad: true });
 * const [first] = grad(sum(mul(mul(x, x), x)), [x], { createGraph: true }); // 3x²
 * const [second] = grad(sum(first), [x]); // 6x
 * console.log(second.data); // Float32Array(2) [ 12, 18 ]
 * ```
 */
export function grad(output: Tensor, inputs: readonly Tensor[], options: GradOptions = {}): Tensor[] {
  const op = 'grad';
  checkOptions(op, options, ['gradOutput', 'createGraph', 'retainGraph']);
  if (!(output instanceof Tensor)) refuse(op, 'output', `output must be a tensor, got ${show(output)}`);
  if (!Array.isArray(inputs)) refuse(op, 'inputs', `inputs must be an array of tensors, got ${show(inputs)}`);
  const nodes = inputs.map((input: unknown, i): GradNode => {
    if (input instanceof Tensor && input.node !== null) return input.node;
    return refuse(op, 'inputs', `inputs[${i}] must be a tensor that requires a gradient`);
  });
  const walking = walkOptions(options);
  const start = startOf(op, output);
  const seed = seedOf(op, output, options.gradOutput);
  const found = new Map<GradNode, Tensor | null>(nodes.map((node) => [node, null]));
  const taken = new Set<Storage>([seed.storage]);
  walk(op, start, seed, walking, (node, gradient) => {
    if (found.has(node)) found.set(node, gradient.share());
  });
  const gradients = nodes.map((node, i) => {
    const { dtype, size, shape } = inputs[i];
    const gradient = found.get(node) ?? new Tensor(new HostStorage(allocate(dtype, size)), shape);
    return own(gradient, taken, walking.createGraph);
  });
  for (const gradient of found.values()) gradient?.letGo();
  return gradients;
}
