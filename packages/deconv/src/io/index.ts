/** io: tensors from files and into files: safetensors, NumPy's npy and npz, IDX; and the files themselves, in Node. */
export { readFile, writeFile } from './files.js';
export { readIdx } from './idx.js';
export type { UnpackOptions } from './inflate.js';
export { readNpy, writeNpy } from './npy.js';
export { type NpzOptions, readNpz, writeNpz } from './npz.js';
export {
  readSafetensors,
  type SafetensorsOptions,
  safetensorsMetadata,
  writeSafetensors,
} from './safetensors.js';
