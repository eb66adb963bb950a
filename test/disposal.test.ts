/**
 * What dispose() gives back, and when: at once, as soon as no other tensor shares the values and no backward pass needs
 * them. Operations leave nothing behind but their result; the tape keeps what it needs, whoever disposes of what; and a
 * backward pass gives back as it goes.
 */
import { configure, conv2d, grad, mul, noGrad, randn, reshape, sum, type Tensor, tensor } from 'deconv';
import { clipGradNorm, clipGradValue, SGD } from 'deconv/optim';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectedBy } from '../packages/deconv/src/autograd.js';
import { currentBackend } from '../packages/deconv/src/backends.js';
import { square } from '../packages/deconv/src/functions.js';
import { WasmBackend } from '../packages/deconv/src/kernels/wasm/index.js';
import { unary } from '../packages/deconv/src/operations.js';
import { type Storage, scoped } from '../packages/deconv/src/tensor.js';
import { DIFFERENTIABLE, type Float64Map } from './support/differentiable.js';
import { normal } from './support/geometry.js';

const backend = (): WasmBackend => {
  const current = currentBackend();
  if (!(current instanceof WasmBackend)) throw new Error('these tests look into the WebAssembly backend');
  return current;
};

beforeEach(() => configure({ backend: 'wasm', threads: 1 }));
afterEach(() => vi.restoreAllMocks());

/** All storages that the backend makes while `body` runs. */
function storagesOf(body: () => void): Storage[] {
  const storages: Storage[] = [];
  const [run, upload] = [backend().run.bind(backend()), backend().upload.bind(backend())];
  const spies = [
    vi.spyOn(backend(), 'run').mockImplementation((...call) => {
      const storage = run(...call);
      storages.push(storage);
      return storage;
    }),
    vi.spyOn(backend(), 'upload').mockImplementation((values) => {
      const storage = upload(values);
      storages.push(storage);
      return storage;
    }),
  ];
  body();
  for (const spy of spies) spy.mockRestore();
  return storages;
}

const alive = (storages: readonly Storage[]) => storages.filter(({ holders }) => holders >= 0);
const values = (x: Tensor | null) => (x === null ? null : Array.from(x.data));
const leafOf = (x: Tensor) => tensor(x.data, x.shape, { requiresGrad: true });

/** ⟨f(…leaves), direction⟩, by way of tensors that are disposed of as soon as they have been used, if so told. */
function product(f: Float64Map, leaves: readonly Tensor[], dispose: boolean): Tensor {
  const inputs = leaves.map((leaf) => mul(leaf, 1));
  const output = f(...inputs);
  const direction = normal(output.shape, 9);
  const turned = mul(output, direction);
  const result = sum(turned);
  if (dispose) for (const x of [...inputs, output, direction, turned]) x.dispose();
  return result;
}

const names = Object.keys(DIFFERENTIABLE);

/** How many tensors an example makes itself and drops: conditions, places, a transposed matrix. */
const DROPPED: Readonly<Record<string, readonly number[]>> = {
  where: [1, 2],
  matmul: [0, 0, 0, 0, 1],
  maxPool1d: [1],
  maxPool2d: [1],
  maxPool3d: [1],
  maxUnpool1d: [1],
  maxUnpool3d: [1],
};

