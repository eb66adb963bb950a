/** Running: inputs and outputs, taps, signals, plans by signature, fusing. */

import { readFileSync } from 'node:fs';
import { conv2d, randn, type Tensor, tensor } from 'deconv';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ModelSpec, type NodeSpec, oneNode, onnxModel } from '../../../../test/support/onnx.js';
import { currentBackend } from '../backends.js';
import type { Storage } from '../tensor.js';
import { loadOnnx } from './index.js';

const float = (name: string, shape: (number | string)[]) => ({ name, type: 'float32', shape }) as const;
const values = (x: Tensor) => [...x.data];
const numbers = (count: number, seed = 1) => [...randn([count], { seed }).data];

describe('inputs', () => {
  const load = () => loadOnnx(oneNode('Relu', [float('image', ['n', 2])]));

  it('are tensors, values with dims, or values alone where the shape is fixed', async () => {
    const model = await load();
    expect(model.inputs).toEqual([
      { name: 'image', shape: ['n', 2], dtype: 'float32', elementType: 'float32' },
    ]);
    const data = new Float32Array([1, -1]);
    expect(values((await model.run({ image: tensor(data, [1, 2]) })).y)).toEqual([1, 0]);
    expect(values((await model.run({ image: { data, dims: [1, 2] } })).y)).toEqual([1, 0]);
    await expect(model.run({ image: data })).rejects.toThrow("leaves the shape of 'image' open");
    const fixed = await loadOnnx(oneNode('Relu', [float('x', [1, 2])]));
    expect((await fixed.run({ x: data })).y.shape).toEqual([1, 2]);
  });

  it('are refused with their names and numbers', async () => {
    const model = await load();
    const run = (inputs: object) => model.run(inputs as never);
    await expect(run({})).rejects.toThrow("run: input 'image' (float32 [n, 2]) is missing");
    await expect(run({ imgae: tensor([1]) })).rejects.toThrow(
      "run: the model has no input 'imgae' — did you mean 'image'?",
    );
    await expect(run({ image: tensor([1, 2, 3]) })).rejects.toThrow(
      "run: input 'image' must have shape [n, 2], got [3]",
    );
    await expect(run({ image: tensor(new Uint8Array(2), [1, 2]) })).rejects.toThrow(
      "run: input 'image' must be float32, got uint8 — cast(x, 'float32')",
    );
    await expect(run({ image: { data: new Float32Array(3), dims: [1, 2] } })).rejects.toThrow(
      'holds 2 values, got 3',
    );
    await expect(run(tensor([1]))).rejects.toThrow('inputs must be an object by name');
  });

  it('stay the caller’s: neither disposed of nor aliased by an output', async () => {
    const model = await loadOnnx(oneNode('Identity', [float('x', [2])]));
    const x = tensor([1, 2]);
    const { y } = await model.run({ x });
    y.data[0] = 9;
    expect(values(x)).toEqual([1, 2]);
    x.dispose();
    expect(values(y)).toEqual([9, 2]);
  });
});

