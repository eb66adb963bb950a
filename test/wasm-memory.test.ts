/**
 * Memory of the WebAssembly backend: arrays that users hold are theirs for good, what they write is seen, weights are
 * packed once as long as nobody can change them, and what does not fit the budget moves out without being lost.
 */
import { setTimeout as later } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import { DeconvError } from '../packages/deconv/src/errors.js';
import { square } from '../packages/deconv/src/functions.js';
import { type ConvGeometry, convGeometry } from '../packages/deconv/src/geometry/conv.js';
import { Heap } from '../packages/deconv/src/kernels/wasm/heap.js';
import type { WasmBackend } from '../packages/deconv/src/kernels/wasm/index.js';
import { Residency, WasmStorage } from '../packages/deconv/src/kernels/wasm/storage.js';
import { HostStorage, type Storage } from '../packages/deconv/src/tensor.js';
import { openWasm, operationOf } from './support/wasm.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let backend: WasmBackend;
beforeEach(() => {
  backend = openWasm();
});

const filled = (length: number, value: number) => backend.upload(new Float32Array(length).fill(value));
const add = (a: Storage, b: Storage) => {
  const shape = [a.length];
  return backend.run(operationOf('binary'), [a, b], { fn: 'add', aShape: shape, bShape: shape, shape });
};
const conv = (x: Storage, w: Storage, geometry: ConvGeometry, bias?: Storage) =>
  backend.run(operationOf('conv.forward'), bias ? [x, w, bias] : [x, w], {
    geometry,
    bias: bias !== undefined,
    average: false,
  });
const cellOf = (storage: Storage) => {
  if (!(storage instanceof WasmStorage)) throw new Error('not in linear memory');
  return storage.cell;
};

describe('an array that the user holds', () => {
  it.each([100, 50_000])('outlives its tensor and is never recycled, %i elements', async (length) => {
    const one = filled(length, 1);
    const part = (() => {
      const y = add(one, one);
      return y.host().subarray(10, 20);
    })();
    collectGarbage();
    await later(0);
    // Whatever would take its place, of its size and of others.
    for (let i = 0; i < 300; i++) {
      const y = add(one, one);
      if (i % 3 === 0) y.host().fill(7);
    }
    collectGarbage();
    await later(0);
    add(one, one);
    expect(Array.from(part)).toEqual(new Array(10).fill(2));
  });

  it('does not change or detach when the memory grows', () => {
    const x = filled(20_000, 3);
    const before = add(x, x);
    const data = before.host();
    const size = backend.engine.heap.memory.buffer.byteLength;
    backend.engine.heap.release(backend.engine.heap.take(2 * size));
    expect(backend.engine.heap.memory.buffer.byteLength).toBeGreaterThan(2 * size);
    expect([data.length, data[0], data[19_999]]).toEqual([20_000, 6, 6]);
    expect(data.buffer).toBeInstanceOf(ArrayBuffer);
    // What was resident over the growth is as it was.
    expect(add(x, x).host()[19_999]).toBe(6);
  });

  it('is the truth: what is written into it is seen by the next operation', () => {
    const g = convGeometry([1, 1, 30_000], [1, 1, 3], {});
    const [x, w, bias] = [filled(30_000, 1), filled(3, 1), filled(1, 0)];
    const first = () => conv(x, w, g, bias).host()[0];
    expect(first()).toBe(3);
    x.host()[0] = 11;
    expect(first()).toBe(13);
    const taps = w.host();
    taps[0] = 2;
    expect(first()).toBe(24);
    taps[0] = 3;
    expect(first()).toBe(35);
    bias.host()[0] = 100;
    expect(first()).toBe(135);
    // A result is no different from a tensor that was made.
    const y = add(x, x);
    y.host()[0] = -1;
    expect(add(y, y).host()[0]).toBe(-2);
  });

  it('is the same array each time', async () => {
    const x = filled(10, 1);
    const y = add(x, x);
    expect(y.host()).toBe(y.host());
    expect(await y.read()).toBe(y.host());
  });
});

