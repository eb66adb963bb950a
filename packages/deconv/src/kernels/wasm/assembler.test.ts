/** The assembler: tiny modules whose results are known, and encodings at the edges where one byte becomes two. */

import { describe, expect, it } from 'vitest';
import { type FunctionBuilder, type Local, ModuleBuilder, type ValueType } from './assembler.js';
import * as wasm from './opcodes.js';
import { webAssembly } from './platform.js';

const LIMITS = { initial: 2, maximum: 4, shared: false };

/** Compiles `build` as the function `f` and runs it; gives the memory. */
function run(
  parameters: readonly ValueType[],
  build: (f: FunctionBuilder, ...p: Local[]) => void,
  ...values: number[]
) {
  const { exports, memory } = link(new ModuleBuilder(LIMITS).func('f', parameters, build));
  exports['f'](...values);
  return new DataView(memory.buffer);
}

function link(m: ModuleBuilder) {
  const { Memory, Module, Instance } = webAssembly();
  const memory = new Memory(LIMITS);
  const { exports } = new Instance(new Module(m.bytes()), { env: { memory } });
  return { exports, memory };
}

const EDGES = [0, 1, 63, 64, 127, 128, 8191, 8192, 16383, 16384, 2 ** 20 - 1, 2 ** 27, 2 ** 31 - 1];

