/** ending: functions applied to rows in the work space: to the sums of a band before they are stored, to its input after it was padded. */
import type { Ending } from './activations.js';
import * as BASE from './bases.js';
import type { PlanBuilder, Run } from './commands.js';

/** The bits of a float. */
export const bitsOf = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0];

/**
 * What is applied to the sums of a band in the work space, with the bias, and the least that outputs may be, which is left to the store:
 * so is an activation that does nothing else, and a bias without one.
 */
export function endingOf(
  activation: Ending | undefined,
): readonly [activation: Ending | undefined, floor: number] {
  const [floor, most] = activation?.parameters ?? [];
  return activation?.fn === 'clamp' && most === Number.POSITIVE_INFINITY
    ? [undefined, floor]
    : [activation, Number.NEGATIVE_INFINITY];
}

/**
 * Bias and activation, if there is one, in the work space: rows of results, one per output channel of a run, which begin
 * at `c` and lie `row` bytes apart.
 */
export function activateRows(
  list: PlanBuilder,
  activation: Ending | undefined,
  bias: boolean | undefined,
  c: number,
  row: number,
  positions: number,
  { from, count }: Run,
): void {
  if (activation === undefined) return;
  const biases = bias ? ([[BASE.bias, 4 * from], 4] as const) : [0, 0];
  const [first = 0, second = 0] = activation.parameters;
  // One slope per channel, for a function that has such.
  const parameters = [bitsOf(first), bitsOf(second), [BASE.scale, 4 * from]] as const;
  list.push(activation.fn, [BASE.work, c], count, row, ...biases, positions, ...parameters);
}
