/**
 * solver: which kernelSize, stride, padding, dilation and outputPadding lead from one size to another, along one axis.
 *
 * Every candidate within the bounds is held against the output formula of its operation, and what fits is ranked: even
 * coverage first, then the cheapest, then the least padding. Coverage counts how many taps reach an output of a
 * transposed convolution well inside (for a convolution: how often an input is read, which is what its gradient
 * suffers from); it is even exactly when every phase has the same number of taps: when the stride divides the kernelSize
 * and shares no factor with the dilation. Uneven coverage is where checkerboards come from.
 *
 * Refuses NaN, fractions, empty ranges, and bounds with more than a million candidates.
 *
 * Source of the ranking's first rule: A. Odena, V. Dumoulin, C. Olah, "Deconvolution and checkerboard artifacts",
 * Distill 2016.
 */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { perAxis } from '../shape.js';
import { convAxis, convTransposeAxis, kernelExtent } from './axis.js';

/** The least and the greatest value to try. A single number means just that one. */
export type Bound = number | readonly [number, number];

/** What the solver may vary. */
export interface SolveBounds {
  /** Default [1, 16]. */
  readonly kernelSize?: Bound | undefined;
  /** Default [1, 8]. */
  readonly stride?: Bound | undefined;
  /** Default: 0 to half the kernel's extent, rounded down, at most 8. */
  readonly padding?: Bound | undefined;
  /** Let the paddings of the two sides differ. Default false. */
  readonly asymmetric?: boolean | undefined;
  /** Default 1. */
  readonly dilation?: Bound | undefined;
  /** convTranspose only; never ≥ max(stride, dilation). Default: from 0 to that. */
  readonly outputPadding?: Bound | undefined;
}

/** What to solve. */
export interface SolveQuestion {
  readonly op: 'conv' | 'convTranspose';
  readonly inputSize: number;
  readonly outputSize: number;
  readonly bounds?: SolveBounds | undefined;
}

/** One answer. */
export interface GeometrySolution {
  readonly kernelSize: number;
  readonly stride: number;
  /** [before, after]. */
  readonly padding: readonly [number, number];
  readonly dilation: number;
  /** 0 for a convolution. */
  readonly outputPadding: number;
  /** Taps of the emptiest and of the fullest phase; even when they are the same. */
  readonly coverage: { readonly min: number; readonly max: number; readonly even: boolean };
  /** Multiplications per output and channel pair along this axis: kernelSize, or inputSize·kernelSize / outputSize when transposed. */
  readonly macs: number;
  /** The formula with its numbers, and what the coverage means, in words. */
  readonly why: string;
}

const MAX_CANDIDATES = 1_000_000;
const BOUND_NAMES = ['kernelSize', 'stride', 'padding', 'asymmetric', 'dilation', 'outputPadding'];

/** A bound as [least, greatest]. */
function readBound(
  name: string,
  value: Bound | undefined,
  fallback: Bound,
  least: number,
): readonly [number, number] {
  const given = value ?? fallback;
  const [from, to] =
    typeof given === 'number' ? [given, given] : perAxis('solveGeometry', name, given, 2, least);
  perAxis('solveGeometry', name, [from, to], 2, least);
  if (from > to) refuse('solveGeometry', name, `${name} must be [least, greatest], got ${show(given)}`);
  return [from, to];
}

/**
 * Taps of the emptiest and the fullest phase. Tap u falls into phase u·d mod s, and these residues repeat after
 * s / gcd(s, d) taps: dealt out in turn, a phase gets floor or ceil of k over that period; with a common factor the
 * other phases get none. So it is even exactly when s and d share no factor and s divides k.
 */
function interiorCoverage(k: number, s: number, d: number): GeometrySolution['coverage'] {
  let [g, rest] = [s, d];
  while (rest > 0) [g, rest] = [rest, g % rest];
  const period = s / g;
  const [min, max] = [g > 1 ? 0 : Math.floor(k / period), Math.ceil(k / period)];
  return Object.freeze({ min, max, even: min === max });
}

function explain(question: SolveQuestion, found: Omit<GeometrySolution, 'why' | 'macs'>): string {
  const { inputSize: n, outputSize: out, op } = question;
  const { kernelSize: k, stride: s, dilation: d, outputPadding: extra, coverage } = found;
  const [before, after] = found.padding;
  const extent = d === 1 ? `${k}` : `(${d}·(${k} − 1) + 1)`;
  const formula =
    op === 'conv'
      ? `floor((${n} + ${before} + ${after} − ${extent}) / ${s}) + 1 = ${out}`
      : `(${n} − 1)·${s} − ${before} − ${after} + ${extent} + ${extra} = ${out}`;
  const who = op === 'conv' ? 'every input is read' : 'every output is reached';
  const taps = (count: number) =>
    op === 'conv' ? `${count} times` : `by ${count} tap${count === 1 ? '' : 's'}`;
  const inside = coverage.even
    ? `inside, ${who} ${taps(coverage.min)}: even`
    : `inside, ${who.replace('every', 'an')} ${taps(coverage.min)} here and ${taps(coverage.max)} there: a checkerboard waits`;
  return `${formula}; ${inside}`;
}

