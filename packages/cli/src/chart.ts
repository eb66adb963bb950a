/**
 * chart: curves as a picture: panels side by side, each with labelled axes, a grid at round numbers and named lines. Layout
 * is arithmetic; letters are outlines (text.ts). Knows nothing of what the numbers mean.
 */
import sharp, { type Sharp } from 'sharp';
import { measure, textPath } from './text.js';

/** A curve. */
export interface Line {
  readonly label: string;
  readonly colour: string;
  /** [x, y], by ascending x. */
  readonly points: readonly (readonly [number, number])[];
  /** Thin and pale, as background to another. */
  readonly faint?: boolean;
  readonly dashed?: boolean;
}

/** Axes with curves. */
export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Equal steps for equal factors. */
  readonly logarithmic?: boolean;
  readonly lines: readonly Line[];
}

const SIZE = { width: 720, height: 520, left: 86, right: 28, top: 84, bottom: 70 } as const;
const COLOURS = { ground: '#15181d', grid: '#2a2f38', strong: '#f2f3f5', soft: '#a3acb9' } as const;

/** 1, 2 or 5 times a power of ten, so that about `wanted` steps fill a range. */
function roundStep(range: number, wanted: number): number {
  const rough = range / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((n) => n * power >= rough) ?? 10);
}

/** Round numbers within a range. */
export function ticksOf(from: number, to: number, wanted: number): number[] {
  const step = roundStep(to - from, wanted);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Round numbers of a range with equal factors: 1, 2 and 5 times the powers of ten, or fewer, or more. */
function factorTicks(from: number, to: number): number[] {
  const decades = Array.from(
    { length: Math.ceil(Math.log10(to)) - Math.floor(Math.log10(from)) + 1 },
    (_, i) => 10 ** (Math.floor(Math.log10(from)) + i),
  );
  const within = (steps: readonly number[]) =>
    decades.flatMap((decade) => steps.map((n) => n * decade)).filter((v) => v >= from && v <= to);
  const sets = [[1], [1, 3], [1, 2, 5]].map(within);
  return sets.find((ticks) => ticks.length >= 4) ?? ticksOf(from, to, 6);
}

/** Numbers as an axis has them, with as many digits as tell them apart: "0.02", "12", "6,000", "34.25". */
function labelled(ticks: readonly number[]): [value: number, label: string][] {
  const words = (digits: number) =>
    ticks.map((value) => value.toLocaleString('en-US', { maximumSignificantDigits: digits }));
  let digits = 2;
  const exact = (list: readonly string[]) =>
    list.every((word, i) => Number(word.replace(/,/g, '')) === ticks[i]);
  while (digits < 8 && !exact(words(digits))) digits++;
  return words(digits).map((label, i) => [ticks[i], label]);
}

function drawPlot(plot: Plot, left: number): string {
  const { width, height } = SIZE;
  const all = plot.lines.flatMap(({ points }) => points).filter(([, y]) => Number.isFinite(y));
  const scaled = plot.logarithmic ? Math.log10 : (y: number) => y;
  const ys = all.map(([, y]) => y).filter((y) => !plot.logarithmic || y > 0);
  const [least, most] = ys.length === 0 ? [1, 2] : [Math.min(...ys), Math.max(...ys)];
  const spare = (scaled(most) - scaled(least)) * 0.06 || Math.abs(scaled(most)) * 0.05 || 1;
  const [low, high] = [scaled(least) - spare, scaled(most) + spare];
  const lastX = Math.max(1, ...all.map(([x]) => x));
  const [x0, x1] = [left + SIZE.left, left + width - SIZE.right];
  const [y0, y1] = [height - SIZE.bottom, SIZE.top];
  const px = (x: number) => x0 + ((x1 - x0) * x) / lastX;
  const py = (y: number) => y0 + ((y1 - y0) * (scaled(y) - low)) / (high - low);
  const text = (words: string, x: number, y: number, more: object = {}) =>
    textPath(words, x, y, { size: 15, fill: COLOURS.soft, ...more });
  const ticks = plot.logarithmic ? factorTicks(10 ** low, 10 ** high) : ticksOf(low, high, 6);
  const parts = [
    text(plot.title, x0, 38, { size: 21, weight: 600, fill: COLOURS.strong }),
    ...labelled(ticks).flatMap(([y, label]) => [
      `<path d="M${x0} ${py(y)}H${x1}" stroke="${COLOURS.grid}"/>`,
      text(label, x0 - 10, py(y) + 5, { anchor: 'end' }),
    ]),
    ...labelled(ticksOf(0, lastX, 6)).flatMap(([x, label]) => [
      `<path d="M${px(x)} ${y0}v6" stroke="${COLOURS.soft}"/>`,
      text(label, px(x) - measure(label, 15) / 2, y0 + 26),
    ]),
    `<path d="M${x0} ${y1}V${y0}H${x1}" fill="none" stroke="${COLOURS.soft}"/>`,
    text(plot.x, x1, y0 + 52, { anchor: 'end', size: 16 }),
    `<g transform="rotate(-90 ${left + 26} ${y1})">${text(plot.y, left + 26, y1, { anchor: 'end', size: 16 })}</g>`,
  ];
  let at = x0;
  for (const { label, colour, points, faint, dashed } of plot.lines) {
    const drawn = points.filter(([, y]) => Number.isFinite(y) && (!plot.logarithmic || y > 0));
    const path = drawn
      .map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${px(x).toFixed(1)} ${py(y).toFixed(1)}`)
      .join('');
    const pen = `stroke="${colour}" stroke-width="${faint ? 1 : 2.5}" stroke-opacity="${faint ? 0.45 : 1}"${dashed ? ' stroke-dasharray="8 6"' : ''} stroke-linejoin="round"`;
    parts.push(`<path d="${path}" fill="none" ${pen}/>`);
    if (drawn.length === 1)
      parts.push(`<circle cx="${px(drawn[0][0])}" cy="${py(drawn[0][1])}" r="4" fill="${colour}"/>`);
    parts.push(`<path d="M${at} 61h22" ${pen}/>`, text(label, at + 30, 66));
    at += 30 + measure(label, 15) + 24;
  }
  return parts.join('');
}

/** Draws plots side by side. */
export function drawChart(plots: readonly Plot[]): { image: Sharp; width: number; height: number } {
  const [width, height] = [SIZE.width * plots.length, SIZE.height];
  const body = plots.map((plot, i) => drawPlot(plot, i * SIZE.width)).join('');
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="${COLOURS.ground}"/>${body}</svg>`;
  return { image: sharp(Buffer.from(drawing)).removeAlpha(), width, height };
}
