/**
 * projection: what `deconv project` shows of a picture that went through a bank of kernels and back, as tiles of a panel.
 */
import { type Tensor, toDisplay } from 'deconv';
import { countColour, signedColour } from './colours.js';
import type { LegendEntry, Tile } from './panel.js';
import type { Picture, Pixels } from './pictures.js';
import { type CoverageBin, coloured } from './planes.js';
import { plural, sizes } from './terminal.js';

/** How many feature maps the panel shows. */
export const SHOWN_MAPS = 16;
/** And how many kernels. */
const SHOWN_KERNELS = 100;

/** Which of the two projections is measured. */
export type Overlap = 'average' | 'sum';

/** The options that a projection is made with. */
export interface ProjectionOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly filters: number;
  readonly overlap: Overlap;
  readonly size: number;
}

/** A PSNR as text. */
export const decibels = (psnr: number) =>
  Number.isFinite(psnr) ? `${psnr.toFixed(1)} dB` : 'infinite (not one pixel differs)';

/** At most `most` entries of a list, evenly spread, first and last kept. */
export function pick<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, i) => list[Math.round((i * (list.length - 1)) / (most - 1))]);
}

/** Everything that the tiles show. */
export interface Projection {
  readonly options: ProjectionOptions;
  readonly maps: number;
  readonly picture: Picture;
  readonly weight: Tensor;
  readonly y: Tensor;
  readonly strongest: readonly number[];
  readonly shownSum: Pixels;
  readonly shownAverage: Pixels;
  readonly counts: Tensor;
  readonly histogram: readonly CoverageBin[];
  readonly psnr: number;
}

/** The six tiles: picture, kernels, feature maps, both projections, coverage. */
export function projectionTiles(projection: Projection): Tile[] {
  const { options, maps, picture, weight, y, strongest, shownSum, shownAverage, counts, histogram, psnr } =
    projection;
  const { kernel, stride, filters, overlap, size } = options;

  // Kernels (F, 3, k, k) are signed: grey is 0, each scaled by itself.
  const kernels = toDisplay(weight, { per: 'image', signed: true });
  const each = 3 * kernel * kernel;
  const kernelImages = Array.from({ length: Math.min(filters, SHOWN_KERNELS) }, (_, f) => {
    const data = new Uint8Array(each);
    for (let i = 0; i < each; i++)
      data[i] = Number(kernels.data[f * each + (i % 3) * kernel * kernel + Math.floor(i / 3)]);
    return { width: kernel, height: kernel, data };
  });

  const levels = toDisplay(y, { per: 'channel', signed: true }).data;
  const plane = maps * maps;
  const mapImages = strongest.map((f) =>
    coloured(levels.subarray(f * plane, (f + 1) * plane), maps, maps, signedColour),
  );

  const most = histogram[histogram.length - 1].count;
  const even = histogram.filter(({ count }) => count > 0).length === 1;
  const legend: LegendEntry[] = pick(histogram, 8).map(({ count }) => ({
    colour: countColour(count, most),
    label: `${count}`,
  }));
  const measured = (how: Overlap) => (how === overlap ? ` PSNR ${decibels(psnr)}.` : '');

  return [
    {
      heading: 'The picture',
      caption: `${sizes([3, size, size])}: the largest square of its middle, scaled from ${sizes([picture.source.width, picture.source.height])}.`,
      images: [picture],
    },
    {
      heading:
        filters > SHOWN_KERNELS
          ? `The first ${SHOWN_KERNELS} of ${filters} kernels`
          : plural(filters, 'kernel'),
      caption: `Each ${sizes([3, kernel, kernel])}, orthonormal, coarse before fine. Mid-grey is 0; each is scaled by itself.`,
      images: kernelImages,
      crisp: true,
    },
    {
      heading:
        filters > strongest.length ? `The ${strongest.length} strongest feature maps` : 'The feature maps',
      caption: `${sizes([maps, maps])} each, of ${filters}: how strongly a kernel answers in each window. Blue is below 0, orange above.`,
      images: mapImages,
      crisp: true,
    },
    {
      heading: 'Projection, overlaps averaged',
      caption: `Each pixel divided by the number of windows that reach it: true values, nothing rescaled.${measured('average')}`,
      images: [shownAverage],
    },
    {
      heading: 'Projection, overlaps summed (rescaled)',
      caption: `Windows added up as they fall, then stretched from least to greatest to be seen.${even ? '' : ' The lattice is the coverage.'}${measured('sum')}`,
      images: [shownSum],
    },
    {
      heading: 'Coverage',
      caption: `How many windows reach each pixel${histogram.length === 1 ? `: ${most} everywhere` : `, ${histogram[0].count} to ${most}`}. Windows are ${kernel} × ${kernel}, ${stride} apart.`,
      images: [coloured(counts.data, size, size, (count) => countColour(count, most))],
      crisp: true,
      legend,
    },
  ];
}
