/** ONNX against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  at,
  correlate,
  each,
  ext,
  fill,
  fits,
  I,
  type Layer,
  layer,
  O,
  pad,
  pair,
  run,
  tfSame,
  through,
  zeros,
} from '../../../../../test/support/tiny-arrays.js';

describe('onnx', () => {
  const modes = fc.constantFrom('NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER');

  it('conv: pads, SAME_UPPER and SAME_LOWER with out = ceil(n / s)', () => {
    const some = fc.record({ c: layer, mode: modes, p: fc.tuple(pair(0, 3), pair(0, 3)) });
    run(some, ({ c, mode, p }: { c: Layer; mode: string; p: number[][] }) => {
      const e = [0, 1].map((a) => ext(c.k[a], c.d[a]));
      const pads = e.map((extent, a) => {
        if (mode === 'NOTSET') return p[a];
        if (mode === 'VALID') return [0, 0];
        const upper = tfSame(c.n[a], extent, c.s[a]);
        return mode === 'SAME_UPPER' ? upper : [upper[1], upper[0]];
      });
      fc.pre(fits([0, 1].map((a) => c.n[a] + pads[a][0] + pads[a][1] - e[a] + 1)));
      const [x, w] = [fill([1, I, ...c.n], c.seed), fill([O, I, ...c.k], c.seed + 1)];
      const explicit = mode === 'NOTSET' ? { pads: [p[0][0], p[1][0], p[0][1], p[1][1]] } : {};
      const options = {
        auto_pad: mode,
        ...explicit,
        strides: c.s,
        dilations: c.d,
        kernel_shape: c.k,
        inputSize: c.n,
      };
      expect(through('onnx', 'conv', x, w, options)).toEqual(correlate(pad(x, pads), w, c.s, c.d));
    });
  });

  it('convTranspose: the formulas of the operator page, then a cropped full scatter', () => {
    const some = fc.record({
      c: layer,
      mode: modes,
      p: fc.tuple(pair(0, 3), pair(0, 3)),
      extra: pair(0, 2),
      shape: fc.option(pair(1, 14), { nil: undefined }),
    });
    run(
      some,
      (value: { c: Layer; mode: string; p: number[][]; extra: number[]; shape: number[] | undefined }) => {
        const { c, mode, p, shape } = value;
        const op = value.extra.map((v, a) => v % Math.max(c.s[a], c.d[a]));
        const e = [0, 1].map((a) => ext(c.k[a], c.d[a]));
        const same = mode.startsWith('SAME');
        const out = shape ?? (same ? c.n.map((n, a) => n * c.s[a]) : undefined);
        const pads = e.map((extent, a) => {
          if (out === undefined) return mode === 'NOTSET' ? p[a] : [0, 0];
          const total = c.s[a] * (c.n[a] - 1) + op[a] + extent - out[a];
          if (total < 0) return [0, total];
          const half = Math.floor(total / 2);
          return mode === 'SAME_UPPER' ? [half, total - half] : [total - half, half];
        });
        const full = [0, 1].map((a) => (c.n[a] - 1) * c.s[a] + e[a] + op[a]);
        const final = full.map((v, a) => v - pads[a][0] - pads[a][1]);
        fc.pre(fits(final));
        const [x, w] = [fill([1, I, ...c.n], c.seed), fill([I, O, ...c.k], c.seed + 1)];
        const whole = zeros(1, O, ...full);
        each(x.shape, (_, i, r, q) =>
          each(w.shape.slice(1), (o, u, v) =>
            add(
              whole,
              at(x, 0, i, r, q) * at(w, i, o, u, v),
              0,
              o,
              r * c.s[0] + u * c.d[0],
              q * c.s[1] + v * c.d[1],
            ),
          ),
        );
        const theirs = pad(
          whole,
          pads.map(([b, a]) => [-b, -a]),
        );
        const options = {
          auto_pad: mode,
          ...(mode === 'NOTSET' && shape === undefined ? { pads: [p[0][0], p[1][0], p[0][1], p[1][1]] } : {}),
          strides: c.s,
          dilations: c.d,
          kernel_shape: c.k,
          output_padding: op,
          ...(shape === undefined ? {} : { output_shape: shape, inputSize: c.n }),
        };
        expect(theirs.shape.slice(2)).toEqual(out ?? final);
        expect(through('onnx', 'convTranspose', x, w, options)).toEqual(theirs);
      },
    );
  });
});
