/**
 * storage: values that live in linear memory while kernels work on them, and in an ordinary array once the user has
 * asked for them.
 *
 * Values whose last holder has let go are released, and their memory is free at once. But nothing is asked of the user, and
 * no finaliser is relied on: they do not run within a synchronous loop. What is resident is bounded by a budget
 * in bytes; beyond it the values used longest ago are copied out to ordinary arrays, which the garbage collector
 * looks after, loop or no loop. Finalisers only give memory back sooner.
 *
 * An array that `host()` has handed out is the user's: it is never recycled, and since it may be written to, it is from
 * then on the only truth: each use by a kernel reads it anew.
 */
import { allocate, type DType, dtypeOf, type Recipe, type Storage, type TypedArray } from '../../tensor.js';
import type { Block, Heap } from './heap.js';
import { unfilled } from './platform.js';

/** Values either in `array`, or how they are made, or in `block`; in neither once they were released. It does not refer to its storage, so that the finaliser may hold it. */
interface Cell {
  readonly dtype: DType;
  readonly length: number;
  array: TypedArray | Recipe | undefined;
  block: Block | undefined;
  /** Packed forms of a weight, by plan; kept while the values cannot change unseen. */
  packed: Map<object, Block> | undefined;
  /** The array is in the user's hands. */
  exposed: boolean;
  /** The values were copied out for want of room. */
  spilled: boolean;
  /** A small result: it leaves linear memory with the operation that made it, and only visits it afterwards. */
  readonly small: boolean;
}

/** Results of so many bytes or fewer are not worth the account that residents need: copying them is cheaper. */
export const SMALL = 16 * 1024;

/**
 * Bytes that may be resident before the values used longest ago are copied out, the account of each counted in. Values that come
 * back after that were no garbage: the budget grows by them, up to a share of the memory. To begin with it is small, because
 * arrays, unlike linear memory, are known to the garbage collector: those copied out bring it to collect the handles of what was
 * forgotten, whose memory then comes back without copying.
 */
export const BUDGET = 192 * 1024 * 1024;
export const MOST_BUDGET = 3 / 4;
/** What the account of a block counts for, in bytes: more than it takes, so that small values are bounded in number. */
export const ACCOUNT = 6 * 1024;
/** What is left when values have been copied out: many at a time, because finding the oldest costs something. */
export const KEPT = 7 / 8;
/** Packed forms of one weight that are kept: it may meet inputs of any number of sizes. */
export const MOST_PACKED = 4;

/** Arrays of so many bytes or more are made unfilled. */
export const UNFILLED = 8 * 1024;

/** What makes arrays of a number type, of a length or over a buffer. */
const arraysOf = (dtype: DType) =>
  allocate(dtype, 0).constructor as new (
    lengthOrBuffer: number | ArrayBufferLike,
    at?: number,
    length?: number,
  ) => TypedArray;

function bytesOf(dtype: DType, length: number): number {
  return length * (dtype === 'float64' ? 8 : dtype === 'uint8' ? 1 : 4);
}

/** A cell of values in an array, or of none yet. */
function cellOf(dtype: DType, length: number, array: Cell['array'], small = false): Cell {
  return {
    dtype,
    length,
    array,
    block: undefined,
    packed: undefined,
    exposed: false,
    spilled: false,
    small,
  };
}

/** The array of a cell that has no block. */
function arrayOf({ array }: Cell): TypedArray {
  if (array === undefined) throw new Error('deconv: released values are used');
  return 'make' in array ? array.make() : array;
}

/** Keeps account of what is resident, and makes storages. */
export class Residency {
  readonly heap: Heap;
  readonly #spare: (bytes: number) => ArrayBuffer | undefined;
  /** Resident cells, used longest ago first. */
  readonly #resident = new Set<Cell>();
  readonly #finalizer = new FinalizationRegistry<Cell>((cell) => this.#evict(cell));
  /** Cells of the operation under way, and blocks that end with it. */
  readonly #pinned = new Set<Cell>();
  readonly #passing: Block[] = [];
  /** Small results of the operation under way. */
  readonly #leaving: Cell[] = [];
  /** Bytes of values and packed weights in linear memory, accounts counted in. */
  bytes = 0;
  #budget = BUDGET;

