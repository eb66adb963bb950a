/**
 * engine: linear memory, kernels for the tile that suits this machine, plans by shape, and the running of them.
 * geometry → plan → run: a plan is made once per shape, kept in linear memory, and bounded in number.
 */

import type { Build } from './assembler.js';
import * as BASE from './bases.js';
import {
  BASE_NAMES,
  COMMAND_WORDS,
  CONTROL_AT,
  ITEM_WORDS,
  type Item,
  type Plan,
  SHARE_FROM_FLOPS,
} from './commands.js';
import * as CONTROL from './control.js';
import { type Block, Heap } from './heap.js';
import { coreModule, kernelBuilds, kernelModule, type Tile } from './microkernels.js';
import { type Command, host, instantiate, tableOf, webAssembly } from './platform.js';
import { remembered } from './remembered.js';
import { SHELF_BYTES, Shelf } from './shelf.js';
import { Residency } from './storage.js';
import { Threads } from './threads.js';

/** Bytes at the start of memory: zeros, then the control block, then the bases of each thread, then the shelf. */
export const BASES_AT = 2048;
export const SHELF_AT = 8192;
const RESERVED = SHELF_AT + SHELF_BYTES;
/** The bases of a thread take 64 bytes. */
const MOST_THREADS = (SHELF_AT - BASES_AT) / 64;
/** 4 GiB less a page; some hosts want less. */
const PAGES = [65535, 32768, 16384, 8192];
/** Bytes of commands and tables that plans may keep. */
export const PLANS_BUDGET = 32 * 1024 * 1024;
/** Bytes of the shelf that are left to the kernels of plans, which cannot do without. */
export const FOR_PLANS = 96 * 1024;
/** Items of one stage; more are run in several. */
export const MOST_ITEMS = 60_000;

/** A plan whose commands, tables and items lie in linear memory. */
export interface Loaded {
  readonly plan: Plan;
  readonly commands: Block;
  readonly tables: Block;
  readonly items: Block;
  /** First item of each stage, and the number of all. */
  readonly starts: readonly number[];
}

/** Where the arrays of a call lie; 0 for what it has not. */
export interface Addresses {
  readonly input: number;
  readonly weight: number;
  readonly bias: number;
  readonly packed: number;
  readonly output: number;
  readonly scale: number;
  readonly residual: number;
  readonly second: number;
}

/** What {@link Engine} can be made with. */
export interface EngineOptions {
  readonly tile: Tile;
  readonly threads: number;
  /** Whether convolutions that are fit for it are computed in Winograd's form. */
  readonly winograd: boolean;
}

