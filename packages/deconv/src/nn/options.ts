/** options: what the layers' options have in common, and how they are checked when a layer is made. */
import { checkName, refuse, show } from '../errors.js';
import type { DType } from '../tensor.js';

/** Options of layers that hold numbers. */
export interface DTypeOption {
  /** Number type of parameters and buffers. Default `'float32'`. */
  readonly dtype?: 'float32' | 'float64' | undefined;
}

/** Options of layers that draw random numbers. */
export interface SeedOption {
  /** Where this layer's random numbers start. Integer. Default: the next of the sequence of `manualSeed`. */
  readonly seed?: number | undefined;
}

/** An integer ≥ least. */
export function readCount(op: string, argument: string, value: unknown, least = 1): number {
  if (Number.isInteger(value) && (value as number) >= least) return value as number;
  return refuse(
    op,
    argument,
    `${argument} must be an integer${least === Number.NEGATIVE_INFINITY ? '' : ` ≥ ${least}`}, got ${show(value)}`,
  );
}

/** true or false. */
export function readFlag(op: string, argument: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  return refuse(op, argument, `${argument} must be true or false, got ${show(value)}`);
}

/** The number type of a layer. */
export function readType(op: string, { dtype = 'float32' }: DTypeOption): DType {
  checkName(op, 'dtype', dtype, ['float32', 'float64']);
  return dtype;
}

/** A finite number ≥ least. */
export function readNumber(
  op: string,
  argument: string,
  value: unknown,
  least = Number.NEGATIVE_INFINITY,
): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return value;
  const bound = least === Number.NEGATIVE_INFINITY ? 'a finite number' : `a number ≥ ${least}`;
  return refuse(op, argument, `${argument} must be ${bound}, got ${show(value)}`);
}
