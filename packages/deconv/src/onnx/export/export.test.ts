import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ExportCase, exportCases, inputFor } from '../../../../../test/support/export-cases.mjs';
import { noGrad } from '../../autograd.js';
import * as d from '../../index.js';
import * as nn from '../../nn/index.js';
import { Tensor } from '../../tensor.js';
import { type ExportOnnxOptions, exportOnnx, loadOnnx } from '../index.js';
import { readModelRecord } from '../wire.js';

const call = (module: nn.AnyModule, inputs: readonly Tensor[]): Tensor[] => {
  const output: unknown = noGrad(() => Reflect.apply(module.forward, module, inputs));
  return output instanceof Tensor ? [output] : Object.values(output as Record<string, Tensor>);
};

function expectClose(got: Tensor, wanted: Tensor, relative: number): void {
  expect(got.shape).toEqual(wanted.shape);
  const largest = Math.max(1e-30, ...Array.from(wanted.data, Math.abs));
  const [a, b] = [got.data, wanted.data];
  const worst = Math.max(0, ...Array.from(a, (value, i) => Math.abs(value - b[i])));
  expect(worst / largest).toBeLessThanOrEqual(relative);
}

/** The file, loaded and run on every shape of the case. */
async function check({
  make,
  shapes,
  others = [],
  options,
  ops,
  tolerance = 1e-5,
}: ExportCase): Promise<void> {
  const module = make();
  const file = exportOnnx(module, shapes.map((shape) => inputFor(shape, 1)), options); // biome-ignore format: a call
  if (ops !== undefined) expect(readModelRecord(file).graph?.nodes.map(({ op }) => op)).toEqual(ops);
  const model = await loadOnnx(file);
  module.eval();
  for (const all of [shapes, ...others]) {
    const inputs = all.map((shape, i) => inputFor(shape, 2 + i));
    const wanted = call(module, inputs);
    const made = await model.run(Object.fromEntries(inputs.map((x, i) => [model.inputs[i].name, x])));
    for (const [i, { name }] of model.outputs.entries()) expectClose(made[name], wanted[i], tolerance);
  }
}

class Fn extends nn.Module<unknown> {
  constructor(readonly f: (...inputs: Tensor[]) => unknown) {
    super();
  }

  forward(...inputs: Tensor[]): unknown {
    return this.f(...inputs);
  }
}

const x = inputFor([2, 3, 4, 6], 1);
const graphOf = (
  module: nn.AnyModule,
  input: Tensor | readonly Tensor[] = x,
  options?: ExportOnnxOptions,
) => {
  const record = readModelRecord(exportOnnx(module, input, options));
  if (record.graph === undefined) throw new Error('no graph');
  return { ...record.graph, metadata: record.metadata };
};
const opsOf = (...args: Parameters<typeof graphOf>) => graphOf(...args).nodes.map(({ op }) => op);

describe('what is exported computes the same', () => {
  for (const example of exportCases) it(example.name, () => check(example));

  it('any stack of transposed convolutions, for any batch', async () => {
    const layer = fc.record({
      kernelSize: fc.integer({ min: 1, max: 4 }),
      stride: fc.integer({ min: 1, max: 3 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      padding: fc.tuple(fc.integer({ min: -1, max: 2 }), fc.integer({ min: -1, max: 2 })),
      overlap: fc.constantFrom('sum' as const, 'average' as const),
      bias: fc.boolean(),
      activation: fc.constantFrom(undefined, 'relu' as const, 'sigmoid' as const),
    });
    const property = fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 3 }), async (layers) => {
      const make = () =>
        new nn.Sequential(
          ...layers.map(
            ({ padding, ...options }, i) =>
              new nn.ConvTranspose2d(2, 2, { ...options, padding: [padding, padding], seed: i + 1 }),
          ),
        );
      try {
        make().forward(inputFor([1, 2, 4, 5], 1));
      } catch {
        return; // Cropped away.
      }
      const options = { dynamic: 'batch' } as const;
      await check({ name: '', make, shapes: [[1, 2, 4, 5]], others: [[[3, 2, 4, 5]]], options });
    });
    await fc.assert(property, { numRuns: 60, seed: 3 });
  });
});

