import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onnxModel } from '../../../../test/support/onnx.js';
import { DeconvError, ones, randn, Tensor, tensor } from '../index.js';
import { Conv2d, ConvTranspose2d, Sequential } from '../nn/index.js';
import { exportOnnx, loadOnnx, readOnnx, replaceOnnxWeights } from './index.js';

const net = () =>
  new Sequential(
    new Conv2d(2, 3, { kernelSize: 3, seed: 1 }),
    new ConvTranspose2d(3, 1, { kernelSize: 4, stride: 2, seed: 2 }),
  );
const x = randn([1, 2, 5, 5], { seed: 1 });

describe('readOnnx', () => {
  it('gives nodes, weights and declarations as they stand in the file', async () => {
    const module = net();
    const file = await readOnnx(exportOnnx(module, x, { dynamic: 'batch', metadata: { a: 'b' } }));
    expect(file).toMatchObject({ opset: 17, producer: 'deconv', name: 'Sequential', metadata: { a: 'b' } });
    expect(file.inputs).toEqual([{ name: 'input', shape: ['batch', 2, 5, 5], elementType: 'float32' }]);
    expect(file.outputs[0]).toEqual({ name: 'output', shape: ['batch', 1, 8, 8], elementType: 'float32' });
    expect(file.nodes.map(({ name, op }) => [name, op])).toEqual([['0', 'Conv'], ['1', 'ConvTranspose']]); // biome-ignore format: a table
    expect(file.nodes[1].attributes).toMatchObject({ strides: [2, 2], group: 1, pads: [0, 0, 0, 0] });
    expect(Object.keys(file.initializers)).toEqual(Object.keys(module.stateDict()));
    expect(file.initializers['1.weight'].toArray()).toEqual(module.stateDict()['1.weight'].toArray());
    expect(file.elementTypes['1.weight']).toBe('float32');
  });

  it('reads what deconv cannot run, and constants in attributes', async () => {
    const bytes = onnxModel({
      nodes: [
        { op: 'Constant', inputs: [], outputs: ['c'], attributes: { value: { tensor: { dims: [2], values: [1, 2] } } } },
        { op: 'Loop', inputs: ['x', 'c'], outputs: ['y'], attributes: { body: { graph: true }, how: 'so' }, domain: 'com.example' },
      ],
      inputs: [{ name: 'x', type: 'string', shape: ['n', -1] }, { name: 'w', type: 'float16', shape: [1] }],
      outputs: ['y'],
      initializers: { w: { type: 'float16', dims: [1], raw: Uint8Array.of(0, 0x3c) } },
    }); // biome-ignore format: a model
    const { nodes, inputs, initializers, elementTypes } = await readOnnx(bytes.buffer);
    expect(inputs).toEqual([{ name: 'x', shape: ['n', -1], elementType: 'string' }]);
    expect([initializers['w'].toArray(), elementTypes['w']]).toEqual([[1], 'float16']);
    expect(nodes[1]).toMatchObject({
      name: 'y',
      op: 'Loop',
      domain: 'com.example',
      attributes: { how: 'so' },
    });
    expect(nodes[1].attributes['body']).toBeUndefined();
    const { value } = nodes[0].attributes;
    expect(value instanceof Tensor && value.toArray()).toEqual([1, 2]);
  });

  it.each([
    ['readOnnx: source must be a Uint8Array, an ArrayBuffer or a path, got 3', 3],
    ['loadOnnx: the bytes are no whole ONNX model', Uint8Array.of(58, 255)],
    ['readOnnx: the bytes hold no ONNX graph', new Uint8Array()],
  ])('refuses: %s', async (text, source) => {
    await expect(Reflect.apply(readOnnx, undefined, [source])).rejects.toThrow(text);
  });
});

describe('replaceOnnxWeights', () => {
  it('changes these weights and nothing else', async () => {
    const file = exportOnnx(net(), x);
    expect(replaceOnnxWeights(file, {})).toEqual(file);
    expect(replaceOnnxWeights(file, net().stateDict())).toEqual(file);
    const other = net();
    other.loadStateDict(
      Object.fromEntries(Object.entries(other.stateDict()).map(([k, v]) => [k, ones(v.shape)])),
    );
    const changed = replaceOnnxWeights(file, other.stateDict());
    const [before, after] = [await readOnnx(file), await readOnnx(changed)];
    expect({ ...after, initializers: 0 }).toEqual({ ...before, initializers: 0 });
    const { output } = await (await loadOnnx(changed)).run({ input: x });
    const wanted = other.forward(x).data;
    expect(output.data.every((value, i) => Math.abs(value - wanted[i]) <= 1e-5 * Math.abs(wanted[i]))).toBe(
      true,
    );
  });

  it('keeps the bytes of everything else in a file from elsewhere', () => {
    const bytes = new Uint8Array(readFileSync('test/fixtures/onnx/vae/model.onnx'));
    expect(replaceOnnxWeights(bytes, {})).toEqual(bytes);
  });

  it('brings weights home that lay in another file', async () => {
    const external = { location: 'w.bin', offset: '0', length: '8' };
    const bytes = onnxModel({
      nodes: [{ op: 'Identity', inputs: ['w'], outputs: ['y'] }],
      outputs: [{ name: 'y', type: 'float32', shape: [2] }],
      initializers: { w: { dims: [2], external } },
    });
    const model = await loadOnnx(replaceOnnxWeights(bytes, { w: tensor([3, 4]) }));
    expect((await model.run({}))['y'].toArray()).toEqual([3, 4]);
  });

  const file = exportOnnx(net(), x);
  const refusals: [string, Record<string, unknown>][] = [
    ["replaceOnnxWeights: the file has no weight '0.wieght' — did you mean '0.weight'?", { '0.wieght': x }],
    ["replaceOnnxWeights: weight '0.bias' must be [3], got [2]", { '0.bias': ones([2]) }],
    ["replaceOnnxWeights: weight '0.bias' must be [3], got 3", { '0.bias': 3 }],
    ["replaceOnnxWeights: weight '0.bias' is float32 in the file, got float64", { '0.bias': ones([3], { dtype: 'float64' }) }],
  ]; // biome-ignore format: a table
  it.each(refusals)('refuses: %s', (text, weights) => {
    expect(() => Reflect.apply(replaceOnnxWeights, undefined, [file, weights])).toThrow(text);
  });

  it('refuses injured files with an error of its own', () => {
    const weights = { '0.bias': ones([3]) };
    const property = fc.property(fc.nat(file.length - 1), fc.nat(255), (at, value) => {
      const injured = Uint8Array.from(file);
      injured[at] = value;
      try {
        replaceOnnxWeights(injured, weights);
      } catch (error) {
        expect(error).toBeInstanceOf(DeconvError);
      }
    });
    fc.assert(property, { numRuns: 500, seed: 1 });
  });
});
