/**
 * The generated kernels against the definition, on random shapes around the edges of every register tile. Small integers
 * are summed without rounding in any order, so there the two must agree exactly; averages and fractions agree to the
 * rounding of float32.
 */
import { describe, expect, it } from 'vitest';
import { convGeometry } from '../packages/deconv/src/geometry/conv.js';
import {
  type Case,
  compare,
  drawCase,
  drawEnding,
  drawInputs,
  KERNELS,
  openWasm,
  roundingOf,
  TILES,
  termsOf,
  uniform,
} from './support/wasm.js';

const name = ({ mr, nr }: { mr: number; nr: number }) => `${mr}×${nr}`;

describe.each(TILES.map((tile) => [name(tile), tile] as const))('tile %s', (_, tile) => {
  const backend = openWasm(tile);
  const drawn = new Set<string>();

  it('is exact on small integers, 700 shapes and all three kernels', () => {
    const random = uniform(tile.mr * 100 + tile.nr);
    const small = () => Math.floor(random() * 7) - 3;
    for (let i = 0; i < 700; i++) {
      const c = drawCase(random, tile, 3e5);
      for (const kernel of KERNELS) {
        compare(kernel, c, drawInputs(kernel, c, small), backend, roundingOf(kernel, c));
      }
      const { geometry: g } = c;
      drawn.add(`rank ${g.rank}`);
      if (g.batch === 0) drawn.add('empty batch');
      if (g.groups > 1 && g.xChannels === g.groups) drawn.add('depthwise');
      for (let a = 0; a < g.rank; a++) {
        if (g.kernelSize[a] > g.xSize[a]) drawn.add('kernel longer than the input');
        if (g.padBefore[a] !== g.padAfter[a]) drawn.add('asymmetric padding');
        if (g.padBefore[a] < 0) drawn.add('negative padding');
        if (g.dilation[a] === 2 && g.stride[a] === 4) drawn.add('stride and dilation share a factor');
        const reach = (g.ySize[a] - 1) * g.stride[a] + g.dilation[a] * (g.kernelSize[a] - 1) + 1;
        if (g.xSize[a] + g.padBefore[a] + g.padAfter[a] > reach) drawn.add('outputPadding');
      }
    }
    // That the edges were there to be got wrong.
    expect([...drawn].sort()).toEqual([
      'asymmetric padding',
      'depthwise',
      'empty batch',
      'kernel longer than the input',
      'negative padding',
      'outputPadding',
      'rank 1',
      'rank 2',
      'rank 3',
      'stride and dilation share a factor',
    ]);
  });

  it('tells apart what comes before the sums and after them, in calls that are alike otherwise', () => {
    const geometry = convGeometry([1, 3, 9, 9], [4, 3, 3, 3]);
    const leaky = { fn: 'leakyRelu', parameters: [0.5] } as const;
    const random = uniform(tile.mr * 105 + tile.nr);
    const inputs = [243, 108].map((n) =>
      Float32Array.from({ length: n }, () => Math.floor(random() * 7) - 3),
    );
    for (const ending of [{ before: leaky }, { activation: leaky }, { before: leaky, activation: leaky }, {}])
      compare('conv.forward', { geometry, bias: false, average: false, ...ending }, inputs, backend, 0);
  });

  it('is exact on pictures of a single position, 60 shapes', () => {
    const random = uniform(tile.mr * 104 + tile.nr);
    const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
    for (let i = 0; i < 60; i++) {
      const k = Array.from({ length: integer(1, 3) }, () => integer(1, 5));
      const [channels, outputs] = [integer(1, 20), integer(1, 20)];
      const geometry = convGeometry([integer(0, 9), outputs, ...k], [channels, outputs, ...k]);
      const c = { geometry, ...drawEnding(random) };
      const small = () => Math.floor(random() * 7) - 3;
      for (const kernel of KERNELS) compare(kernel, c, drawInputs(kernel, c, small), backend, 0);
    }
  });

  it('is as near as float32 allows on fractions, 100 shapes', () => {
    const random = uniform(tile.mr * 101 + tile.nr);
    for (let i = 0; i < 100; i++) {
      const c = drawCase(random, tile, 1e6);
      for (const kernel of KERNELS) {
        const relative = 1e-5 * Math.sqrt(termsOf(kernel, c.geometry));
        compare(
          kernel,
          c,
          drawInputs(kernel, c, () => random() * 2 - 1),
          backend,
          relative,
        );
      }
    }
  });

  it('keeps NaN and infinity to the outputs that they reach, 200 shapes', () => {
    const random = uniform(tile.mr * 102 + tile.nr);
    for (let i = 0; i < 200; i++) {
      const c = drawCase(random, tile, 2e5);
      for (const kernel of KERNELS) {
        // No zeros: zero times infinity is NaN also where a kernel multiplies by the zeros of the padding.
        const inputs = drawInputs(kernel, c, () => 1 + Math.floor(random() * 3));
        const at = Math.floor(random() * inputs[0].length);
        if (inputs[0].length > 0)
          inputs[0][at] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][i % 3];
        const average = kernel === 'conv.inputGrad' && c.average;
        compare(kernel, c, inputs, backend, average ? 4e-7 : 0);
      }
    }
  });

  it('is exact on small planes with many channels, whose channels are what threads share', () => {
    const random = uniform(tile.mr * 103 + tile.nr);
    const small = () => Math.floor(random() * 7) - 3;
    const shapes = [
      { x: [1, 96, 7, 7], w: [131, 96, 3, 3], padding: 1, stride: 1 },
      { x: [1, 200, 7, 7], w: [193, 200, 1, 1], padding: 0, stride: 1 },
      { x: [2, 64, 9, 5], w: [67, 64, 3, 3], padding: 1, stride: 2 },
      { x: [1, 67, 8, 8], w: [80, 67, 4, 4], padding: 1, stride: 2 },
      { x: [1, 150, 11], w: [257, 150, 5], padding: 2, stride: 1 },
    ];
    for (const { x, w, padding, stride } of shapes) {
      const geometry = convGeometry(x, w, { padding, stride });
      for (const kernel of KERNELS) {
        const c: Case = { geometry, bias: true, average: false };
        compare(kernel, c, drawInputs(kernel, c, small), backend, 0);
      }
    }
  });

  it('works above 2 GiB, where addresses are negative as signed integers', () => {
    // Nothing is written into the space between, so that no memory is used for it.
    const high = openWasm(tile);
    const heap = high.engine.heap;
    const block = heap.take(2 ** 31);
    const random = uniform(7);
    for (let i = 0; i < 20; i++) {
      const c = drawCase(random, tile, 2e5);
      for (const kernel of KERNELS) {
        compare(
          kernel,
          { ...c, average: false },
          drawInputs(kernel, c, () => Math.floor(random() * 7) - 3),
          high,
          0,
        );
      }
    }
    heap.release(block);
  });
});
