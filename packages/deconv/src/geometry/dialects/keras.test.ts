/** Keras and TensorFlow against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  correlate,
  ext,
  fill,
  fits,
  gradient,
  I,
  type Layer,
  layer,
  O,
  pad,
  pair,
  permute,
  run,
  tfSame,
  through,
  toNCHW,
  toNHWC,
} from '../../../../../test/support/tiny-arrays.js';
import { fromDialect } from './index.js';

describe('keras', () => {
  it("conv: 'same' and 'valid' as TensorFlow pads, NHWC and HWIO", () => {
    run(fc.record({ c: layer, same: fc.boolean() }), ({ c, same }: { c: Layer; same: boolean }) => {
      fc.pre(same || fits([0, 1].map((a) => c.n[a] - ext(c.k[a], c.d[a]) + 1)));
      const [x, w] = [fill([1, ...c.n, I], c.seed), fill([...c.k, I, O], c.seed + 1)];
      const pads = [0, 1].map((a) => (same ? tfSame(c.n[a], ext(c.k[a], c.d[a]), c.s[a]) : [0, 0]));
      const theirs = toNHWC(correlate(pad(toNCHW(x), pads), permute(w, [3, 2, 0, 1]), c.s, c.d));
      const options = {
        kernel_size: c.k,
        strides: c.s,
        dilation_rate: c.d,
        padding: same ? 'same' : 'valid',
      };
      expect(through('keras', 'conv', x, w, options)).toEqual(theirs);
    });
  });

  it('convTranspose: the gradient of a convolution from the documented output size', () => {
    const some = fc.record({ c: layer, same: fc.boolean(), op: fc.option(pair(0, 3), { nil: null }) });
    run(
      some,
      ({ c, same, op: given }: { c: Layer; same: boolean; op: number[] | null }) => {
        const op = given?.map((v, a) => v % c.s[a]) ?? null;
        const e = [0, 1].map((a) => ext(c.k[a], c.d[a]));
        const out = [0, 1].map((a) => {
          if (op === null) return same ? c.n[a] * c.s[a] : c.n[a] * c.s[a] + Math.max(e[a] - c.s[a], 0);
          return (c.n[a] - 1) * c.s[a] + e[a] + op[a] - (same ? 2 * Math.floor(e[a] / 2) : 0);
        });
        const back = out.map((v, a) => Math.ceil((same ? v : v - e[a] + 1) / c.s[a]));
        fc.pre(fits(out) && back.every((v, a) => v === c.n[a])); // TensorFlow refuses other sizes
        const [x, w] = [fill([1, ...c.n, I], c.seed), fill([...c.k, O, I], c.seed + 1)];
        const pads = out.map((v, a) => (same ? tfSame(v, e[a], c.s[a]) : [0, 0]));
        const theirs = toNHWC(gradient(toNCHW(x), permute(w, [3, 2, 0, 1]), out, c.s, c.d, pads));
        const options = {
          kernel_size: c.k,
          strides: c.s,
          dilation_rate: c.d,
          padding: same ? 'same' : 'valid',
          output_padding: op,
        };
        expect(through('keras', 'convTranspose', x, w, options)).toEqual(theirs);
      },
      40,
    );
  });

  it("'causal': output t sees inputs up to t", () => {
    const t = fromDialect('keras', 'conv', { rank: 1, kernel_size: 3, dilation_rate: 2, padding: 'causal' });
    expect(t.options.padding).toEqual([[4, 0]]);
    expect(t.weightLayout).toBe('WIO');
  });
});
