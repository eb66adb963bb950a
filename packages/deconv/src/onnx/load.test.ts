/** Loading: what is refused, in which words; damaged files; values in other files. */
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ModelSpec, oneNode, onnxModel, rawBytes } from '../../../../test/support/onnx.js';
import { DeconvError } from '../errors.js';
import { range } from '../shape.js';
import { loadOnnx, readOnnx } from './index.js';
import { KEPT_FROM } from './initializers.js';

const x = { name: 'x', type: 'float32', shape: [2] } as const;
const relu = { op: 'Relu', inputs: ['x'], outputs: ['y'] };
const load = (spec: Partial<ModelSpec>) =>
  loadOnnx(onnxModel({ nodes: [relu], inputs: [x], outputs: ['y'], ...spec }));
const message = async (spec: Partial<ModelSpec>): Promise<string> =>
  load(spec).then(
    () => 'loaded',
    (error: Error) => error.message,
  );

describe('a model that cannot be run is refused before anything runs', () => {
  it('names all missing operators at once, with their nodes', async () => {
    const nodes = [
      { op: 'NonMaxSuppression', inputs: ['x'], outputs: ['a'], name: 'nms' },
      { op: 'FusedConv', inputs: ['a'], outputs: ['b'], domain: 'com.microsoft' },
      { op: 'NonMaxSuppression', inputs: ['b'], outputs: ['y'] },
    ];
    expect(await message({ nodes })).toBe(
      "loadOnnx: 2 operators not supported: NonMaxSuppression (node 'nms', 'y'), com.microsoft.FusedConv (node 'b') — operators outside the standard come from an optimiser: export the model without it",
    );
  });

  it('refuses control flow by name', async () => {
    const nodes = [
      { op: 'Loop', inputs: ['x'], outputs: ['y'], attributes: { body: { graph: true } as const } },
    ];
    expect(await message({ nodes })).toMatch(/1 operator not supported: Loop \(node 'y'\) — control flow/);
  });

  it('refuses values that nothing makes, that two nodes make, and cycles', async () => {
    expect(await message({ nodes: [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }] })).toBe(
      "loadOnnx: nothing makes the value 'z' of Add node 'y'",
    );
    expect(await message({ nodes: [relu, { ...relu, op: 'Exp' }] })).toBe(
      "loadOnnx: value 'y' is made twice, the second time by Exp node 'y'",
    );
    const cycle = [
      { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
      { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      { op: 'Relu', inputs: ['b'], outputs: ['y'] },
    ];
    expect(await message({ nodes: cycle })).toBe(
      "loadOnnx: the graph has a cycle among Add node 'a', Relu node 'b', Relu node 'y'",
    );
    expect(await message({ outputs: ['q'] })).toBe("loadOnnx: nothing makes the output 'q'");
    expect(await message({ outputs: [] })).toBe('loadOnnx: the graph has no outputs');
  });

  it('refuses operator sets it does not know, unknown attributes, and wrong numbers of inputs', async () => {
    expect(await message({ opset: 6 })).toMatch(/operator set 6, deconv knows 7 to 27 — convert it/);
    expect(await message({ nodes: [{ ...relu, attributes: { alhpa: 1 } }] })).toBe(
      "Relu node 'y': unknown attribute 'alhpa'",
    );
    expect(await message({ nodes: [{ ...relu, op: 'LeakyRelu', attributes: { alhpa: 1 } }] })).toBe(
      "LeakyRelu node 'y': unknown attribute 'alhpa' — did you mean 'alpha'?",
    );
    expect(await message({ nodes: [{ ...relu, inputs: ['x', 'x'] }] })).toBe(
      "Relu node 'y': needs 1 inputs, has 2",
    );
    expect(await message({ nodes: [{ ...relu, op: 'Add', inputs: ['x', ''] }] })).toBe(
      "Add node 'y': input 1 is left out but not optional",
    );
  });

  it('refuses strings, and values that do not fill their shape', async () => {
    expect(await message({ inputs: [{ ...x, type: 'string' }] })).toBe(
      "loadOnnx: 'x' has element type string, which is not supported",
    );
    const nodes = [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }];
    const initializer = (dims: number[], values: number[]) =>
      message({ nodes, initializers: { w: { dims, values } } });
    expect(await initializer([3], [1, 2])).toBe(
      "initializer 'w': 3 values of float32 take 12 bytes, the file has 8",
    );
    expect(await initializer([2 ** 20, 2 ** 20], [1])).toBe(
      "initializer 'w': shape [1048576, 1048576] has 1099511627776 elements, more than 2^28",
    );
    expect(await initializer([-1], [1])).toBe("initializer 'w': shape [-1] has an axis of -1");
  });

  it('refuses sources that are no models', async () => {
    await expect(loadOnnx(new TextEncoder().encode('version https://git-lfs'))).rejects.toThrow(
      /the bytes are no whole ONNX model/,
    );
    await expect(loadOnnx(new Uint8Array())).rejects.toThrow(/does not say which operator set/);
    await expect(loadOnnx('/no/such.onnx')).rejects.toThrow("'/no/such.onnx' cannot be read");
    await expect(loadOnnx(7 as never)).rejects.toThrow('source must be a Uint8Array');
    await expect(loadOnnx(new Uint8Array(), { external: {} } as never)).rejects.toThrow(
      "unknown option 'external'",
    );
  });
});

