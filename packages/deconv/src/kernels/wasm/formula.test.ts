import { describe, expect, it } from 'vitest';
import { Heap } from './heap.js';
import { inPieces, VectorKernels } from './vector-kernels.js';

const heap = new Heap(8192, false, 1024);
const kernels = new VectorKernels(heap);

/** Applies a formula to rows of numbers; an input of one number counts for all of them. */
function evaluate(text: string, inputs: readonly (readonly number[])[], parameters: readonly number[] = []) {
  const n = Math.max(...inputs.map((values) => values.length));
  const places = inputs.map((values) => {
    const { at } = heap.take(4 * values.length);
    heap.floats.set(values, at / 4);
    return [at, 0] as const;
  });
  const { at } = heap.take(4 * n + 4);
  heap.floats[at / 4 + n] = 77;
  const pattern = inputs.map((values) => (values.length === n ? '1' : '0')).join('');
  kernels.apply(text, 'abc'.slice(0, inputs.length), pattern, [at, 0], 1, n, places, parameters);
  expect(heap.floats[at / 4 + n]).toBe(77);
  return Array.from(heap.floats.subarray(at / 4, at / 4 + n));
}

describe('a formula', () => {
  it('knows precedence, brackets and signs', () => {
    expect(evaluate('1+2*a-6/a', [[2, 3]])).toEqual([2, 5]);
    expect(evaluate('(1+2)*-a--a', [[2, 3]])).toEqual([-4, -6]);
    expect(evaluate('a-1-1', [[5]])).toEqual([3]);
    expect(evaluate('12/a/2', [[3]])).toEqual([2]);
    expect(evaluate('1e2*a+.5', [[1]])).toEqual([100.5]);
  });

  it('chooses, and chooses again on either side', () => {
    expect(evaluate('a>0 ? 1 : a<0 ? -1 : a', [[3, -3, 0]])).toEqual([1, -1, 0]);
    expect(evaluate('a>=1 ? a<=2 ? 10 : 20 : a==0 ? 30 : 40', [[1, 2, 3, 0, -1]])).toEqual([
      10, 10, 20, 30, 40,
    ]);
  });

  it('takes inputs by element or one for all, and two numbers', () => {
    expect(evaluate('a*b+c', [[1, 2, 3], [10], [1, 1, 2]])).toEqual([11, 21, 32]);
    expect(evaluate('p*a-q', [[1, 2]], [3, 0.5])).toEqual([2.5, 5.5]);
    expect(evaluate('7', [[1, 2, 3, 4, 5]])).toEqual([7, 7, 7, 7, 7]);
    expect(evaluate('a', [[1, 2, 3]])).toEqual([1, 2, 3]);
  });

  it('evaluates polynomials of any degree, highest power first', () => {
    expect(evaluate('poly(a,5)', [[3]])).toEqual([5]);
    expect(evaluate('poly(a,2,1)', [[3]])).toEqual([7]);
    expect(evaluate('poly(a,1,0,0,2)', [[3]])).toEqual([29]);
    expect(evaluate('poly(a,1,2,3,4,5,6,7)', [[2]])).toEqual([247]);
  });

  it('writes neither before nor beyond a row, whatever its length', () => {
    for (let n = 1; n <= 40; n++) {
      const values = Array.from({ length: n }, (_, i) => i);
      expect(evaluate('a+1', [values])).toEqual(values.map((i) => i + 1));
      expect(evaluate('exp(0*a)', [values])).toEqual(values.map(() => 1));
    }
  });

  it('that cannot be read throws', () => {
    expect(() => evaluate('a+', [[1]])).toThrow('formula: ( expected in a+');
    expect(() => evaluate('a b', [[1]])).toThrow('formula: end expected in a b');
    expect(() => evaluate('nothing(a)', [[1]])).toThrow('formula: no function nothing');
    expect(() => evaluate('(a', [[1]])).toThrow('formula: ) expected');
  });
});

describe('pieces', () => {
  it('cover every element once, and keep to the limit', () => {
    for (const [n1, n] of [
      [0, 5],
      [5, 0],
      [1, 100_000],
      [100_000, 1],
      [7, 16_384],
      [300, 257],
      [3, 40_000],
    ]) {
      let elements = 0;
      let next = 0;
      inPieces(n1, n, (row, rows, column, columns) => {
        expect(rows * columns).toBeLessThanOrEqual(16_384);
        expect(column * n1 + row * columns).toBe(next);
        next += rows * columns;
        elements += rows * columns;
      });
      expect(elements).toBe(n1 * n);
    }
  });
});
