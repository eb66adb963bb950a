/**
 * train: from a folder of pictures to a model. Reads the options, the pictures and perhaps a checkpoint, trains (run.ts), and
 * leaves the model, its curves and a panel of before and after. Ctrl-C ends the training after the step it is in, with the
 * same files as if it had ended by itself.
 */
import { rm } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { saveModel, type Task } from 'deconv/nn';
import { type EngineOptions, engineInWords, startEngine, withEngineOptions } from '../engine.js';
import { checkTarget, readBytes, STANDARD, writeBytes } from '../files.js';
import { whenAskedToStop } from '../interrupt.js';
import { startProgress } from '../progress.js';
import { type CommonOptions, Failure, grouped, misuse, wholeNumber } from '../terminal.js';
import {
  drawnSource,
  folderSource,
  holdBack,
  loadExamples,
  maskedSource,
  readBytesOption,
  type Source,
  UNKNOWN_CLASS,
} from '../training/folder.js';
import { type Job, type JobOptions, jobOf } from '../training/jobs.js';
import type { Verdict } from '../training/judge.js';
import { Plan } from '../training/plan.js';
import {
  baselineName,
  drawBeforeAfter,
  drawCurves,
  longDuration,
  score,
  scoreName,
} from '../training/report.js';
import {
  checkpointOf,
  type Ended,
  everyOf,
  millisecondsPerStep,
  readRecord,
  type Spec,
  train,
} from '../training/run.js';
import { Shelves } from '../training/shelves.js';
import { report, type TrainingData } from '../training/summary.js';

const TASKS = ['upscale', 'denoise', 'autoencode', 'segment'] as const satisfies readonly Task[];

interface TrainOptions extends CommonOptions, EngineOptions {
  readonly output: string;
  readonly scale?: number;
  readonly minutes?: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly patch?: number;
  readonly lr?: number;
  readonly channels?: number;
  readonly depth?: number;
  readonly noise?: [number, number];
  readonly classes?: number;
  readonly code?: number;
  readonly down?: 'stride' | 'pool';
  readonly seed?: number;
  readonly memory: string;
  readonly longest?: number;
  readonly synthetic?: boolean;
  readonly resume?: boolean;
}

/** What the bare command takes. */
const DEFAULTS = {
  upscale: { patch: 24, batch: 8, lr: 2e-3, channels: 32, depth: 4 },
  denoise: { patch: 64, batch: 8, lr: 2e-3, channels: 48, depth: 4 },
  autoencode: { patch: 64, batch: 8, lr: 2e-3, channels: 32, depth: 3 },
  segment: { patch: 96, batch: 8, lr: 2e-3, channels: 24, depth: 3 },
} as const;
const MINUTES = 8;
const DRAWN = { count: 600, size: 96 } as const;
/** Pictures that are looked at, at most. */
const HELD = 12;

const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) misuse(`a number > 0 is needed, got '${text}'`);
  return value;
};

/** "25" or "0..50", in 255ths. */
const noiseRange = (text: string): [number, number] => {
  const ends = text.split('..').map(Number);
  const [from, to] = ends.length === 1 ? [ends[0], ends[0]] : ends;
  if (ends.length > 2 || !(from >= 0 && to >= from && to <= 255))
    misuse(`--noise is a number or a range such as 0..50, in 255ths, got '${text}'`);
  return [from, to];
};

