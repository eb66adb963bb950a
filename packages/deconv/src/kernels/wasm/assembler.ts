/**
 * assembler: WebAssembly modules written from TypeScript, at run time: just the instructions that the kernels need, with
 * locals by handle and structured control flow. No text format, no tool chain, no binary in the repository.
 *
 * Code is data: what instructions consist of, in stack order, operands first. `[a, b, wasm.i32Add]` leaves a sum on the stack,
 * `set(c, a, b, wasm.i32Add)` keeps it; how arrays are nested means nothing.
 *
 * Encoding: the WebAssembly core specification 2.0, chapter 5; SIMD opcodes from its vector instructions, relaxed SIMD
 * from the proposal of that name (now 3.0).
 */

import { range } from '../../shape.js';
import { leb128 } from './leb128.js';
import type { Code } from './opcodes.js';
import * as wasm from './opcodes.js';

/** Value types, as they are encoded. */
export type ValueType = typeof wasm.i32 | typeof wasm.f32 | typeof wasm.f64 | typeof wasm.v128;

export type { Code };

/** A local variable or parameter of a function. As code, it pushes its value. */
export type Local = readonly [get: 0x20, ...index: number[]];

/** New local variables of a type, integers unless it is given, 0 at first. */
export type Locals = (count: number, type?: ValueType) => Local[];

/** Writes a function without results, given handles of its parameters. */
export type Build = (locals: Locals, parameters: readonly Local[]) => Code;

/** Sets a variable to what the code leaves on the stack. */
export const set = ([, ...index]: Local, ...value: readonly Code[]): Code => [value, 0x21, index];

/** Copies the top of the stack into a variable. */
export const tee = ([, ...index]: Local): Code => [0x22, index];

/** Pushes an integer, a constant or a variable. */
export const i32 = (value: number | Local): Code =>
  typeof value === 'number' ? [0x41, leb128(value, -64)] : value;

/** Pushes a float constant. */
export const f32 = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];

/** Pushes the vector of four integers, all `value`. */
export const integers = (value: number): Code => [i32(value), wasm.i32x4Splat];

/** Pushes the vector of four floats, all `value`. */
export const splat = (value: number): Code => [f32(value), wasm.f32x4Splat];

