/** position: where a training stands, as a checkpoint holds it. */
import { refuse, show } from '../errors.js';

/** Where a training stands, between two steps. */
export interface Position {
  /** Epochs completed. */
  readonly epoch: number;
  /** Batches of this epoch that were used. */
  readonly batch: number;
  /** Steps of this epoch, and the sum of their losses. */
  readonly epochSteps: number;
  readonly lossSum: number;
  /** Steps made in all. */
  readonly step: number;
  /** Steps of an epoch, once one is completed. */
  readonly stepsPerEpoch: number | undefined;
  /** The best metric, and after which step it was found. */
  readonly best: { readonly score: number; readonly step: number } | undefined;
  /** Evaluations since then. */
  readonly waited: number;
}

/** Before the first step. */
export const START: Position = Object.freeze({
  epoch: 0,
  batch: 0,
  epochSteps: 0,
  lossSum: 0,
  step: 0,
  stepsPerEpoch: undefined,
  best: undefined,
  waited: 0,
});

const COUNTS = ['epoch', 'batch', 'epochSteps', 'step', 'waited'] as const;

/** The position in the notes of a checkpoint; refuses notes that hold none. */
export function readPosition(op: string, notes: unknown): Position {
  const given: unknown =
    notes !== null && typeof notes === 'object' && 'position' in notes ? notes.position : undefined;
  const wrong = (): never =>
    refuse(
      op,
      'resume',
      `the checkpoint does not say where the training stood, got ${show(given)}`,
      'only one written by fit can be resumed by it; loadCheckpoint() loads the others',
    );
  if (given === null || typeof given !== 'object') return wrong();
  const position = given as Partial<Record<keyof Position, unknown>>;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const { best, stepsPerEpoch, lossSum } = position;
  const fine =
    COUNTS.every((name) => isCount(position[name])) &&
    typeof lossSum === 'number' &&
    (stepsPerEpoch === undefined || isCount(stepsPerEpoch)) &&
    (best === undefined || isBest(best));
  return fine ? ({ ...START, ...position } as Position) : wrong();
}

function isBest(best: unknown): boolean {
  if (best === null || typeof best !== 'object') return false;
  const { score, step } = best as { score?: unknown; step?: unknown };
  return typeof score === 'number' && Number.isSafeInteger(step);
}