function openHeap(shared: boolean): Heap {
  let last: unknown;
  for (const pages of PAGES) {
    try {
      return new Heap(RESERVED, shared, pages);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function writeItem(words: Int32Array, at: number, item: Item): void {
  words[at] = item.first;
  words[at + 1] = item.count;
  writeBases(words, at + 2, item.moves);
}

/** Writes a word for each base; 0 for those that are not given. */
function writeBases(words: Int32Array, at: number, values: Item['moves']): void {
  for (const [base, name] of BASE_NAMES.entries()) words[at + base] = values[name] ?? 0;
}

/** The engine of one tile on one memory. */
export class Engine {
  readonly tile: Tile;
  readonly winograd: boolean;
  readonly heap: Heap;
  readonly residency: Residency;
  readonly #threads: Threads;
  readonly #wanted: number;
  readonly #shelf: Shelf;
  readonly #execute: Command;
  readonly #builds: ReadonlyMap<string, Build>;
  readonly #numbers = new Map<string, number>();
  /** Plans by key, used longest ago first. */
  readonly #plans = new Map<string, Loaded>();
  #plansBytes = 0;
  #work: Block | undefined;
  #shared: Block | undefined;
  #calls: Block | undefined;

  constructor({ tile, threads, winograd }: EngineOptions) {
    this.tile = tile;
    this.winograd = winograd;
    const shared =
      typeof SharedArrayBuffer !== 'undefined' &&
      (host.process !== undefined || host.crossOriginIsolated === true);
    this.heap = openHeap(shared);
    this.residency = new Residency(this.heap, (bytes) => this.#threads.spare(bytes));
    this.#builds = kernelBuilds(tile);
    const { Module, Instance } = webAssembly();
    const module = new Module(coreModule(this.heap.limits));
    const { exports } = new Instance(module, { env: { memory: this.heap.memory } });
    const { drain, item, execute } = exports;
    this.#execute = execute;
    this.#shelf = new Shelf(this.heap, tableOf(exports), CONTROL_AT, SHELF_AT);
    this.#threads = new Threads({
      memory: this.heap.memory,
      module,
      control: CONTROL_AT,
      bases: BASES_AT,
      shelf: SHELF_AT,
      drain,
      item,
    });
    this.#wanted = shared ? Math.min(threads, MOST_THREADS) : 1;
  }

  /** The number of a kernel as a command; it is made if nobody has wanted it before. */
  readonly commands = (name: string): number =>
    remembered(this.#numbers, name, () => {
      const build = this.#builds.get(name);
      if (build === undefined) throw new Error(`deconv: internal error: no command ${name}`);
      const bytes = kernelModule(build, this.heap.limits);
      const number = this.#shelf.add(bytes, instantiate(bytes, this.heap.memory).command);
      if (number === undefined) throw new Error('deconv: internal error: no room for a kernel');
      return number;
    });

  /** Whether there is a kernel of this name, made for a plan of its own kind; it is made if there is room for such. */
  has(name: string, build: Build): boolean {
    if (this.#numbers.has(name)) return true;
    const bytes = kernelModule(build, this.heap.limits);
    const number = this.#shelf.add(bytes, instantiate(bytes, this.heap.memory).command, FOR_PLANS);
    if (number !== undefined) this.#numbers.set(name, number);
    return number !== undefined;
  }

  /** Threads that may work, the caller included. */
  get threads(): number {
    return this.#wanted;
  }

  /** Helper threads that have come up. */
  get ready(): number {
    return this.#threads.ready;
  }

  /** The plan of this key, made if it is not known. */
  plan(key: string, make: () => Plan): Loaded {
    const known = this.#plans.get(key);
    if (known !== undefined) {
      this.#plans.delete(key);
      this.#plans.set(key, known);
      return known;
    }
    const plan = make();
    const loaded = this.#load(plan);
    this.#plans.set(key, loaded);
    this.#plansBytes += loaded.commands.bytes + loaded.tables.bytes + loaded.items.bytes;
    for (const [old, { commands, tables, items }] of this.#plans) {
      if (this.#plansBytes <= PLANS_BUDGET || old === key) break;
      for (const block of [commands, tables, items]) {
        this.#plansBytes -= block.bytes;
        this.residency.give(block);
      }
      this.#plans.delete(old);
    }
    return loaded;
  }

  #load(plan: Plan): Loaded {
    const put = (values: Int32Array): Block => {
      const block = this.residency.take(values.byteLength, true);
      this.heap.integers.set(values, block.at / 4);
      return block;
    };
    const items = plan.stages.flat();
    const words = new Int32Array(items.length * ITEM_WORDS);
    for (const [i, item] of items.entries()) writeItem(words, i * ITEM_WORDS, item);
    const starts = [0];
    for (const stage of plan.stages) starts.push(starts[starts.length - 1] + stage.length);
    return { plan, commands: put(plan.commands), tables: put(plan.tables), items: put(words), starts };
  }

  /**
   * Runs the stages of a plan from `fromStage` on.
   *
   * @param addresses where the arrays of this call lie
   * @returns whether the result is good; false if a command raised the flag
   */
  run(loaded: Loaded, addresses: Addresses, fromStage: number): boolean {
    this.settle();
    const { plan, starts } = loaded;
    const alone = this.#wanted === 1 || plan.flops < SHARE_FROM_FLOPS;
    if (!alone) this.#threads.start(this.#wanted);
    const stride = Math.ceil(plan.workBytes / 64) * 64 + 64;
    const work = this.#room(this.#work, stride * this.#threads.size);
    this.#work = work;
    const shared = this.#room(this.#shared, plan.sharedBytes);
    this.#shared = shared;
    const words = this.heap.integers;
    const control = CONTROL_AT / 4;
    const buffers = { tables: loaded.tables.at, work: work.at, shared: shared.at };
    writeBases(words, control + CONTROL.bases, { ...addresses, ...buffers });
    words[control + CONTROL.commands] = loaded.commands.at;
    words[control + CONTROL.stride] = stride;
    words[control + CONTROL.flag] = 0;
    const here = alone || !this.#threads.know(this.#shelf.count);
    if (here && !alone) this.#threads.teach();
    for (let stage = fromStage; stage < plan.stages.length; stage++) {
      for (let from = starts[stage]; from < starts[stage + 1]; from += MOST_ITEMS) {
        words[control + CONTROL.items] = loaded.items.at + 4 * ITEM_WORDS * from;
        const last = stage + 1 === plan.stages.length;
        const count = Math.min(MOST_ITEMS, starts[stage + 1] - from);
        if (here) this.#threads.runHere(count);
        else this.#threads.run(count, plan.repeatable && last);
      }
    }
    return Atomics.load(this.heap.integers, control + CONTROL.flag) === 0;
  }

  /** Puts a kernel where helpers find it: the number of its `command`; undefined where it cannot be shared. */
  shelve(bytes: Uint8Array<ArrayBuffer>, command: Command): number | undefined {
    return this.#wanted > 1 ? this.#shelf.add(bytes, command, FOR_PLANS) : undefined;
  }

  /**
   * Runs commands that are no plan's, all their arguments plain numbers. `starts` are the numbers of the commands with which
   * parts begin, and after them the number of all; parts may run in any order, or twice at once if they are `repeatable`.
   */
  share(commands: Int32Array, starts: readonly number[], repeatable: boolean): void {
    this.settle();
    this.#threads.start(this.#wanted);
    const count = starts.length - 1;
    const block = this.#room(this.#calls, 4 * (commands.length + count * ITEM_WORDS));
    this.#calls = block;
    const words = this.heap.integers;
    words.set(commands, block.at / 4);
    if (!this.#threads.know(this.#shelf.count)) {
      this.#execute(block.at, commands.length / COMMAND_WORDS, BASES_AT);
      this.#threads.teach();
      return;
    }
    const items = block.at + 4 * commands.length;
    words.fill(0, items / 4, items / 4 + count * ITEM_WORDS);
    for (let i = 0; i < count; i++) {
      words[items / 4 + i * ITEM_WORDS] = starts[i];
      words[items / 4 + i * ITEM_WORDS + 1] = starts[i + 1] - starts[i];
    }
    const control = CONTROL_AT / 4;
    words[control + CONTROL.bases + BASE.zero] = 0;
    words[control + CONTROL.commands] = block.at;
    words[control + CONTROL.items] = items;
    this.#threads.run(count, repeatable);
  }

  /** A block of at least so many bytes that lasts from call to call. */
  #room(block: Block | undefined, bytes: number): Block {
    if (block !== undefined && !block.free && block.bytes >= bytes) return block;
    if (block !== undefined) this.residency.give(block);
    return this.residency.take(bytes, true);
  }

  /** Waits for helpers that may still touch memory; before anything else does. */
  settle(): void {
    this.#threads.settle();
  }

  /** Stops the helpers. */
  close(): void {
    this.#threads.stop();
  }
}
