/**
 * Normalisations. Where the parameters are constants they become one factor and one term per channel while planning, so
 * that a run is x·factor + term.
 */
import { run as runKernel } from '../../autograd.js';
import * as operation from '../../operations.js';
import { affine, byChannel, channelDot, countOf } from '../../ops/channels.js';
import { add, div, mul, reciprocal, sqrt, square, sub } from '../../ops/elementwise.js';
import { cast, reshape } from '../../ops/layout.js';
import { groupNorm, instanceNorm } from '../../ops/norm.js';
import { mean, sum } from '../../ops/reduce.js';
import { broadcastShapes, sameShape, showShape, sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned, Value } from '../node.js';
import { heldAs } from '../types.js';
import { chain, peek, tensorOf } from '../values.js';

function checkChannels(node: NodeContext, channels: number, inputs: readonly number[]): void {
  for (const i of inputs) {
    const shape = node.shape(i);
    if (shape.length !== 1 || shape[0] !== channels)
      node.refuse('inputs', `input ${i} must have shape [${channels}], got ${showShape(shape)}`);
  }
}

/** (x − mean)·factor + term, each of these one number per channel: one pass. */
const scaled = (x: Tensor, factor: Tensor, term: Tensor, mean?: Tensor, relu = false): Tensor =>
  affine({ ...byChannel(x.shape), relu }, x.shape, { values: x, factor, mean }, term);

function planBatchNorm(node: NodeContext): Planned {
  const type = node.float(0);
  const held = heldAs(type);
  const shape = node.shape(0);
  if (shape.length < 2)
    node.refuse('inputs', `the input must be (N, C, …), its shape is ${showShape(shape)}`);
  if (node.int('spatial', 1) !== 1)
    node.refuse('spatial', 'spatial = 0 (one mean per position) is not supported');
  checkChannels(node, shape[1], [1, 2, 3, 4]);
  const epsilon = node.number('epsilon', 1e-5);
  if (node.flag('training_mode', false)) return planTraining(node, epsilon);
  if ([1, 2, 3, 4].some((i) => node.wants(i)))
    node.refuse(
      'outputs',
      'only the first output exists outside training',
      'export the model in evaluation mode',
    );
  const outputs = [{ type, shape }];
  const relu = node.fused.activation?.name === 'relu';
  const parameters = [1, 2, 3, 4].map((i) => node.constant(i));
  if (parameters.every((x) => x !== undefined)) {
    const [gamma, beta, average, variance] = parameters.map((x) => peek(x as Tensor));
    const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon));
    const shift = Float64Array.from(beta, (b, c) => b - average[c] * scale[c]);
    const [factor, term] = [scale, shift].map((values) => tensorOf(type, [shape[1]], values));
    return { outputs, run: ([x]) => [scaled(x, factor, term, undefined, relu)] };
  }
  return {
    outputs,
    run: ([x, ...given]) => {
      const [gamma, beta, average, variance] = given.map((v) => cast(v, held));
      return [scaled(x, div(gamma, sqrt(add(variance, epsilon))), beta, average, relu)];
    },
  };
}

/** Mean and variance of this batch; the running ones come out as momentum·old + (1 − momentum)·new. */
function planTraining(node: NodeContext, epsilon: number): Planned {
  const momentum = node.number('momentum', 0.9);
  const shape = node.shape(0);
  const axis = shape.map((_, at) => at).filter((at) => at !== 1);
  const channels = [shape[1]];
  const outputs: Value[] = [
    { type: node.type(0), shape },
    { type: node.type(3), shape: channels },
    { type: node.type(4), shape: channels },
  ];
  if (node.outputs > 3) node.refuse('outputs', `at most 3 outputs, got ${node.outputs}`);
  return {
    outputs: outputs.slice(0, node.outputs),
    run: ([x, gamma, beta, oldMean, oldVariance]) => {
      const average = mean(x, { axis });
      const view = byChannel(shape);
      const variance = mul(channelDot(view, x, average, x, average), 1 / countOf(view));
      const y = scaled(x, div(gamma, sqrt(add(variance, epsilon))), beta, average);
      const follow = (old: Tensor, now: Tensor) => add(mul(old, momentum), mul(now, 1 - momentum));
      return [y, follow(oldMean, average), follow(oldVariance, variance)].slice(0, node.outputs);
    },
  };
}

function planInstanceNorm(node: NodeContext): Planned {
  const shape = node.rank(0, 3, Number.POSITIVE_INFINITY);
  checkChannels(node, shape[1], [1, 2]);
  const eps = node.number('epsilon', 1e-5);
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x, weight, bias]) => [instanceNorm(x, { weight, bias, eps })],
  };
}

/** Scale and bias are per group in operator set 18, per channel since 21. */
function planGroupNorm(node: NodeContext): Planned {
  const shape = node.rank(0, 3, Number.POSITIVE_INFINITY);
  const groups = node.int('num_groups', 0);
  const channels = shape[1];
  if (groups < 1 || channels % groups !== 0)
    node.refuse('num_groups', `num_groups ${groups} must be ≥ 1 and divide the ${channels} channels`);
  const eps = node.number('epsilon', 1e-5);
  node.int('stash_type', 1);
  const own = node.opset >= 21 ? channels : groups;
  checkChannels(node, own, [1, 2]);
  const outputs = [{ type: node.float(0), shape }];
  if (own === channels)
    return { outputs, run: ([x, weight, bias]) => [groupNorm(x, groups, { weight, bias, eps })] };
  const rows = [shape[0], groups, sizeOf(shape.slice(1)) / groups];
  return {
    outputs,
    run: ([x, weight, bias]) => [
      chain(
        groupNorm(reshape(x, rows), groups, { eps }),
        (v) => mul(v, reshape(weight, [1, groups, 1])),
        (v) => add(v, reshape(bias, [1, groups, 1])),
        (v) => reshape(v, shape),
      ),
    ],
  };
}

