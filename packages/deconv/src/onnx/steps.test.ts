/** Steps that are joined once shapes are known: the same numbers with fewer of them, in tiles too; and what is left alone. */
import { randn, type Tensor } from 'deconv';
import { describe, expect, it } from 'vitest';
import { type NodeSpec, onnxModel } from '../../../../test/support/onnx.js';
import { loadOnnx } from './index.js';

const float = (name: string, shape: (number | string)[]) => ({ name, type: 'float32', shape }) as const;
const values = (x: Tensor) => [...x.data];
const numbers = (count: number, seed = 1) => [...randn([count], { seed }).data];

describe('slices of slices', () => {
  it('are one, unless the one in between is asked for', async () => {
    const cut = (from: string, to: string, axis: string, bounds: string[]) => ({
      op: 'Slice',
      inputs: [from, ...bounds, axis, ...(axis === 'two' ? ['minus'] : [])],
      outputs: [to],
    });
    const int64 = (...given: number[]) => ({ type: 'int64', dims: [given.length], values: given }) as const;
    const model = await loadOnnx(
      onnxModel({
        nodes: [
          cut('x', 'a', 'two', ['eight', 'one']),
          cut('a', 'b', 'one', ['one', 'three']),
          cut('b', 'y', 'two', ['three', 'none']),
        ],
        inputs: [float('x', [1, 3, 10])],
        outputs: ['y'],
        initializers: {
          one: int64(1),
          two: int64(2),
          three: int64(3),
          eight: int64(8),
          minus: int64(-2),
          none: int64(-100),
        },
      }),
    );
    const x = Float32Array.from({ length: 30 }, (_, i) => i);
    expect(model.summary().nodes.map(({ op, shapes }) => [op, shapes])).toEqual([['Slice', [[1, 2, 2]]]]);
    // 8, 6, 4, 2 of each row but the first; of these the last and the second.
    expect(values((await model.run({ x })).y)).toEqual([12, 16, 22, 26]);
    const { b, y } = await model.run({ x }, { outputs: ['b', 'y'] });
    expect(values(b)).toEqual([18, 16, 14, 12, 28, 26, 24, 22]);
    expect(values(y)).toEqual([12, 16, 22, 26]);
  });
});

describe('channel shuffles', () => {
  /** Two arrays joined, and their channels dealt out by a permutation of four or five axes. */
  const load = (widths: number[], split: number[], perm: number[]) =>
    loadOnnx(
      onnxModel({
        nodes: [
          { op: 'Concat', inputs: widths.map((_, i) => `x${i}`), outputs: ['c'], attributes: { axis: 1 } },
          { op: 'Reshape', inputs: ['c', 'split'], outputs: ['s'] },
          { op: 'Transpose', inputs: ['s'], outputs: ['t'], attributes: { perm } },
          { op: 'Reshape', inputs: ['t', 'whole'], outputs: ['y'] },
        ],
        inputs: widths.map((width, i) => float(`x${i}`, [2, width, 3, 5])),
        outputs: ['y'],
        initializers: {
          split: { type: 'int64', dims: [split.length], values: split },
          whole: { type: 'int64', dims: [4], values: [2, widths.reduce((a, b) => a + b), 3, 5] },
        },
      }),
    );
  const cases: [string, number[], number[], number[], string[]][] = [
    ['of two', [6, 6], [2, 2, 6, 3, 5], [0, 2, 1, 3, 4], ['Concat']],
    ['of three', [2, 2, 2], [2, 3, 2, 3, 5], [0, 2, 1, 3, 4], ['Concat']],
    ['in other groups', [6, 6], [2, 3, 4, 3, 5], [0, 2, 1, 3, 4], []],
    ['of unequal ones', [5, 7], [2, 2, 6, 3, 5], [0, 2, 1, 3, 4], []],
    ['of rows too', [2, 2], [2, 2, 2, 3, 5], [0, 2, 1, 4, 3], []],
  ];
  it.each(cases)('%s', async (_, widths, split, perm, left) => {
    const model = await load(widths, split, perm);
    const all = ['Concat', 'Reshape', 'Transpose', 'Reshape'];
    expect(model.summary().nodes.map(({ op }) => op)).toEqual(left.length > 0 ? left : all);
    const inputs = widths.map((width, i) => [`x${i}`, randn([2, width, 3, 5], { seed: i })] as const);
    const { y } = await model.run(Object.fromEntries(inputs));
    const each = await model.run(Object.fromEntries(inputs), { outputs: ['c', 't', 'y'] });
    expect(values(y)).toEqual(values(each.y));
  });
});