describe('damaged files', () => {
  const whole = readFileSync(new URL('../../../../test/fixtures/onnx/vae/model.onnx', import.meta.url));
  const structure = onnxModel({
    nodes: [
      { op: 'Shape', inputs: ['x'], outputs: ['s'] },
      { op: 'ConstantOfShape', inputs: ['s'], outputs: ['c'] },
      {
        op: 'Conv',
        inputs: ['x', 'w'],
        outputs: ['t'],
        attributes: { pads: [1, 1, 1, 1], kernel_shape: [3, 3] },
      },
      { op: 'Add', inputs: ['t', 'c'], outputs: ['u'] },
      { op: 'Resize', inputs: ['u', '', 'f'], outputs: ['y'], attributes: { mode: 'linear' } },
    ],
    inputs: [{ name: 'x', type: 'float32', shape: [1, 1, 4, 4] }],
    outputs: [{ name: 'y', type: 'float32', shape: [1, 1, 'h', -1] }],
    initializers: {
      w: { dims: [1, 1, 3, 3], values: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
      f: { dims: [4], values: [1, 1, 2, 2] },
    },
  });

  /** Loads and runs; anything but a refusal is an error of ours. */
  async function attempt(bytes: Uint8Array): Promise<void> {
    try {
      const model = await loadOnnx(bytes);
      const inputs = model.inputs.map(({ name, shape, dtype }) => {
        const dims = shape.map((n) => (typeof n === 'number' && n >= 0 && n < 8 ? n : 1));
        const size = dims.reduce((a, b) => a * b, 1);
        return [name, { data: dtype === 'float32' ? new Float32Array(size) : new Int32Array(size), dims }];
      });
      await model.run(Object.fromEntries(inputs));
    } catch (error) {
      if (!(error instanceof DeconvError)) throw error;
    }
  }

  it('cut off anywhere are refused', async () => {
    for (let length = 0; length < structure.length; length++) await attempt(structure.subarray(0, length));
    for (const part of [0.1, 0.5, 0.9, 0.99]) {
      const cut = whole.subarray(0, Math.floor(whole.length * part));
      await expect(loadOnnx(cut)).rejects.toThrow(/no whole ONNX model/);
    }
  });

  it('with bytes changed are refused, or run', async () => {
    const at = fc.nat(structure.length - 1);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          const bytes = structure.slice();
          for (const [where, value] of changes) bytes[where] = value;
          await attempt(bytes);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('that ask for huge constants are refused', async () => {
    const huge = onnxModel({
      nodes: [
        { op: 'ConstantOfShape', inputs: ['s'], outputs: ['a'] },
        { op: 'ConstantOfShape', inputs: ['s'], outputs: ['b'] },
        { op: 'ConstantOfShape', inputs: ['s'], outputs: ['y'] },
      ],
      outputs: ['y'],
      initializers: { s: { type: 'int64', dims: [1], values: [2 ** 40] } },
    });
    await expect(loadOnnx(huge)).rejects.toThrow("ConstantOfShape node 'a': shape [1099511627776]");
  });
});

describe('values in other files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deconv-onnx-'));
  const inside = join(folder, 'model');
  mkdirSync(inside);
  const values = rawBytes('float32', [10, 20, 30]);
  writeFileSync(join(inside, 'weights.bin'), values);
  writeFileSync(join(folder, 'secret.bin'), values);
  symlinkSync(join(folder, 'secret.bin'), join(inside, 'link.bin'));
  symlinkSync(folder, join(inside, 'up'));
  const model = (external: Record<string, string>) =>
    onnxModel({
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [x],
      outputs: ['y'],
      initializers: { w: { dims: [2], external } },
    });
  const at = join(inside, 'model.onnx');
  const fromFile = (external: Record<string, string>) => {
    writeFileSync(at, model(external));
    return loadOnnx(at);
  };

  it('are read from the place that the model names', async () => {
    const loaded = await fromFile({ location: 'weights.bin', offset: '4', length: '8' });
    const { y } = await loaded.run({ x: new Float32Array([1, 2]) });
    expect([...y.data]).toEqual([21, 32]);
  });

  it('are taken from bytes that are given', async () => {
    const bytes = model({ location: 'w', offset: '0' });
    const loaded = await loadOnnx(bytes, { externalData: { w: values } });
    expect([...(await loaded.run({ x: new Float32Array(2) })).y.data]).toEqual([10, 20]);
    await expect(loadOnnx(bytes)).rejects.toThrow(
      "the model keeps values in another file, 'w' — load it by path, or give its bytes",
    );
  });

  it.each([
    '/etc/passwd',
    '../secret.bin',
    'up/../secret.bin',
    'a/../../secret.bin',
    '..\\secret.bin',
    '',
    'C:\\x',
  ])('are not read at %s', async (location) => {
    await expect(fromFile({ location })).rejects.toThrow("only files inside the model's folder are read");
  });

  it('are not read through a link out of the folder', async () => {
    const refusal = /is a link out of the model's folder/;
    await expect(fromFile({ location: 'link.bin' })).rejects.toThrow(refusal);
    await expect(fromFile({ location: 'up/secret.bin' })).rejects.toThrow(refusal);
  });

  it('are held against the size of the file', async () => {
    const far = fromFile({ location: 'weights.bin', offset: '8' });
    await expect(far).rejects.toThrow("'weights.bin' has 12 bytes, the model wants 8 from 8");
    await expect(fromFile({ location: 'weights.bin', length: '12' })).rejects.toThrow(
      "initializer 'w': length 12 must be 8 for 2 values of float32",
    );
    await expect(fromFile({ location: 'weights.bin', offset: '-4' })).rejects.toThrow(
      'offset must be an integer ≥ 0',
    );
    await expect(fromFile({ location: 'none.bin' })).rejects.toThrow("'none.bin' cannot be read");
  });
});

