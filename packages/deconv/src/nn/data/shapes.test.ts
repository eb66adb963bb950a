import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../index.js';
import { crc32 } from '../../io/checksum.js';
import { FIGURES } from './figures.js';
import { type Dataset, SHAPE_NAMES, syntheticShapes } from './index.js';

const at = (set: Dataset, index: number) => set.get(index, Math.random) as readonly [Tensor, Tensor, Tensor];

describe('syntheticShapes', () => {
  it('gives picture, label and mask that go together', () => {
    const size = 48;
    const set = syntheticShapes(200, { size, classes: 8 });
    expect(set.length).toBe(200);
    const labels = new Array<number>(8).fill(0);
    for (let i = 0; i < set.length; i++) {
      const [x, t, m] = at(set, i);
      expect([x.shape, x.dtype, t.shape, t.dtype]).toEqual([[3, size, size], 'float32', [], 'int32']);
      expect([m.shape, m.dtype]).toEqual([[size, size], 'int32']);
      expect(x.data.every((value) => value >= 0 && value <= 1)).toBe(true);
      const pixels = new Array<number>(9).fill(0);
      for (const mark of m.data) pixels[mark]++;
      // The main figure is there, and is not a few pixels; the ground is seen too.
      expect(pixels[t.item() + 1]).toBeGreaterThan(0.03 * size * size);
      expect(pixels[0]).toBeGreaterThan(0.2 * size * size);
      labels[t.item()]++;
    }
    for (const count of labels) expect(Math.abs(count - 25)).toBeLessThan(20);
  });

  it('figures differ from the ground around them', () => {
    const set = syntheticShapes(60);
    for (let i = 0; i < set.length; i++) {
      const [x, t, m] = at(set, i);
      const plane = m.data.length;
      let most = 0;
      for (let channel = 0; channel < 3; channel++) {
        const sums = [0, 0, 0, 0];
        for (let p = 0; p < plane; p++) {
          const which = m.data[p] === t.item() + 1 ? 0 : m.data[p] === 0 ? 2 : -1;
          if (which < 0) continue;
          sums[which] += x.data[channel * plane + p];
          sums[which + 1]++;
        }
        most = Math.max(most, Math.abs(sums[0] / sums[1] - sums[2] / sums[3]));
      }
      expect(most).toBeGreaterThan(0.1);
    }
  });

  it('is the same set always, and another with another seed', () => {
    const bits = (set: Dataset, index: number) =>
      at(set, index).map((x) => crc32(new Uint8Array(x.data.buffer)));
    const set = syntheticShapes(10, { seed: 7 });
    const ninth = bits(set, 9);
    bits(set, 1);
    expect(bits(set, 9)).toEqual(ninth);
    expect(bits(syntheticShapes(10_000, { seed: 7 }), 9)).toEqual(ninth);
    expect(bits(syntheticShapes(10, { seed: 8 }), 9)).not.toEqual(ninth);
    expect(bits(set, 8)).not.toEqual(ninth);
    // What people have trained on must not change under them: a change here is a change that users are told of.
    expect(ninth).toEqual([1962672257, 558161692, 710488128]);
  });

  it.each<[unknown, object, string]>([
    [0, {}, 'count must be an integer ≥ 1, got 0'],
    [5, { size: 8 }, 'size must be an integer ≥ 16, got 8'],
    [
      5,
      { classes: 9 },
      'classes must be at most 8, got 9 — they are disc, rectangle, triangle, stripes, ring, cross, star, crescent',
    ],
    [5, { classes: 1 }, 'classes must be an integer ≥ 2, got 1'],
    [5, { seed: 'a' }, 'seed must be an integer, got "a"'],
    [5, { shapes: 3 }, "unknown option 'shapes'"],
  ])('refuses, %#', (count, options, message) => {
    expect(() => syntheticShapes(count as number, options)).toThrow(`syntheticShapes: ${message}`);
  });

  it('refuses an index beyond', () => {
    expect(() => at(syntheticShapes(5), 5)).toThrow('index must be an integer in [0, 4], got 5');
  });
});

describe('figures', () => {
  /** Share of the square of half side 1.2 that lies inside. */
  const area = (name: keyof typeof FIGURES) => {
    const steps = 600;
    let inside = 0;
    for (let i = 0; i < steps; i++) {
      for (let j = 0; j < steps; j++) {
        const [x, y] = [i, j].map((k) => ((k + 0.5) / steps - 0.5) * 2.4);
        if (FIGURES[name](x, y) < 0) inside++;
      }
    }
    return (inside / steps ** 2) * 2.4 ** 2;
  };

  // Areas by geometry; the crescent is a disc less its lens with another of radius 0.85 at distance 0.5.
  const lens = (r: number, s: number, d: number) =>
    r * r * Math.acos((d * d + r * r - s * s) / (2 * d * r)) +
    s * s * Math.acos((d * d + s * s - r * r) / (2 * d * s)) -
    Math.sqrt((-d + r + s) * (d + r - s) * (d - r + s) * (d + r + s)) / 2;
  it.each([
    ['disc', Math.PI],
    ['rectangle', 4 * 0.9 * 0.6],
    ['triangle', (3 * Math.sqrt(3)) / 4],
    ['stripes', 3 * 0.32 * 1.7],
    ['ring', Math.PI * (0.98 ** 2 - 0.5 ** 2)],
    ['cross', 2 * (2 * 0.64) - 0.64 ** 2],
    // Ten triangles from the middle, of sides 1 and 0.45, with 36° between them.
    ['star', 5 * 0.45 * Math.sin(Math.PI / 5)],
    ['crescent', Math.PI - lens(1, 0.85, 0.5)],
  ] as const)('%s has its area', (name, expected) => {
    expect(Math.abs(area(name) - expected)).toBeLessThan(0.01 * expected);
  });

  it('have names, in order', () => {
    expect(SHAPE_NAMES).toEqual([
      'disc',
      'rectangle',
      'triangle',
      'stripes',
      'ring',
      'cross',
      'star',
      'crescent',
    ]);
  });
});
