/** Running in tiles: equal to the whole to the last bit, or refused by the node's name. */
import { describe, expect, it } from 'vitest';
import { type ModelSpec, type NodeSpec, onnxModel, type ValueSpec } from '../../../../test/support/onnx.js';
import { mul, randn, type Tensor, tensor } from '../index.js';
import { autoencoder, denoiser, upscaler } from '../nn/index.js';
import { exportOnnx, loadOnnx, type OnnxModel } from './index.js';

const numbers = (count: number, seed: number) => [...mul(randn([count], { seed }), 0.3).data];
const weight = (dims: number[], seed = 1) => ({
  dims,
  values: numbers(
    dims.reduce((a, b) => a * b),
    seed,
  ),
});
const integers = (...values: number[]) => ({ type: 'int64', dims: [values.length], values }) as const;
const picture: ValueSpec = { name: 'x', type: 'float32', shape: [1, 2, 'h', 'w'] };

/** One node after the other, from `x` to `y`; weights by name. */
const chainOf = (
  nodes: readonly (Omit<NodeSpec, 'inputs' | 'outputs'> & { readonly with?: readonly string[] })[],
  initializers: ModelSpec['initializers'] = {},
): ModelSpec => ({
  nodes: nodes.map(({ with: others = [], ...node }, i) => ({
    ...node,
    inputs: [i === 0 ? 'x' : `v${i}`, ...others],
    outputs: [i === nodes.length - 1 ? 'y' : `v${i + 1}`],
  })),
  inputs: [picture],
  outputs: ['y'],
  initializers,
});

function expectSame(tiled: Tensor, whole: Tensor): void {
  expect([tiled.shape, tiled.dtype]).toEqual([whole.shape, whole.dtype]);
  const [a, b] = [tiled.data, whole.data];
  expect(a.findIndex((value, i) => !Object.is(value, b[i]))).toBe(-1);
}

async function expectExact(
  model: OnnxModel,
  inputs: Record<string, Tensor>,
  tile: number | number[],
): Promise<void> {
  const whole = await model.run(inputs);
  const tiled = await model.run(inputs, { tile });
  expect(Object.keys(tiled)).toEqual(Object.keys(whole));
  for (const [name, y] of Object.entries(whole)) expectSame(tiled[name], y);
}

