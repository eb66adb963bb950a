/**
 * terminal: everything the commands share about talking to a person or a pipe: exit codes, the one kind of error that
 * ends a command, colours that stay away where they are not wanted, tables, and numbers as people write them.
 * Data goes to stdout; progress, notes and errors go to stderr.
 */
import { InvalidArgumentError } from 'commander';
import { DeconvError } from 'deconv';

/** What the process ends with; every command documents the same four. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** The lines at the end of every `--help`. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    the job failed: a file cannot be read or written, or is no picture; nothing was found;
       verify found a difference, lint --strict a risk
  2    wrong usage: an unknown command or option, or a value that cannot work
  130  stopped by Ctrl-C`;

/** An end of the command that was foreseen: printed as a message without a stack. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly exitCode: number = exitCodes.failed,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** A {@link Failure} that blames the options: exit code 2. */
export function misuse(message: string, hint?: string): never {
  throw new Failure(message, exitCodes.usage, hint);
}

/** What every command is told by its options. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Reads an option that is a whole number ≥ 1. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('It must be a whole number ≥ 1.');
  return Number(text);
}

type Stream = Pick<NodeJS.WriteStream, 'isTTY'>;

/**
 * May colour be written to this stream? Only to a terminal that can show it, and never under NO_COLOR
 * (https://no-color.org: any value but the empty one); FORCE_COLOR says yes to anything else.
 */
export function wantsColour(stream: Stream, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] !== undefined) return env['FORCE_COLOR'] !== '0';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

const codes = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

/** One function per style, each of which adds the escape codes, or nothing. */
export type Paint = Record<keyof typeof codes, (text: string) => string>;

/** The styles for one stream. */
export function paintFor(stream: Stream, env: NodeJS.ProcessEnv = process.env): Paint {
  const colour = wantsColour(stream, env);
  const style = ([on, off]: readonly [number, number]) =>
    colour ? (text: string) => `\u001b[${on}m${text}\u001b[${off}m` : (text: string) => text;
  return {
    bold: style(codes.bold),
    dim: style(codes.dim),
    red: style(codes.red),
    green: style(codes.green),
    yellow: style(codes.yellow),
    cyan: style(codes.cyan),
  };
}

/** The width of a text on the terminal: without escape codes. */
export function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes begin with one
  return [...text.replace(/\u001b\[\d+m/g, '')].length;
}

/** Columns of the terminal, or a width that fits anywhere. */
export function terminalWidth(): number {
  return process.stdout.columns || 100;
}

/** Rows aligned in columns, two spaces apart; `align` has one letter per column, l or r. Lines have no trailing space. */
export function table(rows: readonly (readonly string[])[], align = '', indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => {
        const space = ' '.repeat(widths[i] - widthOf(cell));
        return align[i] === 'r' ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd();
  return rows.map((row) => indent + line(row)).join('\n');
}

/** Words broken into lines of at most `width` columns, each behind `indent`. */
export function wrap(text: string, indent = '', width = Math.min(terminalWidth(), 100)): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && widthOf(indent) + widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(indent + line);
  return lines.join('\n');
}

/** Wrapped text behind a head of `indent` columns: `head  text` with the following lines under `text`. */
export function hang(
  head: string,
  indent: number,
  text: string,
  width = Math.min(terminalWidth(), 100),
  style: (text: string) => string = (plain) => plain,
): string[] {
  const lines = wrap(text, ' '.repeat(indent), width).split('\n');
  return lines.map((line, i) => (i === 0 ? head + style(line.slice(indent)) : style(line)));
}

/** A bar of eighths of a block, at most `width` columns for share 1. Anything above nothing shows. */
export function bar(share: number, width: number): string {
  const eighths = Math.max(share > 0 ? 1 : 0, Math.round(share * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + ' ▏▎▍▌▋▊▉'[eighths % 8].trim();
}

/** 1234567 → "1,234,567". */
export const grouped = (n: number): string => n.toLocaleString('en-US');

/** Sizes as people write them: "3 × 227 × 227". */
export const sizes = (list: readonly number[]): string => list.join(' × ');

/** "0.4 ms", "12 ms", "3.1 s". */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** "1 pixel", "2 pixels". */
export const plural = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? '' : 's'}`;

/** Writes a line to stdout. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Writes facts for programs to stdout. Lists of numbers stay on one line. */
export function printJson(facts: object): void {
  const text = JSON.stringify(facts, null, 2);
  print(
    text.replace(/\[[\s\d.,eE+-]+\]/g, (list) =>
      list.replace(/\s+/g, ' ').replace(/\[ | \]/g, (c) => c.trim()),
    ),
  );
}

/** Writes a line to stderr. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Prints whatever was thrown as it deserves, and gives the exit code: a stack only for what nobody foresaw. */
export function report(error: unknown): number {
  const paint = paintFor(process.stderr);
  const complain = (message: string, hint?: string) =>
    say(`${paint.red('error:')} ${message}${hint === undefined ? '' : `\n  ${paint.dim('hint:')} ${hint}`}`);
  if (error instanceof Failure) {
    complain(error.message, error.hint);
    return error.exitCode;
  }
  if (error instanceof DeconvError) {
    // The library refuses only what the options asked for.
    complain(error.rule, error.hint);
    return exitCodes.usage;
  }
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}
