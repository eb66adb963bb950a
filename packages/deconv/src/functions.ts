/**
 * functions: each function of one argument with its kernels, by engine, as operations have them: a program contains those
 * that it uses.
 */
import * as definitions from './kernels/reference/unary.js';
import * as formulas from './kernels/wasm/loops/formulas.js';
import type { WasmFunction } from './kernels/wasm/loops/ground.js';

export const abs: WasmFunction = { name: 'abs', reference: definitions.abs, wasm: formulas.abs };
export const sign: WasmFunction = { name: 'sign', reference: definitions.sign, wasm: formulas.sign };
export const floor: WasmFunction = { name: 'floor', reference: definitions.floor, wasm: formulas.floor };
export const ceil: WasmFunction = { name: 'ceil', reference: definitions.ceil, wasm: formulas.ceil };
export const exp: WasmFunction = { name: 'exp', reference: definitions.exp, wasm: formulas.exp };
export const log: WasmFunction = { name: 'log', reference: definitions.log, wasm: formulas.log };
export const sqrt: WasmFunction = { name: 'sqrt', reference: definitions.sqrt, wasm: formulas.sqrt };
export const square: WasmFunction = { name: 'square', reference: definitions.square, wasm: formulas.square };
export const reciprocal: WasmFunction = {
  name: 'reciprocal',
  reference: definitions.reciprocal,
  wasm: formulas.reciprocal,
};
export const sin: WasmFunction = { name: 'sin', reference: definitions.sin };
export const cos: WasmFunction = { name: 'cos', reference: definitions.cos };
export const erf: WasmFunction = { name: 'erf', reference: definitions.erf, wasm: formulas.erf };
export const relu: WasmFunction = { name: 'relu', reference: definitions.relu, wasm: formulas.relu };
export const leakyRelu: WasmFunction = {
  name: 'leakyRelu',
  reference: definitions.leakyRelu,
  wasm: formulas.leakyRelu,
};
export const elu: WasmFunction = { name: 'elu', reference: definitions.elu, wasm: formulas.elu };
export const selu: WasmFunction = { name: 'selu', reference: definitions.selu, wasm: formulas.selu };
export const sigmoid: WasmFunction = {
  name: 'sigmoid',
  reference: definitions.sigmoid,
  wasm: formulas.sigmoid,
};
export const tanh: WasmFunction = { name: 'tanh', reference: definitions.tanh, wasm: formulas.tanh };
export const softplus: WasmFunction = {
  name: 'softplus',
  reference: definitions.softplus,
  wasm: formulas.softplus,
};
export const gelu: WasmFunction = { name: 'gelu', reference: definitions.gelu, wasm: formulas.gelu };
export const geluTanh: WasmFunction = {
  name: 'geluTanh',
  reference: definitions.geluTanh,
  wasm: formulas.geluTanh,
};
export const silu: WasmFunction = { name: 'silu', reference: definitions.silu, wasm: formulas.silu };
export const hardSigmoid: WasmFunction = {
  name: 'hardSigmoid',
  reference: definitions.hardSigmoid,
  wasm: formulas.hardSigmoid,
};
export const hardSwish: WasmFunction = {
  name: 'hardSwish',
  reference: definitions.hardSwish,
  wasm: formulas.hardSwish,
};
export const mish: WasmFunction = { name: 'mish', reference: definitions.mish, wasm: formulas.mish };
export const softsign: WasmFunction = {
  name: 'softsign',
  reference: definitions.softsign,
  wasm: formulas.softsign,
};
export const clamp: WasmFunction = { name: 'clamp', reference: definitions.clamp, wasm: formulas.clamp };
export const powScalar: WasmFunction = {
  name: 'powScalar',
  reference: definitions.powScalar,
  wasm: formulas.powScalar,
};
