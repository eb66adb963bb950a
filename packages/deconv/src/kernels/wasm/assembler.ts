/**
 * assembler: WebAssembly modules written from TypeScript, at run time: just the instructions that the kernels need, with
 * locals by handle and structured control flow. No text format, no tool chain, no binary in the repository.
 *
 * Encoding: the WebAssembly core specification 2.0, chapter 5; SIMD opcodes from its vector instructions, relaxed SIMD
 * from the proposal of that name (now 3.0).
 */

import { range } from '../../shape.js';
import * as wasm from './opcodes.js';

/** Value types, as they are encoded. */
export type ValueType = typeof wasm.i32 | typeof wasm.f32 | typeof wasm.f64 | typeof wasm.v128;

/** What the opcodes of vector instructions count on from. */
export const VECTORS = 0x100;

/** A local variable or parameter of a function. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value | 0; ; ) {
    const low = rest & 127;
    rest >>= 7;
    if ((rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0)) return [...bytes, low];
    bytes.push(low | 128);
  }
}

/** A name; ours are all ASCII. */
const text = (value: string): number[] => {
  const bytes = Array.from(value, (letter) => letter.charCodeAt(0));
  return [...unsigned(bytes.length), ...bytes];
};

const section = (id: number, entries: readonly (readonly number[])[]): number[] => {
  const body = [...unsigned(entries.length), ...entries.flat()];
  return [id, ...unsigned(body.length), ...body];
};

/** The body of one function under construction. Emits in stack order: operands first, then the instruction. */
export class FunctionBuilder {
  readonly #code: number[] = [];
  readonly #locals: ValueType[] = [];
  readonly #parameters: number;
  #depth = 0;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  /** A new local variable, 0 at first. */
  local(type: ValueType): Local {
    this.#locals.push(type);
    return { index: this.#parameters + this.#locals.length - 1, type };
  }

  /** Pushes a variable. */
  get(local: Local): this {
    return this.#emit(0x20, ...unsigned(local.index));
  }

  /** Pops into a variable. */
  set(local: Local): this {
    return this.#emit(0x21, ...unsigned(local.index));
  }

  /** Copies the top of the stack into a variable. */
  tee(local: Local): this {
    return this.#emit(0x22, ...unsigned(local.index));
  }

  /** Pushes an integer constant. */
  i32(value: number): this {
    return this.#emit(0x41, ...signed(value));
  }

  /** Pushes a float constant. */
  f32(value: number): this {
    return this.#emit(0x43, ...new Uint8Array(Float32Array.of(value).buffer));
  }

  /** An instruction without immediates, of opcodes.ts. */
  op(opcode: number): this {
    if (opcode < VECTORS) return this.#emit(opcode);
    return this.#emit(0xfd, ...unsigned(opcode - VECTORS));
  }

  /** Calls a function by its number. */
  call(index: number): this {
    return this.#emit(0x10, ...unsigned(index));
  }

  /** Calls the table entry whose number is on the stack, above its arguments; the callee has the type of `like`. */
  callIndirect(like: number): this {
    return this.#emit(0x11, ...unsigned(like), 0);
  }

  /** A load or store at the address on the stack plus `offset` bytes; more than 4 bytes of alignment is not promised. */
  access(opcode: number, offset = 0): this {
    if (opcode >= VECTORS) this.#emit(0xfc + (opcode >> 8));
    return this.#emit(opcode & 0xff, 2, ...unsigned(offset));
  }

  /** Pushes the vector of four integers, all `value`. */
  integers(value: number): this {
    return this.i32(value).op(wasm.i32x4Splat);
  }

  /** Stores one 64-bit half of the vector on the stack. */
  storeHalf(half: 0 | 1): this {
    return this.#emit(0xfd, 91, 2, 0, half);
  }

  /** Stores one float of the vector on the stack. */
  storeLane(lane: 0 | 1 | 2 | 3, offset = 0): this {
    return this.#emit(0xfd, 90, 2, ...unsigned(offset), lane);
  }

  /** Pushes the 16-byte constant of four floats, all `value`. */
  splat(value: number): this {
    return this.f32(value).op(wasm.f32x4Splat);
  }

  /** Picks 4 of the 8 floats of the two vectors on the stack: 0–3 from the lower, 4–7 from the upper. */
  shuffle(lanes: readonly [number, number, number, number]): this {
    return this.#emit(0xfd, 13, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)));
  }

  /** local += constant. */
  add(local: Local, by: number | Local): this {
    this.get(local);
    if (typeof by === 'number') this.i32(by);
    else this.get(by);
    return this.op(wasm.i32Add).set(local);
  }

  /** Several new locals of a type. */
  locals(count: number, type: ValueType): Local[] {
    return range(count).map(() => this.local(type));
  }

  /**
   * Runs `body` `count` times. It gets copies of the pointers, which move by their steps, in bytes, from one time to the next.
   */
  each(
    count: Local,
    moving: readonly (readonly [pointer: Local, step: Local])[],
    body: (...at: readonly Local[]) => void,
  ): this {
    const [left, ...at] = this.locals(1 + moving.length, wasm.i32);
    this.get(count).set(left);
    for (const [i, [pointer]] of moving.entries()) this.get(pointer).set(at[i]);
    return this.countdown(left, 1, () => {
      body(...at);
      for (const [i, [, step]] of moving.entries()) this.add(at[i], step);
    });
  }

  /**
   * Repeats `body` while the counter is above 0, taking `step` off it each time. Nothing is done when it starts at 0 or
   * below.
   */
  countdown(counter: Local, step: number, body: () => void): this {
    return this.block((leave) => {
      this.get(counter).i32(step).op(wasm.i32LtS);
      leave();
      this.loop((again) => {
        body();
        this.get(counter).i32(step).op(wasm.i32Sub).tee(counter).i32(step).op(wasm.i32GeS);
        again();
      });
    });
  }

  /** Repeats `body` for `together` vectors at a time while the counter of floats has as many, and moves the pointers on. */
  vectors(
    counter: Local,
    together: number,
    pointers: readonly Local[],
    body: (offset: number) => void,
  ): this {
    return this.countdown(counter, 4 * together, () => {
      for (let offset = 0; offset < 16 * together; offset += 16) body(offset);
      for (const pointer of pointers) this.add(pointer, 16 * together);
    });
  }

  /** A block; `leave` pops a condition and goes to its end if it is not 0. */
  block(body: (leave: () => void) => void): this {
    return this.#structure(0x02, body);
  }

  /** A loop; `again` pops a condition and goes to its start if it is not 0. */
  loop(body: (again: () => void) => void): this {
    return this.#structure(0x03, body);
  }

  /** Runs `body` if the condition on the stack is not 0. */
  if(body: () => void, otherwise?: () => void): this {
    this.#emit(0x04, 0x40);
    this.#depth++;
    body();
    if (otherwise) {
      this.#emit(0x05);
      otherwise();
    }
    this.#depth--;
    return this.#emit(0x0b);
  }

  /** memory.fill: destination, byte value and byte count are on the stack. */
  memoryFill(): this {
    return this.#emit(0xfc, 11, 0);
  }

  #structure(opcode: number, body: (branch: () => void) => void): this {
    this.#emit(opcode, 0x40);
    const level = ++this.#depth;
    body(() => this.#emit(0x0d, ...unsigned(this.#depth - level)));
    this.#depth--;
    return this.#emit(0x0b);
  }

  #emit(...bytes: number[]): this {
    for (const byte of bytes) this.#code.push(byte);
    return this;
  }

