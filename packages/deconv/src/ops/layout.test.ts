import { describe, expect, it } from 'vitest';
import type { DType, Tensor } from '../tensor.js';
import { arange, tensor, zeros } from './create.js';
import {
  cast,
  concat,
  expand,
  flip,
  pad,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  reshape,
  slice,
  sumTo,
  take,
  transpose,
} from './layout.js';

const grid = (...shape: number[]): Tensor => reshape(arange(shape.reduce((a, b) => a * b, 1)), shape);

describe('reshape', () => {
  it('works out one −1', () => {
    expect(reshape(arange(6), [3, -1]).toArray()).toEqual([[0, 1], [2, 3], [4, 5]]); // biome-ignore format: a matrix
    expect(reshape(arange(6), [-1]).shape).toEqual([6]);
    expect(reshape(zeros([0, 4]), [-1, 2]).shape).toEqual([0, 2]);
    expect(reshape(tensor(3), [1, 1]).toArray()).toEqual([[3]]);
    expect(reshape(tensor([3]), []).toArray()).toBe(3);
  });

  it('refuses what does not fit', () => {
    expect(() => reshape(arange(6), [4, -1])).toThrow(
      'reshape: shape [4, -1] has no single whole value for -1 with 6 elements',
    );
    expect(() => reshape(arange(6), [-1, -1])).toThrow('no single whole value');
    expect(() => reshape(zeros([0]), [0, -1])).toThrow('no single whole value');
    expect(() => reshape(arange(6), [5])).toThrow('reshape: shape [5] holds 5 values, the tensor has 6');
    expect(() => reshape(arange(6), 6 as never)).toThrow('reshape: shape must be an array, got 6');
    expect(() => reshape(arange(6), [-2, -3])).toThrow(
      'reshape: shape axis 0 must be an integer ≥ 0, got -2',
    );
  });
});

describe('permute, transpose and flip', () => {
  it('move axes', () => {
    const x = grid(2, 3, 4);
    const y = permute(x, [2, 0, 1]);
    expect(y.shape).toEqual([4, 2, 3]);
    for (let i = 0; i < 2; i++) {
      for (let j = 0; j < 3; j++) {
        for (let k = 0; k < 4; k++) expect(y.data[(k * 2 + i) * 3 + j]).toBe(x.data[(i * 3 + j) * 4 + k]);
      }
    }
    expect(permute(x, [-1, 0, 1]).toArray()).toEqual(y.toArray());
    expect(permute(tensor(1), []).toArray()).toBe(1);
    expect(permute(zeros([0, 2]), [1, 0]).shape).toEqual([2, 0]);
    expect(transpose(grid(2, 3)).toArray()).toEqual([[0, 3], [1, 4], [2, 5]]); // biome-ignore format: a matrix
    expect(transpose(x, 0, 2).shape).toEqual([4, 3, 2]);
  });

  it('reverse axes', () => {
    expect(flip(grid(2, 2)).toArray()).toEqual([[3, 2], [1, 0]]); // biome-ignore format: a matrix
    expect(flip(grid(2, 2), -1).toArray()).toEqual([[1, 0], [3, 2]]); // biome-ignore format: a matrix
    expect(flip(tensor(1)).toArray()).toBe(1);
  });

  it('refuse axes that are not there', () => {
    expect(() => permute(grid(2, 3), [0, 0])).toThrow(
      'permute: order must name each of 2 axes once, got [0, 0]',
    );
    expect(() => permute(grid(2, 3), [0])).toThrow('must name each of 2 axes once');
    expect(() => permute(grid(2, 3), [0, 2])).toThrow(
      'permute: order must be an integer in [-2, 1] for a tensor of rank 2, got 2',
    );
    expect(() => transpose(arange(3))).toThrow(
      'transpose: a must be an integer in [-1, 0] for a tensor of rank 1, got -2',
    );
    expect(() => flip(grid(2, 2), [0, -2])).toThrow('flip: axis names axis 0 twice');
  });
});

