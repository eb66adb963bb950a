import { describe, expect, it } from 'vitest';
import { grad } from '../autograd.js';
import { conv2d, convTranspose2d } from '../ops/conv.js';
import { ones, rand, randn, tensor, zeros } from '../ops/create.js';
import { leakyRelu, mul, relu } from '../ops/elementwise.js';
import { permute } from '../ops/layout.js';
import { batchNorm } from '../ops/norm.js';
import { sum } from '../ops/reduce.js';
import { maxPool2d, maxUnpool2d } from '../ops/window.js';
import type { Tensor } from '../tensor.js';
import * as nn from './index.js';

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'not refused';
};

describe('convolutions as layers', () => {
  it('hand every option on', () => {
    const x = randn([2, 4, 7, 6], { seed: 1 });
    const options = { stride: 2, padding: [1, [0, 2]], dilation: [1, 2], groups: 2 } as const;
    const layer = new nn.Conv2d(4, 6, { kernelSize: [3, 2], ...options, activation: 'tanh' });
    const { weight, bias } = layer;
    expect([weight.shape, bias?.shape, layer.inChannels]).toEqual([[6, 2, 3, 2], [6], 4]);
    expect(layer.forward(x).data).toEqual(conv2d(x, weight, { ...options, bias, activation: 'tanh' }).data);

    const back = { stride: 3, padding: 1, outputPadding: [0, 2], groups: 2, overlap: 'average' } as const;
    const up = new nn.ConvTranspose2d(4, 6, { kernelSize: 4, ...back });
    expect([up.weight.shape, up.inChannels]).toEqual([[4, 3, 4, 4], 4]);
    expect(up.forward(x).data).toEqual(convTranspose2d(x, up.weight, { ...back, bias: up.bias }).data);
    const shaped = new nn.ConvTranspose2d(4, 1, {
      kernelSize: 3,
      stride: 2,
      padding: 'same',
      outputShape: [13, 11],
    });
    expect(shaped.forward(x).shape).toEqual([2, 1, 13, 11]);
  });

  it('NHWC: the same numbers, channels last, also when they are open and when padding copies', () => {
    const x = randn([2, 3, 6, 5], { seed: 1 });
    const last = permute(x, [0, 2, 3, 1]);
    for (const options of [
      { padding: 1 },
      { padding: [1, 2], paddingMode: 'reflect' },
      { padding: 'same', paddingMode: 'circular', dilation: 2 },
    ] as const) {
      const first = new nn.Conv2d(3, 4, { kernelSize: 3, seed: 5, ...options });
      const other = new nn.Conv2d(undefined, 4, { kernelSize: 3, seed: 5, dataFormat: 'NHWC', ...options });
      expect(other.forward(last).data).toEqual(permute(first.forward(x), [0, 2, 3, 1]).data);
    }
    const up = new nn.ConvTranspose2d(undefined, 4, { kernelSize: 3, dataFormat: 'NHWC' });
    expect(up.forward(last).shape).toEqual([2, 8, 7, 4]);
  });

  it('compute in float64 where asked', () => {
    const layer = new nn.Conv1d(2, 2, { kernelSize: 3, dtype: 'float64' });
    expect(layer.forward(randn([1, 2, 5], { dtype: 'float64' })).dtype).toBe('float64');
    expect(layer.summary([1, 2, 5]).outputShape).toEqual([1, 2, 3]);
  });

  it('begin as PyTorch’s do: uniform within 1/√fanIn, weight and bias', () => {
    const layer = new nn.Conv2d(16, 64, { kernelSize: 3, groups: 2, seed: 1 });
    const up = new nn.ConvTranspose2d(16, 32, { kernelSize: 3, seed: 1 });
    const linear = new nn.Linear(144, 50, { seed: 1 });
    for (const [{ weight, bias }, fanIn] of [
      [layer, 72],
      [up, 288],
      [linear, 144],
    ] as const) {
      const bound = 1 / Math.sqrt(fanIn);
      for (const values of [weight.data, bias?.data ?? []]) {
        expect(Math.max(...values)).toBeLessThanOrEqual(bound);
        expect(Math.min(...values)).toBeGreaterThanOrEqual(-bound);
        expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(1.7 * bound);
      }
      const spread = Array.from(weight.data).reduce((total, value) => total + value * value, 0) / weight.size;
      expect(Math.sqrt(3 * spread) / bound).toBeCloseTo(1, 1);
    }
  });

  it.each<[string, () => unknown]>([
    ['Conv2d: kernelSize is required', () => new nn.Conv2d(1, 1, {} as never)],
    ['Conv2d: kernelSize needs 2 values', () => new nn.Conv2d(1, 1, { kernelSize: [3] })],
    ['Conv2d: outChannels must be an integer ≥ 1, got 0', () => new nn.Conv2d(1, 0, { kernelSize: 1 })],
    ['Conv2d: inChannels must be an integer ≥ 1, got 1.5', () => new nn.Conv2d(1.5, 1, { kernelSize: 1 })],
    ['Conv2d: input channels 3 must divide by groups 2', () => new nn.Conv2d(3, 2, { kernelSize: 1, groups: 2 })],
    ['Conv2d: output channels 3 must divide by groups 2', () => new nn.Conv2d(2, 3, { kernelSize: 1, groups: 2 })],
    ['Conv2d: stride must be an integer ≥ 1, got 0', () => new nn.Conv2d(1, 1, { kernelSize: 1, stride: 0 })],
    ['Conv2d: padding must be an integer', () => new nn.Conv2d(1, 1, { kernelSize: 1, padding: 'SAME' as never })],
    ["Conv2d: unknown option 'kernel_size' — did you mean 'kernelSize'?", () => new nn.Conv2d(1, 1, { kernel_size: 1 } as never)],
    ["Conv2d: unknown option 'outputPadding'", () => new nn.Conv2d(1, 1, { kernelSize: 1, outputPadding: 1 } as never)],
    ['Conv2d: bias must be true or false, got a Tensor', () => new nn.Conv2d(1, 1, { kernelSize: 1, bias: zeros([1]) as never })],
    ["Conv2d: paddingMode must be one of 'zeros', 'reflect', 'replicate', 'circular', got \"mirror\"", () => new nn.Conv2d(1, 1, { kernelSize: 1, paddingMode: 'mirror' as never })],
    ["Conv2d: activation must be one of", () => new nn.Conv2d(1, 1, { kernelSize: 1, activation: 'gelu' as never })],
    ["Conv2d: dtype must be one of 'float32', 'float64', got \"int32\"", () => new nn.Conv2d(1, 1, { kernelSize: 1, dtype: 'int32' as never })],
    ['Conv2d: seed must be an integer, got 0.5', () => new nn.Conv2d(1, 1, { kernelSize: 1, seed: 0.5 })],
    ["ConvTranspose1d: overlap must be one of 'sum', 'average'", () => new nn.ConvTranspose1d(1, 1, { kernelSize: 1, overlap: 'mean' as never })],
    ['ConvTranspose3d: outputPadding needs 3 values', () => new nn.ConvTranspose3d(1, 1, { kernelSize: 1, outputPadding: [1] })],
    ['Conv2d: input must be (batch, channels, …space) of rank 4 with ≥ 1 channel, got [3, 4, 4]', () => new nn.Conv2d(undefined, 1, { kernelSize: 1 }).forward(zeros([3, 4, 4]))],
    ['Conv2d: input must be a tensor, got 3', () => new nn.Conv2d(1, 1, { kernelSize: 1 }).forward(3 as never)],
    ['Linear: inFeatures must be an integer ≥ 1, got 0', () => new nn.Linear(0, 1)],
    ['Linear: input must end in an axis of 3, got [2, 4]', () => new nn.Linear(3, 1).forward(zeros([2, 4]))],
    ['Linear: input must end in an axis of ≥ 1, got [2, 0]', () => new nn.Linear(undefined, 1).forward(zeros([2, 0]))],
  ])('refuses: %s', (text, call) => expect(refusal(call)).toContain(text)); // biome-ignore format: a table
});