describe('the file', () => {
  const net = () =>
    new nn.Sequential(
      new nn.Conv2d(3, 4, { kernelSize: 3, seed: 1 }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.Flatten(),
      new nn.Linear(32, 5, { seed: 2 }),
    );

  it('has the parameters under their names in the state, the nodes under those of their layers', () => {
    const module = net();
    const { initializers, nodes } = graphOf(module);
    const state = Object.keys(module.stateDict()).filter((name) => !name.endsWith('num_batches_tracked'));
    expect(initializers.map(({ name }) => name).slice(0, state.length)).toEqual(state);
    expect(nodes.map(({ name, op }) => `${name} ${op}`)).toEqual([
      '0 Conv',
      '1 BatchNormalization',
      'relu Relu',
      'reshape Reshape',
      '4 Gemm',
    ]);
  });

  it('names inputs, outputs and open axes as it is told', async () => {
    const options = {
      inputNames: ['picture'],
      outputNames: ['class'],
      dynamic: { picture: { 0: 'N' } },
      name: 'classifier',
      metadata: { author: 'me' },
    };
    const file = exportOnnx(net(), x, options);
    const model = await loadOnnx(file);
    expect(model.inputs[0]).toMatchObject({ name: 'picture', shape: ['N', 3, 4, 6], dtype: 'float32' });
    expect(model.outputs[0]).toMatchObject({ name: 'class', shape: ['N', 5] });
    expect(model.metadata).toEqual({ author: 'me' });
    expect(model.opset).toBe(17);
    expect(readModelRecord(file)).toMatchObject({
      producer: 'deconv',
      irVersion: 8,
      graph: { name: 'classifier' },
    });
  });

  it('names what follows from open axes', async () => {
    const up = new nn.ConvTranspose2d(3, 2, { kernelSize: 4, stride: 2, padding: 1 });
    const { outputs, inputs } = await loadOnnx(exportOnnx(up, x, { dynamic: 'size' }));
    expect(inputs[0].shape).toEqual(['batch', 3, 'height', 'width']);
    expect(outputs[0].shape).toEqual(['batch', 2, 'output_axis2', 'output_axis3']);
  });

  it('names several outputs as forward does', () => {
    const names = (f: () => unknown) => graphOf(new Fn(f)).outputs.map(({ name }) => name);
    expect(names(() => [d.relu(x), d.abs(x)])).toEqual(['output0', 'output1']);
    expect(names(() => ({ mean: d.relu(x), scale: d.abs(x) }))).toEqual(['mean', 'scale']);
  });

  it('leaves out what its outputs do not need, and expansions that operators do themselves', () => {
    const dead = new Fn((y) => {
      d.exp(y);
      return d.where(d.greater(y, 0), y, 0);
    });
    expect(opsOf(dead)).toEqual(['Greater', 'Where']);
  });

  it('keeps the mode of the module and the values of its running statistics', () => {
    const module = net().train();
    const before = Array.from(module.namedBuffers()[0][1].data);
    graphOf(module);
    expect(module.modules().every(({ training }) => training)).toBe(true);
    expect(Array.from(module.namedBuffers()[0][1].data)).toEqual(before);
  });

  it('makes pending parameters, as the first call would', () => {
    const module = new nn.Conv2d(undefined, 2, { kernelSize: 3 });
    graphOf(module);
    expect(module.weight.shape).toEqual([2, 3, 3, 3]);
  });

  it('leaves out what would be done to lengths that never come', () => {
    const module = new Fn((y) => (y.shape[2] % 2 === 0 ? d.relu(y) : d.abs(y)));
    expect(opsOf(module, x, { dynamic: 'size', multiple: 2 })).toEqual(['Relu']);
    expect(() => opsOf(module, x, { dynamic: 'size' })).toThrow('relu becomes abs');
  });

  it('writes float64 as float64', async () => {
    const module = new nn.Conv2d(1, 1, { kernelSize: 2, dtype: 'float64', seed: 1 });
    const input = d.randn([1, 1, 3, 3], { seed: 1, dtype: 'float64' });
    const model = await loadOnnx(exportOnnx(module, input));
    const { output } = await model.run({ input });
    expect(output.dtype).toBe('float64');
    expectClose(
      output,
      noGrad(() => module.forward(input)),
      1e-12,
    );
  });

  it('writes a parameter that two layers share once', () => {
    const conv = new nn.Conv2d(3, 3, { kernelSize: 1 });
    expect(graphOf(new nn.Sequential(conv, conv)).initializers).toHaveLength(2);
  });
});

describe('refusals', () => {
  let calls = 0;
  const refusals: [string, () => unknown][] = [
    ['exportOnnx: module must be a module, got 3', () => Reflect.apply(exportOnnx, undefined, [3, x])],
    ['exportOnnx: exampleInput must be a tensor, or one per input, got 3 as number 0', () => Reflect.apply(exportOnnx, undefined, [new nn.ReLU(), 3])],
    ["exportOnnx: unknown option 'dynamics' — did you mean 'dynamic'?", () => Reflect.apply(exportOnnx, undefined, [new nn.ReLU(), x, { dynamics: 'batch' }])],
    ['exportOnnx: opset must be 17 to 22, got 11', () => graphOf(new nn.ReLU(), x, { opset: 11 })],
    ["exportOnnx: dynamic must be one of 'batch', 'size', got \"bach\" — did you mean 'batch'?", () => Reflect.apply(graphOf, undefined, [new nn.ReLU(), x, { dynamic: 'bach' }])],
    ['exportOnnx: multiple must be an integer ≥ 1, got 0', () => graphOf(new nn.ReLU(), x, { multiple: 0 })],
    ['exportOnnx: axis 3 of the example is 6, no multiple of 4', () => graphOf(new nn.ReLU(), x, { dynamic: 'size', multiple: 4 })],
    ["exportOnnx: dynamic must be one of 'input', got \"inptu\" — did you mean 'input'?", () => graphOf(new nn.ReLU(), x, { dynamic: { inptu: { 0: 'N' } } })],
    ["exportOnnx: dynamic['input'] must name axes 0 to 3, got \"4\"", () => graphOf(new nn.ReLU(), x, { dynamic: { input: { 4: 'N' } } })],
    ['exportOnnx: inputNames must be 1 different names, got ["a", "b"]', () => graphOf(new nn.ReLU(), x, { inputNames: ['a', 'b'] })],
    ["exportOnnx: 'weight' is the name of a parameter — give other inputNames and outputNames", () => graphOf(new nn.PReLU(), x, { inputNames: ['weight'] })],
    ['exportOnnx: forward() must return a tensor, or tensors by name or in an array, got 3', () => graphOf(new Fn(() => 3))],
    ['exportOnnx: forward() makes a tensor [2, 3, 4, 6] whose values differ from run to run: by chance, or because it was worked out from x.data — only what operations compute can be exported; draw random numbers outside and pass them in', () => graphOf(new Fn((y) => d.add(y, d.tensor(y.data.map((v) => 2 * v), y.shape))))],
    ['exportOnnx: forward() makes a tensor [2, 3, 4, 6] whose values differ from run to run: by chance, or because it was worked out from x.data — only what operations compute can be exported; draw random numbers outside and pass them in', () => graphOf(new Fn((y) => d.add(y, d.randn(y.shape, { seed: ++calls }))))],
    ['exportOnnx: forward() makes a tensor [216] for one input and [360] for another — leave the axis that decides its shape out of dynamic, or compute it by operations', () => graphOf(new Fn((y) => d.add(y, d.reshape(d.arange(y.size), y.shape))), x, { dynamic: 'batch' })],
    ['exportOnnx: forward() computes something else for another input: relu becomes abs — what it does must not depend on the values of the input, nor on an axis that is named in dynamic', () => graphOf(new Fn((y) => (y.shape[0] > 3 ? d.abs(y) : d.relu(y))), x, { dynamic: 'batch' })],
    ["exportOnnx: the positions of take is [0,3] for one input and [0,7] for another — leave the axis that decides it out of dynamic", () => graphOf(new Fn((y) => d.take(y, [0, y.shape[2] - 1], 2)), x, { dynamic: { input: { 2: 'height' } } })],
    ['exportOnnx: maxUnpool can be exported where its indices come from a maxPool whose input has the shape of its output — hand indices on from maxPool, and give outputSize: x.shape of what was pooled', () => graphOf(new Fn((y) => d.maxUnpool2d(y, d.cast(d.mul(y, 0), 'int32'), { kernelSize: 1 })))],
    ["exportOnnx: conv with padding 'same', a stride and a dilation pads by the size of its input, which runtimes do not do — leave the spatial axes out of dynamic, or give the padding in numbers", () => graphOf(new nn.Conv2d(3, 1, { kernelSize: 3, stride: 2, dilation: 2, padding: 'same' }), x, { dynamic: 'size' })],
    ["exportOnnx: upsample with mode 'cubic' over 1 spatial axes has no operator that runtimes know — use mode 'linear'; cubic goes over two axes, one of which may have length 1", () => graphOf(new nn.Upsample({ scaleFactor: 2, mode: 'cubic' }), d.zeros([1, 1, 4]))],
    ['exportOnnx: upsample is exported for one size, and it gets [4, 6] and [8, 6] — leave the spatial axes out of dynamic', () => graphOf(new nn.Upsample({ scaleFactor: 1.5 }), x, { dynamic: 'size' })],
    ['exportOnnx: avgPool with a dilation needs operator set 19 — exportOnnx(…, { opset: 19 })', () => graphOf(new nn.AvgPool2d({ kernelSize: 2, dilation: 2 }))],
    ["exportOnnx: pad with mode 'reflect' by [0, 0, 0, 7] before and [0, 0, 0, 0] after is negative, or longer than what it copies from — pad in two steps", () => graphOf(new Fn((y) => d.pad(y, [[7, 0]], { mode: 'reflect' })))],
  ]; // biome-ignore format: a table
  it.each(refusals)('%s', (text, attempt) => {
    let message = 'nothing was refused';
    try {
      attempt();
    } catch (error) {
      message = String((error as Error).message);
    }
    expect(message).toBe(text);
  });
});
