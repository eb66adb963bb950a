/**
 * bench: how fast the engine is here. First what it chose on this machine, then a table of layers with the time of one
 * pass, the useful operations per second, and what share that is of the measured peak: of the matrix kernel alone, on
 * numbers that lie in the first-level cache. The peak is measured in turns with the passes, since no processor goes at one
 * speed, least of all a shared one; times and shares are medians.
 */
import { cpus } from 'node:os';
import type { Command } from 'commander';
import { configure, conv2d, convTranspose2d, randn } from 'deconv';
import { BENCH_SHAPES, type BenchShape, flopsOf } from '../bench-shapes.js';
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
  misuse,
  paintFor,
  print,
  printJson,
  table,
  wholeNumber,
} from '../terminal.js';

/** Times that passes and peak take turns, per layer. */
const TURNS = 10;

interface BenchOptions extends CommonOptions, EngineOptions {
  readonly self?: boolean;
  readonly shape?: readonly string[];
  readonly milliseconds: number;
}

/** One layer with so many threads. */
interface Timing {
  readonly threads: number;
  readonly milliseconds: number;
  readonly gflops: number;
  /** Of the measured peak of as many threads; null where no peak was measured. */
  readonly ofPeak: number | null;
}

/** Adds `deconv bench` to the program. */
export function addBench(program: Command): void {
  const command = program
    .command('bench')
    .summary('measure how fast the engine is on this machine')
    .description(
      'Prints what the engine chose on this machine and measures it on layers of well-known networks, on one\nthread and on all.',
    )
    .option('--self', 'measure this engine alone (the only measurement there is; the default)')
    .option(
      '--shape <text>',
      'only layers whose name contains this; may be given more than once',
      (text: string, all: readonly string[] = []) => [...all, text],
    )
    .option('--milliseconds <n>', 'how long each layer is repeated', wholeNumber, 300);
  withEngineOptions(command)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print the table only')
    .addHelpText(
      'after',
      `
Layers:
${BENCH_SHAPES.map(({ name, op }) => `  ${name}${op === 'conv' ? '  (convolution)' : ''}`).join('\n')}

Examples:
  $ deconv bench --self
  $ deconv bench --self --shape dcgan --shape unet
  $ deconv bench --self --shape fsrcnn --threads 1 --json`,
    )
    .action(bench);
}

/** The layers that `--shape` names. */
function chosen(texts: readonly string[] | undefined): BenchShape[] {
  if (texts === undefined) return [...BENCH_SHAPES];
  const has = (text: string) => (shape: BenchShape) => shape.name.toLowerCase().includes(text.toLowerCase());
  for (const text of texts) {
    if (!BENCH_SHAPES.some(has(text))) misuse(`no layer has '${text}' in its name`, '--help lists them');
  }
  return BENCH_SHAPES.filter((shape) => texts.some((text) => has(text)(shape)));
}

/** One pass over the layer, ready to be repeated; its result goes as one between two layers does. */
function passOf({ op, n, ci, co, h, w, k, s, p, outputPadding, d, g }: BenchShape): () => void {
  const input = randn([n, ci, h, w], { seed: 1 });
  const options = { stride: s, padding: p, dilation: d, groups: g };
  if (op === 'conv') {
    const weight = randn([co, ci / g, k, k], { seed: 2 });
    return () => conv2d(input, weight, options).dispose();
  }
  const weight = randn([ci, co / g, k, k], { seed: 2 });
  return () => convTranspose2d(input, weight, { ...options, outputPadding }).dispose();
}

const medianOf = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