  /** @param spare a buffer of so many bytes, if there is one to be had more quickly than by making it */
  constructor(heap: Heap, spare: (bytes: number) => ArrayBuffer | undefined) {
    this.heap = heap;
    this.#spare = spare;
  }

  /** A storage around an array, which is taken over, or around how it is made. */
  fromArray(array: TypedArray | Recipe): WasmStorage {
    const dtype = dtypeOf(array) ?? (array as Recipe).dtype;
    return new WasmStorage(this, cellOf(dtype, array.length, array));
  }

  /** A storage for a result, in linear memory; and its address. Its values are arbitrary at first. */
  result(dtype: DType, length: number): { storage: WasmStorage; at: number } {
    const bytes = bytesOf(dtype, length);
    const small = bytes <= SMALL;
    const cell = cellOf(dtype, length, undefined, small);
    const storage = new WasmStorage(this, cell);
    const block = small ? this.take(bytes) : this.#place(storage, cell);
    if (small) this.#leaving.push(cell);
    cell.block = block;
    return { storage, at: block.at };
  }

  /** The address of a storage's values, good until {@link settle}. */
  address(storage: Storage): number {
    const cell = this.#own(storage);
    if (cell === undefined) return this.#visit(storage.host());
    if (cell.block !== undefined) {
      // A small result whose operation is under way has a block and no account.
      if (this.#resident.has(cell)) this.#use(storage, cell);
      return cell.block.at;
    }
    const array = arrayOf(cell);
    if (cell.exposed || cell.small) return this.#visit(array);
    this.#welcome(cell, array.byteLength);
    const block = this.#place(storage, cell, true);
    this.#copyIn(block, array);
    cell.array = undefined;
    return block.at;
  }

  /** The address of values that are read this once, good until {@link settle}: values in an array stay there. */
  read(storage: Storage): number {
    const cell = this.#own(storage);
    if (cell === undefined || cell.block !== undefined) return this.address(storage);
    return this.#visit((cell.array as Partial<Recipe>)?.bytes ?? arrayOf(cell));
  }

  /** The address of the packed form of a weight for a plan, good until {@link settle}; undefined if it is to be made. */
  packed(storage: Storage, plan: object): number | undefined {
    const cell = this.#own(storage);
    const known = cell?.packed?.get(plan);
    if (cell !== undefined && known !== undefined) this.#use(storage, cell);
    return known?.at;
  }

  /** Keeps what {@link room} gave at this address as the packed form of a weight, as long as the weight cannot change. */
  keep(storage: Storage, plan: object, at: number): void {
    const cell = this.#own(storage);
    const which = this.#passing.findIndex((block) => block.at === at);
    if (cell === undefined || cell.exposed || cell.small || which < 0) return;
    this.#welcome(cell, this.#passing[which].bytes);
    this.#use(storage, cell);
    cell.packed ??= new Map();
    for (const [old, block] of cell.packed) {
      if (cell.packed.size < MOST_PACKED) break;
      cell.packed.delete(old);
      this.give(block);
    }
    cell.packed.set(plan, this.#passing[which]);
    this.#passing.splice(which, 1);
  }

  #own(storage: Storage): Cell | undefined {
    return storage instanceof WasmStorage && storage.owner === this ? storage.cell : undefined;
  }

  /** Room for the operation under way; `lasting`: for what is likely to be kept after it. */
  room(bytes: number, lasting = false): number {
    const block = this.take(bytes, lasting);
    this.#passing.push(block);
    return block.at;
  }

  /** Ends an operation: what it only borrowed goes back. */
  settle(): void {
    for (const cell of this.#leaving.splice(0)) {
      const block = cell.block as Block;
      cell.array = this.#copyOut(cell, block);
      cell.block = undefined;
      this.give(block);
    }
    for (const block of this.#passing.splice(0)) this.give(block);
    this.#pinned.clear();
  }

  /** Moves a cell's values to an array, for the user's hands if so said, and leaves nothing behind. */
  home(cell: Cell): TypedArray {
    this.#leave(cell);
    cell.array = arrayOf(cell);
    return cell.array;
  }

  /** Copies a cell's values out, if they are nowhere else, and gives back its memory. */
  #leave(cell: Cell): void {
    if (cell.block !== undefined) cell.array = this.#copyOut(cell, cell.block);
    if (cell.block !== undefined || cell.packed !== undefined) this.#evict(cell);
  }

  /** Gives back all that a cell has; an array in the user's hands stays theirs. */
  release(cell: Cell): void {
    this.#evict(cell);
    cell.array = undefined;
  }

  #place(storage: Storage, cell: Cell, lasting = false): Block {
    const block = this.take(bytesOf(cell.dtype, cell.length), lasting);
    cell.block = block;
    this.#use(storage, cell);
    return block;
  }

