import { describe, expect, it } from 'vitest';
import { grad } from '../autograd.js';
import type { Tensor } from '../tensor.js';
import {
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
} from './conv.js';
import { ones, randn, tensor, zeros } from './create.js';
import { add, mul } from './elementwise.js';
import { concat, permute, reshape, slice } from './layout.js';
import { sum } from './reduce.js';

const flat = (x: Tensor | null): number[] => (x === null ? [] : Array.from(x.data));
const normal = (shape: number[], seed = 0) => randn(shape, { dtype: 'float64', seed });
const convs = [conv1d, conv2d, conv3d];
const transposes = [convTranspose1d, convTranspose2d, convTranspose3d];

describe.each([1, 2, 3])('an empty batch, %i axes', (rank) => {
  const space = [4, 5, 3].slice(0, rank);
  const kernel = [3, 2, 2].slice(0, rank);
  const leaf = (shape: number[]) => ones(shape, { requiresGrad: true });

  it.each(['NCHW', 'NHWC'] as const)('goes through, and gives gradients of zeros: %s', (dataFormat) => {
    const shape = dataFormat === 'NCHW' ? [0, 2, ...space] : [0, ...space, 2];
    const calls: [typeof conv1d, number[], number][] = [
      [convs[rank - 1], [3, 2, ...kernel], 3],
      [transposes[rank - 1], [2, 3, ...kernel], 3],
    ];
    for (const [f, weightShape, out] of calls) {
      const [x, w, bias] = [leaf(shape), leaf(weightShape), leaf([out])];
      const y = f(x, w, { bias, dataFormat });
      expect([y.shape[0], y.shape[dataFormat === 'NCHW' ? 1 : rank + 1], y.size]).toEqual([0, out, 0]);
      y.backward(zeros([...y.shape]));
      expect(x.grad?.shape).toEqual(shape);
      expect([w.grad?.shape, new Set(flat(w.grad))]).toEqual([weightShape, new Set([0])]);
      expect(flat(bias.grad)).toEqual([0, 0, 0]);
    }
  });

  it('goes through averaging and through the second derivative', () => {
    const [x, w] = [leaf([0, 2, ...space]), leaf([2, 3, ...kernel])];
    const y = transposes[rank - 1](x, w, { overlap: 'average', stride: 2 });
    const [gw] = grad(y, [w], { gradOutput: zeros([...y.shape]), createGraph: true });
    sum(mul(gw, gw)).backward();
    expect(x.grad?.shape).toEqual([0, 2, ...space]);
  });
});

describe('the smallest sizes', () => {
  it.each([1, 2, 3])('one value per axis, one channel, %i axes', (rank) => {
    const one = (value: number) => tensor([value], new Array(rank + 2).fill(1), { requiresGrad: true });
    for (const f of [convs[rank - 1], transposes[rank - 1]]) {
      const [x, w, bias] = [one(3), one(5), tensor([7], { requiresGrad: true })];
      const y = f(x, w, { bias, stride: 4, dilation: 3 });
      expect([y.shape, y.item()]).toEqual([new Array(rank + 2).fill(1), 22]);
      y.backward();
      expect([x.grad?.item(), w.grad?.item(), bias.grad?.item()]).toEqual([5, 3, 1]);
    }
  });

  it('one value, with padding: a bigger picture of the kernel', () => {
    const x = tensor([[[2]]]);
    expect(flat(convTranspose1d(x, tensor([[[1, 2, 3]]])))).toEqual([2, 4, 6]);
    expect(flat(conv1d(x, tensor([[[1, 2, 3]]]), { padding: 2 }))).toEqual([6, 4, 2]);
    expect(flat(convTranspose1d(x, tensor([[[1, 2, 3]]]), { padding: 1 }))).toEqual([4]);
    expect(flat(convTranspose1d(x, tensor([[[1, 2, 3]]]), { padding: -1 }))).toEqual([0, 2, 4, 6, 0]);
  });
});

describe('padding', () => {
  const x = tensor([[[1, 2, 3]]]);
  const w = tensor([[[1, 10]]]);

  it('larger than the kernel gives windows of nothing', () => {
    expect(flat(conv1d(x, w, { padding: 3 }))).toEqual([0, 0, 10, 21, 32, 3, 0, 0]);
    const bias = tensor([100]);
    expect(flat(conv1d(x, w, { padding: [[3, -2]], bias }))).toEqual([100, 100, 110]);
    const grown = tensor([[[1, 2, 3]]], { requiresGrad: true });
    sum(conv1d(grown, w, { padding: 7 })).backward();
    expect(flat(grown.grad)).toEqual([11, 11, 11]);
  });

  it('that is negative crops the input of conv and extends the output of convTranspose', () => {
    expect(flat(conv1d(x, w, { padding: [[-1, 0]] }))).toEqual([32]);
    expect(flat(convTranspose1d(x, w, { padding: [[-2, 1]] }))).toEqual([0, 0, 1, 12, 23]);
  });

  it("'same' keeps the size, the odd row after; 'valid' is none", () => {
    expect(flat(conv1d(x, w, { padding: 'same' }))).toEqual([21, 32, 3]);
    expect(flat(conv1d(x, w, { padding: 'valid' }))).toEqual(flat(conv1d(x, w)));
    expect(convTranspose1d(x, w, { padding: 'same', stride: 3 }).shape).toEqual([1, 1, 9]);
    expect(conv1d(zeros([1, 1, 7]), w, { padding: 'same', stride: 3 }).shape).toEqual([1, 1, 3]);
  });
});

