/**
 * report: what `deconv run` has to say when it is through: for people what went in and came out, and each choice that was
 * made for them; for programs the same as facts.
 */
import type { OnnxModel, OnnxValue } from 'deconv/onnx';
import type { EngineOptions } from '../engine.js';
import { STANDARD } from '../files.js';
import {
  bar,
  type CommonOptions,
  duration,
  exitCodes,
  Failure,
  grouped,
  hang,
  paintFor,
  plural,
  say,
  sizes,
  table,
  terminalWidth,
  wrap,
} from '../terminal.js';
import type { Item } from './items.js';
import type { Guesses } from './labels.js';
import type { PictureOptions, PicturePlan, Range } from './pixels-in.js';
import type { Statistics, Written } from './results.js';
import type { Format } from './targets.js';

/** The options of the command. */
export interface RunOptions extends CommonOptions, EngineOptions, PictureOptions {
  readonly input: readonly string[];
  readonly output?: string;
  readonly format?: Format;
  readonly outputs?: readonly string[];
  readonly tap?: readonly string[];
  readonly outputRange?: Range | 'each';
  readonly tile?: 'auto' | number;
  readonly maxMemory?: number;
  readonly top?: number;
  readonly labels?: string;
}

/** What came of a run. */
export interface Done {
  readonly item: Item;
  readonly picture: { readonly width: number; readonly height: number } | undefined;
  /** Shape of the first array that went in. */
  readonly shape: readonly number[];
  readonly outputs: readonly (Statistics & { readonly name: string; readonly shape: readonly number[] })[];
  readonly guesses: readonly Guesses[];
  readonly files: Written['files'];
  /** Share of values that no pixel could hold. */
  readonly cut: number;
  /** In how many parts, where it was cut. */
  readonly tiles?: number;
  readonly milliseconds: number;
}

/** A file that could not be used. */
export interface Refused {
  readonly item: Item;
  readonly reason: string;
  readonly hint?: string | undefined;
}

export interface RunReport {
  readonly file: string;
  readonly model: OnnxModel;
  readonly wanted: readonly string[];
  readonly plans: readonly PicturePlan[];
  readonly ranges: readonly { readonly output: string; readonly words: string }[];
  readonly notes: readonly string[];
  readonly done: readonly Done[];
  readonly refused: readonly Refused[];
  readonly milliseconds: number;
  readonly engine: string;
}

/** So many runs are listed; of more, the rest is counted. */
const LISTED = 20;

/** Warnings about what came out. */
function warnings({ done }: RunReport): string[] {
  const found: string[] = [];
  const wrong = done.filter(({ outputs }) => outputs.some((output) => output.wrong > 0));
  if (wrong.length > 0) {
    const [{ item, outputs }] = wrong;
    const [first] = outputs.filter((output) => output.wrong > 0);
    const more = wrong.length > 1 ? `, and in ${plural(wrong.length - 1, 'other run')}` : '';
    found.push(
      `'${first.name}' of ${item.name} holds ${plural(first.wrong, 'value')} that are infinite or no number${more}`,
    );
  }
  const most = Math.max(0, ...done.map(({ cut }) => cut));
  if (most > 0.01)
    found.push(
      `up to ${(100 * most).toFixed(0)} % of the values lay outside the range of pixels and were cut; see --output-range`,
    );
  return found;
}

const shapeText = ({ shape }: OnnxValue) =>
  shape.length === 0 ? 'any' : shape.map((n) => (n === -1 ? '?' : n)).join(' × ');

/** The network's inputs and outputs, and under each what was chosen for it. */
function describeModel(
  { file, model, wanted, plans, ranges }: RunReport,
  paint: ReturnType<typeof paintFor>,
): string[] {
  const chosen = new Map<string, readonly string[]>([
    ...plans.map(({ input, words }) => [input, words] as const),
    ...ranges.map(({ output, words }) => [output, [words]] as const),
  ]);
  const lines = [`${paint.bold(file)}  ${paint.dim(`opset ${model.opset}`)}`];
  const line = (kind: string, name: string, rest: string) => {
    lines.push(`  ${kind.padEnd(6)}  ${name}  ${paint.dim(rest)}`);
    const words = chosen.get(name);
    if (words !== undefined) lines.push(...hang(' '.repeat(10), 10, words.join(', ')));
  };
  for (const value of model.inputs) line('input', value.name, `${value.elementType} ${shapeText(value)}`);
  for (const name of wanted) {
    const value = model.outputs.find((output) => output.name === name);
    line('output', name, value === undefined ? 'intermediate' : `${value.elementType} ${shapeText(value)}`);
  }
  return lines;
}

const number = (value: number) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '–');

/** The end of a name that is too long for its column; only where a terminal would break the line. */
function shortened(name: string): string {
  const room = Math.max(16, Math.floor((terminalWidth() - 44) / 2));
  const letters = [...name];
  return process.stdout.isTTY && letters.length > room ? `…${letters.slice(1 - room).join('')}` : name;
}

