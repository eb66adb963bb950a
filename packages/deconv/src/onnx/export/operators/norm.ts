/** Normalisations. Factors and terms that a layer has not are written as ones and zeros where the operator wants them. */
import { refuse } from '../../../errors.js';
import type { Shape } from '../../../shape.js';
import type { TracedOps } from '../../../trace.js';
import { type Emitters, gives, labelOf } from '../emit.js';
import type { Step } from '../program.js';
import type { Writer } from '../writer.js';

type NormName = 'batchNorm' | 'batchNormTraining' | 'instanceNorm' | 'groupNorm' | 'layerNorm';

/** Names of weight and bias, as far as there are any; `first` is the place of the first of them among the inputs. */
function scaleOf(
  w: Writer,
  step: Step,
  first: number,
): { weight: string | undefined; bias: string | undefined } {
  const [{ weight, bias }] = step.attributes as readonly TracedOps[NormName][];
  const names = step.inputs.slice(first).map((value) => w.name(value));
  return { weight: weight ? names[0] : undefined, bias: bias ? names[weight ? 1 : 0] : undefined };
}

/** The same, ones and zeros of `shape` for what is missing. */
function whole(w: Writer, step: Step, first: number, shape: Shape): [string, string] {
  const { weight, bias } = scaleOf(w, step, first);
  const { dtype } = step.outputs[0];
  return [weight ?? w.filled(1, shape, dtype), bias ?? w.filled(0, shape, dtype)];
}

const epsOf = <K extends NormName>(w: Writer, step: Step<K>) => ({
  float: w.fixed(step, 'eps', ({ eps }) => eps),
});

function batchNorm(w: Writer, step: Step<'batchNorm'>): string {
  const [x, mean, variance] = w.inputs(step);
  const [, channels] = step.inputs[0].shapes[0];
  const [scale, term] = whole(w, step, 3, [channels]);
  const label = labelOf(w, step, 1);
  return w.one('BatchNormalization', [x, scale, term, mean, variance], { epsilon: epsOf(w, step) }, label);
}

/** y·weight + bias, one number per channel of (N, C, …). */
function perChannel(w: Writer, step: Step, y: string): string {
  const { weight, bias } = scaleOf(w, step, 1);
  const axes = step.outputs[0].shapes[0].slice(2).map((_, i) => i + 1);
  const column = (name: string) => (axes.length === 0 ? name : w.one('Unsqueeze', [name, w.integers(axes)]));
  const scaled = weight === undefined ? y : w.one('Mul', [y, column(weight)]);
  return bias === undefined ? scaled : w.one('Add', [scaled, column(bias)]);
}

/** By the mean and variance of the batch, which BatchNormalization has only in training. */
function batchStatistics(w: Writer, step: Step<'batchNormTraining'>): string {
  const x = w.name(step.inputs[0]);
  const { dtype, shapes } = step.outputs[0];
  const axes = shapes[0].map((_, axis) => axis).filter((axis) => axis !== 1);
  const mean = (y: string) =>
    w.opset >= 18
      ? w.one('ReduceMean', [y, w.integers(axes)], { keepdims: 1 })
      : w.one('ReduceMean', [y], { axes, keepdims: 1 });
  const centred = w.one('Sub', [x, mean(x)]);
  const variance = mean(w.one('Mul', [centred, centred]));
  const { float: eps } = epsOf(w, step);
  const deviation = w.one('Sqrt', [w.one('Add', [variance, w.scalar(eps, dtype)])]);
  return perChannel(w, step, w.one('Div', [centred, deviation]));
}

function instanceNorm(w: Writer, step: Step<'instanceNorm'>): string {
  const [, channels] = step.inputs[0].shapes[0];
  const [scale, term] = whole(w, step, 1, [channels]);
  const inputs = [w.name(step.inputs[0]), scale, term];
  return w.one('InstanceNormalization', inputs, { epsilon: epsOf(w, step) }, labelOf(w, step, 1));
}

/** Before operator set 21 the groups are made the channels of an instance normalisation. */
function groupNorm(w: Writer, step: Step<'groupNorm'>): string {
  const groups = w.fixed(step, 'groups', (one) => one.groups);
  const x = w.name(step.inputs[0]);
  const { dtype, shapes } = step.outputs[0];
  const epsilon = epsOf(w, step);
  const label = labelOf(w, step, 1);
  if (w.opset >= 21) {
    const inputs = [x, ...whole(w, step, 1, [shapes[0][1]])];
    return w.one('GroupNormalization', inputs, { epsilon, num_groups: groups }, label);
  }
  const grouped = w.one('Reshape', [x, w.integers([0, groups, -1])]);
  const [ones, zeros] = [w.filled(1, [groups], dtype), w.filled(0, [groups], dtype)];
  const normal = w.one('InstanceNormalization', [grouped, ones, zeros], { epsilon }, label);
  return perChannel(w, step, w.one('Reshape', [normal, w.one('Shape', [x])]));
}

function layerNorm(w: Writer, step: Step<'layerNorm'>): string {
  const axes = w.fixed(step, 'axes', (one) => one.axes);
  const last = step.inputs[0].shapes.map((shape) => shape.slice(-axes));
  if (last.some((shape) => shape.join() !== last[0].join()))
    refuse(
      'exportOnnx',
      'dynamic',
      'layerNorm goes over axes of fixed length',
      'leave these axes out of dynamic',
    );
  const { bias } = scaleOf(w, step, 1);
  const [scale] = whole(w, step, 1, last[0]);
  const inputs = [w.name(step.inputs[0]), scale, bias ?? ''];
  return w.one('LayerNormalization', inputs, { axis: -axes, epsilon: epsOf(w, step) }, labelOf(w, step, 1));
}

export const norms: Emitters = {
  batchNorm: gives(batchNorm),
  batchNormTraining: gives(batchStatistics),
  instanceNorm: gives(instanceNorm),
  groupNorm: gives(groupNorm),
  layerNorm: gives(layerNorm),
};