describe('outputPadding, outputShape and overlap', () => {
  const x = tensor([[[1, 2]]]);
  const w = tensor([[[1, 10, 100]]]);

  it('outputPadding shows real values, not zeros, where taps reach', () => {
    expect(flat(convTranspose1d(x, w, { stride: 2, padding: 1 }))).toEqual([10, 102, 20]);
    expect(flat(convTranspose1d(x, w, { stride: 2, padding: 1, outputPadding: 1 }))).toEqual([
      10, 102, 20, 200,
    ]);
    expect(flat(convTranspose1d(x, w, { stride: 2, outputPadding: 1 }))).toEqual([1, 10, 102, 20, 200, 0]);
    expect(flat(convTranspose1d(x, w, { dilation: 3, outputPadding: 2 }))).toHaveLength(10);
  });

  it('outputShape is the same thing from the other side, spatial or whole, in either layout', () => {
    const wanted = flat(convTranspose1d(x, w, { stride: 2, padding: 1, outputPadding: 1 }));
    expect(flat(convTranspose1d(x, w, { stride: 2, padding: 1, outputShape: [4] }))).toEqual(wanted);
    expect(flat(convTranspose1d(x, w, { stride: 2, padding: 1, outputShape: [1, 1, 4] }))).toEqual(wanted);
    const last = convTranspose1d(permute(x, [0, 2, 1]), w, {
      stride: 2, padding: 1, outputShape: [1, 4, 1], dataFormat: 'NHWC',
    }); // biome-ignore format: options
    expect([last.shape, flat(last)]).toEqual([[1, 4, 1], wanted]);
  });

  it('average divides by coverage before the crop and before the bias, and leaves holes at the bias', () => {
    const y = convTranspose1d(x, w, { stride: 2, overlap: 'average', bias: tensor([1000]) });
    expect(flat(y)).toEqual([1001, 1010, 1051, 1020, 1200]);
    expect(flat(convTranspose1d(x, w, { stride: 2, overlap: 'average', padding: 1 }))).toEqual([10, 51, 20]);
    const holes = convTranspose1d(x, tensor([[[3]]]), { stride: 3, overlap: 'average', bias: tensor([7]) });
    expect(flat(holes)).toEqual([10, 7, 7, 13]);
  });
});

describe('groups', () => {
  it('are convolutions side by side', () => {
    const [x, w] = [normal([2, 4, 6], 1), normal([6, 2, 3], 2)];
    const part = (t: Tensor, axis: number, from: number, to: number) =>
      slice(t, { start: axis === 0 ? [from] : [undefined, from], end: axis === 0 ? [to] : [undefined, to] });
    const halves = [0, 1].map((i) => conv1d(part(x, 1, 2 * i, 2 * i + 2), part(w, 0, 3 * i, 3 * i + 3)));
    expect(flat(conv1d(x, w, { groups: 2 }))).toEqual(flat(concat(halves, 1)));
    const y = normal([2, 6, 4], 3);
    const back = [0, 1].map((i) =>
      convTranspose1d(part(y, 1, 3 * i, 3 * i + 3), part(w, 0, 3 * i, 3 * i + 3)),
    );
    expect(flat(convTranspose1d(y, w, { groups: 2 }))).toEqual(flat(concat(back, 1)));
  });

  it('as many as channels is depthwise, with a multiplier too', () => {
    const x = tensor([[[1, 2], [3, 4]]]); // biome-ignore format: channels
    expect(conv1d(x, tensor([[[1]], [[10]], [[100]], [[1000]]]), { groups: 2 }).toArray()).toEqual([
      [[1, 2], [10, 20], [300, 400], [3000, 4000]],
    ]); // biome-ignore format: channels
    expect(convTranspose1d(x, tensor([[[1], [10]], [[100], [1000]]]), { groups: 2 }).toArray()).toEqual([
      [[1, 2], [10, 20], [300, 400], [3000, 4000]],
    ]); // biome-ignore format: channels
  });
});

