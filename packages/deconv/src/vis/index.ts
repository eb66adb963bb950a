/** vis: convolution made visible: its matrix, its coverage, its results as pixels, and a bank of filters to look through. */
export { type DctBankOptions, dctBank } from './bank.js';
export { type DisplayOptions, toDisplay } from './display.js';
export { type CoverageOptions, coverage, unrolledMatrix } from './matrix.js';
