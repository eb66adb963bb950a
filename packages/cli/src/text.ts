/**
 * text: labels as outlines. A bare machine has no fonts, and one with fonts has others, so that the panel brings its own
 * (Figtree, under the Open Font License) and draws each letter as an SVG path: the same picture everywhere. Letters that
 * the font has not are drawn as its empty box.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import opentype, { type Font, type PathCommand } from 'opentype.js';

/** The weights that are used. */
export type Weight = 400 | 600;

/** A space at which {@link breakLines} does not break. */
const NO_BREAK = '\u00a0';

const require = createRequire(import.meta.url);
const fonts = new Map<Weight, Font>();

function fontOf(weight: Weight): Font {
  let font = fonts.get(weight);
  if (font === undefined) {
    const bytes = readFileSync(
      require.resolve(`@fontsource/figtree/files/figtree-latin-${weight}-normal.woff`),
    );
    font = opentype.parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    fonts.set(weight, font);
  }
  return font;
}

/** How a line of text is set. */
export interface TextStyle {
  /** Height of the em square in pixels. */
  readonly size: number;
  readonly weight?: Weight;
  readonly fill: string;
  /** Which point of the line stands at x. Default start. */
  readonly anchor?: 'start' | 'end';
  /** Longer lines are cut, with an ellipsis. */
  readonly maxWidth?: number;
}

/** Glyphs side by side with their offsets in pixels, kerned, and the width of all. */
function layOut(text: string, font: Font, size: number) {
  const unit = size / font.unitsPerEm;
  const glyphs = [...text].map((letter) => font.charToGlyph(letter === NO_BREAK ? ' ' : letter));
  let width = 0;
  const placed = glyphs.map((glyph, i) => {
    if (i > 0) width += font.getKerningValue(glyphs[i - 1], glyph) * unit;
    const at = width;
    width += (glyph.advanceWidth ?? 0) * unit;
    return { glyph, at };
  });
  return { placed, width };
}

/** Outlines as SVG writes them, to a hundredth of a pixel. (The font library's own writer loses separators.) */
function pathData(commands: readonly PathCommand[]): string {
  const n = (value: number) => Number(value.toFixed(2));
  return commands
    .map((c) => {
      switch (c.type) {
        case 'Z':
          return 'Z';
        case 'C':
          return `C${n(c.x1)} ${n(c.y1)} ${n(c.x2)} ${n(c.y2)} ${n(c.x)} ${n(c.y)}`;
        case 'Q':
          return `Q${n(c.x1)} ${n(c.y1)} ${n(c.x)} ${n(c.y)}`;
        default:
          return `${c.type}${n(c.x)} ${n(c.y)}`;
      }
    })
    .join('');
}

/** The width of a line in pixels. */
export function measure(text: string, size: number, weight: Weight = 400): number {
  return layOut(text, fontOf(weight), size).width;
}

/** One line of text as an SVG path whose baseline is y. */
export function textPath(text: string, x: number, y: number, style: TextStyle): string {
  const font = fontOf(style.weight ?? 400);
  let line = layOut(text, font, style.size);
  for (
    let keep = [...text].length - 1;
    style.maxWidth !== undefined && line.width > style.maxWidth && keep > 0;
    keep--
  ) {
    line = layOut(`${[...text].slice(0, keep).join('').trimEnd()}…`, font, style.size);
  }
  const left = style.anchor === 'end' ? x - line.width : x;
  const outlines = line.placed.map(({ glyph, at }) =>
    pathData(glyph.getPath(left + at, y, style.size).commands),
  );
  return `<path fill="${style.fill}" d="${outlines.join('')}"/>`;
}

/** Words broken into lines that fit `width` pixels; sizes ("3 × 3") and measures ("33 dB") stay whole. */
export function breakLines(text: string, size: number, width: number, weight: Weight = 400): string[] {
  const lines: string[] = [];
  const whole = text.replace(/(?<=×) | (?=×|dB)/g, NO_BREAK);
  for (const word of whole.split(' ')) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length > 0 && measure(longer, size, weight) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
