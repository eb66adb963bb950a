/**
 * updates: each rule of an optimiser with its kernels, by engine, as operations.ts has them: a program contains the rules of
 * the optimisers that it uses.
 */
import * as definitions from './kernels/reference/optimizer.js';
import type { WasmOperation } from './kernels/wasm/loops/ground.js';
import * as loops from './kernels/wasm/loops/optimizer.js';

/** A rule with its kernels. */
export type Rule = WasmOperation<'optimizer.step'>;

const name = 'optimizer.step';

export const sgd: Rule = { name, reference: definitions.sgd, wasm: loops.sgd };
export const sgdMomentum: Rule = { name, reference: definitions.sgdMomentum, wasm: loops.sgdMomentum };
export const sgdNesterov: Rule = { name, reference: definitions.sgdNesterov, wasm: loops.sgdNesterov };
export const adam: Rule = { name, reference: definitions.adam, wasm: loops.adam };
export const rmsprop: Rule = { name, reference: definitions.rmsprop, wasm: loops.rmsprop };
export const rmspropMomentum: Rule = {
  name,
  reference: definitions.rmspropMomentum,
  wasm: loops.rmspropMomentum,
};
export const adagrad: Rule = { name, reference: definitions.adagrad, wasm: loops.adagrad };
