/** The choice of the tile: only what computes rightly is taken, and the choice computes rightly at every height. */
import { describe, expect, it } from 'vitest';
import { Heap } from './heap.js';
import { kernelBuilds, kernelModule } from './microkernels.js';
import { compile, instantiate, webAssembly } from './platform.js';
import { chooseTile, hasSimd } from './tile.js';

describe('chooseTile', () => {
  it('takes one of the candidates, the first of those that are about the fastest', () => {
    expect(hasSimd()).toBe(true);
    const choice = chooseTile(false);
    expect(['6×8', '4×8']).toContain(`${choice?.tile.mr}×${choice?.tile.nr}`);
    const peaks = (choice?.tried ?? []).map(({ peak }) => peak);
    expect(choice?.peak).toBeGreaterThanOrEqual(Math.max(...peaks) / 1.08);
    expect(choice?.peak).toBeGreaterThan(0);
    expect(chooseTile(true)?.tried.map(({ tile }) => tile.nr)).toEqual([16, 8, 8]);
  });

  it('has no choice where the engine compiles none', () => {
    const { validate } = webAssembly();
    webAssembly().validate = () => false;
    try {
      expect(chooseTile(false)).toBeUndefined();
    } finally {
      webAssembly().validate = validate;
    }
  });

  it.each([false, true])('its kernels of every height give the product (wide %s)', (wide) => {
    const choice = chooseTile(wide);
    for (const { tile } of choice?.tried ?? []) {
      const heap = new Heap(8192, false, 64);
      const builds = kernelBuilds(tile);
      const { mr, nr } = tile;
      const [K, STRIPS] = [37, 3];
      for (let rows = 1; rows <= mr; rows++) {
        const build = builds.get(`gemm${rows}`);
        if (build === undefined) throw new Error(`there is no kernel for ${rows} rows`);
        const { command } = instantiate(compile(kernelModule(build, heap.limits)), heap.memory);
        const [a, b, table, c] = [rows * K, K * nr * STRIPS, K, rows * nr * STRIPS].map((n) =>
          heap.take(4 * n),
        );
        const { floats, integers } = heap;
        const value = (n: number) => ((n * 7) % 11) - 5;
        for (let i = 0; i < rows * K; i++) floats[a.at / 4 + i] = value(i);
        for (let i = 0; i < K * nr * STRIPS; i++) floats[b.at / 4 + i] = value(i + 3);
        const row = 4 * nr * STRIPS;
        for (let k = 0; k < K; k++) integers[table.at / 4 + k] = k * row;
        const run = (fresh: number) =>
          command(a.at, b.at, table.at, K, c.at, row, fresh, 1, 0, 0, 0, STRIPS, 0, 4 * nr, 4 * nr);
        const expected = (times: number) =>
          Array.from({ length: rows * nr * STRIPS }, (_, i) => {
            const [r, j] = [Math.floor(i / (nr * STRIPS)), i % (nr * STRIPS)];
            let sum = 0;
            for (let k = 0; k < K; k++) sum += value(k * rows + r) * value(k * nr * STRIPS + j + 3);
            return times * sum;
          });
        const result = () => Array.from(floats.subarray(c.at / 4, c.at / 4 + rows * nr * STRIPS));
        floats.fill(Number.NaN, c.at / 4, c.at / 4 + rows * nr * STRIPS);
        run(1);
        expect(result()).toEqual(expected(1));
        run(0);
        expect(result()).toEqual(expected(2));
      }
    }
  });
});
