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
import { binary, stridedRead } from './operations.js';
import { type Shape, showShape, stridesOf } from './shape.js';
import {
  alike,
  allocate,
  type BackwardOptions,
  collect,
  type GradNode,
  HostStorage,
  hold,
  installBackward,
  letGo,
  nodeOf,
  type Storage,
  scoped,
  showKind,
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
  const nodes = inputs.map((input) => input.node);
  const node = nodeOf(name, nodes, kept, (gradOutput) => vjp(gradOutput, own));
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
  // A node is seen when it is on top for the first time, and done when it is again: then its inputs, put on top of it, are.
  const seen = new Set<GradNode>();
  const done = new Set<GradNode>();
  const path = [root];
  for (let node: GradNode | undefined = root; node !== undefined; node = path.at(-1)) {
    if (seen.has(node)) {
      done.add(node);
      path.pop();
    } else {
      seen.add(node);
      for (const input of [...node.inputs].reverse())
        if (input !== null && !seen.has(input)) path.push(input);
    }
  }
  return [...done].reverse();
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
  if (!alike(gradOutput, root)) {
    const rule = `gradOutput must be ${showKind(root)} like the output, got ${showKind(gradOutput)}`;
    refuse(op, 'gradOutput', rule);
  }
  return gradOutput.snapshot();
}

/** What a node passes on to each of its inputs: handles of the walk's own, whatever the vjp has made them from. */
function sharesOf(op: string, { name, inputs, vjp }: GradNode, gradient: Tensor): (Tensor | null)[] {
  if (vjp === null) {
    const rule = `the tape of ${name} was walked and let go; pass { retainGraph: true } the first time`;
    refuse(op, 'retainGraph', rule);
  }
  return scoped(() => vjp(gradient).map((share, i) => (share && inputs[i] ? share.share() : null)));
}

/**
 * Walks the tape from `root` to the leaves, and tells `arrive` of the gradient of every node. It is held by the walk alone;
 * whoever wants it longer takes a share, or has it handed out: as a tensor with values of its own, so that writing to one
 * never shows in another, nor in the caller's seed. What hands out is returned too.
 */
function walk(
  op: string,
  root: Tensor,
  gradOutput: Tensor | undefined,
  options: BackwardOptions | undefined,
  arrive: (node: GradNode, gradient: Tensor, handOut: (gradient: Tensor) => Tensor) => void,
): (gradient: Tensor) => Tensor {
  const createGraph = options?.createGraph ?? false;
  const retainGraph = options?.retainGraph ?? createGraph;
  const start = root.node ?? refuse(op, 'this', 'this tensor depends on no tensor with requiresGrad');
  const seed = seedOf(op, root, gradOutput);
  const taken = new Set<Storage>([seed.storage]);
  const handOut = (gradient: Tensor): Tensor => {
    const x = createGraph ? gradient.share() : gradient.detach();
    if (!taken.has(x.storage)) {
      taken.add(x.storage);
      return x;
    }
    const view = { shape: x.shape, strides: stridesOf(x.shape), offset: 0 };
    const copy = record('copy', run(stridedRead, [x], view, x.shape), [x], (g) => [g], []);
    x.letGo();
    return copy;
  };
  const gradients = new Map<GradNode, Tensor>([[start, seed]]);
  withRecording(createGraph, () => {
    for (const node of fromResultToLeaves(start)) {
      const gradient = gradients.get(node);
      if (gradient === undefined) continue;
      gradients.delete(node);
      arrive(node, gradient, handOut);
      if (!node.leaf) {
        for (const [i, share] of sharesOf(op, node, gradient).entries()) {
          const input = node.inputs[i];
          if (!input || !share) continue;
          const before = gradients.get(input);
          gradients.set(input, before ? accumulate(before, share) : share);
          if (before) {
            before.letGo();
            share.letGo();
          }
        }
        if (!retainGraph) forget(node);
      }
      gradient.letGo();
    }
  });
  return handOut;
}

function backward(root: Tensor, gradOutput?: Tensor, options?: BackwardOptions): void {
  checkOptions('backward', options, ['createGraph', 'retainGraph']);
  walk('backward', root, gradOutput, options, (node, gradient, handOut) => {
    if (!node.leaf) return;
    const { grad: before } = node;
    collect(
      node,
      unscoped(() => (before ? accumulate(before, gradient) : handOut(gradient))),
    );
  });
}

installBackward(backward);

/** The gradient of a leaf as it is among ourselves: its values go at once when another takes its place. */
export function collectedBy(leaf: Tensor): Tensor | null {
  return leaf.node?.grad ?? null;
}

/** Puts another in its place. */
export function recollect(leaf: Tensor, gradient: Tensor | null): void {
  if (leaf.node !== null) collect(leaf.node, gradient);
}

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
  const found = new Map<GradNode, Tensor | null>(nodes.map((node) => [node, null]));
  const handOut = walk(op, output, options.gradOutput, options, (node, gradient) => {
    if (found.has(node)) found.set(node, gradient.share());
  });
  const gradients = nodes.map((node, i) => {
    const { dtype, size, shape } = inputs[i];
    const gradient = found.get(node) ?? new Tensor(new HostStorage(allocate(dtype, size)), shape);
    return handOut(gradient);
  });
  for (const gradient of found.values()) gradient?.letGo();
  return gradients;
}