describe('packed weights', () => {
  const shapes = Array.from({ length: 12 }, (_, i) => convGeometry([1, 8, 20 + i], [8, 8, 3], {}));
  const inputs = shapes.map((g) => new Float32Array(8 * g.xSize[0]).fill(1));

  it('are kept while nobody can change the weight, and not longer', () => {
    const w = filled(8 * 8 * 3, 1);
    const run = () => conv(backend.upload(inputs[0]), w, shapes[0]).host()[0];
    expect(run()).toBe(24);
    const kept = [...(cellOf(w).packed?.values() ?? [])];
    expect(kept).toHaveLength(1);
    expect(run()).toBe(24);
    expect([...(cellOf(w).packed?.values() ?? [])]).toEqual(kept);
    expect(kept[0].free).toBe(false);
    w.host()[0] = 2;
    expect(kept[0].free).toBe(true);
    expect(run()).toBe(25);
    expect(cellOf(w).packed).toBeUndefined();
  });

  it('take the place of the weight in linear memory', () => {
    const g = convGeometry([1, 256, 40], [256, 256, 3], {});
    const [x, w] = [filled(256 * 40, 1), filled(256 * 256 * 3, 1)];
    expect(conv(x, w, g).host()[0]).toBe(768);
    expect(cellOf(w).block).toBeUndefined();
    const [packed] = cellOf(w).packed?.values() ?? [];
    // A result of an operation, which lives in linear memory, is packed from there.
    const sum = add(w, w);
    expect(conv(x, sum, g).host()[0]).toBe(1536);
    expect(cellOf(sum).block?.free).toBe(false);
    // And whoever needs the weight itself finds it, beside its packed form.
    expect(add(w, w).host()[0]).toBe(2);
    expect([cellOf(w).block?.free, packed.free]).toEqual([false, false]);
    w.release?.();
    expect(packed.free).toBe(true);
  });

  it('go when the budget is short, and are made again', () => {
    const g = convGeometry([1, 8, 20], [8, 8, 3], {});
    const w = filled(8 * 8 * 3, 1);
    const run = () => conv(backend.upload(inputs[0]), w, g).host()[0];
    expect(run()).toBe(24);
    const [packed] = cellOf(w).packed?.values() ?? [];
    const large = filled(2 ** 22, 1);
    const results = Array.from({ length: 16 }, () => add(large, large));
    expect(results.at(-1)?.length).toBe(2 ** 22);
    expect([packed.free, cellOf(w).packed]).toEqual([true, undefined]);
    expect(run()).toBe(24);
    expect(cellOf(w).packed?.size).toBe(1);
  });

  it('are few, whatever the number of shapes that the weight meets', () => {
    const w = filled(8 * 8 * 3, 1);
    for (let round = 0; round < 3; round++) {
      for (const [i, g] of shapes.entries()) {
        expect(conv(backend.upload(inputs[i]), w, g).host()[0]).toBe(24);
        expect(cellOf(w).packed?.size).toBeLessThanOrEqual(4);
      }
    }
  });
});

describe('the budget', () => {
  const FLOATS = 4 * 2 ** 20;

  it('moves the oldest values out, whole, and lets them in again', () => {
    const residency = new Residency(new Heap(8192, false, 32768), () => undefined);
    // 40 × 16 MiB: more than may be resident.
    const all = Array.from({ length: 40 }, (_, i) => {
      const { storage, at } = residency.result('float32', FLOATS);
      residency.heap.floats[at / 4] = i;
      residency.heap.floats[at / 4 + FLOATS - 1] = -i;
      residency.settle();
      return storage;
    });
    expect(residency.bytes).toBeLessThan(400 * 2 ** 20);
    const out = all.filter((storage) => storage.cell.block === undefined);
    expect(out.length).toBeGreaterThan(10);
    expect(out).toEqual(all.slice(0, out.length));
    const visit = () => {
      for (const [i, storage] of all.entries()) {
        const at = residency.address(storage) / 4;
        expect([residency.heap.floats[at], residency.heap.floats[at + FLOATS - 1]]).toEqual([i, -i]);
        residency.settle();
      }
    };
    // What comes back is alive, and gets room: after a few rounds nothing moves any more.
    visit();
    visit();
    const places = all.map((storage) => storage.cell.block?.at);
    visit();
    expect(all.map((storage) => storage.cell.block?.at)).toEqual(places);
    expect(places).not.toContain(undefined);
    // What does not come back gets no more than before.
    for (let i = 0; i < 60; i++) {
      residency.result('float32', FLOATS);
      residency.settle();
      visit();
    }
    expect(residency.bytes).toBeLessThan((640 + 400) * 2 ** 20);
  });

  it('does not move what the operation under way uses', () => {
    const residency = new Residency(new Heap(8192, false, 32768), () => undefined);
    const first = residency.result('float32', FLOATS);
    residency.settle();
    const at = residency.address(first.storage);
    for (let i = 0; i < 30; i++) residency.result('float32', FLOATS);
    expect(residency.address(first.storage)).toBe(at);
    expect(residency.bytes).toBeGreaterThan(400 * 2 ** 20);
    residency.settle();
    residency.result('float32', FLOATS);
    expect(residency.bytes).toBeLessThan(400 * 2 ** 20);
  });

  it('bounds the number of small values too', () => {
    const residency = new Residency(new Heap(8192, false, 32768), () => undefined);
    const all: Storage[] = [];
    for (let i = 0; i < 40_000; i++) {
      const storage = residency.fromArray(Float32Array.of(i));
      residency.address(storage);
      residency.settle();
      all.push(storage);
    }
    expect(residency.heap.used).toBeLessThanOrEqual(32_768 * 128);
    expect(all.every((storage, i) => storage.host()[0] === i)).toBe(true);
    expect([residency.heap.used, residency.bytes]).toEqual([0, 0]);
  });

  it('gets memory back from dropped tensors when the garbage collector comes', async () => {
    const x = filled(50_000, 1);
    add(x, x);
    const before = backend.engine.heap.used;
    for (let i = 0; i < 20; i++) add(x, x);
    expect(backend.engine.heap.used).toBeGreaterThan(before + 3e6);
    for (let i = 0; i < 50 && backend.engine.heap.used > before; i++) {
      collectGarbage();
      await later(10);
    }
    expect(backend.engine.heap.used).toBeLessThanOrEqual(before);
    expect(x.host()[0]).toBe(1);
  });
});