describe('tiles of a network from a file', () => {
  it.each([
    ['upscaler', () => upscaler({ scale: 3, channels: 4, blocks: 1 }), 1],
    ['denoiser', () => denoiser({ channels: 4, blocks: 1 }), 2],
    ['autoencoder', () => autoencoder({ channels: 4, levels: 2, code: 3 }), 4],
  ])('are the whole: %s', async (_, make, multiple) => {
    const module = make();
    for (const [i, parameter] of module.parameters().entries())
      parameter.assign(mul(randn([...parameter.shape], { seed: i }), 0.3));
    const bytes = exportOnnx(module, randn([1, 3, 32, 32]), { dynamic: 'size', multiple });
    const model = await loadOnnx(bytes);
    await expectExact(model, { [model.inputs[0].name]: randn([1, 3, 84, 100]) }, [20, 36]);
  });

  it('are the whole where sizes are worked out in the graph, and operators loop over values', async () => {
    const spec = chainOf(
      [
        { op: 'Conv', with: ['w', 'b'], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
        { op: 'Round' },
        {
          op: 'MaxPool',
          attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0], ceil_mode: 1 },
        },
        { op: 'ConvTranspose', with: ['wt'], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } },
        { op: 'PRelu', with: ['slope'] },
        { op: 'DepthToSpace', attributes: { blocksize: 2 } },
      ],
      { w: weight([4, 2, 3, 3]), b: weight([4]), wt: weight([4, 8, 4, 4], 2), slope: weight([8, 1, 1], 3) },
    );
    const graph: ModelSpec = {
      ...spec,
      nodes: [
        ...spec.nodes,
        { op: 'Shape', inputs: ['y'], outputs: ['s'] },
        { op: 'Mul', inputs: ['s', 'twice'], outputs: ['s2'] },
        { op: 'Resize', inputs: ['y', '', '', 's2'], outputs: ['large'], attributes: { mode: 'linear' } },
        {
          op: 'AveragePool',
          inputs: ['large'],
          outputs: ['small'],
          attributes: { kernel_shape: [2, 2], strides: [2, 2] },
        },
      ],
      outputs: ['y', 'large', 'small'],
      initializers: { ...spec.initializers, twice: integers(1, 1, 2, 2) },
    };
    await expectExact(await loadOnnx(onnxModel(graph)), { x: randn([1, 2, 93, 77], { seed: 4 }) }, 24);
  });

  it('are the whole with channels last, and beside inputs that are no pictures', async () => {
    const graph: ModelSpec = {
      nodes: [
        { op: 'Transpose', inputs: ['x'], outputs: ['t'], attributes: { perm: [0, 3, 1, 2] } },
        { op: 'Conv', inputs: ['t', 'w'], outputs: ['c'], attributes: { pads: [2, 2, 2, 2] } },
        { op: 'Mul', inputs: ['c', 'strength'], outputs: ['m'] },
        { op: 'Transpose', inputs: ['m'], outputs: ['u'], attributes: { perm: [0, 2, 3, 1] } },
        { op: 'Add', inputs: ['u', 'other'], outputs: ['y'] },
      ],
      inputs: [
        { name: 'x', type: 'float32', shape: [1, 'h', 'w', 3] },
        { name: 'strength', type: 'float32', shape: [1] },
        { name: 'other', type: 'float32', shape: [1, 'h', 'w', 1] },
      ],
      outputs: ['y'],
      initializers: { w: weight([3, 3, 5, 5]) },
    };
    const inputs = {
      x: randn([1, 50, 61, 3]),
      strength: tensor([0.7]),
      other: randn([1, 50, 61, 1], { seed: 5 }),
    };
    await expectExact(await loadOnnx(onnxModel(graph)), inputs, [16, 20]);
  });

  it('are as large as memory allows, and needed only beyond that', async () => {
    const model = await loadOnnx(
      onnxModel(
        chainOf([{ op: 'Conv', with: ['w'], attributes: { pads: [1, 1, 1, 1] } }, { op: 'Tanh' }], {
          w: weight([8, 2, 3, 3]),
        }),
      ),
    );
    const x = randn([1, 2, 120, 90], { seed: 6 });
    const { y } = await model.run({ x });
    for (const maxMemory of [100_000, 400_000, 2 ** 26])
      expectSame((await model.run({ x }, { maxMemory })).y, y);
    await expect(model.run({ x }, { maxMemory: 500 })).rejects.toThrow(/^tiling: the smallest tile needs/);
    const whole = await loadOnnx(onnxModel(chainOf([{ op: 'GlobalAveragePool' }])));
    expectSame((await whole.run({ x }, { tile: 'auto' })).y, (await whole.run({ x })).y);
    const number = await loadOnnx(onnxModel(chainOf([{ op: 'ReduceSum', attributes: { keepdims: 0 } }])));
    expectSame((await number.run({ x }, { tile: 'auto' })).y, (await number.run({ x })).y);
  });

  it('are planned by shapes alone, so that pictures may come and go in parts', async () => {
    const model = await loadOnnx(
      onnxModel(
        chainOf([{ op: 'Conv', with: ['w'], attributes: { pads: [1, 1, 1, 1] } }], {
          w: weight([2, 2, 3, 3]),
        }),
      ),
    );
    const plan = model.planTiles({ x: [1, 2, 20, 9] }, { tile: 8, outputs: ['y'] });
    expect(plan.outputs).toEqual([{ shape: [1, 2, 20, 9], dtype: 'float32' }]);
    expect([plan.tiles.length, plan.halo]).toEqual([6, [[1, 1], [1, 1]]]); // biome-ignore format: short
    const places = plan.tiles.map(({ outputs: [{ place }] }) => place.size.reduce((a, b) => a * b));
    expect(places.reduce((a, b) => a + b)).toBe(2 * 20 * 9);
    expect(() => model.planTiles({})).toThrow("planTiles: the model leaves the shape of 'x' open");
    expect(() => model.planTiles({ x: [1, 2, 20, 9] }, { tiles: 8 } as never)).toThrow(
      "did you mean 'tile'?",
    );
    const pair = await loadOnnx(
      onnxModel({
        nodes: [{ op: 'Mul', inputs: ['x', 'gain'], outputs: ['y'] }],
        inputs: [picture, { name: 'gain', type: 'float32', shape: [1] }],
        outputs: ['y'],
      }),
    );
    expect(() => pair.planTiles({ x: [1, 2, 20, 9] }, { tile: 8 })).toThrow(
      "input 'gain' is not cut with the picture: its values are needed, not its shape",
    );
    expect(pair.planTiles({ x: [1, 2, 20, 9], gain: tensor([2]) }, { tile: 8 }).tiles).toHaveLength(6);
  });

  it('are not cut after an abort', async () => {
    const model = await loadOnnx(onnxModel(chainOf([{ op: 'Relu' }])));
    const signal = AbortSignal.abort();
    await expect(model.run({ x: randn([1, 2, 64, 64]) }, { tile: 16, signal })).rejects.toThrow(/abort/i);
  });
});

