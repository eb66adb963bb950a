/**
 * engine: linear memory, kernels for the tile that suits this machine, plans by shape, and the running of them.
 * geometry → plan → run: a plan is made once per shape, kept in linear memory, and bounded in number.
 */

import type { Build } from './assembler.js';
import * as BASE from './bases.js';
import {
  BASES,
  type ByBase,
  CONTROL_AT,
  ITEM_WORDS,
  type Plan,
  roundUp,
  SHARE_FROM_FLOPS,
} from './commands.js';
import * as CONTROL from './control.js';
import { type Block, Heap } from './heap.js';
import { coreModule, kernelBuilds, kernelModule, type Tile } from './microkernels.js';
import { compile, instantiate } from './platform.js';
import { remembered } from './remembered.js';
import { SHELF_AT, SHELF_BYTES, type Shelf, shelfOf } from './shelf.js';
import { Residency } from './storage.js';
import { Threads } from './threads.js';

/** Bytes at the start of memory: zeros, then the control block, then the bases of each thread, then the shelf. */
const RESERVED = SHELF_AT + SHELF_BYTES;
/** Pages that memory may grow to: 4 GiB less a page; some hosts want less. */
export const MOST_PAGES = 65535;
export const LEAST_PAGES = 8192;
/** Bytes of commands and tables that plans may keep. */
export const PLANS_BUDGET = 32 * 1024 * 1024;
/** Items of one stage; more are run in several. */
export const MOST_ITEMS = 60_000;

/** The control block, in words. */
const CONTROL_WORD = CONTROL_AT / 4;

/** No block yet. */
const NONE: Block = { at: 0, bytes: 0, free: true };

/** A plan whose commands, tables and items lie in linear memory, one after the other. */
export interface Loaded {
  readonly plan: Plan;
  readonly block: Block;
}

function openHeap(shared: boolean, pages = MOST_PAGES): Heap {
  try {
    return new Heap(RESERVED, shared, pages);
  } catch (error) {
    if (pages <= LEAST_PAGES) throw error;
    return openHeap(shared, Math.ceil(pages / 2));
  }
}

/** Writes a word for each base. */
function writeBases(words: Int32Array, at: number, values: ByBase): void {
  for (let base = 0; base < BASES; base++) words[at + base] = values[base] ?? 0;
}

/** The engine of one tile on one memory. */
export class Engine {
  readonly tile: Tile;
  /** Threads that may work, the caller included. */
  readonly threads: number;
  /** Whether convolutions that are fit for it are computed in Winograd's form. */
  readonly winograd: boolean;
  readonly heap: Heap;
  readonly residency: Residency;
  readonly team: Threads;
  /** Puts a kernel where helpers find it. */
  readonly shelve: Shelf;
  readonly #builds: ReadonlyMap<string, Build>;
  readonly #numbers = new Map<string, number | undefined>();
  /** Plans by key, used longest ago first. */
  readonly #plans = new Map<string, Loaded>();
  #plansBytes = 0;
  #work = NONE;
  #shared = NONE;
  #calls = NONE;

  constructor(tile: Tile, threads: number, winograd: boolean) {
    this.tile = tile;
    this.winograd = winograd;
    // In a page only there where memory may be shared: with cross-origin isolation.
    const shared = typeof SharedArrayBuffer !== 'undefined';
    this.threads = shared ? threads : 1;
    this.heap = openHeap(shared);
    this.residency = new Residency(this.heap, (bytes) => this.team.spares.take(bytes));
    this.#builds = kernelBuilds(tile);
    const { limits, memory } = this.heap;
    const module = compile(coreModule(limits));
    const { drain, item, table } = instantiate(module, memory);
    this.shelve = shelfOf(this.heap, table);
    this.team = new Threads({ memory, module, drain, item });
  }

