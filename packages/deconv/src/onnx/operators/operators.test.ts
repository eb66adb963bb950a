/**
 * Operators: random nodes against ONNX Runtime (scripts/fixtures/onnx-operators.mjs), and by hand what it does not decide:
 * rounding, empty sets, two readings of the standard, refusals.
 */
import { readFileSync } from 'node:fs';
import { type Tensor, tensor } from 'deconv';
import { describe, expect, it } from 'vitest';
import {
  type AttributeSpec,
  oneNode,
  onnxModel,
  type TensorSpec,
  type TypeName,
  type ValueSpec,
} from '../../../../../test/support/onnx.js';
import { loadOnnx } from '../index.js';

interface Stored {
  readonly type: TypeName;
  readonly dims: number[];
  readonly values: (number | string)[];
}

interface Case {
  readonly name: string;
  readonly model: string;
  readonly inputs: Readonly<Record<string, Stored>>;
  readonly outputs: Readonly<Record<string, Stored>>;
}

const fixture = new URL('../../../../../test/fixtures/onnx-operators.json', import.meta.url);
const cases: readonly Case[] = JSON.parse(readFileSync(fixture, 'utf8'));
const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: Int32Array,
  bool: Uint8Array,
};

const given = ({ type, dims, values }: Stored) => ({
  data: new arrays[type as keyof typeof arrays](values.map(Number)),
  dims,
});

describe('like ONNX Runtime', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const model = await loadOnnx(Buffer.from(one.model, 'base64'));
    const made = await model.run(
      Object.fromEntries(Object.entries(one.inputs).map(([name, input]) => [name, given(input)])),
    );
    for (const [name, output] of Object.entries(one.outputs)) {
      const expected = output.values.map(Number);
      expect(made[name].shape).toEqual(output.dims);
      const largest = Math.max(1e-30, ...expected.filter(Number.isFinite).map(Math.abs));
      for (const [i, value] of expected.entries()) {
        const got = made[name].data[i];
        if (!Object.is(value, got) && value !== got)
          expect(Math.abs(value - got), `${name}[${i}] is ${got}, should be ${value}`).toBeLessThan(
            2e-5 * largest,
          );
      }
    }
  });
});

type Attributes = Readonly<Record<string, AttributeSpec>>;

/** Runs one node; what stands in `fixed` becomes initializers. */
async function run(
  op: string,
  inputs: Readonly<Record<string, TensorSpec>>,
  attributes: Attributes = {},
  { opset = 17, outputs = ['y'] }: { opset?: number; outputs?: string[] } = {},
): Promise<Record<string, Tensor>> {
  const model = await loadOnnx(
    onnxModel({
      opset,
      nodes: [
        {
          op,
          inputs: Object.keys(inputs).map((name) => (name.startsWith('_') ? '' : name)),
          outputs,
          attributes,
        },
      ],
      outputs: outputs.filter((name) => name !== ''),
      initializers: Object.fromEntries(Object.entries(inputs).filter(([name]) => !name.startsWith('_'))),
    }),
  );
  return model.run({});
}

const list = (...values: number[]): TensorSpec => ({ dims: [values.length], values });
const int64 = (...values: number[]): TensorSpec => ({ type: 'int64', dims: [values.length], values });
const counting = (dims: number[]): TensorSpec => ({
  dims,
  values: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i + 1),
});
const out = async (...args: Parameters<typeof run>) => {
  const { y } = await run(...args);
  return { shape: [...y.shape], values: [...y.data], dtype: y.dtype };
};
const refusal = (...args: Parameters<typeof run>) =>
  run(...args).then(
    () => 'accepted',
    (error: Error) => error.message,
  );

describe('ConvTranspose', () => {
  const ones = (...dims: number[]): TensorSpec => ({
    dims,
    values: new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(1),
  });
  // Full output of (1, 2) by a kernel of three ones at stride 2: 1 1 3 2 2.
  const operands = { x: { dims: [1, 1, 2], values: [1, 2] }, w: ones(1, 1, 3) };
  const strides = [2];

  it.each<[string, Attributes, number[]]>([
    ['as it is', { strides }, [1, 1, 3, 2, 2]],
    ['pads crop', { strides, pads: [1, 0] }, [1, 3, 2, 2]],
    ['SAME_UPPER crops the odd row after', { strides, auto_pad: 'SAME_UPPER' }, [1, 1, 3, 2]],
    ['SAME_LOWER before', { strides, auto_pad: 'SAME_LOWER' }, [1, 3, 2, 2]],
    ['output_shape, the odd row before', { strides, output_shape: [4] }, [1, 3, 2, 2]],
    [
      'output_padding keeps what pads would crop',
      { strides, pads: [0, 1], output_padding: [1] },
      [1, 1, 3, 2, 2],
    ],
    [
      'output_shape and output_padding',
      { strides, output_shape: [6], output_padding: [1] },
      [1, 1, 3, 2, 2, 0],
    ],
  ])('%s', async (_, attributes, expected) => {
    expect((await out('ConvTranspose', operands, attributes)).values).toEqual(expected);
  });
});