function planLayerNorm(node: NodeContext): Planned {
  const shape = node.shape(0);
  const first = node.axis(node.int('axis', -1), shape.length);
  const epsilon = node.number('epsilon', 1e-5);
  node.int('stash_type', 1);
  const axis = shape.map((_, at) => at).slice(first);
  for (const input of node.has(2) ? [1, 2] : [1]) {
    const own = node.shape(input);
    if (!sameShape(broadcastShapes(node.label, shape, own), shape))
      node.refuse('inputs', `input ${input} ${showShape(own)} must broadcast to ${showShape(shape)}`);
  }
  const kept = shape.map((n, at) => (at < first ? n : 1));
  const type = node.float(0);
  const outputs: Value[] = [
    { type, shape },
    { type: type === 'float64' ? type : 'float32', shape: kept },
    { type: type === 'float64' ? type : 'float32', shape: kept },
  ];
  return {
    outputs: outputs.slice(0, node.outputs),
    run: ([x, scale, bias]) => {
      const average = mean(x, { axis, keepDims: true });
      const centred = sub(x, average);
      const inverse = chain(
        square(centred),
        (v) => mean(v, { axis, keepDims: true }),
        (v) => add(v, epsilon),
        sqrt,
        reciprocal,
      );
      const y = chain(
        mul(centred, inverse),
        (v) => mul(v, scale),
        (v) => (bias === undefined ? v : add(v, bias)),
      );
      centred.dispose();
      return [y, average, inverse].slice(0, node.outputs);
    },
  };
}

/** Terms of all sums of a local response normalisation, at most: some seconds of work. */
const MOST_TERMS = 2 ** 31;

/** x / (bias + alpha/size · Σ x² over neighbouring channels)^beta */
function planLrn(node: NodeContext): Planned {
  const shape = node.rank(0, 2, Number.POSITIVE_INFINITY);
  const size = node.int('size', 0);
  if (size < 1) node.refuse('size', `attribute size must be ≥ 1, it is ${size}`);
  const [alpha, beta, bias] = [node.number('alpha', 1e-4), node.number('beta', 0.75), node.number('bias', 1)];
  const [outer, channels, ...space] = shape;
  // What sums over so many channels is no network, but a file that means harm.
  const terms = sizeOf(shape) * Math.min(size, channels);
  if (terms > MOST_TERMS)
    node.refuse('size', `sums of ${terms} terms in all, at most ${MOST_TERMS} are taken`);
  const before = Math.floor((size - 1) / 2);
  const attributes = { outer, channels, inner: sizeOf(space), size, before, alpha, beta, bias };
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x]) => [runKernel(operation.channelResponse, [x], attributes, shape)],
  };
}

/** (x − mean) / standard deviation over the axes. */
function planMeanVariance(node: NodeContext): Planned {
  const shape = node.shape(0);
  const axis = node.axes(node.ints('axes') ?? [0, 2, 3], shape.length);
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x]) => {
      const centred = sub(x, mean(x, { axis, keepDims: true }));
      const deviation = chain(
        square(centred),
        (v) => mean(v, { axis, keepDims: true }),
        sqrt,
        (v) => add(v, 1e-9),
      );
      return [chain(centred, (v) => div(v, deviation))];
    },
  };
}

/** x / ‖x‖ₚ along an axis, 0 where the norm is. */
function planLpNorm(node: NodeContext): Planned {
  const shape = node.shape(0);
  const axis = node.axis(node.int('axis', -1), shape.length);
  const p = node.int('p', 2);
  if (p !== 1 && p !== 2) node.refuse('p', `attribute p must be 1 or 2, it is ${p}`);
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x]) => {
      const powers = p === 1 ? sqrt(square(x)) : square(x);
      const total = sum(powers, { axis, keepDims: true });
      const norm = p === 1 ? total : sqrt(total);
      // A zero norm becomes 1: zeros stay zeros.
      const values = Float64Array.from(norm.data, (v) => (v === 0 ? 1 : v));
      return [div(x, tensorOf(x.dtype === 'float64' ? 'float64' : 'float32', norm.shape, values))];
    },
  };
}

const STASH = ['epsilon', 'stash_type'];

export const norms: Readonly<Record<string, Operator>> = {
  BatchNormalization: {
    inputs: [5, 5],
    outputs: 5,
    attributes: ['epsilon', 'momentum', 'spatial', 'training_mode'],
    plan: planBatchNorm,
  },
  InstanceNormalization: { inputs: [3, 3], outputs: 1, attributes: ['epsilon'], plan: planInstanceNorm },
  GroupNormalization: {
    inputs: [3, 3],
    outputs: 1,
    attributes: [...STASH, 'num_groups'],
    plan: planGroupNorm,
  },
  LayerNormalization: { inputs: [2, 3], outputs: 3, attributes: [...STASH, 'axis'], plan: planLayerNorm },
  LRN: { inputs: [1, 1], outputs: 1, attributes: ['alpha', 'beta', 'bias', 'size'], plan: planLrn },
  MeanVarianceNormalization: { inputs: [1, 1], outputs: 1, attributes: ['axes'], plan: planMeanVariance },
  LpNormalization: { inputs: [1, 1], outputs: 1, attributes: ['axis', 'p'], plan: planLpNorm },
};