describe('weights in a file', () => {
  it('are the same whether the file is given by its path or its bytes, wherever they lie in it', async () => {
    // Names of every length: values begin at every remainder of four, after one or two bytes of their length, and more.
    const sizes = [1, 31, 32, 33, 700, 5000];
    const names = sizes.flatMap((size) => range(5).map((i) => `${'w'.repeat(i + 1)}${size}`));
    const sizeOf = (name: string) => Number(name.replace(/w+/, ''));
    const file = onnxModel({
      nodes: names.map((name) => ({ op: 'Identity', inputs: [name], outputs: [`y${name}`] })),
      outputs: names.map((name) => ({ name: `y${name}`, type: 'float32', shape: [sizeOf(name)] })),
      initializers: Object.fromEntries(
        names.map((name, n) => {
          const values = range(sizeOf(name)).map((i) => 1000 * n + i);
          return [name, { type: 'float32', dims: [values.length], raw: rawBytes('float32', values) }];
        }),
      ),
    });
    const path = join(mkdtempSync(join(tmpdir(), 'deconv-onnx-')), 'model.onnx');
    writeFileSync(path, file);
    const bytes = Uint8Array.from(file);
    for (const model of [await loadOnnx(bytes), await loadOnnx(path), await loadOnnx(path)]) {
      const made = await model.run({});
      for (const [n, name] of names.entries())
        expect([...made[`y${name}`].data]).toEqual(range(sizeOf(name)).map((i) => 1000 * n + i));
    }
    expect(bytes).toEqual(Uint8Array.from(file));
    const { initializers } = await readOnnx(path);
    expect(initializers['www33'].data[32]).toBe(1000 * names.indexOf('www33') + 32);
  });

  describe('that are large are made from its bytes when they are wanted', () => {
    const n = Math.sqrt(KEPT_FROM / 4);
    const weights = range(n * n).map((i) => ((i * 7) % 31) - 15);
    const perChannel = (f: (c: number) => number) => ({
      type: 'float32' as const,
      dims: [n],
      values: range(n).map(f),
    });
    const file = onnxModel({
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['a'] },
        {
          op: 'BatchNormalization',
          inputs: ['a', 'scale', 'shift', 'mean', 'var'],
          outputs: ['y'],
          attributes: { epsilon: 0 },
        },
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['z'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1, n, 'height', 1] }],
      outputs: ['y', 'z'],
      initializers: {
        w: { type: 'float32', dims: [n, n, 1, 1], raw: rawBytes('float32', weights) },
        scale: perChannel((c) => 1 + (c % 3)),
        shift: perChannel((c) => c),
        mean: perChannel(() => 2),
        var: perChannel(() => 4),
      },
    });
    const plain = range(n).map((o) => range(n).reduce((sum, i) => sum + weights[n * o + i] * (i % 5), 0));
    const input = (height: number) => ({
      x: {
        data: Float32Array.from({ length: n * height }, (_, i) => Math.floor(i / height) % 5),
        dims: [1, n, height, 1],
      },
    });
    const expectRight = ({ y, z }: Record<string, { data: ArrayLike<number> }>, height: number) => {
      for (const o of range(n)) {
        expect(z.data[o * height]).toBe(plain[o]);
        expect(y.data[o * height]).toBeCloseTo(((plain[o] - 2) / 2) * (1 + (o % 3)) + o, 2);
      }
    };

    it('for every shape anew, as they stand there and with a normalisation folded in', async () => {
      const model = await loadOnnx(Uint8Array.from(file));
      for (const height of [1, 9, 40, 9]) expectRight(await model.run(input(height)), height);
      for (const height of [9, 2]) {
        const { z } = await model.run(input(height), { outputs: ['z'] });
        expect(z.data[0]).toBe(plain[0]);
      }
    });

    it('and say so if these have gone elsewhere', async () => {
      const bytes = Uint8Array.from(file);
      const model = await loadOnnx(bytes);
      expectRight(await model.run(input(9)), 9);
      structuredClone(bytes, { transfer: [bytes.buffer] });
      expectRight(await model.run(input(9)), 9);
      await expect(model.run(input(30))).rejects.toThrow(
        "initializer 'w': the model's bytes are gone: their buffer was transferred while the model is in use — load a copy of them",
      );
    });
  });
});

