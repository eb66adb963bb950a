/** WebNN against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  correlate,
  ext,
  fill,
  fits,
  flip,
  I,
  insertZeros,
  type Layer,
  layer,
  O,
  pad,
  pair,
  permute,
  run,
  through,
  toNCHW,
  toNHWC,
} from '../../../../../test/support/tiny-arrays.js';

describe('webnn', () => {
  it('convTranspose2d: flat padding, outputPadding or outputSizes, every layout', () => {
    const some = fc.record({
      c: layer,
      p: fc.tuple(pair(0, 3), pair(0, 3)),
      extra: pair(0, 3),
      layout: fc.constantFrom('iohw', 'hwoi', 'ohwi'),
      last: fc.boolean(),
    });
    run(
      some,
      ({
        c,
        p,
        extra,
        layout,
        last,
      }: {
        c: Layer;
        p: number[][];
        extra: number[];
        layout: string;
        last: boolean;
      }) => {
        const op = extra.map((v, a) => v % c.s[a]);
        const out = [0, 1].map(
          (a) => (c.n[a] - 1) * c.s[a] + ext(c.k[a], c.d[a]) + op[a] - p[a][0] - p[a][1],
        );
        fc.pre(fits(out));
        const [x, w] = [fill([1, I, ...c.n], c.seed), fill([I, O, ...c.k], c.seed + 1)];
        const e = [0, 1].map((a) => ext(c.k[a], c.d[a]) - 1);
        const around = e.map((v, a) => [v - p[a][0], v - p[a][1] + op[a]]);
        const theirs = correlate(
          pad(insertZeros(x, c.s), around),
          permute(flip(w), [1, 0, 2, 3]),
          [1, 1],
          c.d,
        );
        const options = {
          padding: p.flat(),
          strides: c.s,
          dilations: c.d,
          inputLayout: last ? 'nhwc' : 'nchw',
          filterLayout: layout,
        };
        const filter = permute(
          w,
          [...layout].map((l) => 'iohw'.indexOf(l)),
        );
        for (const decided of [
          { outputPadding: op },
          { outputSizes: out },
          { outputSizes: out, outputPadding: [0, 0] },
        ]) {
          const y = through('webnn', 'convTranspose', last ? toNHWC(x) : x, filter, {
            ...options,
            ...decided,
          });
          expect(last ? toNCHW(y) : y).toEqual(theirs);
        }
      },
    );
  });

  it('conv2d: every layout', () => {
    for (const layout of ['oihw', 'hwio', 'ohwi', 'ihwo']) {
      const [x, w] = [fill([1, I, 5, 6], 7), fill([O, I, 3, 2], 8)];
      const theirs = correlate(
        pad(x, [
          [1, 0],
          [2, 1],
        ]),
        w,
        [2, 1],
        [1, 2],
      );
      const filter = permute(
        w,
        [...layout].map((l) => 'oihw'.indexOf(l)),
      );
      const options = { padding: [1, 0, 2, 1], strides: [2, 1], dilations: [1, 2], filterLayout: layout };
      expect(through('webnn', 'conv', x, filter, options)).toEqual(theirs);
    }
  });
});
