/**
 * run: a training from its first step, or from a checkpoint, to its end. The loop is the library's `fit`; this adds what a
 * run of minutes needs: a plan by steps or by time, held-back pictures to look at, curves, and two files that are always
 * whole: the model as it was best, and beside it the checkpoint to go on from.
 */
import { DeconvError, randn, type Tensor } from 'deconv';
import { readSafetensors, safetensorsMetadata, writeSafetensors } from 'deconv/io';
import { type AnyPictureModel, fit, saveModel } from 'deconv/nn';
import { Adam } from 'deconv/optim';
import { writeBytes } from '../files.js';
import { exitCodes, Failure } from '../terminal.js';
import type { Job, JobOptions, View } from './jobs.js';
import { judge, type Verdict } from './judge.js';
import type { Plan, PlanState } from './plan.js';
import type { Shelves } from './shelves.js';

/** What a training is made of; a resumed one takes it from the checkpoint. */
export interface Spec {
  readonly job: JobOptions;
  readonly batch: number;
  readonly lr: number;
  readonly memory: number;
  /** Longest side that pictures are scaled down to. */
  readonly longest: number;
  /** Where the pictures are from. */
  readonly data: string;
  readonly fingerprint: string;
  /** Steps from one look at the model to the next. */
  readonly every: number;
}

/** The curves. */
export interface History {
  /** [step, loss], means over some steps. */
  readonly losses: [number, number][];
  /** [step, score]. */
  readonly scores: [number, number][];
  /** What is not yet in `losses`. */
  rest: { sum: number; count: number };
}

/** All that a checkpoint holds beside what `fit` needs. */
export interface RunRecord {
  readonly version: 1;
  readonly spec: Spec;
  readonly plan: PlanState;
  /** Milliseconds of training so far. */
  readonly elapsed: number;
  readonly history: History;
}

/** How it goes. */
export interface Report {
  readonly step: number;
  readonly total: number;
  readonly loss: number;
  readonly verdict: Verdict | undefined;
  readonly samplesPerSecond: number;
  /** Milliseconds that are left. */
  readonly left: number;
}

/** How it ended. */
export interface Ended {
  readonly reason: 'finished' | 'stopped';
  readonly steps: number;
  readonly elapsed: number;
  readonly bestStep: number;
  readonly verdict: Verdict;
  readonly first: Verdict;
  readonly history: History;
  readonly samplesPerSecond: number;
}

/** What {@link train} needs. */
export interface RunOptions {
  readonly spec: Spec;
  readonly job: Job;
  readonly model: AnyPictureModel;
  readonly shelves: Shelves;
  readonly views: readonly View[];
  readonly plan: Plan;
  readonly target: string;
  readonly checkpoint: string;
  /** Bytes of a checkpoint, and what it holds, to go on from. */
  readonly resume: { readonly bytes: Uint8Array; readonly record: RunRecord } | undefined;
  readonly signal: { readonly aborted: boolean };
  onStep(report: Report): Promise<void> | void;
  /** What the model's file says of where it comes from. */
  notes(step: number, verdict: Verdict | undefined): Readonly<Record<string, unknown>>;
}

/** The checkpoint that belongs to a model's file. */
export const checkpointOf = (target: string): string =>
  `${target.replace(/\.safetensors$/i, '')}.checkpoint.safetensors`;

/** What a checkpoint says of its training; refuses one that says nothing. */
export function readRecord(bytes: Uint8Array, name: string): RunRecord {
  let record: Partial<RunRecord> | undefined;
  try {
    record = JSON.parse(safetensorsMetadata(bytes)['run'] ?? '') as Partial<RunRecord>;
  } catch {
    record = undefined;
  }
  if (record?.version === 1 && record.spec && record.plan && record.history) return record as RunRecord;
  throw new Failure(`${name} is no checkpoint of deconv train, or is damaged`);
}

/** About this many points are kept of the loss. */
const CURVE = 400;

/** Milliseconds of one step, from a few that are thrown away. */
export function millisecondsPerStep(job: Job, batch: number): number {
  const { patch, scale, task, classes } = job.options;
  const model = job.make();
  const input = randn([batch, 3, patch, patch], { seed: 1 });
  const target = randn([batch, 3, patch * scale, patch * scale], { seed: 2 });
  const optimizer = new Adam(model.parameters());
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
    const began = performance.now();
    optimizer.zeroGrad();
    const y = model.forward(input);
    // A linear loss: what matters is the work.
    y.backward(task === 'segment' ? randn([batch, classes, patch, patch], { seed: 3 }) : target);
    optimizer.step();
    times.push(performance.now() - began);
  }
  return times.slice(2).sort((a, b) => a - b)[1];
}

