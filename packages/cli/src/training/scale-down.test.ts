/** Scaling down: taps worked out by hand, and what every way of scaling must keep. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../pictures.js';
import { cropPixels, cutTo, DEGRADATIONS, scaleDown } from './scale-down.js';

const grey = (rows: readonly (readonly number[])[]): Pixels => ({
  width: rows[0].length,
  height: rows.length,
  data: Uint8Array.from(rows.flat().flatMap((value) => [value, value, value])),
});
const values = ({ width, height, data }: Pixels) =>
  Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 3]),
  );

describe('scaleDown', () => {
  it('averages areas', () => {
    const small = scaleDown(grey([[0, 4, 10, 20], [8, 12, 30, 40]]), 2, 'area'); // biome-ignore format: a matrix
    expect(values(small)).toEqual([[6, 25]]);
  });

  it('weighs by the cubic, stretched: half of −9, −27, 87, 333, 333, 87, −27, −9 of 384 by 2', () => {
    // Distances (i − ½)/2 are ¼, ¾, 1¼, 1¾: weights 111/128, 29/128, −9/128, −3/128, over their sum 2.
    const column = (at: number, value: number) =>
      grey(Array.from({ length: 16 }, (_, y) => new Array<number>(16).fill(y === at ? value : 0)));
    const middle = (picture: Pixels) => values(scaleDown(picture, 2, 'bicubic'))[4][4];
    expect(middle(column(8, 200))).toBe(Math.round((200 * 111) / 256));
    expect(middle(column(9, 200))).toBe(Math.round((200 * 111) / 256));
    expect(middle(column(7, 200))).toBe(Math.round((200 * 29) / 256));
    // Negative lobes darken: on a ground of 100 a line of 200 two pixels away takes 9/256 of 100.
    const ground = grey(
      Array.from({ length: 16 }, (_, y) => new Array<number>(16).fill(y === 6 ? 200 : 100)),
    );
    expect(middle(ground)).toBe(Math.round(100 - (100 * 9) / 256));
  });

  it.each(DEGRADATIONS)('%s keeps what is flat, and mirrors with the picture', (how) => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 0, max: 255 }), (factor, value) => {
        const side = 6 * factor;
        const flat = grey(Array.from({ length: side }, () => new Array<number>(side).fill(value)));
        expect(new Set(scaleDown(flat, factor, how).data)).toEqual(new Set([value]));
        const rows = Array.from({ length: side }, (_, y) =>
          Array.from({ length: side }, (_, x) => (x * 37 + y * 11 + value) % 256),
        );
        const mirrored = rows.map((row) => [...row].reverse());
        expect(values(scaleDown(grey(mirrored), factor, how))).toEqual(
          values(scaleDown(grey(rows), factor, how)).map((row) => [...row].reverse()),
        );
      }),
      { numRuns: 10 },
    );
  });

  it('cuts off what does not divide, and windows', () => {
    const picture = grey([[1, 2, 3], [4, 5, 6], [7, 8, 9]]); // biome-ignore format: a matrix
    expect(values(cutTo(picture, 2))).toEqual([[1, 2], [4, 5]]); // biome-ignore format: a matrix
    expect(cutTo(picture, 3)).toBe(picture);
    expect(values(cropPixels(picture, 1, 2, 2, 1))).toEqual([[8, 9]]);
  });
});
