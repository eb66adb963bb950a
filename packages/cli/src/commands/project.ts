/**
 * project: a picture through a bank of kernels and back. The picture (1, 3, S, S) is convolved to feature maps
 * (1, F, n, n), n = floor((S − k)/s) + 1, and these are carried back to image space by the transposed convolution with
 * the same weight, once by adding overlapping windows up and once by averaging them. The bank's kernels are orthonormal
 * (dctBank), so that where all 3·k² of them are used the average is the picture itself; with fewer it is the part of
 * every window that the kernels can see.
 */
import { basename, extname } from 'node:path';
import { type Command, Option } from 'commander';
import { conv2d, convTranspose2d, coverage, type Tensor, toDisplay } from 'deconv';
import { dctBank } from 'deconv/vis';
import { type EngineOptions, startEngine, withEngineOptions } from '../engine.js';
import { checkTarget, STANDARD, writeBytes } from '../files.js';
import { drawPanel } from '../panel.js';
import { encoderFor, loadSquare } from '../pictures.js';
import { type CoverageBin, fromTensor, histogramOf, psnrOf, strongestMaps, toTensor } from '../planes.js';
import { startProgress } from '../progress.js';
import {
  decibels,
  type Overlap,
  type ProjectionOptions,
  pick,
  projectionTiles,
  SHOWN_MAPS,
} from '../projection.js';
import {
  bar,
  type CommonOptions,
  duration,
  grouped,
  misuse,
  paintFor,
  plural,
  print,
  printJson,
  say,
  sizes,
  table,
  wholeNumber,
  wrap,
} from '../terminal.js';

interface ProjectOptions extends CommonOptions, ProjectionOptions, EngineOptions {
  readonly output?: string;
}

/** The most bytes that the feature maps may take. */
const MAX_MAPS = 2 ** 30;

/** Adds `deconv project` to the program. */
export function addProject(program: Command): void {
  const command = program
    .command('project')
    .summary('carry a picture through a bank of kernels and back to image space')
    .description(
      'Convolves a picture with a built-in bank of kernels, projects the feature maps back to image space with\nthe transposed convolution, and draws every step in one panel.',
    )
    .argument('<image>', 'JPEG, PNG, WebP, AVIF, GIF or TIFF file; - reads stdin')
    .option('-k, --kernel <n>', 'size of the kernels', wholeNumber, 11)
    .option('-s, --stride <n>', 'step between windows', wholeNumber, 4)
    .option('-f, --filters <n>', 'how many kernels, at most 3·kernel²', wholeNumber, 96)
    .addOption(
      new Option('--overlap <how>', 'which projection is measured: overlapping windows averaged or summed')
        .choices(['average', 'sum'])
        .default('average'),
    )
    .option('--size <n>', 'the picture is cut and scaled to n × n pixels', wholeNumber, 227)
    .option('-o, --output <file>', 'panel to write: .png, .jpg, .webp or .avif; - writes PNG to stdout');
  withEngineOptions(command)
    .option('--json', 'print facts for programs instead of the summary')
    .option('-q, --quiet', 'print nothing but errors (and --json)')
    .addHelpText(
      'after',
      `
Without -o the panel is IMAGE-projected.png in the current folder. The input is never overwritten.

Examples:
  $ deconv project photo.jpg
  $ deconv project photo.jpg --kernel 8 --stride 8 --filters 24 -o blocks.png
  $ curl -s https://example.org/photo.jpg | deconv project - -o - > panel.png`,
    )
    .action(project);
}

