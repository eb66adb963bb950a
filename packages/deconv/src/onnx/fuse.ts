/**
 * fuse: the graph made smaller without changing what it computes. Before: nodes that depend on constants alone are
 * computed. Then, where the value in between is used once and asked for by nobody:
 *
 *   Identity, Dropout                    left out
 *   Pad by zeros → Conv                  the padding of the convolution
 *   Conv → BatchNormalization            w·s and (b − mean)·s + beta, with s = scale / √(var + epsilon)
 *   Conv → Add of one value per channel  its bias
 *   Conv → Relu, LeakyRelu, Clip, Sigmoid, Tanh, HardSwish   applied as the convolution stores
 *   Conv → Sigmoid, and → Mul of the two           likewise, as SiLU; elsewhere the two are one
 *   Conv → PRelu of one slope per channel         likewise, the slopes being its fourth input
 *
 * Conv stands for ConvTranspose too. Each step leaves a graph that is right by itself.
 */
import { refuse } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { sizeOf } from '../shape.js';
import { allocate } from '../tensor.js';
import { KEPT_FROM } from './initializers.js';
import type { Fused, GraphNode } from './node.js';
import { NodeContext, type Value } from './node.js';
import { computeNow, planNode } from './plan.js';
import { isFloat } from './types.js';
import { peek, tensorOf, valuesOf } from './values.js';

/** Elements that may be made of constants while loading: more is no network, but a file that means harm. */
const MOST_FOLDED = 2 ** 29;

/** Computes the nodes that depend on constants alone, adding their outputs to `constants`; returns the others. */
export function foldConstants(
  nodes: readonly GraphNode[],
  opset: number,
  constants: Map<string, Value>,
): GraphNode[] {
  let made = 0;
  return nodes.filter((node) => {
    const values = node.inputs.map((name) => constants.get(name));
    if (values.some((value, i) => value === undefined && node.inputs[i] !== '')) return true;
    const planned = planNode(node, opset, values);
    made += planned.outputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    if (made > MOST_FOLDED)
      refuse(
        'loadOnnx',
        'graph',
        `the constants of the graph have more than 2^29 elements, at node '${node.name}'`,
      );
    for (const [i, value] of computeNow(planned, values).entries()) {
      if ((node.outputs[i] ?? '') !== '') constants.set(node.outputs[i], value);
    }
    return false;
  });
}

const isConv = (node: GraphNode | undefined): node is GraphNode =>
  node !== undefined && (node.op === 'Conv' || node.op === 'ConvTranspose');

class Fuser {
  readonly #opset: number;
  readonly #constants: Map<string, Value>;
  readonly #kept: ReadonlySet<string>;
  readonly #nodes: (GraphNode | undefined)[];
  /** Place of the node that makes a value. */
  readonly #maker = new Map<string, number>();
  readonly #uses = new Map<string, number>();

  constructor(
    nodes: readonly GraphNode[],
    opset: number,
    constants: Map<string, Value>,
    kept: ReadonlySet<string>,
  ) {
    this.#opset = opset;
    this.#constants = constants;
    this.#kept = kept;
    this.#nodes = [...nodes];
    for (const [i, node] of nodes.entries()) {
      for (const input of node.inputs) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
      for (const output of node.outputs) this.#maker.set(output, i);
    }
  }

  run(): GraphNode[] {
    for (const [i, node] of this.#nodes.entries()) {
      if (node === undefined) continue;
      if (isConv(node)) this.#absorbPad(i, node);
      if (node.op === 'Mul' && this.#absorbGate(i, node)) continue;
      const conv = this.#convBefore(node, 0) ?? this.#convBefore(node, 1);
      if (conv === undefined) continue;
      const merged = this.#merge(conv, node);
      if (merged === undefined) continue;
      // The convolution takes the name of what it now makes, and its own place.
      const at = this.#maker.get(conv.outputs[0]) as number;
      this.#nodes[at] = { ...merged, outputs: [node.outputs[0]] };
      this.#nodes[i] = undefined;
      this.#maker.set(node.outputs[0], at);
    }
    return this.#nodes.filter((node) => node !== undefined);
  }

  #context(node: GraphNode): NodeContext {
    return new NodeContext(
      node,
      this.#opset,
      node.inputs.map((name) => this.#constants.get(name)),
      peek,
    );
  }

  /** The node that makes this input, if nobody else sees the value. */
  #soleMaker(name: string | undefined): GraphNode | undefined {
    if (name === undefined || this.#kept.has(name) || this.#uses.get(name) !== 1) return undefined;
    const at = this.#maker.get(name);
    return at === undefined ? undefined : this.#nodes[at];
  }

  #convBefore(node: GraphNode, input: number): GraphNode | undefined {
    if (input === 1 && node.op !== 'Add') return undefined;
    const made = this.#soleMaker(node.inputs[input]);
    return isConv(made) ? made : undefined;
  }

