/**
 * Loops that threads share: the same bits on 1, 2 and 3 threads, and what the definition gives. Kernels are done by the
 * caller alone while helpers have not taken them in, so everything is run again and again.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOn, values } from '../../../../../../test/support/loops.js';
import { helpersUp, openWasm, reference, TILES } from '../../../../../../test/support/wasm.js';
import type { OpName, OpTable } from '../../../backend.js';
import * as functions from '../../../functions.js';
import { windowGeometry } from '../../../geometry/window.js';
import { HostStorage, type TypedArray } from '../../../tensor.js';
import { adam } from '../../../updates.js';
import type { WasmBackend } from '../index.js';

type Case = {
  [K in OpName]: readonly [op: K, inputs: readonly TypedArray[], attributes: OpTable[K]];
}[OpName];

const x = values(200_003, 1);
const y = values(200_003, 2);
const picture = values(6 * 10 * 65 * 64, 3);
const channels = { outer: 6, channels: 10, inner: 65 * 64 };
const flat = { outer: 4160, channels: 60, inner: 1 };
const perChannel = (c: { readonly channels: number }, count: number) =>
  Array.from({ length: count }, (_, i) => values(c.channels, 10 + i));
const windows = (kernelSize: number, stride: number, padding: number) =>
  windowGeometry('test', [6, 10, 65, 64], { kernelSize, stride, padding }, 2, 'one');
const shape = [6, 10, 65, 64];
const binary = { fn: 'mul', aShape: shape, bShape: [10, 1, 64], shape } as const;
const unary = { fn: functions.leakyRelu, order: 0, parameters: [0.25] };
const rising = { inLength: 64, outLength: 128, taps: 2 };
const index = Int32Array.from({ length: 256 }, (_, i) => Math.min(63, (i + 1) >> 2));
const map = { ...rising, index, weight: Float64Array.from(index, (_, i) => (i % 2 === 0 ? 0.25 : 0.75)) };

const CASES: readonly (readonly [name: string, ...Case])[] = [
  ['a function', 'unary', [x], unary],
  ['a derivative, times a gradient', 'unary', [x, y], { ...unary, order: 1 }],
  ['a product with rows of another', 'binary', [picture, values(640, 4)], binary],
  ['a selection', 'select', [x.map((v) => Number(v > 0)), x, y], {}],
  [
    'a permutation',
    'strided.read',
    [picture],
    { shape: [64, 6, 65, 10], strides: [1, 41600, 64, 4160], offset: 0 },
  ],
  ['every other element', 'strided.read', [x], { shape: [100_000], strides: [2], offset: 1 }],
  ['things side by side', 'concat', [picture, picture], { outer: 60, lengths: [4160, 4160] }],
  ['a scale per channel', 'channel.affine', [picture, ...perChannel(channels, 3)], channels],
  ['a scale per column', 'channel.affine', [picture, ...perChannel(flat, 3)], flat],
  [
    'two scales per channel',
    'channel.affine',
    [picture, ...perChannel(channels, 3), picture, ...perChannel(channels, 2)],
    channels,
  ],
  [
    'dots per channel',
    'channel.dot',
    [picture, ...perChannel(channels, 1), picture, ...perChannel(channels, 1)],
    channels,
  ],
  [
    'dots per column',
    'channel.dot',
    [picture, ...perChannel(flat, 1), picture, ...perChannel(flat, 1)],
    flat,
  ],
  ['sums per channel', 'reduce', [picture], { fn: 'sum', shape, axes: [0, 2, 3] }],
  ['sums of columns', 'reduce', [picture], { fn: 'sum', shape, axes: [0] }],
  ['sums of an inner axis', 'reduce', [picture], { fn: 'sum', shape, axes: [1, 2] }],
  [
    'sums of many short rows',
    'reduce',
    [values(300_000, 11)],
    { fn: 'sum', shape: [20_000, 3, 5], axes: [0, 2] },
  ],
  ['the sum', 'reduce', [picture], { fn: 'sum', shape, axes: [0, 1, 2, 3] }],
  ['the largest of rows', 'reduce', [picture], { fn: 'max', shape, axes: [3] }],
  ['the smallest of columns', 'reduce', [picture], { fn: 'min', shape, axes: [0, 1] }],
  ['largest values of windows', 'pool.max', [picture], windows(3, 2, 1)],
  ['their places', 'pool.argMax', [picture], windows(2, 2, 0)],
  ['means of windows', 'pool.average', [picture], { window: windows(3, 2, 1), countIncludePad: false }],
  ['windows as columns', 'unfold', [picture], windows(3, 1, 1)],
  ['and back', 'fold', [values(6 * 90 * 65 * 64, 5)], windows(3, 1, 1)],
  [
    'a resampling of rows',
    'axis.map',
    [values(50 * 64 * 60, 6)],
    { outer: 50, inner: 60, map, transposed: false },
  ],
  [
    'of rows that are no whole vectors',
    'axis.map',
    [values(50 * 64 * 61, 7)],
    { outer: 50, inner: 61, map, transposed: false },
  ],
  ['of single values', 'axis.map', [values(2000 * 64, 8)], { outer: 2000, inner: 1, map, transposed: false }],
  ['and back', 'axis.map', [values(2000 * 128, 9)], { outer: 2000, inner: 1, map, transposed: true }],
  ['a softmax', 'softmax', [picture], { outer: 60, length: 65, inner: 64, log: false }],
];

const bits = (array: TypedArray) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

describe('shared by threads', () => {
  const backends: WasmBackend[] = [];
  const up = () => backends.map(helpersUp);
  beforeAll(async () => {
    backends.push(...[1, 2, 3].map((threads) => openWasm(TILES[0], threads)));
    for (const backend of backends) runOn(backend, 'unary', [x], unary);
    for (let i = 0; i < 400 && up().join() !== '0,1,2'; i++)
      await new Promise((done) => setTimeout(done, 25));
    expect(up()).toEqual([0, 1, 2]);
  });
  afterAll(() => {
    expect(up()).toEqual([0, 1, 2]);
    for (const backend of backends) backend.close();
  });

  it.each(CASES)('%s (%s)', (_, ...[op, inputs, attributes]) => {
    const wanted = runOn(reference, op, inputs, attributes as OpTable[typeof op]);
    const [first] = backends;
    const one = runOn(first, op, inputs, attributes as OpTable[typeof op]);
    expect(one.length).toBe(wanted.length);
    const scale = Float64Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(one.findIndex((value, i) => !(Math.abs(value - wanted[i]) <= 1e-6 * scale))).toBe(-1);
    for (const backend of backends.slice(1)) {
      for (let turn = 0; turn < 6; turn++) {
        const got = runOn(backend, op, inputs, attributes as OpTable[typeof op]);
        expect(bits(got).equals(bits(one)), `turn ${turn}`).toBe(true);
      }
    }
  });

  it('steps of an optimiser, whose memories change in place', () => {
    const numbers = [0.01, 0.2, 0.99, 0.9, 0.1, 0.999, 0.001, 3.2, 1e-8];
    const ends = [...backends, backends[2], backends[2]].map((backend) => {
      const [m, v] = [values(x.length, 5), values(x.length, 6).map(Math.abs)].map((a) => backend.upload(a));
      let moved = backend.upload(x.slice());
      for (let turn = 0; turn < 5; turn++)
        moved = backend.run(adam, [moved, new HostStorage(y.slice()), m, v], { numbers });
      return [moved, m, v].map((storage) => bits(storage.host()));
    });
    for (const end of ends.slice(1))
      for (const [i, array] of end.entries()) expect(array.equals(ends[0][i])).toBe(true);
  });
});