/** What the geometry of a run comes to; refused before the picture is read. */
function plan(options: ProjectOptions) {
  const { kernel, stride, filters, size } = options;
  if (kernel > size) misuse(`--kernel ${kernel} must be ≤ --size ${size}`);
  if (filters > 3 * kernel * kernel) {
    misuse(
      `--filters ${filters} must be ≤ 3·kernel² = ${3 * kernel * kernel}`,
      'a window of 3 × kernel × kernel numbers has no more orthonormal kernels',
    );
  }
  const maps = Math.floor((size - kernel) / stride) + 1;
  const bytes = filters * maps * maps * 4;
  if (bytes > MAX_MAPS || size > 8192) {
    misuse(
      `${filters} feature maps of ${maps} × ${maps} would take ${grouped(Math.round(bytes / 2 ** 20))} MiB, at most ${MAX_MAPS / 2 ** 20} MiB (and --size 8192)`,
      'raise --stride, or lower --size or --filters',
    );
  }
  // What the last window leaves over, size − ((maps − 1)·stride + kernel), is less than a stride.
  const outputPadding = (size - kernel) % stride;
  return { maps, outputPadding };
}

async function project(image: string, options: ProjectOptions): Promise<void> {
  const { kernel, stride, filters, overlap, size } = options;
  const target = options.output ?? defaultTarget(image);
  if (options.json && target === STANDARD) misuse('--json and -o - would both write to stdout');
  const encode = encoderFor(target);
  const { maps, outputPadding } = plan(options);
  await checkTarget(target, image);

  await startEngine(options);

  const progress = startProgress(8, options);
  const milliseconds: Record<string, number> = {};
  const step = async <T>(name: string, label: string, work: () => T | Promise<T>): Promise<T> => {
    await progress.next(label);
    const start = performance.now();
    const result = await work();
    milliseconds[name] = performance.now() - start;
    return result;
  };

  try {
    const picture = await step('read', 'reading', () => loadSquare(image, size));
    const weight = await step('bank', 'kernels', () => dctBank({ channels: 3, kernelSize: kernel, filters }));
    const x = toTensor(picture);
    const y = await step('convolve', 'convolving', () => settled(conv2d(x, weight, { stride })));
    const back = (how: Overlap) =>
      settled(convTranspose2d(y, weight, { stride, outputPadding, overlap: how }));
    const sum = await step('projectSum', 'projecting', () => back('sum'));
    const average = await step('projectAverage', 'projecting', () => back('average'));
    const counts = await step('coverage', 'coverage', () =>
      coverage([maps, maps], { kernelSize: kernel, stride, outputPadding }),
    );
    const histogram = histogramOf(counts.data);
    const shownSum = fromTensor(toDisplay(sum, { per: 'image' }), 1);
    const shownAverage = fromTensor(average, 255);
    const psnr = psnrOf(picture, overlap === 'average' ? shownAverage : shownSum, counts.data);

    const strongest = strongestMaps(y, SHOWN_MAPS);
    const title = `${filters} kernels of ${kernel} × ${kernel}, stride ${stride}: there and back`;
    const tiles = projectionTiles({
      options,
      maps,
      picture,
      weight,
      y,
      strongest,
      shownSum,
      shownAverage,
      counts,
      histogram,
      psnr,
    });
    const panel = await step('panel', 'drawing', async () => {
      const {
        image: drawn,
        width,
        height,
      } = await drawPanel({
        title,
        subtitle: `${basename(picture.name)}   ${sizes([3, size, size])}   to   ${sizes([filters, maps, maps])}   and back to   ${sizes([3, size, size])}`,
        tiles,
        footer: `convolution: floor((${size} − ${kernel}) / ${stride}) + 1 = ${maps}     transposed convolution: (${maps} − 1) · ${stride} + ${kernel}${outputPadding > 0 ? ` + ${outputPadding}` : ''} = ${size}     PSNR of the ${overlap}: ${decibels(psnr)}`,
      });
      return { width, height, bytes: await encode(drawn) };
    });
    await step('write', 'writing', () => writeBytes(target, panel.bytes));
    progress.stop();

    const facts = {
      command: 'project',
      input: { name: picture.name, ...picture.source },
      output: { file: target, width: panel.width, height: panel.height, bytes: panel.bytes.length },
      options: { kernel, stride, filters, overlap, size },
      shapes: {
        picture: [...x.shape],
        weight: [...weight.shape],
        maps: [...y.shape],
        projection: [...average.shape],
      },
      outputPadding,
      coverage: {
        min: histogram[0].count,
        max: histogram[histogram.length - 1].count,
        histogram,
      },
      // JSON has no infinity: null says that not one pixel differs.
      psnr: Number.isFinite(psnr) ? Number(psnr.toFixed(3)) : null,
      milliseconds: Object.fromEntries(
        Object.entries(milliseconds).map(([k, v]) => [k, Number(v.toFixed(3))]),
      ),
      notes: notesOf(options, outputPadding, histogram[0].count),
    };
    if (options.json) printJson(facts);
    else if (!options.quiet) {
      const summary = describe(facts, psnr);
      if (target === STANDARD) say(summary);
      else print(summary);
    }
  } finally {
    progress.stop();
  }
}

