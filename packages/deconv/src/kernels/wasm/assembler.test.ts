/** The assembler: tiny modules whose results are known, and encodings at the edges where one byte becomes two. */

import { describe, expect, it } from 'vitest';
import { range } from '../../shape.js';
import {
  add,
  type Build,
  block,
  branchIf,
  call,
  callIndirect,
  countdown,
  each,
  encodeModule,
  type Func,
  f32,
  i32,
  loop,
  memoryFill,
  set,
  shuffle,
  splat,
  type ValueType,
  vectors,
  when,
} from './assembler.js';
import * as wasm from './opcodes.js';
import { webAssembly } from './platform.js';

const LIMITS = { initial: 2, maximum: 4, shared: false };

/** Compiles the function `f` and runs it; gives the memory. */
function run(parameters: readonly ValueType[], build: Build, ...values: number[]) {
  const { exports, memory } = link(['f', parameters, build]);
  exports['f'](...values);
  return new DataView(memory.buffer);
}

function link(...functions: readonly Func[]) {
  const { Memory, Module, Instance } = webAssembly();
  const memory = new Memory(LIMITS);
  const { exports } = new Instance(new Module(encodeModule(LIMITS, functions)), { env: { memory } });
  return { exports, memory };
}

const EDGES = [0, 1, 63, 64, 127, 128, 8191, 8192, 16383, 16384, 2 ** 20 - 1, 2 ** 27, 2 ** 31 - 1];

describe('numbers', () => {
  it.each([...EDGES, ...EDGES.map((n) => -n - 1)])('constant %i', (value) => {
    const memory = run([], () => [i32(0), i32(value), wasm.i32Store()]);
    expect(memory.getInt32(0, true)).toBe(value);
  });

  it.each([0, -0, 1.5, -3e-40, 3.4e38, Number.POSITIVE_INFINITY, Number.NaN])('float %d', (value) => {
    const memory = run([], () => [i32(0), f32(value), wasm.f32Store()]);
    expect(memory.getFloat32(0, true)).toBe(Math.fround(value));
  });

  it.each([0, 4, 63, 64, 127, 128, 16383, 16384, 65535, 65536])('offset %i of an access', (offset) => {
    const memory = run([], () => [i32(8), i32(-7), wasm.i32Store(offset)]);
    expect(memory.getInt32(8 + offset, true)).toBe(-7);
  });

  it('numbers locals and functions beyond 127', () => {
    const writes = range(300).map((n): Func => {
      const build: Build = (locals, [at]) => {
        const last = locals(200)[199];
        return [set(last, i32(n)), [at, last, wasm.i32Store()]];
      };
      return [`write${n}`, [wasm.i32], build];
    });
    const { exports, memory } = link(
      ...writes,
      ['f', [], () => [i32(0), call(299)]],
      ['g', [], () => [i32(4), i32(150), callIndirect]],
    );
    exports['f']();
    exports['g']();
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([299, 150]);
  });

  it('keeps locals of all types apart, declared in any order', () => {
    const memory = run(
      [wasm.i32, wasm.f32],
      (locals, [p, q]) => {
        const [a] = locals(1, wasm.v128);
        const [b] = locals(1);
        const [c] = locals(1, wasm.f32);
        const [d] = locals(1, wasm.v128);
        const [e] = locals(1, wasm.i32);
        return [
          [set(a, splat(2)), set(d, splat(3)), set(b, i32(5)), set(c, f32(7)), set(e, i32(11))],
          [i32(0), a, d, wasm.f32x4Mul, wasm.v128Store()],
          [i32(16), b, e, wasm.i32Mul, p, wasm.i32Add, wasm.i32Store()],
          [i32(20), c, q, wasm.f32Sub, wasm.f32Store()],
        ];
      },
      1000,
      0.5,
    );
    expect([0, 4, 8, 12].map((at) => memory.getFloat32(at, true))).toEqual([6, 6, 6, 6]);
    expect(memory.getInt32(16, true)).toBe(1055);
    expect(memory.getFloat32(20, true)).toBe(6.5);
  });
});