describe('numbers', () => {
  it.each([...EDGES, ...EDGES.map((n) => -n - 1)])('constant %i', (value) => {
    const memory = run([], (f) => f.i32(0).i32(value).access(wasm.i32Store));
    expect(memory.getInt32(0, true)).toBe(value);
  });

  it.each([0, -0, 1.5, -3e-40, 3.4e38, Number.POSITIVE_INFINITY, Number.NaN])('float %d', (value) => {
    const memory = run([], (f) => f.i32(0).f32(value).access(wasm.f32Store));
    expect(memory.getFloat32(0, true)).toBe(Math.fround(value));
  });

  it.each([0, 4, 63, 64, 127, 128, 16383, 16384, 65535, 65536])('offset %i of an access', (offset) => {
    const memory = run([], (f) => f.i32(8).i32(-7).access(wasm.i32Store, offset));
    expect(memory.getInt32(8 + offset, true)).toBe(-7);
  });

  it('numbers locals and functions beyond 127', () => {
    const m = new ModuleBuilder(LIMITS);
    for (let n = 0; n < 300; n++) {
      m.func(`write${n}`, [wasm.i32], (f, at) => {
        const many = Array.from({ length: 200 }, () => f.local(wasm.i32));
        f.i32(n).set(many[199]).get(at).get(many[199]).access(wasm.i32Store);
      });
    }
    m.func('f', [], (f) => f.i32(0).call(m.indexOf('write299')));
    m.func('g', [], (f) => f.i32(4).i32(150).callIndirect(0));
    const { exports, memory } = link(m);
    exports['f']();
    exports['g']();
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([299, 150]);
  });

  it('keeps locals of all types apart, declared in any order', () => {
    const memory = run(
      [wasm.i32, wasm.f32],
      (f, p, q) => {
        const a = f.local(wasm.v128);
        const b = f.local(wasm.i32);
        const c = f.local(wasm.f32);
        const d = f.local(wasm.v128);
        const e = f.local(wasm.i32);
        f.splat(2).set(a).splat(3).set(d).i32(5).set(b).f32(7).set(c).i32(11).set(e);
        f.i32(0).get(a).get(d).op(wasm.f32x4Mul).access(wasm.v128Store);
        f.i32(16).get(b).get(e).op(wasm.i32Mul).get(p).op(wasm.i32Add).access(wasm.i32Store);
        f.i32(20).get(c).get(q).op(wasm.f32Sub).access(wasm.f32Store);
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
      (f, counter) => {
        const times = f.local(wasm.i32);
        f.countdown(counter, step, () => f.add(times, 1));
        f.i32(0).get(times).access(wasm.i32Store).i32(4).get(counter).access(wasm.i32Store);
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
        (f, limit) => {
          const i = f.local(wasm.i32);
          const total = f.local(wasm.i32);
          f.block((leave) => {
            f.loop((again) => {
              f.get(i).get(limit).op(wasm.i32GeS);
              leave();
              f.get(i).i32(9).op(wasm.i32GtS);
              leave();
              f.block((skip) => {
                f.get(i).i32(1).op(wasm.i32And).op(wasm.i32Eqz);
                skip();
                f.add(total, i);
              });
              f.add(i, 1).i32(1);
              again();
            });
          });
          f.i32(0).get(total).access(wasm.i32Store);
        },
        n,
      ).getInt32(0, true);
    expect([0, 1, 2, 6, 100].map(sum)).toEqual([0, 0, 1, 9, 25]);
  });

  it('if, with and without otherwise, inside a loop that is left from within', () => {
    const memory = run(
      [wasm.i32],
      (f, n) => {
        const [even, odd] = [f.local(wasm.i32), f.local(wasm.i32)];
        f.block((leave) => {
          f.countdown(n, 1, () => {
            f.get(n).i32(1).op(wasm.i32And);
            f.if(
              () => f.add(odd, 1),
              () => f.add(even, 1),
            );
            f.get(n).i32(4).op(wasm.i32Eq);
            f.if(() => {
              f.i32(1);
              leave();
            });
          });
          f.i32(8).i32(99).access(wasm.i32Store);
        });
        f.i32(0).get(even).access(wasm.i32Store).i32(4).get(odd).access(wasm.i32Store);
      },
      7,
    );
    expect([0, 4, 8].map((at) => memory.getInt32(at, true))).toEqual([2, 2, 0]);
  });

  it('selects, and calls by table in the order of definition', () => {
    const m = new ModuleBuilder(LIMITS);
    m.func('one', [wasm.i32], (f, at) => f.get(at).i32(1).access(wasm.i32Store));
    m.func('two', [wasm.i32], (f, at) => f.get(at).i32(2).access(wasm.i32Store));
    m.func('f', [wasm.i32, wasm.i32], (f, at, which) => {
      f.get(at).i32(m.indexOf('two')).i32(m.indexOf('one')).get(which).op(wasm.select).callIndirect(0);
    });
    const { exports, memory } = link(m);
    exports['f'](0, 0);
    exports['f'](4, 1);
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([1, 2]);
  });
});

describe('memory and vectors', () => {
  it('fills, and adds atomically', () => {
    const memory = run([], (f) => {
      f.i32(0).i32(0x5a).i32(8).memoryFill();
      f.i32(200).i32(41).access(wasm.i32Store).i32(200).i32(1).access(wasm.i32AtomicRmwAdd).op(wasm.drop);
      f.i32(204).i32(200).access(wasm.i32AtomicLoad).access(wasm.i32Store);
    });
    const bytes = (at: number, n: number) => Array.from({ length: n }, (_, i) => memory.getUint8(at + i));
    expect(bytes(0, 9)).toEqual([...new Array(8).fill(0x5a), 0]);
    expect([200, 204].map((at) => memory.getInt32(at, true))).toEqual([42, 42]);
  });

  it('shuffles by the numbers of the floats, loads one into all lanes', () => {
    const memory = run([], (f) => {
      for (let i = 0; i < 8; i++)
        f.i32(0)
          .f32(i)
          .access(wasm.f32Store, 4 * i);
      const [a, b] = [f.local(wasm.v128), f.local(wasm.v128)];
      f.i32(0).access(wasm.v128Load).set(a).i32(0).access(wasm.v128Load, 16).set(b);
      f.i32(64).get(a).get(b).shuffle([0, 4, 1, 5]).access(wasm.v128Store);
      f.i32(80).get(a).get(b).shuffle([7, 0, 2, 2]).access(wasm.v128Store);
      f.i32(96).i32(12).access(wasm.v128Load32Splat).access(wasm.v128Store);
    });
    const floats = Array.from({ length: 12 }, (_, i) => memory.getFloat32(64 + 4 * i, true));
    expect(floats).toEqual([0, 4, 1, 5, 7, 0, 2, 2, 3, 3, 3, 3]);
  });

  it('refuses to name a function that is not there', () => {
    expect(() => new ModuleBuilder(LIMITS).indexOf('g')).toThrow('assembler: no function g');
  });

  it('makes modules for shared memory that only shared memory fits', () => {
    const { Memory, Module, Instance } = webAssembly();
    const shared = { ...LIMITS, shared: true };
    const m = new ModuleBuilder(shared).func('f', [], (f) => f.i32(0).i32(3).access(wasm.i32Store));
    const module = new Module(m.bytes());
    const memory = new Memory(shared);
    new Instance(module, { env: { memory } }).exports['f']();
    expect(new Int32Array(memory.buffer)[0]).toBe(3);
    expect(() => new Instance(module, { env: { memory: new Memory(LIMITS) } })).toThrow();
  });
});