/**
 * Every geometry within the bounds that leads from inputSize to outputSize along one axis, best first.
 *
 * Ranked by even coverage, then fewest multiplications, then least padding and outputPadding, then smallest stride and
 * kernelSize. An empty list means that nothing within the bounds fits.
 *
 * @param question op, inputSize, outputSize, and bounds to vary within
 * @throws DeconvError on NaN, fractions, sizes below 1, unknown bounds, and more than 1 000 000 candidates
 * @example
 * ```ts
 * import { solveGeometry } from 'deconv';
 * const found = solveGeometry({ op: 'convTranspose', inputSize: 55, outputSize: 227 });
 * console.log(found.some((g) => g.kernelSize === 11 && g.stride === 4 && g.padding[0] === 0)); // true
 * console.log(found[0].why);
 * ```
 */
export function solveGeometry(question: SolveQuestion): GeometrySolution[] {
  const name = 'solveGeometry';
  checkOptions(name, question, ['op', 'inputSize', 'outputSize', 'bounds']);
  if (question === undefined) refuse(name, 'question', 'op, inputSize and outputSize are required');
  const { op, bounds = {} } = question;
  checkName(name, 'op', op, ['conv', 'convTranspose']);
  checkOptions(name, bounds, BOUND_NAMES);
  const [n] = perAxis(name, 'inputSize', question.inputSize, 1, 1);
  const [out] = perAxis(name, 'outputSize', question.outputSize, 1, 1);
  const asymmetric = bounds.asymmetric ?? false;
  if (typeof asymmetric !== 'boolean') {
    refuse(name, 'asymmetric', `asymmetric must be true or false, got ${show(asymmetric)}`);
  }
  const kernels = readBound('kernelSize', bounds.kernelSize, [1, 16], 1);
  const strides = readBound('stride', bounds.stride, [1, 8], 1);
  const dilations = readBound('dilation', bounds.dilation, 1, 1);
  const paddings =
    bounds.padding === undefined
      ? undefined
      : readBound('padding', bounds.padding, 0, Number.NEGATIVE_INFINITY);
  if (op === 'conv' && bounds.outputPadding !== undefined) {
    refuse(name, 'outputPadding', 'outputPadding belongs to convTranspose', 'leave it out for conv');
  }
  const extras =
    bounds.outputPadding === undefined ? undefined : readBound('outputPadding', bounds.outputPadding, 0, 0);

  // outputPadding is not tried out: the formula leaves exactly one.
  const span = ([from, to]: readonly [number, number]) => to - from + 1;
  const sides = span(paddings ?? [0, 8]) ** (asymmetric ? 2 : 1);
  const candidates = span(kernels) * span(strides) * span(dilations) * sides;
  if (candidates > MAX_CANDIDATES) {
    refuse(
      name,
      'bounds',
      `bounds hold ${candidates} candidates, must be ≤ ${MAX_CANDIDATES}`,
      'narrow a range',
    );
  }

  const solutions: GeometrySolution[] = [];
  for (let k = kernels[0]; k <= kernels[1]; k++) {
    for (let d = dilations[0]; d <= dilations[1]; d++) {
      if (k === 1 && d > dilations[0]) break; // one tap has no dilation: do not repeat it
      const extent = kernelExtent(k, d);
      const [low, high] = paddings ?? [0, Math.min(8, Math.floor(extent / 2))];
      for (let s = strides[0]; s <= strides[1]; s++) {
        const coverage = interiorCoverage(k, s, d);
        for (let before = low; before <= high; before++) {
          for (let after = asymmetric ? low : before; after <= (asymmetric ? high : before); after++) {
            const pad = { before, after };
            let extra = 0;
            if (op === 'conv') {
              if (convAxis(n, k, s, d, pad) !== out) continue;
            } else {
              extra = out - convTransposeAxis(n, k, s, d, pad, 0);
              const [least, most] = extras ?? [0, Number.POSITIVE_INFINITY];
              if (extra < least || extra > most || extra >= Math.max(s, d)) continue;
            }
            const padding = Object.freeze([before, after] as const);
            const found = { kernelSize: k, stride: s, padding, dilation: d, outputPadding: extra, coverage };
            const macs = op === 'conv' ? k : (n * k) / out;
            solutions.push(Object.freeze({ ...found, macs, why: explain(question, found) }));
          }
        }
      }
    }
  }
  const padded = (g: GeometrySolution) => Math.abs(g.padding[0]) + Math.abs(g.padding[1]) + g.outputPadding;
  return solutions.sort(
    (a, b) =>
      Number(b.coverage.even) - Number(a.coverage.even) ||
      a.macs - b.macs ||
      padded(a) - padded(b) ||
      a.stride - b.stride ||
      a.kernelSize - b.kernelSize ||
      a.dilation - b.dilation ||
      a.padding[0] - b.padding[0],
  );
}