describe('every differentiable operation', () => {
  it.each(names)('%s leaves nothing behind but its result', (name) => {
    for (const [i, [f, ...inputs]] of DIFFERENTIABLE[name].entries()) {
      const storages = storagesOf(() => noGrad(() => f(...inputs)).dispose());
      expect(alive(storages)).toHaveLength(DROPPED[name]?.[i] ?? 0);
      for (const input of inputs) expect(input.storage.holders).toBe(1);
    }
  });

  it.each(names)('%s has its gradients although all tensors on the way were disposed of', (name) => {
    for (const [f, ...inputs] of DIFFERENTIABLE[name]) {
      const leaves = inputs.map(leafOf);
      const wanted = grad(product(f, leaves, false), leaves);
      const got = grad(product(f, leaves, true), leaves);
      expect(got.map(values)).toEqual(wanted.map(values));
    }
  });

  it.each(names)('%s has gradients of gradients, likewise', (name) => {
    const twice = (f: Float64Map, leaves: readonly Tensor[], dispose: boolean) => {
      const first = grad(product(f, leaves, dispose), leaves, { createGraph: true });
      const norm = first.map((g) => sum(mul(g, g))).reduce((a, b) => sum(mul(a, b)));
      if (dispose) for (const g of first) g.dispose();
      return norm.requiresGrad ? grad(norm, leaves).map(values) : [];
    };
    for (const [f, ...inputs] of DIFFERENTIABLE[name]) {
      const leaves = inputs.map(leafOf);
      expect(twice(f, leaves, true)).toEqual(twice(f, leaves, false));
    }
  });

  it.each(names)('%s leaves nothing behind but the gradients, once walked', (name) => {
    for (const [i, [f, ...inputs]] of DIFFERENTIABLE[name].entries()) {
      const leaves = inputs.map(leafOf);
      const storages = storagesOf(() => {
        const result = product(f, leaves, true);
        result.backward();
        result.dispose();
      });
      const gradients = leaves.map((leaf) => collectedBy(leaf)?.storage);
      const dropped = DROPPED[name]?.[i] ?? 0;
      expect(alive(storages).filter((storage) => !gradients.includes(storage))).toHaveLength(dropped);
      for (const leaf of leaves) leaf.grad = null;
      expect(alive(storages)).toHaveLength(dropped);
    }
  });
});

describe('dispose', () => {
  /** More than is copied out at once. */
  const SHAPE = [1, 4, 64, 64];
  const BYTES = 4 * 4 * 64 * 64;

  it('gives linear memory back at once, twice harmlessly, and by using', () => {
    const x = randn(SHAPE);
    const y = mul(x, 2);
    const before = backend().engine.heap.used;
    const z = mul(y, 2);
    expect(backend().engine.heap.used).toBeGreaterThanOrEqual(before + BYTES);
    z.dispose();
    z.dispose();
    expect(backend().engine.heap.used).toBe(before);
    const symbol: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
    mul(y, 3)[symbol]();
    expect(backend().engine.heap.used).toBe(before);
    expect(y.data[0]).toBe(Math.fround(2 * x.data[0]));
  });

  it('waits for all that share the values: reshape, detach, assign', () => {
    const y = mul(randn(SHAPE), 2);
    const used = backend().engine.heap.used;
    const [flat, cut, leaf] = [reshape(y, [-1]), y.detach(), randn(SHAPE, { requiresGrad: true })];
    leaf.assign(y);
    for (const x of [y, flat, cut]) {
      expect(backend().engine.heap.used).toBe(used);
      x.dispose();
    }
    expect(backend().engine.heap.used).toBe(used);
    expect(leaf.size).toBe(flat.size);
    leaf.assign(randn(SHAPE));
    expect(backend().engine.heap.used).toBeLessThanOrEqual(used - BYTES);
  });

  it('gives the packed form of a weight back too', () => {
    const [x, w] = [randn([1, 16, 32, 32]), mul(randn([32, 16, 3, 3]), 1)];
    conv2d(x, w).dispose();
    const before = backend().engine.heap.used;
    w.dispose();
    expect(backend().engine.heap.used).toBeLessThan(before - 1.5 * 32 * 16 * 9 * 4);
  });

  it('leaves an array in the hands of the user alone', () => {
    const y = mul(randn(SHAPE), 2);
    const { data } = y;
    const before = Array.from(data);
    y.dispose();
    for (let i = 0; i < 10; i++) mul(randn(SHAPE, { seed: i }), 3);
    expect(Array.from(data)).toEqual(before);
  });

  it('of a gradient waits for nobody; what was shown before stays', () => {
    const x = randn(SHAPE, { requiresGrad: true });
    const pass = () => sum(mul(x, x)).backward();
    pass();
    const kept = x.grad;
    pass();
    expect(values(kept)?.[5]).toBe(2 * x.data[5]);
    expect(x.grad?.data[5]).toBe(4 * x.data[5]);
    x.grad = null;
    pass();
    const used = backend().engine.heap.used;
    x.grad = null;
    expect(backend().engine.heap.used).toBeLessThanOrEqual(used - BYTES);
  });
});

