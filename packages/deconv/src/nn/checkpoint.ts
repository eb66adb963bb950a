/**
 * checkpoint: all that a training needs to go on, bit for bit, in one safetensors file: parameters and buffers as
 * `model.…`, what the optimiser remembers as `optimizer.…`, the schedule as `schedule.…`, the best weights so far (if they
 * are kept) as `best.…`; in the texts beside them the masks that dropout has drawn, and notes.
 *
 * A file is written beside its target and renamed, so that a process killed at any moment leaves a whole one. Loading one
 * either loads all of it or changes nothing.
 */
import { checkOptions, refuse, show } from '../errors.js';
import { readFile, writeFile } from '../io/files.js';
import { readSafetensors, safetensorsMetadata, writeSafetensors } from '../io/safetensors.js';
import { type LearningRateSchedule, Optimizer } from '../optim/index.js';
import type { Tensor } from '../tensor.js';
import { type AnyModule, Module } from './module.js';

const FORMAT = 'deconv checkpoint 1';
const PARTS = ['model', 'optimizer', 'schedule', 'best'] as const;

/** Tensors by name. */
export type State = Readonly<Record<string, Tensor>>;

/** What a checkpoint is made of. */
export interface TrainingState {
  readonly model: AnyModule;
  readonly optimizer?: Optimizer | undefined;
  readonly schedule?: LearningRateSchedule | undefined;
}

/** A checkpoint taken apart. */
export interface Checkpoint {
  readonly parts: Readonly<Record<(typeof PARTS)[number], State>>;
  /** Masks drawn so far by the modules that draw any, by path. */
  readonly calls: Readonly<Record<string, number>>;
  /** Whatever was written with it. */
  readonly notes: unknown;
}

/** A module that draws random numbers: it says by `calls` how often it has, and goes on from there when that is set. */
export type Counting = AnyModule & { calls: number };

/** The modules that draw random numbers, by path. */
export function countingModules(model: AnyModule): [path: string, module: Counting][] {
  return model.namedModules().filter((entry): entry is [string, Counting] => {
    const [, module] = entry;
    return 'calls' in module && typeof module.calls === 'number';
  });
}

/** The bytes of a checkpoint. `notes` is whatever JSON can hold. */
export function packCheckpoint(
  { model, optimizer, schedule }: TrainingState,
  notes: unknown,
  best: State = {},
): Uint8Array<ArrayBuffer> {
  const states: Readonly<Record<(typeof PARTS)[number], State>> = {
    model: model.stateDict(),
    optimizer: optimizer?.stateDict() ?? {},
    schedule: schedule?.stateDict() ?? {},
    best,
  };
  const tensors: Record<string, Tensor> = {};
  for (const part of PARTS) {
    for (const [name, tensor] of Object.entries(states[part])) tensors[`${part}.${name}`] = tensor;
  }
  const metadata = {
    format: FORMAT,
    calls: JSON.stringify(
      Object.fromEntries(countingModules(model).map(([path, { calls }]) => [path, calls])),
    ),
    notes: JSON.stringify(notes ?? null),
  };
  return writeSafetensors(tensors, { metadata });
}

/** Takes the bytes of a checkpoint apart; refuses what is none. */
export function unpackCheckpoint(op: string, bytes: Uint8Array): Checkpoint {
  const { format, calls, notes } = safetensorsMetadata(bytes);
  if (format !== FORMAT) {
    refuse(
      op,
      'source',
      `this safetensors file is no checkpoint: its format is ${show(format)}, not '${FORMAT}'`,
      'a file of weights alone is loaded by model.loadStateDict(readSafetensors(bytes))',
    );
  }
  const json = (name: string, text: string | undefined): unknown => {
    try {
      return JSON.parse(text ?? '');
    } catch {
      return refuse(op, 'source', `the checkpoint's ${name} are not JSON: ${show(text)}`);
    }
  };
  const counts = json('calls', calls);
  const fine =
    counts !== null &&
    typeof counts === 'object' &&
    !Array.isArray(counts) &&
    Object.values(counts).every((count) => Number.isSafeInteger(count) && count >= 0);
  if (!fine) refuse(op, 'source', `the checkpoint's calls must be integers ≥ 0 by name, got ${show(counts)}`);
  const parts = { model: {}, optimizer: {}, schedule: {}, best: {} } as Record<
    (typeof PARTS)[number],
    Record<string, Tensor>
  >;
  for (const part of PARTS) parts[part] = Object.create(null);
  for (const [name, tensor] of Object.entries(readSafetensors(bytes))) {
    const part = PARTS.find((known) => name.startsWith(`${known}.`));
    if (part === undefined)
      refuse(op, 'source', `the checkpoint has an entry ${show(name)}, which is no part of one`);
    parts[part][name.slice(part.length + 1)] = tensor;
  }
  return { parts, calls: counts as Record<string, number>, notes: json('notes', notes) };
}

