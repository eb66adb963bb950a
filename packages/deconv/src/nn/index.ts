/** nn: what training needs beside the operations: layers, containers, initialisers, losses. */
export {
  type Box,
  type Network,
  planTiles,
  type RunTiledOptions,
  runTiled,
  streamTiles,
  type TileOptions,
  type TilePlan,
  type TileProgress,
  type TileStream,
} from '../tiling/index.js';
export {
  ELU,
  GELU,
  HardSigmoid,
  HardSwish,
  LeakyReLU,
  LogSoftmax,
  Mish,
  PReLU,
  ReLU,
  ReLU6,
  SELU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Softsign,
  Tanh,
} from './activations.js';
export { loadCheckpoint, saveCheckpoint, type TrainingState } from './checkpoint.js';
export { ModuleList, Sequential } from './containers.js';
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
  type BatchOptions,
  batches,
  type Dataset,
  mapDataset,
  type RandomCropOptions,
  type RandomFlipOptions,
  type RandomStream,
  randomCrop,
  randomFlip,
  type Sample,
  type SampleMap,
  SHAPE_NAMES,
  type SyntheticShapesOptions,
  syntheticShapes,
  tensorDataset,
} from './data/index.js';
export { ChannelDropout, Dropout } from './dropout.js';
export { fit, type Training } from './fit.js';
export type {
  Batch,
  Batches,
  Evaluation,
  FitOptions,
  Outcome,
  Progress,
  StepContext,
} from './fit-options.js';
export * as init from './init.js';
export { Linear, type LinearOptions } from './linear.js';
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
export {
  type AnyPictureModel,
  Autoencoder,
  type AutoencoderOptions,
  autoencoder,
  Denoiser,
  type DenoiserOptions,
  denoiser,
  loadModel,
  type ModelOptions,
  PictureModel,
  Segmenter,
  type SegmenterOptions,
  saveModel,
  segmenter,
  type Task,
  Upscaler,
  type UpscalerOptions,
  upscaler,
} from './models/index.js';
export { type AnyModule, Module, type OpenShape, type StateReport } from './module.js';
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  LayerNorm,
  type NormLayerOptions,
  type TrackedNormOptions,
} from './norm.js';
export type { DTypeOption, SeedOption } from './options.js';
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveAvgPool3d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  MaxPool1d,
  MaxPool2d,
  MaxPool3d,
  MaxUnpool1d,
  MaxUnpool2d,
  MaxUnpool3d,
} from './pool.js';
export { Flatten, Identity, PixelShuffle, PixelUnshuffle, Unflatten, Upsample } from './reshape.js';
export { manualSeed } from './seed.js';
export { type SsimOptions, ssim, ssimLoss } from './ssim.js';
export type { Summary, SummaryRow } from './summary.js';
