/**
 * deconv: convolution and transposed convolution. This is the contents list; each name is explained where it is made.
 */

export { type GradOptions, grad, isGradEnabled, noGrad } from './autograd.js';
// engine and gradients
export { type ConfigureOptions, configure } from './backends.js';
export {
  type AdjointReport,
  adjointCheck,
  type GradcheckOptions,
  type GradcheckReport,
  gradcheck,
} from './checks.js';
// tensors
export { DeconvError } from './errors.js';
// geometry, matrices and pictures
export * from './geometry/index.js';
// convolution
export type { ActivationForm, ActivationOption } from './ops/activation.js';
export {
  type AdaptiveSize,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
} from './ops/adaptive.js';
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type DataFormat,
} from './ops/conv.js';
export {
  arange,
  type CreateOptions,
  full,
  ones,
  type RandomOptions,
  rand,
  randn,
  randomStream,
  tensor,
  zeros,
} from './ops/create.js';
// arithmetic
export {
  abs,
  add,
  allClose,
  ceil,
  clamp,
  cos,
  div,
  elu,
  equal,
  erf,
  exp,
  floor,
  gelu,
  greater,
  greaterEqual,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  log,
  maximum,
  minimum,
  mish,
  mul,
  neg,
  type Operand,
  pow,
  prelu,
  reciprocal,
  relu,
  selu,
  sigmoid,
  sign,
  silu,
  sin,
  softplus,
  softsign,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from './ops/elementwise.js';
// layout
export {
  cast,
  concat,
  expand,
  flip,
  type PadOptions,
  pad,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  reshape,
  type SliceOptions,
  slice,
  take,
  transpose,
} from './ops/layout.js';
export { matmul } from './ops/matmul.js';
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  type NormOptions,
} from './ops/norm.js';
export { argMax, max, mean, min, type ReduceOptions, sum, variance } from './ops/reduce.js';
export { logSoftmax, softmax } from './ops/softmax.js';
export { type UpsampleOptions, upsample } from './ops/upsample.js';
// windows
export {
  type AvgPoolOptions,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type FoldOptions,
  fold,
  type MaxPoolResult,
  type MaxUnpoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
  type UnfoldOptions,
  unfold,
} from './ops/window.js';
export type { PerAxis, Shape } from './shape.js';
export { type BackwardOptions, type DType, type NestedNumbers, Tensor, type TypedArray } from './tensor.js';
export {
  type CoverageOptions,
  coverage,
  type DisplayOptions,
  toDisplay,
  unrolledMatrix,
} from './vis/index.js';