describe('expand and its adjoint', () => {
  it('repeat axes of length 1 and new ones in front', () => {
    expect(expand(tensor([[1], [2]]), [2, 2, 3]).toArray()).toEqual([[[1, 1, 1], [2, 2, 2]], [[1, 1, 1], [2, 2, 2]]]); // biome-ignore format: matrices
    expect(expand(tensor(5), [2]).toArray()).toEqual([5, 5]);
    expect(expand(tensor([1]), [0]).shape).toEqual([0]);
    expect(() => expand(arange(2), [3])).toThrow('expand: a tensor of shape [2] cannot be repeated to [3]');
    expect(() => expand(grid(1, 2), [2])).toThrow(
      'expand: a tensor of shape [1, 2] cannot be repeated to [2]',
    );
  });

  it('sum over what was repeated: leading axes, axes of length 1, both, and to a number', () => {
    const x = grid(2, 3, 2);
    expect(sumTo(x, [2]).toArray()).toEqual([0 + 2 + 4 + 6 + 8 + 10, 1 + 3 + 5 + 7 + 9 + 11]);
    expect(sumTo(x, [3, 1]).toArray()).toEqual([[0 + 1 + 6 + 7], [2 + 3 + 8 + 9], [4 + 5 + 10 + 11]]);
    expect(sumTo(x, [2, 1, 1]).toArray()).toEqual([[[15]], [[51]]]);
    expect(sumTo(x, []).toArray()).toBe(66);
    expect(sumTo(zeros([0, 2]), [2]).toArray()).toEqual([0, 0]);
  });
});

describe('slice', () => {
  const x = arange(6);
  /** Python's own answers. */
  const cases: [number | undefined, number | undefined, number | undefined, number[]][] = [
    [undefined, undefined, undefined, [0, 1, 2, 3, 4, 5]],
    [1, -1, 2, [1, 3]],
    [-3, undefined, undefined, [3, 4, 5]],
    [undefined, undefined, -1, [5, 4, 3, 2, 1, 0]],
    [undefined, 2, -1, [5, 4, 3]],
    [4, undefined, -2, [4, 2, 0]],
    [4, -6, -2, [4, 2]],
    [4, -7, -2, [4, 2, 0]],
    [100, undefined, -3, [5, 2]],
    [-100, 100, 4, [0, 4]],
    [3, 3, undefined, []],
    [4, 2, undefined, []],
    [2, 4, -1, []],
    [6, undefined, undefined, []],
    [-100, undefined, -1, []],
  ];
  it.each(cases)('[%s : %s : %s]', (start, end, step, expected) => {
    expect(slice(x, { start: [start], end: [end], step: [step] }).toArray()).toEqual(expected);
  });

  it('takes fewer entries than axes, and several axes', () => {
    expect(slice(grid(2, 3), { start: [1] }).toArray()).toEqual([[3, 4, 5]]);
    expect(slice(grid(2, 3), { start: [undefined, -1], step: [-1, -2] }).toArray()).toEqual([[5, 3], [2, 0]]); // biome-ignore format: a matrix
    expect(slice(x, {}).toArray()).toEqual(x.toArray());
    expect(slice(zeros([0, 2]), { step: [-1, -1] }).shape).toEqual([0, 2]);
  });

  it('refuses what is not a slice', () => {
    expect(() => slice(x, { step: [0] })).toThrow('slice: step of axis 0 must not be 0');
    expect(() => slice(x, { start: [0.5] })).toThrow('slice: start must be integers, got [0.5]');
    expect(() => slice(x, { end: [1, 2] })).toThrow(
      'slice: end must be an array of at most 1 entries, got [1, 2]',
    );
    expect(() => slice(x, { begin: [1] } as never)).toThrow(
      "slice: unknown option 'begin' — known options are start, end, step",
    );
    expect(() => slice(x, undefined as never)).toThrow('slice: options are required: { start, end, step }');
  });
});

