/**
 * lint: the layers of a network that enlarge, and whether they do so evenly. Transposed convolutions and pixel shuffles are
 * judged by what their weights do (gains.ts); resizing cannot go wrong that way, unless it repeats some pixels more often
 * than others.
 */
import type { Tensor } from 'deconv';
import type { OnnxContents, OnnxNode } from 'deconv/onnx';
import { plural } from '../terminal.js';
import { type PhaseGain, ratioOf, shuffledGains, transposedGains } from './gains.js';

/** What was found about one layer. */
export interface LintRow {
  readonly node: string;
  readonly kind: 'convTranspose' | 'pixelShuffle' | 'resize';
  readonly kernelSize: readonly number[] | undefined;
  readonly stride: readonly number[];
  /** As many taps in every phase. */
  readonly even: boolean;
  readonly phases: readonly PhaseGain[];
  /** Largest : smallest gain of the phases. */
  readonly flat: number;
  readonly noise: number;
  readonly verdict: 'even' | 'evened' | 'checkerboard' | 'holes' | 'unknown';
  /** In words, and what to do. */
  readonly finding: string;
  readonly advice: readonly string[];
}

type Words = Pick<LintRow, 'verdict' | 'finding' | 'advice'>;

const ints = ({ attributes }: OnnxNode, name: string, usual: readonly number[]): readonly number[] => {
  const value = attributes[name];
  return Array.isArray(value) && typeof value[0] === 'number' ? (value as readonly number[]) : usual;
};

/** The graph as it is needed here: who makes a value, who uses it, and what is constant. */
class Graph {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #users = new Map<string, OnnxNode[]>();

  constructor(readonly contents: OnnxContents) {
    for (const node of contents.nodes) {
      for (const output of node.outputs) this.#makers.set(output, node);
      for (const input of node.inputs) this.#users.set(input, [...(this.#users.get(input) ?? []), node]);
    }
  }

  constant(name: string): Tensor | undefined {
    const stored = this.contents.initializers[name];
    if (stored !== undefined) return stored;
    const maker = this.#makers.get(name);
    if (maker?.op === 'Identity') return this.constant(maker.inputs[0]);
    const value = maker?.op === 'Constant' ? maker.attributes['value'] : undefined;
    return value !== undefined && typeof value === 'object' && 'dtype' in value ? value : undefined;
  }

  maker(name: string): OnnxNode | undefined {
    return this.#makers.get(name);
  }

  users(name: string): readonly OnnxNode[] {
    return this.#users.get(name) ?? [];
  }
}

const times = (list: readonly number[]) => list.join('×');
const number = (ratio: number) => (Number.isFinite(ratio) ? ratio.toFixed(2) : '∞');

/** A kernel as long as a multiple of the stride, at least as long as the present one. */
const fitting = (kernel: readonly number[], stride: readonly number[]) =>
  kernel.map((k, axis) => Math.max(1, Math.ceil(k / stride[axis])) * stride[axis]);

function adviceFor(kernel: readonly number[], stride: readonly number[]): string[] {
  const wanted = fitting(kernel, stride);
  const padding = wanted.map((k, axis) => (k - stride[axis]) / 2);
  const pads = padding.every(Number.isInteger)
    ? `, padding ${times(padding)}`
    : `, padding ${times(padding.map(Math.ceil))}, output padding 1`;
  const other = `resize by ${times(stride)} and a convolution instead`;
  if (times(wanted) !== times(kernel)) {
    return [
      `kernel ${times(wanted)} at stride ${times(stride)}${pads}: as many taps everywhere; train again`,
      `or ${other}`,
    ];
  }
  return [
    'the coverage is even, the weights are not: start them even (init.bilinear in deconv/nn) and train again, or longer',
    `or ${other}`,
  ];
}

