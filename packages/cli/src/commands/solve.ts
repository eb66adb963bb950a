/**
 * solve: which kernel, stride and padding lead from one size to another. The library tries out every candidate within the
 * bounds and ranks what fits: even coverage first, then few multiplications, then little padding. Sizes of several axes
 * are solved by what all of them share.
 */

import type { Command } from 'commander';
import { type Bound, type DialectName, type GeometrySolution, solveGeometry, toDialect } from 'deconv';
import { dialectOption, parseInput, shortValue } from '../layers.js';
import {
  type CommonOptions,
  exitCodes,
  Failure,
  grouped,
  misuse,
  paintFor,
  print,
  printJson,
  sizes,
  table,
  wholeNumber,
} from '../terminal.js';

interface SolveOptions extends CommonOptions {
  readonly kernel?: Bound;
  readonly stride?: Bound;
  readonly padding?: Bound;
  readonly dilation?: Bound;
  readonly outputPadding?: Bound;
  readonly asymmetric?: boolean;
  readonly conv?: boolean;
  readonly dialect?: DialectName;
  readonly limit: number;
}

/** `4` or `3..7`. */
function range(text: string): Bound {
  const match = /^(-?\d+)(?:\.\.(-?\d+))?$/.exec(text);
  if (!match) return misuse(`cannot read the range '${text}'`, 'write a number or two of them: 4 or 3..7');
  return match[2] === undefined ? Number(match[1]) : [Number(match[1]), Number(match[2])];
}

/** Adds `deconv solve` to the program. */
export function addSolve(program: Command): void {
  program
    .command('solve')
    .summary('find the kernel, stride and padding that lead from one size to another')
    .description(
      'Finds the layers that turn INPUT into OUTPUT, best first: transposed convolutions or, with --conv, convolutions.',
    )
    .argument('<input>', 'size of the input, for example 55 or 55x55')
    .argument('<output>', 'size of the output')
    .option('-k, --kernel <range>', 'kernel sizes to try: 4 or 3..7 (default: 1..16)', range)
    .option('-s, --stride <range>', 'strides (default: 1..8)', range)
    .option('-p, --padding <range>', 'paddings (default: 0 to half the kernel)', range)
    .option('-d, --dilation <range>', 'dilations (default: 1)', range)
    .option('--output-padding <range>', 'outputPaddings (default: any)', range)
    .option('--asymmetric', 'let padding differ before and after')
    .option('--conv', 'convolutions; without it, transposed convolutions')
    .addOption(dialectOption("write the solutions in this framework's names; what it cannot say is left out"))
    .option('-n, --limit <n>', 'how many solutions to show', wholeNumber, 10)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print the solutions only')
    .addHelpText(
      'after',
      `
When nothing fits, the exit code is 1.

Examples:
  $ deconv solve 55 227
  $ deconv solve 16 32 --kernel 2..5 --dialect torch
  $ deconv solve 224x224 112x112 --conv --stride 2`,
    )
    .action(solve);
}

const key = (g: GeometrySolution) => [g.kernelSize, g.stride, g.padding, g.dilation, g.outputPadding].join();

function solve(inputText: string, outputText: string, options: SolveOptions): void {
  const { size: input } = parseInput(inputText);
  const { size: output } = parseInput(outputText);
  if (input.length !== output.length) {
    misuse(`${inputText} has ${input.length} axes and ${outputText} has ${output.length}`);
  }
  const op = options.conv ? 'conv' : 'convTranspose';
  const bounds = {
    kernelSize: options.kernel,
    stride: options.stride,
    padding: options.padding,
    dilation: options.dilation,
    outputPadding: options.outputPadding,
    asymmetric: options.asymmetric,
  };
  const perAxis = input.map((inputSize, axis) =>
    solveGeometry({ op, inputSize, outputSize: output[axis], bounds }),
  );
  const shared = perAxis.slice(1).map((list) => new Set(list.map(key)));
  const all = perAxis[0].filter((solution) => shared.every((keys) => keys.has(key(solution))));
  const solutions = all
    .map((solution) => ({
      solution,
      said: options.dialect && inDialect(options.dialect, op, solution, input),
    }))
    .filter(({ said }) => said === undefined || !('reason' in said));
  const shown = solutions.slice(0, options.limit);

  if (options.json) {
    printJson({
      command: 'solve',
      op,
      input,
      output,
      found: solutions.length,
      solutions: shown.map(({ solution, said }) => ({
        ...solution,
        ...(options.dialect && said && !('reason' in said)
          ? { dialect: { name: options.dialect, ...said } }
          : {}),
      })),
    });
  }
  if (solutions.length === 0) {
    const lost =
      all.length > 0
        ? `${options.dialect} can say none of the ${grouped(all.length)} solutions`
        : 'nothing fits within these bounds';
    throw new Failure(
      `${sizes(input)} → ${sizes(output)}: ${lost}`,
      exitCodes.failed,
      'widen a range, or try --asymmetric',
    );
  }
  if (options.json) return;

  const paint = paintFor(process.stdout);
  const headings = ['kernel', 'stride', 'padding', 'dilation', 'outputPadding', 'coverage', 'cost'];
  const rows = shown.map(({ solution: g, said }) => {
    const { min, max, even } = g.coverage;
    const pad = g.padding[0] === g.padding[1] ? `${g.padding[0]}` : g.padding.join('/');
    const reached = even ? `${min}, even` : `${min} to ${max}`;
    const numbers = [g.kernelSize, g.stride, pad, g.dilation, g.outputPadding].map(String);
    const native =
      said && !('reason' in said)
        ? Object.entries(said.options).map(([name, v]) => `${name}=${shortValue(v)}`)
        : [];
    return [
      ...numbers,
      even ? paint.green(reached) : paint.yellow(reached),
      Number(g.macs.toFixed(2)).toString(),
      ...(native.length > 0 ? [paint.dim(native.join(', '))] : []),
    ];
  });
  const titles = options.dialect ? [...headings, options.dialect] : headings;
  const drawn = table([titles.map(paint.bold), ...rows], 'rrrrrlrl');
  if (options.quiet) {
    print(drawn);
    return;
  }
  const more = solutions.length - shown.length;
  print(
    [
      paint.bold(
        `${op === 'conv' ? 'Convolutions' : 'Transposed convolutions'}   ${sizes(input)} → ${sizes(output)}`,
      ),
      '',
      drawn,
      '',
      ...(more > 0 ? [paint.dim(`  and ${grouped(more)} more; --limit shows them`), ''] : []),
      `The first: ${shown[0].solution.why}.`,
      paint.dim(
        `Coverage: how often ${op === 'conv' ? 'an input is read' : 'an output is written'} along one axis; uneven makes checkerboards. Cost: multiplications per output and axis.`,
      ),
    ].join('\n'),
  );
}

function inDialect(
  name: DialectName,
  op: 'conv' | 'convTranspose',
  g: GeometrySolution,
  inputSize: readonly number[],
) {
  const rank = inputSize.length;
  return toDialect(name, op, {
    rank,
    inputSize,
    kernelSize: new Array(rank).fill(g.kernelSize),
    stride: g.stride,
    padding: new Array(rank).fill(g.padding),
    dilation: g.dilation,
    ...(op === 'convTranspose' ? { outputPadding: g.outputPadding } : {}),
  });
}
