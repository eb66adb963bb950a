/**
 * fit-options: what {@link fit} can be told, what it tells, and the check of the first. See fit.ts for the loop itself.
 */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { type LearningRateSchedule, Optimizer, type Rate, Schedule } from '../optim/index.js';
import type { Tensor } from '../tensor.js';
import { isSchedule } from './checkpoint.js';
import { type BatchOptions, batches } from './data/batches.js';
import type { Dataset } from './data/dataset.js';
import { type AnyModule, Module } from './module.js';
import { readCount, readFlag, readNumber } from './options.js';

/** Tensors that are looked at together, for example [inputs, targets]; the first axis of the first counts the samples. */
export type Batch = readonly Tensor[];

/** The batches of one epoch. */
export type Batches = Iterable<Batch> | AsyncIterable<Batch>;

/** What a loss function is told beside the model and the batch. */
export interface StepContext {
  /** Epochs completed before this one. */
  readonly epoch: number;
  /** Steps completed before this one. */
  readonly step: number;
  /** Numbers uniform in [0, 1), the same for the same seed and step: for noise that a resumed run repeats. */
  readonly random: () => number;
}

/** Metrics by name, or one number. */
export type Evaluation = number | Readonly<Record<string, number>>;

/** Options of {@link fit}. */
export interface FitOptions<M extends AnyModule> {
  /**
   * A dataset, put together as `batch` says; or a function from an epoch, counted from 0, to its batches; or an array of
   * batches, the same in every epoch.
   */
  readonly data: Dataset | ((epoch: number) => Batches) | readonly Batch[];
  /** How batches are made of a dataset: `batchSize`, `shuffle`, `seed` …, as `batches` takes them. */
  readonly batch?: Omit<BatchOptions, 'epoch'> | undefined;
  /** The number to be made small: a tensor of one element. */
  readonly loss: (model: M, batch: Batch, context: StepContext) => Tensor;
  /** Moves the parameters; all of them must be the model's. */
  readonly optimizer: Optimizer;
  /** How often to go through the data. Integer ≥ 0. */
  readonly epochs: number;
  /** Changes the learning rate: a schedule of this optimiser, or a rate to make one from. */
  readonly schedule?: LearningRateSchedule | Rate | undefined;
  /** When the schedule goes on: after each epoch or after each step. Default `'epoch'`. */
  readonly scheduleEvery?: 'epoch' | 'step' | undefined;
  /** Largest norm of the gradients (`clipGradNorm`); or `{ norm }`, or `{ value }` (`clipGradValue`). Default: no bound. */
  readonly clip?: number | { readonly norm: number } | { readonly value: number } | undefined;
  /** Batches whose gradients are averaged into one step. Integer ≥ 1. Default 1. */
  readonly accumulate?: number | undefined;
  /** Looks how good the model is, in evaluation mode: metrics by name, or one number. May be asynchronous. */
  readonly evaluate?: ((model: M) => Evaluation | Promise<Evaluation>) | undefined;
  /** Steps from one evaluation to the next. Default: one at the end of each epoch. */
  readonly evaluateEvery?: number | undefined;
  /** The metric by which models are compared. Default: the first; without `evaluate` the mean loss of the epoch. */
  readonly watch?: string | undefined;
  /** Whether a smaller or a larger metric is better. Default `'min'`. */
  readonly mode?: 'min' | 'max' | undefined;
  /** By how much a metric must be better to count. ≥ 0. Default 0. */
  readonly minDelta?: number | undefined;
  /** Evaluations in a row without a better metric after which training stops. Integer ≥ 1. Default: never. */
  readonly patience?: number | undefined;
  /** Give the model, at the end, the weights that it was best with. Default false. */
  readonly restoreBest?: boolean | undefined;
  /**
   * Where to write checkpoints: to a file (Node only), or by a function of your own. `every`: steps from one to the next;
   * default: one at the end of each epoch. There is always one at the end.
   */
  readonly checkpoint?:
    | { readonly path: string; readonly every?: number | undefined }
    | { readonly write: (bytes: Uint8Array) => void | Promise<void>; readonly every?: number | undefined }
    | undefined;
  /** Go on from a checkpoint: a file, its bytes, or true for that of `checkpoint.path`, if there is one. Default false. */
  readonly resume?: boolean | string | Uint8Array | undefined;
  /** Where the numbers of {@link StepContext.random} start. Integer. Default 0. */
  readonly seed?: number | undefined;
  /** Stops the training between two steps. */
  readonly signal?: { readonly aborted: boolean } | undefined;
}

/** How it goes, after each step. */
export interface Progress {
  /** The epoch that the step belongs to, from 0, and how many there are to be. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps made so far, those before a resumption included. */
  readonly step: number;
  /** Steps to be made in all; undefined until one epoch has told how many it has. */
  readonly steps: number | undefined;
  /** Loss of this step. */
  readonly loss: number;
  /** Mean loss of this epoch so far. */
  readonly meanLoss: number;
  /** Learning rate of this step (of the first group). */
  readonly lr: number;
  /** Norm of the gradients before they were clipped, where they are clipped by it. */
  readonly gradNorm: number | undefined;
  /** Samples per second in this epoch so far, evaluation and checkpoints aside. */
  readonly samplesPerSecond: number;
  /** What `evaluate` has found; undefined where it was not called. A single number is called `score`. */
  readonly metrics: Readonly<Record<string, number>> | undefined;
  /** Whether the model was compared after this step and was better than ever before. */
  readonly best: boolean;
}

