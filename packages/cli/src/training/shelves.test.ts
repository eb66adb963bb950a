/** Shelves: what is dealt where, and that the batches of an epoch depend on seed and epoch alone. */
import type { Tensor } from 'deconv';
import { describe, expect, it } from 'vitest';
import { Failure } from '../terminal.js';
import { drawnSource, holdBack, readBytesOption, type Source } from './folder.js';
import { type JobOptions, jobOf } from './jobs.js';
import { deal, Shelves } from './shelves.js';

const options: JobOptions = {
  task: 'upscale',
  scale: 2,
  channels: 4,
  depth: 1,
  patch: 8,
  noise: [0, 50],
  classes: 0,
  code: 4,
  down: 'stride',
  seed: 1,
};
const job = jobOf(options);
const all = [0, 1, 2, 3, 4, 5];

async function epochOf(shelves: Shelves, epoch: number): Promise<number[][]> {
  const seen: number[][] = [];
  for await (const [input, target] of shelves.batches(epoch))
    seen.push([...input.data, ...target.data].map(Number));
  return seen;
}

const open = async (source: Source, memory: number, seed = 1) => {
  const shelves = await Shelves.open(source, all, job, { batch: 4, seed, memory });
  await shelves.fill(() => {});
  return shelves;
};

describe('deal', () => {
  it('fills shelves in order, and gives one that is too large a shelf of its own', () => {
    expect(deal([3, 3, 3, 9, 1, 1], 7)).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(deal([], 7)).toEqual([]);
  });
});

describe('holdBack', () => {
  it.each([
    [1, [0], []],
    [2, [1], [0]],
    [10, [0, 1, 2, 3, 4, 6, 7, 8, 9], [5]],
  ])('of %i pictures trains on %j and looks at %j', (count, train, held) => {
    if (count === 2) return expect(holdBack(count, 12).held).toHaveLength(1);
    return expect(holdBack(count, 12)).toEqual({ train, held });
  });

  it('holds a tenth back, and no more than it is told', () => {
    expect(holdBack(40, 12).held).toHaveLength(4);
    expect(holdBack(4000, 12).held).toHaveLength(12);
    const { train, held } = holdBack(53, 12);
    expect([...train, ...held].sort((a, b) => a - b)).toEqual(Array.from({ length: 53 }, (_, i) => i));
  });
});

describe('readBytesOption', () => {
  it.each([
    ['512M', 512 * 2 ** 20],
    ['1.5G', 1.5 * 2 ** 30],
    ['2048k', 2 ** 21],
    ['4MiB', 2 ** 22],
    ['1048576', 2 ** 20],
  ])('%s', (text, bytes) => expect(readBytesOption(text)).toBe(bytes));
  it.each(['', 'M', '-1M', '1T', '12K', 'lots'])('refuses %j', (text) => {
    expect(() => readBytesOption(text)).toThrow(/a size/);
  });
});

describe('batches', () => {
  it('are the same for the same seed and epoch, whatever was drawn before, and others for others', async () => {
    const source = drawnSource(6, 32);
    const [a, b] = [await open(source, 2 ** 30), await open(source, 2 ** 30)];
    const first = await epochOf(a, 0);
    const second = await epochOf(a, 1);
    expect(await epochOf(b, 1)).toEqual(second);
    expect(second).not.toEqual(first);
    expect(await epochOf(await open(source, 2 ** 30, 2), 0)).not.toEqual(first);
    expect(first).toHaveLength(await a.stepsPerEpoch());
  });

  it('go through all shelves when the memory does not hold all pictures', async () => {
    const source = drawnSource(6, 32);
    const read: number[] = [];
    const watched: Source = {
      ...source,
      load: (index) => {
        read.push(index);
        return source.load(index);
      },
    };
    const perPicture = 32 * 32 * job.bytesPerPixel;
    const shelves = await Shelves.open(watched, all, job, { batch: 4, seed: 1, memory: 4 * perPicture });
    expect(shelves.count).toBe(3);
    const batches = await epochOf(shelves, 0);
    expect(new Set(read)).toEqual(new Set(all));
    expect(read).toHaveLength(6);
    expect(batches.length).toBeGreaterThanOrEqual(6);
    expect(await epochOf(shelves, 0)).toEqual(batches);
  });

  it('pair each patch with its place in the large picture', async () => {
    const shelves = await open(drawnSource(6, 32), 2 ** 30);
    const mean = (x: Tensor) => [...x.data].reduce((a, b) => Number(a) + Number(b), 0) / x.size;
    for await (const [input, target] of shelves.batches(0)) {
      expect([input.shape, target.shape]).toEqual([
        [4, 3, 8, 8],
        [4, 3, 16, 16],
      ]);
      expect(mean(input)).toBeCloseTo(mean(target), 2);
    }
  });

  it('leaves out what cannot be read, and refuses when nothing is left', async () => {
    const source = drawnSource(6, 32);
    const broken = (bad: (index: number) => boolean): Source => ({
      ...source,
      load: (index) => (bad(index) ? Promise.reject(new Failure('x is broken')) : source.load(index)),
    });
    const shelves = await open(
      broken((i) => i === 2),
      2 ** 30,
    );
    expect(shelves.skipped).toEqual([{ name: 'drawn 3', reason: 'is broken' }]);
    await expect(
      open(
        broken(() => true),
        2 ** 30,
      ),
    ).rejects.toThrow('no picture can be used: drawn 1: is broken');
  });
});
