/** Arrays made ahead: ordered when a size comes again, one at a time, used once, bounded. The test is the helper. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { SPARE_BYTES, SPARE_FROM, SPARE_SIZES, Spares } from './spares.js';

let spares: Spares | undefined;
afterEach(() => {
  spares?.close();
  vi.unstubAllGlobals();
});

function connected() {
  const orders: number[] = [];
  spares = new Spares((bytes) => orders.push(bytes));
  const port = spares.connect() as MessagePort;
  const deliver = (bytes: number) => {
    const made = new ArrayBuffer(bytes);
    port.postMessage([made], [made]);
  };
  return { spares, port, orders, deliver };
}

const MB = 1024 * 1024;

it('orders when a size comes for the second time, and gives what came, once', () => {
  const { spares: all, orders, deliver } = connected();
  expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([]);
  expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([2 * MB]);
  // Not there yet: none is ordered twice.
  expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([2 * MB]);
  deliver(2 * MB);
  expect(all.take(3 * MB)).toBeUndefined();
  const buffer = all.take(2 * MB);
  expect(buffer?.byteLength).toBe(2 * MB);
  expect(orders).toEqual([2 * MB, 2 * MB]);
  expect(all.take(2 * MB)).toBeUndefined();
});

it('keeps one of each size in turns', () => {
  const { spares: all, orders, deliver } = connected();
  for (let turn = 0; turn < 10; turn++) {
    for (const bytes of [2 * MB, 3 * MB]) {
      const buffer = all.take(bytes);
      if (turn > 1) expect(buffer?.byteLength).toBe(bytes);
      if (turn > 0) deliver(orders[orders.length - 1]);
    }
  }
  expect(orders.length).toBe(18);
});

it('forgets sizes that do not come again, and leaves small and huge arrays alone', () => {
  const { spares: all, orders } = connected();
  for (let i = 0; i < 3; i++) for (let size = 0; size <= SPARE_SIZES; size++) all.take((2 + size) * MB);
  for (let i = 0; i < 3; i++) for (const bytes of [SPARE_FROM - 4, SPARE_BYTES + 4]) all.take(bytes);
  expect(orders).toEqual([]);
});

it('lets go of what waits longest when it is too much', () => {
  const { spares: all, orders, deliver } = connected();
  const [large, small] = [SPARE_BYTES - MB, 2 * MB];
  for (const bytes of [small, small]) all.take(bytes);
  deliver(small);
  for (const bytes of [large, large]) all.take(bytes);
  deliver(large);
  expect(orders).toEqual([small, large]);
  expect(all.take(small)).toBeUndefined();
  expect(all.take(large)?.byteLength).toBe(large);
});

it('goes on after a helper that could not make one', () => {
  const { spares: all, port, orders } = connected();
  for (let i = 0; i < 2; i++) all.take(2 * MB);
  port.postMessage([]);
  expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([2 * MB, 2 * MB]);
});

it('has none without a connection', () => {
  const { spares: all, orders, deliver } = connected();
  for (let i = 0; i < 2; i++) all.take(2 * MB);
  deliver(2 * MB);
  all.close();
  for (let i = 0; i < 3; i++) expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([2 * MB]);
});

it('in a page, gets what came between two functions', async () => {
  vi.stubGlobal('process', { ...process, getBuiltinModule: undefined });
  vi.stubGlobal('MessageChannel', MessageChannel);
  const { spares: all, orders, deliver } = connected();
  for (let i = 0; i < 3; i++) all.take(2 * MB);
  deliver(2 * MB);
  // Nothing arrives within a function, and nothing is ordered in the meantime.
  for (let i = 0; i < 3; i++) expect(all.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([2 * MB]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(all.take(2 * MB)?.byteLength).toBe(2 * MB);
});
