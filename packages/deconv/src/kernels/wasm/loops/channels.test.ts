import fc from 'fast-check';
import { describe, it } from 'vitest';
import { expectSame, values, wild } from '../../../../../../test/support/loops.js';
import type { Channels } from '../../../backend.js';

const shapes = fc.record({
  outer: fc.constantFrom(0, 1, 2, 5),
  channels: fc.constantFrom(0, 1, 2, 3, 7, 16),
  inner: fc.constantFrom(0, 1, 2, 3, 4, 5, 9, 33),
});

/** As networks have them: pictures, vectors, rows of a layer normalisation, one long channel, more channels than a piece. */
const USUAL: readonly Channels[] = [
  { outer: 3, channels: 5, inner: 40 * 33 },
  { outer: 300, channels: 70, inner: 1 },
  { outer: 1, channels: 900, inner: 65 },
  { outer: 1, channels: 1, inner: 40_001 },
  { outer: 2, channels: 20_000, inner: 1 },
];

/** Operands by their letters: x and y whole, the others one number per channel. */
const operands = (names: string, { outer, channels, inner }: Channels, make: typeof values, seed: number) =>
  [...names].map((name, i) => make('xy'.includes(name) ? outer * channels * inner : channels, seed + i));

describe('one number per channel', () => {
  it.each(['xmft', 'xmftyng'])('affine of %s', (names) => {
    fc.assert(
      fc.property(shapes, fc.nat(1e6), (c, seed) => {
        expectSame('channel.affine', operands(names, c, values, seed), c, 1e-6, 20);
        expectSame('channel.affine', operands(names, c, wild, seed), c, 1e-6, 20);
        expectSame('channel.affine', operands(names, c, wild, seed), { ...c, relu: true }, 1e-6, 20);
      }),
    );
    for (const c of USUAL) expectSame('channel.affine', operands(names, c, values, 1), c, 1e-6, 20);
  });

  it('dot', () => {
    fc.assert(
      fc.property(shapes, fc.nat(1e6), (c, seed) => {
        expectSame('channel.dot', operands('xmyn', c, values, seed), c, 1e-6, 10);
        expectSame('channel.dot', operands('xmyn', c, wild, seed), c, 1e-6, 10);
      }),
    );
    for (const c of USUAL) expectSame('channel.dot', operands('xmyn', c, values, 1), c, 1e-6, 100);
  });

  it('responses, damped by their neighbours', () => {
    const response = fc.record({
      size: fc.constantFrom(1, 2, 3, 5, 6),
      alpha: fc.constantFrom(1e-4, 0.5, 2),
      beta: fc.constantFrom(0.75, 0.5, 1, 0, 2.25, -0.5),
      bias: fc.constantFrom(1, 2, 0.1),
    });
    const check = (
      c: Channels,
      r: { size: number; alpha: number; beta: number; bias: number },
      seed: number,
    ) => {
      const attributes = { ...c, ...r, before: Math.floor((r.size - 1) / 2) };
      expectSame('channel.response', [values(c.outer * c.channels * c.inner, seed)], attributes, 1e-6, 1);
    };
    fc.assert(fc.property(shapes, response, fc.nat(1e6), check));
    for (const c of USUAL) check(c, { size: 5, alpha: 1e-4, beta: 0.75, bias: 1 }, 1);
  });
});