describe('pad', () => {
  const x = tensor([1, 2, 3]);
  it.each([
    ['constant', [2, 1], [0, 0, 1, 2, 3, 0]],
    ['reflect', [2, 1], [3, 2, 1, 2, 3, 2]],
    ['reflect', [5, 5], [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]],
    ['replicate', [2, 3], [1, 1, 1, 2, 3, 3, 3, 3]],
    ['circular', [4, 2], [3, 1, 2, 3, 1, 2, 3, 1, 2]],
    ['constant', [-1, 2], [2, 3, 0, 0]],
    ['reflect', [-1, 1], [2, 3, 2]],
    ['replicate', [-2, 0], [3]],
    ['circular', [0, -2], [1]],
    ['constant', [-3, 0], []],
    ['constant', [5, -4], [0, 0, 0, 0]],
    ['constant', [-4, 5], [0, 0, 0, 0]],
  ] as const)('%s %j', (mode, amounts, expected) => {
    expect(pad(x, [[amounts[0], amounts[1]]], { mode }).toArray()).toEqual([...expected]);
  });

  it('aligns pairs with the last axes, fills with any value and keeps the type', () => {
    const y = pad(tensor([[1, 2]], { dtype: 'int32' }), [[1, 0]], { value: -7 });
    expect([y.dtype, y.toArray()]).toEqual(['int32', [[-7, 1, 2]]]);
    expect(pad(grid(1, 2), [[1, 0], [0, 1]], { value: 9 }).toArray()).toEqual([[9, 9, 9], [0, 1, 9]]); // biome-ignore format: a matrix
    expect(pad(x, []).toArray()).toEqual([1, 2, 3]);
    expect(pad(tensor([[5]]), [[0, 0], [1, 2]], { mode: 'reflect' }).toArray()).toEqual([[5, 5, 5, 5]]); // biome-ignore format: one line
    expect(pad(zeros([0]), [[1, 1]], { value: 4 }).toArray()).toEqual([4, 4]);
  });

  it('refuses what it cannot do', () => {
    expect(() => pad(x, [[-2, -2]])).toThrow('pad: axis 0 would have 3 + -2 + -2 < 0 elements');
    expect(() => pad(x, [[1, 1], [1, 1]])).toThrow('pad: amounts must be at most 1 pairs [before, after] of integers, got [[1, 1], [1, 1]]'); // biome-ignore format: one line
    expect(() => pad(x, [[1.5, 0]])).toThrow('pad: amounts must be at most 1 pairs');
    expect(() => pad(x, 1 as never)).toThrow('pad: amounts must be at most 1 pairs');
    expect(() => pad(x, [[1, 1]], { mode: 'reflect', value: 1 })).toThrow(
      "pad: value has no meaning with mode 'reflect'",
    );
    expect(() => pad(x, [[1, 1]], { value: '1' as never })).toThrow('pad: value must be a number, got "1"');
    expect(() => pad(x, [[1, 1]], { mode: 'edge' as never })).toThrow(
      "pad: mode must be one of 'constant', 'reflect', 'replicate', 'circular', got \"edge\"",
    );
    expect(() => pad(zeros([0]), [[1, 1]], { mode: 'circular' })).toThrow(
      "pad: mode 'circular' needs something to copy, axis 0 is empty",
    );
  });
});