describe('seeds', () => {
  const weights = () =>
    [new nn.Conv2d(2, 2, { kernelSize: 2 }), new nn.Linear(4, 2)].map(({ weight }) => [...weight.data]);

  it('layers made one after the other differ; the same program makes the same ones', () => {
    nn.manualSeed(3);
    const [first, second] = [weights(), weights()];
    expect(first).not.toEqual(second);
    expect(first[0]).not.toEqual(first[1]);
    nn.manualSeed(3);
    expect([weights(), weights()]).toEqual([first, second]);
    nn.manualSeed(4);
    expect(weights()).not.toEqual(first);
    expect(refusal(() => nn.manualSeed(1.5))).toContain('seed must be an integer, got 1.5');
  });

  it('a seed of its own makes a layer independent of the others', () => {
    const made = () => [...new nn.Linear(3, 2, { seed: 9 }).weight.data];
    const before = made();
    weights();
    expect(made()).toEqual(before);
  });

  it('order of first calls does not matter', () => {
    const values = (order: readonly number[]) => {
      nn.manualSeed(1);
      const layers = [new nn.Linear(undefined, 2), new nn.Linear(undefined, 2)];
      for (const i of order) layers[i].forward(zeros([1, 3]));
      return layers.map(({ weight }) => [...weight.data]);
    };
    expect(values([0, 1])).toEqual(values([1, 0]));
  });
});

