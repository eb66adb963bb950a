/** operators: all that deconv has, by their names in the standard. */
import type { Operator } from '../node.js';
import { activations } from './activation.js';
import { arithmetic } from './arithmetic.js';
import { convolutions } from './conv.js';
import { indexing } from './indexing.js';
import { layout } from './layout.js';
import { matrices } from './matrix.js';
import { norms } from './norm.js';
import { pooling } from './pool.js';
import { reductions } from './reduce.js';
import { resizing } from './resize.js';
import { shapes } from './shape.js';

/** Operators by name. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...convolutions,
    ...pooling,
    ...norms,
    ...activations,
    ...arithmetic,
    ...matrices,
    ...reductions,
    ...layout,
    ...indexing,
    ...shapes,
    ...resizing,
  }),
);
