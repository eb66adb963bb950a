/**
 * judge: how good a model is on pictures that it was not trained on. Pictures are compared as bytes, by the PSNR, and beside
 * them what there is without a model: bicubic interpolation, or the noise left on. Classes are compared by the mean over
 * classes of intersection / union.
 */
import { noGrad, upsample } from 'deconv';
import type { AnyPictureModel } from 'deconv/nn';
import type { Pixels } from '../pictures.js';
import { fromTensor, toTensor } from '../planes.js';
import { UNKNOWN_CLASS } from './folder.js';
import { classColours } from './index-png.js';
import type { Job, View } from './jobs.js';

/** What a model makes of one picture. */
export interface Judged {
  readonly view: View;
  /** PSNR in dB, or mean intersection over union. */
  readonly score: number;
  /** The same of {@link before}; undefined where it is not comparable. */
  readonly baseline: number | undefined;
  /** What there is without the model. */
  readonly before: Pixels;
  readonly after: Pixels;
  /** What it should be; the colours of the classes where these are learnt. */
  readonly truth: Pixels;
}

/** All of them, and their means. */
export interface Verdict {
  readonly score: number;
  readonly baseline: number | undefined;
  readonly each: readonly Judged[];
}

/** Peak signal-to-noise ratio of bytes in dB, at most 99. */
export function psnr(a: Pixels, b: Pixels): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2;
  return Math.min(99, 10 * Math.log10(255 ** 2 / (sum / a.data.length)));
}

/** Counts of (true class, said class), row by row. */
function confusion(truth: Uint8Array, said: ArrayLike<number | bigint>, classes: number): Float64Array {
  const counts = new Float64Array(classes * classes);
  for (let i = 0; i < truth.length; i++) {
    if (truth[i] !== UNKNOWN_CLASS) counts[truth[i] * classes + Number(said[i])]++;
  }
  return counts;
}

/** Mean of intersection / union over the classes that occur. */
export function meanIou(counts: Float64Array, classes: number): number {
  const found: number[] = [];
  for (let k = 0; k < classes; k++) {
    let [row, column] = [0, 0];
    for (let j = 0; j < classes; j++) {
      row += counts[k * classes + j];
      column += counts[j * classes + k];
    }
    const both = counts[k * classes + k];
    if (row + column > 0) found.push(both / (row + column - both));
  }
  return found.length === 0 ? 0 : found.reduce((a, b) => a + b, 0) / found.length;
}

const coloured = (picture: Pixels, classOf: ArrayLike<number | bigint>, classes: number): Pixels => {
  const colours = classColours(classes);
  const data = new Uint8Array(picture.data.length);
  for (let i = 0; i < picture.width * picture.height; i++) {
    const colour = colours[Number(classOf[i])] ?? [128, 128, 128];
    for (let c = 0; c < 3; c++) data[3 * i + c] = colour[c];
  }
  return { ...picture, data };
};

/** The picture by bicubic interpolation, as a fresh upscaler has it. */
export function bicubic(picture: Pixels, scale: number): Pixels {
  const x = toTensor(picture);
  const y = noGrad(() => upsample(x, { scaleFactor: scale, mode: 'cubic' }));
  const pixels = fromTensor(y, 255);
  x.dispose();
  y.dispose();
  return pixels;
}

const meanOf = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Looks at a model. The event loop gets a turn between pictures. */
export async function judge(job: Job, model: AnyPictureModel, views: readonly View[]): Promise<Verdict> {
  const { task, scale, classes } = job.options;
  const each: Judged[] = [];
  const all = new Float64Array(classes * classes);
  for (const view of views) {
    const { truth, input, mask } = view;
    const x = toTensor(input);
    const y = model.apply(x);
    x.dispose();
    if (task === 'segment' && mask !== undefined) {
      const counts = confusion(mask, y.data, classes);
      for (const [i, count] of counts.entries()) all[i] += count;
      each.push({
        view,
        score: meanIou(counts, classes),
        baseline: undefined,
        before: truth,
        after: coloured(truth, y.data, classes),
        truth: coloured(truth, mask, classes),
      });
    } else {
      const before = task === 'upscale' ? bicubic(input, scale) : input;
      const after = fromTensor(y, 255);
      const baseline = task === 'autoencode' ? undefined : psnr(before, truth);
      each.push({ view, score: psnr(after, truth), baseline, before, after, truth });
    }
    y.dispose();
    await new Promise(setImmediate);
  }
  const baselines = each.flatMap(({ baseline }) => (baseline === undefined ? [] : [baseline]));
  return {
    score: task === 'segment' ? meanIou(all, classes) : meanOf(each.map(({ score }) => score)),
    baseline: baselines.length === 0 ? undefined : meanOf(baselines),
    each,
  };
}