describe('sums with a convolution', () => {
  const conv = (from: string, to: string, w = 'w') => ({
    op: 'Conv',
    inputs: [from, w],
    outputs: [to],
    attributes: { pads: [1, 1, 1, 1] },
  });
  const load = (nodes: NodeSpec[]) =>
    loadOnnx(
      onnxModel({
        nodes,
        inputs: [float('x', [1, 'c', 'h', 'w'])],
        outputs: ['y'],
        initializers: {
          w: { dims: [4, 4, 3, 3], values: numbers(144) },
          one: { dims: [1, 4, 1, 1], values: numbers(4, 5) },
        },
      }),
    );
  const ops = (model: Awaited<ReturnType<typeof load>>) =>
    model.summary({ x: [1, 4, 6, 5] }).nodes.map(({ op }) => op);
  const x = randn([1, 4, 6, 5], { seed: 3 });
  /** The output, next to what it is when every value in between is asked for. */
  async function expectSame(model: Awaited<ReturnType<typeof load>>, between: string[]) {
    const { y } = await model.run({ x });
    const each = await model.run({ x }, { outputs: [...between, 'y'] });
    for (const [i, value] of each.y.data.entries()) expect(y.data[i]).toBeCloseTo(value, 5);
  }
  const add = (a: string, b: string, to: string) => ({ op: 'Add', inputs: [a, b], outputs: [to] });
  const relu = (from: string, to: string) => ({ op: 'Relu', inputs: [from], outputs: [to] });

  it('are done as it stores, relu included, whichever side it is on', async () => {
    for (const [a, b] of ['xc', 'cx']) {
      const model = await load([conv('x', 'c'), add(a, b, 's'), relu('s', 'y')]);
      expect(ops(model)).toEqual(['Conv']);
      await expectSame(model, ['c', 's']);
    }
  });

  it('of two convolutions are done by the later one', async () => {
    const model = await load([conv('x', 'a'), conv('x', 'b'), add('b', 'a', 'y')]);
    expect(ops(model)).toEqual(['Conv', 'Conv']);
    await expectSame(model, ['a', 'b']);
  });

  it('stay what they are where the convolution is used again, asked for, activated, or has another shape', async () => {
    const again = await load([conv('x', 'c'), add('c', 'x', 's'), add('s', 'c', 'y')]);
    expect(ops(again)).toEqual(['Conv', 'Add', 'Add']);
    const activated = await load([conv('x', 'c'), relu('c', 'r'), add('r', 'x', 'y')]);
    expect(ops(activated)).toEqual(['Conv', 'Add']);
    await expectSame(activated, ['c']);
    const twice = await load([conv('x', 'c'), add('c', 'x', 's'), add('s', 'x', 'y')]);
    expect(ops(twice)).toEqual(['Conv', 'Add']);
    await expectSame(twice, ['c', 's']);
    const spread = await load([
      { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['p'] },
      conv('x', 'c'),
      add('p', 'c', 'y'),
    ]);
    expect(ops(spread)).toEqual(['GlobalAveragePool', 'Conv', 'Add']);
    await expectSame(spread, ['p', 'c']);
  });

  it('run in tiles, to the last bit', async () => {
    const model = await load([
      conv('x', 'c'),
      add('c', 'x', 's'),
      relu('s', 'r'),
      conv('r', 'd'),
      add('r', 'd', 'y'),
    ]);
    const large = randn([1, 4, 90, 70], { seed: 4 });
    const whole = await model.run({ x: large });
    const parts = await model.run({ x: large }, { tile: 48 });
    expect(values(parts.y)).toEqual(values(whole.y));
  });
});

