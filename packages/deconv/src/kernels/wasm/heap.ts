/**
 * heap: the linear memory and who has which part of it: a list of free stretches, kept in order of address and merged at
 * every release. What comes and goes is taken from the lowest stretch where it fits; what lasts (packed weights, plans) from
 * the end of the highest, so that it does not lie between the others and leave holes of which none holds the next large
 * result. For that, memory grows in large steps: pages that nobody has written to cost the host nothing. It never shrinks.
 * Refuses what cannot fit, and stays whole when it does.
 */
import { roundUp } from './commands.js';
import { type LinearMemory, webAssembly } from './platform.js';

export const PAGE = 65536;
/** Blocks begin at whole cache lines. */
export const LINE = 64;
/** Pages that memory grows by at least, where there is room for them: 256 MiB. */
const GROWTH = 4096;

/** A part of the linear memory. */
export interface Block {
  readonly at: number;
  readonly bytes: number;
  free: boolean;
}

/** A part of the linear memory that nobody has. */
interface Stretch {
  at: number;
  bytes: number;
}

/** Thrown when linear memory cannot hold what is asked for. */
export class OutOfMemory extends Error {}

/** Linear memory is full, or the host has no more for an array. */
export const isShortage = (error: unknown): boolean =>
  error instanceof OutOfMemory ||
  (error instanceof RangeError && /allocation failed|array length/i.test(error.message));

/** A linear memory and its blocks. */
export class Heap {
  readonly memory: LinearMemory;
  readonly limits: { readonly initial: number; readonly maximum: number; readonly shared: boolean };
  /** Bytes that the memory may grow to. */
  readonly capacity: number;
  /** Bytes handed out. */
  used = 0;
  /** The memory as floats and as integers; made anew when it has grown. */
  floats!: Float32Array;
  integers!: Int32Array;
  readonly #free: Stretch[] = [];

  /** @param reserved bytes at address 0 that are never handed out */
  constructor(reserved: number, shared: boolean, maximumPages: number) {
    this.limits = { initial: 16, maximum: maximumPages, shared };
    this.memory = new (webAssembly().Memory)(this.limits);
    this.capacity = maximumPages * PAGE;
    this.#extend(reserved);
  }

  /** A block of at least `bytes`, its content arbitrary; `lasting` if it will outlive most that is taken after it. */
  take(bytes: number, lasting = false): Block {
    // A line more than asked for: vector loads may read a little beyond the end.
    const size = roundUp(bytes, LINE) + LINE;
    const free = this.#free;
    const fits = (stretch: Stretch) => stretch.bytes >= size;
    const stretch = (lasting ? free.findLast(fits) : free.find(fits)) ?? this.#grow(size);
    stretch.bytes -= size;
    const at = stretch.at + (lasting ? stretch.bytes : 0);
    if (!lasting) stretch.at += size;
    if (stretch.bytes === 0) free.splice(free.indexOf(stretch), 1);
    this.used += size;
    return { at, bytes: size, free: false };
  }

  /** Gives a block back; a second time does nothing. */
  release(block: Block): void {
    if (block.free) return;
    block.free = true;
    this.used -= block.bytes;
    this.#insert(block.at, block.bytes);
  }

  /** Adds a stretch to the list, joined with its neighbours. */
  #insert(at: number, bytes: number): void {
    const free = this.#free;
    const next = free.findLastIndex((stretch) => stretch.at < at) + 1;
    const before = free[next - 1];
    const after = free[next];
    if (after?.at === at + bytes) {
      bytes += after.bytes;
      free.splice(next, 1);
    }
    if (before && before.at + before.bytes === at) before.bytes += bytes;
    else free.splice(next, 0, { at, bytes });
  }

  /** Makes the last free stretch at least `bytes` long. */
  #grow(bytes: number): Stretch {
    const end = this.floats.byteLength;
    const last = this.#free.at(-1);
    const tail = last && last.at + last.bytes === end ? last.bytes : 0;
    const needed = Math.ceil((bytes - tail) / PAGE);
    const { memory } = this;
    const plenty = Math.min(Math.max(end / PAGE, GROWTH), this.limits.maximum - end / PAGE);
    for (const pages of [Math.max(needed, plenty), needed]) {
      try {
        memory.grow(pages);
        this.#extend(end);
        return this.#free[this.#free.length - 1];
      } catch {}
    }
    throw new OutOfMemory(`${bytes} bytes do not fit`);
  }

  /** Takes in the memory from an address to its end. */
  #extend(at: number): void {
    const { buffer } = this.memory;
    this.floats = new Float32Array(buffer);
    this.integers = new Int32Array(buffer);
    this.#insert(at, buffer.byteLength - at);
  }
}
