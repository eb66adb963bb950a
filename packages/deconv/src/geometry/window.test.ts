import { describe, expect, it } from 'vitest';
import { windowAxis, windowGeometry } from './window.js';

describe('windowAxis', () => {
  it.each([
    ['AlexNet pool', 55, 3, 2, 1, 0, false, 27],
    ['floors', 6, 3, 2, 1, 0, false, 2],
    ['ceils', 6, 3, 2, 1, 0, true, 3],
    ['ceil drops a window that would start in the right padding', 3, 2, 2, 1, 1, true, 2],
    ['ceil where it divides', 7, 3, 2, 1, 0, true, 3],
    ['dilated', 9, 3, 2, 2, 0, false, 3],
    ['size 1', 1, 1, 1, 1, 0, false, 1],
    ['window longer than the input, with padding', 2, 4, 1, 1, 1, false, 1],
  ])('%s', (_, n, k, s, d, p, ceil, out) => {
    expect(windowAxis(n, k, s, d, p, ceil)).toBe(out);
  });

  it('with ceilMode, every window starts inside the input or its left padding', () => {
    for (let n = 1; n <= 12; n++) {
      for (let k = 1; k <= 4; k++) {
        for (let s = 1; s <= 5; s++) {
          for (let p = 0; p <= Math.floor(k / 2); p++) {
            if (n + 2 * p < k) continue;
            const floor = windowAxis(n, k, s, 1, p, false);
            const ceil = windowAxis(n, k, s, 1, p, true);
            expect([floor, floor + 1]).toContain(ceil);
            expect((ceil - 1) * s).toBeLessThan(n + p);
            // One more window is taken exactly when elements are left over and it starts early enough.
            const more = (n + 2 * p - k) % s !== 0 && floor * s < n + p;
            expect(ceil).toBe(more ? floor + 1 : floor);
          }
        }
      }
    }
  });
});

describe('windowGeometry', () => {
  it('defaults the stride to the kernelSize for pooling and to 1 for unfold', () => {
    const shape = [2, 3, 8, 9];
    expect(windowGeometry('maxPool2d', shape, { kernelSize: [2, 3] }, 2, 'kernelSize')).toEqual({
      rank: 2,
      batch: 2,
      channels: 3,
      inputSize: [8, 9],
      outputSize: [4, 3],
      kernelSize: [2, 3],
      stride: [2, 3],
      dilation: [1, 1],
      padding: [0, 0],
    });
    expect(windowGeometry('unfold', shape, { kernelSize: 3 }, 2, 'one').outputSize).toEqual([6, 7]);
  });

  it('is the worked pooling example: 3×3, window 2, stride 1', () => {
    expect(
      windowGeometry('maxPool2d', [1, 1, 3, 3], { kernelSize: 2, stride: 1 }, 2, 'kernelSize').outputSize,
    ).toEqual([2, 2]);
  });

  it.each([
    [
      [1, 1, 4],
      { kernelSize: 2 },
      'maxPool2d: input must have rank 4 (batch, channels, …space), got [1, 1, 4]',
    ],
    [[1, 1, 4, 4], {}, 'maxPool2d: kernelSize is required'],
    [[1, 1, 4, 4], { kernelSize: 0 }, 'kernelSize must be an integer ≥ 1, got 0'],
    [[1, 1, 4, 4], { kernelSize: Number.NaN }, 'kernelSize must be an integer ≥ 1, got NaN'],
    [
      [1, 1, 4, 4],
      { kernelSize: [2, 2, 2] },
      'kernelSize needs 2 values (one per spatial axis), got [2, 2, 2]',
    ],
    [[1, 1, 4, 4], { kernelSize: 2, padding: -1 }, 'padding must be an integer ≥ 0, got -1'],
    [[1, 1, 4, 4], { kernelSize: 2, stride: 1.5 }, 'stride must be an integer ≥ 1, got 1.5'],
    [[1, 1, 4, 4], { kernelSize: 2, ceilMode: 1 }, 'ceilMode must be true or false, got 1'],
    [
      [1, 1, 4, 4],
      { kernelSize: 3, dilation: 2, padding: 0 },
      'output size of axis 0 would be 0, must be ≥ 1: the window spans 5 but the padded input is 4 long',
    ],
    [[1, 1, 0, 4], { kernelSize: 1 }, 'output size of axis 0 would be 0, must be ≥ 1'],
    [[1, 1, Number.NaN, 4], { kernelSize: 1 }, 'input axis 2 must be an integer ≥ 0, got NaN'],
    [[1, 1, 4.5, 4], { kernelSize: 1 }, 'input axis 2 must be an integer ≥ 0, got 4.5'],
  ])('refuses case %#', (shape, options, message) => {
    expect(() =>
      windowGeometry('maxPool2d', shape, options as { kernelSize: number }, 2, 'kernelSize'),
    ).toThrow(message);
  });

  it('takes an empty batch', () => {
    expect(windowGeometry('maxPool2d', [0, 3, 4, 4], { kernelSize: 2 }, 2, 'kernelSize').batch).toBe(0);
  });
});