describe('a function after a convolution is fused in a Sequential', () => {
  const functions = [new nn.ReLU(), new nn.ReLU6(), new nn.LeakyReLU(0.1), new nn.Sigmoid(), new nn.Tanh()];

  it.each(functions.map((f) => [f.type, f] as const))(
    '%s: the same values, bit for bit, and the same gradients',
    (_, f) => {
      for (const layer of [
        new nn.Conv2d(3, 5, { kernelSize: 3, seed: 1 }),
        new nn.ConvTranspose2d(3, 5, { kernelSize: 4, stride: 2, seed: 1 }),
      ]) {
        const x = mul(randn([2, 3, 8, 9], { seed: 2 }), 4).detach();
        x.requiresGrad = true;
        const inputs = [x, ...layer.parameters()];
        const fused = new nn.Sequential(layer, f).forward(x);
        const apart = f.forward(layer.forward(x));
        expect(fused.data).toEqual(apart.data);
        const gradOutput = randn(fused.shape, { seed: 3 });
        const [got, wanted] = [fused, apart].map((y) => grad(y, inputs, { gradOutput }));
        for (const [i, g] of got.entries()) {
          const largest = Math.max(...wanted[i].data.map(Math.abs));
          for (const [at, value] of g.data.entries())
            expect(Math.abs(value - wanted[i].data[at]) / largest).toBeLessThan(2e-6);
        }
      }
    },
  );

  it('in one operation', () => {
    const net = new nn.Sequential(new nn.Conv2d(1, 1, { kernelSize: 1 }), new nn.ReLU());
    expect(net.forward(ones([1, 1, 2, 2])).node?.name).toBe('conv2d');
  });

  it('but not where another function stands already, the slope is negative, or somebody looks', () => {
    const x = randn([1, 2, 4, 4], { seed: 1 });
    const two = new nn.Conv2d(2, 2, { kernelSize: 1, activation: 'tanh' });
    expect(new nn.Sequential(two, new nn.ReLU()).forward(x).data).toEqual(relu(two.forward(x)).data);
    const plain = new nn.Conv2d(2, 2, { kernelSize: 1 });
    expect(new nn.Sequential(plain, new nn.LeakyReLU(-2)).forward(x).data).toEqual(
      leakyRelu(plain.forward(x), -2).data,
    );
    class Doubled extends nn.Conv2d {
      override forward(input: Tensor): Tensor {
        return mul(super.forward(input), 2);
      }
    }
    const doubled = new Doubled(2, 2, { kernelSize: 1 });
    expect(new nn.Sequential(doubled, new nn.ReLU()).forward(x).data).toEqual(relu(doubled.forward(x)).data);
    class Shifted extends nn.ReLU {
      override forward(input: Tensor): Tensor {
        return leakyRelu(input, 3);
      }
    }
    expect(new nn.Sequential(plain, new Shifted()).forward(x).data).toEqual(
      leakyRelu(plain.forward(x), 3).data,
    );
  });
});