describe('pooling', () => {
  it('of dilated windows with SAME padding gives ceil(n / s)', async () => {
    const attributes = { kernel_shape: [2], dilations: [2], auto_pad: 'SAME_UPPER' };
    expect(await out('MaxPool', { x: counting([1, 1, 4]) }, attributes)).toMatchObject({
      shape: [1, 1, 4],
      values: [2, 3, 4, 3],
    });
  });

  it('of bytes stays in bytes, with windows in the padding alone at their lowest', async () => {
    const x: TensorSpec = { type: 'uint8', dims: [1, 1, 2], values: [3, 200] };
    const attributes = { kernel_shape: [1], pads: [1, 1] };
    expect(await out('MaxPool', { x }, attributes)).toEqual({
      shape: [1, 1, 4],
      values: [0, 3, 200, 0],
      dtype: 'uint8',
    });
    const both = { outputs: ['y', 'i'] };
    expect(await refusal('MaxPool', { x }, attributes, both)).toMatch(/lie in the padding alone/);
  });

  it('is undone whichever output the indices count in', async () => {
    const x = { dims: [1, 1, 2, 2], values: [5, 6, 7, 8] };
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    const s = int64(1, 1, 5, 5);
    const sparse = (entries: Record<number, number>) => Array.from({ length: 25 }, (_, i) => entries[i] ?? 0);
    // Counted in 4×4, as in the standard's own test: 5 is row 1, column 1.
    const natural = { ...int64(5, 7, 13, 15), dims: [1, 1, 2, 2] };
    const expected = sparse({ 6: 5, 8: 6, 16: 7, 18: 8 });
    expect((await out('MaxUnpool', { x, i: natural, s }, attributes)).values).toEqual(expected);
    // Counted in 5×5, as a pooling of 5×5 gives them.
    const whole = { ...int64(6, 8, 16, 18), dims: [1, 1, 2, 2] };
    expect((await out('MaxUnpool', { x, i: whole, s }, attributes)).values).toEqual(expected);
    const outside = { ...int64(6, 8, 16, 99), dims: [1, 1, 2, 2] };
    expect(await refusal('MaxUnpool', { x, i: outside, s }, attributes)).toMatch(
      /indices lie outside the output/,
    );
  });
});

describe('reductions of nothing', () => {
  const empty: TensorSpec = { dims: [2, 0], values: [] };
  const axes = int64(1);
  it.each<[string, number]>([
    ['ReduceSum', 0],
    ['ReduceProd', 1],
    ['ReduceMax', Number.NEGATIVE_INFINITY],
    ['ReduceMin', Number.POSITIVE_INFINITY],
    ['ReduceMean', Number.NaN],
    ['ReduceL1', 0],
    ['ReduceL2', 0],
    ['ReduceSumSquare', 0],
    ['ReduceLogSum', Number.NEGATIVE_INFINITY],
    ['ReduceLogSumExp', Number.NEGATIVE_INFINITY],
  ])('%s is %d', async (op, value) => {
    const given = await out(op, { x: empty, axes }, { keepdims: 0 }, { opset: 18 });
    expect(given).toEqual({ shape: [2], values: [value, value], dtype: 'float32' });
  });

  it('reduce no axes if so asked, yet apply their function', async () => {
    const x = list(-1, 2);
    const none = { x, axes: int64() };
    const noop = { noop_with_empty_axes: 1 };
    expect((await out('ReduceSum', none, noop, { opset: 18 })).values).toEqual([-1, 2]);
    expect((await out('ReduceSumSquare', none, noop, { opset: 18 })).values).toEqual([1, 4]);
    expect((await out('ReduceSum', none, {}, { opset: 18 })).values).toEqual([1]);
  });

  it('know the ends of integers and booleans', async () => {
    const bytes: TensorSpec = { type: 'uint8', dims: [0], values: [] };
    expect(await out('ReduceMin', { x: bytes }, { keepdims: 0 })).toMatchObject({
      values: [255],
      dtype: 'uint8',
    });
    const bools: TensorSpec = { type: 'bool', dims: [2, 2], values: [1, 0, 0, 0] };
    const attributes = { axes: [1], keepdims: 0 };
    expect((await out('ReduceMax', { x: bools }, attributes)).values).toEqual([1, 0]);
  });

  it('do not overflow in LogSumExp', async () => {
    expect((await out('ReduceLogSumExp', { x: list(1000, 1000) })).values[0]).toBeCloseTo(
      1000 + Math.log(2),
      3,
    );
  });
});

