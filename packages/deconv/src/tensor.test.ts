import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import './autograd.js';
import { tensor, zeros } from './ops/create.js';
import { mul } from './ops/elementwise.js';
import { reshape } from './ops/layout.js';
import { sum } from './ops/reduce.js';

describe('Tensor', () => {
  it('gives its values at once, awaited and nested', async () => {
    const x = tensor([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    expect(x.data).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(await x.read()).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(x.toArray()).toEqual([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    expect(tensor(7).toArray()).toBe(7);
    expect(zeros([0, 2]).toArray()).toEqual([]);
    expect([x.rank, x.size, tensor(7).rank, tensor(7).size, zeros([0, 2]).size]).toEqual([2, 4, 0, 1, 0]);
  });

  it('has an item when it has one element', () => {
    expect(tensor([[[5]]]).item()).toBe(5);
    expect(() => tensor([1, 2]).item()).toThrow('item: item() needs a tensor of one element, this one has 2');
    expect(() => tensor([]).item()).toThrow('this one has 0');
  });

  it('has a shape that nobody can change', () => {
    const shape = [2, 2];
    const x = zeros(shape);
    shape[0] = 7;
    expect(x.shape).toEqual([2, 2]);
    expect(() => Reflect.apply(Array.prototype.push, x.shape, [1])).toThrow(TypeError);
  });

  it('refuses use after disposal, by name or by using', () => {
    const x = tensor([1, 2, 3]);
    x.dispose();
    x.dispose();
    expect(() => x.data).toThrow('tensor: this tensor [3] was disposed');
    expect(() => mul(x, 2)).toThrow('was disposed');
    expect(String(x)).toBe('Tensor([3], disposed)');
    const y = tensor([1]);
    y[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
    expect(() => y.data).toThrow('was disposed');
  });

  it('keeps the values that others share when it is disposed', () => {
    const x = tensor([1, 2]);
    const [same, shaped] = [x.detach(), reshape(x, [2, 1])];
    x.dispose();
    expect(Array.from(same.data)).toEqual([1, 2]);
    expect(Array.from(shaped.data)).toEqual([1, 2]);
  });

  it('is printed with its type, shape and values', () => {
    expect(String(tensor([[1, -2], [3.5, 4]]))).toBe('Tensor(float32 [2, 2])\n[[  1,  -2],\n [3.5,   4]]'); // biome-ignore format: a matrix
    expect(inspect(tensor([1], { requiresGrad: true }))).toBe('Tensor(float32 [1], requiresGrad)\n[1]');
    expect(String(sum(tensor([1, 2])))).toBe('Tensor(float32 [])\n3');
    expect(String(zeros([2, 0]))).toBe('Tensor(float32 [2, 0])');
    expect(String(zeros([200]))).toBe('Tensor(float32 [200])\n[0, 0, 0, …, 0, 0, 0]');
  });

  it.each([
    [12000.4, '12000'],
    [1e-10, '1e-10'],
    [1.5e10 + 0.5, '15000000000'],
    [1 / 3, '0.33333'],
    [100.004, '100'],
    [-0.5, '-0.5'],
    [1e21, '1e+21'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ])('prints %d as %s', (value, text) => {
    expect(String(tensor([value], { dtype: 'float64' }))).toBe(`Tensor(float64 [1])\n[${text}]`);
  });
});