  #merge(conv: GraphNode, node: GraphNode): GraphNode | undefined {
    // After an activation nothing linear can be pulled in any more.
    if (conv.fused?.activation !== undefined || conv.fused?.slopes) return undefined;
    if (node.op === 'BatchNormalization') return this.#absorbNorm(conv, node);
    if (node.op === 'Add') return this.#absorbAdd(conv, node);
    if (node.op === 'PRelu') return this.#absorbPRelu(conv, node);
    const activation = this.#activation(node);
    return activation === undefined ? undefined : { ...conv, fused: { ...conv.fused, activation } };
  }

  #activation(node: GraphNode): Fused['activation'] {
    const context = this.#context(node);
    switch (node.op) {
      case 'Relu':
        return { name: 'relu' };
      case 'Sigmoid':
        return { name: 'sigmoid' };
      case 'Tanh':
        return { name: 'tanh' };
      case 'HardSwish':
        return { name: 'hardSwish' };
      case 'LeakyRelu': {
        const slope = context.number('alpha', 0.01);
        return slope >= 0 ? { name: 'leakyRelu', slope } : undefined;
      }
      case 'Clip': {
        const missing = [1, 2].some(
          (i) => (node.inputs[i] ?? '') !== '' && context.constant(i) === undefined,
        );
        if (missing) return undefined;
        const min = context.knownScalar(1, context.number('min', Number.NEGATIVE_INFINITY));
        const max = context.knownScalar(2, context.number('max', Number.POSITIVE_INFINITY));
        return min <= max ? { name: 'clamp', min, max } : undefined;
      }
      default:
        return undefined;
    }
  }

  /** Output channels of a convolution whose weight and bias are known floating-point constants. */
  #channels(conv: GraphNode): number | undefined {
    const weight = this.#constants.get(conv.inputs[1]);
    if (weight?.constant === undefined || !isFloat(weight.type) || weight.shape.length < 3) return undefined;
    const bias = conv.inputs[2] ?? '';
    if (bias !== '' && this.#constants.get(bias)?.constant === undefined) return undefined;
    const groups = this.#context(conv).int('group', 1);
    return conv.op === 'Conv' ? weight.shape[0] : weight.shape[1] * groups;
  }

  /** A convolution whose output is multiplied and shifted per channel. `key` tells apart what several plans may share. */
  #affine(
    conv: GraphNode,
    channels: number,
    scale: Float64Array | undefined,
    shift: Float64Array,
    key: string,
  ): GraphNode {
    const weight = this.#constants.get(conv.inputs[1]) as Value & {
      constant: NonNullable<Value['constant']>;
    };
    const { type } = weight;
    const keep = (what: string, make: () => Value): string => {
      const name = `${key}/${what}`;
      if (!this.#constants.has(name)) this.#constants.set(name, make());
      return name;
    };
    const bias = keep('bias', () => {
      const given = this.#constants.get(conv.inputs[2] ?? '')?.constant;
      const before = given === undefined ? new Float64Array(channels) : peek(given);
      const values = Array.from(shift, (by, c) => before[c] * (scale?.[c] ?? 1) + by);
      return { type, shape: [channels], constant: tensorOf(type, [channels], values) };
    });
    if (scale === undefined) return { ...conv, inputs: [conv.inputs[0], conv.inputs[1], bias] };
    const scaled = keep('weight', () => {
      const { shape, constant } = weight;
      // Conv (O, …) as (1, 1, O, rest); ConvTranspose (I, O/g, …k) as (g, I/g, O/g, rest).
      const groups = conv.op === 'Conv' ? 1 : channels / shape[1];
      const inputs = conv.op === 'Conv' ? 1 : shape[0] / groups;
      const outputs = channels / groups;
      const rest = constant.size / (groups * inputs * outputs);
      const { dtype, size } = constant;
      const factors = allocate(dtype, channels);
      factors.set(scale);
      const make = () => {
        const values = valuesOf(constant);
        for (let row = 0, at = 0; row < groups * inputs * outputs; row++) {
          const factor = factors[Math.floor(row / (inputs * outputs)) * outputs + (row % outputs)];
          for (const end = at + rest; at < end; at++) values[at] *= factor;
        }
        return values;
      };
      // In arrays: the weight goes to the engine when it is packed, and not before. Large ones are made only for that; not those of
      // one channel to a group, which depthwise kernels read as they are, at every call.
      const values = 4 * size < KEPT_FROM || shape[1] === 1 ? make() : { dtype, length: size, make };
      return { ...weight, constant: fromValues(values, shape) };
    });
    return { ...conv, inputs: [conv.inputs[0], scaled, bias] };
  }

  #absorbNorm(conv: GraphNode, norm: GraphNode): GraphNode | undefined {
    const context = this.#context(norm);
    const channels = this.#channels(conv);
    const parameters = [1, 2, 3, 4].map((i) => context.constant(i));
    const plain = !norm.outputs.slice(1).some((name) => name !== '') && context.int('training_mode', 0) === 0;
    if (channels === undefined || !plain || context.int('spatial', 1) !== 1) return undefined;
    if (parameters.some((x) => x === undefined || x.rank !== 1 || x.size !== channels)) return undefined;
    const [gamma, beta, mean, variance] = parameters.map((x) => peek(x as NonNullable<typeof x>));
    const epsilon = context.number('epsilon', 1e-5);
    const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon));
    const shift = Float64Array.from(beta, (b, c) => b - mean[c] * scale[c]);
    return this.#affine(conv, channels, scale, shift, norm.outputs[0]);
  }

  /** A constant of one value per channel of a convolution's output, or of one for all; and the number of channels. */
  #perChannel(conv: GraphNode, name: string | undefined) {
    const channels = this.#channels(conv);
    const value = name === undefined ? undefined : this.#constants.get(name);
    const weight = this.#constants.get(conv.inputs[1]);
    if (channels === undefined || value?.constant === undefined || value.type !== weight?.type)
      return undefined;
    // One value per channel, as it broadcasts against (N, C, …space); or one for all.
    const space = weight.shape.length - 2;
    const perChannel =
      value.shape.length >= space + 1 &&
      value.shape.length <= space + 2 &&
      value.shape.every((n, axis) => n === (axis === value.shape.length - 1 - space ? channels : 1));
    if (!perChannel && !(sizeOf(value.shape) === 1 && value.shape.length <= space + 2)) return undefined;
    const values = peek(value.constant);
    const each = Float64Array.from({ length: channels }, (_, c) => values[perChannel ? c : 0]);
    return { channels, each, type: value.type };
  }

  #absorbAdd(conv: GraphNode, node: GraphNode): GraphNode | undefined {
    const added = this.#perChannel(
      conv,
      node.inputs.find((name) => name !== conv.outputs[0]),
    );
    return added && this.#affine(conv, added.channels, undefined, added.each, node.outputs[0]);
  }

  #absorbPRelu(conv: GraphNode, node: GraphNode): GraphNode | undefined {
    const slopes = this.#perChannel(conv, node.inputs[1]);
    if (slopes === undefined) return undefined;
    const { channels, each, type } = slopes;
    const name = `${node.outputs[0]}/slope`;
    this.#constants.set(name, { type, shape: [channels], constant: tensorOf(type, [channels], each) });
    const [x, weight, bias = ''] = conv.inputs;
    return {
      ...conv,
      inputs: [x, weight, bias, name],
      fused: { ...conv.fused, slopes: true },
    };
  }

  /** x·sigmoid(x) as one node: the convolution that makes x, where nobody else sees it, or the sigmoid. */
  #absorbGate(at: number, { inputs, outputs }: GraphNode): boolean {
    const sigmoid = this.#soleMaker(inputs[0]) ?? this.#soleMaker(inputs[1]);
    const [x] = sigmoid?.inputs ?? [];
    if (sigmoid?.op !== 'Sigmoid' || sigmoid.fused !== undefined || !inputs.includes(x)) return false;
    const place = this.#maker.get(sigmoid.outputs[0]) as number;
    const from = this.#maker.get(x);
    const conv = from === undefined ? undefined : this.#nodes[from];
    const activation = { name: 'silu' } as const;
    const alone = this.#uses.get(x) === 2 && !this.#kept.has(x);
    this.#nodes[at] = undefined;
    if (
      from !== undefined &&
      isConv(conv) &&
      alone &&
      conv.fused?.activation === undefined &&
      !conv.fused?.slopes
    ) {
      this.#nodes[place] = undefined;
      this.#nodes[from] = { ...conv, outputs: [outputs[0]], fused: { ...conv.fused, activation } };
      this.#maker.set(outputs[0], from);
      return true;
    }
    this.#nodes[place] = { ...sigmoid, outputs: [outputs[0]], fused: { activation } };
    this.#maker.set(outputs[0], place);
    return true;
  }

  #absorbPad(at: number, conv: GraphNode): void {
    const pad = this.#soleMaker(conv.inputs[0]);
    if (pad?.op !== 'Pad' || conv.op !== 'Conv') return;
    const [context, own] = [this.#context(pad), this.#context(conv)];
    const modes = ['constant', 'reflect', 'edge', 'wrap'] as const;
    const autoPad = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'] as const;
    if (context.choice('mode', modes, 'constant') !== 'constant') return;
    if (own.choice('auto_pad', autoPad, 'NOTSET') !== 'NOTSET') return;
    if ([1, 2, 3].some((i) => (pad.inputs[i] ?? '') !== '' && context.constant(i) === undefined)) return;
    if (context.knownScalar(2, context.number('value', 0)) !== 0) return;
    const weight = this.#constants.get(conv.inputs[1]);
    const pads = context.listBoth('pads', 1) ?? [];
    const rank = pads.length / 2;
    if (weight === undefined || context.has(3) || rank !== weight.shape.length) return;
    const [begins, ends] = [pads.slice(0, rank), pads.slice(rank)];
    const spatialOnly = [...begins.slice(0, 2), ...ends.slice(0, 2)].every((amount) => amount === 0);
    if (!spatialOnly || pads.some((amount) => amount < 0)) return;
    const [name] = pad.inputs;
    this.#nodes[this.#maker.get(pad.outputs[0]) as number] = undefined;
    this.#nodes[at] = {
      ...conv,
      inputs: [name, ...conv.inputs.slice(1)],
      fused: { ...conv.fused, pads: [...begins.slice(2), ...ends.slice(2)] },
    };
  }
}

/** Leaves out the nodes that pass their input on. What is asked for keeps its name, and so its node. */
function elide(nodes: readonly GraphNode[], opset: number, kept: ReadonlySet<string>): GraphNode[] {
  const same = new Map<string, string>();
  const left: GraphNode[] = [];
  for (const given of nodes) {
    const inputs = given.inputs.map((name) => same.get(name) ?? name);
    const node = { ...given, inputs };
    const mask = node.op === 'Dropout' && (node.outputs[1] ?? '') !== '';
    const training = node.op === 'Dropout' && opset >= 12 && (inputs[2] ?? '') !== '';
    const passes = (node.op === 'Identity' || node.op === 'Dropout') && !mask && !training;
    if (passes && !kept.has(node.outputs[0])) same.set(node.outputs[0], inputs[0]);
    else left.push(node);
  }
  return left;
}

/**
 * The nodes, fewer of them.
 *
 * @param constants values by name; those that fusing makes are added
 * @param kept names of values that must stay: the outputs
 */
export function fuse(
  nodes: readonly GraphNode[],
  opset: number,
  constants: Map<string, Value>,
  kept: ReadonlySet<string>,
): GraphNode[] {
  return new Fuser(elide(nodes, opset, kept), opset, constants, kept).run();
}
