/**
 * threads: helpers for the calling thread. They share the linear memory and know nothing but `drain`: wait for a stage, see
 * whether there are new kernels on the shelf, take items until there are none, wait again. The calling thread works too, and
 * does all of the work when there are no helpers: in a page without cross-origin isolation, before they are ready, or after one was lost.
 *
 * A helper spins for a moment after each stage, because waking a parked one costs some 80 µs, and then parks. In Node it
 * does not keep the process alive.
 */

import { CONTROL_AT, CONTROL_WORDS } from './commands.js';
import * as CONTROL from './control.js';
import { host, type LinearMemory, nodeModule, now } from './platform.js';
import { SHELF_AT, TAKE } from './shelf.js';
import { SPARE, Spares } from './spares.js';

/** Address of the bases of thread 0; each thread has 64 bytes. Up to the shelf there is room for more than may be asked for. */
export const BASES_AT = 2048;
/** Looks for work before a helper parks: a few milliseconds, in which the caller may copy a result of some megabytes. */
export const SPINS = 4_000_000;
/** An item takes milliseconds; a helper that has not finished one after so long is gone. */
export const LOST_AFTER_MS = 10_000;

/** What a helper runs. It is text because it must stand on its own: in Node, in a page, bundled or not. */
const HELPER = `
const serve = ({ memory, module, thread, ports: [port] }) => {
  const { drain, table } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const words = new Int32Array(memory.buffer, ${CONTROL_AT}, ${CONTROL_WORDS});
  const taken = ${CONTROL.taken} + thread;
  let shelf = ${SHELF_AT};
  Atomics.store(words, taken, 0);
  for (;;) {
    const seen = Atomics.load(words, ${CONTROL.go});
    ${TAKE}
    drain(${CONTROL_AT}, ${BASES_AT} + 64 * thread, thread);
    ${SPARE}
    for (let i = 0; Atomics.load(words, ${CONTROL.go}) === seen; i++)
      if (i >= ${SPINS}) Atomics.wait(words, ${CONTROL.go}, seen);
  }
};
`;

/** What a helper is told. */
interface Setup {
  readonly memory: LinearMemory;
  readonly module: object;
  readonly thread: number;
  /** A port for the helper that makes arrays; it moves there. */
  readonly ports: object[];
}

interface Helper {
  terminate(): unknown;
}

interface NodeHelper extends Helper {
  unref(): void;
  on(event: 'error', listener: (error: Failure) => void): void;
}

interface PageHelper extends Helper {
  onerror: ((event: Failure) => void) | null;
  postMessage(message: object, transfer: object[]): void;
}

/** An error in a helper. In a page it is an event that would go on to the page. */
interface Failure {
  preventDefault?(): void;
}

interface NodeThreads {
  Worker: new (
    source: string,
    options: { eval: true; workerData: object; transferList: object[]; execArgv: string[] },
  ) => NodeHelper;
}

interface PageThreads {
  Worker: new (url: string) => PageHelper;
  Blob: new (parts: string[], options: { type: string }) => object;
  URL: { createObjectURL(blob: object): string };
}

/** Throws where the host has no threads, or refuses them. */
function startHelper(setup: Setup, failed: (failure: Failure) => void): Helper {
  const node = nodeModule<NodeThreads>('worker_threads');
  if (node !== undefined) {
    const helper = new node.Worker(`${HELPER}serve(require('node:worker_threads').workerData);`, {
      eval: true,
      workerData: setup,
      transferList: setup.ports,
      execArgv: [],
    });
    helper.unref();
    helper.on('error', failed);
    return helper;
  }
  const page = host as object as PageThreads;
  const source = new page.Blob([`${HELPER}onmessage = ({ data }) => serve(data);`], {
    type: 'text/javascript',
  });
  const helper = new page.Worker(page.URL.createObjectURL(source));
  helper.onerror = failed;
  helper.postMessage(setup, setup.ports);
  return helper;
}

