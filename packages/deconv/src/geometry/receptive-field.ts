/**
 * receptive-field: which part of a network's input one value of its output can see.
 *
 * For convolutions and pooling the formulas are, from the first layer to the last, with e = d(k−1)+1,
 *
 *     size ← size + (e − 1)·jump        start ← start − pb·jump        jump ← jump·s
 *
 * beginning with size 1, start 0, jump 1: output o sees the inputs start + o·jump … start + o·jump + size − 1.
 *
 * Through a transposed convolution or an upsampling the field depends on the *phase* of the output (its index modulo the
 * stride): neighbouring outputs see more or fewer inputs, and the jump is a fraction. So the record kept here per axis is exact
 * rather than a formula: a period P and, for each output o = ρ + m·P, the first and the last input that phase ρ sees,
 * moving by Q inputs per m. The jump is Q/P as a reduced fraction, `size` the largest of the phases' sizes. The fields are
 * those of an endless input: borders cut them, padding makes the cut part see zeros. A field is the span from the first to
 * the last input seen; dilation may leave holes inside it.
 *
 * Refuses unknown layer types and options, and stacks whose period exceeds 65536.
 *
 * Source: A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill 2019
 * (the recurrences above); the phases of transposed layers are the taps of phases.ts.
 */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { type PerAxis, perAxis } from '../shape.js';
import { convAxis, convTransposeAxis, type Pad, padConvTransposeTo, samePadConv } from './axis.js';
import { type Padding, readPadding } from './conv.js';
import { phasesOfAxis } from './phases.js';
import { windowAxis } from './window.js';

/** The kinds of layer a field is followed through. */
export type FieldType = 'conv' | 'pool' | 'convTranspose' | 'upsample';

/** One layer of a stack, as far as its geometry goes. Layers without an extent (activations, norms) are left out. */
export interface FieldLayer {
  /** Default 'conv'. */
  readonly type?: FieldType | undefined;
  /** Shown in the result. */
  readonly name?: string | undefined;
  /** conv, pool, convTranspose. */
  readonly kernelSize?: PerAxis | undefined;
  /** Default 1; for pool the kernelSize. */
  readonly stride?: PerAxis | undefined;
  readonly padding?: Padding | undefined;
  readonly dilation?: PerAxis | undefined;
  /** convTranspose only. */
  readonly outputPadding?: PerAxis | undefined;
  /** pool only: as in PyTorch. */
  readonly ceilMode?: boolean | undefined;
  /** upsample only: a whole number per axis. */
  readonly factor?: PerAxis | undefined;
  /** upsample only: 'nearest' (default) sees one input, 'linear' (half-pixel centres) up to two. */
  readonly mode?: 'nearest' | 'linear' | undefined;
}

/** What an output sees along one axis. Positions are indices of the network's input; negative lies in the padding. */
export interface AxisField {
  /** The largest field among the phases. */
  readonly size: number;
  /** How far the field moves per output: numerator / denominator inputs, reduced. */
  readonly jump: { readonly numerator: number; readonly denominator: number };
  /** The first and the last input that output 0 sees; null when no tap reaches it. */
  readonly start: number | null;
  readonly end: number | null;
  /** (start + end) / 2: the centre of output 0's field. */
  readonly centre: number | null;
  /** How far the first field sticks out before the input: −start; what the whole stack pads before. */
  readonly padding: number | null;
  /** First and last input seen by outputs 0 … P−1; output o sees that of o mod P, moved by jump·P·floor(o / P). */
  readonly phases: readonly { readonly start: number | null; readonly end: number | null }[];
}

/** The field after one layer. */
export interface FieldStep {
  readonly name: string;
  readonly type: FieldType;
  readonly axes: readonly AxisField[];
  /** Present when inputSize was given. */
  readonly outputSize: readonly number[] | undefined;
}

/** The field of a whole stack. */
export interface ReceptiveField {
  readonly rank: number;
  /** After the last layer. */
  readonly axes: readonly AxisField[];
  readonly outputSize: readonly number[] | undefined;
  /** After each layer. */
  readonly steps: readonly FieldStep[];
}

/** Settings of {@link receptiveField}. */
export interface ReceptiveFieldOptions {
  /** Input size per axis: gives output sizes, and is needed for a convolution's padding 'same' at stride > 1. */
  readonly inputSize?: PerAxis | undefined;
  /** 1 to 3. Default: as the arrays say, else 2. */
  readonly rank?: number | undefined;
}

/** P phases, moving by Q; first > last marks a phase that sees nothing. */
interface Field {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly shift: number;
}

const MAX_PERIOD = 65536;
const NAME = 'receptiveField';
const OPTIONS: Readonly<Record<FieldType, readonly string[]>> = {
  conv: ['kernelSize', 'stride', 'padding', 'dilation'],
  pool: ['kernelSize', 'stride', 'padding', 'dilation', 'ceilMode'],
  convTranspose: ['kernelSize', 'stride', 'padding', 'dilation', 'outputPadding'],
  upsample: ['factor', 'mode'],
};

