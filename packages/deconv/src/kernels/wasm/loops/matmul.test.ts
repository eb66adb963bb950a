/** Matrix products on linear memory against the reference, around the edges of tiles and of the rows-by-rows kernel. */
import { describe, expect, it } from 'vitest';
import { openWasm, operationOf, reference, uniform } from '../../../../../../test/support/wasm.js';

const product = operationOf('matmul');

describe('matmul', () => {
  const backend = openWasm();
  const random = uniform(5);
  const filled = (length: number) => Float32Array.from({ length }, () => Math.floor(random() * 9) - 4);

  const compare = (
    batch: number,
    m: number,
    n: number,
    k: number,
    transposeA: boolean,
    transposeB: boolean,
  ) => {
    const attributes = { batch, m, n, k, transposeA, transposeB };
    const [a, b] = [filled(batch * m * k), filled(batch * k * n)];
    const run = (on: Pick<typeof backend, 'upload' | 'run'>) =>
      on.run(product, [on.upload(a.slice()), on.upload(b.slice())], attributes).host();
    // Small integers: sums are exact in any order.
    expect(run(backend), JSON.stringify(attributes)).toEqual(run(reference));
  };

  it('is exact on small integers, stored either way round', () => {
    const sizes = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33];
    const pick = () => sizes[Math.floor(random() * sizes.length)];
    for (let i = 0; i < 400; i++)
      compare(1 + (i % 3), pick(), pick(), pick(), random() < 0.5, random() < 0.5);
  });

  it('is exact where a matrix meets few vectors and takes several calls', () => {
    compare(1, 1, 1001, 513, false, true);
    compare(2, 3, 205, 1030, false, true);
    compare(1, 517, 2, 259, false, false);
    compare(1, 130, 16, 4099, false, true);
    compare(1, 300, 1, 70_000, false, false);
  });
});