/** The median time of a pass, in milliseconds, and of the share of the peak that it reaches. */
async function measure(
  pass: () => void,
  flops: number,
  threads: number,
  budget: number,
): Promise<Pick<Timing, 'milliseconds' | 'ofPeak'>> {
  const rest = () => new Promise<void>((done) => setImmediate(done));
  // The first passes make the plan, pack the weight and call the helpers; the compiler needs some as well.
  const warm = performance.now();
  for (let i = 0; i < 3 || performance.now() - warm < budget / 3; i++) {
    pass();
    await rest();
  }
  const times: number[] = [];
  const shares: number[] = [];
  const began = performance.now();
  let peak = (await configure()).peak;
  while (times.length < 3 || performance.now() - began < budget) {
    const some: number[] = [];
    const from = performance.now();
    while (some.length === 0 || performance.now() - from < budget / TURNS) {
      const start = performance.now();
      pass();
      some.push(performance.now() - start);
      await rest();
    }
    // The peak of a moment, for the passes of that moment: with neighbours or without, warm or not.
    const then = (await configure()).peak;
    if (peak !== undefined && then !== undefined)
      shares.push(flops / medianOf(some) / 1e6 / ((threads * (peak + then)) / 2));
    peak = then;
    times.push(...some);
  }
  return { milliseconds: medianOf(times), ofPeak: shares.length === 0 ? null : medianOf(shares) };
}

async function bench(options: BenchOptions): Promise<void> {
  const shapes = chosen(options.shape);
  const all = await startEngine(options);
  const progress = startProgress(shapes.length * (all.threads > 1 ? 2 : 1), options);
  const measured = new Map<BenchShape, Timing[]>(shapes.map((shape) => [shape, []]));
  let inForce = all;
  try {
    for (const threads of new Set([1, all.threads])) {
      inForce = await startEngine(options, threads);
      for (const shape of shapes) {
        await progress.next(`${shape.name}, ${threads === 1 ? '1 thread' : `${threads} threads`}`);
        const flops = flopsOf(shape);
        const { milliseconds, ofPeak } = await measure(passOf(shape), flops, threads, options.milliseconds);
        measured.get(shape)?.push({ threads, milliseconds, gflops: flops / milliseconds / 1e6, ofPeak });
      }
    }
  } finally {
    progress.stop();
  }
  if (options.json) printJson(factsOf(inForce, measured));
  else print(describe(inForce, measured, options.quiet === true));
}

const round = (value: number) => Number(value.toPrecision(4));

function factsOf(engine: Configuration, measured: ReadonlyMap<BenchShape, readonly Timing[]>): object {
  return {
    command: 'bench',
    engine: {
      ...engine,
      tile: engine.tile ?? null,
      peak: engine.peak === undefined ? null : round(engine.peak),
    },
    machine: machine(),
    shapes: [...measured].map(([shape, timings]) => ({
      ...shape,
      flops: flopsOf(shape),
      timings: timings.map(({ threads, milliseconds, gflops, ofPeak }) => ({
        threads,
        milliseconds: round(milliseconds),
        gflops: round(gflops),
        ofPeak: ofPeak === null ? null : round(ofPeak),
      })),
    })),
  };
}

const machine = () => ({
  node: process.versions.node,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
  processor: cpus()[0]?.model.trim() ?? 'unknown',
});

function describe(
  engine: Configuration,
  measured: ReadonlyMap<BenchShape, readonly Timing[]>,
  quiet: boolean,
): string {
  const paint = paintFor(process.stdout);
  const { node, v8, platform, processor } = machine();
  const counts = [...measured.values()][0].map(({ threads }) => threads);
  const heads = counts.flatMap((n) => [n === 1 ? '1 thread' : `${n} threads`, 'GF/s', 'of peak']);
  const rows = [...measured].map(([{ name }, timings]) => [
    name,
    ...timings.flatMap(({ milliseconds, gflops, ofPeak }) => [
      duration(milliseconds),
      gflops.toFixed(1),
      ofPeak === null ? '–' : `${Math.round(100 * ofPeak)} %`,
    ]),
  ]);
  const drawn = table([['layer', ...heads].map(paint.bold), ...rows], 'lrrrrrr');
  if (quiet) return drawn;
  const chosen = [
    ['engine', engineInWords(engine)],
    ['peak', engine.peak === undefined ? 'not measured' : `${engine.peak.toFixed(1)} GF/s on one thread`],
    ['Node', `${node} (V8 ${v8})`],
    ['machine', `${processor}, ${platform}`],
  ];
  const note =
    "Median of repeated passes. Peak: the matrix kernel alone, in the first-level cache, measured in turns with\nthe passes; of all threads, as many times that.\nBeyond 100 %: layers in Winograd's form take fewer multiplications than are counted.";
  return [table(chosen), '', drawn, '', paint.dim(note)].join('\n');
}
