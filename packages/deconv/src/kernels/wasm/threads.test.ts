/**
 * Helpers that die in the middle of their work: the caller says so within its time limit and works alone from then on.
 * The module is a small one made for this, whose items add their numbers up.
 */

import { setTimeout as later } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type Build, branchIf, encodeModule, i32, loop, when } from './assembler.js';
import { CONTROL_AT, ITEM_WORDS } from './commands.js';
import * as CONTROL from './control.js';
import { drain, INTEGERS, runItem } from './microkernels.js';
import * as wasm from './opcodes.js';
import { webAssembly } from './platform.js';
import { BASES_AT, Threads } from './threads.js';

const LIMITS = { initial: 1, maximum: 1, shared: true };
/** Word that helpers add 1 to for every item they finish, and the number of the item at which they die. */
const [FINISHED, FATAL] = [0, 1];
/** While this word is 1, helpers that have begun an item stay in it. */
const GATE = 2;
/** Items of a stage at most, and where they are kept. */
const [ITEMS, ITEMS_AT] = [100, 8192];

/** In place of the engine's own: items count themselves, and trap at the fatal one. An item's "number of commands" is its own number. */
const execute: Build = (_, [, item, bases]) => [
  when([bases, i32(BASES_AT), wasm.i32Ne], loop(branchIf(0, i32(0), wasm.i32AtomicLoad(4 * GATE)))),
  // Beyond the end of the memory.
  when([i32(0), wasm.i32AtomicLoad(4 * FATAL), item, wasm.i32Eq], [i32(-4), wasm.i32Load(), wasm.drop]),
  [i32(0), i32(1), wasm.i32AtomicRmwAdd(4 * FINISHED), wasm.drop],
];

/** A module with the engine's own `drain`. */
function makeModule() {
  const bytes = encodeModule(LIMITS, [
    ['nothing', [], () => []],
    ['execute', INTEGERS.slice(0, 3), execute],
    ['item', INTEGERS.slice(0, 4), runItem],
    ['drain', INTEGERS.slice(0, 3), drain],
  ]);
  const { Memory, Module } = webAssembly();
  const memory = new Memory(LIMITS);
  const words = new Int32Array(memory.buffer);
  words[CONTROL_AT / 4 + CONTROL.items] = ITEMS_AT;
  for (let item = 0; item < ITEMS; item++) words[ITEMS_AT / 4 + item * ITEM_WORDS + 1] = item;
  return { memory, module: new Module(bytes) };
}

let threads: Threads | undefined;
afterEach(() => threads?.stop());

/** Threads whose caller leaves all items to the helpers if so told. */
function makeThreads(lostAfter: number) {
  const { memory, module } = makeModule();
  const words = new Int32Array(memory.buffer);
  const { exports } = new (webAssembly().Instance)(module, { env: { memory } });
  const caller = { works: true, stalls: false };
  const doing = CONTROL_AT / 4 + CONTROL.doing;
  threads = new Threads({
    memory,
    module,
    lostAfter,
    item: (...args) => exports['item'](...args),
    drain: (...args) => {
      // Until both helpers have begun an item.
      const patience = Date.now() + 500;
      while (caller.stalls && Date.now() < patience) {
        if ([1, 2].every((thread) => Atomics.load(words, doing + thread) !== -1)) break;
      }
      if (caller.works) exports['drain'](...args);
    },
  });
  words[FATAL] = -1;
  return { threads, words, caller };
}

/** Starts threads and waits until all are up. */
async function start(all: Threads, words: Int32Array, count: number): Promise<void> {
  all.start(count);
  const taken = CONTROL_AT / 4 + CONTROL.taken;
  const up = () => words.subarray(taken + 1, taken + count).every((kernels) => kernels >= 0);
  for (let i = 0; i < 400 && !up(); i++) await later(10);
  expect([all.size, up()]).toEqual([count, true]);
}

