import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  convAxis,
  convTransposeAxis,
  coverageAxis,
  kernelExtent,
  padConvTransposeTo,
  samePadConv,
} from './axis.js';

const none = { before: 0, after: 0 };
const both = (p: number) => ({ before: p, after: p });

describe('convAxis', () => {
  it.each([
    ['AlexNet conv1', 227, 11, 4, 1, none, 55],
    ['kernel 21 under padding 20', 55, 21, 1, 1, both(20), 75],
    ['and once more', 75, 21, 1, 1, both(20), 95],
    ['floors', 5, 2, 2, 1, none, 2],
    ['dilation 2 spans 5', 5, 3, 1, 2, none, 1],
    ['size 1', 1, 1, 1, 1, none, 1],
    ['kernel longer than the input, with padding', 2, 5, 1, 1, both(2), 2],
    ['negative padding crops the input', 7, 3, 1, 1, both(-1), 3],
    ['padding beyond the kernel', 4, 3, 1, 1, both(5), 12],
    ['kernel longer than all: below 1', 3, 5, 1, 1, none, -1],
  ])('%s: %i, k%i s%i d%i', (_, n, k, s, d, pad, out) => {
    expect(convAxis(n, k, s, d, pad)).toBe(out);
  });

  it('counts the windows that fit', () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 20 }),
          k: fc.integer({ min: 1, max: 6 }),
          s: fc.integer({ min: 1, max: 5 }),
          d: fc.integer({ min: 1, max: 4 }),
          before: fc.nat(5),
          after: fc.nat(5),
        }),
        ({ n, k, s, d, before, after }) => {
          let fits = 0;
          for (let o = 0; o * s + d * (k - 1) < n + before + after; o++) fits++;
          fc.pre(fits > 0);
          expect(convAxis(n, k, s, d, { before, after })).toBe(fits);
        },
      ),
    );
  });
});

describe('convTransposeAxis', () => {
  it.each([
    ['AlexNet conv1 back', 55, 11, 4, 1, none, 0, 227],
    ['2 → 3 with kernel 2', 2, 2, 1, 1, none, 0, 3],
    ['2 → 4 with kernel 3', 2, 3, 1, 1, none, 0, 4],
    ['k2 s2 needs outputPadding 1 to return to 5', 2, 2, 2, 1, none, 1, 5],
    ['crop beyond the kernel', 4, 3, 2, 1, both(3), 0, 3],
    ['kernel shorter than the stride', 3, 1, 3, 1, none, 0, 7],
    ['doubling', 7, 4, 2, 1, both(1), 0, 14],
    ['negative padding extends', 2, 2, 2, 1, both(-1), 0, 6],
  ])('%s', (_, n, k, s, d, pad, op, out) => {
    expect(convTransposeAxis(n, k, s, d, pad, op)).toBe(out);
  });

  it('undoes convAxis: outputPadding makes up for what flooring lost', () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 30 }),
          k: fc.integer({ min: 1, max: 6 }),
          s: fc.integer({ min: 1, max: 5 }),
          p: fc.nat(4),
        }),
        ({ n, k, s, p }) => {
          const out = convAxis(n, k, s, 1, both(p));
          fc.pre(out >= 1);
          const lost = n - convTransposeAxis(out, k, s, 1, both(p), 0);
          expect(lost).toBe((n + 2 * p - k) % s);
          expect(convTransposeAxis(out, k, s, 1, both(p), lost)).toBe(n);
        },
      ),
    );
  });
});

describe("padding 'same'", () => {
  it('of a convolution gives ceil(n / s) and puts the odd zero after', () => {
    expect(samePadConv(5, 4, 1, 1)).toEqual({ before: 1, after: 2 });
    expect(samePadConv(224, 7, 2, 1)).toEqual({ before: 2, after: 3 });
    expect(samePadConv(6, 1, 3, 1)).toEqual(none); // never negative
    for (let n = 1; n <= 12; n++) {
      for (let k = 1; k <= 5; k++) {
        for (let s = 1; s <= 4; s++) {
          const pad = samePadConv(n, k, s, 2);
          expect(convAxis(n, k, s, 2, pad)).toBe(Math.ceil(n / s));
          expect([0, 1]).toContain(pad.after - pad.before);
        }
      }
    }
  });

  it('of a transposed convolution reaches the wanted size; what lies beyond the kernel is after', () => {
    expect(padConvTransposeTo(10, 5, 3, 2, 1)).toEqual({ before: 0, after: 1 });
    expect(padConvTransposeTo(10, 5, 4, 2, 1)).toEqual({ before: 1, after: 1 });
    expect(padConvTransposeTo(15, 5, 1, 3, 1)).toEqual({ before: 0, after: -2 });
    for (let k = 1; k <= 6; k++) {
      for (let s = 1; s <= 4; s++) {
        const pad = padConvTransposeTo(5 * s, 5, k, s, 1);
        expect(convTransposeAxis(5, k, s, 1, pad, 0)).toBe(5 * s);
        // It is the transpose of the convolution's own 'same' from n·s.
        expect(pad.before).toBe(samePadConv(5 * s, k, s, 1).before);
      }
    }
  });
});

describe('coverageAxis', () => {
  it('is the worked example: 1 1 1 1 2 2 2 2 3 3 3 2 … 3 2 2 2 2 1 1 1 1', () => {
    const counts = [...coverageAxis(55, 11, 4, 1, 0, 227)];
    expect(counts.slice(0, 16)).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 2, 3, 3, 3, 2]);
    expect(counts.slice(-9)).toEqual([3, 2, 2, 2, 2, 1, 1, 1, 1]);
  });

  it('counts pairs (i, u), for any geometry', () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 7 }),
          k: fc.integer({ min: 1, max: 6 }),
          s: fc.integer({ min: 1, max: 5 }),
          d: fc.integer({ min: 1, max: 4 }),
          pb: fc.integer({ min: -3, max: 9 }),
          out: fc.integer({ min: 1, max: 40 }),
        }),
        ({ n, k, s, d, pb, out }) => {
          const want = Array.from({ length: out }, (_, q) => {
            let pairs = 0;
            for (let i = 0; i < n; i++) for (let u = 0; u < k; u++) if (i * s + u * d - pb === q) pairs++;
            return pairs;
          });
          expect([...coverageAxis(n, k, s, d, pb, out)]).toEqual(want);
        },
      ),
      { numRuns: 300 },
    );
  });
});

it('kernelExtent is the span of the taps', () => {
  expect([kernelExtent(1, 9), kernelExtent(3, 1), kernelExtent(3, 2), kernelExtent(11, 4)]).toEqual([
    1, 3, 5, 41,
  ]);
});