describe('values that are asked for time and again', () => {
  it('are arrays of their own for each of the large results of a call that comes again', () => {
    const geometry = convGeometry([1, 1, 2048, 2048], [2, 1, 1, 1], {});
    const run = (value: number) => conv(filled(2048 * 2048, value), filled(2, value), geometry);
    backend = openWasm(undefined, 2);
    const arrays: ArrayLike<number>[] = [];
    for (let i = 1; i <= 7; i++) {
      // The fifth is never asked for.
      const y = run(i);
      if (i === 5) y.release?.();
      else arrays.push(y.host());
    }
    expect(arrays.map((array) => [array.length, array[0], array[array.length - 1]])).toEqual(
      [1, 2, 3, 4, 6, 7].map((i) => [2 * 2048 * 2048, i * i, i * i]),
    );
    expect(new Set(arrays).size).toBe(6);
  });
});

describe('values from elsewhere', () => {
  it('may come from ordinary arrays and from other engines, one of them closed', () => {
    const other = openWasm();
    const there = other.upload(new Float32Array(30_000).fill(4));
    const result = other.run(operationOf('unary'), [there], { fn: square, order: 0, parameters: [] });
    other.close();
    const host = new HostStorage(new Float32Array(30_000).fill(1));
    expect(add(result, host).host()[29_999]).toBe(17);
    expect(add(there, filled(30_000, 2)).host()[29_999]).toBe(6);
    const reduced = backend.run(operationOf('reduce'), [result], { fn: 'sum', shape: [30_000], axes: [0] });
    expect(reduced.host()[0]).toBe(480_000);
  });
});

describe('shapes too large for linear memory', () => {
  const refusal = (run: () => unknown): DeconvError => {
    try {
      run();
    } catch (error) {
      if (error instanceof DeconvError) return error;
      throw error;
    }
    throw new Error('was not refused');
  };

  it('are refused by name and size before anything is done, and the engine goes on', () => {
    const x = filled(2 ** 20, 1);
    const w = filled(3, 1);
    const after = convGeometry([1, 1, 8], [1, 1, 3], {});
    conv(filled(8, 1), w, after);
    const used = backend.engine.heap.used;
    // (2²⁰ − 1)·4096 + 3 outputs: 16 GiB.
    const g = convGeometry([1, 1, (2 ** 20 - 1) * 4096 + 3], [1, 1, 3], { stride: 4096 });
    const error = refusal(() =>
      backend.run(operationOf('conv.inputGrad'), [x, w], { geometry: g, bias: false, average: false }),
    );
    expect(error.message).toBe(
      'transposed convolution: [1, 1, 1048576] and [1, 1, 3] to [1, 1, 4294963203] take 16.00 GiB, work space aside; linear memory holds 4.00 GiB — compute it in parts: fewer pictures, or tiles',
    );
    expect(backend.engine.heap.used).toBe(used);
    expect(Array.from(conv(filled(8, 1), w, after).host())).toEqual(new Array(6).fill(3));
  });

  it('are refused too when the work space is what does not fit', () => {
    const w = filled(1, 1);
    const after = convGeometry([1, 1, 8], [1, 1, 1], {});
    conv(filled(8, 1), w, after);
    // All but 64 MiB is taken.
    const held = backend.engine.heap.take(backend.engine.heap.capacity - backend.engine.heap.used - 2 ** 26);
    const used = backend.engine.heap.used;
    const g = convGeometry([1, 1, 2 ** 23], [3, 1, 1], {});
    const x = filled(2 ** 23, 1);
    const error = refusal(() => conv(x, filled(3, 1), g));
    expect(error.message).toMatch(
      /^convolution: \[1, 1, 8388608\] and \[3, 1, 1\] to \[1, 3, 8388608\] take 0\.13 GiB, work space aside; linear memory holds/,
    );
    backend.engine.heap.release(held);
    expect(backend.engine.heap.used).toBeLessThan(used + 2 ** 26);
    expect(conv(x, filled(3, 2), g).host()[3 * 2 ** 23 - 1]).toBe(2);
  });

  it('are left to the reference where there is no kernel that needs them in linear memory', () => {
    const x = filled(2 ** 20, 3);
    const held = backend.engine.heap.take(backend.engine.heap.capacity - backend.engine.heap.used - 2 ** 21);
    expect(add(x, x).host()[2 ** 20 - 1]).toBe(6);
    backend.engine.heap.release(held);
  });
});