  /** Makes a cell the one that was used last, which stays until {@link settle}. */
  #use(storage: Storage, cell: Cell): void {
    if (!this.#resident.delete(cell)) this.#finalizer.register(storage, cell, cell);
    this.#resident.add(cell);
    this.#pinned.add(cell);
  }

  /** What comes back was no garbage when it had to go: there is room for as much more from now on. */
  #welcome(cell: Cell, bytes: number): void {
    if (!cell.spilled) return;
    cell.spilled = false;
    const most = Math.floor(MOST_BUDGET * this.heap.capacity);
    this.#budget = Math.min(most, this.#budget + bytes);
  }

  #visit(array: ArrayBufferView): number {
    const block = this.take(array.byteLength);
    this.#passing.push(block);
    this.#copyIn(block, array);
    return block.at;
  }

  #copyOut(cell: Cell, block: Block): TypedArray {
    const { dtype, length } = cell;
    const bytes = bytesOf(dtype, length);
    // It will be written from end to end.
    const array = new (arraysOf(dtype))(this.#spare(bytes) ?? (bytes < UNFILLED ? length : unfilled(bytes)));
    array.set(this.values(dtype, block, length));
    return array;
  }

  /** The values of a block, where they are. */
  values(dtype: DType, block: Block, length: number): TypedArray {
    if (dtype === 'float32') return this.heap.floats.subarray(block.at / 4, block.at / 4 + length);
    return new (arraysOf(dtype))(this.heap.memory.buffer, block.at, length);
  }

  #copyIn(block: Block, array: ArrayBufferView): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.heap.memory.buffer, block.at, bytes.length).set(bytes);
  }

  /** A block, with the oldest cells moved out until the budget, or the memory, holds it. */
  take(bytes: number, lasting = false): Block {
    if (this.bytes + bytes > this.#budget) this.#spill(this.#budget * KEPT - bytes);
    let block: Block;
    try {
      block = this.heap.take(bytes, lasting);
    } catch {
      this.#spill(0);
      block = this.heap.take(bytes, lasting);
    }
    this.bytes += block.bytes + ACCOUNT;
    return block;
  }

  /** Gives a block back. */
  give(block: Block): void {
    if (block.free) return;
    this.bytes -= block.bytes + ACCOUNT;
    this.heap.release(block);
  }

  #evict(cell: Cell): void {
    if (cell.block !== undefined) this.give(cell.block);
    cell.block = undefined;
    for (const block of cell.packed?.values() ?? []) this.give(block);
    cell.packed = undefined;
    this.#resident.delete(cell);
    this.#finalizer.unregister(cell);
  }

  /** Copies the oldest cells out until at most so many bytes are left; those in use stay. */
  #spill(bytes: number): void {
    for (const cell of this.#resident) {
      if (this.bytes <= bytes) return;
      if (this.#pinned.has(cell)) continue;
      this.#leave(cell);
      cell.spilled = true;
    }
  }
}

/** The storage of tensors on the WebAssembly backend. */
export class WasmStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  holders = 0;
  /** @internal */
  readonly cell: Cell;
  /** @internal */
  readonly owner: Residency;

  constructor(owner: Residency, cell: Cell) {
    this.owner = owner;
    this.cell = cell;
    this.dtype = cell.dtype;
    this.length = cell.length;
  }

  host(): TypedArray {
    const { cell } = this;
    const array = this.owner.home(cell);
    cell.exposed = true;
    return array;
  }

  async read(): Promise<TypedArray> {
    return this.host();
  }

  release(): void {
    this.owner.release(this.cell);
  }

  peek(): TypedArray {
    const { cell, owner } = this;
    if (cell.block === undefined) return arrayOf(cell);
    return owner.values(cell.dtype, cell.block, cell.length);
  }
}
