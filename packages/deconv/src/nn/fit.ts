/**
 * fit: the training loop. Goes through the data epoch by epoch, makes the steps (step.ts), lets the schedule go on;
 * evaluates, remembers the best, stops when nothing gets better; writes checkpoints from which a run that was stopped, or
 * killed, goes on bit for bit as if it had not been.
 *
 * Where a training stands is a `Position`, a record that is replaced once per step, when all is done that the step
 * changes: whatever is interrupted, what is written down is a place between two steps.
 *
 * Refuses data that give no batches, and fewer than when the checkpoint was written.
 */
import { noGrad } from '../autograd.js';
import { DeconvError, refuse, show } from '../errors.js';
import { readFile, writeFile } from '../io/files.js';
import { Tensor } from '../tensor.js';
import {
  applyCheckpoint,
  packCheckpoint,
  type State,
  type TrainingState,
  unpackCheckpoint,
} from './checkpoint.js';
import {
  type Batch,
  type Batches,
  type FitOptions,
  type Outcome,
  type Plan,
  type Progress,
  readPlan,
} from './fit-options.js';
import type { AnyModule } from './module.js';
import { readPosition, START } from './position.js';
import { Stepper } from './step.js';

const OP = 'fit';

interface Host {
  setImmediate?(run: () => void): void;
  MessageChannel?: new () => {
    readonly port1: { onmessage: (() => void) | null; close(): void };
    readonly port2: { postMessage(value: unknown): void };
  };
}

/** Milliseconds after which others are let at the thread: timers, signals, the page. */
const TURN_AFTER = 12;

/** Lets everything that waits for the thread run once. */
function turn(): Promise<void> {
  const { setImmediate, MessageChannel } = globalThis as object as Host;
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else if (MessageChannel === undefined) resolve();
    else {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(0);
    }
  });
}

/** What a {@link Training} shows of a run. */
interface Records {
  readonly outcome: Outcome | undefined;
  records(): AsyncGenerator<Progress, Outcome, undefined>;
  ended(reason: Outcome['reason']): Outcome;
}

/** A training under way. Made by {@link fit}. */
export class Training implements AsyncIterableIterator<Progress, Outcome, undefined> {
  readonly #run: Records;
  readonly #records: AsyncGenerator<Progress, Outcome, undefined>;

  /** @internal */
  constructor(run: Records) {
    this.#run = run;
    this.#records = run.records();
  }

  /** How the training ended; undefined while it has not. */
  get outcome(): Outcome | undefined {
    return this.#run.outcome;
  }

  /** Goes on to the end and says how it was reached. */
  async finish(): Promise<Outcome> {
    let record = await this.next();
    while (record.done !== true) record = await this.next();
    return this.outcome ?? record.value;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One step more. */
  next(): Promise<IteratorResult<Progress, Outcome>> {
    return this.#records.next();
  }

  /** Ends the training between two steps; leaving a `for await` loop calls it. */
  async return(): Promise<IteratorResult<Progress, Outcome>> {
    const { value } = await this.#records.return(this.#run.ended('left'));
    return { done: true, value: this.outcome ?? (value as Outcome) };
  }
}

/** The modes of all modules, and how to come back to them. */
function modesOf(model: AnyModule): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const);
  return () => {
    for (const [module, training] of modes) module.training = training;
  };
}

class Run<M extends AnyModule> implements Records {
  outcome: Outcome | undefined;
  readonly #plan: Plan<M>;
  readonly #state: TrainingState;
  readonly #stepper: Stepper<M>;
  #position = START;
  /** The weights that were best, if they are to be kept. */
  #best: State = {};
  /** Steps made when the last checkpoint was written. */
  #saved = 0;
  #turned = Date.now();

  constructor(plan: Plan<M>) {
    const { model, optimizer, schedule } = plan;
    this.#plan = plan;
    this.#state = { model, optimizer, schedule };
    this.#stepper = new Stepper(plan);
  }

  ended(reason: Outcome['reason']): Outcome {
    const { epoch, step, best } = this.#position;
    return { reason, epochs: epoch, steps: step, best };
  }

  async *records(): AsyncGenerator<Progress, Outcome, undefined> {
    const { model } = this.#plan;
    const restoreModes = modesOf(model);
    await this.#resume();
    // Parts that were set to evaluation on purpose stay in it.
    if (!model.training) model.train();
    // While a step is under way, what is in the model is no place to write down.
    let underway = false;
    try {
      let reason = this.#reasonToStop();
      while (reason === undefined) {
        underway = true;
        for await (const record of this.#epoch()) {
          underway = false;
          yield record;
          underway = true;
          reason = this.#reasonToStop();
          if (reason !== undefined) break;
        }
      }
      underway = false;
      this.outcome = this.ended(reason);
      return this.outcome;
    } finally {
      if (!underway) await this.#end();
      restoreModes();
    }
  }

