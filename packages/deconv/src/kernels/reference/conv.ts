/**
 * The convolution family by its definition. All three kernels are readings of one relation between x, w and y:
 *
 *     y[n, o, q]  ~  x[n, i, q·s + u·d − pb] · w[o, i, u]        (o and i in the same group)
 *
 * forward adds x·w into y, inputGrad adds y·w into x, weightGrad adds x·y into w. So there is one loop nest, written
 * once, and three innermost lines. Sums are float64 whatever the number type, and rounded once at the end.
 */
import type { ConvAttributes } from '../../backend.js';
import { type ConvGeometry, weightShapeOf, xShapeOf, yShapeOf } from '../../geometry/conv.js';
import { coveragePlane } from '../../geometry/coverage.js';
import { inThreeAxes } from '../../geometry/three-axes.js';
import { type Shape, sizeOf } from '../../shape.js';
import { held, leaky, logistic } from './unary.js';

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

/** What becomes of the sum of an output, given its channel and its place. */
export type Ending = (sum: number, channel: number, at: number) => number;

function ended(sums: Float64Array, shape: Shape, end: Ending, coverage?: Float64Array): Float64Array {
  const plane = sizeOf(shape.slice(2));
  // A pixel that nothing reaches is 0 before the bias, not 0/0.
  const averaged = (sum: number, at: number) => sum / Math.max(1, coverage?.[at % plane] ?? 1);
  return sums.map((sum, at) => end(averaged(sum, at), Math.floor(at / plane) % shape[1], at));
}

/** What sums depend on. */
type Sums = Pick<ConvAttributes, 'geometry' | 'average'>;

/** y, each of its values ended. */
export function forward(x: Values, w: Values, { geometry }: Sums, end: Ending): Float64Array {
  const shape = yShapeOf(geometry);
  const sums = new Float64Array(sizeOf(shape));
  relate('forward', geometry, x, w, sums);
  return ended(sums, shape, end);
}

/** x, each of its values divided by its coverage, if that is asked for, and ended. */
export function inputGrad(y: Values, w: Values, attributes: Sums, end: Ending): Float64Array {
  const { geometry, average } = attributes;
  const shape = xShapeOf(geometry);
  const sums = new Float64Array(sizeOf(shape));
  relate('inputGrad', geometry, y, w, sums);
  return ended(sums, shape, end, average ? coveragePlane(geometry) : undefined);
}

export const ACTIVATIONS = { leakyRelu: leaky, clamp: held, sigmoid: logistic, tanh: Math.tanh };

/** Bias added, activation applied. */
function ending({ activation }: ConvAttributes, bias: Values | undefined): Ending {
  const f = activation && ACTIVATIONS[activation.fn];
  return (sum, channel) => {
    const value = sum + (bias?.[channel] ?? 0);
    return f ? f(value, activation.parameters) : value;
  };
}

/** (x, w, bias?) → y */
export function convForward([x, w, bias]: readonly Values[], attributes: ConvAttributes): Float64Array {
  return forward(x, w, attributes, ending(attributes, bias));
}

/** (y, w, bias?) → x */
export function convInputGrad([y, w, bias]: readonly Values[], attributes: ConvAttributes): Float64Array {
  return inputGrad(y, w, attributes, ending(attributes, bias));
}

/** (x, y) → w */
export function convWeightGrad([x, y]: readonly Values[], { geometry }: ConvAttributes): Float64Array {
  const sums = new Float64Array(sizeOf(weightShapeOf(geometry)));
  relate('weightGrad', geometry, x, y, sums);
  return sums;
}
