/** Random geometry of convolutions for property tests, and the inner product that adjoints are held against. */
import {
  type ConvOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  permute,
  randn,
  type Tensor,
} from 'deconv';
import fc from 'fast-check';

export const convs = [conv1d, conv2d, conv3d];
export const convTransposes = [convTranspose1d, convTranspose2d, convTranspose3d];

/** A convolution from x to y, and how its transpose gets back to the size of x. */
export interface Geometry {
  readonly rank: number;
  /** (batch, channels, …space) */
  readonly xShape: readonly number[];
  readonly weightShape: readonly number[];
  readonly options: Required<Pick<ConvOptions, 'stride' | 'dilation' | 'groups'>> & {
    readonly padding: readonly (readonly [number, number])[];
  };
  /** Rows at the end of x that the last window does not reach. */
  readonly outputPadding: readonly number[];
}

interface Limits {
  readonly kernel: number;
  readonly extra: number;
  readonly channels: number;
}

/** Padding may be negative, asymmetric, and larger than the kernel. */
const axis = ({ kernel, extra }: Limits) =>
  fc
    .record({
      k: fc.integer({ min: 1, max: kernel }),
      s: fc.integer({ min: 1, max: 3 }),
      d: fc.integer({ min: 1, max: 3 }),
      before: fc.integer({ min: -2, max: 5 }),
      after: fc.integer({ min: -2, max: 5 }),
      more: fc.integer({ min: 0, max: extra }),
    })
    .map(({ k, s, d, before, after, more }) => {
      const extent = d * (k - 1) + 1;
      const n = Math.max(1, extent - before - after + more);
      return { k, s, d, before, after, n, rest: (n + before + after - extent) % s };
    });

/** Random convolutions of `rank` axes whose output is at least 1 long; small enough for thousands of them. */
export function geometries(rank: number, small = false): fc.Arbitrary<Geometry> {
  const limits = small
    ? { kernel: 3, extra: 2, channels: 2 }
    : { kernel: 4, extra: rank === 3 ? 2 : 5, channels: 3 };
  const few = fc.integer({ min: 1, max: limits.channels });
  return fc
    .record({
      axes: fc.array(axis(limits), { minLength: rank, maxLength: rank }),
      batch: fc.integer({ min: 1, max: 2 }),
      groups: few,
      inputs: few,
      outputs: few,
    })
    .map(({ axes, batch, groups, inputs, outputs }) => ({
      rank,
      xShape: [batch, groups * inputs, ...axes.map(({ n }) => n)],
      weightShape: [groups * outputs, inputs, ...axes.map(({ k }) => k)],
      options: {
        stride: axes.map(({ s }) => s),
        dilation: axes.map(({ d }) => d),
        padding: axes.map(({ before, after }) => [before, after] as const),
        groups,
      },
      outputPadding: axes.map(({ rest }) => rest),
    }));
}

/** Normal random numbers in float64. */
export const normal = (shape: readonly number[], seed: number): Tensor =>
  randn(shape, { dtype: 'float64', seed });

/** Channels last. */
export const toLast = (x: Tensor): Tensor => permute(x, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1]);

/** ⟨a, b⟩ = Σ a·b */
export const inner = (a: Tensor, b: Tensor): number => {
  if (a.size !== b.size) throw new Error(`inner product of [${a.shape}] and [${b.shape}]`);
  let total = 0;
  for (let i = 0; i < a.size; i++) total += a.data[i] * b.data[i];
  return total;
};

/** |⟨a, b⟩ − ⟨c, d⟩| / (‖a‖‖b‖ + ‖c‖‖d‖); NaN when anything is. */
export function mismatch([a, b]: readonly [Tensor, Tensor], [c, d]: readonly [Tensor, Tensor]): number {
  const norm = (x: Tensor) => Math.sqrt(inner(x, x));
  const scale = norm(a) * norm(b) + norm(c) * norm(d);
  const difference = Math.abs(inner(a, b) - inner(c, d));
  return difference === 0 ? 0 : difference / scale;
}