describe('control flow', () => {
  /** Stores how often the body of a countdown ran and what was left. */
  const counted = (start: number, step: number) => {
    const memory = run(
      [wasm.i32],
      (locals, [counter]) => {
        const [times] = locals(1);
        return [
          countdown(counter, step, add(times, 1)),
          [i32(0), times, wasm.i32Store(), i32(4), counter, wasm.i32Store()],
        ];
      },
      start,
    );
    return [memory.getInt32(0, true), memory.getInt32(4, true)];
  };

  it.each([
    [0, 1, 0, 0],
    [1, 1, 1, 0],
    [7, 1, 7, 0],
    [-3, 1, 0, -3],
    [3, 4, 0, 3],
    [4, 4, 1, 0],
    [11, 4, 2, 3],
    [-(2 ** 31), 4, 0, -(2 ** 31)],
  ])('countdown from %i by %i runs %i times and leaves %i', (start, step, times, left) => {
    expect(counted(start, step)).toEqual([times, left]);
  });

  it('leaves the right one of nested blocks and loops', () => {
    // Σ over i of i for odd i < n, stopping at i = 9, by hand.
    const sum = (n: number) =>
      run(
        [wasm.i32],
        (locals, [limit]) => {
          const [i, total] = locals(2);
          return [
            block(
              loop(
                branchIf(1, i, limit, wasm.i32GeS),
                branchIf(1, i, i32(9), wasm.i32GtS),
                block(branchIf(0, i, i32(1), wasm.i32And, wasm.i32Eqz), add(total, i)),
                add(i, 1),
                branchIf(0, i32(1)),
              ),
            ),
            [i32(0), total, wasm.i32Store()],
          ];
        },
        n,
      ).getInt32(0, true);
    expect([0, 1, 2, 6, 100].map(sum)).toEqual([0, 0, 1, 9, 25]);
  });

  it('when, with and without otherwise, inside a loop that is left from within', () => {
    const memory = run(
      [wasm.i32],
      (locals, [n]) => {
        const [even, odd] = locals(2);
        return [
          block(
            countdown(
              n,
              1,
              when([n, i32(1), wasm.i32And], add(odd, 1), add(even, 1)),
              // Out of the condition, the loop and block of the countdown, and the block.
              when([n, i32(4), wasm.i32Eq], branchIf(3, i32(1))),
            ),
            [i32(8), i32(99), wasm.i32Store()],
          ),
          [i32(0), even, wasm.i32Store(), i32(4), odd, wasm.i32Store()],
        ];
      },
      7,
    );
    expect([0, 4, 8].map((at) => memory.getInt32(at, true))).toEqual([2, 2, 0]);
  });

  it('each moves copies of pointers', () => {
    const memory = run(
      [wasm.i32, wasm.i32, wasm.i32],
      (locals, [count, at, step]) => [
        each(locals, count, [at], [step], (here) => [here, here, wasm.i32Store()]),
        [i32(0), at, wasm.i32Store(), i32(4), count, wasm.i32Store()],
      ],
      3,
      16,
      8,
    );
    expect(range(10).map((i) => memory.getInt32(4 * i, true))).toEqual([16, 3, 0, 0, 16, 0, 24, 0, 32, 0]);
  });

  it('selects, and calls by table in the order of definition', () => {
    const { exports, memory } = link(
      ['one', [wasm.i32], (_, [at]) => [at, i32(1), wasm.i32Store()]],
      ['two', [wasm.i32], (_, [at]) => [at, i32(2), wasm.i32Store()]],
      ['f', [wasm.i32, wasm.i32], (_, [at, which]) => [at, i32(1), i32(0), which, wasm.select, callIndirect]],
    );
    exports['f'](0, 0);
    exports['f'](4, 1);
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([1, 2]);
  });
});

describe('memory and vectors', () => {
  it('fills, and adds atomically', () => {
    const memory = run([], () => [
      [i32(0), i32(0x5a), i32(8), memoryFill],
      [i32(200), i32(41), wasm.i32Store(), i32(200), i32(1), wasm.i32AtomicRmwAdd(), wasm.drop],
      [i32(204), i32(200), wasm.i32AtomicLoad(), wasm.i32Store()],
    ]);
    const bytes = (at: number, n: number) => Array.from({ length: n }, (_, i) => memory.getUint8(at + i));
    expect(bytes(0, 9)).toEqual([...new Array(8).fill(0x5a), 0]);
    expect([200, 204].map((at) => memory.getInt32(at, true))).toEqual([42, 42]);
  });

  it('shuffles by the numbers of the floats, loads one into all lanes', () => {
    const memory = run([], (locals) => {
      const [a, b] = locals(2, wasm.v128);
      return [
        range(8).map((i) => [i32(0), f32(i), wasm.f32Store(4 * i)]),
        [set(a, i32(0), wasm.v128Load()), set(b, i32(0), wasm.v128Load(16))],
        [i32(64), a, b, shuffle(0, 4, 1, 5), wasm.v128Store()],
        [i32(80), a, b, shuffle(7, 0, 2, 2), wasm.v128Store()],
        [i32(96), i32(12), wasm.v128Load32Splat(), wasm.v128Store()],
      ];
    });
    const floats = Array.from({ length: 12 }, (_, i) => memory.getFloat32(64 + 4 * i, true));
    expect(floats).toEqual([0, 4, 1, 5, 7, 0, 2, 2, 3, 3, 3, 3]);
  });

  it('takes vectors four at a time, then one by one, and leaves the rest', () => {
    const memory = run(
      [wasm.i32, wasm.i32],
      (_, [left, to]) => [
        vectors(left, [to], (offset) => [to, splat(offset), wasm.v128Store(offset)]),
        [i32(0), left, wasm.i32Store(), i32(4), to, wasm.i32Store()],
      ],
      4 * 5 + 3,
      64,
    );
    expect([memory.getInt32(0, true), memory.getInt32(4, true)]).toEqual([3, 64 + 16 * 5]);
    const firsts = range(6).map((i) => memory.getFloat32(64 + 16 * i, true));
    expect(firsts).toEqual([0, 16, 32, 48, 0, 0]);
  });

  it('makes modules for shared memory that only shared memory fits', () => {
    const { Memory, Module, Instance } = webAssembly();
    const shared = { ...LIMITS, shared: true };
    const bytes = encodeModule(shared, [['f', [], () => [i32(0), i32(3), wasm.i32Store()]]]);
    const module = new Module(bytes);
    const memory = new Memory(shared);
    new Instance(module, { env: { memory } }).exports['f']();
    expect(new Int32Array(memory.buffer)[0]).toBe(3);
    expect(() => new Instance(module, { env: { memory: new Memory(LIMITS) } })).toThrow();
  });
});