describe('Threads', () => {
  it('runs every item once, whoever takes it, stage after stage', async () => {
    const { threads: all, words, caller } = makeThreads(10_000);
    all.run(100);
    expect(words[FINISHED]).toBe(100);
    await start(all, words, 3);
    expect(all.size).toBe(3);
    for (let stage = 0; stage < 500; stage++) {
      // Sometimes the caller stands by, so that the helpers must have done it; and sometimes they have parked.
      caller.works = stage % 3 !== 0;
      words[FINISHED] = 0;
      all.run(stage % 50);
      expect(words[FINISHED]).toBe(stage % 50);
      if (stage % 100 === 0) await later(30);
    }
  });

  it('finds its helper at work in every stage, however soon it is there', async () => {
    const { threads: all, words, caller } = makeThreads(500);
    await start(all, words, 2);
    caller.works = false;
    for (let stage = 0; stage < 20_000; stage++) all.run(1);
    expect(words[FINISHED]).toBe(20_000);
  });

  it('does what interrupted helpers are at, where that may be done twice, and waits for them before the next stage', async () => {
    const { threads: all, words, caller } = makeThreads(10_000);
    await start(all, words, 3);
    caller.stalls = true;
    let overtaken = 0;
    for (let stage = 0; stage < 15; stage++) {
      words[FINISHED] = 0;
      Atomics.store(words, GATE, 1);
      // Does not wait for the gate, which opens only afterwards.
      all.run(60, true);
      const finished = Atomics.load(words, FINISHED);
      expect(finished).toBe(60);
      Atomics.store(words, GATE, 0);
      all.settle();
      // Each helper that was at an item has finished it too.
      const late = Atomics.load(words, FINISHED) - 60;
      expect(late).toBeLessThanOrEqual(2);
      overtaken += late;
      expect(words[CONTROL_AT / 4 + CONTROL.done]).toBe(60);
    }
    expect(overtaken).toBeGreaterThan(0);
  });

  it('has arrays made by a helper, between stages and while it is parked', async () => {
    const { threads: all, words } = makeThreads(10_000);
    await start(all, words, 3);
    const sizes = [1 << 20, 3 << 20];
    for (const bytes of sizes) all.spares.take(bytes);
    for (let turn = 0; turn < 4; turn++) {
      for (const bytes of sizes) {
        words[FINISHED] = 0;
        let made = all.spares.take(bytes);
        for (let i = 0; i < 400 && made === undefined; i++) {
          all.run(10);
          await later(turn % 2 === 0 ? 1 : 20);
          made = all.spares.take(bytes);
          if (made === undefined) continue;
          expect(words[FINISHED]).toBe(10 * (i + 1));
        }
        expect(made?.byteLength).toBe(bytes);
      }
    }
  });

  it('says so when a helper dies in the middle, and goes on alone', async () => {
    const { threads: all, words, caller } = makeThreads(200);
    await start(all, words, 2);
    words[FATAL] = 7;
    caller.works = false;
    expect(() => all.run(20)).toThrow('deconv: a helper thread was lost, from now on one works alone');
    words[FATAL] = -1;
    words[FINISHED] = 0;
    caller.works = true;
    all.start(4);
    expect(all.size).toBe(1);
    all.run(20);
    expect(words[FINISHED]).toBe(20);
    // The helper's own complaint comes as an event; it must not end the process.
    await later(50);
  });

  it('works alone where the host refuses helpers', () => {
    const { threads: all, words } = makeThreads(10_000);
    const { process } = globalThis;
    const builtin = process.getBuiltinModule;
    process.getBuiltinModule = (() => ({
      Worker: class {
        constructor() {
          throw new Error('not permitted');
        }
      },
    })) as typeof builtin;
    try {
      all.start(4);
    } finally {
      process.getBuiltinModule = builtin;
    }
    expect(all.size).toBe(1);
    all.run(20);
    expect(words[FINISHED]).toBe(20);
  });
});
