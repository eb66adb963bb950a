/**
 * dialects/common: the few tools every dialect is written with: a checked reader of its options, the sharing-out of
 * odd paddings, canonical options made explicit for the way back, and the permutation between two weight layouts.
 */
import { checkName, refuse, show } from '../../errors.js';
import { perAxis } from '../../shape.js';
import { kernelExtent, type Pad, padConvTransposeTo, samePadConv } from '../axis.js';
import { convGeometry, convTransposeGeometry, readPadding } from '../conv.js';
import type { ConvOp, Dialect, DialectOptions, Explicit, Reading, WeightMapping } from './types.js';

/** Options that every dialect takes beside its own: they are ours, and say what the framework reads off its tensors. */
export const COMMON_OPTIONS: Readonly<Record<string, string>> = {
  rank: 'number of spatial axes, 1 to 3; default: as the arrays say, else 2',
  inputSize: 'size of the input along each spatial axis, where the translation depends on it',
  kernelSize: 'size of the kernel along each spatial axis, where the translation depends on it',
};

const given = (value: unknown): boolean => value !== undefined && value !== null;

/** The number of spatial axes: fixed by the framework, or told by an array, or by `rank`, or 2. */
function readRank(
  where: string,
  options: DialectOptions,
  names: readonly string[],
  flat: readonly string[],
): number {
  if (given(options['rank'])) {
    const rank = options['rank'];
    if (rank !== 1 && rank !== 2 && rank !== 3)
      refuse(where, 'rank', `rank must be 1, 2 or 3, got ${show(rank)}`);
    return rank;
  }
  for (const name of [...names, 'inputSize', 'kernelSize', ...flat]) {
    const value = options[name];
    if (!Array.isArray(value)) continue;
    const rank = flat.includes(name) ? value.length / 2 : value.length;
    if (rank !== 1 && rank !== 2 && rank !== 3) {
      refuse(
        where,
        name,
        `${name} must have ${flat.includes(name) ? '2, 4 or 6' : '1 to 3'} entries, got ${show(value)}`,
      );
    }
    return rank;
  }
  return 2;
}

/** A checked reader of `options`, which are already known to have no unknown names. */
export function makeReading(where: string, dialect: Dialect, op: ConvOp, options: DialectOptions): Reading {
  const rank = dialect.rank ?? readRank(where, options, dialect.perAxis, dialect.flat ?? []);
  const raw = (name: string): unknown => (given(options[name]) ? options[name] : undefined);
  const maybeInts = (name: string, least: number): number[] | undefined =>
    raw(name) === undefined ? undefined : perAxis(where, name, raw(name), rank, least);
  const kernel = (own = 'kernelSize'): number[] | undefined =>
    maybeInts(own, 1) ?? maybeInts('kernelSize', 1);
  return {
    where,
    op,
    rank,
    raw,
    maybeInts,
    kernel,
    ints: (name, fallback, least) => perAxis(where, name, raw(name) ?? fallback, rank, least),
    int: (name, fallback, least) => perAxis(where, name, raw(name) ?? fallback, 1, least)[0],
    name: (name, known, fallback) => {
      const value = raw(name) ?? fallback;
      checkName(where, name, value, known);
      return value as typeof fallback;
    },
    flag: (name, fallback) => {
      const value = raw(name) ?? fallback;
      if (typeof value !== 'boolean')
        refuse(where, name, `${name} must be true or false, got ${show(value)}`);
      return value;
    },
    needKernel: (why, own = 'kernelSize') =>
      kernel(own) ?? refuse(where, own, `${own} is needed: ${why}`, `add ${own} to the options`),
    needInput: (why) =>
      maybeInts('inputSize', 1) ??
      refuse(where, 'inputSize', `inputSize is needed: ${why}`, 'add inputSize: […] to the options'),
  };
}

/**
 * A total shared out over the two sides, the odd one where `odd` says. A negative total (an output beyond the reach of
 * the kernel) lies wholly after, as in `padConvTransposeTo`.
 */
export function share(total: number, odd: 'before' | 'after'): Pad {
  if (total <= 0) return { before: 0, after: total + 0 };
  const small = Math.floor(total / 2);
  return odd === 'after' ? { before: small, after: total - small } : { before: total - small, after: small };
}

/** Extents of a kernel along every axis: d(k−1)+1. */
export function extents(kernel: readonly number[], dilation: readonly number[]): number[] {
  return kernel.map((k, axis) => kernelExtent(k, dilation[axis]));
}

/** Pads as canonical options write them. */
export function pairs(pads: readonly Pad[]): (readonly [number, number])[] {
  return pads.map(({ before, after }) => [before, after] as const);
}

/** True when every axis has the same on both sides. */
export function symmetric(pads: readonly Pad[]): boolean {
  return pads.every(({ before, after }) => before === after);
}

/** `[v, v, v]` as `v`, for frameworks that take one number. */
export function scalar(values: readonly number[]): number | undefined {
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}

/** Words for pads: `axis 0 crops 0 before and 1 after`. Only axes whose sides differ are mentioned. */
export function unevenNotes(op: ConvOp, pads: readonly Pad[]): string[] {
  const verb = op === 'conv' ? 'pads' : 'crops';
  return pads.flatMap(({ before, after }, axis) =>
    before === after
      ? []
      : [`axis ${axis} ${verb} ${before} before and ${after} after: not the same on both sides`],
  );
}

