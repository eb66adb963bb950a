/**
 * loops: runs one operation on the WebAssembly backend and by its definition, and holds one against the other. The backend
 * gets no reference to fall back on, so an operation that is left to it fails.
 */
import { expect } from 'vitest';
import type { Backend, OpName, OpTable } from '../../packages/deconv/src/backend.js';
import { reference } from '../../packages/deconv/src/kernels/reference/index.js';
import type { TypedArray } from '../../packages/deconv/src/tensor.js';
import { openWasm, operationOf, TILES, uniform } from './wasm.js';

const nothing: Backend = {
  name: 'nothing',
  upload: () => expect.fail('uploaded to the reference'),
  run: ({ name }) => expect.fail(`${name} was left to the reference`),
};

/** The backend without a reference to fall back on; one for all tests, so that memory is used again. */
export const alone = openWasm(TILES[0], 1, true, nothing);

/** Runs an operation on a backend; the arrays stay the caller's. */
export function runOn<K extends OpName>(
  backend: Backend,
  op: K,
  inputs: readonly TypedArray[],
  attributes: OpTable[K],
): TypedArray {
  return backend
    .run(
      operationOf(op),
      inputs.map((values) => backend.upload(values.slice())),
      attributes,
    )
    .host();
}

/**
 * Expects the same from the backend as from the definition: infinities, NaN, places and number type exactly, other numbers
 * within `relative` of the number itself or of `scale`, whichever is more.
 */
export function expectSame<K extends OpName>(
  op: K,
  inputs: readonly TypedArray[],
  attributes: OpTable[K],
  relative = 1e-6,
  scale = 1e-30,
): void {
  const wanted = runOn(reference, op, inputs, attributes);
  const got = runOn(alone, op, inputs, attributes);
  expect(got.constructor).toBe(wanted.constructor);
  expect(got.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    const [a, b] = [got[i], wanted[i]];
    const near = Math.abs(a - b) <= relative * Math.max(Math.abs(b), scale);
    if (!Object.is(a + 0, b + 0) && !near)
      expect.fail(`${op} ${JSON.stringify(attributes)}: element ${i} is ${a}, should be ${b}`);
  }
}

/** Floats between −2 and 2 from a seed. */
export function values(length: number, seed: number): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length }, () => 4 * next() - 2);
}

/** The same with every seventh or so special: NaN, infinities, zeros, repeated numbers. */
export function wild(length: number, seed: number): Float32Array {
  const next = uniform(seed);
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1, -1];
  return Float32Array.from({ length }, () =>
    next() < 0.15 ? special[Math.floor(next() * special.length)] : 4 * next() - 2,
  );
}