/** How a training ended. */
export interface Outcome {
  /**
   * `'finished'`: all epochs are done; `'patience'`: nothing has become better for too long; `'aborted'`: by the signal;
   * `'left'`: the loop over the progress was left.
   */
  readonly reason: 'finished' | 'patience' | 'aborted' | 'left';
  /** Epochs completed. */
  readonly epochs: number;
  /** Steps made. */
  readonly steps: number;
  /** The best metric, and after which step it was found. */
  readonly best: { readonly score: number; readonly step: number } | undefined;
}

/** Options, checked. */
export interface Plan<M extends AnyModule> {
  readonly model: M;
  readonly data: (epoch: number) => Batches;
  readonly stepsKnown: number | undefined;
  readonly loss: FitOptions<M>['loss'];
  readonly optimizer: Optimizer;
  readonly epochs: number;
  readonly schedule: LearningRateSchedule | undefined;
  readonly scheduleEvery: 'epoch' | 'step';
  readonly clipNorm: number | undefined;
  readonly clipValue: number | undefined;
  readonly accumulate: number;
  readonly evaluate: FitOptions<M>['evaluate'];
  readonly evaluateEvery: number | undefined;
  readonly watch: string | undefined;
  readonly sign: 1 | -1;
  readonly minDelta: number;
  readonly patience: number;
  readonly restoreBest: boolean;
  readonly checkpoint: FitOptions<M>['checkpoint'];
  readonly checkpointEvery: number | undefined;
  /** `'last'` is that of `checkpoint`, if there is one. */
  readonly resume: 'last' | { readonly file: string } | { readonly bytes: Uint8Array } | undefined;
  readonly seed: number;
  readonly signal: { readonly aborted: boolean } | undefined;
}

const OP = 'fit';
const OPTIONS = [
  'data',
  'batch',
  'loss',
  'optimizer',
  'epochs',
  'schedule',
  'scheduleEvery',
  'clip',
  'accumulate',
  'evaluate',
  'evaluateEvery',
  'watch',
  'mode',
  'minDelta',
  'patience',
  'restoreBest',
  'checkpoint',
  'resume',
  'seed',
  'signal',
];

function readFunction<F>(name: string, value: F, what: string): F {
  return typeof value === 'function'
    ? value
    : refuse(OP, name, `${name} must be ${what}, got ${show(value)}`);
}

/** The batches of an epoch, and how many there are, if that is known. */
function readData(
  data: unknown,
  batch: Omit<BatchOptions, 'epoch'> | undefined,
): { readonly data: (epoch: number) => Batches; readonly count?: number } {
  const { length, get } = (data ?? {}) as Partial<Dataset>;
  if (typeof get === 'function' && typeof data === 'object') {
    checkOptions(`${OP}: batch`, batch, ['batchSize', 'shuffle', 'seed', 'prefetch', 'dropLast']);
    const dataset = data as Dataset;
    // Refuses bad options now, and not in the first epoch.
    batches(dataset, batch);
    const count = (length as number) / (batch?.batchSize ?? 32);
    return {
      data: (epoch) => batches(dataset, { ...batch, epoch }),
      count: batch?.dropLast ? Math.floor(count) : Math.ceil(count),
    };
  }
  if (batch !== undefined) refuse(OP, 'batch', 'batch says how a dataset is put together, data is none');
  if (typeof data === 'function') return { data: data as (epoch: number) => Batches };
  if (Array.isArray(data) && data.length > 0) return { data: () => data, count: data.length };
  const hint =
    data !== null && typeof data === 'object' && (Symbol.iterator in data || Symbol.asyncIterator in data)
      ? 'what can be gone through once is not enough for several epochs: data: (epoch) => …'
      : undefined;
  return refuse(
    OP,
    'data',
    `data must be a dataset, a function from an epoch to its batches, or a non-empty array of batches, got ${show(data)}`,
    hint,
  );
}

function readOptimizer(model: AnyModule, optimizer: unknown): Optimizer {
  if (!(optimizer instanceof Optimizer))
    refuse(OP, 'optimizer', `optimizer must be an optimiser, got ${show(optimizer)}`);
  const own = new Set(model.parameters());
  const foreign = optimizer.parameters.findIndex((parameter) => !own.has(parameter));
  if (foreign >= 0) {
    refuse(
      OP,
      'optimizer',
      `optimizer.parameters[${foreign}] is no parameter of the model`,
      'a checkpoint would lack it: make it part of the model',
    );
  }
  return optimizer;
}