describe('outputs', () => {
  const spec: ModelSpec = {
    nodes: [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['c'], outputs: ['r'] },
      { op: 'Reshape', inputs: ['r', 's'], outputs: ['y'] },
    ],
    inputs: [float('x', [1, 1, 3, 3])],
    outputs: ['y'],
    initializers: {
      w: { dims: [2, 1, 3, 3], values: numbers(18) },
      s: { type: 'int64', dims: [2], values: [2, -1] },
    },
  };
  const x = randn([1, 1, 3, 3], { seed: 2 });
  const plain = conv2d(x, tensor(new Float32Array(numbers(18)), [2, 1, 3, 3]), { padding: 1 });

  it('can be any values of the graph, for one run or for all', async () => {
    const model = await loadOnnx(onnxModel(spec));
    const one = await model.run({ x }, { outputs: ['c'] });
    expect(Object.keys(one)).toEqual(['c']);
    expect(values(one.c)).toEqual(values(plain));
    const both = await model.tap('c').run({ x });
    expect(Object.keys(both)).toEqual(['y', 'c']);
    expect(values(both.c)).toEqual(values(plain));
    expect(values(both.y)).toEqual(values(plain).map((v) => Math.max(v, 0)));
    expect(Object.keys(await model.untap('c').run({ x }))).toEqual(['y']);
    expect(() => model.tap('q')).toThrow('tap: the model has no value "q" — did you mean \'c\'?');
    expect(model.values).toEqual(['c', 'r', 'y']);
    await expect(model.run({ x }, { outputs: [] })).rejects.toThrow('outputs must be an array of names');
    await expect(model.run({ x }, { output: ['c'] } as never)).rejects.toThrow("did you mean 'outputs'?");
  });

  it('may be disposed of, written to, and asked for again; runs may overlap', async () => {
    const model = await loadOnnx(onnxModel(spec));
    const expected = values(plain).map((v) => Math.max(v, 0));
    const runs = await Promise.all(Array.from({ length: 5 }, () => model.tap('r').run({ x })));
    for (const { y, r } of runs) {
      expect(values(y)).toEqual(expected);
      y.dispose();
      expect(values(r)).toEqual(expected);
    }
    expect(values((await model.run({ x })).y)).toEqual(expected);
  });

  it('that are constants are copies', async () => {
    const model = await loadOnnx(
      onnxModel({
        nodes: [{ op: 'Neg', inputs: ['w'], outputs: ['y'] }],
        outputs: ['y'],
        initializers: { w: { dims: [1], values: [3] } },
      }),
    );
    const first = await model.run({});
    first.y.data[0] = 7;
    first.y.dispose();
    expect(values((await model.run({})).y)).toEqual([-3]);
  });
});

