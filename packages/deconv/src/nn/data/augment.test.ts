import { describe, expect, it } from 'vitest';
import { arange, cast, randomStream, reshape, type Tensor, tensor, upsample } from '../../index.js';
import { type RandomStream, randomCrop, randomFlip, type Sample, type SampleMap } from './index.js';

const picture = reshape(arange(2 * 4 * 5), [2, 4, 5]);
const mask = reshape(arange(4 * 5, { dtype: 'int32' }), [4, 5]);
const label = tensor(3);
const apply = (map: SampleMap, sample: Sample, random: RandomStream = randomStream(1)) =>
  map(sample, random, 0) as readonly Tensor[];

describe('randomCrop', () => {
  it('crops pictures and masks alike, every place equally often, and leaves labels', () => {
    const places: Record<number, number> = {};
    const random = randomStream(4);
    for (let i = 0; i < 600; i++) {
      const [x, m, t] = apply(randomCrop([3, 4]), [picture, mask, label], random);
      expect([x.shape, m.shape, m.dtype, t]).toEqual([[2, 3, 4], [3, 4], 'int32', label]);
      const [corner] = m.data;
      // Each value tells where it came from.
      const expected = Array.from({ length: 12 }, (_, j) => corner + 5 * Math.floor(j / 4) + (j % 4));
      expect([...m.data]).toEqual(expected);
      expect([...x.data]).toEqual([...expected, ...expected.map((value) => value + 20)]);
      places[corner] = (places[corner] ?? 0) + 1;
    }
    // Two places by two, 150 each, with a standard deviation of 11.
    expect(Object.keys(places)).toEqual(['0', '1', '5', '6']);
    for (const count of Object.values(places)) expect(Math.abs(count - 150)).toBeLessThan(55);
  });

  it('crops pairs for super-resolution at the same place', () => {
    const low = reshape(arange(36), [1, 6, 6]);
    const high = reshape(
      upsample(reshape(low, [1, 1, 6, 6]), { scaleFactor: 3, mode: 'nearest' }),
      [1, 18, 18],
    );
    for (let seed = 0; seed < 20; seed++) {
      const [a, b] = apply(randomCrop(2, { scale: 3 }), [low, high], randomStream(seed));
      expect(b.shape).toEqual([1, 6, 6]);
      const enlarged = upsample(reshape(a, [1, 1, 2, 2]), { scaleFactor: 3, mode: 'nearest' });
      expect([...b.data]).toEqual([...enlarged.data]);
    }
  });

  it('a scale for each, beside labels', () => {
    const sizes = [4, 8, 4, 16].map((side) => tensor(new Float32Array(side * side), [side, side]));
    const [first, ...rest] = sizes;
    const out = apply(randomCrop(2, { scale: [2, 1, 4] }), [label, first, ...rest]);
    expect(out.map((x) => x.shape)).toEqual([[], [2, 2], [4, 4], [2, 2], [8, 8]]);
  });

  it('pads with zeros: the window may lie half outside', () => {
    const one = tensor([
      [1, 2],
      [3, 4],
    ]);
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const [x] = apply(randomCrop(2, { padding: 1 }), [one], randomStream(seed));
      seen.add([...x.data].join(''));
    }
    // Three places by three.
    const places = ['0001', '0012', '0020', '0103', '1234', '2040', '0300', '3400', '4000'];
    expect([...seen].sort()).toEqual(places.sort());
    const [all] = apply(randomCrop(4, { padding: 1 }), [one]);
    expect(all.toArray()).toEqual([
      [0, 0, 0, 0],
      [0, 1, 2, 0],
      [0, 3, 4, 0],
      [0, 0, 0, 0],
    ]);
  });

  it('draws as much whatever the size, so that what follows is the same', () => {
    const after = (size: number) => {
      const random = randomStream(9);
      apply(randomCrop(size), [picture], random);
      return random();
    };
    expect(after(2)).toBe(after(4));
  });

  it('refuses what does not fit', () => {
    const crop =
      (map: SampleMap, ...sample: Tensor[]) =>
      () =>
        apply(map, sample);
    expect(crop(randomCrop(5), picture)).toThrow('randomCrop: size [5, 5] is larger than the picture [4, 5]');
    expect(crop(randomCrop(9, { padding: 2 }), picture)).toThrow(
      'size [9, 9] is larger than the picture [4, 5] with padding 2',
    );
    expect(crop(randomCrop(2, { scale: 2 }), picture, mask)).toThrow(
      'a picture of scale 2 must be [8, 10] beside [4, 5], got [4, 5]',
    );
    expect(crop(randomCrop(2, { scale: [2, 2] }), picture, mask)).toThrow(
      'scale [2, 2] is for 3 pictures, the sample has 2',
    );
    expect(() => randomCrop(0)).toThrow('randomCrop: size must be an integer ≥ 1, got 0');
    expect(() => randomCrop([1, 2, 3])).toThrow('size needs 2 values');
    expect(() => randomCrop(2, { scale: 0.5 })).toThrow('scale must be an integer ≥ 1, got 0.5');
    expect(() => randomCrop(2, { padding: -1 })).toThrow('padding must be an integer ≥ 0');
    expect(() => randomCrop(2, { pad: 1 } as never)).toThrow(
      "unknown option 'pad' — did you mean 'padding'?",
    );
  });
});