/** One line per file that was written, or per output where none was. */
function rowsOf(
  { item, picture, shape: given, files, outputs, tiles = 1, milliseconds }: Done,
  paint: ReturnType<typeof paintFor>,
): string[][] {
  const from = [shortened(item.name), sizes(picture === undefined ? given : [picture.width, picture.height])];
  const took = paint.dim(`${duration(milliseconds)}${tiles > 1 ? `, ${plural(tiles, 'tile')}` : ''}`);
  const whole = [...new Map(files.map((file) => [file.file, file])).values()];
  if (whole.length > 0) {
    return whole.map(({ file, size, output }, i) => {
      const shape = outputs.find(({ name }) => name === output)?.shape ?? [];
      const what =
        size !== undefined
          ? sizes(size)
          : file.endsWith('.npz')
            ? plural(outputs.length, 'array')
            : sizes(shape);
      return [
        ...(i === 0 ? from : ['', '']),
        '→',
        file === STANDARD ? 'stdout' : shortened(file),
        what,
        i === 0 ? took : '',
      ];
    });
  }
  return outputs.map(({ name, shape, min, mean, max }, i) => [
    ...(i === 0 ? from : ['', '']),
    name,
    sizes(shape),
    `${number(min)} … ${number(max)}, mean ${number(mean)}`,
    i === 0 ? took : '',
  ]);
}

/** The likeliest classes of one picture. */
function describeGuesses({ item, guesses }: Done, paint: ReturnType<typeof paintFor>): string[] {
  return guesses.flatMap(({ top }, n) => {
    const name = guesses.length === 1 ? item.name : `${item.name}, ${n + 1}`;
    const rows = top.map(({ index, label, probability }) => [
      label ?? `class ${index}`,
      `${(100 * probability).toFixed(1)} %`,
      paint.cyan(bar(probability, 30)),
    ]);
    return [paint.bold(name), table(rows, 'lrl')];
  });
}

/** The summary for people. */
export function describeRuns(report: RunReport, options: RunOptions, toStdout: boolean): string {
  const paint = paintFor(toStdout ? process.stderr : process.stdout);
  const { done, engine, milliseconds } = report;
  const guesses = done.flatMap((one) => describeGuesses(one, paint));
  if (options.quiet) return guesses.join('\n');
  const parts = [...describeModel(report, paint), ''];
  if (guesses.length > 0) {
    parts.push(...guesses);
    if (done.some((one) => one.guesses.some(({ softmax }) => softmax)))
      parts.push(paint.dim('  probabilities by softmax: the values themselves are none'));
    parts.push('');
  }
  if (guesses.length === 0 || options.output !== undefined) {
    const listed = done.slice(0, LISTED);
    parts.push(
      table(
        listed.flatMap((one) => rowsOf(one, paint)),
        options.output === undefined ? 'lllllr' : 'lrllrr',
      ),
    );
    if (done.length > listed.length)
      parts.push(paint.dim(`  … and ${grouped(done.length - listed.length)} more`));
    if (options.output === undefined) parts.push(paint.dim('  nothing was written: --output says where'));
    parts.push('');
  }
  for (const note of report.notes) parts.push(wrap(`note: ${note}`));
  for (const warning of warnings(report)) parts.push(wrap(`${paint.yellow('warning:')} ${warning}`));
  parts.push(`${plural(done.length, 'run')} in ${duration(milliseconds)} ${paint.dim(`on ${engine}`)}`);
  return parts.join('\n');
}

const shorter = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null);

/** The same for programs. */
export function factsOf(report: RunReport): object {
  const { file, model, plans, ranges, notes, done, refused, milliseconds, engine } = report;
  const value = ({ name, shape, elementType }: OnnxValue) => ({ name, type: elementType, shape });
  return {
    command: 'run',
    model: { file, opset: model.opset, inputs: model.inputs.map(value), outputs: model.outputs.map(value) },
    pictures: plans.map(({ words, bytes: _, ...plan }) => ({ ...plan, size: plan.size ?? null, words })),
    pixels: ranges,
    engine,
    runs: done.map((one) => ({
      input: one.item.name,
      picture: one.picture ?? null,
      outputs: one.outputs.map(({ name, shape, min, max, mean, wrong }) => ({
        name,
        shape: [...shape],
        min: shorter(min),
        max: shorter(max),
        mean: shorter(mean),
        wrong,
      })),
      files: one.files,
      ...(one.guesses.length === 0
        ? {}
        : {
            top: one.guesses.map(({ top, softmax }) => ({
              softmax,
              classes: top.map(({ index, label, probability }) => ({
                index,
                label: label ?? null,
                probability: shorter(probability),
              })),
            })),
          }),
      tiles: one.tiles ?? 1,
      milliseconds: Number(one.milliseconds.toFixed(3)),
    })),
    failed: refused.map(({ item, reason, hint }) => ({ input: item.name, reason, hint: hint ?? null })),
    notes: [...notes, ...warnings(report)],
    milliseconds: Number(milliseconds.toFixed(3)),
  };
}

/** Reports what failed, and sets the exit code. */
export function conclude({ refused, done }: RunReport): void {
  if (refused.length === 0) return;
  if (done.length === 0 && refused.length === 1) {
    const [{ reason, hint }] = refused;
    throw new Failure(reason, exitCodes.failed, hint);
  }
  const paint = paintFor(process.stderr);
  for (const { reason, hint } of refused)
    say(`${paint.red('error:')} ${reason}${hint === undefined ? '' : `\n  ${paint.dim('hint:')} ${hint}`}`);
  say(`${grouped(refused.length)} of ${plural(refused.length + done.length, 'run')} failed`);
  process.exitCode = exitCodes.failed;
}
