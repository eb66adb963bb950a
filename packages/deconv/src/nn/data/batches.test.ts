import { describe, expect, it } from 'vitest';
import { arange, type Tensor, tensor } from '../../index.js';
import { type BatchOptions, batches, type Dataset, mapDataset, tensorDataset } from './index.js';

const numbers = tensorDataset(arange(10));

/** Values of the first tensor of each batch. */
async function collect(set: Dataset, options: BatchOptions): Promise<number[][]> {
  const out: number[][] = [];
  for await (const [x] of batches(set, options)) out.push([...x.data]);
  return out;
}

describe('batches', () => {
  it('stacks samples in order, the last batch as large as is left', async () => {
    expect(await collect(numbers, { batchSize: 4 })).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(await collect(numbers, { batchSize: 4, dropLast: true })).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(await collect(numbers, {})).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
  });

  it('keeps shapes, types and the parts of a sample', async () => {
    const set: Dataset = { length: 3, get: (i) => [tensor([[i, i + 1]]), tensor(new Uint8Array([i]), [])] };
    for await (const [x, t, ...rest] of batches(set)) {
      expect([x.shape, x.dtype, t.shape, t.dtype, rest]).toEqual([[3, 1, 2], 'float32', [3], 'uint8', []]);
      expect(x.toArray()).toEqual([[[0, 1]], [[1, 2]], [[2, 3]]]);
    }
  });

  it('shuffles by seed and epoch, and by nothing else', async () => {
    const order = async (options: BatchOptions) =>
      (await collect(numbers, { shuffle: true, ...options })).flat();
    const first = await order({ seed: 5, epoch: 2 });
    expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const options of [{ batchSize: 3 }, { prefetch: 0 }, { prefetch: 9, batchSize: 1 }]) {
      expect(await order({ seed: 5, epoch: 2, ...options })).toEqual(first);
    }
    for (const other of [
      { seed: 5, epoch: 3 },
      { seed: 6, epoch: 2 },
      { seed: 2, epoch: 5 },
      { seed: -5, epoch: 2 },
    ]) {
      expect(await order(other)).not.toEqual(first);
    }
  });

  it('every order comes about as often as any other', async () => {
    const three = tensorDataset(arange(3));
    const counts: Record<string, number> = {};
    for (let seed = 0; seed < 600; seed++) {
      const [order] = await collect(three, { shuffle: true, seed });
      counts[order.join('')] = (counts[order.join('')] ?? 0) + 1;
    }
    // 100 each are expected, with a standard deviation of 9.
    expect(Object.keys(counts)).toHaveLength(6);
    for (const count of Object.values(counts)) expect(Math.abs(count - 100)).toBeLessThan(46);
  });

  it('gives each sample random numbers of its own, the same whatever runs beside it', async () => {
    const drawn = mapDataset(numbers, ([x], random) => [tensor([x.item(), random(), random()])]);
    const rows = async (options: BatchOptions) => {
      const all = (await collect(drawn, { seed: 1, ...options })).flat();
      return Array.from({ length: 10 }, (_, i) => all.slice(3 * i, 3 * i + 3)).sort((a, b) => a[0] - b[0]);
    };
    const plain = await rows({ batchSize: 10 });
    expect(new Set(plain.flatMap(([, a, b]) => [a, b])).size).toBe(20);
    expect(await rows({ batchSize: 3, shuffle: true, prefetch: 4 })).toEqual(plain);
    expect(await rows({ epoch: 1 })).not.toEqual(plain);
  });

  it('can be gone through again, and left early', async () => {
    const twice = batches(numbers, { batchSize: 5, shuffle: true });
    const passes: number[][] = [];
    for (let pass = 0; pass < 2; pass++) for await (const [x] of twice) passes.push([...x.data]);
    expect(passes.slice(0, 2)).toEqual(passes.slice(2));
    for await (const [x] of twice) {
      expect([...x.data]).toEqual(passes[0]);
      break;
    }
  });

  it.each([0, 1, 3])('prepares %d batches ahead, and no more', async (prefetch) => {
    let asked = 0;
    const slow: Dataset = {
      length: 8,
      get: async (index) => {
        asked++;
        return [tensor(index)];
      },
    };
    const seen: number[] = [];
    let done = 0;
    for await (const _ of batches(slow, { batchSize: 2, prefetch })) {
      seen.push(asked);
      done++;
      expect(asked).toBe(Math.min(8, 2 * (done + prefetch)));
    }
    expect(seen).toHaveLength(4);
  });

  it('tells of a sample that fails when its turn comes, and only then', async () => {
    const failing: Dataset = {
      length: 6,
      get: (index) => {
        if (index === 3) throw new Error('no sample 3');
        return [tensor(index)];
      },
    };
    const got: Tensor[][] = [];
    await expect(async () => {
      for await (const batch of batches(failing, { batchSize: 1, prefetch: 5 })) got.push(batch);
    }).rejects.toThrow('no sample 3');
    expect(got).toHaveLength(3);
    // Left before it: the failure is nobody's, and no unhandled rejection ends the process.
    for await (const _ of batches(failing, { batchSize: 1, prefetch: 5 })) break;
    await new Promise((settled) => setTimeout(settled, 5));
  });

  it.each<[string, Dataset, string]>([
    [
      'shapes',
      { length: 2, get: (i) => [tensor(new Float32Array(i + 1))] },
      'samples 0 and 1 do not go together: float32 [1]; and float32 [2] — crop or resize them in mapDataset',
    ],
    [
      'types',
      { length: 2, get: (i) => [tensor([1], { dtype: i ? 'int32' : 'float32' })] },
      'float32 [1]; and int32 [1]',
    ],
    [
      'numbers of parts',
      { length: 2, get: (i) => new Array(i + 1).fill(tensor(1)) },
      'float32 []; and float32 [], float32 []',
    ],
    ['no tensors', { length: 1, get: () => [] }, 'sample 0 must be a non-empty array of tensors, got []'],
  ])('refuses samples of different %s', async (_, set, message) => {
    await expect(collect(set, {})).rejects.toThrow(message);
  });

  it.each<[unknown, object, string]>([
    [tensorDataset(arange(0)), {}, 'the dataset is empty: it has no samples'],
    [
      numbers,
      { batchSize: 11, dropLast: true },
      'the dataset has 10 samples, fewer than batchSize 11, and dropLast leaves none',
    ],
    [[1, 2], {}, 'dataset must have a length and get(index, random), got [1, 2]'],
    [numbers, { batchSize: 0 }, 'batchSize must be an integer ≥ 1, got 0'],
    [numbers, { seed: 0.5 }, 'seed must be an integer, got 0.5'],
    [numbers, { epoch: -1 }, 'epoch must be an integer ≥ 0, got -1'],
    [numbers, { prefetch: -1 }, 'prefetch must be an integer ≥ 0, got -1'],
    [numbers, { shuffle: 1 }, 'shuffle must be true or false, got 1'],
    [numbers, { batch: 3 }, "unknown option 'batch' — did you mean 'batchSize'?"],
  ])('refuses at once, %#', (set, options, message) => {
    expect(() => batches(set as Dataset, options)).toThrow(`batches: ${message}`);
  });
});
