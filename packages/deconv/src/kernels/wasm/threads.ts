/**
 * threads: helpers for the calling thread. They share the linear memory and know nothing but `drain`: wait for a stage, see
 * whether there are new kernels on the shelf, take items until there are none, wait again. The calling thread works too, and
 * does all of the work when there are no helpers: in a page without cross-origin isolation, before they are ready, or after one was lost.
 *
 * A helper spins for a moment after each stage, because waking a parked one costs some 80 µs, and then parks. In Node it
 * does not keep the process alive.
 */

import { CONTROL_WORDS } from './commands.js';
import * as CONTROL from './control.js';
import { host, type LinearMemory, now } from './platform.js';
import { TAKE } from './shelf.js';
import { SPARE, Spares } from './spares.js';

/** Looks for work before a helper parks: a few milliseconds, in which the caller may copy a result of some megabytes. */
export const SPINS = 4_000_000;
/** An item takes milliseconds; a helper that has not finished one after so long is gone. */
export const LOST_AFTER_MS = 10_000;

/** What a helper runs. It is text because it must stand on its own: in Node, in a page, bundled or not. */
const HELPER = `${TAKE}${SPARE}
const serve = ({ memory, module, control, bases, thread, shelf, places, spins, port }) => {
  const { go, ready, kernels, taken, spare } = places;
  const { drain, table } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const words = new Int32Array(memory.buffer, control, ${CONTROL_WORDS});
  const take = taker({ memory, words, table, thread, shelf, kernels, taken });
  const makeSpare = sparer({ words, spare, port });
  let seen = Atomics.load(words, go);
  Atomics.store(words, taken + thread, 0);
  Atomics.add(words, ready, 1);
  take();
  for (;;) {
    let now = seen;
    for (let i = 0; i < spins && now === seen; i++) now = Atomics.load(words, go);
    if (now === seen) {
      Atomics.wait(words, go, seen);
      now = Atomics.load(words, go);
    }
    seen = now;
    take();
    drain(control, bases, thread);
    makeSpare();
  }
};
`;

/** What a helper must know of the control block, by name. */
const PLACES = {
  go: CONTROL.go,
  ready: CONTROL.ready,
  kernels: CONTROL.kernels,
  taken: CONTROL.taken,
  spare: CONTROL.spare,
};

interface Helper {
  terminate(): unknown;
  unref?(): void;
  /** Node. */
  on?(event: 'error', listener: () => void): void;
  /** Pages. */
  addEventListener?(type: 'error', listener: (event: { preventDefault(): void }) => void): void;
}

interface NodeThreads {
  Worker: new (
    source: string,
    options: { eval: true; workerData: object; transferList: object[]; execArgv: string[] },
  ) => Helper;
}

interface PageThreads {
  Worker?: new (url: string) => Helper & { postMessage(message: object, transfer: object[]): void };
  Blob?: new (parts: string[], options: { type: string }) => object;
  URL?: { createObjectURL(blob: object): string; revokeObjectURL(url: string): void };
}

/** @param transfer what of the setup moves to the helper */
function startHelper(setup: object, transfer: object[]): Helper | undefined {
  const node = host.process?.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined;
  if (node !== undefined) {
    const source = `${HELPER} serve(require('node:worker_threads').workerData);`;
    const helper = new node.Worker(source, {
      eval: true,
      workerData: setup,
      transferList: transfer,
      execArgv: [],
    });
    helper.unref?.();
    return helper;
  }
  const page = globalThis as PageThreads;
  if (page.Worker === undefined || page.Blob === undefined || page.URL === undefined) return undefined;
  const parts = [`${HELPER} onmessage = (event) => serve(event.data);`];
  const url = page.URL.createObjectURL(new page.Blob(parts, { type: 'text/javascript' }));
  const helper = new page.Worker(url);
  helper.postMessage(setup, transfer);
  return helper;
}

