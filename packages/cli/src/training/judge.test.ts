/** Judging: numbers worked out by hand. */
import { describe, expect, it } from 'vitest';
import { drawnSource } from './folder.js';
import { type JobOptions, jobOf } from './jobs.js';
import { judge, meanIou, psnr } from './judge.js';

const flat = (value: number) => ({ width: 2, height: 2, data: new Uint8Array(12).fill(value) });

describe('measures', () => {
  it('PSNR is 10·log₁₀(255²/mean square)', () => {
    expect(psnr(flat(10), flat(20))).toBeCloseTo(10 * Math.log10(255 ** 2 / 100), 10);
    expect(psnr(flat(10), flat(10))).toBe(99);
  });

  it('the IoU is a mean over the classes that occur', () => {
    // Class 0: 3 of 4 right, class 1: 1 right and one said too often, class 2 nowhere.
    const counts = Float64Array.from([3, 1, 0, 0, 1, 0, 0, 0, 0]);
    expect(meanIou(counts, 3)).toBeCloseTo((3 / 4 + 1 / 2) / 2, 12);
    expect(meanIou(new Float64Array(4), 2)).toBe(0);
  });
});

describe('judge', () => {
  const options = (task: JobOptions['task']): JobOptions => ({
    task,
    scale: task === 'upscale' ? 2 : 1,
    channels: 4,
    depth: 1,
    patch: 16,
    noise: [0, 50],
    classes: task === 'segment' ? 5 : 0,
    code: 3,
    down: 'stride',
    seed: 1,
  });

  it.each(['upscale', 'denoise'] as const)('finds a fresh model for %s no better than none', async (task) => {
    const job = jobOf(options(task));
    const example = await drawnSource(1, 40).load(0);
    const { score, baseline } = await judge(job, job.make(), [job.view(job.prepare(example))]);
    expect(score).toBeCloseTo(baseline ?? 0, 6);
    if (task === 'denoise') expect(score).toBeCloseTo(20 * Math.log10(255 / 25), 0);
  });

  it('leaves out pixels that are of no class', async () => {
    const job = jobOf(options('segment'));
    const example = await drawnSource(1, 32).load(0);
    const model = job.make();
    const view = job.view(job.prepare(example));
    const whole = await judge(job, model, [view]);
    const none = await judge(job, model, [{ ...view, mask: new Uint8Array(32 * 32).fill(255) }]);
    expect(whole.score).toBeGreaterThan(0);
    expect(none.score).toBe(0);
  });
});
