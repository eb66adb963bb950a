/** onnx: networks from ONNX files. */
export { type LoadOnnxOptions, loadOnnx } from './load.js';
export type { DataWithDims, OnnxInput, OnnxModel, OnnxValue, RunOptions } from './model.js';
export type { OnnxSummary, OnnxSummaryRow } from './summary.js';
export type { ElementType } from './types.js';
