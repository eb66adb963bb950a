/**
 * Convolutions. Fused activations become nodes of their own. What ONNX has not is made of what it has:
 *
 *     negative padding   a Pad before a Conv (which crops), or behind a ConvTranspose without bias (which extends)
 *     overlap 'average'  ConvTranspose without bias · 1/coverage + bias; the coverage is a constant, or for open sizes the
 *                        ConvTranspose of ones by ones
 *     unfold, fold       Conv and ConvTranspose of each channel by the unit kernels
 */
import type { Activation } from '../../../backend.js';
import { refuse } from '../../../errors.js';
import { convTransposeAxis, kernelExtent } from '../../../geometry/axis.js';
import type { ConvGeometry } from '../../../geometry/conv.js';
import { coveragePlane } from '../../../geometry/coverage.js';
import type { WindowGeometry } from '../../../geometry/window.js';
import { sizeOf } from '../../../shape.js';
import type { DType } from '../../../tensor.js';
import { type Emitters, gives, labelOf } from '../emit.js';
import type { Step } from '../program.js';
import type { Attribute } from '../proto.js';
import type { Writer } from '../writer.js';
import { clip } from './elementwise.js';

type ConvName = 'conv.forward' | 'convSame' | 'conv.inputGrad';
type Attributes = Record<string, Attribute>;

/** The node of a function at the end of a convolution. */
function activated(w: Writer, x: string, activation: Activation | undefined, dtype: DType): string {
  if (activation === undefined) return x;
  const { fn, parameters } = activation;
  if (fn === 'clamp') return clip(w, x, parameters[0], parameters[1], dtype);
  if (fn === 'leakyRelu') return w.one('LeakyRelu', [x], { alpha: { float: parameters[0] } });
  return w.one(fn === 'sigmoid' ? 'Sigmoid' : 'Tanh', [x]);
}

const held = (pads: readonly number[]) => pads.map((pad) => Math.max(0, pad));
const anyNegative = (pads: readonly number[]) => pads.some((pad) => pad < 0);

/** Padding of the spatial axes by zeros; negative amounts cut off. */
function padSpace(w: Writer, x: string, before: readonly number[], after: readonly number[]): string {
  return w.one('Pad', [x, w.integers([0, 0, ...before, 0, 0, ...after])], { mode: 'constant' });
}

/** What both kinds of node say alike. */
function common<K extends ConvName>(w: Writer, step: Step<K>): Attributes {
  const pick = (what: string, of: (g: ConvGeometry) => readonly number[]) => [
    ...w.fixed(step, what, ({ geometry }) => of(geometry)),
  ];
  return {
    kernel_shape: pick('kernelSize', (g) => g.kernelSize),
    strides: pick('stride', (g) => g.stride),
    dilations: pick('dilation', (g) => g.dilation),
    group: w.fixed(step, 'groups', ({ geometry }) => geometry.groups),
  };
}

/** True for padding 'same' that another size of the input would change: the runtime has to work it out. */
function padsBySize(step: Step<ConvName>): boolean {
  if (step.name !== 'convSame') return false;
  const { stride } = step.attributes[0].geometry;
  const { shapes } = step.inputs[0];
  return stride.some((s, a) => s > 1 && shapes.some((shape) => shape[a + 2] !== shapes[0][a + 2]));
}

function conv<K extends ConvName>(w: Writer, step: Step<K>): string {
  const [{ activation, geometry }] = step.attributes;
  const attributes = common(w, step);
  const names = w.inputs(step);
  if (padsBySize(step)) {
    if (geometry.dilation.some((d) => d > 1)) {
      refuse(
        'exportOnnx',
        'dynamic',
        "conv with padding 'same', a stride and a dilation pads by the size of its input, which runtimes do not do",
        'leave the spatial axes out of dynamic, or give the padding in numbers',
      );
    }
    attributes['auto_pad'] = 'SAME_UPPER';
  } else {
    const pads = w.fixed(step, 'padding', ({ geometry: g }) => [...g.padBefore, ...g.padAfter]);
    const cut = pads.map((amount) => Math.min(0, amount));
    if (anyNegative(pads))
      names[0] = padSpace(w, names[0], cut.slice(0, geometry.rank), cut.slice(geometry.rank));
    attributes['pads'] = held(pads);
  }
  const output = w.one('Conv', names, attributes, labelOf(w, step, 1));
  return activated(w, output, activation, step.outputs[0].dtype);
}

/** Rows cut off after the last, less the outputPadding: what the sizes leave. */
function cropAfter(g: ConvGeometry): number[] {
  return g.ySize.map((n, a) => {
    const whole = convTransposeAxis(
      n,
      g.kernelSize[a],
      g.stride[a],
      g.dilation[a],
      { before: 0, after: 0 },
      0,
    );
    return whole - g.padBefore[a] - g.xSize[a];
  });
}

/** The crop of a transposed convolution in ONNX's words, and what is left to be padded behind it. */
function crops(g: ConvGeometry): {
  pads: number[];
  outputPadding: number[];
  before: number[];
  after: number[];
} {
  const crop = cropAfter(g);
  // As it was given, where that can be said: padding after, and outputPadding, which takes some of it back.
  const said = crop.map((amount, a) => {
    const extra = g.padAfter[a] - amount;
    return g.padAfter[a] >= 0 && extra > 0 && extra < g.stride[a] ? extra : 0;
  });
  return {
    pads: held([...g.padBefore, ...crop.map((amount, a) => amount + said[a])]),
    outputPadding: said,
    before: g.padBefore.map((p) => Math.max(0, -p)),
    after: crop.map((amount, a) => Math.max(0, -(amount + said[a]))),
  };
}

