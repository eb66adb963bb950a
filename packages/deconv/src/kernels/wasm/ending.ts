/** ending: functions applied to rows in the work space: to the sums of a band before they are stored, to its input after it was padded. */
import type { Activation } from '../../backend.js';
import { formulaOf } from './activations.js';
import * as BASE from './bases.js';
import type { CommandList } from './commands.js';

/** The bits of a float. */
export const bitsOf = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0];

/** What is left to the storing of a band, and what is done to its sums before. */
export interface Ending {
  /** Applied in the work space, with the bias. */
  readonly activation: Activation | undefined;
  /** At the store. */
  readonly bias: boolean;
  readonly floor: number;
}

/** An activation that only keeps outputs from being less than something is left to the store. */
export function endingOf(activation: Activation | undefined, bias: boolean): Ending {
  const [floor, most] = activation?.parameters ?? [];
  if (activation?.fn === 'clamp' && most === Number.POSITIVE_INFINITY)
    return { activation: undefined, bias, floor };
  return { activation, bias: bias && activation === undefined, floor: Number.NEGATIVE_INFINITY };
}

/** Rows of results, one per output channel from the `from`-th on. */
export interface Rows {
  /** Where they begin in the work space, and how far they lie apart; in bytes. */
  readonly c: number;
  readonly row: number;
  readonly positions: number;
  readonly from: number;
  readonly count: number;
  readonly bias: boolean;
}

/** Bias and activation, in the result buffer. */
export function activateRows(
  list: CommandList,
  activation: Activation,
  { c, row, positions, from, count, bias }: Rows,
): void {
  const { fn, parameters } = activation;
  const [name] = formulaOf(activation);
  const biases = bias ? ([BASE.bias, 4 * from] as const) : 0;
  const slopes = fn === 'prelu' ? ([BASE.scale, 4 * from] as const) : 0;
  list.push(
    name,
    [BASE.work, c],
    count,
    row,
    biases,
    bias ? 4 : 0,
    positions,
    bitsOf(parameters[0] ?? 0),
    bitsOf(parameters[1] ?? 0),
    slopes,
  );
}
