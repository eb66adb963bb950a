/** Arrays made ahead: ordered when functions have ended, as many as they take, used once, bounded. The test is the helper. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { SPARE_BYTES, SPARE_FROM, SPARE_SIZES, SPARES, Spares } from './spares.js';

const MB = 1024 * 1024;

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
  vi.unstubAllGlobals();
});

/** Until functions that have ended are made up for, and what was sent has come. */
const ended = () => new Promise((resolve) => setTimeout(resolve, 10));

function connected() {
  const orders: number[] = [];
  const spares = new Spares((bytes) => orders.push(bytes));
  const port = spares.connect() as MessagePort;
  ports.push(port);
  /** Makes what is on order. */
  const make = () => {
    const made = orders.splice(0).map((bytes) => new ArrayBuffer(bytes));
    for (const buffer of made) port.postMessage([buffer], [buffer]);
  };
  /** A function that takes results of so many bytes, and what follows: how many of them had been made. */
  const took = async (...sizes: number[]) => {
    const made = sizes.map((bytes) => spares.take(bytes)?.byteLength);
    for (const [i, bytes] of made.entries()) expect([undefined, sizes[i]]).toContain(bytes);
    for (await ended(); orders.length > 0; await ended()) make();
    return made.filter((bytes) => bytes !== undefined).length;
  };
  return { spares, port, orders, make, took };
}

it('orders when a size comes for the second time, after the function, and gives what came, once', async () => {
  const { spares, orders, make } = connected();
  expect(spares.take(2 * MB)).toBeUndefined();
  await ended();
  expect(orders).toEqual([]);
  expect(spares.take(2 * MB)).toBeUndefined();
  expect(orders).toEqual([]);
  await ended();
  expect(orders).toEqual([2 * MB]);
  // Not there yet: none is ordered twice.
  expect(spares.take(3 * MB)).toBeUndefined();
  await ended();
  expect(orders).toEqual([2 * MB]);
  make();
  await ended();
  expect(spares.take(2 * MB)?.byteLength).toBe(2 * MB);
  expect(spares.take(2 * MB)).toBeUndefined();
});

it('has as many wait as functions take, up to a number', async () => {
  const { took } = connected();
  const pair = [2 * MB, 2 * MB];
  for (let turn = 0; turn < 2; turn++) await took(...pair);
  for (let turn = 0; turn < 2; turn++) expect(await took(...pair)).toBe(2);
  const many = new Array<number>(SPARES + 3).fill(2 * MB);
  for (let turn = 0; turn < 2; turn++) await took(...many);
  expect(await took(...many)).toBe(SPARES);
});

it('keeps several sizes', async () => {
  const { took } = connected();
  const sizes = Array.from({ length: SPARE_SIZES }, (_, i) => (1 + i) * MB);
  for (let turn = 0; turn < 2; turn++) await took(...sizes);
  for (let turn = 0; turn < 3; turn++) expect(await took(...sizes)).toBe(SPARE_SIZES);
});

it('forgets sizes that do not come again, and leaves small and huge arrays alone', async () => {
  const { took } = connected();
  const sizes = Array.from({ length: SPARE_SIZES + 1 }, (_, i) => (1 + i) * MB);
  for (let turn = 0; turn < 3; turn++) expect(await took(...sizes)).toBe(0);
  for (let turn = 0; turn < 4; turn++) expect(await took(SPARE_FROM - 4, SPARE_BYTES + 4)).toBe(0);
});

it('lets go of what waits longest when it is too much, and makes nothing that would not fit', async () => {
  const { spares, orders, took } = connected();
  const [large, small] = [SPARE_BYTES - MB, 2 * MB];
  for (let turn = 0; turn < 2; turn++) await took(small);
  for (let turn = 0; turn < 2; turn++) await took(large);
  expect(await took(large)).toBe(1);
  expect(spares.take(small)).toBeUndefined();
  await ended();
  expect(orders).toEqual([]);
});

it('orders and takes within a loop that does not end', () => {
  const { spares, orders, make } = connected();
  const counts = { made: 0, ordered: 0 };
  for (let turn = 0; turn < 20; turn++) {
    if (spares.take(2 * MB) !== undefined) counts.made++;
    counts.ordered += orders.length;
    expect(orders.length).toBeLessThanOrEqual(1);
    make();
  }
  expect(counts).toEqual({ made: 18, ordered: 19 });
});

it('in a page, gets nothing within a function', async () => {
  vi.stubGlobal('process', { ...process, getBuiltinModule: undefined });
  vi.stubGlobal('MessageChannel', MessageChannel);
  const { spares, make, took } = connected();
  for (let i = 0; i < 5; i++) {
    expect(spares.take(2 * MB)).toBeUndefined();
    make();
  }
  await ended();
  expect(await took(2 * MB)).toBe(1);
});

it('goes on after a helper that could not make one, and after one that was lost', async () => {
  const { spares, port, orders } = connected();
  const miss = async () => {
    expect(spares.take(2 * MB)).toBeUndefined();
    await ended();
    return orders.length;
  };
  expect([await miss(), await miss()]).toEqual([0, 1]);
  port.postMessage([]);
  await ended();
  expect(orders.length).toBe(1);
  expect([await miss(), await miss()]).toEqual([2, 2]);
  ports.push(spares.connect() as MessagePort);
  expect(await miss()).toBe(3);
});

it('makes nothing without a connection', async () => {
  const orders: number[] = [];
  const spares = new Spares((bytes) => orders.push(bytes));
  for (let i = 0; i < 3; i++) expect(spares.take(2 * MB)).toBeUndefined();
  await ended();
  expect(orders).toEqual([]);
});
