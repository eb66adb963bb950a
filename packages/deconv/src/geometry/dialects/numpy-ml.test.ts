/** numpy-ml against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  correlate,
  fill,
  fits,
  flip,
  I,
  insertZeros,
  O,
  pad,
  pair,
  permute,
  run,
  through,
  toNCHW,
  toNHWC,
} from '../../../../../test/support/tiny-arrays.js';

describe('numpy-ml', () => {
  const some = fc.record({
    n: pair(1, 5),
    k: pair(1, 4),
    s: fc.integer({ min: 1, max: 3 }),
    d: fc.integer({ min: 0, max: 2 }),
    seed: fc.nat(9999),
    pad: fc.oneof(
      fc.integer({ min: 0, max: 3 }),
      pair(0, 3),
      fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)),
      fc.constant('same'),
    ),
  });
  type Case = {
    n: number[];
    k: number[];
    s: number;
    d: number;
    seed: number;
    pad: number | number[] | 'same';
  };
  const fourOf = (p: number | number[]) =>
    typeof p === 'number' ? [p, p, p, p] : p.length === 2 ? [p[0], p[0], p[1], p[1]] : p;
  /** The padding that makes a convolution of stride s give `out` rows: half before (rounded down), the odd one after. */
  const padFor = (n: number, out: number, e: number, s: number) => {
    const total = s * (out - 1) + e - n;
    return total < 0 ? undefined : [Math.floor(total / 2), total - Math.floor(total / 2)];
  };

  it('deconv2D_naive step by step: zeros in, pad, pad again, turned kernel, pad off', () => {
    run(some, (c: Case) => {
      const e = c.k.map((k) => k * (c.d + 1) - c.d);
      const x = fill([1, ...c.n, I], c.seed);
      const w = fill([...c.k, I, O], c.seed + 1);
      const wide = insertZeros(toNCHW(x), [c.s, c.s]);
      const gaps = wide.shape.slice(2);
      const first =
        c.pad === 'same' ? gaps.flatMap((v, a) => padFor(v, v, e[a], 1) as number[]) : fourOf(c.pad);
      const padded = pad(wide, [first.slice(0, 2), first.slice(2)]);
      const out = [0, 1].map((a) => padded.shape[2 + a] - 1 - first[2 * a] - first[2 * a + 1] + e[a]);
      const second = out.map((v, a) => padFor(padded.shape[2 + a], v, e[a], 1));
      fc.pre(
        second.every((p) => p !== undefined) && fits(out.map((v, a) => v - first[2 * a] - first[2 * a + 1])),
      );
      const turned = flip(permute(w, [3, 2, 0, 1]));
      const z = correlate(pad(padded, second as number[][]), turned, [1, 1], [c.d + 1, c.d + 1]);
      const theirs = toNHWC(pad(z, [first.slice(0, 2).map((v) => -v), first.slice(2).map((v) => -v)]));
      const options = { stride: c.s, pad: c.pad, dilation: c.d, kernelSize: c.k };
      expect(through('numpy-ml', 'convTranspose', x, w, { ...options, asImplemented: true })).toEqual(theirs);
      // What was asked for: the same full result, cropped by exactly `pad`.
      const around = e.map((v) => [v - 1, v - 1]);
      const full = correlate(pad(wide, around), turned, [1, 1], [c.d + 1, c.d + 1]);
      const asked = toNHWC(pad(full, [first.slice(0, 2).map((v) => -v), first.slice(2).map((v) => -v)]));
      expect(through('numpy-ml', 'convTranspose', x, w, options)).toEqual(asked);
      if (first[0] === first[1] && first[2] === first[3]) expect(asked).toEqual(theirs);
    });
  });

  it('conv2D: HWIO correlation, same keeps the size', () => {
    run(some, (c: Case) => {
      const e = c.k.map((k) => k * (c.d + 1) - c.d);
      const x = fill([1, ...c.n, I], c.seed);
      const w = fill([...c.k, I, O], c.seed + 1);
      const first =
        c.pad === 'same' ? c.n.flatMap((v, a) => padFor(v, v, e[a], c.s) as number[]) : fourOf(c.pad);
      fc.pre(fits(c.n.map((v, a) => v + first[2 * a] + first[2 * a + 1] - e[a] + 1)));
      const padded = pad(toNCHW(x), [first.slice(0, 2), first.slice(2)]);
      const theirs = toNHWC(correlate(padded, permute(w, [3, 2, 0, 1]), [c.s, c.s], [c.d + 1, c.d + 1]));
      const options = { stride: c.s, pad: c.pad, dilation: c.d, kernelSize: c.k, inputSize: c.n };
      expect(through('numpy-ml', 'conv', x, w, options)).toEqual(theirs);
      if (c.pad === 'same') expect(theirs.shape.slice(1, 3)).toEqual(c.n);
    });
  });

  it("'same' of the deconvolution gives (n − 1)s + 1", () => {
    const x = fill([1, 4, 4, 1], 1);
    const options = { stride: 3, pad: 'same', kernelSize: [3, 4] };
    expect(through('numpy-ml', 'convTranspose', x, fill([3, 4, 1, 1], 2), options).shape).toEqual([
      1, 10, 10, 1,
    ]);
  });
});