/** Adds `deconv train` to the program. */
export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .summary('from a folder of pictures to a model that enlarges, denoises, packs or segments')
    .description(
      'Trains a network on the pictures of a folder (and of the folders in it), and saves it as one file that\ndeconv upscale and deconv apply use.',
    )
    .addArgument(new Argument('<task>', 'what to learn').choices(TASKS))
    .argument('[folder]', 'pictures; for segment a folder with images/ and masks/')
    .requiredOption('-o, --output <file>', 'model to write, a .safetensors file')
    .option('--minutes <n>', `how long to train (default: ${MINUTES})`, positive)
    .option('--steps <n>', 'train by a number of steps instead', wholeNumber)
    .option('--epochs <n>', 'or by a number of times through the pictures', wholeNumber)
    .option('--resume', 'go on where a training of this model was stopped, bit for bit')
    .option('--scale <n>', 'upscale: how many times as large, 2, 3 or 4 (default: 2)', wholeNumber)
    .option('--noise <n..n>', 'denoise: noise to learn, in 255ths (default: 0..50)', noiseRange)
    .option('--code <n>', 'autoencode: channels of the code (default: 16)', wholeNumber)
    .addOption(
      new Option('--down <how>', 'autoencode: how sizes are halved (default: stride)').choices([
        'stride',
        'pool',
      ]),
    )
    .option(
      '--classes <n>',
      'segment: how many classes (default: the largest in the masks, and one more)',
      wholeNumber,
    )
    .option('--synthetic', 'train on drawn figures; no folder is needed')
    .option('--channels <n>', 'feature maps (default: 32; denoise 48, segment 24)', wholeNumber)
    .option(
      '--depth <n>',
      'residual blocks, or levels that halve the picture (default: 4, or 3)',
      wholeNumber,
    )
    .option(
      '--patch <n>',
      'side of the patches that go in (default: upscale 24, segment 96, others 64)',
      wholeNumber,
    )
    .option('--batch <n>', 'patches per step (default: 8)', wholeNumber)
    .option('--lr <x>', 'learning rate to begin with (default: 0.002)', positive)
    .option('--seed <n>', 'where random numbers start (default: 1)', wholeNumber)
    .option('--longest <n>', 'scale pictures down to this longest side (default: 1024)', wholeNumber)
    .option('--memory <size>', 'for decoded pictures; more are read again each time', '1G');
  withEngineOptions(command)
    .option('--json', 'print facts for programs instead of the summary')
    .option('-q, --quiet', 'print nothing but errors (and --json)')
    .addHelpText(
      'after',
      `
About a tenth of the pictures is held back, to see how good the model is. Beside MODEL.safetensors are written
MODEL-curves.png, MODEL-before-after.png and, until the training has ended, MODEL.checkpoint.safetensors.

upscale learns to undo a scaling down by area averages and by bicubic interpolation with antialiasing, half each,
of pictures without noise; it works best on pictures made small in one of these ways. segment reads FOLDER/images
and, of the same names, FOLDER/masks: PNG files, palette or grey, whose pixels are class numbers from 0; 255 is no
class. FOLDER/classes.txt may name them, one to a line.

The same seed, pictures and number of steps give the same model, bit for bit, stopped and resumed or not; by
--minutes, the number of steps depends on the machine.

Examples:
  $ deconv train upscale photos -o up.safetensors
  $ deconv train denoise photos -o clean.safetensors --minutes 20
  $ deconv train segment --synthetic -o shapes.safetensors --steps 500`,
    )
    .action(run);
}

/** Options of the job, with the defaults of its task. Classes are counted later. */
function readJob(task: Task, options: TrainOptions): JobOptions {
  const own: Partial<Record<keyof TrainOptions, Task>> = {
    scale: 'upscale',
    noise: 'denoise',
    code: 'autoencode',
    down: 'autoencode',
    classes: 'segment',
  };
  for (const [name, of] of Object.entries(own)) {
    if (options[name as keyof TrainOptions] !== undefined && task !== of)
      misuse(`--${name} is for ${of}, not for ${task}`);
  }
  const { scale = 2 } = options;
  if (scale < 2 || scale > 4) misuse(`--scale must be 2, 3 or 4, got ${scale}`);
  const { patch, channels, depth } = DEFAULTS[task];
  const job: JobOptions = {
    task,
    scale: task === 'upscale' ? scale : 1,
    channels: options.channels ?? channels,
    depth: options.depth ?? depth,
    patch: options.patch ?? patch,
    noise: options.noise ?? [0, 50],
    classes: options.classes ?? 0,
    code: options.code ?? 16,
    down: options.down ?? 'stride',
    seed: options.seed ?? 1,
  };
  const multiple = { upscale: 1, denoise: 2, autoencode: 2 ** job.depth, segment: 2 ** (job.depth + 1) }[
    task
  ];
  if (job.patch % multiple !== 0 || job.patch < 8)
    misuse(`--patch must be a multiple of ${multiple} and at least 8, got ${job.patch}`);
  if (job.patch * job.scale > 1024)
    misuse(`--patch ${job.patch} is more than 1024 pixels of the large picture`);
  return job;
}

/** Options that a resumed training has from its checkpoint. */
const FIXED = [
  'scale', 'minutes', 'steps', 'epochs', 'batch', 'patch', 'lr', 'channels', 'depth', 'noise', 'classes', 'code', 'down', 'seed', 'longest',
] as const; // biome-ignore format: a word list

async function readResumed(task: Task, options: TrainOptions, checkpoint: string) {
  const given = FIXED.filter((name) => options[name] !== undefined);
  if (given.length > 0) {
    misuse(
      `--resume goes on as the training began: without ${given.map((name) => `--${name}`).join(', ')}`,
      'begin anew under another name with -o to change them',
    );
  }
  const bytes = await readBytes(checkpoint).catch((error: unknown) => {
    if (error instanceof Failure)
      throw new Failure(
        `there is nothing to resume: ${error.message}`,
        error.exitCode,
        'begin without --resume',
      );
    throw error;
  });
  const record = readRecord(bytes, checkpoint);
  if (record.spec.job.task !== task)
    misuse(`${checkpoint} is of 'train ${record.spec.job.task}', not of 'train ${task}'`);
  return { bytes, record };
}

