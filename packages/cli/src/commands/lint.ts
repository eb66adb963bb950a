/**
 * lint: where will a network draw checkerboards? Every layer that enlarges is judged by its geometry and by the weights it
 * really has (models/lint.ts).
 */
import { type Command, InvalidArgumentError } from 'commander';
import { columns } from '../models/columns.js';
import { isRisk, type LintRow, lintNetwork } from '../models/lint.js';
import { describeFile, openModel } from '../models/open.js';
import {
  type CommonOptions,
  exitCodes,
  Failure,
  hang,
  paintFor,
  plural,
  print,
  printJson,
} from '../terminal.js';

interface LintOptions extends CommonOptions {
  readonly strict?: boolean;
  readonly threshold: number;
}

function readThreshold(text: string): number {
  const value = Number(text);
  if (!(value >= 1)) throw new InvalidArgumentError('It must be a number ≥ 1.');
  return value;
}

/** Adds `deconv lint` to the program. */
export function addLint(program: Command): void {
  program
    .command('lint')
    .summary('find the layers of a network that draw checkerboards')
    .description(
      'Looks at every transposed convolution, pixel shuffle and resizing of a network: are all phases of its output reached alike, by the geometry and by the weights it has?',
    )
    .argument('<model>', 'an .onnx file, or .safetensors written by deconv train; - reads stdin')
    .option(
      '--threshold <ratio>',
      'flat gains of the phases that differ by more are a risk',
      readThreshold,
      1.3,
    )
    .option('--strict', 'end with code 1 if there is a risk')
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print nothing but risks')
    .addHelpText(
      'after',
      `
A layer of stride s makes each output by the taps of its phase, its place modulo
s. taps: how many reach a phase; flat: largest to smallest gain of the phases on
a constant input, which is what one sees; noise: on a random one.

Examples:
  $ deconv lint generator.onnx
  $ deconv lint up.safetensors --strict
  $ deconv lint generator.onnx --threshold 1.1 --json`,
    )
    .action(lint);
}

async function lint(path: string, options: LintOptions): Promise<void> {
  const file = await openModel(path);
  if (file.kind === 'weights') {
    throw new Failure(
      `${path} holds weights without a network: nothing says at which stride they are used`,
      exitCodes.usage,
      'give the ONNX file, or a model written by deconv train',
    );
  }
  const rows = lintNetwork(file.contents, options.threshold);
  const risks = rows.filter(isRisk);
  if (options.json) printJson(factsOf(path, options, rows));
  else if (!options.quiet) print([`${path}: ${describeFile(file)}`, '', ...describe(rows)].join('\n'));
  else for (const row of risks) print(`${row.node}: ${row.finding}`);
  if (options.strict && risks.length > 0)
    throw new Failure(
      `${plural(risks.length, 'layer')} of ${path} will draw a checkerboard`,
      exitCodes.failed,
    );
}

const factsOf = (path: string, { threshold }: LintOptions, rows: readonly LintRow[]): object => ({
  command: 'lint',
  model: path,
  threshold,
  risks: rows.filter(isRisk).length,
  layers: rows.map(({ kernelSize, flat, noise, ...row }) => ({
    ...row,
    kernelSize: kernelSize ?? null,
    // JSON has no infinity.
    flat: Number.isFinite(flat) ? flat : null,
    noise: Number.isFinite(noise) ? noise : null,
  })),
});

const times = (list: readonly number[]) => (list.every((n) => n === list[0]) ? `${list[0]}` : list.join('×'));
const ratio = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : '∞');

function tapsText({ phases, even }: LintRow): string {
  const taps = phases.map((phase) => phase.taps);
  if (taps.length === 0) return '';
  return even ? `${taps[0]}` : `${Math.min(...taps)}–${Math.max(...taps)}`;
}

function describe(rows: readonly LintRow[]): string[] {
  const paint = paintFor(process.stdout);
  if (rows.length === 0)
    return ['nothing in it enlarges: no transposed convolution, pixel shuffle or resizing'];
  const verdicts = {
    even: paint.green('even'),
    evened: paint.green('evened out'),
    checkerboard: paint.red('checkerboard'),
    holes: paint.red('holes'),
    unknown: paint.yellow('not measured'),
  };
  const measured = (row: LintRow, value: number) => (row.phases.length === 0 ? '' : ratio(value));
  const cells = rows.map((row) => [
    row.node,
    { convTranspose: 'transposed', pixelShuffle: 'shuffle', resize: 'resize' }[row.kind],
    row.kernelSize === undefined ? '' : times(row.kernelSize),
    row.stride.length === 0 ? '' : times(row.stride),
    tapsText(row),
    measured(row, row.flat),
    measured(row, row.noise),
    verdicts[row.verdict],
  ]);
  const head = ['layer', 'kind', 'kernel', 'stride', 'taps', 'flat', 'noise', ''].map(paint.bold);
  const lines = [columns([head, ...cells], 'llrrrrrl'), ''];
  for (const row of rows.filter(({ verdict }) => verdict !== 'even')) {
    const mark = isRisk(row) ? paint.red('✗') : paint.yellow('·');
    lines.push(...hang(`${mark} `, 2, `${row.node}: ${row.finding}`));
    for (const advice of row.advice) lines.push(...hang('  → ', 4, advice).map(paint.dim));
    lines.push('');
  }
  const risks = rows.filter(isRisk).length;
  lines.push(
    risks === 0
      ? paint.green(`no risk in ${plural(rows.length, 'layer')} that enlarge${rows.length === 1 ? 's' : ''}`)
      : paint.red(`${plural(risks, 'layer')} of ${rows.length} will draw a checkerboard`),
  );
  return lines;
}
