/**
 * Resize and Upsample. Interpolation is separable: along each axis the output is a small sparse matrix times the input,
 * and here these matrices are made. Along one axis of length n, with scale s (n → about n·s):
 *
 *     position in the input of output o, by coordinate_transformation_mode
 *       half_pixel             (o + ½)/s − ½
 *       pytorch_half_pixel     the same, 0 for an output of length 1
 *       half_pixel_symmetric   the same, about the middle of what n·s would be: + n/2·(1 − length/(n·s))
 *       asymmetric             o/s
 *       align_corners          o·(n − 1)/(n·s − 1)
 *       tf_crop_and_resize     as align_corners within the region of interest; outside the input: a fixed value
 *       tf_half_pixel_for_nn   (o + ½)/s
 *
 *     weights of the neighbours of position p, with r = p − ⌊p⌋ in (0, 1]
 *       nearest   one neighbour, by nearest_mode
 *       linear    1 − r, r
 *       cubic     Keys' kernel with parameter a (R. Keys, IEEE Trans. ASSP 29 (1981) 1153)
 *
 * antialias stretches the kernel by 1/s when s < 1. exclude_outside drops neighbours outside and rescales; otherwise the
 * edge is repeated.
 */
import type { AxisMap } from '../../backend.js';
import { mul, where } from '../../ops/elementwise.js';
import { cast, mapAxis } from '../../ops/layout.js';
import { showShape, sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { chain, tensorOf, throughFloat } from '../values.js';

const COORDINATES = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'asymmetric',
  'align_corners',
  'tf_crop_and_resize',
  'tf_half_pixel_for_nn',
] as const;
type Coordinates = (typeof COORDINATES)[number];
const NEAREST = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

/** How one axis is resized. */
interface Axis {
  readonly n: number;
  readonly length: number;
  readonly scale: number;
  /** n·scale, which the length is rounded from. */
  readonly resized: number;
  /** Start and end of the region of interest, in parts of the axis. */
  readonly roi: readonly [number, number];
}

interface Manner {
  readonly mode: 'nearest' | 'linear' | 'cubic';
  readonly coordinates: Coordinates;
  readonly nearest: (typeof NEAREST)[number];
  readonly a: number;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
}

/** Where an output lies: ⌈position⌉ − 1, and how far beyond that, in (0, 1]. A whole position is the right end of an interval. */
interface Place {
  readonly left: number;
  readonly rest: number;
  readonly exact: number;
}

/** a / b: divided at the very end, so that what is whole stays whole, and the same rests come back bit for bit. */
function placeAt(a: number, b: number): Place {
  const left = Math.ceil(a / b) - 1;
  return { left, rest: (a - left * b) / b, exact: a / b };
}

/** Denominators that a scale may have to be taken for a fraction. */
const MOST_PARTS = 1000;

/** resized / n as a fraction of whole numbers, if it is a simple one; else itself over 1. */
function fractionOf({ n, resized, scale }: Axis): readonly [number, number] {
  if (Number.isInteger(resized) && n > 0) return [resized, n];
  for (let q = 2; q <= MOST_PARTS; q++) {
    const p = Math.round(scale * q);
    if (p / q === scale) return [p, q];
  }
  return [scale, 1];
}

function placeOf(o: number, axis: Axis, [p, q]: readonly [number, number], coordinates: Coordinates): Place {
  const { n, length, resized, roi } = axis;
  switch (coordinates) {
    case 'asymmetric':
      return placeAt(o * q, p);
    case 'align_corners':
      return resized === 1 ? placeAt(0, 1) : placeAt(o * (n - 1), resized - 1);
    case 'pytorch_half_pixel':
      return length === 1 ? placeAt(0, 1) : placeAt((2 * o + 1) * q - p, 2 * p);
    case 'half_pixel':
      return placeAt((2 * o + 1) * q - p, 2 * p);
    case 'half_pixel_symmetric':
      if (length === resized) return placeAt((2 * o + 1) * q - p, 2 * p);
      return placeAt((n / 2) * (1 - length / resized) + ((o + 0.5) * n) / resized - 0.5, 1);
    case 'tf_half_pixel_for_nn':
      return placeAt((2 * o + 1) * q, 2 * p);
    case 'tf_crop_and_resize': {
      const [from, to] = roi;
      const within = length === 1 ? ((to - from) * (n - 1)) / 2 : (o * (to - from) * (n - 1)) / (length - 1);
      return placeAt(within + from * (n - 1), 1);
    }
  }
}