  async #end(): Promise<void> {
    this.outcome ??= this.ended('left');
    await this.#save();
    if (this.#plan.restoreBest && this.#position.best !== undefined)
      this.#plan.model.loadStateDict(this.#best);
  }

  #reasonToStop(): Outcome['reason'] | undefined {
    const { signal, patience, epochs } = this.#plan;
    if (this.#position.epoch >= epochs) return 'finished';
    if (this.#position.waited >= patience) return 'patience';
    return signal?.aborted === true ? 'aborted' : undefined;
  }

  /** The steps of the epoch that comes next, or of what is left of it. */
  async *#epoch(): AsyncGenerator<Progress, void, undefined> {
    const { accumulate } = this.#plan;
    const iterator = this.#batches();
    try {
      let next = await this.#skip(iterator);
      let [samples, busy] = [0, 0];
      while (next.done !== true) {
        const began = Date.now();
        const step = this.#stepper.begin(this.#position);
        while (next.done !== true && step.batches < accumulate) {
          const batch = this.#checkBatch(next.value);
          samples += batch[0].shape[0] ?? 1;
          step.add(batch);
          next = await iterator.next();
        }
        const made = step.finish();
        busy += Date.now() - began;
        const samplesPerSecond = (1000 * samples) / Math.max(1, busy);
        yield await this.#after({ ...made, samplesPerSecond }, step.batches, next.done === true);
        if (Date.now() - this.#turned < TURN_AFTER) continue;
        await turn();
        this.#turned = Date.now();
      }
    } finally {
      await iterator.return?.();
    }
  }

  #batches(): AsyncIterator<Batch> | Iterator<Batch> {
    const { epoch } = this.#position;
    const batches: Batches = this.#plan.data(epoch);
    if (batches !== null && typeof batches === 'object') {
      if (Symbol.asyncIterator in batches) return batches[Symbol.asyncIterator]();
      if (Symbol.iterator in batches) return batches[Symbol.iterator]();
    }
    return refuse(
      OP,
      'data',
      `data(${epoch}) must give batches that can be gone through, got ${show(batches)}`,
    );
  }

