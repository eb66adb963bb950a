/** data: what goes into training: datasets, batches of them, augmentation, and a set that is drawn. */
export type { RandomStream } from '../draw.js';
export { type RandomCropOptions, type RandomFlipOptions, randomCrop, randomFlip } from './augment.js';
export { type BatchOptions, batches } from './batches.js';
export { type Dataset, mapDataset, type Sample, type SampleMap, tensorDataset } from './dataset.js';
export { SHAPE_NAMES, type SyntheticShapesOptions, syntheticShapes } from './shapes.js';
