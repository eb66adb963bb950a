/** onnx: networks from ONNX files, and modules to such files. */
export {
  type OnnxAttribute,
  type OnnxContents,
  type OnnxDeclaration,
  type OnnxNode,
  readOnnx,
  replaceOnnxWeights,
} from './contents.js';
export { type DynamicAxes, type DynamicOption, type ExportOnnxOptions, exportOnnx } from './export/index.js';
export { type LoadOnnxOptions, loadOnnx } from './load.js';
export type { DataWithDims, OnnxInput, OnnxModel, OnnxValue, RunOptions } from './model.js';
export type { OnnxSummary, OnnxSummaryRow } from './summary.js';
export type { ElementType } from './types.js';
