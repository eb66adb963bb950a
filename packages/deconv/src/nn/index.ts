/** nn: what training needs beside the operations: layers, containers, initialisers, losses. */
export { LeakyReLU, ReLU, Sigmoid, Tanh } from './activations.js';
export { Sequential } from './containers.js';
export {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvLayerOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeLayerOptions,
} from './conv.js';
export {
  bceLoss,
  bceWithLogits,
  crossEntropy,
  type KlOptions,
  klDivergence,
  type LossOptions,
  l1Loss,
  mseLoss,
  type SmoothL1Options,
  smoothL1Loss,
} from './losses.js';
export { type AnyModule, Module, type OpenShape, type StateReport } from './module.js';
export type { DTypeOption, SeedOption } from './options.js';
export { manualSeed } from './seed.js';
export type { Summary, SummaryRow } from './summary.js';
