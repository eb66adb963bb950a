/**
 * verify: does the engine compute rightly on this machine? Its kernels are generated when the program runs, for what the
 * processor and the JavaScript engine can do, so that no test made elsewhere says it of here. Random layers are computed
 * by the engine and by definition until the time is up (verification.ts).
 */
import type { Command } from 'commander';
import {
  type Configuration,
  type EngineOptions,
  engineInWords,
  startEngine,
  withEngineOptions,
} from '../engine.js';
import { startProgress } from '../progress.js';
import {
  type CommonOptions,
  duration,
  exitCodes,
  Failure,
  grouped,
  paintFor,
  print,
  printJson,
  table,
  wholeNumber,
} from '../terminal.js';
import {
  type Case,
  compute,
  type Difference,
  differenceOf,
  drawCase,
  KERNELS,
  termsOf,
} from '../verification.js';

interface VerifyOptions extends CommonOptions, EngineOptions {
  readonly seconds: number;
  readonly count?: number;
  readonly seed?: number;
}

/** A case with its number in the sequence and what came of it. */
export interface Finding {
  readonly number: number;
  readonly case: Case;
  readonly difference: Difference;
}

/** What was found. */
export interface Report {
  readonly seed: number;
  readonly cases: number;
  readonly milliseconds: number;
  /** Per kernel: how many cases, and the one that came nearest to its tolerance, or furthest beyond. */
  readonly worst: ReadonlyMap<string, { readonly cases: number; readonly finding: Finding }>;
  readonly failures: readonly Finding[];
}

/** Adds `deconv verify` to the program. */
export function addVerify(program: Command): void {
  const command = program
    .command('verify')
    .summary('check on this machine that the fast kernels compute rightly')
    .description(
      'Computes random layers by the fast kernels and by definition, in float64, and says how much they differ.',
    )
    .option('--seconds <n>', 'how long', wholeNumber, 20)
    .option('--count <n>', 'how many layers, instead of how long', wholeNumber)
    .option(
      '--seed <n>',
      'begin the same sequence of layers again (default: another one each time)',
      wholeNumber,
    );
  withEngineOptions(command)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText(
      'after',
      `
Results may differ by 1e-5·√K of the largest output, K being the terms of a sum. Where they differ by more, the layer
is printed and the exit code is 1.

Examples:
  $ deconv verify
  $ deconv verify --count 50 --seed 7
  $ deconv verify --seconds 1 --threads 1 --json`,
    )
    .action(verify);
}

async function verify(options: VerifyOptions): Promise<void> {
  const engine = await startEngine(options);
  const seed = options.seed ?? 1 + Math.floor(Math.random() * 999_999);
  const report = await examine(seed, options);
  if (options.json) printJson(factsOf(engine, report));
  else if (!options.quiet) print(describe(engine, report));
  conclude(report);
}

/** How near a case came to its tolerance: above 1 is beyond. */
const strain = ({ difference }: Finding) => difference.relative / difference.tolerance;

/** Runs cases until there are enough of them or the time is up. */
async function examine(seed: number, options: VerifyOptions): Promise<Report> {
  const { count, seconds } = options;
  const began = performance.now();
  const spent = () => (performance.now() - began) / 1000;
  const share = (done: number) => Math.min(1, count === undefined ? spent() / seconds : done / count);
  const worst = new Map<string, { cases: number; finding: Finding }>();
  const failures: Finding[] = [];
  const progress = startProgress(200, options);
  let cases = 0;
  try {
    for (let shown = 0; share(cases) < 1; cases++) {
      if (cases === 0 || performance.now() - shown > 50) {
        await progress.at(share(cases), `${grouped(cases)} layers, ${grouped(failures.length)} wrong`);
        shown = performance.now();
      }
      const c = drawCase(seed, cases);
      const difference = differenceOf(compute(c, 'float32'), compute(c, 'float64'), termsOf(c));
      const finding = { number: cases, case: c, difference };
      const known = worst.get(c.kernel);
      worst.set(c.kernel, {
        cases: (known?.cases ?? 0) + 1,
        finding: known === undefined || strain(finding) > strain(known.finding) ? finding : known.finding,
      });
      if (strain(finding) > 1) failures.push(finding);
    }
  } finally {
    progress.stop();
  }
  return { seed, cases, milliseconds: performance.now() - began, worst, failures };
}

/** Ends the command with code 1 where a difference was found. */
export function conclude({ seed, cases, failures }: Report): void {
  if (failures.length === 0) return;
  const finding = failures.reduce((a, b) => (strain(b) > strain(a) ? b : a));
  throw new Failure(
    `${grouped(failures.length)} of ${grouped(cases)} layers differ from their definition; the worst: ${inWords(finding)}`,
    exitCodes.failed,
    `--seed ${seed} --count ${finding.number + 1} leads there again; --no-wide and --threads 1 may tell more`,
  );
}

/** A finding in words. */
export function inWords({ number, case: c, difference: d }: Finding): string {
  const { kernel, input, weight, bias, options } = c;
  const layer = `${kernel} of [${input.join(', ')}] with [${weight.join(', ')}], ${JSON.stringify({ ...options, bias })}`;
  return `layer ${number}, ${layer}: at [${d.index.join(', ')}] ${d.got} instead of ${d.expected}, ${d.relative.toExponential(1)} of the largest, allowed ${d.tolerance.toExponential(1)}`;
}

const factsOf = (engine: Configuration, { seed, cases, milliseconds, worst, failures }: Report): object => ({
  command: 'verify',
  engine: { ...engine, tile: engine.tile ?? null, peak: engine.peak ?? null },
  seed,
  cases,
  milliseconds: Number(milliseconds.toFixed(0)),
  worst: Object.fromEntries(
    [...worst].map(([kernel, { cases: of, finding }]) => [kernel, { cases: of, ...finding }]),
  ),
  wrong: failures.length,
  // More than these nobody reads.
  failures: failures.slice(0, 20),
});

function describe(engine: Configuration, { seed, cases, milliseconds, worst, failures }: Report): string {
  const paint = paintFor(process.stdout);
  const rows = KERNELS.flatMap((kernel) => {
    const entry = worst.get(kernel);
    if (entry === undefined) return [];
    const { relative, tolerance } = entry.finding.difference;
    return [[kernel, grouped(entry.cases), relative.toExponential(1), tolerance.toExponential(1)]];
  });
  const verdict =
    failures.length === 0
      ? paint.green('every layer agrees with its definition')
      : paint.red(`${grouped(failures.length)} layers do not agree with their definition`);
  return [
    `${grouped(cases)} random layers in ${duration(milliseconds)} on ${engineInWords(engine)}, seed ${seed}`,
    '',
    table([['kernel', 'layers', 'nearest to its tolerance', 'tolerance'].map(paint.bold), ...rows], 'lrrr'),
    '',
    verdict,
  ].join('\n');
}
