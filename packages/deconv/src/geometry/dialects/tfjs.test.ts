/** TensorFlow.js against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  at,
  each,
  ext,
  fill,
  fits,
  I,
  type Layer,
  layer,
  make,
  O,
  pair,
  run,
  tfSame,
  through,
} from '../../../../../test/support/tiny-arrays.js';

describe('tfjs', () => {
  const some = fc.record({
    c: layer,
    mode: fc.constantFrom('same', 'valid', 'number', 'pairs'),
    p: fc.tuple(pair(0, 3), pair(0, 3)),
    round: fc.constantFrom('floor', 'round', 'ceil'),
  });
  const padOption = (mode: string, p: number[][]) =>
    mode === 'number' ? p[0][0] : mode === 'pairs' ? [[0, 0], ...p, [0, 0]] : mode;
  const rounding = (mode: string, round: string) =>
    mode === 'number' || mode === 'pairs' ? { dimRoundingMode: round } : {};
  const padsOf = (mode: string, p: number[][], n: number[], e: number[], s: number[]) =>
    n.map((v, a) =>
      mode === 'same'
        ? tfSame(v, e[a], s[a])
        : mode === 'valid'
          ? [0, 0]
          : mode === 'number'
            ? [p[0][0], p[0][0]]
            : p[a],
    );

  it('conv2d: rounded output sizes, windows over the end see zeros', () => {
    run(
      some,
      ({
        c,
        mode,
        p,
        round,
      }: {
        c: Layer;
        mode: string;
        p: number[][];
        round: 'floor' | 'round' | 'ceil';
      }) => {
        const e = [0, 1].map((a) => ext(c.k[a], c.d[a]));
        const pads = padsOf(mode, p, c.n, e, c.s);
        const named = mode === 'same' || mode === 'valid';
        const out = e.map((v, a) =>
          Math[named ? 'floor' : round]((c.n[a] - v + pads[a][0] + pads[a][1]) / c.s[a] + 1),
        );
        fc.pre(fits(out) && fits(e.map((v, a) => c.n[a] + pads[a][0] + pads[a][1] - v + 1)));
        const [x, w] = [fill([1, ...c.n, I], c.seed), fill([...c.k, I, O], c.seed + 1)];
        const theirs = make([1, ...out, O], (_, p0, q0, o) => {
          let sum = 0;
          each([...c.k, I], (u, v, i) => {
            sum +=
              at(x, 0, p0 * c.s[0] - pads[0][0] + u * c.d[0], q0 * c.s[1] - pads[1][0] + v * c.d[1], i) *
              at(w, u, v, i, o);
          });
          return sum;
        });
        const options = {
          strides: c.s,
          dilations: c.d,
          pad: padOption(mode, p),
          ...rounding(mode, round),
          inputSize: c.n,
          kernelSize: c.k,
        };
        expect(through('tfjs', 'conv', x, w, options)).toEqual(theirs);
      },
    );
  });

  it('conv2dTranspose: the gradient of the conv2d from outputShape', () => {
    run(
      fc.record({ t: some, out: pair(1, 14) }),
      (value: {
        t: { c: Layer; mode: string; p: number[][]; round: 'floor' | 'round' | 'ceil' };
        out: number[];
      }) => {
        const { c, mode, p, round } = value.t;
        const { out } = value;
        const pads = padsOf(mode, p, out, c.k, c.s);
        const named = mode === 'same' || mode === 'valid';
        const n = out.map((v, a) =>
          Math[named ? 'floor' : round]((v - c.k[a] + pads[a][0] + pads[a][1]) / c.s[a] + 1),
        );
        fc.pre(fits(n) && fits(out.map((v, a) => v + pads[a][0] + pads[a][1] - c.k[a] + 1)));
        const [dy, w] = [fill([1, ...n, I], c.seed), fill([...c.k, O, I], c.seed + 1)];
        const theirs = make([1, ...out, O], (_, row, column, o) => {
          let sum = 0;
          each([...n, I], (i, j, k) => {
            const [u, v] = [row + pads[0][0] - i * c.s[0], column + pads[1][0] - j * c.s[1]];
            sum += at(dy, 0, i, j, k) * at(w, u, v, o, k);
          });
          return sum;
        });
        const options = {
          outputShape: [1, ...out, O],
          strides: c.s,
          pad: padOption(mode, p),
          ...rounding(mode, round),
          inputSize: n,
          kernelSize: c.k,
        };
        expect(through('tfjs', 'convTranspose', dy, w, options)).toEqual(theirs);
      },
    );
  });
});