/** 1/coverage, to multiply with: a constant, or worked out for the size of the input. 1 where nothing reaches and 0 stays 0. */
function reciprocalCoverage(
  w: Writer,
  step: Step<'conv.inputGrad'>,
  attributes: Attributes,
  extend: (y: string) => string,
): string {
  const { dtype } = step.outputs[0];
  const geometries = step.attributes.map(({ geometry }) => geometry);
  const [g] = geometries;
  if (geometries.every(({ ySize }) => `${ySize}` === `${g.ySize}`)) {
    const values = Array.from(coveragePlane(g), (count) => 1 / Math.max(1, count));
    return w.numbers(values, [1, 1, ...g.xSize], dtype);
  }
  const ones = [1, 1].map((n) => geometries.map(() => n));
  const space = g.ySize.map((_, a) => geometries.map(({ ySize }) => ySize[a]));
  const plane = w.one('Expand', [w.scalar(1, dtype), w.lengths([...ones, ...space], step.inputs)]);
  const kernel = w.filled(1, [1, 1, ...g.kernelSize], dtype);
  const counts = extend(w.one('ConvTranspose', [plane, kernel], { ...attributes, group: 1 }));
  return w.one('Reciprocal', [w.one('Max', [counts, w.scalar(1, dtype)])]);
}

function convTranspose(w: Writer, step: Step<'conv.inputGrad'>): string {
  const [{ activation, average, bias }] = step.attributes;
  const [x, weight, term] = w.inputs(step);
  const { pads, outputPadding, before, after } = w.fixed(step, 'padding', ({ geometry }) => crops(geometry));
  const attributes: Attributes = { ...common(w, step), pads };
  if (outputPadding.some((n) => n > 0)) attributes['output_padding'] = outputPadding;
  const extended = [...before, ...after].some((amount) => amount > 0);
  const extend = (y: string) => (extended ? padSpace(w, y, before, after) : y);
  // What comes between the sum and the bias takes the bias out of the node.
  const whole = !average && !extended;
  const inputs = whole && bias ? [x, weight, term] : [x, weight];
  let y = extend(w.one('ConvTranspose', inputs, attributes, labelOf(w, step, 1)));
  if (average) y = w.one('Mul', [y, reciprocalCoverage(w, step, attributes, extend)]);
  if (bias && !whole) {
    const axes = before.map((_, a) => a + 1);
    y = w.one('Add', [y, w.one('Unsqueeze', [term, w.integers(axes)])]);
  }
  return activated(w, y, activation, step.outputs[0].dtype);
}

/** The unit kernels of every channel: (C·|k|, 1, …k), one 1 in each. */
function unitKernels(w: Writer, g: WindowGeometry, dtype: DType): string {
  const taps = sizeOf(g.kernelSize);
  const values = new Float32Array(g.channels * taps * taps);
  for (let row = 0; row < g.channels * taps; row++) values[row * taps + (row % taps)] = 1;
  return w.numbers(values, [g.channels * taps, 1, ...g.kernelSize], dtype);
}

function windowAttributes(w: Writer, step: Step<'unfold'> | Step<'fold'>): Attributes {
  const plain = step as Step<'unfold'>;
  const pick = (what: 'kernelSize' | 'stride' | 'dilation' | 'padding') => [
    ...w.fixed(plain, what, (g) => g[what]),
  ];
  const padding = pick('padding');
  return {
    kernel_shape: pick('kernelSize'),
    strides: pick('stride'),
    dilations: pick('dilation'),
    pads: [...padding, ...padding],
    group: step.attributes[0].channels,
  };
}

function unfold(w: Writer, step: Step<'unfold'>): string {
  const [g] = step.attributes;
  const kernels = unitKernels(w, g, step.outputs[0].dtype);
  const columns = w.one('Conv', [w.name(step.inputs[0]), kernels], windowAttributes(w, step));
  return w.one('Reshape', [columns, w.integers([0, 0, -1])]);
}

/** Col2Im, or before it came (operator set 18) a ConvTranspose. */
function fold(w: Writer, step: Step<'fold'>): string {
  const [g] = step.attributes;
  const [columns] = w.inputs(step);
  const { group: _, kernel_shape: __, ...attributes } = windowAttributes(w, step);
  if (w.opset >= 18) {
    const size = w.lengths(w.axes(step.attributes.map((one) => one.inputSize)), step.inputs);
    return w.one('Col2Im', [columns, size, w.integers(g.kernelSize)], attributes);
  }
  const same = step.attributes.every(({ inputSize }) => `${inputSize}` === `${g.inputSize}`);
  if (!same) {
    refuse(
      'exportOnnx',
      'opset',
      'fold to a size that depends on the input needs operator set 18',
      'exportOnnx(…, { opset: 18 })',
    );
  }
  const rest = g.inputSize.map((n, a) => {
    const reach = (g.outputSize[a] - 1) * g.stride[a] + kernelExtent(g.kernelSize[a], g.dilation[a]);
    return n + 2 * g.padding[a] - reach;
  });
  const rows = g.channels * sizeOf(g.kernelSize);
  const planes = w.one('Reshape', [columns, w.integers([0, rows, ...g.outputSize])]);
  return w.one('ConvTranspose', [planes, unitKernels(w, g, step.outputs[0].dtype)], {
    ...windowAttributes(w, step),
    output_padding: rest,
  });
}

export const convolutions: Emitters = {
  'conv.forward': gives(conv),
  convSame: gives(conv),
  'conv.inputGrad': gives(convTranspose),
  unfold: gives(unfold),
  fold: gives(fold),
};
