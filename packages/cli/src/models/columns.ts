/** columns: tables of nodes: without the columns that say nothing, and with long names shortened so that they fit the terminal. */
import { table, terminalWidth, widthOf } from '../terminal.js';

/** The least that is left of a name. */
const LEAST = 12;

/** A text with an ellipsis in the middle, at most `width` columns wide: the beginning and the end tell most. */
export function shortened(text: string, width: number): string {
  const letters = [...text];
  if (letters.length <= width) return text;
  const head = Math.ceil((width - 1) / 3);
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - (width - 1 - head)).join('')}`;
}

/**
 * A table whose first row is its head: columns in which only that says something are left out, and the names in the first
 * column shortened until all of it takes `width` columns.
 */
export function columns(
  rows: readonly (readonly string[])[],
  align: string,
  width = terminalWidth(),
): string {
  const used = rows[0].map((_, at) => at === 0 || rows.slice(1).some((row) => widthOf(row[at]) > 0));
  const kept = rows.map((row) => row.filter((_, at) => used[at]));
  const widths = kept[0].map((_, at) => Math.max(...kept.map((row) => widthOf(row[at]))));
  const others = widths.slice(1).reduce((sum, one) => sum + one + 2, 0);
  const room = Math.max(LEAST, width - 2 - others);
  const fitted = kept.map(([name, ...rest], i) => [i === 0 ? name : shortened(name, room), ...rest]);
  return table(fitted, [...align].filter((_, at) => used[at]).join(''));
}
