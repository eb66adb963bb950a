/**
 * report: what a training has come to, as two pictures: the curves, and details of held-back pictures before, after and as
 * they should be, each with its number.
 */
import type { Sharp } from 'sharp';
import { drawChart, type Plot } from '../chart.js';
import { drawPanel, type Tile } from '../panel.js';
import type { Pixels } from '../pictures.js';
import { duration, grouped, sizes } from '../terminal.js';
import { classColours } from './index-png.js';
import { type JobOptions, VIEW_NOISE } from './jobs.js';
import type { Judged } from './judge.js';
import type { Ended, Spec } from './run.js';
import { cropPixels } from './scale-down.js';

/** How many held-back pictures are shown. */
const ROWS = 3;
/** Side of the details that are shown, in pixels. */
const DETAIL = 114;

/** "31.42 dB" or "0.812". */
export const score = (task: JobOptions['task'], value: number): string =>
  task === 'segment' ? value.toFixed(3) : `${value.toFixed(2)} dB`;

/** What the score is. */
export const scoreName = (task: JobOptions['task']): string => (task === 'segment' ? 'IoU' : 'PSNR');

/** What there is without a model. */
export const baselineName = (task: JobOptions['task']): string => (task === 'upscale' ? 'bicubic' : 'noisy');

/** Where a picture has most detail: the window with the largest variance of its brightness. */
export function busiest({ width, height, data }: Pixels, side: number): { left: number; top: number } {
  let best = { left: 0, top: 0, variance: -1 };
  const step = Math.max(1, Math.floor(side / 4));
  for (let top = 0; top + side <= height; top += step) {
    for (let left = 0; left + side <= width; left += step) {
      let [sum, squares] = [0, 0];
      // Differences between neighbours, so that a plain slope does not count.
      for (let y = top; y < top + side; y += 2) {
        for (let x = left; x + 1 < left + side; x += 2) {
          const at = (y * width + x) * 3 + 1;
          const d = data[at + 3] - data[at];
          sum += d;
          squares += d * d;
        }
      }
      const variance = squares - (sum * sum) / (side / 2) ** 2;
      if (variance > best.variance) best = { left, top, variance };
    }
  }
  return best;
}

function rowOf({ task, classes }: JobOptions, judged: Judged, classNames: readonly string[]): Tile[] {
  const { view, before, after, truth, baseline } = judged;
  const whole = task === 'segment' || Math.min(truth.width, truth.height) <= DETAIL;
  const side = Math.min(truth.width, truth.height, whole ? Number.POSITIVE_INFINITY : DETAIL);
  const { left, top } = whole
    ? { left: (truth.width - side) >> 1, top: (truth.height - side) >> 1 }
    : busiest(truth, side);
  const cut = (pixels: Pixels) => cropPixels(pixels, left, top, side, side);
  const name = view.name.length > 34 ? `…${view.name.slice(-33)}` : view.name;
  const place = whole ? 'its middle' : `${side} × ${side} pixels of it, where it has most detail`;
  const words: Record<JobOptions['task'], readonly [string, string, string]> = {
    upscale: [`bicubic: ${score(task, baseline ?? 0)}`, `this model: ${score(task, judged.score)}`, 'truth'],
    denoise: [`noisy: ${score(task, baseline ?? 0)}`, `this model: ${score(task, judged.score)}`, 'truth'],
    autoencode: ['the picture', `out of its code: ${score(task, judged.score)}`, 'four times the difference'],
    segment: ['the picture', `this model: IoU ${score(task, judged.score)}`, 'truth'],
  };
  const third = task === 'autoencode' ? differenceOf(truth, after) : truth;
  const captions = {
    upscale: [
      `${name}: ${place}.`,
      `${gain(judged)} over bicubic interpolation, on the whole of what was looked at.`,
      'What the small picture was made from.',
    ],
    denoise: [
      `${name} with noise of ${VIEW_NOISE} of 255: ${place}.`,
      `${gain(judged)} over the noisy picture.`,
      'The picture without noise.',
    ],
    autoencode: [`${name}: ${place}.`, 'Packed by the encoder and unpacked by the decoder.', 'Grey is none.'],
    segment: [`${name}: ${place}.`, 'The class of each pixel, as colours.', 'The mask.'],
  }[task];
  const colours = classColours(classes);
  const legend = Array.from({ length: Math.min(classes, 8) }, (_, i) => ({
    colour: colours[i],
    label: classNames[i] ?? `${i}`,
  }));
  return [before, after, third].map((pixels, i) => ({
    heading: words[task][i],
    caption: captions[i],
    images: [cut(pixels)],
    crisp: task !== 'segment' || i > 0,
    ...(task === 'segment' && i > 0 ? { legend } : {}),
  }));
}