/** Loads the parts that are wanted; where one does not fit all are left as they were. */
export function applyCheckpoint(
  checkpoint: Checkpoint,
  { model, optimizer, schedule }: TrainingState,
  which: 'model' | 'best' = 'model',
): void {
  const before = { state: model.stateDict(), optimizer: optimizer?.stateDict() };
  model.loadStateDict(checkpoint.parts[which]);
  try {
    optimizer?.loadStateDict(checkpoint.parts.optimizer);
    schedule?.loadStateDict(checkpoint.parts.schedule);
    for (const [path, module] of countingModules(model)) {
      if (Object.hasOwn(checkpoint.calls, path)) module.calls = checkpoint.calls[path];
    }
  } catch (error) {
    model.loadStateDict(before.state);
    if (before.optimizer !== undefined) optimizer?.loadStateDict(before.optimizer);
    throw error;
  }
}

function checkTraining(op: string, training: unknown, more: readonly string[]): void {
  checkOptions(op, training, ['model', 'optimizer', 'schedule', ...more]);
  const { model, optimizer, schedule } = (training ?? {}) as Record<string, unknown>;
  if (!(model instanceof Module)) refuse(op, 'model', `model must be a module, got ${show(model)}`);
  if (optimizer !== undefined && !(optimizer instanceof Optimizer))
    refuse(op, 'optimizer', `optimizer must be an optimiser, got ${show(optimizer)}`);
  if (schedule !== undefined && !isSchedule(schedule))
    refuse(op, 'schedule', `schedule must be a schedule, got ${show(schedule)}`);
}

/** Whether a value can be used as a schedule. */
export function isSchedule(value: unknown): value is LearningRateSchedule {
  if (value === null || typeof value !== 'object') return false;
  return ['step', 'stateDict', 'loadStateDict'].every(
    (name) => name in value && typeof Reflect.get(value, name) === 'function',
  );
}

/**
 * Writes a checkpoint: everything needed to go on, in one safetensors file. {@link fit} does it by itself; this is for
 * loops of your own. Node only.
 *
 * @param path the file; whatever happens, what is there is a whole checkpoint, the old or the new one
 * @param training `{ model, optimizer?, schedule?, notes? }`; notes is anything JSON can hold, such as the number of the step
 * @throws DeconvError when the file cannot be written
 * @example
 * ```ts
 * import { Adam } from 'deconv/optim';
 * import { Linear, loadCheckpoint, saveCheckpoint } from 'deconv/nn';
 * const path = `${process.env.TMPDIR ?? '/tmp'}/deconv-example-${process.pid}/last.safetensors`;
 * const model = new Linear(2, 1);
 * const optimizer = new Adam(model.parameters());
 * await saveCheckpoint(path, { model, optimizer, notes: { step: 7 } });
 * console.log(await loadCheckpoint(path, { model, optimizer })); // { step: 7 }
 * ```
 */
export async function saveCheckpoint(
  path: string,
  training: TrainingState & { readonly notes?: unknown },
): Promise<void> {
  checkTraining('saveCheckpoint', training, ['notes']);
  await writeFile(path, packCheckpoint(training, training.notes));
}

/**
 * Loads a checkpoint, all of it or nothing.
 *
 * @param source the file (Node only), or its bytes
 * @param training what to load: `{ model, optimizer?, schedule?, best = false }`; `best: true` takes the best weights that
 *   {@link fit} has kept instead of the last
 * @returns the notes that were written with it
 * @throws DeconvError for what is no checkpoint, or one that does not fit the model, the optimiser or the schedule
 */
export async function loadCheckpoint(
  source: string | Uint8Array,
  training: TrainingState & { readonly best?: boolean | undefined },
): Promise<unknown> {
  const op = 'loadCheckpoint';
  checkTraining(op, training, ['best']);
  const { best = false } = training;
  if (typeof best !== 'boolean') refuse(op, 'best', `best must be true or false, got ${show(best)}`);
  const checkpoint = unpackCheckpoint(op, typeof source === 'string' ? await readFile(source) : source);
  if (best && Object.keys(checkpoint.parts.best).length === 0)
    refuse(op, 'best', 'the checkpoint holds no best weights', 'fit keeps them with { restoreBest: true }');
  applyCheckpoint(checkpoint, training, best ? 'best' : 'model');
  return checkpoint.notes;
}