/** IMAGE-projected.png in the current folder. */
function defaultTarget(image: string): string {
  const stem = image === STANDARD ? 'picture' : basename(image, extname(image));
  return `${stem}-projected.png`;
}

/** Reads a tensor's data once, so that a time measured round it is the time of the work. */
function settled(t: Tensor): Tensor {
  void t.data;
  return t;
}

// ------------------------------------------------------------------------------------------------ the summary

function notesOf({ kernel, stride, size }: ProjectOptions, outputPadding: number, least: number): string[] {
  const notes: string[] = [];
  if (outputPadding > 0) {
    notes.push(
      `windows of ${kernel} every ${stride} end ${plural(outputPadding, 'pixel')} before the edge of ${size}: outputPadding ${outputPadding} brings the projection back to ${size}`,
    );
  }
  if (least === 0) {
    notes.push('pixels of coverage 0 are reached by no window: they are black, and the PSNR leaves them out');
  }
  return notes;
}

interface Facts {
  readonly input: { name: string; format: string; width: number; height: number };
  readonly output: { file: string; width: number; height: number; bytes: number };
  readonly options: { kernel: number; stride: number; overlap: Overlap; size: number };
  readonly shapes: Record<'picture' | 'weight' | 'maps' | 'projection', number[]>;
  readonly coverage: { min: number; max: number; histogram: readonly CoverageBin[] };
  readonly milliseconds: Record<string, number>;
  readonly notes: readonly string[];
}

/** The summary for people. */
function describe(facts: Facts, psnr: number): string {
  const { input, output, options, shapes, coverage: covered, milliseconds } = facts;
  const paint = paintFor(output.file === STANDARD ? process.stderr : process.stdout);
  const took = (name: string) => paint.dim(duration(milliseconds[name]));
  const pixels = options.size ** 2;
  const rows = pick(covered.histogram, 12).map(({ count, pixels: many }) => [
    `${count}`,
    paint.cyan(bar(many / pixels, 40)),
    `${grouped(many)}  ${paint.dim(`${((100 * many) / pixels).toFixed(1)} %`)}`,
  ]);
  const parts = [
    `${paint.bold(input.name)}  ${input.format.toUpperCase()}, ${sizes([input.width, input.height])}`,
    '',
    table(
      [
        ['picture', sizes(shapes.picture), took('read'), ''],
        [
          'convolve',
          sizes(shapes.maps),
          took('convolve'),
          `${sizes(shapes.weight)} kernels, stride ${options.stride}`,
        ],
        ['project, sum', sizes(shapes.projection), took('projectSum'), ''],
        ['project, average', sizes(shapes.projection), took('projectAverage'), ''],
        [
          'panel',
          sizes([output.width, output.height]),
          took('panel'),
          `${grouped(Math.ceil(output.bytes / 1024))} KiB`,
        ],
      ],
      'llrl',
    ),
    '',
    `${paint.bold('Coverage')}: how many windows reach a pixel, ${covered.min} to ${covered.max}`,
    table(rows, 'rll'),
    '',
    `${paint.bold('PSNR')} of the ${options.overlap} against the picture: ${paint.bold(decibels(psnr))}`,
    ...facts.notes.map((note) => wrap(`note: ${note}`)),
  ];
  if (output.file !== STANDARD) parts.push('', `${paint.green('wrote')} ${output.file}`);
  return parts.join('\n');
}
