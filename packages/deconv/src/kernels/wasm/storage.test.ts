import { describe, expect, it, vi } from 'vitest';
import { alone, values } from '../../../../../test/support/loops.js';
import { operationOf } from '../../../../../test/support/wasm.js';
import type { Backend } from '../../backend.js';
import { convGeometry } from '../../geometry/conv.js';
import type { Storage } from '../../tensor.js';
import { reference } from '../reference/index.js';
import { BUDGET } from './storage.js';

describe('values that are made when they are wanted', () => {
  const weight = values(8 * 8 * 9, 1);
  const recipe = (bytes?: Uint8Array) => {
    const make = vi.fn(() => weight.slice());
    return { dtype: 'float32', length: weight.length, bytes, make } as const;
  };
  const convolved = (backend: Backend, w: Storage, size: number) => {
    const geometry = convGeometry([1, 8, size, size], [8, 8, 3, 3]);
    const x = backend.upload(values(8 * size * size, 2));
    return backend.run(operationOf('conv.forward'), [x, w], { geometry, bias: false, average: false }).host();
  };

  it('are made once for each form that they are packed in', () => {
    const given = recipe();
    const w = alone.upload(given);
    expect([w.dtype, w.length]).toEqual(['float32', weight.length]);
    const own = alone.upload(weight.slice());
    for (const size of [12, 12, 5, 12])
      expect(convolved(alone, w, size)).toEqual(convolved(alone, own, size));
    expect(given.make).toHaveBeenCalledTimes(2);
    expect(w.peek?.()).toEqual(weight);
  });

  it('are not made where their bytes lie as they are, at any place', () => {
    const own = alone.upload(weight.slice());
    for (const at of [0, 1, 3]) {
      const bytes = new Uint8Array(at + weight.byteLength);
      bytes.set(new Uint8Array(weight.buffer), at);
      const given = recipe(bytes.subarray(at));
      expect(convolved(alone, alone.upload(given), 12)).toEqual(convolved(alone, own, 12));
      expect(given.make).not.toHaveBeenCalled();
    }
  });

  it('are made for operations that take them as they are, and stay then', () => {
    const given = recipe();
    const w = alone.upload(given);
    for (let i = 0; i < 3; i++) {
      const shape = [weight.length];
      const attributes = { fn: 'add', aShape: shape, bShape: shape, shape } as const;
      const twice = alone.run(operationOf('binary'), [w, w], attributes).host();
      expect(twice).toEqual(weight.map((value) => value + value));
    }
    expect(given.make).toHaveBeenCalledTimes(1);
  });

  it('are not made when their packed form has to give way, but when it is packed again', () => {
    const given = recipe();
    const w = alone.upload(given);
    const before = convolved(alone, w, 12);
    const shape = [2 ** 22];
    const x = alone.upload(new Float32Array(shape[0]));
    const attributes = { fn: 'add', aShape: shape, bShape: shape, shape } as const;
    const held = Array.from({ length: Math.ceil(BUDGET / 2 ** 24) + 1 }, () =>
      alone.run(operationOf('binary'), [x, x], attributes),
    );
    expect(given.make).toHaveBeenCalledTimes(1);
    for (const storage of held) storage.release?.();
    expect(convolved(alone, w, 12)).toEqual(before);
    expect(given.make).toHaveBeenCalledTimes(2);
  });

  it('are an array of the user once it was handed out: what is written there counts', () => {
    const given = recipe();
    const w = alone.upload(given);
    const before = convolved(alone, w, 12);
    const array = w.host();
    expect(w.host()).toBe(array);
    for (let i = 0; i < array.length; i++) array[i] *= 2;
    expect(convolved(alone, w, 12)).toEqual(before.map((value) => 2 * value));
  });

  it('are gone when they were released, and an array at once on the reference', () => {
    const w = alone.upload(recipe());
    w.release?.();
    expect(() => w.host()).toThrow('deconv: released values are used');
    const other = reference.upload(recipe());
    expect(other.host()).toEqual(weight);
    expect(other.host()).toBe(other.host());
  });
});
