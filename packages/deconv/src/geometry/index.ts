/** geometry: sizes, coverage, phases, dialects and the solver. Integers only, no tensors. */
export type { Pad } from './axis.js';
export {
  type ConvGeometry,
  type ConvGeometryOptions,
  type ConvTransposeGeometryOptions,
  convGeometry,
  convTransposeGeometry,
  flopsOf,
  type Padding,
} from './conv.js';
export { coverageAxes, coveragePlane } from './coverage.js';
export {
  type CanonicalLayer,
  type ConvOp,
  type DialectName,
  type DialectOptions,
  dialectNames,
  dialectOptions,
  type FromDialect,
  fromDialect,
  type ToDialect,
  type ToDialectFound,
  type ToDialectNone,
  toDialect,
  type WeightMapping,
} from './dialects/index.js';
export { type AxisPhase, type Phase, phases, phasesOfAxis } from './phases.js';
export {
  type AxisField,
  type FieldLayer,
  type FieldStep,
  type FieldType,
  type ReceptiveField,
  type ReceptiveFieldOptions,
  receptiveField,
} from './receptive-field.js';
export {
  type Bound,
  type GeometrySolution,
  type SolveBounds,
  type SolveQuestion,
  solveGeometry,
} from './solver.js';
