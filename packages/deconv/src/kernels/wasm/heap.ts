/**
 * heap: the linear memory and who has which part of it: a list of free stretches, kept in order of address and merged at
 * every release. What comes and goes is taken from the lowest stretch where it fits; what lasts (packed weights, plans) from
 * the end of the highest, so that it does not lie between the others and leave holes of which none holds the next large
 * result. For that, memory grows in large steps: pages that nobody has written to cost the host nothing. It never shrinks.
 * Refuses what cannot fit, and stays whole when it does.
 */
import { type LinearMemory, webAssembly } from './platform.js';

export const PAGE = 65536;
/** Blocks begin at whole cache lines. */
export const LINE = 64;
/** Pages that memory grows by at least, where there is room for them: 256 MiB. */
const GROWTH = 4096;

interface Stretch {
  at: number;
  bytes: number;
}

/** A part of the linear memory. */
export interface Block {
  readonly at: number;
  readonly bytes: number;
  free: boolean;
}

/** Thrown when linear memory cannot hold what is asked for. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';
}

/** Linear memory is full, or the host has no more for an array. */
export const isShortage = (error: unknown): boolean =>
  error instanceof OutOfMemory ||
  (error instanceof RangeError && /allocation failed|array length/i.test(error.message));

/** A linear memory and its blocks. */
export class Heap {
  readonly memory: LinearMemory;
  readonly limits: { readonly initial: number; readonly maximum: number; readonly shared: boolean };
  readonly #free: Stretch[];
  #end: number;
  #used = 0;
  #floats: Float32Array = new Float32Array(0);
  #integers: Int32Array = new Int32Array(0);

  /** @param reserved bytes at address 0 that are never handed out */
  constructor(reserved: number, shared: boolean, maximumPages: number) {
    this.limits = { initial: 16, maximum: maximumPages, shared };
    this.memory = new (webAssembly().Memory)(this.limits);
    this.#end = this.limits.initial * PAGE;
    this.#free = [{ at: reserved, bytes: this.#end - reserved }];
  }

  /** Bytes handed out. */
  get used(): number {
    return this.#used;
  }

  /** Bytes that the memory may grow to. */
  get capacity(): number {
    return this.limits.maximum * PAGE;
  }

  /** The memory as floats; made anew after it has grown. */
  get floats(): Float32Array {
    if (this.#floats.buffer !== this.memory.buffer) this.#floats = new Float32Array(this.memory.buffer);
    return this.#floats;
  }

  /** The memory as integers; made anew after it has grown. */
  get integers(): Int32Array {
    if (this.#integers.buffer !== this.memory.buffer) this.#integers = new Int32Array(this.memory.buffer);
    return this.#integers;
  }

  /** A block of at least `bytes`, its content arbitrary; `lasting` if it will outlive most that is taken after it. */
  take(bytes: number, lasting = false): Block {
    // A line more than asked for: vector loads may read a little beyond the end.
    const size = Math.ceil(bytes / LINE) * LINE + LINE;
    const fits = (stretch: Stretch) => stretch.bytes >= size;
    let which = lasting ? this.#free.findLastIndex(fits) : this.#free.findIndex(fits);
    if (which < 0) {
      this.#grow(size);
      which = this.#free.length - 1;
    }
    const stretch = this.#free[which];
    stretch.bytes -= size;
    const at = lasting ? stretch.at + stretch.bytes : stretch.at;
    if (!lasting) stretch.at += size;
    if (stretch.bytes === 0) this.#free.splice(which, 1);
    this.#used += size;
    return { at, bytes: size, free: false };
  }

  /** Gives a block back; a second time does nothing. */
  release(block: Block): void {
    if (block.free) return;
    block.free = true;
    this.#used -= block.bytes;
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#free[middle].at < block.at) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const joinsBefore = before !== undefined && before.at + before.bytes === block.at;
    const joinsAfter = after !== undefined && block.at + block.bytes === after.at;
    if (joinsBefore) {
      before.bytes += block.bytes + (joinsAfter ? after.bytes : 0);
      if (joinsAfter) this.#free.splice(low, 1);
    } else if (joinsAfter) {
      after.at = block.at;
      after.bytes += block.bytes;
    } else {
      this.#free.splice(low, 0, { at: block.at, bytes: block.bytes });
    }
  }

  /** Makes the last free stretch at least `bytes` long. */
  #grow(bytes: number): void {
    const last = this.#free.at(-1);
    const tail = last !== undefined && last.at + last.bytes === this.#end ? last.bytes : 0;
    const needed = Math.ceil((bytes - tail) / PAGE);
    const pages = this.#end / PAGE;
    const most = this.limits.maximum - pages;
    if (needed > most) {
      throw new OutOfMemory(
        `${bytes} bytes do not fit: ${this.#used} of at most ${this.limits.maximum * PAGE} bytes of linear memory are in use`,
      );
    }
    let grown = Math.min(Math.max(needed, pages, GROWTH), most);
    try {
      this.memory.grow(grown);
    } catch {
      grown = needed;
      try {
        this.memory.grow(grown);
      } catch {
        throw new OutOfMemory(
          `the engine refused ${grown * PAGE} more bytes of linear memory, ${this.#end} are in use`,
        );
      }
    }
    const added = grown * PAGE;
    if (tail > 0 && last !== undefined) last.bytes += added;
    else this.#free.push({ at: this.#end, bytes: added });
    this.#end += added;
  }
}
