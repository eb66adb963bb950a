/**
 * Threads: larger shapes, which are cut into bands, blocks and chunks, give the same bits whatever the number of threads,
 * and agree with the definition. What becomes of an operation, and of those after it, when a helper dies in the middle.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConvGeometryOptions, convGeometry } from '../packages/deconv/src/geometry/conv.js';
import type { WasmBackend } from '../packages/deconv/src/kernels/wasm/index.js';
import {
  type Case,
  drawInputs,
  helpersUp,
  KERNELS,
  openWasm,
  reference,
  runKernel,
  show,
  TILES,
  termsOf,
  uniform,
} from './support/wasm.js';

const SHAPES: readonly [name: string, x: number[], w: number[], options: ConvGeometryOptions][] = [
  ['dense 3 × 3', [1, 64, 30, 31], [64, 64, 3, 3], { padding: 1 }],
  ['one long axis', [1, 3, 40_001], [5, 3, 9], { stride: 2, padding: [[3, 5]] }],
  ['one long axis, dense, in many channels', [1, 24, 6000], [20, 24, 3], { padding: 1 }],
  ['4 × 4 at stride 2', [2, 40, 33, 35], [50, 40, 4, 4], { stride: 2, padding: 1 }],
  ['depthwise', [3, 48, 61, 67], [48, 1, 5, 5], { stride: [1, 2], groups: 48 }],
  ['three axes', [1, 6, 20, 22, 24], [10, 6, 3, 3, 3], { stride: [1, 2, 1], dilation: [2, 1, 1] }],
  ['groups, dilated and strided', [2, 30, 44, 40], [42, 10, 3, 3], { stride: 2, dilation: 2, groups: 3 }],
  ['from pictures', [1, 3, 99, 103], [48, 3, 11, 11], { stride: 4 }],
  ['blocks side by side', [9, 64, 12, 10], [96, 64, 2, 2], { stride: 2 }],
  ['small pictures, some left over', [11, 96, 12, 13], [72, 96, 3, 3], { padding: 1 }],
  ['dilated', [1, 40, 50, 53], [48, 40, 3, 3], { dilation: [2, 3], padding: 2 }],
  ['deep and narrow', [1, 600, 3, 3], [520, 600, 2, 2], { padding: 1 }],
];

const cases = SHAPES.map(([name, x, w, options], i): [string, Case] => [
  name,
  { geometry: convGeometry(x, w, options), bias: i % 2 === 0, average: i % 3 === 1 },
]);

const bits = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe.each(TILES.map((tile) => [`${tile.mr}×${tile.nr}`, tile] as const))('tile %s', (_, tile) => {
  const backends: WasmBackend[] = [];
  beforeAll(async () => {
    backends.push(...[1, 2, 3].map((threads) => openWasm(tile, threads)));
    // The first operation worth sharing starts the helpers; they come up by and by.
    const [, shared] = cases[0];
    const inputs = drawInputs('conv.forward', shared, uniform(1));
    for (const backend of backends) runKernel(backend, 'conv.forward', shared, inputs);
    const up = () => backends.map(helpersUp);
    for (let i = 0; i < 400 && up().join() !== '0,1,2'; i++)
      await new Promise((done) => setTimeout(done, 25));
    expect(up()).toEqual([0, 1, 2]);
  });
  afterAll(() => {
    for (const backend of backends) backend.close();
  });

  it.each(cases)('%s: the same bits on 1, 2 and 3 threads', (name, c) => {
    const random = uniform(name.length);
    for (const kernel of KERNELS) {
      const inputs = drawInputs(kernel, c, () => random() * 2 - 1);
      const [one, ...others] = backends.map((backend) => runKernel(backend, kernel, c, inputs));
      for (const other of others) expect(bits(one).equals(bits(other)), show(kernel, c)).toBe(true);
      // And again, for threads take different parts each time.
      expect(bits(one).equals(bits(runKernel(backends[2], kernel, c, inputs)))).toBe(true);
      if (tile !== TILES[0]) continue;
      const expected = runKernel(reference, kernel, c, inputs);
      let [worst, largest] = [0, 0];
      for (let i = 0; i < expected.length; i++) {
        worst = Math.max(worst, Math.abs(one[i] - expected[i]));
        largest = Math.max(largest, Math.abs(expected[i]));
      }
      expect(one.length).toBe(expected.length);
      expect(worst / largest, show(kernel, c)).toBeLessThan(1e-5 * Math.sqrt(termsOf(kernel, c.geometry)));
    }
  });
});