describe('a signal', () => {
  it('stops a run before it starts, and between two steps', async () => {
    const nodes: NodeSpec[] = Array.from({ length: 400 }, (_, i) => ({
      op: 'Exp',
      inputs: [i === 0 ? 'x' : `v${i - 1}`],
      outputs: [i === 399 ? 'y' : `v${i}`],
    }));
    const model = await loadOnnx(onnxModel({ nodes, inputs: [float('x', [200_000])], outputs: ['y'] }));
    const x = new Float32Array(200_000);
    await expect(model.run({ x }, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 0);
    await expect(model.run({ x }, { signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('planning', () => {
  it('computes shapes beforehand, for each shape of the input', async () => {
    // Flatten written as exporters do: Shape → Gather → Concat → Reshape.
    const model = await loadOnnx(
      onnxModel({
        nodes: [
          { op: 'Shape', inputs: ['x'], outputs: ['s'] },
          { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
          { op: 'Unsqueeze', inputs: ['n', 'zeros'], outputs: ['m'] },
          { op: 'Concat', inputs: ['m', 'rest'], outputs: ['t'], attributes: { axis: 0 } },
          { op: 'Reshape', inputs: ['x', 't'], outputs: ['y'] },
        ],
        inputs: [float('x', ['n', 2, 'w'])],
        outputs: ['y'],
        initializers: {
          zero: { type: 'int64', dims: [], values: [0] },
          zeros: { type: 'int64', dims: [1], values: [0] },
          rest: { type: 'int64', dims: [1], values: [-1] },
        },
      }),
    );
    for (const shape of [
      [1, 2, 3],
      [3, 2, 5],
    ])
      expect((await model.run({ x: randn(shape) })).y.shape).toEqual([shape[0], 2 * shape[2]]);
    expect(model.summary({ x: [1, 2, 3] }).nodes.map(({ op }) => op)).toEqual(['Reshape']);
  });

  it('takes contents of small inputs into the signature where an operator needs them', async () => {
    const shape = { name: 'shape', type: 'int64', shape: [2] } as const;
    const model = await loadOnnx(oneNode('Reshape', [float('x', [6]), shape]));
    const x = new Float32Array([1, 2, 3, 4, 5, 6]);
    for (const wanted of [
      [2, 3],
      [3, 2],
      [2, 3],
    ])
      expect((await model.run({ x, shape: new Int32Array(wanted) })).y.shape).toEqual(wanted);
    expect(() => model.summary()).toThrow("the contents of input 'shape' decide shapes");
    expect(model.summary({ shape: new Int32Array([6, 1]) }).nodes[0].shapes).toEqual([[6, 1]]);
    await expect(model.run({ x, shape: new Int32Array([4, 2]) })).rejects.toThrow(
      "Reshape node 'y': shape [4, 2] holds 8 values, the input [6] has 6",
    );
  });

  it('refuses shapes that depend on large data, by name', async () => {
    const model = await loadOnnx(
      onnxModel({
        nodes: [
          { op: 'ReduceMax', inputs: ['x'], outputs: ['m'], attributes: { keepdims: 0 } },
          { op: 'Cast', inputs: ['m'], outputs: ['i'], attributes: { to: 7 } },
          { op: 'Reshape', inputs: ['i', 'one'], outputs: ['s'] },
          { op: 'Expand', inputs: ['x', 's'], outputs: ['y'] },
        ],
        inputs: [float('x', [1, 5000])],
        outputs: ['y'],
        initializers: { one: { type: 'int64', dims: [1], values: [1] } },
      }),
    );
    await expect(model.run({ x: new Float32Array(5000) })).rejects.toThrow(
      "Expand node 'y': must know the contents of 's' before the run, but they depend on the data of input 'x' — export the model with fixed shapes",
    );
  });
});

describe('fusing', () => {
  const bn = ['g', 'b', 'm', 'v'];
  const parameters = (channels: number) => ({
    g: { dims: [channels], values: numbers(channels, 3) },
    b: { dims: [channels], values: numbers(channels, 4) },
    m: { dims: [channels], values: numbers(channels, 5) },
    v: { dims: [channels], values: numbers(channels, 6).map((value) => value * value + 0.5) },
  });
  const chains: Record<string, { nodes: NodeSpec[]; weight: number[]; left: string[] }> = {
    'Pad → Conv → BatchNormalization → LeakyRelu': {
      weight: [4, 3, 3, 3],
      nodes: [
        { op: 'Pad', inputs: ['x', 'pads'], outputs: ['p'] },
        { op: 'Conv', inputs: ['p', 'w'], outputs: ['c'], attributes: { pads: [0, 1, 0, 1] } },
        { op: 'BatchNormalization', inputs: ['c', ...bn], outputs: ['n'] },
        { op: 'LeakyRelu', inputs: ['n'], outputs: ['y'], attributes: { alpha: 0.2 } },
      ],
      left: ['Conv'],
    },
    'ConvTranspose in groups → BatchNormalization → Identity → Tanh': {
      weight: [3, 4, 3, 3],
      nodes: [
        {
          op: 'ConvTranspose',
          inputs: ['x', 'w'],
          outputs: ['c'],
          attributes: { strides: [2, 2], group: 1 },
        },
        { op: 'BatchNormalization', inputs: ['c', ...bn], outputs: ['n'] },
        { op: 'Identity', inputs: ['n'], outputs: ['i'] },
        { op: 'Tanh', inputs: ['i'], outputs: ['y'] },
      ],
      left: ['ConvTranspose'],
    },
    'Conv with bias → Add per channel → Dropout → Clip': {
      weight: [4, 3, 1, 1],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'] },
        { op: 'Add', inputs: ['shift', 'c'], outputs: ['a'] },
        { op: 'Dropout', inputs: ['a'], outputs: ['d'] },
        { op: 'Clip', inputs: ['d', 'low', 'high'], outputs: ['y'] },
      ],
      left: ['Conv'],
    },
    'Conv with bias → PRelu of a slope per channel': {
      weight: [4, 3, 3, 3],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'] },
        { op: 'PRelu', inputs: ['c', 'shift'], outputs: ['y'] },
      ],
      left: ['Conv'],
    },
    'ConvTranspose → Add → PRelu of one slope': {
      weight: [3, 4, 3, 3],
      nodes: [
        { op: 'ConvTranspose', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [2, 2] } },
        { op: 'Add', inputs: ['c', 'shift'], outputs: ['a'] },
        { op: 'PRelu', inputs: ['a', 'low'], outputs: ['y'] },
      ],
      left: ['ConvTranspose'],
    },
    'Conv → PRelu of a slope per row': {
      weight: [4, 3, 2, 3],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'PRelu', inputs: ['c', 'rows'], outputs: ['r'] },
        { op: 'Relu', inputs: ['r'], outputs: ['y'] },
      ],
      left: ['Conv', 'PRelu', 'Relu'],
    },
    'Conv whose output is used twice': {
      weight: [4, 3, 1, 1],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'Tanh', inputs: ['c'], outputs: ['s'] },
        { op: 'Mul', inputs: ['c', 's'], outputs: ['y'] },
      ],
      left: ['Conv', 'Tanh', 'Mul'],
    },
    'Conv → BatchNormalization → its product with its Sigmoid → Conv transposed → HardSwish': {
      weight: [4, 3, 3, 3],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } },
        { op: 'BatchNormalization', inputs: ['c', ...bn], outputs: ['n'] },
        { op: 'Sigmoid', inputs: ['n'], outputs: ['s'] },
        { op: 'Mul', inputs: ['s', 'n'], outputs: ['gated'] },
        { op: 'ConvTranspose', inputs: ['gated', 'w', 'three'], outputs: ['t'] },
        { op: 'HardSwish', inputs: ['t'], outputs: ['y'] },
      ],
      left: ['Conv', 'ConvTranspose'],
    },
    'products with a Sigmoid of the input, of a value used again, and of something else': {
      weight: [4, 3, 1, 1],
      nodes: [
        { op: 'Sigmoid', inputs: ['x'], outputs: ['va'] },
        { op: 'Mul', inputs: ['x', 'va'], outputs: ['vb'] },
        { op: 'Conv', inputs: ['vb', 'w'], outputs: ['vc'] },
        { op: 'Sigmoid', inputs: ['vc'], outputs: ['vd'] },
        { op: 'Mul', inputs: ['vc', 'vd'], outputs: ['ve'] },
        { op: 'Add', inputs: ['vc', 've'], outputs: ['vf'] },
        { op: 'Sigmoid', inputs: ['vf'], outputs: ['vg'] },
        { op: 'Mul', inputs: ['ve', 'vg'], outputs: ['y'] },
      ],
      left: ['Sigmoid', 'Conv', 'Sigmoid', 'Add', 'Sigmoid', 'Mul'],
    },
    'Conv → Relu → BatchNormalization': {
      weight: [4, 3, 1, 1],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'Relu', inputs: ['c'], outputs: ['r'] },
        { op: 'BatchNormalization', inputs: ['r', ...bn], outputs: ['y'] },
      ],
      left: ['Conv', 'BatchNormalization'],
    },
    'Conv → Sigmoid → BatchNormalization → Relu': {
      weight: [4, 3, 1, 1],
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'Sigmoid', inputs: ['c'], outputs: ['s'] },
        { op: 'BatchNormalization', inputs: ['s', ...bn], outputs: ['n'] },
        { op: 'Relu', inputs: ['n'], outputs: ['y'] },
      ],
      left: ['Conv', 'BatchNormalization'],
    },
  };

  it.each(Object.entries(chains))(
    '%s gives what the nodes give one by one',
    async (_, { nodes, weight, left }) => {
      const model = await loadOnnx(
        onnxModel({
          nodes,
          inputs: [float('x', ['n', 3, 'h', 'w'])],
          outputs: ['y'],
          initializers: {
            w: { dims: weight, values: numbers(weight.reduce((a, b) => a * b, 1)) },
            ...parameters(4),
            pads: { type: 'int64', dims: [8], values: [0, 0, 1, 0, 0, 0, 2, 1] },
            shift: { dims: [4, 1, 1], values: [1, 2, 3, 4] },
            three: { dims: [3], values: [0.5, -1, 2] },
            rows: { dims: [4, 1], values: [0.1, -0.2, 0.3, 0.4] },
            low: { dims: [], values: [-0.5] },
            high: { dims: [], values: [2.5] },
          },
        }),
      );
      expect(model.summary({ x: [2, 3, 5, 6] }).nodes.map(({ op }) => op)).toEqual(left);
      const x = randn([2, 3, 5, 6], { seed: 9 });
      const { y } = await model.run({ x });
      const each = await model.run({ x }, { outputs: model.values });
      expect(Object.keys(each)).toEqual(model.values);
      expect(y.shape).toEqual(each.y.shape);
      const largest = Math.max(...values(each.y).map(Math.abs));
      for (const [i, value] of each.y.data.entries())
        expect(Math.abs(value - y.data[i])).toBeLessThan(1e-5 * largest);
    },
  );

  it('divides the channels of grouped transposed convolutions right', async () => {
    const model = await loadOnnx(
      onnxModel({
        nodes: [
          { op: 'ConvTranspose', inputs: ['x', 'w'], outputs: ['c'], attributes: { group: 2 } },
          { op: 'BatchNormalization', inputs: ['c', ...bn], outputs: ['y'] },
        ],
        inputs: [float('x', [1, 4, 2, 2])],
        outputs: ['y'],
        initializers: { w: { dims: [4, 3, 2, 2], values: numbers(48) }, ...parameters(6) },
      }),
    );
    const x = randn([1, 4, 2, 2], { seed: 3 });
    const { y } = await model.run({ x });
    const each = await model.run({ x }, { outputs: ['c', 'y'] });
    for (const [i, value] of each.y.data.entries()) expect(y.data[i]).toBeCloseTo(value, 5);
  });
});

