/** operators: how each operation is written. */
import type { Emitters } from '../emit.js';
import { convolutions } from './conv.js';
import { elementwise } from './elementwise.js';
import { layout } from './layout.js';
import { matrices } from './matrix.js';
import { norms } from './norm.js';
import { pooling } from './pool.js';
import { resizing } from './resize.js';

/** Operations that can be exported, by name. */
export const emitters: Emitters = {
  ...convolutions,
  ...pooling,
  ...norms,
  ...elementwise,
  ...matrices,
  ...layout,
  ...resizing,
};