  /** The encoded body: locals, each a run of its own, code, end. */
  bytes(): number[] {
    const locals = this.#locals.flatMap((type) => [1, type]);
    const body = [...unsigned(this.#locals.length), ...locals, ...this.#code, 0x0b];
    return [...unsigned(body.length), ...body];
  }
}

/** The memory that a module imports as `env.memory`, in pages of 64 KiB. */
export interface MemoryLimits {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/** A module: functions over one imported memory, all exported by name, and the table they are in, as `table`. */
export class ModuleBuilder {
  readonly #memory: MemoryLimits;
  readonly #functions: { name: string; parameters: readonly ValueType[]; code: number[] }[] = [];

  constructor(memory: MemoryLimits) {
    this.#memory = memory;
  }

  /** Adds and exports a function without results; `build` gets the builder and a handle for each parameter. */
  func(
    name: string,
    parameters: readonly ValueType[],
    build: (f: FunctionBuilder, ...p: Local[]) => void,
  ): this {
    const f = new FunctionBuilder(parameters.length);
    build(f, ...parameters.map((type, index) => ({ index, type })));
    this.#functions.push({ name, parameters, code: f.bytes() });
    return this;
  }

  /** Number of the function so named: its place in the table, and the number of its type. */
  indexOf(name: string): number {
    const index = this.#functions.findIndex((f) => f.name === name);
    if (index < 0) throw new Error(`assembler: no function ${name}`);
    return index;
  }

  /** The encoded module; every function is in the table, at its own number. */
  bytes(): Uint8Array<ArrayBuffer> {
    const { initial, maximum, shared } = this.#memory;
    const count = unsigned(this.#functions.length);
    const numbers = this.#functions.map((_, i) => unsigned(i));
    const limits = [shared ? 3 : 1, ...unsigned(initial), ...unsigned(maximum)];
    const types = this.#functions.map(({ parameters }) => [
      0x60,
      ...unsigned(parameters.length),
      ...parameters,
      0,
    ]);
    return Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, types),
      ...section(2, [[...text('env'), ...text('memory'), 2, ...limits]]),
      ...section(3, numbers),
      ...section(4, [[0x70, 0, ...count]]),
      ...section(7, [
        ...this.#functions.map(({ name }, i) => [...text(name), 0, ...numbers[i]]),
        [...text('table'), 1, 0],
      ]),
      ...section(9, [[0, 0x41, 0, 0x0b, ...count, ...numbers.flat()]]),
      ...section(
        10,
        this.#functions.map(({ code }) => code),
      ),
    ]);
  }
}
