/** Reads the reference cases of test/fixtures: inputs and results computed by PyTorch in float64. */
import { readFileSync } from 'node:fs';
import { type DType, type Tensor, tensor } from 'deconv';
import { expect } from 'vitest';

export interface Case {
  readonly name: string;
  readonly op: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url);

export const cases: readonly Case[] = JSON.parse(readFileSync(fixture('pytorch-cases.json'), 'utf8')).cases;

const file = readFileSync(fixture('pytorch-cases.safetensors'));
const headerLength = Number(file.readBigUInt64LE(0));
const header: Record<string, Entry> = JSON.parse(file.subarray(8, 8 + headerLength).toString('utf8'));

/** The values and shape of `<case>.<tensor>`. */
export function stored(key: string): { values: Float64Array; shape: readonly number[] } {
  const entry = header[key];
  if (entry === undefined) throw new Error(`no tensor ${key} in the fixtures`);
  const start = 8 + headerLength;
  const bytes = Uint8Array.from(
    file.subarray(start + entry.data_offsets[0], start + entry.data_offsets[1]),
  ).buffer;
  const read: Record<string, () => ArrayLike<number>> = {
    F32: () => new Float32Array(bytes),
    F64: () => new Float64Array(bytes),
    I64: () => Array.from(new BigInt64Array(bytes), Number),
  };
  return { values: Float64Array.from(read[entry.dtype]()), shape: entry.shape };
}

/** `<case>.<tensor>` as a tensor that collects gradients. */
export function input(c: Case, name: string, dtype: 'float32' | 'float64'): Tensor {
  const { values, shape } = stored(`${c.name}.${name}`);
  return tensor(values, shape, { dtype, requiresGrad: true });
}

/** `<case>.<tensor>` as a constant. */
export function constant(c: Case, name: string, dtype: DType): Tensor {
  const { values, shape } = stored(`${c.name}.${name}`);
  return tensor(values, shape, { dtype });
}

/** Tolerances relative to the largest magnitude of the expected values. */
export const TOLERANCE = { float32: 1e-5, float64: 1e-10 } as const;

/**
 * PyTorch multiplies the gradient of hardSigmoid by 1/6 rounded to float32, in float64 too: 3e-8 off. The stored values
 * are brought back to the exact sixth.
 */
function exact(c: Case, name: string, values: Float64Array): Float64Array {
  if (c.op !== 'hardSigmoid' || name !== 'gradInput') return values;
  return values.map((value) => value / (6 * Math.fround(1 / 6)));
}

/** Fails unless shape and values are those stored, to the tolerance of the number type. */
export function expectStored(
  c: Case,
  name: string,
  got: Tensor | null | undefined,
  dtype: 'float32' | 'float64',
): void {
  const { values: raw, shape } = stored(`${c.name}.${name}`);
  const values = exact(c, name, raw);
  if (!got) throw new Error(`${c.name}: no ${name}`);
  // A loss is stored with one axis of length 1.
  if (values.length !== 1) expect(got.shape, `${c.name} ${name} shape`).toEqual(shape);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let error = 0;
  for (const [i, value] of values.entries()) {
    const difference = Math.abs(value - got.data[i]);
    // Written so that NaN counts as a difference and is not replaced by a later one.
    if (!(difference <= error) && !Number.isNaN(error)) error = difference;
  }
  expect(error, `${c.name} ${name}: largest difference`).toBeLessThanOrEqual(
    TOLERANCE[dtype] * Math.max(largest, 1e-30),
  );
}
