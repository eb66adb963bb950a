/**
 * The worked examples from which the library's conventions were taken: every number of worked-examples.json, through
 * the public surface, in both floating-point types.
 */
import { readFileSync } from 'node:fs';
import {
  arange,
  conv2d,
  convGeometry,
  convTranspose2d,
  convTransposeGeometry,
  coverage,
  type DType,
  matmul,
  maxPool2d,
  maxUnpool2d,
  type NestedNumbers,
  ones,
  reshape,
  sum,
  type Tensor,
  tensor,
  toDisplay,
  transpose,
  unrolledMatrix,
  zeros,
} from 'deconv';
import { describe, expect, it } from 'vitest';

type Plane = number[][];

interface Fixture {
  unrolledMatrix: {
    input: Plane;
    weight: Plane;
    matrix: Plane;
    output: Plane;
    convOf1to9: Plane;
    averaged: Plane;
    display: Plane;
    displayUint8Truncated: Plane;
    gradInputForOnes: Plane;
    gradBiasForOnes: number;
  };
  projection: {
    forward: [number, number];
    back: [number, number];
    coverageHistogram: Record<string, number>;
    coverage1dHead: number[];
    coverage1dTail: number[];
    onesAverageOneChannel: number;
    onesAverage96Channels: number;
  };
  upsampleByPadding: { sizes: number[] };
  zeroPadding: { input: Plane; output: Plane };
  outputPadding: { weight: Plane; conv: Plane; back: Plane };
  stride2: { pool: Plane; unpool: Plane };
  cropBeyondKernel: { size: number; kernel: number; stride: number; padding: number; output: number };
}

const text = readFileSync(new URL('fixtures/worked-examples.json', import.meta.url), 'utf8');

/** Names of the fixture's entries that no test has looked at yet. */
const unread = new Set<string>();

const fixture: Fixture = JSON.parse(text);
for (const [section, entries] of Object.entries(fixture)) {
  for (const name of Object.keys(entries)) if (name !== 'about') unread.add(`${section}.${name}`);
  const watched = new Proxy(entries, {
    get(target, name: string) {
      unread.delete(`${section}.${name}`);
      return Reflect.get(target, name);
    },
  });
  Object.assign(fixture, { [section]: watched });
}

const FLOATS = ['float32', 'float64'] as const satisfies readonly DType[];

/** A picture of one channel, (1, 1, H, W). */
const picture = (plane: NestedNumbers, dtype: DType = 'float64'): Tensor => tensor([[plane]], { dtype });

/** The only channel of (1, 1, H, W). */
const plane = (x: Tensor): NestedNumbers => {
  expect(x.shape.slice(0, 2)).toEqual([1, 1]);
  return reshape(x, x.shape.slice(2)).toArray();
};

/** 1, 2, 3 … as a square picture. */
const counting = (side: number, dtype: DType): Tensor =>
  tensor(
    Array.from({ length: side * side }, (_, i) => i + 1),
    [1, 1, side, side],
    { dtype },
  );

describe.each(FLOATS)('the 3×3 → 2×2 convolution and its matrix, in %s', (dtype) => {
  const given = fixture.unrolledMatrix;
  const weight = picture(given.weight, dtype);
  const input = picture(given.input, dtype);

  it('unrolls to the matrix', () => {
    expect(unrolledMatrix(weight, [3, 3]).toArray()).toEqual(given.matrix);
  });

  it('is the product with the matrix; its transpose is the product with the transposed matrix', () => {
    const matrix = unrolledMatrix(weight, [3, 3]);
    const image = counting(3, dtype);
    expect(plane(conv2d(image, weight))).toEqual(given.convOf1to9);
    expect(reshape(matmul(matrix, reshape(image, [9])), [2, 2]).toArray()).toEqual(given.convOf1to9);
    expect(plane(convTranspose2d(input, weight))).toEqual(given.output);
    const column = reshape(input, [4, 1]);
    expect(reshape(matmul(transpose(matrix), column), [3, 3]).toArray()).toEqual(given.output);
  });

  it('averages overlaps', () => {
    expect(plane(convTranspose2d(input, weight, { overlap: 'average' }))).toEqual(given.averaged);
  });

  it('stretches for display, with fractions and without', () => {
    const output = convTranspose2d(input, weight);
    const shown = toDisplay(output, { dtype: 'float64' });
    for (const [i, value] of given.display.flat().entries()) expect(shown.data[i]).toBeCloseTo(value, 10);
    const pixels = toDisplay(output);
    expect(pixels.dtype).toBe('uint8');
    expect(plane(pixels)).toEqual(given.displayUint8Truncated);
    expect(plane(toDisplay(output, { dtype: 'uint8' }))).toEqual(given.displayUint8Truncated);
  });

  it('has the stated gradients for a gradient of ones', () => {
    const x = picture(given.input, dtype);
    const bias = zeros([1], { dtype, requiresGrad: true });
    x.requiresGrad = true;
    convTranspose2d(x, weight, { bias }).backward(ones([1, 1, 3, 3], { dtype }));
    expect(x.grad && plane(x.grad)).toEqual(given.gradInputForOnes);
    expect(bias.grad?.toArray()).toEqual([given.gradBiasForOnes]);
  });
});

