/**
 * The convolution family by its definition. All three kernels are readings of one relation between x, w and y:
 *
 *     y[n, o, q]  ~  x[n, i, q·s + u·d − pb] · w[o, i, u]        (o and i in the same group)
 *
 * forward adds x·w into y, inputGrad adds y·w into x, weightGrad adds x·y into w. So there is one loop nest, written
 * once, and three innermost lines. Sums are float64 whatever the number type, and rounded once at the end.
 */
import type { Activation, ConvAttributes } from '../../backend.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { coveragePlane } from '../../geometry/coverage.js';
import { inThreeAxes } from '../../geometry/three-axes.js';
import { sizeOf } from '../../shape.js';
import { clamp, leakyRelu, sigmoid, tanh } from './unary.js';

type Values = ArrayLike<number>;
type Reading = 'forward' | 'inputGrad' | 'weightGrad';

/** The outputs q of one axis whose tap u falls inside the input: 0 ≤ q·s + u·d − pb < n. First and one past the last. */
function inside(u: number, n: number, out: number, s: number, d: number, pb: number): [number, number] {
  const shift = u * d - pb;
  return [Math.max(0, Math.ceil(-shift / s)), Math.min(out, Math.floor((n - 1 - shift) / s) + 1)];
}

function relate(reading: Reading, g: ConvGeometry, a: Values, b: Values, sum: Float64Array): void {
  const [x, y, kernel, stride, dilation, padBefore] = inThreeAxes(g);
  const [xd, xh, xw] = x;
  const [yd, yh, yw] = y;
  const [kd, kh, kw] = kernel;
  const [sd, sh, sw] = stride;
  const [dd, dh, dw] = dilation;
  const [pd, ph, pw] = padBefore;
  const inputs = g.xChannels / g.groups;
  const outputs = g.yChannels / g.groups;
  for (let n = 0; n < g.batch; n++) {
    for (let o = 0; o < g.yChannels; o++) {
      const firstInput = Math.floor(o / outputs) * inputs;
      for (let i = 0; i < inputs; i++) {
        const xPlane = (n * g.xChannels + firstInput + i) * xd * xh * xw;
        const yPlane = (n * g.yChannels + o) * yd * yh * yw;
        const wPlane = (o * inputs + i) * kd * kh * kw;
        for (let uz = 0; uz < kd; uz++) {
          const [z0, z1] = inside(uz, xd, yd, sd, dd, pd);
          for (let uy = 0; uy < kh; uy++) {
            const [y0, y1] = inside(uy, xh, yh, sh, dh, ph);
            for (let ux = 0; ux < kw; ux++) {
              const [x0, x1] = inside(ux, xw, yw, sw, dw, pw);
              const wAt = wPlane + (uz * kh + uy) * kw + ux;
              for (let qz = z0; qz < z1; qz++) {
                for (let qy = y0; qy < y1; qy++) {
                  const yRow = yPlane + (qz * yh + qy) * yw;
                  const xRow =
                    xPlane + ((qz * sd + uz * dd - pd) * xh + qy * sh + uy * dh - ph) * xw + ux * dw - pw;
                  if (reading === 'forward') {
                    const weight = b[wAt];
                    for (let qx = x0; qx < x1; qx++) sum[yRow + qx] += a[xRow + qx * sw] * weight;
                  } else if (reading === 'inputGrad') {
                    const weight = b[wAt];
                    for (let qx = x0; qx < x1; qx++) sum[xRow + qx * sw] += a[yRow + qx] * weight;
                  } else {
                    let total = 0;
                    for (let qx = x0; qx < x1; qx++) total += a[xRow + qx * sw] * b[yRow + qx];
                    sum[wAt] += total;
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

const ACTIVATIONS = { leakyRelu, clamp, sigmoid, tanh, prelu: leakyRelu };

/** What it does to a number. */
const functionOf = (activation: Activation) =>
  activation.fn === 'own' ? activation.own.reference[0] : ACTIVATIONS[activation.fn][0];

/** What is done to each output before it is rounded: divide by coverage, add bias and residual, apply the activation. */
function finish(
  sum: Float64Array,
  channels: number,
  plane: number,
  inputs: readonly Values[],
  coverage: Float64Array | undefined,
  attributes: ConvAttributes,
): void {
  const { activation } = attributes;
  const f = activation && functionOf(activation);
  const bias = attributes.bias ? inputs[2] : undefined;
  const last = inputs[inputs.length - 1];
  const [slopes, residual] = attributes.residual ? [[], last] : [last, undefined];
  for (let at = 0, row = 0; at < sum.length; row++) {
    const parameters = activation?.fn === 'prelu' ? [slopes[row % channels]] : (activation?.parameters ?? []);
    const add = bias === undefined ? 0 : bias[row % channels];
    for (let i = 0; i < plane; i++, at++) {
      // A pixel that nothing reaches is 0 before the bias, not 0/0.
      if (coverage !== undefined && coverage[i] > 1) sum[at] /= coverage[i];
      sum[at] += add + (residual?.[at] ?? 0);
      if (f !== undefined) sum[at] = f(sum[at], parameters);
    }
  }
}

/** The data after what it goes through first. */
function through(x: Values, { before }: ConvAttributes): Values {
  return before === undefined
    ? x
    : Float64Array.from(x, (value) => functionOf(before)(value, before.parameters));
}

/** Two inputs of so many pictures as one: of each picture the channels of one, then of the other. */
function joined(a: Values, b: Values, batch: number): Float64Array {
  const [each, more] = [a.length / batch, b.length / batch];
  const x = new Float64Array(a.length + b.length);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < each; i++) x[n * (each + more) + i] = a[n * each + i];
    for (let i = 0; i < more; i++) x[n * (each + more) + each + i] = b[n * more + i];
  }
  return x;
}

/** (x, w, bias?, slopes or residual?, more channels of x?) → y */
export function convForward(given: readonly Values[], attributes: ConvAttributes): Float64Array {
  const { geometry: g, split } = attributes;
  const inputs = split === undefined ? given : given.slice(0, -1);
  const [first, w] = inputs;
  const x = through(
    split === undefined ? first : joined(first, given[given.length - 1], g.batch),
    attributes,
  );
  const plane = sizeOf(g.ySize);
  const sum = new Float64Array(g.batch * g.yChannels * plane);
  relate('forward', g, x, w, sum);
  finish(sum, g.yChannels, plane, inputs, undefined, attributes);
  return sum;
}

/** (y, w, bias?, slopes or residual?) → x */
export function convInputGrad(inputs: readonly Values[], attributes: ConvAttributes): Float64Array {
  const { geometry: g, average } = attributes;
  const [given, w] = inputs;
  const y = through(given, attributes);
  const plane = sizeOf(g.xSize);
  const sum = new Float64Array(g.batch * g.xChannels * plane);
  relate('inputGrad', g, y, w, sum);
  const coverage = average ? coveragePlane(g) : undefined;
  finish(sum, g.xChannels, plane, inputs, coverage, attributes);
  return sum;
}

/** (x, y) → w */
export function convWeightGrad([x, y]: readonly Values[], { geometry: g }: ConvAttributes): Float64Array {
  const sum = new Float64Array(g.yChannels * (g.xChannels / g.groups) * sizeOf(g.kernelSize));
  relate('weightGrad', g, x, y, sum);
  return sum;
}
