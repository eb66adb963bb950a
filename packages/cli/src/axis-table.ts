/**
 * axis-table: one axis of a convolution (or its transpose) drawn with letters. Rows are the windows, columns the places
 * that they cover, and `w1` in row i and column q says that window i meets place q with tap 1: q = i·s + u·d − pb. A
 * convolution reads along its rows, a transposed convolution writes along them; the table is the same, and it is the
 * unrolled matrix of one axis.
 */
import { type ConvGeometry, coverageAxes } from 'deconv';
import type { Paint } from './terminal.js';

/** One axis of a {@link ConvGeometry}. */
export interface AxisGeometry {
  /** Windows: the small side. */
  readonly windows: number;
  /** Places: the large side. */
  readonly places: number;
  readonly k: number;
  readonly s: number;
  readonly d: number;
  readonly before: number;
  /** Without outputPadding. */
  readonly after: number;
  readonly outputPadding: number;
  /** How many (window, tap) pairs meet each place. */
  readonly coverage: readonly number[];
}

/** The axes of a geometry. Its padAfter has outputPadding taken off already; `outputPadding` tells them apart again. */
export function axesOf(g: ConvGeometry, outputPadding: readonly number[]): AxisGeometry[] {
  const coverages = coverageAxes(g);
  return g.xSize.map((places, axis) => ({
    places,
    windows: g.ySize[axis],
    k: g.kernelSize[axis],
    s: g.stride[axis],
    d: g.dilation[axis],
    before: g.padBefore[axis],
    after: g.padAfter[axis] + outputPadding[axis],
    outputPadding: outputPadding[axis],
    coverage: [...coverages[axis]],
  }));
}

/** The tap with which window i meets place q, or undefined: (q + pb − i·s) / d, if that is a tap. */
export function tapAt(axis: AxisGeometry, window: number, place: number): number | undefined {
  const u = (place + axis.before - window * axis.s) / axis.d;
  return Number.isInteger(u) && u >= 0 && u < axis.k ? u : undefined;
}

const BLOCKS = '▁▂▃▄▅▆▇█';

/** What the rows and columns are called. */
export interface TableWords {
  /** 'input' or 'output': the windows. */
  readonly rows: string;
  /** The places. */
  readonly columns: string;
  /** What is outside: 'cropped' or 'zeros'. */
  readonly outside: string;
}

/**
 * The table as lines of text, at most `width` columns wide and `most` rows high: what does not fit is left out at the
 * far end, which the last line says.
 */
export function drawTable(
  axis: AxisGeometry,
  words: TableWords,
  paint: Paint,
  width: number,
  most = 12,
): string[] {
  const { windows, places, k, coverage } = axis;
  const from = Math.min(0, -axis.before);
  const reach = (windows - 1) * axis.s + (k - 1) * axis.d - axis.before;
  const to = Math.max(places - 1, reach);
  const cell = Math.max(`w${k - 1}`.length, `${places - 1}`.length, 2) + 1;
  const label = Math.max(`${words.rows} ${windows - 1}`.length, words.columns.length, 'coverage'.length) + 2;
  const fits = Math.max(4, Math.floor((width - label - 2) / cell));
  const last = Math.min(to, from + fits - 1);
  const columns = Array.from({ length: last - from + 1 }, (_, i) => from + i);
  const inside = (q: number) => q >= 0 && q < places;
  // A bar stands where the inside begins and where it ends.
  const line = (name: string, text: (q: number) => string, style: (text: string) => string = (t) => t) => {
    let out = name.padEnd(label);
    for (const q of columns) {
      const edge = (q === 0 && from < 0) || (q === places && q > from);
      const padded = text(q).padStart(edge ? cell - 1 : cell);
      out += `${edge ? '│' : ''}${inside(q) ? style(padded) : paint.dim(padded)}`;
    }
    return out.trimEnd();
  };
  const peak = Math.max(...coverage);
  const block = (count: number) => (count === 0 ? '·' : BLOCKS[Math.ceil((count / peak) * 8) - 1]);
  const lines = [line(words.columns, (q) => (inside(q) ? `${q}` : '×'), paint.bold)];
  // Windows that begin beyond the last column would be rows of dots.
  const visible = Math.floor((last + axis.before) / axis.s) + 1;
  const shown = Math.min(windows, most, Math.max(visible, 1));
  for (let i = 0; i < shown; i++) {
    lines.push(
      line(`${words.rows} ${i}`, (q) => {
        const u = tapAt(axis, i, q);
        return u === undefined ? '·' : `w${u}`;
      }),
    );
  }
  if (shown < windows) lines.push(paint.dim('…'));
  lines.push(
    line('coverage', (q) => (inside(q) ? `${coverage[q]}` : ''), paint.cyan),
    line('', (q) => (inside(q) ? block(coverage[q]) : ''), paint.cyan),
  );
  const cut: string[] = [];
  if (shown < windows) cut.push(`${words.rows}s 0 to ${shown - 1} of ${windows}`);
  if (last < to) cut.push(`${words.columns}s up to ${last} of ${places}`);
  if (cut.length > 0) lines.push(paint.dim(`(${cut.join(', ')})`));
  if (columns.some((q) => !inside(q))) lines.push(paint.dim(`× is outside: ${words.outside}`));
  return lines;
}