describe('types', () => {
  it('cast: fractions are cut off, high bits dropped, short floats rounded to even', async () => {
    const x: TensorSpec = list(-1.5, 300.7, 65519, 65520, 2 ** -25, 1.00048828125);
    const to = async (code: number) => (await out('Cast', { x }, { to: code })).values;
    expect(await to(3)).toEqual([-1, 44, -17, -16, 0, 1]);
    expect(await to(9)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(await to(10)).toEqual([-1.5, 300.75, 65504, Number.POSITIVE_INFINITY, 0, 1]);
    expect((await to(16)).slice(0, 3)).toEqual([-1.5, 300, 65536]);
    expect(await refusal('Cast', { x }, { to: 8 })).toBe(
      "Cast node 'y': element type string is not supported",
    );
  });

  it('wrap in arithmetic of narrow integers', async () => {
    const bytes = (type: TypeName, ...values: number[]): TensorSpec => ({
      type,
      dims: [values.length],
      values,
    });
    expect((await out('Add', { a: bytes('uint8', 250, 1), b: bytes('uint8', 10, 2) })).values).toEqual([
      4, 3,
    ]);
    expect((await out('Mul', { a: bytes('int8', 100, -3), b: bytes('int8', 2, 5) })).values).toEqual([
      -56, -15,
    ]);
    expect((await out('Div', { a: int64(-7, 7), b: int64(2, -2) })).values).toEqual([-3, -3]);
  });

  it('of two inputs must be one', async () => {
    expect(await refusal('Add', { a: list(1), b: int64(1) })).toBe(
      "Add node 'y': input 1 is int64, input 0 is float32",
    );
  });
});

describe('constants', () => {
  it.each<[string, Attributes, number[], number[]]>([
    ['value', { value: { tensor: int64(3, 4) } }, [2], [3, 4]],
    ['value_float', { value_float: { float: 0.5 } }, [], [0.5]],
    ['value_floats', { value_floats: { floats: [0.5, 1] } }, [2], [0.5, 1]],
    ['value_int', { value_int: 7 }, [], [7]],
    ['value_ints', { value_ints: [7, 8] }, [2], [7, 8]],
  ])('%s', async (_, attributes, shape, values) => {
    expect(await out('Constant', {}, attributes)).toMatchObject({ shape, values });
  });

  it('of a shape have the value, or zeros', async () => {
    const value = { value: { tensor: { type: 'int32', dims: [1], values: [9] } } } as const;
    expect(await out('ConstantOfShape', { s: int64(2, 1) }, value)).toEqual({
      shape: [2, 1],
      values: [9, 9],
      dtype: 'int32',
    });
    expect(await out('ConstantOfShape', { s: int64() })).toEqual({
      shape: [],
      values: [0],
      dtype: 'float32',
    });
  });
});

describe('shapes', () => {
  it('Reshape copies axes for 0, unless 0 is meant', async () => {
    const x: TensorSpec = { dims: [2, 0, 3], values: [] };
    expect((await out('Reshape', { x, s: int64(0, 0, 1, 3) })).shape).toEqual([2, 0, 1, 3]);
    expect(await refusal('Reshape', { x, s: int64(0, -1) }, { allowzero: 1 })).toMatch(
      /no single whole value for -1/,
    );
    expect((await out('Reshape', { x, s: int64(3, 0, 5) }, { allowzero: 1 })).shape).toEqual([3, 0, 5]);
    expect((await out('Reshape', { x: counting([2, 3]), s: int64(-1, 0) })).shape).toEqual([2, 3]);
  });

  it('Dropout passes on, with a mask of ones; in training it is refused', async () => {
    const made = await run('Dropout', { x: list(1, 2) }, {}, { outputs: ['y', 'm'] });
    expect([[...made.y.data], [...made.m.data], made.m.dtype]).toEqual([[1, 2], [1, 1], 'uint8']);
    const ratio: TensorSpec = { dims: [], values: [0.5] };
    const training: TensorSpec = { type: 'bool', dims: [], values: [1] };
    expect(await refusal('Dropout', { x: list(1), ratio, training })).toMatch(
      /in training mode draws random numbers/,
    );
    const zero: TensorSpec = { dims: [], values: [0] };
    expect((await out('Dropout', { x: list(1), zero, training })).values).toEqual([1]);
  });

  it('resize within a frame: the aspect is kept', async () => {
    const x = counting([1, 1, 2, 4]);
    const sizes = { x, _roi: x, _scales: x, sizes: int64(7, 8) };
    const attributes = { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' };
    expect((await out('Resize', sizes, attributes, { opset: 18 })).shape).toEqual([1, 1, 4, 8]);
    const larger = { ...attributes, keep_aspect_ratio_policy: 'not_smaller' };
    expect((await out('Resize', sizes, larger, { opset: 18 })).shape).toEqual([1, 1, 7, 14]);
  });
});

describe('refusals name the node and the numbers', () => {
  const image = counting([1, 2, 4, 4]);
  it.each<[string, string, Record<string, TensorSpec>, Attributes, string]>([
    [
      'Conv channels',
      'Conv',
      { x: image, w: counting([1, 3, 3, 3]) },
      {},
      "Conv node 'y': weight must be OIHW with 2 input channels in axis 1, got [1, 3, 3, 3]",
    ],
    [
      'Conv kernel_shape',
      'Conv',
      { x: image, w: counting([1, 2, 2, 2]) },
      { kernel_shape: [3, 3] },
      "Conv node 'y': kernel_shape [3, 3] is not that of the weight, [2, 2]",
    ],
    [
      'pool too large',
      'MaxPool',
      { x: image },
      { kernel_shape: [5, 5] },
      "MaxPool node 'y': no window fits along axis 0: it spans 5, the padded input 4",
    ],
    [
      'attribute type',
      'LeakyRelu',
      { x: image },
      { alpha: 'much' },
      "LeakyRelu node 'y': attribute 'alpha' must be of type float, it is string",
    ],
    [
      'attribute value',
      'Conv',
      { x: image, w: counting([1, 2, 2, 2]) },
      { auto_pad: 'SAME' },
      "Conv node 'y': attribute 'auto_pad' must be one of 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID', it is \"SAME\"",
    ],
    [
      'broadcast',
      'Add',
      { a: list(1, 2), b: list(1, 2, 3) },
      {},
      "Add node 'y': shapes [2] and [3] do not broadcast: 2 against 3 at axis -1",
    ],
    [
      'axis',
      'Softmax',
      { x: list(1) },
      { axis: 1 },
      "Softmax node 'y': axis 1 must lie in [-1, 0] for rank 1",
    ],
    [
      'Gemm',
      'Gemm',
      { a: counting([2, 3]), b: counting([2, 3]) },
      {},
      "Gemm node 'y': inner lengths must agree: 3 of [2, 3], 2 of [2, 3]",
    ],
    ['Gather', 'Gather', { x: list(1, 2), i: int64(2) }, {}, "Gather node 'y': index 2 must lie in [-2, 1]"],
    [
      'Concat',
      'Concat',
      { a: counting([1, 2]), b: counting([2, 2]) },
      { axis: 1 },
      "Concat node 'y': input 1 [2, 2] must match input 0 [1, 2] but for axis 1",
    ],
  ])('%s', async (_, op, inputs, attributes, message) => {
    expect(await refusal(op, inputs, attributes)).toBe(message);
  });

  it('at run time too', async () => {
    const values: ValueSpec[] = [
      { name: 'x', type: 'float32', shape: [5000, 1] },
      { name: 'i', type: 'int64', shape: [5000] },
    ];
    const model = await loadOnnx(oneNode('Gather', values));
    const i = new Int32Array(5000).fill(5000);
    await expect(model.run({ x: tensor(new Float32Array(5000), [5000, 1]), i })).rejects.toThrow(
      "Gather node 'y': index 5000 must lie in [-5000, 4999]",
    );
  });
});