/** Keys' cubic kernel at distance x. */
function keys(x: number, a: number): number {
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/** First neighbour, counted from ⌊p⌋, and the weights from there on. */
function weights(r: number, scale: number, m: Manner): { readonly first: number; readonly weight: number[] } {
  if (m.mode === 'nearest') {
    const up = { round_prefer_floor: r > 0.5, round_prefer_ceil: r >= 0.5, floor: r === 1, ceil: true }[
      m.nearest
    ];
    return { first: up ? 1 : 0, weight: [1] };
  }
  const stretch = m.antialias ? Math.min(scale, 1) : 1;
  const reach = m.mode === 'linear' ? 1 : 2;
  const first = Math.floor(-reach / stretch) + 1;
  const kernel =
    m.mode === 'linear' ? (x: number) => Math.max(0, 1 - Math.abs(x)) : (x: number) => keys(x, m.a);
  const weight = Array.from({ length: 2 - 2 * first }, (_, i) => kernel((first + i - r) * stretch));
  if (stretch === 1) return { first, weight };
  const total = weight.reduce((sum, w) => sum + w, 0);
  return { first, weight: weight.map((w) => w / total) };
}

/** The matrix of one axis; and which outputs lie outside the input, for the mode that treats these apart. */
function axisMatrix(axis: Axis, m: Manner): { readonly map: AxisMap; readonly outside: boolean[] } {
  const { n, length, scale } = axis;
  const rows: { index: number; weight: number }[][] = [];
  const outside: boolean[] = [];
  const fraction = fractionOf(axis);
  for (let o = 0; o < length; o++) {
    const { left, rest, exact } = placeOf(o, axis, fraction, m.coordinates);
    outside.push(m.coordinates === 'tf_crop_and_resize' && (exact < 0 || exact > n - 1));
    const { first, weight } = weights(rest, scale, m);
    const row = new Map<number, number>();
    let total = 0;
    for (const [i, w] of weight.entries()) {
      const at = left + first + i;
      if (m.excludeOutside && (at < 0 || at >= n)) continue;
      total += w;
      const index = Math.min(n - 1, Math.max(0, at));
      row.set(index, (row.get(index) ?? 0) + w);
    }
    const rescale = m.excludeOutside ? total : 1;
    rows.push([...row].filter(([, w]) => w !== 0).map(([index, w]) => ({ index, weight: w / rescale })));
  }
  const taps = rows.reduce((most, row) => Math.max(most, row.length), 1);
  const index = new Int32Array(length * taps);
  const weight = new Float64Array(length * taps);
  for (const [o, row] of rows.entries()) {
    for (let t = 0; t < taps; t++) {
      // What is not used repeats a neighbour that is, so that no infinity from elsewhere meets a zero.
      const entry = row[t] ?? { index: row[0]?.index ?? 0, weight: 0 };
      index[o * taps + t] = entry.index;
      weight[o * taps + t] = entry.weight;
    }
  }
  return { map: { inLength: n, outLength: length, taps, index, weight }, outside };
}

/** Applies a matrix to each axis. */
function apply(label: string, maps: readonly (AxisMap | undefined)[]) {
  // Axes that shrink first: what follows has less to do.
  const order = maps
    .map((map, axis) => ({ map, axis }))
    .filter((one): one is { map: AxisMap; axis: number } => one.map !== undefined)
    .sort((p, q) => p.map.outLength / p.map.inLength - q.map.outLength / q.map.inLength);
  const steps = order.map(
    ({ map, axis }) =>
      (v: Tensor) =>
        mapAxis(label, v, axis, map),
  );
  return (x: Tensor) => chain(x, ...steps);
}

/** Longest axis that is made; and how many elements are made out of a thousandth of them, which no network means. */
const MOST_LENGTH = 2 ** 19;
const MOST_FROM_LITTLE = 2 ** 26;

function plan(node: NodeContext, axes: readonly Axis[], m: Manner, extrapolation: number): Planned {
  const [type, shape] = [node.type(0), node.shape(0)];
  const out = axes.map(({ length }) => length);
  if (out.some((length) => length < 0) || (sizeOf(shape) === 0 && sizeOf(out) > 0))
    node.refuse('sizes', `${showShape(shape)} cannot become ${showShape(out)}`);
  // Before a table is made for each axis.
  const long = out.find((length, axis) => length > MOST_LENGTH && length !== shape[axis]);
  if (long !== undefined)
    node.refuse('sizes', `an axis of ${shape.join(' × ')} would become ${long} long, more than 2^19`);
  if (sizeOf(out) > MOST_FROM_LITTLE && sizeOf(out) > 1000 * sizeOf(shape))
    node.refuse(
      'sizes',
      `${showShape(shape)} to ${showShape(out)} is more than 2^26 elements out of a thousandth`,
    );
  const outputs = [{ type, shape: out }];
  if (sizeOf(out) === 0) return { outputs, run: () => [tensorOf(type, out, [])] };
  const matrices = axes.map((axis) => {
    const still = axis.n === axis.length && axis.scale === 1;
    const whole = m.coordinates !== 'tf_crop_and_resize' || (axis.roi[0] === 0 && axis.roi[1] === 1);
    return still && whole ? undefined : axisMatrix(axis, m);
  });
  const resize = apply(
    node.label,
    matrices.map((one) => one?.map),
  );
  const apart = matrices.some((one) => one?.outside.includes(true));
  if (!apart) return { outputs, run: ([x]) => [throughFloat(x, resize)] };
  // 1 where every axis is inside.
  const inside = axes.reduce<Tensor | undefined>((all, axis, at) => {
    const mine =
      matrices[at]?.outside.map((outside) => Number(!outside)) ?? new Array<number>(axis.length).fill(1);
    const line = tensorOf(
      'float32',
      out.map((_, other) => (other === at ? axis.length : 1)),
      mine,
    );
    return all === undefined ? line : mul(all, line);
  }, undefined) as Tensor;
  const mask = cast(inside, 'uint8');
  return {
    outputs,
    run: ([x]) => [throughFloat(x, (v) => chain(resize(v), (y) => where(mask, y, extrapolation)))],
  };
}

/** Lengths and scales from scales or sizes; both for all axes or for those named. */
function readAxes(node: NodeContext, scalesAt: number, sizesAt: number): Axis[] {
  const shape = node.shape(0);
  const axes = node.axes(node.ints('axes') ?? shape.map((_, axis) => axis), shape.length);
  const roi =
    node.has(1) && sizesAt > 1 && node.shape(1).join() !== '0' && usesRoi(node) ? node.known(1) : [];
  if (roi.length !== 0 && roi.length !== 2 * axes.length)
    node.refuse('roi', `roi must be ${2 * axes.length} numbers, starts then ends, got ${roi.length}`);
  const scales = node.has(scalesAt) ? node.known(scalesAt) : [];
  const sizes = scales.length === 0 && sizesAt > 0 && node.has(sizesAt) ? node.known(sizesAt) : [];
  const given = scales.length > 0 ? scales : sizes;
  if (given.length !== axes.length)
    node.refuse(
      'scales',
      `scales or sizes must be ${axes.length} numbers, got ${scales.length} and ${sizes.length}`,
    );
  const policy = node.choice('keep_aspect_ratio_policy', ['stretch', 'not_larger', 'not_smaller'], 'stretch');
  const ratios = sizes.map((size, i) => size / shape[axes[i]]);
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return shape.map((n, at): Axis => {
    const i = axes.indexOf(at);
    const part = (offset: number, other: number) => (roi.length > 0 && i >= 0 ? roi[i + offset] : other);
    const region = [part(0, 0), part(axes.length, 1)] as const;
    if (i < 0) return { n, length: n, scale: 1, resized: n, roi: region };
    if (sizes.length > 0) {
      const scale = policy === 'stretch' ? ratios[i] : common;
      const length = policy === 'stretch' ? sizes[i] : Math.floor(common * n + 0.5);
      return { n, length, scale, resized: policy === 'stretch' ? length : scale * n, roi: region };
    }
    const scale = scales[i];
    if (!(scale > 0)) node.refuse('scales', `scales must be > 0, got ${scale}`);
    // Rounded as the float32 that the scale is: 0.7 · 10 is 7, not 6.999….
    const size = usesRoi(node) ? n * (region[1] - region[0]) : n;
    return { n, length: Math.floor(Math.fround(scale * size)), scale, resized: scale * n, roi: region };
  });
}

const usesRoi = (node: NodeContext) => coordinatesOf(node) === 'tf_crop_and_resize';

function coordinatesOf(node: NodeContext): Coordinates {
  // Operator set 10 has no such attribute and means this.
  return node.opset < 11
    ? 'asymmetric'
    : node.choice('coordinate_transformation_mode', COORDINATES, 'half_pixel');
}

function planResize(node: NodeContext): Planned {
  const old = node.opset < 11;
  const axes = readAxes(node, old ? 1 : 2, old ? -1 : 3);
  const mode = node.choice('mode', ['nearest', 'linear', 'cubic'], 'nearest');
  const manner: Manner = {
    mode,
    coordinates: coordinatesOf(node),
    nearest: old ? 'floor' : node.choice('nearest_mode', NEAREST, 'round_prefer_floor'),
    a: node.number('cubic_coeff_a', -0.75),
    antialias: node.flag('antialias', false),
    excludeOutside: node.flag('exclude_outside', false),
  };
  return plan(node, axes, manner, node.number('extrapolation_value', 0));
}

/** The predecessor: scales as an attribute (set 7) or an input (set 9), positions o/scale, the neighbour before. */
function planUpsample(node: NodeContext): Planned {
  const shape = node.shape(0);
  const scales =
    node.floats('scales') ?? (node.has(1) ? node.known(1) : node.refuse('scales', 'scales are required'));
  if (scales.length !== shape.length || !scales.every((scale) => scale >= 1))
    node.refuse('scales', `scales [${scales.join(', ')}] must be ${shape.length} numbers ≥ 1`);
  const axes = shape.map(
    (n, axis): Axis => ({
      n,
      length: Math.floor(Math.fround(n * scales[axis])),
      scale: scales[axis],
      resized: n * scales[axis],
      roi: [0, 1],
    }),
  );
  const mode =
    node.choice('mode', ['nearest', 'linear', 'bilinear'], 'nearest') === 'nearest' ? 'nearest' : 'linear';
  const manner = {
    mode,
    coordinates: 'asymmetric',
    nearest: 'floor',
    a: 0,
    antialias: false,
    excludeOutside: false,
  } as const;
  return plan(node, axes, manner, 0);
}

export const resizing: Readonly<Record<string, Operator>> = {
  Resize: {
    inputs: [1, 4],
    outputs: 1,
    attributes: [
      'antialias',
      'axes',
      'coordinate_transformation_mode',
      'cubic_coeff_a',
      'exclude_outside',
      'extrapolation_value',
      'keep_aspect_ratio_policy',
      'mode',
      'nearest_mode',
    ],
    plan: planResize,
  },
  Upsample: { inputs: [1, 2], outputs: 1, attributes: ['mode', 'scales'], plan: planUpsample },
};