describe('normalisations', () => {
  it('running statistics follow, and are counted', () => {
    const norm = new nn.BatchNorm2d(2, { momentum: 0.5 });
    const x = randn([4, 2, 3, 3], { seed: 1 });
    const [mean, variance] = [zeros([2]), ones([2])];
    for (let i = 0; i < 3; i++) {
      norm.forward(x);
      batchNorm(x, { runningMean: mean, runningVar: variance, momentum: 0.5, training: true });
    }
    expect(norm.stateDict()['running_mean'].data).toEqual(mean.data);
    expect(norm.runningVar?.data).toEqual(variance.data);
    expect(norm.stateDict()['num_batches_tracked'].item()).toBe(3);
    norm.eval().forward(x);
    expect(norm.numBatchesTracked?.item()).toBe(3);
  });

  it('momentum null averages over all batches', () => {
    const norm = new nn.BatchNorm1d(1, { momentum: null });
    for (const values of [
      [1, 3],
      [5, 7],
      [0, 2],
    ])
      norm.forward(tensor(values, [2, 1]));
    expect(norm.runningMean?.item()).toBeCloseTo(3, 6);
    expect(norm.runningVar?.item()).toBeCloseTo(2, 6);
  });

  it('keep the statistics they had where a batch is refused', () => {
    const norm = new nn.BatchNorm1d(3);
    expect(refusal(() => norm.forward(zeros([1, 3])))).toContain('more than 1 value per channel');
    expect(norm.numBatchesTracked?.item()).toBe(0);
  });

  it.each<[string, () => unknown]>([
    ['BatchNorm2d: input must be (N, 3, …) of rank 4, got [2, 4, 5, 5]', () => new nn.BatchNorm2d(3).forward(zeros([2, 4, 5, 5]))],
    ['BatchNorm1d: input must be (N, 3, …) of rank 2 or 3, got [2, 3, 5, 5]', () => new nn.BatchNorm1d(3).forward(zeros([2, 3, 5, 5]))],
    ['BatchNorm2d: numFeatures must be an integer ≥ 1, got 0', () => new nn.BatchNorm2d(0)],
    ['BatchNorm2d: momentum must be a number in [0, 1] or null, got 2', () => new nn.BatchNorm2d(1, { momentum: 2 })],
    ['InstanceNorm2d: momentum must be a number in [0, 1], got null', () => new nn.InstanceNorm2d(1, { momentum: null })],
    ['BatchNorm2d: eps must be a number ≥ 0, got -1', () => new nn.BatchNorm2d(1, { eps: -1 })],
    ["BatchNorm2d: unknown option 'track_running_stats' — did you mean 'trackRunningStats'?", () => new nn.BatchNorm2d(1, { track_running_stats: true } as never)],
    ['GroupNorm: numGroups 4 must divide numChannels 6', () => new nn.GroupNorm(4, 6)],
    ['GroupNorm: input must be (N, 6, …), got [1, 4, 2]', () => new nn.GroupNorm(2, 6).forward(zeros([1, 4, 2]))],
    ['LayerNorm: normalizedShape must have axes ≥ 1, got []', () => new nn.LayerNorm([])],
    ['layerNorm: normalizedShape [3] must be the last axes of x [2, 4]', () => new nn.LayerNorm(3).forward(zeros([2, 4]))],
  ])('refuse: %s', (text, call) => expect(refusal(call)).toContain(text)); // biome-ignore format: a table
});

describe('dropout', () => {
  const x = ones([50, 40]);

  it('leaves out a share p, scales the rest up, in training alone', () => {
    const layer = new nn.Dropout(0.3, { seed: 5 });
    const values = layer.forward(x).data;
    const kept = values.filter((value) => value !== 0);
    expect(kept.length / values.length).toBeCloseTo(0.7, 1);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.7)]));
    expect(layer.eval().forward(x)).toBe(x);
    expect(new nn.Dropout(0).forward(x)).toBe(x);
  });

  it('draws by its seed and the number of the call; the gradient goes where values went', () => {
    const [a, b] = [new nn.Dropout(0.5, { seed: 5 }), new nn.Dropout(0.5, { seed: 5 })];
    const masks = [a.forward(x), a.forward(x), a.forward(x)].map(({ data }) => [...data]);
    expect(masks[0]).not.toEqual(masks[1]);
    b.calls = 2;
    expect([...b.forward(x).data]).toEqual(masks[2]);
    expect([a.calls, b.calls]).toEqual([3, 3]);
    const leaf = ones([50, 40], { requiresGrad: true });
    const y = a.forward(leaf);
    sum(y).backward();
    expect(leaf.grad?.data).toEqual(y.data);
  });

  it('layers made one after the other draw different masks', () => {
    const [a, b] = [new nn.Dropout(), new nn.Dropout()];
    expect(a.forward(x).data).not.toEqual(b.forward(x).data);
  });

  it('of channels leaves out whole planes', () => {
    const y = new nn.ChannelDropout(0.5, { seed: 1 }).forward(ones([8, 8, 3, 3])).data;
    const planes = Array.from({ length: 64 }, (_, i) => new Set(y.subarray(9 * i, 9 * i + 9)));
    expect(planes.every((plane) => plane.size === 1)).toBe(true);
    expect(new Set(planes.flatMap((plane) => [...plane]))).toEqual(new Set([0, 2]));
  });

  it('refuses', () => {
    expect(refusal(() => new nn.Dropout(1))).toBe('Dropout: p must be a number in [0, 1), got 1');
    expect(refusal(() => new nn.Dropout(0.5, { sead: 1 } as never))).toContain("did you mean 'seed'?");
    const layer = new nn.Dropout();
    expect(refusal(() => { layer.calls = -1; })).toBe('Dropout: calls must be an integer ≥ 0, got -1'); // biome-ignore format: short
  });
});