/** `HWIO` for rank 2 is `WIO` for rank 1 and `DHWIO` for rank 3. */
export function layoutForRank(layout: string, rank: number): string {
  return layout.replace('HW', 'DHW'.slice(3 - rank));
}

/** deconv's own layout of the weight of `op`. */
export function ownLayout(op: ConvOp, rank: number): string {
  return layoutForRank(op === 'conv' ? 'OIHW' : 'IOHW', rank);
}

/** The permutation `p` with permute(weight in `from`, p) in `to`: both are the same letters in another order. */
export function permutation(from: string, to: string): number[] {
  return [...to].map((letter) => from.indexOf(letter));
}

/** How a weight travels from `layout` to ours, or the other way. */
export function weightMapping(
  op: ConvOp,
  rank: number,
  layout: string,
  flip: boolean,
  direction: 'from' | 'to',
): WeightMapping {
  const theirs = layoutForRank(layout, rank);
  const ours = ownLayout(op, rank);
  return {
    weightLayout: theirs,
    weightPermutation: Object.freeze(
      direction === 'from' ? permutation(theirs, ours) : permutation(ours, theirs),
    ),
    weightFlip: flip,
  };
}

/** Canonical option names, for each operation. */
export const CANONICAL_OPTIONS: Readonly<Record<ConvOp, readonly string[]>> = {
  conv: ['stride', 'padding', 'dilation', 'groups'],
  convTranspose: ['stride', 'padding', 'dilation', 'groups', 'outputPadding', 'outputShape'],
};

/** Canonical options made explicit, or the reason why sizes are needed first. Refuses options no geometry would take. */
export function explicit(
  where: string,
  op: ConvOp,
  options: DialectOptions,
): Explicit | { readonly reason: string } {
  const { rank: _, inputSize: __, kernelSize: ___, ...canonical } = options;
  let rank = readRank(where, options, ['stride', 'dilation', 'outputPadding'], []);
  if (!given(options['rank']) && Array.isArray(canonical['padding'])) rank = canonical['padding'].length;
  const list = (name: string, fallback: number, least: number) =>
    perAxis(where, name, options[name] ?? fallback, rank, least);
  const stride = list('stride', 1, 1);
  const dilation = list('dilation', 1, 1);
  const outputPadding = list('outputPadding', 0, 0);
  const groups = perAxis(where, 'groups', canonical['groups'] ?? 1, 1, 1)[0];
  const kernelSize = given(options['kernelSize']) ? list('kernelSize', 1, 1) : undefined;
  const inputSize = given(options['inputSize']) ? list('inputSize', 1, 1) : undefined;
  const read = readPadding(where, canonical['padding'], rank);
  const same = read === 'same';
  const base = { op, rank, stride, dilation, groups, same, kernelSize, inputSize, outputPadding };

  // With both sizes the geometry itself answers, and refuses what it always refuses.
  if (kernelSize !== undefined && inputSize !== undefined) {
    const geometry = op === 'conv' ? convGeometry : convTransposeGeometry;
    const g = geometry(
      [1, groups, ...inputSize],
      [groups, 1, ...kernelSize],
      withoutShapeChannels(canonical, rank),
      where,
    );
    const pads = g.padBefore.map((before, axis) => ({ before, after: g.padAfter[axis] }));
    return { ...base, pads, outputSize: op === 'conv' ? g.ySize : g.xSize };
  }
  const unsized = { ...base, outputSize: undefined };
  if (op === 'conv') {
    if (read !== 'same') return { ...unsized, pads: read };
    // At stride 1 'same' adds d(k−1) whatever the input's size.
    const known = kernelSize !== undefined && stride.every((s) => s === 1);
    return {
      ...unsized,
      pads: known ? kernelSize.map((k, a) => samePadConv(1, k, 1, dilation[a])) : undefined,
    };
  }
  if (given(canonical['outputShape'])) {
    return {
      reason: 'outputShape decides the padding only together with the sizes: give inputSize and kernelSize',
    };
  }
  if (read === 'same' && kernelSize === undefined) {
    return { reason: "padding 'same' crops extent − stride rows: give kernelSize" };
  }
  const pads = stride.map((s, a): Pad => {
    const [d, extra] = [dilation[a], outputPadding[a]];
    if (extra >= Math.max(s, d)) {
      refuse(where, 'outputPadding', `outputPadding ${extra} must be < max(stride ${s}, dilation ${d})`);
    }
    // The crop of 'same' does not depend on the input's size: total = extent − stride.
    const pad = read === 'same' ? padConvTransposeTo(s, 1, (kernelSize as number[])[a], s, d) : read[a];
    return { before: pad.before, after: pad.after - extra };
  });
  return { ...unsized, pads };
}

/** A whole outputShape cut down to its spatial part, so that the call's batch and channels need not be known here. */
function withoutShapeChannels(canonical: DialectOptions, rank: number): DialectOptions {
  const shape = canonical['outputShape'];
  return Array.isArray(shape) && shape.length === rank + 2
    ? { ...canonical, outputShape: shape.slice(2) }
    : canonical;
}
