import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RESULT_TARGET } from './band-size.js';
import { cutChannels } from './panels.js';

it('output channels are cut into blocks of whole tiles, as many as wanted, and no more than needed', () => {
  const sizes = fc.tuple(
    fc.integer({ min: 1, max: 700 }),
    fc.integer({ min: 1, max: 16 }),
    fc.constantFrom(1, 49, 196, 3136, 1e6),
    fc.constantFrom(4, 6),
    fc.integer({ min: 1, max: 8 }),
    fc.constantFrom(4, 10),
    fc.constantFrom(1, 2, 3),
  );
  fc.assert(
    fc.property(sizes, ([channels, phases, positions, mr, runs, least, threads]) => {
      const blocks = cutChannels(channels, phases, positions, mr, runs, least, threads);
      let next = 0;
      for (const { from, count } of blocks) {
        expect([from, count > 0]).toEqual([next, true]);
        next += count;
      }
      expect(next).toBe(channels);
      const fit = Math.max(1, Math.floor(RESULT_TARGET / (phases * positions * 4)));
      if (runs === 1 && fit >= channels) expect(blocks.length).toBe(1);
      const unit = fit < mr ? 1 : mr;
      const whole = blocks.slice(0, -1).map(({ count }) => count);
      // Those that threads share may be half as long again as on average.
      const most = (runs > 1 && threads > 1 ? 1.5 : 1) * fit;
      for (const count of whole)
        expect([count % unit, count <= Math.max(most, unit) + unit]).toEqual([0, true]);
      for (const [i, count] of whole.slice(1).entries()) expect(count - whole[i]).toBeLessThanOrEqual(mr);
      if (runs === 1 || threads === 1)
        expect(Math.max(...whole) - Math.min(...whole)).toBeLessThanOrEqual(
          blocks.length > 1 ? mr : Infinity,
        );
    }),
    { numRuns: 300 },
  );
  expect(cutChannels(256, 1, 196, 6, 8, 4, 2).map(({ count }) => count)).toEqual([
    42, 42, 42, 30, 30, 30, 18, 22,
  ]);
  expect(cutChannels(64, 1, 196, 6, 1, 4, 2)).toEqual([{ from: 0, count: 64 }]);
});