describe('pooling and unpooling', () => {
  const x = rand([2, 3, 7, 5], { seed: 3 });

  it('by switches handed on', () => {
    const pool = new nn.MaxPool2d({ kernelSize: 2 });
    const { output, indices } = pool.withIndices(x);
    const unpool = new nn.MaxUnpool2d({ kernelSize: 2 });
    const even = pool.withIndices(rand([1, 2, 6, 4]));
    expect(unpool.forward(even.output, even.indices).shape).toEqual([1, 2, 6, 4]);
    const wanted = maxUnpool2d(output, indices, { kernelSize: 2, outputSize: [7, 5] });
    expect(unpool.forward(output, indices, x).data).toEqual(wanted.data);
    expect(refusal(() => unpool.forward(output))).toBe(
      'MaxUnpool2d: indices are required — new MaxUnpool(pool) takes them from the last call of pool',
    );
  });

  it('in pairs: each by its pooling’s last call, in the size that it saw', () => {
    const [outer, inner] = [
      new nn.MaxPool2d({ kernelSize: 2 }),
      new nn.MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
    ];
    const net = new nn.Sequential(outer, inner, new nn.MaxUnpool2d(inner), new nn.MaxUnpool2d(outer));
    const first = maxPool2d(x, { kernelSize: 2 });
    const second = maxPool2d(first.output, { kernelSize: 3, stride: 2, padding: 1 });
    const back = maxUnpool2d(second.output, second.indices, {
      kernelSize: 3,
      stride: 2,
      padding: 1,
      outputSize: [3, 2],
    });
    const wanted = maxUnpool2d(back, first.indices, { kernelSize: 2, outputSize: [7, 5] });
    for (let call = 0; call < 3; call++) expect(net.forward(x).data).toEqual(wanted.data);
    expect(Object.keys(net.stateDict())).toEqual([]);
    expect(net.forward(rand([1, 1, 9, 8])).shape).toEqual([1, 1, 9, 8]);
  });

  it.each<[string, () => unknown]>([
    ['MaxPool2d: kernelSize is required', () => new nn.MaxPool2d({} as never)],
    ["MaxPool1d: unknown option 'kernel' — did you mean 'kernelSize'?", () => new nn.MaxPool1d({ kernel: 2 } as never)],
    ['AvgPool2d: stride must be an integer ≥ 1, got 0', () => new nn.AvgPool2d({ kernelSize: 2, stride: 0 })],
    ['AvgPool3d: countIncludePad must be true or false, got 1', () => new nn.AvgPool3d({ kernelSize: 2, countIncludePad: 1 as never })],
    ['MaxUnpool1d: the pooling must be a MaxPool1d, got a MaxPool2d', () => new nn.MaxUnpool1d(new nn.MaxPool2d({ kernelSize: 2 }))],
    ["MaxUnpool2d: unknown option 'outputSize'", () => new nn.MaxUnpool2d({ kernelSize: 2, outputSize: [2, 2] } as never)],
    ['MaxUnpool2d: its pooling was not called yet', () => new nn.MaxUnpool2d(new nn.MaxPool2d({ kernelSize: 2 })).forward(x)],
    ['AdaptiveAvgPool2d: outputSize must be an integer ≥ 1, or 2 of them', () => new nn.AdaptiveAvgPool2d([3])],
    ['Upsample: give either size or scaleFactor', () => new nn.Upsample({ mode: 'nearest' })],
    ['PixelShuffle: factor must be an integer ≥ 1, got 0', () => new nn.PixelShuffle(0)],
    ['Flatten: start 2 must not come after end 1', () => new nn.Flatten(2, 1).forward(x)],
    ['Flatten: start must be an integer in [-4, 3] for a tensor of rank 4, got 4', () => new nn.Flatten(4).forward(x)],
    ['Unflatten: shape [2, 2] does not hold the 3 of axis 1', () => new nn.Unflatten(1, [2, 2]).forward(x)],
    ['Unflatten: shape [-1, 2] does not hold the 3 of axis 1', () => new nn.Unflatten(1, [-1, 2]).forward(x)],
    ['Unflatten: shape axis 1 must be an integer ≥ 0, got -1', () => new nn.Unflatten(1, [-1, -1])],
    ['PReLU: input must have 4 channels in axis 1, one per weight, got [2, 3, 7, 5]', () => new nn.PReLU(4).forward(x)],
    ['LeakyReLU: slope must be a finite number, got "0.1"', () => new nn.LeakyReLU('0.1' as never)],
    ['Softmax: axis must be an integer, got 0.5', () => new nn.Softmax(0.5)],
  ])('refuses: %s', (text, call) => expect(refusal(call)).toContain(text)); // biome-ignore format: a table
});