describe('functions before a convolution', () => {
  const load = (nodes: NodeSpec[]) =>
    loadOnnx(
      onnxModel({
        nodes,
        inputs: [float('x', [1, 4, 'h', 'w'])],
        outputs: ['y'],
        initializers: { w: { dims: [4, 4, 3, 3], values: numbers(144) } },
      }),
    );
  const leaky = { op: 'LeakyRelu', inputs: ['x'], outputs: ['r'], attributes: { alpha: 0.25 } };
  const relu = { op: 'Relu', inputs: ['x'], outputs: ['r'] };
  const x = randn([1, 4, 9, 8], { seed: 3 });

  it.each([
    ['LeakyRelu', leaky, 'Conv'],
    ['Relu', relu, 'ConvTranspose'],
  ])('%s is applied to the padded input, where nobody else reads it', async (_, before, op) => {
    const conv = { op, inputs: ['r', 'w'], outputs: ['y'], attributes: { pads: [1, 1, 1, 1] } };
    const model = await load([before, conv]);
    expect(model.summary({ x: x.shape }).nodes.map(({ op }) => op)).toEqual([op]);
    const { y } = await model.run({ x });
    const each = await model.run({ x }, { outputs: ['r', 'y'] });
    for (const [i, value] of each.y.data.entries()) expect(y.data[i]).toBeCloseTo(value, 5);
    const large = randn([1, 4, 90, 70], { seed: 4 });
    const whole = await model.run({ x: large });
    expect(values((await model.run({ x: large }, { tile: 48 })).y)).toEqual(values(whole.y));
  });

  it('stay where they are read twice', async () => {
    const conv = { op: 'Conv', inputs: ['r', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } };
    const model = await load([leaky, conv, { op: 'Mul', inputs: ['c', 'r'], outputs: ['y'] }]);
    expect(model.summary({ x: x.shape }).nodes.map(({ op }) => op)).toEqual(['LeakyRelu', 'Conv', 'Mul']);
  });
});

describe('two values joined for a convolution', () => {
  const nodes = (asked: string): NodeSpec[] => [
    { op: 'Sigmoid', inputs: ['x'], outputs: ['r'] },
    { op: 'Concat', inputs: ['r', 'x'], outputs: ['j'], attributes: { axis: 1 } },
    { op: 'Conv', inputs: ['j', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Add', inputs: ['c', 'x'], outputs: [asked] },
  ];
  const load = (shape: number[]) =>
    loadOnnx(
      onnxModel({
        nodes: nodes('y'),
        inputs: [float('x', ['n', 3, 'h', 'w'])],
        outputs: ['y'],
        initializers: { w: { dims: shape, values: numbers(shape.reduce((n, length) => n * length, 1)) } },
      }),
    );
  const x = randn([2, 3, 9, 8], { seed: 3 });

  it('are read from where they are', async () => {
    const model = await load([3, 6, 3, 3]);
    expect(model.summary({ x: x.shape }).nodes.map(({ op }) => op)).toEqual(['Sigmoid', 'Conv']);
    const { y } = await model.run({ x });
    const each = await model.run({ x }, { outputs: ['j', 'c', 'y'] });
    expect(each.j.shape).toEqual([2, 6, 9, 8]);
    for (const [i, value] of each.y.data.entries()) expect(y.data[i]).toBeCloseTo(value, 5);
  });

  it('run in tiles, to the last bit', async () => {
    const model = await load([3, 6, 3, 3]);
    const large = randn([1, 3, 90, 70], { seed: 4 });
    const whole = await model.run({ x: large });
    expect(values((await model.run({ x: large }, { tile: 48 })).y)).toEqual(values(whole.y));
  });
});