  /** The number of a kernel as a command, which is made if nobody has wanted it before and the shelf has room. */
  #number(name: string, build: Build | undefined, reserve?: number): number | undefined {
    return remembered(this.#numbers, name, () => {
      const { limits, memory } = this.heap;
      const bytes = build && kernelModule(build, limits);
      return bytes && this.shelve(bytes, instantiate(compile(bytes), memory).command, reserve);
    });
  }

  /** The number of a kernel as a command; it is made if nobody has wanted it before. Those that every engine knows need no `build`. */
  readonly commands = (name: string, build = this.#builds.get(name)): number => {
    const number = this.#number(name, build, 0);
    if (number === undefined) throw new Error(`deconv: no command ${name}`);
    return number;
  };

  /** Whether there is a kernel of this name, made for a plan of its own kind; it is made if there is room for such. */
  has(name: string, build: Build): boolean {
    return this.#number(name, build) !== undefined;
  }

  /** The plan of this key, made if it is not known. */
  plan(key: string, make: () => Plan): Loaded {
    const loaded = this.#plans.get(key) ?? this.#load(make());
    this.#plans.delete(key);
    this.#plans.set(key, loaded);
    return loaded;
  }

  #load(plan: Plan): Loaded {
    const { commands, tables } = plan;
    const items = plan.stages.flat();
    const length = commands.length + tables.length + items.length * ITEM_WORDS;
    const block = this.residency.take(4 * length, true);
    const words = this.heap.integers.subarray(block.at / 4);
    words.set(commands);
    words.set(tables, commands.length);
    for (const [i, { first, count, moves }] of items.entries()) {
      const at = commands.length + tables.length + i * ITEM_WORDS;
      words[at] = first;
      words[at + 1] = count;
      writeBases(words, at + 2, moves);
    }
    this.#plansBytes += block.bytes;
    for (const [key, old] of this.#plans) {
      if (this.#plansBytes <= PLANS_BUDGET) break;
      this.#plansBytes -= old.block.bytes;
      this.residency.give(old.block);
      this.#plans.delete(key);
    }
    return { plan, block };
  }

  /**
   * Runs the stages of a plan from `fromStage` on.
   *
   * @param addresses where the arrays of this call lie
   * @returns whether the result is good; false if a command raised the flag
   */
  run({ plan, block }: Loaded, addresses: ByBase, fromStage: number): boolean {
    this.settle();
    const { commands, stages } = plan;
    const alone = this.threads === 1 || plan.flops < SHARE_FROM_FLOPS;
    if (!alone) this.team.start(this.threads);
    const stride = roundUp(plan.workBytes, 64) + 64;
    this.#work = this.#room(this.#work, stride * this.team.size);
    this.#shared = this.#room(this.#shared, plan.sharedBytes);
    const tables = block.at + 4 * commands.length;
    const words = this.heap.integers;
    writeBases(words, CONTROL_WORD + CONTROL.bases, addresses);
    words[CONTROL_WORD + CONTROL.bases + BASE.tables] = tables;
    words[CONTROL_WORD + CONTROL.bases + BASE.work] = this.#work.at;
    words[CONTROL_WORD + CONTROL.bases + BASE.shared] = this.#shared.at;
    words[CONTROL_WORD + CONTROL.commands] = block.at;
    words[CONTROL_WORD + CONTROL.stride] = stride;
    words[CONTROL_WORD + CONTROL.flag] = 0;
    let items = tables + 4 * plan.tables.length;
    for (let stage = 0; stage < stages.length; stage++) {
      const last = stage + 1 === stages.length;
      for (let left = stages[stage].length; left > 0; left -= MOST_ITEMS) {
        const count = Math.min(MOST_ITEMS, left);
        words[CONTROL_WORD + CONTROL.items] = items;
        items += 4 * ITEM_WORDS * count;
        if (stage < fromStage) continue;
        if (alone) this.team.runHere(count);
        else this.team.run(count, last);
      }
    }
    return Atomics.load(words, CONTROL_WORD + CONTROL.flag) === 0;
  }

  /**
   * Runs commands that are no plan's, all their arguments plain numbers. `starts` are the numbers of the commands with which
   * parts begin, and after them the number of all; parts may run in any order, or twice at once if they are `repeatable`.
   */
  share(commands: Int32Array, starts: readonly number[], repeatable: boolean): void {
    this.settle();
    this.team.start(this.threads);
    const count = starts.length - 1;
    const { length } = commands;
    this.#calls = this.#room(this.#calls, 4 * (length + count * ITEM_WORDS));
    const { at } = this.#calls;
    const words = this.heap.integers;
    words.set(commands, at / 4);
    let item = at / 4 + length;
    words[CONTROL_WORD + CONTROL.bases + BASE.zero] = 0;
    words[CONTROL_WORD + CONTROL.commands] = at;
    words[CONTROL_WORD + CONTROL.items] = 4 * item;
    words.fill(0, item, item + count * ITEM_WORDS);
    for (let i = 0; i < count; i++, item += ITEM_WORDS) {
      words[item] = starts[i];
      words[item + 1] = starts[i + 1] - starts[i];
    }
    this.team.run(count, repeatable);
  }

  /** A block of at least so many bytes that lasts from call to call. */
  #room(block: Block, bytes: number): Block {
    if (!block.free && block.bytes >= bytes) return block;
    this.residency.give(block);
    return this.residency.take(bytes, true);
  }

  /** Waits for helpers that may still touch memory; before anything else does. */
  settle(): void {
    this.team.settle();
  }
}
