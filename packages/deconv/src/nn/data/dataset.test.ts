import { describe, expect, it } from 'vitest';
import { arange, mul, reshape, type Tensor, tensor, zeros } from '../../index.js';
import { type Dataset, mapDataset, tensorDataset } from './index.js';

const random = () => 0.5;
const at = (dataset: Dataset, index: number) => dataset.get(index, random) as readonly Tensor[];

describe('tensorDataset', () => {
  it('gives rows: their shapes, types and values', () => {
    const set = tensorDataset(reshape(arange(12), [3, 2, 2]), tensor(new Int32Array([7, 8, 9])));
    expect(set.length).toBe(3);
    const [x, t] = at(set, 1);
    expect([x.toArray(), t.toArray(), t.dtype, t.shape]).toEqual([
      [
        [4, 5],
        [6, 7],
      ],
      8,
      'int32',
      [],
    ]);
  });

  it('may be empty, and may have rows without values', () => {
    expect(tensorDataset(zeros([0, 3])).length).toBe(0);
    expect(at(tensorDataset(zeros([2, 0])), 1)[0].shape).toEqual([0]);
  });

  it.each<[string, () => unknown, string]>([
    ['no tensors', () => tensorDataset(), 'tensorDataset needs at least one tensor'],
    ['a number', () => tensorDataset(3 as never), 'tensors[0] must be a tensor, got 3'],
    [
      'rank 0',
      () => tensorDataset(tensor(3)),
      'all tensors must have as many samples along their first axis, got []',
    ],
    [
      'other counts',
      () => tensorDataset(zeros([3, 2]), zeros([4])),
      'all tensors must have as many samples along their first axis, got [3, 2] and [4]',
    ],
    ['an index beyond', () => at(tensorDataset(zeros([3])), 3), 'index must be an integer in [0, 2], got 3'],
    ['a negative one', () => at(tensorDataset(zeros([3])), -1), 'index must be an integer in [0, 2], got -1'],
  ])('refuses %s', (_, call, message) => expect(call).toThrow(`tensorDataset: ${message}`));
});

describe('mapDataset', () => {
  const set = tensorDataset(arange(4));

  it('hands over sample, random numbers and index', () => {
    const doubled = mapDataset(set, ([x], next, index) => [mul(x, 2), tensor(next()), tensor(index)]);
    expect(doubled.length).toBe(4);
    expect(at(doubled, 3).map((x) => x.item())).toEqual([6, 0.5, 3]);
  });

  it('waits for samples that come later, and for what is made of them', async () => {
    const later: Dataset = { length: 2, get: async (index) => [tensor(index)] };
    const mapped = mapDataset(
      mapDataset(later, async ([x]) => [mul(x, 10)]),
      ([x]) => [mul(x, 3)],
    );
    const [x] = await mapped.get(1, random);
    expect(x.item()).toBe(30);
  });

  it('refuses what is no dataset, no map, no sample', () => {
    expect(() => mapDataset([] as never, () => [])).toThrow(
      'mapDataset: dataset must have a length and get(index, random)',
    );
    expect(() => mapDataset(null as never, () => [])).toThrow('got null');
    expect(() => mapDataset({ length: -1, get: set.get }, (x) => x)).toThrow('dataset must have a length');
    expect(() => mapDataset(set, 'flip' as never)).toThrow('mapDataset: map must be a function, got "flip"');
    const wrong = mapDataset({ length: 1, get: () => tensor(1) as never }, (x) => x);
    expect(() => wrong.get(0, random)).toThrow('sample 0 must be a non-empty array of tensors, got a Tensor');
  });
});