describe('refused with the node’s name', () => {
  const x = randn([1, 2, 60, 60]);
  it.each<[string, ModelSpec, string]>([
    [
      'global pooling',
      chainOf([{ op: 'Relu' }, { op: 'GlobalAveragePool', name: 'squeeze' }]),
      "GlobalAveragePool node 'squeeze' takes the whole picture together",
    ],
    [
      'normalisation by the picture',
      chainOf([{ op: 'InstanceNormalization', name: 'norm', with: ['s', 's'] }], { s: weight([2]) }),
      "InstanceNormalization node 'norm' takes the whole picture together",
    ],
    [
      'softmax along rows and columns',
      chainOf([
        { op: 'Softmax', name: 'rows', attributes: { axis: 2 } },
        { op: 'Softmax', attributes: { axis: 3 } },
      ]),
      "Softmax node 'rows' goes over a whole axis of the picture",
    ],
    [
      'a linear layer',
      chainOf([{ op: 'Flatten' }, { op: 'Gemm', name: 'fc', with: ['w'] }], { w: weight([7200, 3]) }),
      "Gemm node 'fc' sums over the picture",
    ],
    [
      'resizing to a size',
      chainOf([{ op: 'Resize', name: 'fit', with: ['', '', 'size'], attributes: { mode: 'linear' } }], {
        size: integers(1, 2, 45, 45),
      }),
      "Resize node 'fit' makes 45 positions of a part of",
    ],
    [
      'aligned corners',
      chainOf(
        [
          {
            op: 'Resize',
            name: 'fit',
            with: ['', 'by'],
            attributes: { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
          },
        ],
        { by: { dims: [4], values: [1, 1, 2, 2] } },
      ),
      "Resize node 'fit' reads positions that do not repeat",
    ],
    [
      'a mask',
      chainOf([{ op: 'Mul', name: 'mask', with: ['m'] }], { m: weight([60, 60]) }),
      "Mul node 'mask' meets a constant that varies over the picture",
    ],
    [
      'attention',
      { ...chainOf([]), nodes: [{ op: 'MatMul', name: 'scores', inputs: ['x', 'x'], outputs: ['y'] }] },
      "MatMul node 'scores' multiplies two values that both come from the picture",
    ],
    [
      'positions of maxima',
      {
        ...chainOf([]),
        nodes: [
          {
            op: 'MaxPool',
            name: 'pool',
            inputs: ['x'],
            outputs: ['p', 'y'],
            attributes: { kernel_shape: [2, 2] },
          },
        ],
      },
      "MaxPool node 'pool': tiling: the picture cannot be cut into tiles: the network looks at values",
    ],
  ])('%s', async (_, spec, message) => {
    const model = await loadOnnx(onnxModel(spec));
    await expect(model.run({ x }, { tile: 20 })).rejects.toThrow(message);
  });

  it('wrong options', async () => {
    const model = await loadOnnx(onnxModel(chainOf([{ op: 'Relu' }])));
    await expect(model.run({ x }, { tile: [1, 2, 3] })).rejects.toThrow(
      "run: tile must be 'auto', an integer ≥ 1, or 2 of them, got [1, 2, 3]",
    );
    const flat = { ...chainOf([{ op: 'Relu' }]), inputs: [{ ...picture, shape: [8, 8] }] };
    await expect((await loadOnnx(onnxModel(flat))).run({ x: randn([8, 8]) }, { tile: 4 })).rejects.toThrow(
      'run: no input is a picture: none has three axes or more',
    );
  });
});
