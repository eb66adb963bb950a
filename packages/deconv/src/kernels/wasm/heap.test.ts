/** The heap against a model: a plain list of who has what, checked after every step. */
import { describe, expect, it } from 'vitest';
import { type Block, Heap, OutOfMemory } from './heap.js';

const PAGE = 65536;
const RESERVED = 8192;

/** Uniform integers below `n`, from a seed. */
function integers(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * n);
  };
}

/** That no two blocks share a byte, none lies in the reserved part or beyond the memory, and the count is right. */
function check(heap: Heap, taken: readonly Block[]): void {
  const sorted = [...taken].sort((a, b) => a.at - b.at);
  let end = RESERVED;
  for (const { at, bytes } of sorted) {
    expect(at).toBeGreaterThanOrEqual(end);
    expect(at % 64).toBe(0);
    end = at + bytes;
  }
  expect(end).toBeLessThanOrEqual(heap.memory.buffer.byteLength);
  expect(heap.used).toBe(sorted.reduce((sum, { bytes }) => sum + bytes, 0));
}

/** That all that is free is one stretch: a block of all of it fits without growing. */
function whole(heap: Heap): void {
  const size = heap.memory.buffer.byteLength;
  const all = heap.take(size - RESERVED - 64);
  expect(heap.memory.buffer.byteLength).toBe(size);
  expect([all.at, all.bytes]).toEqual([RESERVED, size - RESERVED]);
  heap.release(all);
}

describe('Heap', () => {
  it.each([1, 2, 3, 4, 5])(
    'takes and releases at random without overlap, and is whole after it (seed %i)',
    (seed) => {
      const heap = new Heap(RESERVED, false, 256);
      const below = integers(seed);
      const taken: Block[] = [];
      const owner = new Map<Block, number>();
      for (let step = 0; step < 1500; step++) {
        if (taken.length === 0 || below(100) < 52) {
          const bytes = below(4) === 0 ? below(100_000) : below(2000);
          const block = heap.take(bytes);
          expect(block.bytes).toBeGreaterThanOrEqual(bytes);
          taken.push(block);
          // A mark at both ends, for a neighbour to tread on.
          owner.set(block, step);
          heap.integers[block.at / 4] = step;
          heap.integers[(block.at + block.bytes) / 4 - 1] = step;
        } else {
          const [block] = taken.splice(below(taken.length), 1);
          expect(heap.integers[block.at / 4]).toBe(owner.get(block));
          expect(heap.integers[(block.at + block.bytes) / 4 - 1]).toBe(owner.get(block));
          heap.release(block);
        }
        if (step % 10 === 0) check(heap, taken);
      }
      while (taken.length > 0) heap.release(taken.splice(below(taken.length), 1)[0]);
      expect(heap.used).toBe(0);
      whole(heap);
    },
  );

  it('takes what comes and goes from the lowest stretch that is large enough', () => {
    const heap = new Heap(RESERVED, false, 256);
    const blocks = [300, 64, 1000, 64, 5000, 64].map((bytes) => heap.take(bytes));
    for (const i of [0, 2, 4]) heap.release(blocks[i]);
    expect(heap.take(900).at).toBe(blocks[2].at);
    expect(heap.take(290).at).toBe(blocks[0].at);
    expect(heap.take(900).at).toBe(blocks[4].at);
  });

  it('takes what lasts from the end of the highest', () => {
    const heap = new Heap(RESERVED, false, 256);
    const end = heap.memory.buffer.byteLength;
    const low = heap.take(1000);
    const high = heap.take(1000, true);
    expect(high.at + high.bytes).toBe(end);
    const next = heap.take(500, true);
    expect(next.at + next.bytes).toBe(high.at);
    heap.release(high);
    heap.release(low);
    expect(heap.take(900, true).at).toBeGreaterThanOrEqual(high.at);
    expect(heap.take(900).at).toBe(low.at);
  });

  it('leaves no holes between what lasts', () => {
    const heap = new Heap(RESERVED, false, 8192);
    // A network from its narrow middle to its large output, with the weights of each layer packed on the way.
    let before = heap.take(2 ** 20);
    let most = 0;
    let lasting = 0;
    for (let size = 2 ** 21; size <= 2 ** 25; size *= 2) {
      const after = heap.take(size);
      heap.take(2 ** 22, true);
      lasting += 2 ** 22 + 64;
      heap.release(before);
      before = after;
      most = Math.max(most, after.at + after.bytes);
    }
    expect(most).toBeLessThan(RESERVED + 2 ** 26);
    heap.release(before);
    expect(heap.used).toBe(lasting);
    const size = heap.memory.buffer.byteLength;
    heap.take(size - RESERVED - lasting - 64);
    expect(heap.memory.buffer.byteLength).toBe(size);
  });

  it('releases a block once, however often it is told to', () => {
    const heap = new Heap(RESERVED, false, 256);
    const [a, b] = [heap.take(100), heap.take(100)];
    heap.release(a);
    heap.release(a);
    expect(heap.used).toBe(b.bytes);
    heap.release(b);
    whole(heap);
  });

  it('grows by need, and its views follow', () => {
    const heap = new Heap(RESERVED, false, 256);
    const before = heap.floats.length;
    const block = heap.take(3 * 2 ** 20);
    expect(heap.floats.length).toBeGreaterThan(before);
    heap.floats[(block.at + block.bytes) / 4 - 1] = 1.5;
    expect(heap.integers[(block.at + block.bytes) / 4 - 1]).toBe(0x3fc00000);
    expect(Object.is(heap.floats, heap.floats)).toBe(true);
  });

  it('refuses what does not fit, and is whole after it', () => {
    const heap = new Heap(RESERVED, false, 64);
    expect(heap.capacity).toBe(64 * PAGE);
    const blocks = Array.from({ length: 30 }, () => heap.take(100_000));
    const held = heap.used;
    expect(() => heap.take(2_000_000)).toThrow(OutOfMemory);
    expect(heap.used).toBe(held);
    for (const block of blocks) heap.release(block);
    whole(heap);
    // All of it, to the last byte.
    const all = heap.take(64 * PAGE - RESERVED - 64);
    expect(all.at + all.bytes).toBe(64 * PAGE);
    expect(() => heap.take(0)).toThrow(OutOfMemory);
    heap.release(all);
    whole(heap);
  });

  it('says so when the host has no more', () => {
    const heap = new Heap(RESERVED, false, 64);
    const asked: number[] = [];
    heap.memory.grow = (pages) => {
      asked.push(pages);
      throw new RangeError('no');
    };
    const held = heap.take(1000);
    expect(() => heap.take(2 ** 20 + 1)).toThrow(OutOfMemory);
    // First for plenty, then for what is needed.
    expect(asked).toEqual([48, 1]);
    heap.release(held);
    whole(heap);
  });
});
