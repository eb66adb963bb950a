/** nn: what training needs beside the operations: losses. */
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
