/** The shelf, and what becomes of kernels that find no room on it. */

import { describe, expect, it } from 'vitest';
import { range } from '../../shape.js';
import { encodeModule, i32 } from './assembler.js';
import { CONTROL_AT } from './commands.js';
import * as CONTROL from './control.js';
import { Heap } from './heap.js';
import * as wasm from './opcodes.js';
import { compile, instantiate } from './platform.js';
import { SHELF_AT, SHELF_BYTES, shelfOf } from './shelf.js';
import { type Sharing, VectorKernels } from './vector-kernels.js';

describe('shelfOf', () => {
  it('numbers what is put there, one after the other, until it is full', () => {
    const heap = new Heap(SHELF_AT + SHELF_BYTES, true, 32);
    const nothing = encodeModule(heap.limits, [['nothing', [], () => []]]);
    const shelve = shelfOf(heap, instantiate(compile(nothing), heap.memory).table);
    const long = range(1000).map(() => [i32(1), wasm.drop]);
    const bytes = encodeModule(heap.limits, [['command', [], () => long]]);
    const { command } = instantiate(compile(bytes), heap.memory);
    const most = Math.floor(SHELF_BYTES / (4 + 4 * Math.ceil(bytes.length / 4)));
    for (let i = 0; i < most; i++) expect(shelve(bytes, command, 0)).toBe(1 + i);
    expect(shelve(bytes, command, 0)).toBeUndefined();
    expect(heap.integers[CONTROL_AT / 4 + CONTROL.kernels]).toBe(most);
  });
});

describe('VectorKernels', () => {
  it('call what is not on the shelf by themselves, after what is held, and hold on', () => {
    const heap = new Heap(0, false, 32);
    const done: string[] = [];
    const sharing: Sharing = {
      shelve: () => (done.push('shelved') === 1 ? 7 : undefined),
      share: (commands, starts) => done.push(`shared ${starts} of ${commands[0]}`),
      settle: () => done.push('settled'),
    };
    const kernels = new VectorKernels(heap, sharing);
    const { at } = heap.take(4 * 64);
    heap.floats.fill(2, at / 4, at / 4 + 64);
    const apply = (text: string) => kernels.apply(text, 'x', '1', [at, 0], 1, 64, [[at, 0]]);
    kernels.shared(1e6, true, (part) => {
      apply('x+1');
      part(() => {
        apply('x+1');
        apply('x*x');
        apply('x+1');
        apply('x+1');
      });
      apply('x+1');
    });
    const shelved = ['shelved', 'shelved'];
    expect(done).toEqual([...shelved, 'shared 0,1,2 of 7', 'settled', 'shared 0,2,3 of 7']);
    // Here nobody does what is shared.
    expect(heap.floats[at / 4]).toBe(4);
    done.length = 0;
    // What failed half-way leaves nothing behind.
    const fail = () =>
      kernels.shared(1e6, true, (part) =>
        part(() => {
          apply('x+1');
          throw new Error('no');
        }),
      );
    expect(fail).toThrow('no');
    kernels.shared(1e6, true, () => apply('x+1'));
    expect(done).toEqual(['shared 0,1 of 7']);
  });

  it('hold no more calls than some thousands, in the order of their part', () => {
    const heap = new Heap(0, false, 32);
    const shares: (readonly number[])[] = [];
    const sharing: Sharing = {
      shelve: () => 7,
      share: (_, starts) => shares.push([...starts]),
      settle: () => {},
    };
    const kernels = new VectorKernels(heap, sharing);
    const apply = () => kernels.apply('x+1', 'x', '1', [64, 0], 1, 1, [[64, 0]]);
    kernels.shared(1e6, false, (part) => {
      part(() => {
        for (let i = 0; i < 10_000; i++) apply();
      });
      part(apply);
    });
    expect(shares).toEqual([
      [0, 4096],
      [0, 4096],
      [0, 1808, 1809],
    ]);
    shares.length = 0;
    kernels.shared(1e6, false, () => {
      for (let i = 0; i < 5000; i++) apply();
    });
    expect(shares.map((starts) => [starts.length, starts.at(-1)])).toEqual([
      [4097, 4096],
      [905, 904],
    ]);
  });
});