/** Picks 4 of the 8 floats of the two vectors on the stack: 0–3 from the lower, 4–7 from the upper. */
export const shuffle = (...lanes: readonly [number, number, number, number]): Code => [
  wasm.i8x16Shuffle,
  lanes.map((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
];

/** Calls a function by its number. */
export const call = (index: number): Code => [0x10, leb128(index)];

/** Calls the table entry whose number is on the stack, above its arguments; it has the type of function 0. */
export const callIndirect: Code = [0x11, 0, 0];

/** memory.fill: destination, byte value and byte count are on the stack. */
export const memoryFill: Code = [0xfc, 11, 0];

/** A block, which {@link branchIf} leaves. */
export const block = (...body: readonly Code[]): Code => [0x02, 0x40, body, 0x0b];

/** A loop, to whose start {@link branchIf} goes. */
export const loop = (...body: readonly Code[]): Code => [0x03, 0x40, body, 0x0b];

/** If the condition is not 0, branches out of `depth` blocks, loops and conditions, and leaves the one around these, or repeats it. */
export const branchIf = (depth: number, ...condition: readonly Code[]): Code => [condition, 0x0d, depth];

/** Does one thing if the condition is not 0, or else another. */
export const when = (condition: Code, then: Code, otherwise?: Code): Code => [
  [condition, 0x04, 0x40, then],
  otherwise === undefined ? [] : [0x05, otherwise],
  0x0b,
];

/** local += a constant or a variable. */
export const add = (local: Local, by: number | Local): Code => set(local, local, i32(by), wasm.i32Add);

/** sum += the product of two vectors that the code leaves on the stack; in one rounding if relaxed. */
export const addProduct = (relaxed: boolean, sum: Local, ...factors: readonly Code[]): Code =>
  set(sum, factors, relaxed ? [sum, wasm.f32x4RelaxedMadd] : [wasm.f32x4Mul, sum, wasm.f32x4Add]);

/** Repeats `body` while the counter is above 0, taking `step` off it each time. Nothing is done when it starts at 0 or below. */
export const countdown = (counter: Local, step: number, ...body: readonly Code[]): Code =>
  block(
    branchIf(0, counter, i32(step), wasm.i32LtS),
    loop(body, [counter, i32(step), wasm.i32Sub, tee(counter)], branchIf(0, i32(step), wasm.i32GeS)),
  );

/** Does `count` times what `body` gives. It gets copies of the pointers, which move by their steps, in bytes, from one time to the next. */
export function each(
  locals: Locals,
  count: Local,
  pointers: readonly Local[],
  steps: readonly (Local | number)[],
  body: (...at: readonly Local[]) => Code,
): Code {
  const [left, ...at] = locals(1 + pointers.length);
  return [
    set(left, count),
    at.map((copy, i) => set(copy, pointers[i])),
    countdown(
      left,
      1,
      body(...at),
      at.map((copy, i) => add(copy, steps[i])),
    ),
  ];
}

/**
 * Repeats what `body` gives for a vector `offset` bytes behind the pointers, while the counter of floats has so many vectors as are
 * taken together, and moves the pointers on.
 */
export const vectors = (
  counter: Local,
  pointers: readonly Local[],
  body: (offset: number) => Code,
  together: readonly number[] = [4, 1],
): Code =>
  together.map((count) =>
    countdown(
      counter,
      4 * count,
      range(count).map((i) => body(16 * i)),
      pointers.map((pointer) => add(pointer, 16 * count)),
    ),
  );

/** Appends the bytes of the code. */
function encode(code: Code, bytes: number[] = []): number[] {
  if (typeof code !== 'number') for (const part of code) encode(part, bytes);
  else if (code < 0x100) bytes.push(code);
  else bytes.push(0xfd, ...leb128(code - 0x100));
  return bytes;
}

/** Items behind their number. */
const counted = (items: readonly Code[]): Code => [leb128(items.length), items];

/** Code behind its length in bytes. */
const sized = (code: Code): Code => counted(encode(code));

/** A name; ours are all ASCII. */
const text = (value: string): Code => counted(Array.from(value, (letter) => letter.charCodeAt(0)));

const section = (id: number, entries: readonly Code[]): Code => [id, sized(counted(entries))];

const localAt = (index: number): Local => [0x20, ...leb128(index)];

/** The memory that a module imports as `env.memory`, in pages of 64 KiB. */
export interface MemoryLimits {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/** A function without results, the types of its parameters, and what it is exported as. Its place in the module is its number. */
export type Func = readonly [name: string, parameters: readonly ValueType[], build: Build];

/**
 * A module: functions over one imported memory, all exported by name, and the table they are in, as `table`: every one at its own
 * number.
 */
export function encodeModule(
  { initial, maximum, shared }: MemoryLimits,
  functions: readonly Func[],
): Uint8Array<ArrayBuffer> {
  const numbers = functions.map((_, i) => leb128(i));
  const bodies = functions.map(([, { length }, build]) => {
    const types: ValueType[] = [];
    const locals: Locals = (count, type = wasm.i32) =>
      range(count).map(() => localAt(length + types.push(type) - 1));
    const code = build(locals, range(length).map(localAt));
    // Locals, each a run of its own, code, end.
    return sized([counted(types.map((type) => [1, type])), code, 0x0b]);
  });
  return Uint8Array.from(
    encode([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(
        1,
        functions.map(([, parameters]) => [0x60, counted(parameters), 0]),
      ),
      section(2, [[text('env'), text('memory'), 2, shared ? 3 : 1, leb128(initial), leb128(maximum)]]),
      section(3, numbers),
      section(4, [[0x70, 0, leb128(functions.length)]]),
      section(7, [...functions.map(([name], i) => [text(name), 0, numbers[i]]), [text('table'), 1, 0]]),
      section(9, [[0, 0x41, 0, 0x0b, counted(numbers)]]),
      section(10, bodies),
    ]),
  );
}