async function sourceOf(
  task: Task,
  folder: string | undefined,
  synthetic: boolean,
  longest: number,
): Promise<Source> {
  if (synthetic) {
    if (folder !== undefined) misuse(`--synthetic draws its pictures: ${folder} is not needed`);
    return drawnSource(DRAWN.count, DRAWN.size);
  }
  if (folder === undefined)
    misuse('a folder of pictures is needed', 'or --synthetic, to train on drawn ones');
  return task === 'segment' ? maskedSource(folder) : folderSource(folder, longest);
}

/** How many classes the masks have; reads them all once. */
async function countClasses(source: Source, onLoaded: (done: number) => Promise<void>): Promise<number> {
  let most = 0;
  for (const index of source.names.keys()) {
    const { mask = [] } = await source.load(index).catch((error: unknown) => {
      if (error instanceof Failure) return { mask: [] };
      throw error;
    });
    for (const value of mask) if (value !== UNKNOWN_CLASS && value > most) most = value;
    await onLoaded(index + 1);
  }
  if (most === 0) throw new Failure('the masks hold no class but 0: there is nothing to tell apart');
  return most + 1;
}

async function run(task: Task, folder: string | undefined, options: TrainOptions): Promise<void> {
  const { output: target } = options;
  if (target === STANDARD || !/\.safetensors$/i.test(target))
    misuse(`the model is written to a file ending in .safetensors, got '${target}'`);
  if ([options.minutes, options.steps, options.epochs].filter((x) => x !== undefined).length > 1)
    misuse('give one of --minutes, --steps and --epochs');
  const checkpoint = checkpointOf(target);
  const resume = options.resume === true ? await readResumed(task, options, checkpoint) : undefined;
  const synthetic = options.synthetic ?? resume?.record.spec.data === 'synthetic';
  let jobOptions = resume?.record.spec.job ?? readJob(task, options);
  const memory = readBytesOption(options.memory);
  await checkTarget(target, folder ?? '');
  if (resume === undefined && (await readBytes(checkpoint).catch(() => undefined)) !== undefined) {
    misuse(
      `${checkpoint} is left of a training that was stopped`,
      '--resume goes on with it; delete it to begin anew',
    );
  }
  const longest = resume?.record.spec.longest ?? options.longest ?? 1024;
  const source = await sourceOf(task, folder, synthetic, longest);
  if (resume !== undefined && resume.record.spec.fingerprint !== source.fingerprint) {
    throw new Failure(
      `the pictures are not those that the training began with (${resume.record.spec.data})`,
      1,
      'bring them back, or begin anew',
    );
  }
  const configuration = await startEngine(options);

  const reading = startProgress(source.names.length, options);
  let data: TrainingData;
  let job: Job;
  try {
    const shown = (label: string) => (done: number, of: number) =>
      reading.at(done / of, `${label} ${done}/${of}`);
    if (task === 'segment' && jobOptions.classes === 0) {
      const classes = synthetic
        ? (source.classNames?.length ?? 2)
        : await countClasses(source, (done) => shown('reading masks')(done, source.names.length));
      jobOptions = { ...jobOptions, classes };
    }
    job = jobOf(jobOptions);
    const { batch } = resume?.record.spec ?? { batch: options.batch ?? DEFAULTS[task].batch };
    data = await readData(source, job, batch, memory, shown('reading pictures'));
  } finally {
    reading.stop();
  }

  const spec: Spec = resume?.record.spec ?? {
    job: jobOptions,
    batch: options.batch ?? DEFAULTS[task].batch,
    lr: options.lr ?? DEFAULTS[task].lr,
    memory,
    longest,
    data: synthetic ? 'synthetic' : resolve(folder ?? ''),
    fingerprint: source.fingerprint,
    every: 1,
  };
  const plan =
    resume === undefined ? await planOf(options, job, spec, data.shelves) : new Plan(resume.record.plan);
  const whole: Spec = resume === undefined ? { ...spec, every: everyOf(plan.total) } : spec;
  const stop = { aborted: false, exitCode: 0 };
  const forget = whenAskedToStop((exitCode) => Object.assign(stop, { aborted: true, exitCode }));
  const model = job.make();
  const progress = startProgress(1000, options);
  let ended: Ended;
  const classNames = source.classNames ?? [];
  const notes = (step: number, verdict: Verdict | undefined) =>
    notesOf(whole, step, verdict, classNames, data);
  try {
    ended = await train({
      spec: whole,
      job,
      model,
      shelves: data.shelves,
      views: data.views,
      plan,
      target,
      checkpoint,
      resume,
      signal: stop,
      notes,
      onStep: ({ step, total, loss, verdict, samplesPerSecond, left }) => {
        const parts = [
          `${grouped(step)}/${grouped(total)}`,
          `loss ${loss.toPrecision(3)}`,
          ...(verdict === undefined ? [] : [scoreInWords(task, verdict)]),
          `${grouped(Math.round(samplesPerSecond))}/s`,
          stop.aborted ? 'stopping' : `${longDuration(1000 * Math.ceil(left / 1000))} left`,
        ];
        return progress.at(Math.min(1, step / total), parts.join('  '));
      },
    });
    await progress.at(1, 'writing');
    model.notes = notes(ended.steps, ended.verdict);
    const files = await writeAll(target, checkpoint, saveModel(model), whole, ended, classNames);
    progress.stop();
    forget();
    report(options, { spec: whole, ended, files, data, configuration: engineInWords(configuration) });
  } finally {
    forget();
    progress.stop();
  }
  if (stop.aborted) process.exitCode = stop.exitCode;
}