/** What the threads have in common. */
export interface Team {
  readonly memory: LinearMemory;
  readonly module: object;
  /** Address of the control block. */
  readonly control: number;
  /** Address of the bases of thread 0; each thread has 64 bytes. */
  readonly bases: number;
  /** Address of the kernels that are made later; see shelf.ts. */
  readonly shelf: number;
  readonly drain: (control: number, bases: number, thread: number) => void;
  /** Runs one item by itself. */
  readonly item: (control: number, bases: number, thread: number, number: number) => void;
  /** Milliseconds without progress after which a helper counts as lost. Default 10,000. */
  readonly lostAfter?: number | undefined;
}

/** The calling thread and its helpers. */
export class Threads {
  readonly #team: Team;
  readonly #helpers: Helper[] = [];
  /** The host refused helpers, or one was lost: from then on the caller works alone. */
  #alone = false;
  #words: Int32Array;
  /** Arrays for results: the first helper makes them. */
  readonly #spares = new Spares((bytes) => this.#order(bytes));
  /** Items of the last stage, if a helper may still be working on one that the caller has done as well. */
  #late = 0;

  constructor(team: Team) {
    this.#team = team;
    this.#words = new Int32Array(team.memory.buffer, team.control, CONTROL_WORDS);
    this.#words.fill(-1, CONTROL.doing);
  }

  /** Threads that work space is needed for: the caller and every helper started. */
  get size(): number {
    return 1 + this.#helpers.length;
  }