describe('the projection of 96 maps of 55×55 to a picture of 227×227', () => {
  const given = fixture.projection;

  it('has the sizes of the first layer of AlexNet, there and back', () => {
    const there = convGeometry([1, 3, given.forward[0], given.forward[0]], [96, 3, 11, 11], { stride: 4 });
    expect(there.ySize).toEqual([given.forward[1], given.forward[1]]);
    const back = convTransposeGeometry([1, 96, given.back[0], given.back[0]], [96, 3, 11, 11], { stride: 4 });
    expect(back.xSize).toEqual([given.back[1], given.back[1]]);
  });

  it('is covered as counted, over the plane and along one axis', () => {
    const counts = coverage([55, 55], { kernelSize: 11, stride: 4 });
    expect(counts.shape).toEqual([227, 227]);
    const histogram: Record<string, number> = {};
    for (const count of counts.data) histogram[count] = (histogram[count] ?? 0) + 1;
    expect(histogram).toEqual(given.coverageHistogram);
    const along = Array.from(coverage([55], { kernelSize: 11, stride: 4 }).data);
    expect(along).toHaveLength(227);
    expect(along.slice(0, given.coverage1dHead.length)).toEqual(given.coverage1dHead);
    expect(along.slice(-given.coverage1dTail.length)).toEqual(given.coverage1dTail);
  });

  it.each([
    [1, given.onesAverageOneChannel],
    [96, given.onesAverage96Channels],
  ])('averages ones over space, sums them over channels: %d channels', (channels, expected) => {
    const x = ones([1, channels, 55, 55]);
    const y = convTranspose2d(x, ones([channels, 1, 11, 11]), { stride: 4, overlap: 'average' });
    expect(y.shape).toEqual([1, 1, 227, 227]);
    expect(new Set(y.data)).toEqual(new Set([expected]));
  });
});

describe('small geometries', () => {
  it('grows by padding', () => {
    const { sizes } = fixture.upsampleByPadding;
    let x = zeros([1, 1, sizes[0], sizes[0]]);
    for (const size of sizes.slice(1)) {
      x = conv2d(x, ones([1, 1, 21, 21]), { padding: 20 });
      expect(x.shape).toEqual([1, 1, size, size]);
    }
    expect(sizes.length).toBeGreaterThan(1);
  });

  it.each(FLOATS)('transposes without a crop as a convolution with full zero padding, in %s', (dtype) => {
    const { input, output } = fixture.zeroPadding;
    const [x, kernel] = [picture(input, dtype), ones([1, 1, 3, 3], { dtype })];
    expect(plane(convTranspose2d(x, kernel))).toEqual(output);
    expect(plane(conv2d(x, kernel, { padding: 2 }))).toEqual(output);
  });

  it.each(FLOATS)('returns to the odd size with outputPadding, in %s', (dtype) => {
    const { weight: kernel, conv, back } = fixture.outputPadding;
    const weight = picture(kernel, dtype);
    const maps = conv2d(counting(5, dtype), weight, { stride: 2 });
    expect(plane(maps)).toEqual(conv);
    expect(plane(convTranspose2d(maps, weight, { stride: 2, outputPadding: 1 }))).toEqual(back);
    expect(plane(convTranspose2d(maps, weight, { stride: 2, outputShape: [5, 5] }))).toEqual(back);
  });

  it('pools 1…9 and unpools with the switches', () => {
    const { pool, unpool } = fixture.stride2;
    const { output, indices } = maxPool2d(counting(3, 'float32'), { kernelSize: 2, stride: 1 });
    expect(plane(output)).toEqual(pool);
    expect(plane(maxUnpool2d(output, indices, { kernelSize: 2, stride: 1 }))).toEqual(unpool);
  });

  it('crops more than the kernel reaches', () => {
    const { size, kernel, stride, padding, output } = fixture.cropBeyondKernel;
    const x = reshape(arange(size * size), [1, 1, size, size]);
    const y = convTranspose2d(x, ones([1, 1, kernel, kernel]), { stride, padding });
    expect(y.shape).toEqual([1, 1, output, output]);
    // What is left is the middle of the uncropped result.
    const whole = convTranspose2d(x, ones([1, 1, kernel, kernel]), { stride });
    const [wide, side] = [whole.shape[3], output];
    const middle = Array.from({ length: side * side }, (_, i) => {
      const [row, column] = [Math.floor(i / side) + padding, (i % side) + padding];
      return whole.data[row * wide + column];
    });
    expect(Array.from(y.data)).toEqual(middle);
    expect(sum(y).item()).toBeGreaterThan(0);
  });
});

it('leaves no number of the file unread', () => {
  expect([...unread]).toEqual([]);
});