describe('number types and inputs', () => {
  it('float64 stays float64, float32 is rounded once', () => {
    const [x, w] = [normal([1, 8, 9], 1), normal([3, 8, 4], 2)];
    const exact = conv1d(x, w);
    expect(exact.dtype).toBe('float64');
    const [x32, w32] = [
      tensor(Float32Array.from(x.data), [1, 8, 9]),
      tensor(Float32Array.from(w.data), [3, 8, 4]),
    ];
    const rounded = conv1d(x32, w32);
    expect(rounded.dtype).toBe('float32');
    for (const [i, value] of exact.data.entries()) expect(rounded.data[i]).toBeCloseTo(value, 4);
  });

  it('no input is written to, no output shares memory with one', () => {
    const [x, w, bias] = [
      normal([1, 1, 1], 1),
      ones([1, 1, 1], { dtype: 'float64' }),
      zeros([1], { dtype: 'float64' }),
    ];
    const before = [x, w, bias].map(flat);
    const y = conv1d(x, w, { bias, dataFormat: 'NHWC' });
    y.data[0] = 99;
    expect([x, w, bias].map(flat)).toEqual(before);
  });

  it('NaN reaches the outputs whose windows see it, and no others', () => {
    const x = tensor([[[0, 0, Number.NaN, 0, 0, 0]]]);
    expect(flat(conv1d(x, ones([1, 1, 2]))).map(Number.isNaN)).toEqual([false, true, true, false, false]);
    expect(flat(convTranspose1d(x, ones([1, 1, 2]))).map(Number.isNaN)).toEqual([
      false, false, true, true, false, false, false,
    ]); // biome-ignore format: a row
  });

  it('the gradient of a bias is a sum over batch and space', () => {
    const bias = zeros([2], { requiresGrad: true });
    const y = conv2d(zeros([3, 1, 4, 5]), zeros([2, 1, 1, 1]), { bias });
    y.backward(ones([3, 2, 4, 5]));
    expect(flat(bias.grad)).toEqual([60, 60]);
  });

  it('a weight used twice collects both', () => {
    const w = tensor([[[2]]], { requiresGrad: true });
    const x = tensor([[[3]]]);
    add(conv1d(conv1d(x, w), w), convTranspose1d(x, w)).backward();
    expect(flat(w.grad)).toEqual([2 * 3 * 2 + 3]);
  });

  it('options may be left out, undefined, or undefined one by one', () => {
    const [x, w] = [reshape(normal([9]), [1, 1, 9]), normal([1, 1, 3], 1)];
    const plain = flat(convTranspose1d(x, w));
    const nothing: ConvTransposeOptions = {
      stride: undefined, padding: undefined, dilation: undefined, groups: undefined, bias: undefined,
      outputPadding: undefined, outputShape: undefined, overlap: undefined, dataFormat: undefined,
    }; // biome-ignore format: options
    expect(flat(convTranspose1d(x, w, undefined))).toEqual(plain);
    expect(flat(convTranspose1d(x, w, nothing))).toEqual(plain);
  });
});

describe('calls that come again', () => {
  const x = ones([1, 1, 6, 6]);
  const w = ones([1, 1, 2, 2]);
  const side = (options: ConvTransposeOptions, input = x) =>
    convTranspose2d(input, w, options).shape.slice(2);

  it('are told apart by every option, whichever came before', () => {
    for (let turn = 0; turn < 2; turn++) {
      expect(side({})).toEqual([7, 7]);
      expect(side({ stride: 2 })).toEqual([12, 12]);
      expect(side({ stride: 2, padding: 1 })).toEqual([10, 10]);
      expect(side({ stride: 2, padding: 1, outputPadding: 1 })).toEqual([11, 11]);
      expect(side({ stride: [2, 3] })).toEqual([12, 17]);
      expect(side({ dilation: [1, 2] })).toEqual([7, 8]);
      expect(side({ padding: [[1, 2], [3, 0]] })).toEqual([4, 4]); // biome-ignore format: pairs
      expect(side({ padding: 'same', stride: 3 })).toEqual([18, 18]);
      expect(side({ outputShape: [7, 7] })).toEqual([7, 7]);
      expect(side({ stride: 2 }, ones([1, 1, 3, 4]))).toEqual([6, 8]);
      expect(conv2d(x, w, { stride: 2 }).shape.slice(2)).toEqual([3, 3]);
    }
  });

  it('see lists as they are now', () => {
    const stride = [2, 2];
    expect(side({ stride })).toEqual([12, 12]);
    stride[1] = 1;
    expect(side({ stride })).toEqual([12, 7]);
  });

  it('are refused however they resemble others', () => {
    side({ padding: [[1, 2], [3, 0]] }); // biome-ignore format: pairs
    side({ stride: [2, 3] });
    const unlike = (options: object) => () => side(options as ConvTransposeOptions);
    expect(unlike({ padding: [1, 2, 3, 0] })).toThrow('padding needs 2 entries');
    expect(unlike({ padding: [[[1], 2], [3, 0]] })).toThrow('padding must be made of integers'); // biome-ignore format: pairs
    expect(unlike({ stride: ['2', 3] })).toThrow('stride');
    expect(unlike({ stride: [[2], 3] })).toThrow('stride');
    expect(unlike({ stride: '2,3' })).toThrow('stride');
    const itself: unknown[] = [1];
    itself.push(itself);
    expect(unlike({ padding: itself })).toThrow(
      'padding must be made of integers, got [1, [1, [1, [1, […]]]]]',
    );
  });
});