  /** Helpers that have come up. */
  get ready(): number {
    return Atomics.load(this.#current(), CONTROL.ready);
  }

  /** Starts helpers until there are `count` threads; they join in as they come up. */
  start(count: number): void {
    if (this.#alone || !(this.#team.memory.buffer instanceof SharedArrayBuffer)) return;
    while (this.#helpers.length + 1 < count) {
      const thread = this.#helpers.length + 1;
      const { memory, module, control, bases, shelf } = this.#team;
      Atomics.store(this.#current(), CONTROL.taken + thread, -1);
      const port = thread === 1 ? this.#spares.connect() : undefined;
      const setup = {
        port,
        memory,
        module,
        control,
        bases: bases + 64 * thread,
        thread,
        shelf,
        places: PLACES,
        spins: SPINS,
      };
      let helper: Helper | undefined;
      try {
        helper = startHelper(setup, port === undefined ? [] : [port]);
      } catch {
        // Forbidden by the host: a permission model, a content security policy.
      }
      if (helper === undefined) {
        this.#giveUp();
        return;
      }
      helper.on?.('error', () => this.#giveUp());
      helper.addEventListener?.('error', (event) => {
        event.preventDefault();
        this.#giveUp();
      });
      this.#helpers.push(helper);
    }
  }

  #giveUp(): void {
    this.#alone = true;
    this.stop();
  }

  /** Stops all helpers. */
  stop(): void {
    this.#late = 0;
    this.#spares.close();
    for (const helper of this.#helpers.splice(0)) helper.terminate();
    Atomics.store(this.#current(), CONTROL.ready, 0);
  }

  /** A buffer for a result, if helpers have made one; see spares.ts. */
  spare(bytes: number): ArrayBuffer | undefined {
    return this.#spares.take(bytes);
  }

  #order(bytes: number): void {
    const words = this.#current();
    Atomics.store(words, CONTROL.spare, bytes);
    // Helpers look at this word; whatever it is made of, a stage makes it something else.
    Atomics.add(words, CONTROL.go, 0x10000);
    Atomics.notify(words, CONTROL.go);
  }

  /** The control block, in the memory as it is since it last grew. */
  #current(): Int32Array {
    const { memory, control } = this.#team;
    if (this.#words.buffer !== memory.buffer) {
      this.#words = new Int32Array(memory.buffer, control, CONTROL_WORDS);
    }
    return this.#words;
  }

  /**
   * Runs a stage of `count` items, at most 65,535. The items of a `repeatable` stage may be run twice at once with the same
   * result: then the caller does not wait for a helper that was interrupted (by another process, or by the caller's own
   * spinning on the same processor), but does its item too. Until {@link settle}, such a helper may still be reading and
   * writing where the stage did.
   */
  run(count: number, repeatable = false): void {
    this.settle();
    const { control, bases, drain } = this.#team;
    const words = this.#current();
    const epoch = (Atomics.load(words, CONTROL.epoch) + 1) & 0xffff;
    // This order is what makes tickets safe; see drain. A helper that looked at the epoch itself would at times be so quick
    // as to find no tickets yet, and sit the stage out.
    Atomics.store(words, CONTROL.epoch, epoch);
    Atomics.store(words, CONTROL.count, count);
    Atomics.store(words, CONTROL.done, 0);
    Atomics.store(words, CONTROL.next, epoch << 16);
    Atomics.store(words, CONTROL.go, epoch);
    if (this.#helpers.length > 0) Atomics.notify(words, CONTROL.go);
    const start = now();
    drain(control, bases, 0);
    if (Atomics.load(words, CONTROL.done) >= count) return;
    if (repeatable) {
      // What an item takes on one thread. Waiting for as long as doing it again would take costs at most twice the best.
      const item = (this.size * (now() - start)) / count;
      this.#repeat(words, count, epoch, now() + item);
    } else this.#wait(words, count);
  }

  /** Runs a stage of `count` items without tickets, so that no helper, however late it comes, meets one. */
  runHere(count: number): void {
    this.settle();
    const { control, bases, item } = this.#team;
    for (let number = 0; number < count; number++) item(control, bases, 0, number);
  }

  /** Whether every helper that has come up has taken in so many kernels from the shelf. */
  know(kernels: number): boolean {
    const words = this.#current();
    for (let thread = 1; thread < this.size; thread++) {
      const taken = Atomics.load(words, CONTROL.taken + thread);
      if (taken >= 0 && taken < kernels) return false;
    }
    return true;
  }

  /** Has the helpers look at the shelf. */
  teach(): void {
    this.run(0);
  }

  /** Waits for a helper that was overtaken in a repeatable stage. */
  settle(): void {
    if (this.#late === 0) return;
    const count = this.#late;
    this.#late = 0;
    try {
      this.#wait(this.#current(), count);
    } catch {
      // What it was to do has been done; it is only missed from now on.
    }
  }

  /** Waits until `deadline`, then does what helpers are still doing. */
  #repeat(words: Int32Array, count: number, epoch: number, deadline: number): void {
    const { control, bases, item } = this.#team;
    const repeated = new Set<number>();
    for (let spins = 1; ; spins++) {
      // First what is done, then what is being done: an item that moves from one to the other in between counts once at
      // most, because its helper clears its word before it counts it.
      const done = Atomics.load(words, CONTROL.done);
      if (done >= count) return;
      if (repeated.size === 0 && (spins % 64 !== 0 || now() < deadline)) continue;
      let doubled = 0;
      for (let thread = 1; thread < this.size; thread++) {
        const ticket = Atomics.load(words, CONTROL.doing + thread);
        if (ticket >>> 16 !== epoch) continue;
        const number = ticket & 0xffff;
        if (!repeated.has(number)) {
          item(control, bases, 0, number);
          repeated.add(number);
        }
        doubled++;
      }
      if (done + doubled >= count) {
        this.#late = count;
        return;
      }
    }
  }

  #wait(words: Int32Array, count: number): void {
    let before = -1;
    let waited = 0;
    let last = Date.now();
    for (let spins = 1; ; spins++) {
      const done = Atomics.load(words, CONTROL.done);
      if (done >= count) return;
      if (spins % 4096 !== 0) continue;
      const now = Date.now();
      // A process that was suspended has not waited: whatever the clock says, one look counts for little.
      waited = done === before ? waited + Math.min(now - last, 100) : 0;
      before = done;
      last = now;
      if (waited > (this.#team.lostAfter ?? LOST_AFTER_MS)) {
        this.#giveUp();
        throw new Error(
          `deconv: a helper thread was lost in the middle of an operation (${done} of ${count} parts finished); its result is discarded, further operations run on one thread`,
        );
      }
    }
  }
}
