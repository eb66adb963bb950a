import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convTransposeAxis } from './axis.js';
import { convTransposeGeometry } from './conv.js';
import { coverageAxes } from './coverage.js';
import { phases, phasesOfAxis } from './phases.js';

/** The definition: y[i·s + u·d − pb] += x[i]·w[u], cropped to the output. */
function scatter(x: number[], w: number[], s: number, d: number, pb: number, out: number): number[] {
  const y = new Array<number>(out).fill(0);
  for (let i = 0; i < x.length; i++) {
    for (let u = 0; u < w.length; u++) {
      const o = i * s + u * d - pb;
      if (o >= 0 && o < out) y[o] += x[i] * w[u];
    }
  }
  return y;
}

const axisArbitrary = fc
  .record({
    x: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 7 }),
    w: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 6 }),
    s: fc.integer({ min: 1, max: 5 }),
    d: fc.integer({ min: 1, max: 4 }),
    before: fc.integer({ min: -4, max: 9 }),
    after: fc.integer({ min: -4, max: 9 }),
  })
  .map((c) => ({
    ...c,
    out: convTransposeAxis(c.x.length, c.w.length, c.s, c.d, { before: c.before, after: c.after }, 0),
  }))
  .filter((c) => c.out >= 1);

describe('phasesOfAxis', () => {
  it('rebuilds the scatter definition from its phases, for any geometry', () => {
    fc.assert(
      fc.property(axisArbitrary, ({ x, w, s, d, before, out }) => {
        const y = new Array<number>(out).fill(Number.NaN);
        for (const phase of phasesOfAxis(x.length, w.length, s, d, before, out)) {
          for (let m = 0; m < phase.count; m++) {
            let sum = 0;
            for (const [t, u] of phase.taps.entries()) sum += (x[m + phase.offsets[t]] ?? 0) * w[u];
            y[phase.first + m * s] = sum;
          }
        }
        expect(y).toEqual(scatter(x, w, s, d, before, out));
      }),
      { numRuns: 500 },
    );
  });

  it('marks exactly the outputs whose every tap reads an input that exists', () => {
    fc.assert(
      fc.property(axisArbitrary, ({ x, w, s, d, before, out }) => {
        for (const phase of phasesOfAxis(x.length, w.length, s, d, before, out)) {
          for (let m = 0; m < phase.count; m++) {
            const exists = phase.offsets.every((offset) => m + offset >= 0 && m + offset < x.length);
            expect(exists).toBe(m >= phase.insideFrom && m < phase.insideTo);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('deals every tap to one phase and every output to one phase', () => {
    const list = phasesOfAxis(5, 7, 3, 2, 1, 20);
    expect(list.flatMap((phase) => phase.taps).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(list.reduce((sum, phase) => sum + phase.count, 0)).toBe(20);
  });

  it('leaves phases without taps when dilation and stride share a factor', () => {
    const list = phasesOfAxis(4, 3, 2, 2, 0, 11);
    expect(list.map((phase) => phase.taps)).toEqual([[0, 1, 2], []]);
    expect(list[0].offsets).toEqual([0, -1, -2]);
  });

  it('leaves phases without outputs when the stride is longer than the output', () => {
    expect(phasesOfAxis(1, 2, 5, 1, 0, 2).map((phase) => phase.count)).toEqual([1, 1, 0, 0, 0]);
  });

  it('is frozen', () => {
    const [phase] = phasesOfAxis(2, 2, 2, 1, 0, 4);
    expect(Object.isFrozen(phase) && Object.isFrozen(phase.taps) && Object.isFrozen(phase.offsets)).toBe(
      true,
    );
  });

  it.each([
    [[Number.NaN, 3, 2, 1, 0, 7], 'phasesOfAxis: input size must be an integer ≥ 1, got NaN'],
    [[4, 0, 2, 1, 0, 7], 'phasesOfAxis: kernelSize must be an integer ≥ 1, got 0'],
    [[4, 3, 1.5, 1, 0, 7], 'phasesOfAxis: stride must be an integer ≥ 1, got 1.5'],
    [[4, 3, 2, 1, 0.5, 7], 'phasesOfAxis: padBefore must be an integer, got 0.5'],
    [[4, 3, 1e6, 1, 0, 7], 'phasesOfAxis: stride must be ≤ 65536 to be split into phases, got 1000000'],
  ])('refuses %j', (args, message) => {
    const [n, k, s, d, pb, out] = args as number[];
    expect(() => phasesOfAxis(n, k, s, d, pb, out)).toThrow(message);
  });
});

describe('phases', () => {
  it('gives s^rank phases whose taps and outputs add up', () => {
    const g = convTransposeGeometry([1, 2, 4, 5], [2, 3, 5, 3], { stride: [2, 3], padding: [1, 0] });
    const list = phases(g);
    expect(list).toHaveLength(6);
    expect(list.map((phase) => phase.residue.join())).toEqual(['0,0', '0,1', '0,2', '1,0', '1,1', '1,2']);
    expect(list.reduce((sum, phase) => sum + phase.taps, 0)).toBe(5 * 3);
    expect(list.reduce((sum, phase) => sum + phase.outputs, 0)).toBe(g.xSize[0] * g.xSize[1]);
  });

  it('agrees with the coverage: inside, an output is reached once per tap of its phase', () => {
    const g = convTransposeGeometry([1, 96, 55, 55], [96, 3, 11, 11], { stride: 4 });
    const middle = coverageAxes(g)[0].subarray(100, 104);
    const byPhase = phases(g).filter((phase) => phase.residue[1] === 0);
    expect([...middle]).toEqual(byPhase.map((phase) => phase.axes[0].taps.length)); // 3 3 3 2
    expect([...middle]).toEqual([3, 3, 3, 2]);
  });

  it('works in three dimensions', () => {
    const g = convTransposeGeometry([1, 1, 2, 2, 2], [1, 1, 2, 2, 2], { stride: 2 });
    expect(phases(g).map((phase) => phase.taps)).toEqual(new Array(8).fill(1));
  });

  it('refuses absurd strides with their numbers', () => {
    const g = convTransposeGeometry([1, 1, 2, 2], [1, 1, 2, 2], { stride: 1000 });
    expect(() => phases(g)).toThrow('phases: stride [1000, 1000] makes 1000000 phases, must be ≤ 65536');
  });
});