describe('memory', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(['dcgan', 'fsrcnn', 'vae'])('%s leaves nothing behind but its outputs', async (name) => {
    const file = new URL(`../../../../test/fixtures/onnx/${name}/model.onnx`, import.meta.url);
    const model = await loadOnnx(readFileSync(file));
    const [{ name: input, shape }] = model.inputs;
    const x = randn(shape.map((length) => (typeof length === 'number' && length > 0 ? length : 8)));
    await model.run({ [input]: x });
    const backend = currentBackend();
    const [run, upload] = [backend.run.bind(backend), backend.upload.bind(backend)];
    const made: Storage[] = [];
    const keep = (storage: Storage) => {
      made.push(storage);
      return storage;
    };
    vi.spyOn(backend, 'run').mockImplementation((...call) => keep(run(...call)));
    vi.spyOn(backend, 'upload').mockImplementation((values) => keep(upload(values)));
    const outputs = Object.values(await model.run({ [input]: x }));
    expect(made.length).toBeGreaterThan(outputs.length);
    const alive = made.filter(({ holders }) => holders >= 0);
    expect(alive).toEqual(outputs.map(({ storage }) => storage));
    for (const output of outputs) output.dispose();
    expect(made.filter(({ holders }) => holders >= 0)).toEqual([]);
  });
});

describe('a summary', () => {
  it('is a table of nodes, shapes, parameters and operations', async () => {
    const model = await loadOnnx(
      onnxModel({
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], name: 'conv1' },
          {
            op: 'MaxPool',
            inputs: ['c'],
            outputs: ['y'],
            name: 'pool',
            attributes: { kernel_shape: [2, 2], strides: [2, 2] },
          },
        ],
        inputs: [float('x', ['n', 3, 10, 10])],
        outputs: ['y'],
        initializers: { w: { dims: [8, 3, 3, 3], values: new Array<number>(216).fill(1) } },
      }),
    );
    expect(() => model.summary()).toThrow(
      'summary: the model leaves the shape of \'x\' open: [n, 3, 10, 10] — give it: summary({ "x": [1, 3, 224, 224] })',
    );
    const summary = model.summary({ x: [1, 3, 10, 10] });
    expect(summary.flops).toBe(2 * 216 * 64);
    expect(String(summary)).toBe(
      [
        'node   operator  output        parameters   flops',
        'conv1  Conv      [1, 8, 8, 8]         216  27.6 k',
        'pool   MaxPool   [1, 8, 4, 4]',
        '2 nodes, 216 parameters, 27.6 kflop',
      ].join('\n'),
    );
  });
});