function judge(
  phases: readonly PhaseGain[],
  even: boolean,
  threshold: number,
  words: { readonly what: string; readonly advice: readonly string[] },
): Words {
  const flat = ratioOf(phases.map((phase) => phase.flat));
  const taps = phases.map((phase) => phase.taps);
  const bare = taps.filter((count) => count === 0).length;
  if (bare > 0) {
    const finding = `no tap reaches ${bare} of its ${phases.length} phases: they show the bias alone`;
    return { verdict: 'holes', finding, advice: words.advice };
  }
  const coverage = even ? `${words.what}` : `${Math.min(...taps)} to ${Math.max(...taps)} taps by phase`;
  if (flat > threshold) {
    const finding = `${coverage}; on a flat input its phases differ by ${number(flat)} : 1`;
    return { verdict: 'checkerboard', finding, advice: words.advice };
  }
  if (even) return { verdict: 'even', finding: coverage, advice: [] };
  return { verdict: 'evened', finding: `${coverage}, which these weights even out`, advice: [] };
}

/** Phases divided by their coverage, where the network does that behind the layer: a product with a constant plane. */
function averaged(
  graph: Graph,
  node: OnnxNode,
  phases: readonly PhaseGain[],
  stride: readonly number[],
): PhaseGain[] | undefined {
  const [product] = graph.users(node.outputs[0]);
  if (product?.op !== 'Mul') return undefined;
  const plane = product.inputs.map((name) => graph.constant(name)).find((x) => x !== undefined);
  const space = plane?.shape.slice(2);
  if (plane === undefined || plane.rank !== stride.length + 2 || plane.shape[0] * plane.shape[1] !== 1)
    return undefined;
  return phases.map((phase) => {
    // A place of this phase in the middle, where no border is near.
    const at = phase.residue.map((r, axis) => {
      const middle = Math.floor((space?.[axis] ?? 0) / 2);
      return Math.max(0, middle - (middle % stride[axis]) + r);
    });
    const index = at.reduce(
      (sum, place, axis) => sum * (space?.[axis] ?? 1) + Math.min(place, (space?.[axis] ?? 1) - 1),
      0,
    );
    const share = plane.data[index];
    return { ...phase, flat: phase.flat * share, noise: phase.noise * share };
  });
}

function lintConvTranspose(graph: Graph, node: OnnxNode, threshold: number): LintRow | undefined {
  const weight = graph.constant(node.inputs[1]);
  const kernelSize = weight?.shape.slice(2) ?? ints(node, 'kernel_shape', []);
  const stride = ints(
    node,
    'strides',
    kernelSize.map(() => 1),
  );
  if (stride.every((s) => s === 1)) return undefined;
  const facts = { node: node.name, kind: 'convTranspose' as const, kernelSize, stride };
  if (weight === undefined) {
    const finding = 'its weights are computed, not stored: they cannot be measured';
    return { ...facts, even: false, phases: [], flat: 1, noise: 1, verdict: 'unknown', finding, advice: [] };
  }
  const dilation = ints(
    node,
    'dilations',
    kernelSize.map(() => 1),
  );
  const padBefore = ints(
    node,
    'pads',
    kernelSize.map(() => 0),
  ).slice(0, kernelSize.length);
  const plain = transposedGains(weight, { stride, dilation, padBefore });
  const shared = averaged(graph, node, plain, stride);
  const phases = shared ?? plain;
  const even = phases.every(({ taps }) => taps === phases[0].taps);
  const [flat, noise] = [ratioOf(phases.map((p) => p.flat)), ratioOf(phases.map((p) => p.noise))];
  const words = judge(phases, even, threshold, {
    what: `${plural(phases[0].taps, 'tap')} in every phase`,
    advice: adviceFor(kernelSize, stride),
  });
  const finding = shared === undefined ? words.finding : `${words.finding}; divided by its coverage`;
  return { ...facts, even, phases, flat, noise, ...words, finding };
}

const PASSING =
  /^(Relu|LeakyRelu|PRelu|Elu|Selu|Sigmoid|Tanh|Clip|Softplus|HardSwish|HardSigmoid|Gelu|Mish|Identity|Dropout)$/;