function gcd(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

/** The field of outputs 0 … period−1, each of which reads the elements `reads(o)` of the layer before. */
function through(
  before: Field,
  period: number,
  shift: number,
  reads: (o: number) => readonly number[],
): Field {
  if (period > MAX_PERIOD) {
    refuse(NAME, 'layers', `the fields would repeat only after ${period} outputs, must be ≤ ${MAX_PERIOD}`);
  }
  const p = before.first.length;
  const first = new Array<number>(period).fill(Number.POSITIVE_INFINITY);
  const last = new Array<number>(period).fill(Number.NEGATIVE_INFINITY);
  for (let o = 0; o < period; o++) {
    for (const i of reads(o)) {
      const m = Math.floor(i / p);
      first[o] = Math.min(first[o], before.first[i - m * p] + m * before.shift);
      last[o] = Math.max(last[o], before.last[i - m * p] + m * before.shift);
    }
  }
  return { first, last, shift };
}

/** Windows of stride s: output o reads elements o·s − pb + u·d. P outputs later, s·P elements later. */
function throughWindow(before: Field, k: number, s: number, d: number, padBefore: number): Field {
  const p = before.first.length;
  const period = p / gcd(p, s);
  const taps = Array.from({ length: k }, (_, u) => u * d - padBefore);
  return through(before, period, (before.shift * s * period) / p, (o) => taps.map((tap) => o * s + tap));
}

/** Phases: output o = r + s·m reads elements m + offset_r. */
function throughPhases(before: Field, offsets: readonly (readonly number[])[]): Field {
  const s = offsets.length;
  return through(before, s * before.first.length, before.shift, (o) => {
    const m = Math.floor(o / s);
    return offsets[o - m * s].map((offset) => m + offset);
  });
}

function describe(field: Field): AxisField {
  const common = gcd(field.shift, field.first.length);
  const seen = (value: number) => (Number.isFinite(value) ? value + 0 : null);
  const phases = field.first.map((first, o) =>
    Object.freeze({ start: seen(first), end: seen(field.last[o]) }),
  );
  const { start, end } = phases[0];
  return Object.freeze({
    size: Math.max(0, ...field.first.map((first, o) => field.last[o] - first + 1)),
    jump: Object.freeze({ numerator: field.shift / common, denominator: field.first.length / common }),
    start,
    end,
    centre: start === null || end === null ? null : (start + end) / 2,
    padding: start === null ? null : 0 - start,
    phases: Object.freeze(phases),
  });
}

/** The rank: given, or told by the first array found. */
function readRank(layers: readonly FieldLayer[], options: ReceptiveFieldOptions): number {
  const told = [
    options.inputSize,
    ...layers.flatMap((l) => [l?.kernelSize, l?.stride, l?.padding, l?.dilation, l?.factor]),
  ];
  const array = told.find((value): value is readonly number[] => Array.isArray(value));
  const rank = options.rank ?? array?.length ?? 2;
  if (rank !== 1 && rank !== 2 && rank !== 3)
    refuse(NAME, 'rank', `rank must be 1, 2 or 3, got ${show(rank)}`);
  return rank;
}

/** One layer on one axis: the field after it and, when the size before is known, the size after. */
type Step = (field: Field, axis: number, n: number | undefined) => { field: Field; out: number | undefined };

function readUpsample(where: string, layer: FieldLayer, rank: number): Step {
  const factor = perAxis(
    where,
    'factor',
    layer.factor ?? refuse(where, 'factor', 'factor is required'),
    rank,
    1,
  );
  const mode = layer.mode ?? 'nearest';
  checkName(where, 'mode', mode, ['nearest', 'linear']);
  return (field, axis, n) => {
    const f = factor[axis];
    const offsets = Array.from({ length: f }, (_, r) => {
      // Half-pixel centres: output r of element 0 lies at (r + ½)/f − ½ between elements.
      const place = (2 * r + 1 - f) / (2 * f);
      return mode === 'nearest' ? [0] : [Math.floor(place), Math.ceil(place)];
    });
    return { field: throughPhases(field, offsets), out: n === undefined ? undefined : n * f };
  };
}

function readWindow(where: string, type: FieldType, layer: FieldLayer, rank: number): Step {
  const kernel = perAxis(
    where,
    'kernelSize',
    layer.kernelSize ?? refuse(where, 'kernelSize', 'kernelSize is required'),
    rank,
    1,
  );
  const stride = perAxis(where, 'stride', layer.stride ?? (type === 'pool' ? kernel : 1), rank, 1);
  const dilation = perAxis(where, 'dilation', layer.dilation ?? 1, rank, 1);
  const extra = perAxis(where, 'outputPadding', layer.outputPadding ?? 0, rank, 0);
  const pads = readPadding(where, layer.padding, rank);
  const ceilMode = layer.ceilMode ?? false;
  if (typeof ceilMode !== 'boolean')
    refuse(where, 'ceilMode', `ceilMode must be true or false, got ${show(ceilMode)}`);
  return (field, axis, n) => {
    const [k, s, d] = [kernel[axis], stride[axis], dilation[axis]];
    if (type === 'convTranspose') {
      if (extra[axis] >= Math.max(s, d)) {
        refuse(
          where,
          'outputPadding',
          `outputPadding ${extra[axis]} must be < max(stride ${s}, dilation ${d})`,
        );
      }
      const pad = pads === 'same' ? padConvTransposeTo((n ?? 1) * s, n ?? 1, k, s, d) : pads[axis];
      const offsets = phasesOfAxis(n ?? 1, k, s, d, pad.before, 1).map((phase) => phase.offsets);
      const out = n === undefined ? undefined : convTransposeAxis(n, k, s, d, pad, extra[axis]);
      return { field: throughPhases(field, offsets), out };
    }
    if (pads === 'same' && s > 1 && n === undefined) {
      refuse(where, 'padding', "padding 'same' at stride > 1 depends on the size", 'give inputSize');
    }
    const pad: Pad = pads === 'same' ? samePadConv(n ?? 1, k, s, d) : pads[axis];
    if (ceilMode && pad.before !== pad.after) {
      refuse(
        where,
        'ceilMode',
        `ceilMode needs the same padding on both sides, got [${pad.before}, ${pad.after}]`,
      );
    }
    const size = (length: number) =>
      ceilMode ? windowAxis(length, k, s, d, pad.before, true) : convAxis(length, k, s, d, pad);
    return { field: throughWindow(field, k, s, d, pad.before), out: n === undefined ? undefined : size(n) };
  };
}

/**
 * What one output of a stack of layers sees of its input, per axis, after every layer.
 *
 * @param layers first to last: `{ type: 'conv' | 'pool' | 'convTranspose', kernelSize, stride, padding, dilation }` or
 *   `{ type: 'upsample', factor, mode }`; canonical options, one value for all axes or one per axis
 * @param options inputSize (then sizes are given too, and refused when < 1), rank
 * @throws DeconvError on unknown types and options, and fractions
 * @example
 * ```ts
 * import { receptiveField } from 'deconv';
 * const { axes, outputSize } = receptiveField(
 *   [
 *     { type: 'conv', kernelSize: 11, stride: 4 },
 *     { type: 'pool', kernelSize: 3, stride: 2 },
 *     { type: 'conv', kernelSize: 5, padding: 2 },
 *   ],
 *   { inputSize: [227, 227] },
 * );
 * console.log(axes[0].size, axes[0].jump.numerator, axes[0].start, outputSize); // 51 8 -16 [ 27, 27 ]
 * ```
 */
export function receptiveField(
  layers: readonly FieldLayer[],
  options: ReceptiveFieldOptions = {},
): ReceptiveField {
  checkOptions(NAME, options, ['inputSize', 'rank']);
  if (!Array.isArray(layers)) refuse(NAME, 'layers', `layers must be an array, got ${show(layers)}`);
  const rank = readRank(layers, options);
  let size: readonly number[] | undefined =
    options.inputSize === undefined ? undefined : perAxis(NAME, 'inputSize', options.inputSize, rank, 1);
  let fields: Field[] = Array.from({ length: rank }, () => ({ first: [0], last: [0], shift: 1 }));
  const steps: FieldStep[] = [];
  for (const [index, layer] of (layers as readonly FieldLayer[]).entries()) {
    const where = `${NAME} layer ${index}${layer?.name === undefined ? '' : ` '${layer.name}'`}`;
    if (typeof layer !== 'object' || layer === null) {
      refuse(where, 'layer', `layer must be an object, got ${show(layer)}`);
    }
    const type = layer.type ?? 'conv';
    checkOptions(where, layer, ['type', 'name', ...(OPTIONS[type] ?? Object.values(OPTIONS).flat())]);
    checkName(where, 'type', type, Object.keys(OPTIONS));
    const step =
      type === 'upsample' ? readUpsample(where, layer, rank) : readWindow(where, type, layer, rank);
    const after = fields.map((field, axis) => step(field, axis, size?.[axis]));
    fields = after.map(({ field }) => field);
    const known = size === undefined ? undefined : after.map(({ out }) => out as number);
    for (const [axis, out] of (known ?? []).entries()) {
      if (out < 1)
        refuse(
          where,
          'layer',
          `output size of axis ${axis} would be ${out}, must be ≥ 1 (input ${size?.[axis]})`,
        );
    }
    size = known === undefined ? undefined : Object.freeze(known);
    const axes = Object.freeze(fields.map(describe));
    steps.push(
      Object.freeze({
        name: layer.name ?? `${type} ${index}`,
        type,
        axes,
        outputSize: size,
      }),
    );
  }
  const axes = steps.length === 0 ? Object.freeze(fields.map(describe)) : steps[steps.length - 1].axes;
  return Object.freeze({ rank, axes, outputSize: size, steps: Object.freeze(steps) });
}
