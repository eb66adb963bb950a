/** Every recipe of examples/ runs, prints something, and ends with the right numbers. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

let printed = '';
beforeEach(() => {
  printed = '';
  vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => {
    printed += `${parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ')}\n`;
  });
});
afterEach(() => vi.restoreAllMocks());

const folder = new URL('../examples/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));

describe('examples', () => {
  it('are all tried here, and short', () => {
    expect(names.sort()).toEqual([
      'autoencoder.ts',
      'dcgan.ts',
      'deconvnet.ts',
      'fcn-segmentation.ts',
      'learn-kernel.ts',
      'projection.ts',
      'super-resolution.ts',
      'unet.ts',
      'unrolled-matrix.ts',
      'vae.ts',
    ]);
    const listed = readFileSync(new URL('README.md', folder), 'utf8');
    for (const name of names) expect(listed).toContain(`(${name})`);
    for (const name of names) {
      const lines = readFileSync(new URL(name, folder), 'utf8').split('\n').length;
      expect(lines, name).toBeLessThanOrEqual(100);
    }
  });

  it('projection: 227 → 55 → 227, and the picture comes back', async () => {
    const { maps, back, psnr, counts, twice } = await import('../examples/projection.js');
    expect(maps.shape).toEqual([1, 96, 55, 55]);
    expect(back.shape).toEqual([1, 3, 227, 227]);
    expect(psnr).toBeGreaterThan(30);
    expect(twice.shape).toEqual([1, 1, 95, 95]);
    expect(Array.from(counts.data).reduce((sum, count) => sum + count, 0)).toBe(55 * 55 * 11 * 11);
    expect(printed).toContain('[[1,64],[2,960],[3,2544],[4,3600],[6,19080],[9,25281]]');
  });

  it('unrolled matrix: W*ᵀ·y is the transposed convolution', async () => {
    const { matrix, y, back, backByMatrix, shown, averaged } = await import('../examples/unrolled-matrix.js');
    expect(matrix.toArray()).toEqual([
      [1, 2, 0, 3, 4, 0, 0, 0, 0],
      [0, 1, 2, 0, 3, 4, 0, 0, 0],
      [0, 0, 0, 1, 2, 0, 3, 4, 0],
      [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]);
    expect(Array.from(y.data)).toEqual([37, 47, 67, 77]);
    expect(Array.from(back.data)).toEqual([37, 121, 94, 178, 500, 342, 201, 499, 308]);
    expect(backByMatrix.toArray()).toEqual(back.toArray());
    expect(Array.from(shown.data)).toEqual([0, 46, 31, 77, 255, 167, 90, 254, 149]);
    expect(Array.from(averaged.data)).toEqual([37, 60.5, 94, 89, 125, 171, 201, 249.5, 308]);
  });

  it('learn kernel: finds the hidden one to 1e-3', async () => {
    const { error, bias } = await import('../examples/learn-kernel.js');
    expect(error).toBeLessThan(1e-3);
    expect(bias.item()).toBeCloseTo(0.3, 3);
    expect(printed).toContain('step 40: loss');
    expect(printed).toContain('within 1e-3');
  });

  // Trained networks: the bounds leave room for other last bits (wide or plain vectors), which grow as training goes on.

  it('autoencoder: pooling switches bring edges back', async () => {
    const { without, withSwitches } = await import('../examples/autoencoder.js');
    expect(without.output.shape).toEqual([32, 3, 32, 32]);
    expect(withSwitches.psnr).toBeGreaterThan(19);
    expect(withSwitches.psnr).toBeGreaterThan(without.psnr + 1);
  });

  it('super-resolution: better than bicubic', async () => {
    const { before, scores } = await import('../examples/super-resolution.js');
    expect(before).toBeCloseTo(30.583, 2);
    expect(scores.at(-1)).toBeGreaterThan(before + 0.4);
    expect(printed).toContain('bicubic');
  });

  it('DCGAN: what is drawn comes near to what is real, in all its kinds', async () => {
    const { first, last } = await import('../examples/dcgan.js');
    expect(last.toReal).toBeLessThan(first.toReal / 2);
    expect(last.toDrawn).toBeLessThan(first.toDrawn / 1.8);
  });

  it('FCN: classes of pixels', async () => {
    const { scores } = await import('../examples/fcn-segmentation.js');
    // To say ground everywhere would be a quarter.
    expect(scores.at(-1)).toBeGreaterThan(0.42);
    expect(printed).toContain('what it says');
  });

  it('VAE: the bound falls, and the codes say something', async () => {
    const { bounds, kls, drawn } = await import('../examples/vae.js');
    expect(bounds.at(-1)).toBeLessThan(75);
    expect(bounds.at(-1)).toBeLessThan(bounds[0] / 1.5);
    expect(kls.at(-1)).toBeGreaterThan(4);
    expect(drawn.shape).toEqual([6, 1, 16, 16]);
    expect(drawn.data.every((value) => value >= 0 && value <= 1)).toBe(true);
  });

  it('U-Net: learns a mask, and is the same once saved and loaded', async () => {
    const { scores, same } = await import('../examples/unet.js');
    expect(scores.at(-1)).toBeGreaterThan(0.55);
    expect(same).toBe(true);
  });

  it('deconvnet: a projection lies within what its activation saw, and shows the feature', async () => {
    const { pooled, switches, project } = await import('../examples/deconvnet.js');
    expect(pooled.shape).toEqual([1, 2, 5, 5]);
    expect(switches.dtype).toBe('int32');
    for (const feature of [0, 1]) {
      const seen = project(feature);
      expect(seen.shape).toEqual([1, 1, 12, 12]);
      // One activation of a 3 × 3 kernel with a line of zeros: three pixels up, three down.
      expect(seen.data.filter((value) => value > 0).length).toBe(3);
      expect(seen.data.filter((value) => value < 0).length).toBe(3);
      const places = [...seen.data.keys()].filter((i) => seen.data[i] !== 0);
      const rows = places.map((i) => Math.floor(i / 12));
      const columns = places.map((i) => i % 12);
      expect(Math.max(...rows) - Math.min(...rows)).toBe(2);
      expect(Math.max(...columns) - Math.min(...columns)).toBe(2);
    }
    expect(printed).toContain('# # #');
  });
});