describe('an optimiser', () => {
  it('gives back the old values and the gradients of each step, clipped ones too', () => {
    const w = randn([64, 16, 3, 3], { requiresGrad: true });
    const x = randn([1, 16, 8, 8]);
    const optimizer = new SGD([w], { lr: 1e-3 });
    const step = () => {
      const y = conv2d(x, w);
      const loss = sum(y);
      loss.backward();
      y.dispose();
      loss.dispose();
      clipGradNorm([w], 1e-3);
      clipGradValue([w], 1e-6);
      optimizer.step();
      optimizer.zeroGrad();
    };
    step();
    const storages = storagesOf(step);
    expect(alive(storages)).toEqual([w.storage]);
  });
});

describe('values that were let go', () => {
  it('are refused with a hint where somebody kept the tensor', () => {
    const kept: Tensor[] = [];
    const result = scoped(() => {
      const inner = mul(tensor([1, 2]), 2);
      kept.push(inner);
      return mul(inner, 2);
    });
    expect(values(result)).toEqual([4, 8]);
    expect(() => kept[0].data).toThrow(
      'tensor: this tensor [2] was disposed — by what made it; keep x.detach() of what passes through',
    );
    expect(String(kept[0])).toBe('Tensor([2], disposed)');
  });

  it('are refused below the tensors, too', () => {
    const storage = backend().upload(new Float32Array(8));
    storage.release?.();
    expect(() => storage.host()).toThrow('deconv: released values are used');
    const attributes = { fn: square, order: 0, parameters: [] };
    expect(() => backend().run(unary, [storage], attributes)).toThrow('released values are used');
  });

  it('go when an operation made of others fails in the middle', () => {
    const x = mul(tensor([1, 2]), 1);
    const storages = storagesOf(() => {
      expect(() =>
        scoped(() => {
          mul(mul(x, 2), 3);
          throw new Error('in the middle');
        }),
      ).toThrow('in the middle');
    });
    expect(storages).toHaveLength(2);
    expect(alive(storages)).toEqual([]);
  });
});

describe('a network of twenty layers', () => {
  const LAYERS = 20;
  const SHAPE = [1, 8, 64, 64];
  const BYTES = 4 * 8 * 64 * 64;
  const weights = () =>
    Array.from({ length: LAYERS }, (_, i) => {
      const w = randn([8, 8, 3, 3], { seed: i });
      w.requiresGrad = true;
      return w;
    });

  /** Results of a layer's size that are in linear memory at once, at most, while `body` runs. */
  function most(body: () => void): number {
    const before = backend().engine.heap.used;
    let peak = before;
    const run = backend().run.bind(backend());
    const spy = vi.spyOn(backend(), 'run').mockImplementation((...call) => {
      const storage = run(...call);
      peak = Math.max(peak, backend().engine.heap.used);
      return storage;
    });
    body();
    spy.mockRestore();
    return (peak - before) / BYTES;
  }

  /** The layers one after the other, each result disposed of when the next one has been made from it. */
  function through(x: Tensor, layers: readonly Tensor[]): Tensor {
    let y = x;
    for (const w of layers) {
      const next = conv2d(y, w, { padding: 1, activation: 'relu' });
      if (y !== x) y.dispose();
      y = next;
    }
    return y;
  }

  it('runs in the memory of two layers where nothing is recorded', () => {
    const [x, layers] = [randn(SHAPE), weights()];
    noGrad(() => through(x, layers)).dispose();
    const peak = most(() => noGrad(() => through(x, layers)).dispose());
    expect(peak).toBeLessThan(3);
  });

  it('goes back in that of its activations and a few gradients, disposed of or not', () => {
    const [x, layers] = [randn(SHAPE), weights()];
    const step = () => {
      const loss = sum(through(x, layers));
      loss.backward();
      for (const w of layers) w.grad = null;
    };
    step();
    const left = backend().engine.heap.used;
    const peak = most(step);
    expect(peak).toBeGreaterThan(LAYERS - 1);
    expect(peak).toBeLessThan(LAYERS + 5);
    for (let i = 0; i < 3; i++) step();
    // The last result of each pass was not disposed of: it alone is left to the garbage collector.
    expect(backend().engine.heap.used - left).toBeLessThan(5 * BYTES);
  });
});