  /** The first batch that was not yet used. */
  async #skip(iterator: AsyncIterator<Batch> | Iterator<Batch>): Promise<IteratorResult<Batch>> {
    const { epoch, batch: used } = this.#position;
    for (let i = 0; ; i++) {
      const next = await iterator.next();
      if (next.done === true && used > 0)
        refuse(OP, 'data', `epoch ${epoch} has ${i} batches, at the checkpoint it had more than ${used}`);
      if (next.done === true) refuse(OP, 'data', `epoch ${epoch} has no batches`);
      if (i === used) return next;
    }
  }

  #checkBatch(batch: unknown): Batch {
    if (Array.isArray(batch) && batch.length > 0 && batch.every((x) => x instanceof Tensor)) return batch;
    const { epoch } = this.#position;
    return refuse(
      OP,
      'data',
      `a batch must be a non-empty array of tensors, one of epoch ${epoch} is ${show(batch)}`,
    );
  }

  /** What follows a step: comparison, schedule, the new position, a checkpoint. */
  async #after(
    made: Pick<Progress, 'loss' | 'gradNorm' | 'lr' | 'samplesPerSecond'>,
    batches: number,
    last: boolean,
  ): Promise<Progress> {
    const { evaluate, evaluateEvery, schedule, scheduleEvery, epochs, stepsKnown, checkpointEvery } =
      this.#plan;
    const before = this.#position;
    const step = before.step + 1;
    const epochSteps = before.epochSteps + 1;
    const lossSum = before.lossSum + made.loss;
    const meanLoss = lossSum / epochSteps;
    const due = evaluateEvery === undefined ? last : step % evaluateEvery === 0;
    const metrics = due && evaluate !== undefined ? await this.#evaluate() : undefined;
    const score = due ? this.#scoreOf(metrics, meanLoss) : undefined;
    const better = score !== undefined && this.#isBetter(score);
    if (better && this.#plan.restoreBest) this.#keepBest();
    if (scheduleEvery === 'step') schedule?.step(score ?? made.loss);
    else if (last) schedule?.step(score ?? meanLoss);
    const stepsPerEpoch = last ? epochSteps : (before.stepsPerEpoch ?? stepsKnown);
    this.#position = {
      epoch: before.epoch + (last ? 1 : 0),
      batch: last ? 0 : before.batch + batches,
      epochSteps: last ? 0 : epochSteps,
      lossSum: last ? 0 : lossSum,
      step,
      stepsPerEpoch,
      best: better ? { score, step } : before.best,
      waited: better ? 0 : before.waited + (due ? 1 : 0),
    };
    if (checkpointEvery === undefined ? last : step % checkpointEvery === 0) await this.#save();
    const steps = stepsPerEpoch === undefined ? undefined : stepsPerEpoch * epochs;
    return { epoch: before.epoch, epochs, step, steps, ...made, meanLoss, metrics, best: better };
  }

  async #evaluate(): Promise<Readonly<Record<string, number>>> {
    const { model, evaluate } = this.#plan;
    const restoreModes = modesOf(model);
    model.eval();
    try {
      // Not recorded, as far as it is synchronous.
      const [pending] = noGrad(() => [evaluate?.(model)]);
      const found: unknown = await pending;
      const metrics: unknown = typeof found === 'number' ? { score: found } : found;
      const named = metrics !== null && typeof metrics === 'object' ? Object.entries(metrics) : [];
      if (named.length === 0 || named.some(([, value]) => typeof value !== 'number'))
        refuse(OP, 'evaluate', `evaluate must give a number, or numbers by name, got ${show(found)}`);
      return Object.fromEntries(named);
    } finally {
      restoreModes();
    }
  }

  #scoreOf(metrics: Readonly<Record<string, number>> | undefined, meanLoss: number): number {
    if (metrics === undefined) return meanLoss;
    const { watch = Object.keys(metrics)[0] } = this.#plan;
    if (Object.hasOwn(metrics, watch)) return metrics[watch];
    return refuse(
      OP,
      'watch',
      `watch names ${show(watch)}, evaluate gives ${Object.keys(metrics).join(', ')}`,
    );
  }

  #isBetter(score: number): boolean {
    const { sign, minDelta } = this.#plan;
    const { best } = this.#position;
    return Number.isFinite(score) && (best === undefined || sign * (score - best.score) > minDelta);
  }

  #keepBest(): void {
    for (const tensor of Object.values(this.#best)) tensor.dispose();
    this.#best = this.#plan.model.stateDict();
  }

  /** Writes a checkpoint, unless the last one is of this very step. */
  async #save(): Promise<void> {
    const { checkpoint } = this.#plan;
    const { step } = this.#position;
    if (checkpoint === undefined || step === this.#saved) return;
    const bytes = packCheckpoint(this.#state, { position: this.#position }, this.#best);
    if ('path' in checkpoint) await writeFile(checkpoint.path, bytes);
    else await checkpoint.write(bytes);
    this.#saved = step;
  }

  async #resume(): Promise<void> {
    const bytes = await this.#resumeBytes();
    if (bytes === undefined) return;
    const read = unpackCheckpoint(OP, bytes);
    const position = readPosition(OP, read.notes);
    const { best } = read.parts;
    const keepBest = this.#plan.restoreBest && position.best !== undefined;
    if (keepBest && Object.keys(best).length === 0)
      refuse(
        OP,
        'resume',
        'the checkpoint does not hold the best weights',
        'it was written without restoreBest',
      );
    applyCheckpoint(read, this.#state);
    this.#position = position;
    this.#saved = position.step;
    if (keepBest) this.#best = best;
  }

  async #resumeBytes(): Promise<Uint8Array | undefined> {
    const { resume, checkpoint } = this.#plan;
    if (resume === undefined) return undefined;
    if (resume !== 'last') return 'file' in resume ? readFile(resume.file) : resume.bytes;
    if (checkpoint === undefined || !('path' in checkpoint)) return undefined;
    return readFile(checkpoint.path).catch((error: unknown) => {
      // The first run has nothing to go on from.
      if (error instanceof DeconvError && error.rule.endsWith('there is no such file')) return undefined;
      throw error;
    });
  }
}

/**
 * Trains a model: goes through the data `epochs` times and after each step tells how it goes. The records come from an
 * asynchronous loop; leaving it ends the training between two steps. `finish()` runs to the end without them.
 *
 * A run with the same data, seeds and options gives the same weights bit for bit, on any number of threads, and also when
 * it was stopped, or killed, and resumed from its checkpoint.
 *
 * @param model a module; its modes (training or evaluation) are afterwards as they were before
 * @param options see {@link FitOptions}; needed are data, loss, optimizer and epochs
 * @returns the training: an asynchronous iterator of {@link Progress}, `finish()`, and `outcome` once it has ended
 * @throws DeconvError for bad options; while it runs, for batches and losses that are none, and for a loss or gradient that
 *   is not finite, naming the module or parameter where that began
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { fit, Linear, mseLoss } from 'deconv/nn';
 * import { SGD } from 'deconv/optim';
 * const model = new Linear(1, 1, { seed: 1 });
 * const batch = [tensor([[0], [1], [2]]), tensor([[1], [3], [5]])]; // y = 2x + 1
 * const training = fit(model, {
 *   data: [batch],
 *   loss: (model, [x, y]) => mseLoss(model.forward(x), y),
 *   optimizer: new SGD(model.parameters(), { lr: 0.1 }),
 *   epochs: 200,
 * });
 * for await (const { step, loss } of training) {
 *   if (step === 200) console.log(loss < 1e-4); // true
 * }
 * console.log(training.outcome?.reason); // finished
 * ```
 */
export function fit<M extends AnyModule>(model: M, options: FitOptions<M>): Training {
  return new Training(new Run(readPlan(model, options)));
}
