import { describe, expect, it } from 'vitest';
import { convTransposeGeometry } from './conv.js';
import { coverageAxes, coveragePlane } from './coverage.js';

const histogram = (plane: Float64Array) => {
  const counts: Record<string, number> = {};
  for (const value of plane) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
};

describe('coverage', () => {
  it('of the 55 → 227 projection has the worked example’s histogram', () => {
    const g = convTransposeGeometry([1, 96, 55, 55], [96, 3, 11, 11], { stride: 4 });
    const plane = coveragePlane(g);
    expect(plane).toHaveLength(227 * 227);
    expect(histogram(plane)).toEqual({ 1: 64, 2: 960, 3: 2544, 4: 3600, 6: 19080, 9: 25281 });
  });

  it('counts before the crop: cropping reads the same numbers through a window', () => {
    const whole = coverageAxes(convTransposeGeometry([1, 1, 5], [1, 1, 5], { stride: 2 }))[0];
    const cropped = coverageAxes(
      convTransposeGeometry([1, 1, 5], [1, 1, 5], { stride: 2, padding: [[2, 1]] }),
    )[0];
    expect([...cropped]).toEqual([...whole].slice(2, -1));
  });

  it('is 0 where nothing reaches: gaps of a long stride, and rows beyond the kernel', () => {
    const g = convTransposeGeometry([1, 1, 3], [1, 1, 2], { stride: 4, outputPadding: 3 });
    expect([...coverageAxes(g)[0]]).toEqual([1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]);
    const extended = convTransposeGeometry([1, 1, 1], [1, 1, 1], { padding: -2 });
    expect([...coverageAxes(extended)[0]]).toEqual([0, 0, 1, 0, 0]);
  });

  it('is the product of the axes, row-major', () => {
    const g = convTransposeGeometry([1, 1, 2, 3], [1, 1, 2, 2]);
    expect(coverageAxes(g).map((axis) => [...axis])).toEqual([
      [1, 2, 1],
      [1, 2, 2, 1],
    ]);
    expect([...coveragePlane(g)]).toEqual([1, 2, 2, 1, 2, 4, 4, 2, 1, 2, 2, 1]);
  });

  it('averages the worked 3×3 example: 500 / 4 = 125 in the middle', () => {
    const plane = coveragePlane(convTransposeGeometry([1, 1, 2, 2], [1, 1, 2, 2]));
    const output = [37, 121, 94, 178, 500, 342, 201, 499, 308];
    expect(output.map((value, at) => value / plane[at])).toEqual([
      37, 60.5, 94, 89, 125, 171, 201, 249.5, 308,
    ]);
  });
});