const scoreInWords = (task: Task, { score: value, baseline }: Verdict) =>
  `${scoreName(task)} ${score(task, value)}${baseline === undefined ? '' : ` (${baselineName(task)} ${score(task, baseline)})`}`;

/** The pictures: those that are looked at, and those that are trained on. */
async function readData(
  source: Source,
  job: Job,
  batch: number,
  memory: number,
  shown: (done: number, of: number) => Promise<void>,
): Promise<TrainingData> {
  const { train: training, held } = holdBack(source.names.length, HELD);
  const views = await loadExamples(source, held, job.reject);
  const shelves = await Shelves.open(source, training, job, { batch, seed: job.options.seed, memory });
  const used = await shelves.fill(shown);
  const seen = views.examples.map(({ example }) => job.view(job.prepare(example)));
  // Of a single picture nothing can be held back.
  const alone = seen.length === 0;
  if (alone) {
    const again = await loadExamples(source, training.slice(0, 1), job.reject);
    seen.push(...again.examples.map(({ example }) => job.view(job.prepare(example))));
  }
  return { shelves, views: seen, alone, used, heldSkipped: views.skipped };
}

async function planOf(options: TrainOptions, job: Job, spec: Spec, shelves: Shelves): Promise<Plan> {
  if (options.steps !== undefined) return Plan.steps(options.steps);
  if (options.epochs !== undefined) return Plan.steps(options.epochs * (await shelves.stepsPerEpoch()));
  return Plan.time((options.minutes ?? MINUTES) * 60_000, millisecondsPerStep(job, spec.batch));
}

/** What the model's file says of itself. */
function notesOf(
  { job, batch, lr, data }: Spec,
  step: number,
  verdict: Verdict | undefined,
  classNames: readonly string[],
  { used, views }: { used: number; views: readonly unknown[] },
): Record<string, unknown> {
  return {
    madeBy: 'deconv train',
    steps: step,
    ...(verdict === undefined
      ? {}
      : {
          measure: scoreName(job.task),
          score: Number(verdict.score.toFixed(4)),
          ...(verdict.baseline === undefined ? {} : { baseline: Number(verdict.baseline.toFixed(4)) }),
        }),
    heldBack: views.length,
    pictures: used,
    data: basename(data),
    training: { patch: job.patch, batch, lr, seed: job.seed },
    ...(job.task === 'upscale'
      ? { degradation: 'half area averages, half antialiased bicubic; no noise' }
      : {}),
    ...(job.task === 'denoise' ? { noise: job.noise } : {}),
    ...(job.task === 'segment' ? { classes: classNames } : {}),
  };
}

/** Model, curves, panel; the checkpoint goes when the training has ended by itself. */
async function writeAll(
  target: string,
  checkpoint: string,
  model: Uint8Array,
  spec: Spec,
  ended: Ended,
  classNames: readonly string[],
) {
  const stem = target.replace(/\.safetensors$/i, '');
  await writeBytes(target, model);
  const curves = `${stem}-curves.png`;
  await writeBytes(curves, await drawCurves(spec, ended).image.png().toBuffer());
  const panel = `${stem}-before-after.png`;
  const { image } = await drawBeforeAfter(spec, ended, basename(target), classNames);
  await writeBytes(panel, await image.png().toBuffer());
  if (ended.reason === 'finished') await rm(checkpoint, { force: true });
  return { model: target, curves, panel, ...(ended.reason === 'stopped' ? { checkpoint } : {}) };
}