/** The convolution whose channels a value is made of, one function or the other behind it. */
function convBefore(graph: Graph, name: string): OnnxNode | undefined {
  for (let node = graph.maker(name); node !== undefined; node = graph.maker(node.inputs[0])) {
    if (node.op === 'Conv') return node;
    if (!PASSING.test(node.op)) return undefined;
  }
  return undefined;
}

function lintShuffle(graph: Graph, node: OnnxNode, threshold: number): LintRow | undefined {
  const factor = node.attributes['blocksize'];
  if (typeof factor !== 'number' || factor < 2) return undefined;
  const conv = convBefore(graph, node.inputs[0]);
  const weight = conv && graph.constant(conv.inputs[1]);
  const facts = { node: node.name, kind: 'pixelShuffle' as const, stride: [factor, factor], even: true };
  if (conv === undefined || weight === undefined || weight.shape[0] % factor ** 2 !== 0) {
    const finding = 'no convolution with stored weights stands before it: it cannot be measured';
    return {
      ...facts,
      kernelSize: undefined,
      phases: [],
      flat: 1,
      noise: 1,
      verdict: 'unknown',
      finding,
      advice: [],
    };
  }
  const bias = conv.inputs[2] === undefined ? undefined : graph.constant(conv.inputs[2]);
  const phases = shuffledGains(weight, bias, factor, node.attributes['mode'] === 'CRD');
  const words = judge(phases, true, threshold, {
    what: `each phase has channels of '${conv.name}' to itself`,
    advice: [
      'start the channels of all phases alike (init.icnr in deconv/nn) and train again, or longer',
      'or let a convolution follow that sees several phases',
    ],
  });
  const [flat, noise] = [ratioOf(phases.map((p) => p.flat)), ratioOf(phases.map((p) => p.noise))];
  return { ...facts, kernelSize: weight.shape.slice(2), phases, flat, noise, ...words };
}

/** Resizing in front of a convolution: even by itself, but for nearest neighbours by a factor that is no whole number. */
function lintResize(graph: Graph, node: OnnxNode): LintRow | undefined {
  const conv = graph.users(node.outputs[0]).find(({ op }) => op === 'Conv');
  if (conv === undefined) return undefined;
  const scales = graph.constant(node.inputs[node.op === 'Upsample' ? 1 : 2] ?? '');
  const stride = Array.from(scales?.data ?? []).slice(2);
  const facts = {
    node: node.name,
    kind: 'resize' as const,
    kernelSize: undefined,
    stride,
    phases: [],
    flat: 1,
    noise: 1,
  };
  const mode = node.attributes['mode'] ?? 'nearest';
  if (mode === 'nearest' && stride.some((factor) => !Number.isInteger(factor))) {
    return {
      ...facts,
      even: false,
      verdict: 'checkerboard',
      finding: `nearest neighbours by ${times(stride)} repeat some pixels more often than others`,
      advice: ["a whole factor, or mode 'linear'"],
    };
  }
  return {
    ...facts,
    even: true,
    verdict: 'even',
    finding: `resized, then '${conv.name}': even by construction`,
    advice: [],
  };
}

/** Every layer of a network that enlarges, in order. @param threshold the largest ratio of flat gains that counts as even */
export function lintNetwork(contents: OnnxContents, threshold: number): LintRow[] {
  const graph = new Graph(contents);
  return contents.nodes.flatMap((node) => {
    const row =
      node.op === 'ConvTranspose'
        ? lintConvTranspose(graph, node, threshold)
        : node.op === 'DepthToSpace'
          ? lintShuffle(graph, node, threshold)
          : node.op === 'Resize' || node.op === 'Upsample'
            ? lintResize(graph, node)
            : undefined;
    return row ?? [];
  });
}

/** True for what ought to be changed. */
export const isRisk = ({ verdict }: LintRow): boolean => verdict === 'checkerboard' || verdict === 'holes';
