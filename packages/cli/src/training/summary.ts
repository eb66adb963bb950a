/**
 * summary: what a training has come to, in words: how good the model is on each held-back picture beside what there is
 * without it, what could not be used, what was written, and how to go on.
 */
import {
  type CommonOptions,
  grouped,
  paintFor,
  plural,
  print,
  printJson,
  say,
  table,
  wrap,
} from '../terminal.js';
import { inMiB, type Skipped } from './folder.js';
import type { View } from './jobs.js';
import { baselineName, longDuration, score, scoreName } from './report.js';
import type { Ended, Spec } from './run.js';
import type { Shelves } from './shelves.js';

/** The pictures of a training. */
export interface TrainingData {
  readonly shelves: Shelves;
  readonly views: readonly View[];
  /** True where the only picture is trained on and looked at. */
  readonly alone: boolean;
  /** Pictures that are trained on. */
  readonly used: number;
  readonly heldSkipped: readonly Skipped[];
}

/** What there is to say. */
export interface Done {
  readonly spec: Spec;
  readonly ended: Ended;
  readonly files: {
    readonly model: string;
    readonly curves: string;
    readonly panel: string;
    readonly checkpoint?: string;
  };
  readonly data: TrainingData;
  /** The engine in words. */
  readonly configuration: string;
}

/** Says what came of a training: a table for people, or facts for programs. */
export function report(options: CommonOptions, { spec, ended, files, data, configuration }: Done): void {
  const { task } = spec.job;
  const skipped = [...data.heldSkipped, ...data.shelves.skipped];
  const { verdict, first } = ended;
  const facts = {
    command: 'train',
    task,
    reason: ended.reason,
    steps: ended.steps,
    seconds: Number((ended.elapsed / 1000).toFixed(1)),
    patchesPerSecond: Math.round(ended.samplesPerSecond),
    measure: scoreName(task),
    score: Number(verdict.score.toFixed(4)),
    baseline: verdict.baseline === undefined ? null : Number(verdict.baseline.toFixed(4)),
    untrained: Number(first.score.toFixed(4)),
    pictures: verdict.each.map(({ view, score: value, baseline = null }) => ({
      name: view.name,
      score: Number(value.toFixed(3)),
      baseline: baseline === null ? null : Number(baseline.toFixed(3)),
    })),
    used: data.used,
    skipped,
    options: spec.job,
    engine: configuration,
    files,
  };
  if (options.json) {
    printJson(facts);
    return;
  }
  if (options.quiet) return;
  noteSkipped(skipped);
  const paint = paintFor(process.stdout);
  const rows = verdict.each.map(({ view, score: value, baseline }) => [
    view.name,
    ...(baseline === undefined ? [] : [score(task, baseline)]),
    paint.bold(score(task, value)),
    ...(baseline === undefined
      ? []
      : [`${value >= baseline ? '+' : '−'}${Math.abs(value - baseline).toFixed(2)}`]),
  ]);
  const total = [
    'mean',
    ...(verdict.baseline === undefined ? [] : [score(task, verdict.baseline)]),
    paint.bold(score(task, verdict.score)),
    ...(verdict.baseline === undefined
      ? []
      : [
          `${verdict.score >= verdict.baseline ? '+' : '−'}${Math.abs(verdict.score - verdict.baseline).toFixed(2)}`,
        ]),
  ];
  const head = ['', ...(verdict.baseline === undefined ? [] : [baselineName(task)]), 'this model'];
  const memory =
    data.shelves.count > 1
      ? `  in ${plural(data.shelves.count, 'part')}: together they take ${inMiB(data.shelves.bytes)}`
      : '';
  print(
    [
      `${paint.bold(`train ${task}`)}  ${plural(data.used, 'picture')}${memory}, ${plural(ended.steps, 'step')} in ${longDuration(ended.elapsed)}  ${paint.dim(configuration)}`,
      '',
      `${paint.bold(scoreName(task))} on ${data.alone ? 'the picture that it was trained on, for there is no other' : `${plural(verdict.each.length, 'picture')} held back`}`,
      table([head, ...rows, total], 'lrrr'),
      '',
      ...warnings(spec, ended),
      ...Object.values(files).map((file) => `${paint.green('wrote')} ${file}`),
      wrap(
        ended.reason === 'stopped'
          ? `stopped after step ${grouped(ended.steps)}; the model is the best so far. Go on: deconv train ${task} … -o ${files.model} --resume`
          : `use it: deconv ${task === 'upscale' ? 'upscale' : 'apply'} PICTURE --model ${files.model}`,
      ),
    ].join('\n'),
  );
}

function noteSkipped(skipped: readonly Skipped[]): void {
  if (skipped.length === 0) return;
  const paint = paintFor(process.stderr);
  say(`${paint.yellow('note:')} ${plural(skipped.length, 'picture')} could not be used:`);
  for (const { name, reason } of skipped.slice(0, 5)) say(`  ${name}: ${reason}`);
  if (skipped.length > 5) say(`  … and ${skipped.length - 5} more`);
}

/** What is not as it should be. */
function warnings({ job }: Spec, { verdict, first }: Ended): string[] {
  const reference = verdict.baseline ?? first.score;
  if (verdict.score > reference) return [];
  const than = verdict.baseline === undefined ? 'before the training' : baselineName(job.task);
  return [
    wrap(
      `note: on what was held back the model is no better than ${than}: train longer, on more pictures of the kind, or with a smaller --lr`,
    ),
    '',
  ];
}
