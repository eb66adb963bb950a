/** models: networks ready to be trained and used, and their files. */
export { Autoencoder, type AutoencoderOptions, autoencoder } from './autoencoder.js';
export { Denoiser, type DenoiserOptions, denoiser } from './denoiser.js';
export { type AnyPictureModel, loadModel, saveModel } from './file.js';
export { type ModelOptions, PictureModel, type Task } from './picture-model.js';
export { Segmenter, type SegmenterOptions, segmenter } from './segmenter.js';
export { Upscaler, type UpscalerOptions, upscaler } from './upscaler.js';