describe('randomFlip', () => {
  /** A stream of given numbers. */
  const given =
    (...values: number[]) =>
    () =>
      values.shift() as number;
  const small = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);

  it.each([
    [
      'left and right',
      {},
      [0.1, 0.9],
      [
        [2, 1],
        [4, 3],
        [6, 5],
      ],
    ],
    [
      'not',
      {},
      [0.9, 0.1],
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ],
    [
      'top and bottom',
      { vertical: true },
      [0.9, 0.1],
      [
        [5, 6],
        [3, 4],
        [1, 2],
      ],
    ],
    [
      'both',
      { vertical: true },
      [0.1, 0.1],
      [
        [6, 5],
        [4, 3],
        [2, 1],
      ],
    ],
    [
      'only top and bottom',
      { horizontal: false, vertical: true },
      [0.1, 0.1],
      [
        [5, 6],
        [3, 4],
        [1, 2],
      ],
    ],
  ])('%s', (_, options, numbers, expected) => {
    const [x] = apply(randomFlip(options), [small], given(...numbers));
    expect(x.toArray()).toEqual(expected);
  });

  it('flips all planes of all pictures alike, and leaves labels', () => {
    const [x, m, t] = apply(randomFlip({ vertical: true }), [picture, mask, label], given(0, 0));
    // Turned by half: each plane read backwards.
    expect([...m.data]).toEqual([...mask.data].reverse());
    expect([...x.data.subarray(0, 20)]).toEqual([...cast(mask, 'float32').data].reverse());
    expect([...x.data.subarray(20)]).toEqual([...mask.data].reverse().map((value) => value + 20));
    expect([m.dtype, t]).toEqual(['int32', label]);
    expect([...picture.data.subarray(0, 3)]).toEqual([0, 1, 2]);
  });

  it('flips about half of the samples', () => {
    const random = randomStream(3);
    let flipped = 0;
    for (let i = 0; i < 400; i++) if (apply(randomFlip(), [small], random)[0].data[0] === 2) flipped++;
    expect(Math.abs(flipped - 200)).toBeLessThan(50);
  });

  it('refuses options that are not understood', () => {
    expect(() => randomFlip({ horizontal: 1 } as never)).toThrow(
      'randomFlip: horizontal must be true or false, got 1',
    );
    expect(() => randomFlip({ vertikal: true } as never)).toThrow("did you mean 'vertical'?");
  });
});