/** How many steps from one look at the model to the next: a divisor of the total if there is one, about a twentieth. */
export function everyOf(total: number): number {
  for (let looks = 20; looks >= 10; looks--) if (total % looks === 0) return total / looks;
  return Math.max(1, Math.round(total / 16));
}

/** Trains. */
export async function train(options: RunOptions): Promise<Ended> {
  const { spec, job, model, shelves, views, plan, resume, signal } = options;
  const before = resume?.record;
  const history: History = structuredClone(
    before?.history ?? { losses: [], scores: [], rest: { sum: 0, count: 0 } },
  );
  const started = performance.now() - (before?.elapsed ?? 0);
  const elapsed = () => performance.now() - started;
  const perPoint = Math.max(1, Math.round(plan.total / CURVE));
  const first = await judge(job, job.make(), views);
  if (before === undefined) history.scores.push([0, first.score]);
  let verdict: Verdict | undefined;
  let step = 0;

  const write = async (bytes: Uint8Array) => {
    const record: RunRecord = { version: 1, spec, plan: plan.state, elapsed: elapsed(), history };
    const metadata = { ...safetensorsMetadata(bytes), run: JSON.stringify(record) };
    const tensors = readSafetensors(bytes);
    // Where there is a checkpoint there is a model.
    await writeBytes(options.target, bestModel(job, tensors, options.notes(step, verdict)));
    await writeBytes(options.checkpoint, writeSafetensors(tensors, { metadata }));
  };

  const optimizer = new Adam(model.parameters(), { lr: spec.lr, betas: [0.9, 0.99] });
  const training = fit(model, {
    data: (epoch) => shelves.batches(epoch),
    epochs: Number.MAX_SAFE_INTEGER,
    optimizer,
    schedule: (at, base) => plan.rate(at, base),
    scheduleEvery: 'step',
    clip: 10,
    seed: job.options.seed,
    loss: (of, batch, context) => {
      const loss = job.loss(of, batch);
      step = context.step + 1;
      noteLoss(history, step, loss, perPoint);
      return loss;
    },
    evaluate: async (of) => {
      verdict = await judge(job, of, views);
      history.scores.push([step, verdict.score]);
      plan.revise(step, elapsed(), spec.every);
      return verdict.score;
    },
    evaluateEvery: spec.every,
    mode: 'max',
    restoreBest: true,
    checkpoint: { write, every: spec.every },
    ...(resume === undefined ? {} : { resume: resume.bytes }),
  });

  let samplesPerSecond = 0;
  try {
    for await (const record of training) {
      samplesPerSecond = record.samplesPerSecond;
      const left = Math.max(0, plan.total - record.step) * (elapsed() / record.step);
      await options.onStep({
        step: record.step,
        total: plan.total,
        loss: record.meanLoss,
        verdict,
        samplesPerSecond,
        left,
      });
      if (record.step >= plan.total || signal.aborted) break;
    }
  } catch (error) {
    if (error instanceof DeconvError && error.op === 'fit' && error.argument === 'loss') {
      const kept =
        step > spec.every
          ? `${options.target} and the checkpoint beside it are of the last look before`
          : 'nothing was written';
      throw new Failure(error.rule, exitCodes.failed, `${kept}; try a smaller --lr`);
    }
    throw error;
  }
  const end = training.outcome;
  const steps = end?.steps ?? step;
  return {
    reason: steps >= plan.total ? 'finished' : 'stopped',
    steps,
    elapsed: elapsed(),
    bestStep: end?.best?.step ?? steps,
    verdict: await judge(job, model, views),
    first,
    history,
    samplesPerSecond,
  };
}

/** Adds the loss of a step to the curve. */
function noteLoss(history: History, step: number, loss: Tensor, perPoint: number): void {
  const { rest } = history;
  rest.sum += loss.item();
  rest.count++;
  if (step % perPoint !== 0) return;
  history.losses.push([step, rest.sum / rest.count]);
  history.rest = { sum: 0, count: 0 };
}

/** The file of the model as it was best, out of a checkpoint's tensors. */
function bestModel(
  job: Job,
  tensors: Readonly<Record<string, Tensor>>,
  notes: Readonly<Record<string, unknown>>,
): Uint8Array {
  const part = (prefix: string) =>
    Object.fromEntries(
      Object.entries(tensors)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, values]) => [name.slice(prefix.length), values]),
    );
  const best = part('best.');
  const model = job.make();
  model.loadStateDict(Object.keys(best).length > 0 ? best : part('model.'));
  model.notes = notes;
  return saveModel(model);
}