function readClip(clip: unknown): { norm?: number; value?: number } {
  if (clip === undefined) return {};
  if (typeof clip === 'number') return { norm: readNumber(OP, 'clip', clip, 0) };
  checkOptions(`${OP}: clip`, clip, ['norm', 'value']);
  const { norm, value } = clip as { norm?: unknown; value?: unknown };
  if ((norm === undefined) === (value === undefined))
    refuse(OP, 'clip', `clip must be a number, { norm } or { value }, got ${show(clip)}`);
  return norm === undefined
    ? { value: readNumber(OP, 'clip.value', value, 0) }
    : { norm: readNumber(OP, 'clip.norm', norm, 0) };
}

function readCheckpoint(checkpoint: unknown): void {
  if (checkpoint === undefined) return;
  checkOptions(`${OP}: checkpoint`, checkpoint, ['path', 'write', 'every']);
  const { path, write, every } = checkpoint as { path?: unknown; write?: unknown; every?: unknown };
  const fine =
    write === undefined
      ? typeof path === 'string' && path !== ''
      : path === undefined && typeof write === 'function';
  if (!fine)
    refuse(
      OP,
      'checkpoint',
      `checkpoint must be { path } with the name of a file, or { write } with a function, got ${show(checkpoint)}`,
    );
  if (every !== undefined) readCount(OP, 'checkpoint.every', every);
}

function readResume(resume: unknown, checkpoint: object | undefined): Plan<AnyModule>['resume'] {
  if (resume === undefined || resume === false) return undefined;
  if (typeof resume === 'string') return { file: resume };
  if (resume instanceof Uint8Array) return { bytes: resume };
  if (resume !== true)
    refuse(OP, 'resume', `resume must be true, false, the name of a file or its bytes, got ${show(resume)}`);
  if (checkpoint === undefined || !('path' in checkpoint))
    refuse(OP, 'resume', 'resume: true needs checkpoint.path', 'or say which: resume: path');
  return 'last';
}

/** Checks what {@link fit} is given. */
export function readPlan<M extends AnyModule>(model: M, options: FitOptions<M>): Plan<M> {
  if (!(model instanceof Module)) refuse(OP, 'model', `model must be a module, got ${show(model)}`);
  if (options === undefined)
    refuse(OP, 'options', 'options are needed: { data, loss, optimizer, epochs, … }');
  checkOptions(OP, options, OPTIONS);
  const { schedule, scheduleEvery = 'epoch', evaluate, watch, mode = 'min', checkpoint, signal } = options;
  const optional = <T>(value: T | undefined, read: (value: T) => T) =>
    value === undefined ? undefined : read(value);
  const { data, count } = readData(options.data, options.batch);
  const accumulate = readCount(OP, 'accumulate', options.accumulate ?? 1);
  const clip = readClip(options.clip);
  const optimizer = readOptimizer(model, options.optimizer);
  checkName(OP, 'scheduleEvery', scheduleEvery, ['epoch', 'step']);
  checkName(OP, 'mode', mode, ['min', 'max']);
  readCheckpoint(checkpoint);
  if (schedule !== undefined && typeof schedule !== 'function' && !isSchedule(schedule))
    refuse(OP, 'schedule', `schedule must be a schedule or a rate, got ${show(schedule)}`);
  if (watch !== undefined && (typeof watch !== 'string' || evaluate === undefined))
    refuse(OP, 'watch', `watch must be the name of a metric that evaluate gives, got ${show(watch)}`);
  if (options.evaluateEvery !== undefined && evaluate === undefined)
    refuse(OP, 'evaluateEvery', 'evaluateEvery needs evaluate');
  if (signal !== undefined && typeof signal?.aborted !== 'boolean')
    refuse(OP, 'signal', `signal must be an AbortSignal, got ${show(signal)}`);
  return Object.freeze({
    model,
    data,
    stepsKnown: count && Math.ceil(count / accumulate),
    loss: readFunction('loss', options.loss, 'a function (model, batch) → tensor'),
    optimizer,
    epochs: readCount(OP, 'epochs', options.epochs, 0),
    schedule: typeof schedule === 'function' ? new Schedule(optimizer, schedule) : schedule,
    scheduleEvery,
    clipNorm: clip.norm,
    clipValue: clip.value,
    accumulate,
    evaluate: optional(evaluate, (f) => readFunction('evaluate', f, 'a function (model) → metrics')),
    evaluateEvery: optional(options.evaluateEvery, (n) => readCount(OP, 'evaluateEvery', n)),
    watch,
    sign: mode === 'min' ? -1 : 1,
    minDelta: readNumber(OP, 'minDelta', options.minDelta ?? 0, 0),
    patience: optional(options.patience, (n) => readCount(OP, 'patience', n)) ?? Number.POSITIVE_INFINITY,
    restoreBest: readFlag(OP, 'restoreBest', options.restoreBest ?? false),
    checkpoint,
    checkpointEvery: checkpoint?.every,
    resume: readResume(options.resume, checkpoint),
    seed: readCount(OP, 'seed', options.seed ?? 0, Number.NEGATIVE_INFINITY),
    signal,
  });
}
