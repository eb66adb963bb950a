import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convGeometry, convTransposeGeometry } from './conv.js';
import { phasesOfAxis } from './phases.js';
import { type GeometrySolution, type SolveQuestion, solveGeometry } from './solver.js';

const brief = (g: GeometrySolution) =>
  `k${g.kernelSize} s${g.stride} p${g.padding} d${g.dilation} op${g.outputPadding}`;

describe('solveGeometry', () => {
  it('finds AlexNet’s first layer both ways, and a cheaper even one before it', () => {
    const back = solveGeometry({ op: 'convTranspose', inputSize: 55, outputSize: 227 });
    const alexnet = back.find((g) => brief(g) === 'k11 s4 p0,0 d1 op0');
    expect(alexnet?.coverage).toEqual({ min: 2, max: 3, even: false });
    expect(alexnet?.macs).toBeCloseTo((55 * 11) / 227, 12);
    expect(alexnet?.why).toBe(
      '(55 − 1)·4 − 0 − 0 + 11 + 0 = 227; inside, an output is reached by 2 taps here and by 3 taps there: a checkerboard waits',
    );
    expect(brief(back[0])).toBe('k8 s4 p0,0 d1 op3');
    expect(back[0].why).toBe(
      '(55 − 1)·4 − 0 − 0 + 8 + 3 = 227; inside, every output is reached by 2 taps: even',
    );
    const forward = solveGeometry({ op: 'conv', inputSize: 227, outputSize: 55 });
    expect(forward.map(brief)).toContain('k11 s4 p0,0 d1 op0');
  });

  it('ranks doubling: kernel 2 before 4 before 3', () => {
    const list = solveGeometry({
      op: 'convTranspose',
      inputSize: 7,
      outputSize: 14,
      bounds: { stride: 2, kernelSize: [2, 4] },
    });
    expect(list.map(brief)).toEqual(['k2 s2 p0,0 d1 op0', 'k4 s2 p1,1 d1 op0', 'k3 s2 p1,1 d1 op1']);
  });

  it('finds what keras does with kernel 3, stride 2, same, only when asked for uneven padding', () => {
    const question = { op: 'convTranspose', inputSize: 5, outputSize: 10 } as const;
    const bounds = { kernelSize: 3, stride: 2, padding: [0, 1], outputPadding: 0 } as const;
    expect(solveGeometry({ ...question, bounds })).toEqual([]);
    const uneven = solveGeometry({ ...question, bounds: { ...bounds, asymmetric: true } });
    expect(uneven.map(brief)).toEqual(['k3 s2 p0,1 d1 op0', 'k3 s2 p1,0 d1 op0']);
  });

  it('finds everything within small bounds and nothing wrong, against plain enumeration', () => {
    const sizes = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        fc.constantFrom('conv', 'convTranspose'),
        sizes,
        sizes,
        fc.boolean(),
        (op, n, out, asymmetric) => {
          const bounds = {
            kernelSize: [1, 5],
            stride: [1, 4],
            padding: [-1, 3],
            dilation: [1, 3],
            asymmetric,
          } as const;
          const want = new Set<string>();
          for (let k = 1; k <= 5; k++) {
            for (let s = 1; s <= 4; s++) {
              for (let d = 1; d <= (k === 1 ? 1 : 3); d++) {
                for (let before = -1; before <= 3; before++) {
                  for (let after = -1; after <= 3; after++) {
                    for (let extra = 0; extra < (op === 'conv' ? 1 : Math.max(s, d)); extra++) {
                      if (!asymmetric && before !== after) continue;
                      const padding = [[before, after] as const];
                      try {
                        const options = { stride: s, dilation: d, padding };
                        const g =
                          op === 'conv'
                            ? convGeometry([1, 1, n], [1, 1, k], options).ySize
                            : convTransposeGeometry([1, 1, n], [1, 1, k], {
                                ...options,
                                outputPadding: extra,
                              }).xSize;
                        if (g[0] === out) want.add(`k${k} s${s} p${before},${after} d${d} op${extra}`);
                      } catch {
                        // no such layer
                      }
                    }
                  }
                }
              }
            }
          }
          const found = solveGeometry({ op, inputSize: n, outputSize: out, bounds } as SolveQuestion);
          expect(new Set(found.map(brief))).toEqual(want);
          expect(found).toHaveLength(want.size);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('counts coverage as the phases do', () => {
    const list = solveGeometry({
      op: 'conv',
      inputSize: 40,
      outputSize: 9,
      bounds: { kernelSize: [1, 12], stride: [1, 6], dilation: [1, 6], padding: [0, 8] },
    });
    expect(list.length).toBeGreaterThan(20);
    for (const { kernelSize, stride, dilation, coverage } of list) {
      const counts = phasesOfAxis(1, kernelSize, stride, dilation, 0, 1).map((phase) => phase.taps.length);
      const [min, max] = [Math.min(...counts), Math.max(...counts)];
      expect(coverage).toEqual({ min, max, even: min === max });
    }
  });

  it('puts every even solution before every uneven one, and cheap before dear', () => {
    const list = solveGeometry({ op: 'convTranspose', inputSize: 16, outputSize: 64 });
    const firstUneven = list.findIndex((g) => !g.coverage.even);
    expect(firstUneven).toBeGreaterThan(0);
    expect(list.slice(firstUneven).every((g) => !g.coverage.even)).toBe(true);
    const costs = list.slice(0, firstUneven).map((g) => g.macs);
    expect(costs).toEqual([...costs].sort((a, b) => a - b));
  });

  it.each([
    [
      { op: 'conv', inputSize: Number.NaN, outputSize: 3 },
      'solveGeometry: inputSize must be an integer ≥ 1, got NaN',
    ],
    [{ op: 'conv', inputSize: 3, outputSize: 2.5 }, 'outputSize must be an integer ≥ 1, got 2.5'],
    [{ op: 'conv', inputSize: 0, outputSize: 3 }, 'inputSize must be an integer ≥ 1, got 0'],
    [
      { op: 'deconv', inputSize: 1, outputSize: 3 },
      "op must be one of 'conv', 'convTranspose', got \"deconv\"",
    ],
    [
      { op: 'conv', inputSize: 1, outputSize: 3, bound: {} },
      "unknown option 'bound' — did you mean 'bounds'?",
    ],
    [
      { op: 'conv', inputSize: 1, outputSize: 3, bounds: { kernel: 3 } },
      "unknown option 'kernel' — did you mean 'kernelSize'?",
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { stride: [4, 2] } },
      'stride must be [least, greatest], got [4, 2]',
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { stride: [0, 2] } },
      'stride must be an integer ≥ 1',
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { dilation: 1.5 } },
      'dilation must be an integer ≥ 1, got [1.5, 1.5]',
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { asymmetric: 1 } },
      'asymmetric must be true or false, got 1',
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { outputPadding: 1 } },
      'outputPadding belongs to convTranspose',
    ],
    [
      { op: 'conv', inputSize: 9, outputSize: 3, bounds: { kernelSize: [1, 1e5], stride: [1, 100] } },
      'bounds hold 90000000 candidates, must be ≤ 1000000 — narrow a range',
    ],
    [undefined, 'op, inputSize and outputSize are required'],
  ])('refuses case %#', (question, message) => {
    expect(() => solveGeometry(question as SolveQuestion)).toThrow(message);
  });
});
