/** onnx: networks from ONNX files, and modules to such files. */
export { type DynamicAxes, type DynamicOption, type ExportOnnxOptions, exportOnnx } from './export/index.js';
export { type LoadOnnxOptions, loadOnnx } from './load.js';
export type { DataWithDims, OnnxInput, OnnxModel, OnnxValue, RunOptions } from './model.js';
export type { OnnxSummary, OnnxSummaryRow } from './summary.js';
export type { ElementType } from './types.js';