describe('element types', () => {
  it('of 16 bits are widened: float16 and bfloat16 initializers', async () => {
    const halves = new Uint8Array(new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00]).buffer);
    const brains = new Uint8Array(new Uint16Array([0x3f80, 0xc000, 0x0000, 0x7f80]).buffer);
    for (const [type, raw, tiny] of [
      ['float16', halves, 2 ** -24],
      ['bfloat16', brains, 0],
    ] as const) {
      const model = await loadOnnx(
        onnxModel({
          nodes: [{ op: 'Identity', inputs: ['w'], outputs: ['y'] }],
          outputs: [{ name: 'y', type, shape: [4] }],
          initializers: { w: { type, dims: [4], raw } },
        }),
      );
      expect(model.outputs[0]).toEqual({ name: 'y', shape: [4], dtype: 'float32', elementType: type });
      expect([...(await model.run({})).y.data]).toEqual([1, -2, tiny, Number.POSITIVE_INFINITY]);
    }
  });

  it('int64 goes in by several ways and comes out as int32 if it fits', async () => {
    const bytes = oneNode('Mul', [
      { name: 'a', type: 'int64', shape: [2] },
      { name: 'b', type: 'int64', shape: [] },
    ]);
    const model = await loadOnnx(bytes);
    const big = { data: new BigInt64Array([2n ** 31n]), dims: [] };
    const { y } = await model.run({ a: new Int32Array([3, -4]), b: { data: [5], dims: [] } });
    expect([y.dtype, ...y.data]).toEqual(['int32', 15, -20]);
    await expect(model.run({ a: new Int32Array([1, 2]), b: big })).rejects.toThrow(
      "output 'y' is int64 and holds 2147483648, which no int32 can",
    );
  });
});