/** What the threads have in common. */
export interface Team {
  readonly memory: LinearMemory;
  readonly module: object;
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
  /** The control block. Memory that is shared stays where it is when it grows; of other memory it is not used. */
  readonly #words: Int32Array;
  /** Arrays for results: the first helper makes them. */
  readonly spares = new Spares((bytes) => {
    Atomics.store(this.#words, CONTROL.spare, bytes);
    // Helpers look at this word; whatever it is made of, a stage makes it something else.
    Atomics.add(this.#words, CONTROL.go, 0x10000);
    Atomics.notify(this.#words, CONTROL.go);
  });
  /** Items of the last stage, if a helper may still be working on one that the caller has done as well. */
  #late = 0;

  constructor(team: Team) {
    this.#team = team;
    this.#words = new Int32Array(team.memory.buffer, CONTROL_AT, CONTROL_WORDS);
    this.#words.fill(-1, CONTROL.doing);
  }

  /** Threads that work space is needed for: the caller and every helper started. */
  get size(): number {
    return 1 + this.#helpers.length;
  }

  /** Starts helpers until there are `count` threads, over memory that is shared; they join in as they come up. */
  start(count: number): void {
    const { memory, module } = this.#team;
    while (!this.#alone && this.size < count) {
      const thread = this.size;
      Atomics.store(this.#words, CONTROL.taken + thread, -1);
      try {
        const setup = { memory, module, thread, ports: thread === 1 ? [this.spares.connect()] : [] };
        const helper = startHelper(setup, (failure) => {
          failure.preventDefault?.();
          this.#giveUp();
        });
        this.#helpers.push(helper);
      } catch {
        // Forbidden by the host: a permission model, a content security policy.
        this.#giveUp();
      }
    }
  }

  #giveUp(): void {
    this.#alone = true;
    this.stop();
  }

  /** Stops all helpers. */
  stop(): void {
    this.#late = 0;
    for (const helper of this.#helpers.splice(0)) helper.terminate();
  }

  /**
   * Runs a stage of `count` items, at most 65,535. The items of a `repeatable` stage may be run twice at once with the same
   * result: then the caller does not wait for a helper that was interrupted (by another process, or by the caller's own
   * spinning on the same processor), but does its item too. Until {@link settle}, such a helper may still be reading and
   * writing where the stage did.
   */
  run(count: number, repeatable = false): void {
    this.settle();
    const { drain } = this.#team;
    const words = this.#words;
    const epoch = (Atomics.load(words, CONTROL.epoch) + 1) & 0xffff;
    // A stage of no items has helpers that lack kernels look at the shelf.
    const shared = this.#know() ? count : 0;
    // This order is what makes tickets safe; see drain. A helper that looked at the epoch itself would at times be so quick
    // as to find no tickets yet, and sit the stage out.
    Atomics.store(words, CONTROL.epoch, epoch);
    Atomics.store(words, CONTROL.count, shared);
    Atomics.store(words, CONTROL.done, 0);
    Atomics.store(words, CONTROL.next, epoch << 16);
    Atomics.store(words, CONTROL.go, epoch);
    Atomics.notify(words, CONTROL.go);
    if (shared < count) {
      this.runHere(count);
      return;
    }
    const start = now();
    drain(CONTROL_AT, BASES_AT, 0);
    if (Atomics.load(words, CONTROL.done) >= count) return;
    // What an item takes on one thread. Waiting for as long as doing it again would take costs at most twice the best.
    const end = now();
    const item = (this.size * (end - start)) / count;
    this.#wait(count, repeatable ? end + item : undefined);
  }

  /** Runs a stage of `count` items without tickets, so that no helper, however late it comes, meets one. */
  runHere(count: number): void {
    this.settle();
    for (let number = 0; number < count; number++) this.#team.item(CONTROL_AT, BASES_AT, 0, number);
  }

  /** Whether every helper that has come up has taken in all kernels on the shelf. */
  #know(): boolean {
    const words = this.#words;
    const kernels = Atomics.load(words, CONTROL.kernels);
    for (let thread = 1; thread < this.size; thread++) {
      // −1, of one that has not come up, is more than all of them.
      if (Atomics.load(words, CONTROL.taken + thread) >>> 0 < kernels) return false;
    }
    return true;
  }

  /** Waits for a helper that was overtaken in a repeatable stage. */
  settle(): void {
    if (this.#late === 0) return;
    const count = this.#late;
    this.#late = 0;
    try {
      this.#wait(count);
    } catch {
      // What it was to do has been done; it is only missed from now on.
    }
  }

  /** Waits for what helpers are doing; from the `deadline` on, does it too. */
  #wait(count: number, deadline = Number.POSITIVE_INFINITY): void {
    const words = this.#words;
    const epoch = Atomics.load(words, CONTROL.epoch);
    const repeated = new Set<number>();
    let before = -1;
    let waited = 0;
    let last = now();
    for (let spins = 1; ; spins++) {
      // First what is done, then what is being done: an item that moves from one to the other in between counts once at
      // most, because its helper clears its word before it counts it.
      const done = Atomics.load(words, CONTROL.done);
      if (done >= count) return;
      if (spins % 64 !== 0) continue;
      const time = now();
      let doubled = 0;
      for (let thread = 1; time >= deadline && thread < this.size; thread++) {
        const ticket = Atomics.load(words, CONTROL.doing + thread);
        if (ticket >>> 16 !== epoch) continue;
        const number = ticket & 0xffff;
        if (!repeated.has(number)) this.#team.item(CONTROL_AT, BASES_AT, 0, number);
        repeated.add(number);
        doubled++;
      }
      if (done + doubled >= count) {
        this.#late = count;
        return;
      }
      // A process that was suspended has not waited: whatever the clock says, one look counts for little.
      waited = done === before ? waited + Math.min(time - last, 100) : 0;
      before = done;
      last = time;
      if (waited > (this.#team.lostAfter ?? LOST_AFTER_MS)) {
        this.#giveUp();
        throw new Error('deconv: a helper thread was lost, from now on one works alone');
      }
    }
  }
}
