/**
 * Activations: one input, one output of the same shape, and a formula. Where the library has the function it is used;
 * integers, which some activations take, go element by element.
 */
import {
  clamp,
  elu,
  gelu,
  greater,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  maximum,
  minimum,
  mish,
  mul,
  prelu,
  relu,
  selu,
  sigmoid,
  silu,
  softplus,
  softsign,
  tanh,
  where,
} from '../../ops/elementwise.js';
import { broadcastShapes, sameShape, showShape } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { isFloat } from '../types.js';
import { chain, mapElements } from '../values.js';

/** An operator of one floating-point input, with numbers for attributes. */
function simple(
  attributes: Readonly<Record<string, number>>,
  f: (x: Tensor, p: Record<string, number>) => Tensor,
): Operator {
  return {
    inputs: [1, 1],
    outputs: 1,
    attributes: Object.keys(attributes),
    plan(node) {
      const p = Object.fromEntries(
        Object.entries(attributes).map(([name, other]) => [name, node.number(name, other)]),
      );
      return { outputs: [{ type: node.float(0), shape: node.shape(0) }], run: ([x]) => [f(x, p)] };
    },
  };
}

const SELU_ALPHA = 1.6732632423543772;
const SELU_GAMMA = 1.0507009873554805;
const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6;

/** gamma·(x for x > 0, else alpha·(eˣ − 1)). */
const seluOf = (x: Tensor, { alpha, gamma }: Record<string, number>): Tensor =>
  near(alpha, SELU_ALPHA) && near(gamma, SELU_GAMMA)
    ? selu(x)
    : chain(
        x,
        (v) => elu(v, alpha),
        (v) => mul(v, gamma),
      );

/** max(0, x) + min(0, alpha·(e^(x/alpha) − 1)) = alpha·elu(x/alpha). */
const celuOf = (x: Tensor, { alpha }: Record<string, number>): Tensor =>
  alpha === 1
    ? elu(x)
    : chain(
        x,
        (v) => mul(v, 1 / alpha),
        (v) => elu(v),
        (v) => mul(v, alpha),
      );

function planRelu(node: NodeContext): Planned {
  const type = node.type(0);
  const f = isFloat(type) ? relu : (x: Tensor) => mapElements(x, type, (v) => Math.max(v, 0));
  return { outputs: [{ type, shape: node.shape(0) }], run: ([x]) => [f(x)] };
}

/** min(max(x, low), high); with low > high everything becomes high. The ends are attributes before operator set 11, then inputs. */
function planClip(node: NodeContext): Planned {
  const type = node.sameType(0, 1, 2);
  const outputs = [{ type, shape: node.shape(0) }];
  const later = [1, 2].filter((i) => node.has(i) && node.constant(i) === undefined);
  if (later.length > 0 && isFloat(type)) {
    for (const i of [1, 2]) if (node.has(i) && node.shape(i).join() !== '') node.known(i);
    return {
      outputs,
      run: ([x, low, high]) => [
        chain(
          x,
          (v) => (low === undefined ? v : maximum(v, low)),
          (v) => (high === undefined ? v : minimum(v, high)),
        ),
      ],
    };
  }
  const low = node.knownScalar(1, node.number('min', Number.NEGATIVE_INFINITY));
  const max = node.knownScalar(2, node.number('max', Number.POSITIVE_INFINITY));
  const min = Math.min(low, max);
  const f = isFloat(type)
    ? (x: Tensor) => clamp(x, { min, max })
    : (x: Tensor) => mapElements(x, type, (v) => Math.min(Math.max(v, min), max));
  return { outputs, run: ([x]) => [f(x)] };
}

/** x for x ≥ 0, else slope·x; the slope broadcasts to x. */
function planPRelu(node: NodeContext): Planned {
  const type = node.sameType(0, 1);
  const [shape, slopes] = [node.shape(0), node.shape(1)];
  if (!sameShape(broadcastShapes(node.label, shape, slopes), shape))
    node.refuse('inputs', `the slope ${showShape(slopes)} must broadcast to the input ${showShape(shape)}`);
  const outputs = [{ type, shape }];
  const run = isFloat(type)
    ? (x: Tensor, slope: Tensor) => prelu(x, slope)
    : (x: Tensor, slope: Tensor) => where(greater(x, -1), x, mul(x, slope));
  return { outputs, run: ([x, slope]) => [run(x, slope)] };
}

/** Or x·sigmoid(x), where the product has been taken in. */
function planSigmoid(node: NodeContext): Planned {
  const f = node.fused.activation === undefined ? sigmoid : silu;
  return { outputs: [{ type: node.float(0), shape: node.shape(0) }], run: ([x]) => [f(x)] };
}

function planGelu(node: NodeContext): Planned {
  const approximate = node.choice('approximate', ['none', 'tanh'], 'none');
  return {
    outputs: [{ type: node.float(0), shape: node.shape(0) }],
    run: ([x]) => [gelu(x, { approximate })],
  };
}

export const activations: Readonly<Record<string, Operator>> = {
  Relu: { inputs: [1, 1], outputs: 1, attributes: [], plan: planRelu },
  LeakyRelu: simple({ alpha: 0.01 }, (x, { alpha }) => leakyRelu(x, alpha)),
  Elu: simple({ alpha: 1 }, (x, { alpha }) => elu(x, alpha)),
  Selu: simple({ alpha: SELU_ALPHA, gamma: SELU_GAMMA }, seluOf),
  Celu: simple({ alpha: 1 }, celuOf),
  Sigmoid: { inputs: [1, 1], outputs: 1, attributes: [], plan: planSigmoid },
  Tanh: simple({}, tanh),
  Softplus: simple({}, softplus),
  Softsign: simple({}, softsign),
  HardSigmoid: simple({ alpha: 0.2, beta: 0.5 }, (x, { alpha, beta }) => hardSigmoid(x, { alpha, beta })),
  HardSwish: simple({}, hardSwish),
  Gelu: { inputs: [1, 1], outputs: 1, attributes: ['approximate'], plan: planGelu },
  Mish: simple({}, mish),
  Swish: simple({ alpha: 1 }, (x, { alpha }) =>
    alpha === 1
      ? silu(x)
      : chain(
          x,
          (v) => mul(v, alpha),
          sigmoid,
          (v) => mul(v, x),
        ),
  ),
  PRelu: { inputs: [2, 2], outputs: 1, attributes: [], plan: planPRelu },
  ThresholdedRelu: simple({ alpha: 1 }, (x, { alpha }) => chain(greater(x, alpha), (v) => mul(v, x))),
  Shrink: simple({ bias: 0, lambd: 0.5 }, (x, { bias, lambd }) =>
    mapElements(x, x.dtype === 'float64' ? 'float64' : 'float32', (v) =>
      v < -lambd ? v + bias : v > lambd ? v - bias : 0,
    ),
  ),
  Clip: { inputs: [1, 3], outputs: 1, attributes: ['min', 'max'], plan: planClip },
};
