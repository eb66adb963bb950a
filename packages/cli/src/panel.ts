/**
 * panel: the one picture that a command shows its result in. A title, then numbered tiles in rows of three: an image, a
 * heading, and a caption that says what one sees. Layout is arithmetic on {@link METRICS}; letters are outlines (text.ts);
 * sharp puts the pieces together. Knows nothing of convolution.
 */
import sharp, { type OverlayOptions, type Sharp } from 'sharp';
import type { Pixels } from './pictures.js';
import { breakLines, measure, textPath } from './text.js';

/** A key to a tile's colours. */
export interface LegendEntry {
  readonly colour: readonly [number, number, number];
  readonly label: string;
}

/** One tile of a panel. */
export interface Tile {
  readonly heading: string;
  readonly caption: string;
  /** One image, or many that are laid out as a square of small ones. */
  readonly images: readonly Pixels[];
  /** Enlarge by repeating pixels (data) and not smoothly (pictures). Default false. */
  readonly crisp?: boolean;
  readonly legend?: readonly LegendEntry[];
}

/** What a panel shows. */
export interface Panel {
  readonly title: string;
  readonly subtitle: string;
  readonly tiles: readonly Tile[];
  readonly footer: string;
}

const METRICS = { tile: 456, gap: 40, margin: 56, columns: 3, header: 128, footer: 64 } as const;
const HEADING = { size: 22, baseline: 36 } as const;
const CAPTION = { size: 16.5, leading: 24, baseline: 64 } as const;
const LEGEND = { size: 15, swatch: 15, height: 30 } as const;
const COLOURS = {
  ground: '#15181d',
  frame: '#2a2f38',
  strong: '#f2f3f5',
  soft: '#a3acb9',
  accent: '#f0a35e',
} as const;

/** Small images in as square a grid as their number allows, inside a tile. */
function gridOf(count: number) {
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const gap = columns === 1 ? 0 : columns <= 5 ? 6 : 4;
  const cell = Math.floor((METRICS.tile - (columns - 1) * gap) / columns);
  const inset = Math.floor((METRICS.tile - columns * cell - (columns - 1) * gap) / 2);
  const drop = Math.floor((METRICS.tile - rows * cell - (rows - 1) * gap) / 2);
  return Array.from({ length: count }, (_, i) => ({
    left: inset + (i % columns) * (cell + gap),
    top: drop + Math.floor(i / columns) * (cell + gap),
    cell,
  }));
}

/** The pixels of an image scaled to a square cell. */
async function scaled(image: Pixels, cell: number, crisp: boolean): Promise<Buffer> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(cell, cell, { fit: 'fill', kernel: crisp ? 'nearest' : 'cubic' })
    .raw()
    .toBuffer();
}

const hex = (colour: readonly number[]) => `#${colour.map((c) => c.toString(16).padStart(2, '0')).join('')}`;

/** Swatches with labels on one line, as many as fit. */
function drawLegend(entries: readonly LegendEntry[], left: number, top: number): string {
  let x = left;
  const parts: string[] = [];
  for (const { colour, label } of entries) {
    const width = LEGEND.swatch + 7 + measure(label, LEGEND.size) + 18;
    if (x + width - 18 > left + METRICS.tile) break;
    parts.push(
      `<rect x="${x}" y="${top}" width="${LEGEND.swatch}" height="${LEGEND.swatch}" rx="3" fill="${hex(colour)}" stroke="${COLOURS.soft}" stroke-opacity="0.5"/>`,
      textPath(label, x + LEGEND.swatch + 7, top + 12.5, { size: LEGEND.size, fill: COLOURS.soft }),
    );
    x += width;
  }
  return parts.join('');
}

/** Draws a panel. The result is a picture of known width and height that is still to be encoded. */
export async function drawPanel(panel: Panel): Promise<{ image: Sharp; width: number; height: number }> {
  const { tile, gap, margin, columns } = METRICS;
  const width = 2 * margin + columns * tile + (columns - 1) * gap;
  const shapes: string[] = [
    textPath(panel.title, margin, 76, {
      size: 34,
      weight: 600,
      fill: COLOURS.strong,
      maxWidth: width - 2 * margin,
    }),
    textPath(panel.subtitle, margin, 108, { size: 18, fill: COLOURS.soft, maxWidth: width - 2 * margin }),
  ];
  const layers: OverlayOptions[] = [];

  let top = METRICS.header;
  for (let first = 0; first < panel.tiles.length; first += columns) {
    const row = panel.tiles.slice(first, first + columns);
    top += 16;
    let lowest = 0;
    for (const [column, item] of row.entries()) {
      const left = margin + column * (tile + gap);
      const cells = gridOf(item.images.length);
      for (const [i, image] of item.images.entries()) {
        const { cell } = cells[i];
        layers.push({
          input: await scaled(image, cell, item.crisp ?? false),
          raw: { width: cell, height: cell, channels: 3 },
          left: left + cells[i].left,
          top: top + cells[i].top,
        });
      }
      const number = `${first + column + 1}`;
      const indent = measure(number, HEADING.size, 600) + 10;
      const baseline = top + tile + HEADING.baseline;
      shapes.push(
        textPath(number, left, baseline, { size: HEADING.size, weight: 600, fill: COLOURS.accent }),
        textPath(item.heading, left + indent, baseline, {
          size: HEADING.size,
          weight: 600,
          fill: COLOURS.strong,
          maxWidth: tile - indent,
        }),
      );
      const lines = breakLines(item.caption, CAPTION.size, tile);
      for (const [i, line] of lines.entries()) {
        const y = top + tile + CAPTION.baseline + i * CAPTION.leading;
        shapes.push(textPath(line, left, y, { size: CAPTION.size, fill: COLOURS.soft, maxWidth: tile }));
      }
      let bottom = CAPTION.baseline + lines.length * CAPTION.leading;
      if (item.legend) {
        shapes.push(drawLegend(item.legend, left, top + tile + bottom - 12));
        bottom += LEGEND.height;
      }
      lowest = Math.max(lowest, bottom);
    }
    top += tile + lowest;
  }

  const height = top + METRICS.footer;
  shapes.push(
    `<rect x="${margin}" y="${top + 2}" width="${width - 2 * margin}" height="1" fill="${COLOURS.frame}"/>`,
    textPath(panel.footer, margin, top + 34, { size: 15, fill: COLOURS.soft, maxWidth: width - 2 * margin }),
  );
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`;
  const image = sharp({ create: { width, height, channels: 3, background: COLOURS.ground } }).composite([
    ...layers,
    { input: Buffer.from(drawing), left: 0, top: 0 },
  ]);
  // Drawing on top made it transparent in principle.
  image.removeAlpha();
  return { image, width, height };
}
