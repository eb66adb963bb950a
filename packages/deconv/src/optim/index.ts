/** optim: rules that move parameters along their gradients, schedules of their learning rates, and clipping. */
export { Adagrad, type AdagradOptions } from './adagrad.js';
export { Adam, type AdamOptions, AdamW } from './adam.js';
export { type ClipGradNormOptions, clipGradNorm, clipGradValue } from './clip.js';
export type { OptimizerOptions, ParameterGroup, Parameters } from './groups.js';
export { Optimizer } from './optimizer.js';
export { ReduceOnPlateau, type ReduceOnPlateauOptions } from './plateau.js';
export { RMSProp, type RMSPropOptions } from './rmsprop.js';
export {
  cosineDecay,
  exponentialDecay,
  type LearningRateSchedule,
  multiStepDecay,
  type Rate,
  Schedule,
  stepDecay,
  warmup,
} from './schedule.js';
export { SGD, type SGDOptions } from './sgd.js';
export type { StateDict } from './state.js';