const gain = ({ score: after, baseline = 0 }: Judged) =>
  `${after >= baseline ? '+' : '−'}${Math.abs(after - baseline).toFixed(2)} dB`;

/** Four times the difference around grey. */
function differenceOf(a: Pixels, b: Pixels): Pixels {
  const data = Uint8ClampedArray.from(a.data, (value, i) => 128 + 4 * (b.data[i] - value));
  return { ...a, data: new Uint8Array(data.buffer) };
}

/** "8 min 12 s" */
export function longDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return Number.isInteger(milliseconds / 1000) ? `${seconds} s` : duration(milliseconds);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/** Details before and after. */
export function drawBeforeAfter(
  { job }: Spec,
  ended: Ended,
  modelName: string,
  classNames: readonly string[],
): Promise<{ image: Sharp; width: number; height: number }> {
  const { verdict } = ended;
  const titles: Record<JobOptions['task'], string> = {
    upscale: `Pictures × ${job.scale}, on pictures held back from training`,
    denoise: 'Noise taken off pictures held back from training',
    autoencode: 'Pictures held back from training, packed and unpacked',
    segment: 'Classes of pictures held back from training',
  };
  const mean = `mean ${scoreName(job.task)} of ${verdict.each.length}: ${score(job.task, verdict.score)}`;
  const against =
    verdict.baseline === undefined ? '' : `, ${baselineName(job.task)} ${score(job.task, verdict.baseline)}`;
  // From the hardest to the easiest, evenly.
  const byScore = [...verdict.each].sort((a, b) => a.score - b.score);
  const shown = byScore.filter((_, i) => {
    const at = (n: number) => Math.floor((n * byScore.length) / Math.min(ROWS, byScore.length));
    return Array.from({ length: ROWS }, (_, n) => at(n)).includes(i);
  });
  return drawPanel({
    title: titles[job.task],
    subtitle: `${modelName}   ${grouped(ended.steps)} steps in ${longDuration(ended.elapsed)}   ${mean}${against}`,
    tiles: shown.slice(0, ROWS).flatMap((judged) => rowOf(job, judged, classNames)),
    footer: `${job.channels} feature maps     patches of ${sizes([job.patch, job.patch])}     seed ${job.seed}     best after step ${grouped(ended.bestStep)}`,
  });
}

/** The curves. */
export function drawCurves({ job }: Spec, ended: Ended) {
  const { losses, scores } = ended.history;
  const smooth: [number, number][] = [];
  for (const [i, [step]] of losses.entries()) {
    const part = losses.slice(Math.max(0, i - 7), i + 8).map(([, loss]) => loss);
    smooth.push([step, part.reduce((a, b) => a + b, 0) / part.length]);
  }
  const { baseline } = ended.verdict;
  const name = scoreName(job.task);
  const plots: Plot[] = [
    {
      title: 'Loss in training',
      x: 'step',
      y: job.task === 'segment' ? 'cross-entropy' : 'mean absolute difference',
      logarithmic: true,
      lines: [
        { label: 'mean of some steps', colour: '#6cb4ee', points: losses, faint: true },
        { label: 'smoothed', colour: '#6cb4ee', points: smooth },
      ],
    },
    {
      title: `${name} on held-back pictures`,
      x: 'step',
      y: job.task === 'segment' ? 'mean intersection over union' : 'PSNR in dB',
      lines: [
        { label: 'this model', colour: '#f0a35e', points: scores },
        ...(baseline === undefined
          ? []
          : [
              {
                label: baselineName(job.task),
                colour: '#a3acb9',
                dashed: true,
                points: [[0, baseline] as const, [ended.steps, baseline] as const],
              },
            ]),
      ],
    },
  ];
  return drawChart(plots);
}
