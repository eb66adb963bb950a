/** Arrays made ahead: ordered when functions have ended, as many as they take, used once, bounded. The test is the helper. */
import { expect, it } from 'vitest';
import { SPARE_BYTES, SPARE_FROM, SPARE_SIZES, SPARES, Spares } from './spares.js';

const MB = 1024 * 1024;

/** Until functions that have ended are made up for. */
const ended = () => new Promise((resolve) => setTimeout(resolve, 10));

function spares() {
  const orders: number[] = [];
  const all = new Spares((bytes) => orders.push(bytes));
  /** Delivers what is on order, until nothing is. */
  const deliver = () => {
    let count = 0;
    for (let next = orders.pop(); next !== undefined; next = orders.pop(), count++) {
      expect(count).toBeLessThan(100);
      all.receive([new ArrayBuffer(next)]);
    }
    return count;
  };
  /** A function that takes results of so many bytes: how many of them had been made. */
  const took = async (...sizes: number[]) => {
    const made = sizes.map((bytes) => all.take(bytes)?.byteLength);
    for (const [i, bytes] of made.entries()) expect([undefined, sizes[i]]).toContain(bytes);
    await ended();
    deliver();
    return made.filter((bytes) => bytes !== undefined).length;
  };
  return { all, orders, deliver, took };
}

it('orders when a size comes for the second time, after the function, and gives what came, once', async () => {
  const { all, orders, deliver } = spares();
  expect(all.take(2 * MB)).toBeUndefined();
  await ended();
  expect(orders).toEqual([]);
  expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([]);
  await ended();
  expect(orders).toEqual([2 * MB]);
  // Not there yet: none is ordered twice.
  expect(all.take(3 * MB)).toBeUndefined();
  await ended();
  expect(orders).toEqual([2 * MB]);
  expect(deliver()).toBe(1);
  expect(all.take(2 * MB)?.byteLength).toBe(2 * MB);
  expect(all.take(2 * MB)).toBeUndefined();
});

it('has as many wait as functions take, up to a number', async () => {
  const { took } = spares();
  const pair = [2 * MB, 2 * MB];
  await took(...pair);
  await took(...pair);
  for (let turn = 0; turn < 3; turn++) expect(await took(...pair)).toBe(2);
  const many = new Array<number>(SPARES + 3).fill(2 * MB);
  for (let turn = 0; turn < 3; turn++) await took(...many);
  expect(await took(...many)).toBe(SPARES);
});

it('keeps several sizes', async () => {
  const { took } = spares();
  const sizes = Array.from({ length: SPARE_SIZES }, (_, i) => (1 + i) * MB);
  for (let turn = 0; turn < 2; turn++) await took(...sizes);
  for (let turn = 0; turn < 3; turn++) expect(await took(...sizes)).toBe(SPARE_SIZES);
});

it('forgets sizes that do not come again, and leaves small and huge arrays alone', async () => {
  const { took } = spares();
  const sizes = Array.from({ length: SPARE_SIZES + 1 }, (_, i) => (1 + i) * MB);
  for (let turn = 0; turn < 3; turn++) expect(await took(...sizes)).toBe(0);
  for (let turn = 0; turn < 4; turn++) expect(await took(SPARE_FROM - 4, SPARE_BYTES + 4)).toBe(0);
});

it('lets go of what waits longest when it is too much, and makes nothing that would not fit', async () => {
  const { all, orders, took } = spares();
  const [large, small] = [SPARE_BYTES - MB, 2 * MB];
  for (let turn = 0; turn < 2; turn++) await took(small);
  for (let turn = 0; turn < 2; turn++) await took(large);
  expect(await took(large)).toBe(1);
  expect(all.take(small)).toBeUndefined();
  await ended();
  expect(orders).toEqual([]);
});

it('goes on after a helper that could not make one, and after one that was lost', async () => {
  const { all, orders } = spares();
  const miss = async () => {
    expect(all.take(2 * MB)).toBeUndefined();
    await ended();
    return orders.length;
  };
  expect([await miss(), await miss()]).toEqual([0, 1]);
  all.receive([]);
  expect(await miss()).toBe(2);
  expect(await miss()).toBe(2);
  all.reset();
  expect(await miss()).toBe(3);
});