describe('concat and take', () => {
  it('join along any axis', () => {
    const [a, b] = [grid(2, 1), grid(2, 2)];
    expect(concat([a, b], 1).toArray()).toEqual([[0, 0, 1], [1, 2, 3]]); // biome-ignore format: a matrix
    expect(concat([b, b], -2).shape).toEqual([4, 2]);
    expect(concat([zeros([0, 2]), b]).toArray()).toEqual(b.toArray());
    expect(concat([b]).toArray()).toEqual(b.toArray());
  });

  it('refuse what does not match', () => {
    expect(() => concat([])).toThrow('concat: tensors must be a non-empty array of tensors');
    expect(() => concat(arange(2) as never)).toThrow('concat: tensors must be a non-empty array of tensors');
    expect(() => concat([grid(2, 2), grid(2, 3)])).toThrow(
      'concat: tensors[1] (float32 [2, 3]) must match tensors[0] (float32 [2, 2]) but for axis 0',
    );
    expect(() => concat([arange(2), arange(2, { dtype: 'int32' })])).toThrow(
      'concat: tensors[1] (int32 [2]) must match tensors[0] (float32 [2])',
    );
    expect(() => concat([arange(2), 3 as never])).toThrow('concat: tensors[1] must be a tensor, got 3');
    expect(() => concat([tensor(1), tensor(2)])).toThrow('concat: axis must be an integer');
  });

  it('pick positions, negative and repeated', () => {
    expect(take(grid(2, 3), [-1, 0, 0], 1).toArray()).toEqual([[2, 0, 0], [5, 3, 3]]); // biome-ignore format: a matrix
    expect(take(grid(2, 3), Int32Array.of(1)).toArray()).toEqual([[3, 4, 5]]);
    expect(take(arange(3, { dtype: 'int32' }), [2]).dtype).toBe('int32');
    expect(take(arange(3), []).shape).toEqual([0]);
    expect(() => take(arange(3), [3])).toThrow('take: positions must be integers in [-3, 2], got 3');
    expect(() => take(arange(3), [0.5])).toThrow('take: positions must be integers in [-3, 2], got 0.5');
    // A tensor has no length of its own and must not pass for an empty list; nor must a number.
    expect(() => take(arange(3), arange(2) as never)).toThrow(
      'take: positions must be an array of integers, got a Tensor',
    );
    expect(() => take(arange(3), 1 as never)).toThrow('take: positions must be an array of integers, got 1');
  });
});

describe('cast', () => {
  it('cuts off fractions towards zero and wraps as typed arrays do', () => {
    expect(cast(tensor([-1.9, 2.9]), 'int32').toArray()).toEqual([-1, 2]);
    expect(cast(tensor([255, 256, 3.7]), 'uint8').toArray()).toEqual([255, 0, 3]);
    expect(cast(arange(2, { dtype: 'uint8' }), 'float64').dtype).toBe('float64');
  });

  it('cuts the tape at integers', () => {
    const x = tensor([1.5], { requiresGrad: true });
    expect([cast(x, 'int32').requiresGrad, cast(x, 'float64').requiresGrad]).toEqual([false, true]);
    expect(() => cast(x, 'int64' as DType)).toThrow(
      "cast: dtype must be one of 'float32', 'float64', 'int32', 'uint8', got \"int64\" — did you mean 'int32'?",
    );
  });
});

describe('pixelShuffle', () => {
  it('is its definition', () => {
    const [n, c, f, h, w] = [2, 3, 2, 2, 3];
    const x = grid(n, c * f * f, h, w);
    const y = pixelShuffle(x, f);
    expect(y.shape).toEqual([n, c, h * f, w * f]);
    const at = (t: Tensor, ...i: number[]) =>
      t.data[i.reduce((flat, index, axis) => flat * t.shape[axis] + index, 0)];
    for (let b = 0; b < n; b++)
      for (let k = 0; k < c; k++)
        for (let row = 0; row < h * f; row++)
          for (let column = 0; column < w * f; column++) {
            const [i, j] = [row % f, column % f];
            const from = at(x, b, k * f * f + i * f + j, (row - i) / f, (column - j) / f);
            expect(at(y, b, k, row, column)).toBe(from);
          }
    expect(pixelUnshuffle(y, f).toArray()).toEqual(x.toArray());
  });

  it('refuses what does not divide', () => {
    expect(() => pixelShuffle(zeros([1, 6, 2, 2]), 2)).toThrow(
      'pixelShuffle: channels 6 must divide by factor² = 4',
    );
    expect(() => pixelUnshuffle(zeros([1, 1, 3, 4]), 2)).toThrow(
      'pixelUnshuffle: height 3 and width 4 must divide by factor 2',
    );
    expect(() => pixelShuffle(zeros([4, 2, 2]), 2)).toThrow(
      'pixelShuffle: x must be (N, C, H, W), got [4, 2, 2]',
    );
    expect(() => pixelShuffle(zeros([1, 4, 2, 2]), 0)).toThrow(
      'pixelShuffle: factor must be an integer ≥ 1, got 0',
    );
  });
});
