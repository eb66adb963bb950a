/**
 * Softmax: eˣ⁻ᵐ / Σ eˣ⁻ᵐ with m the largest x, or its logarithm x − m − ln Σ eˣ⁻ᵐ. Pieces small enough for the second-level
 * cache go through all passes (largest, exponentials, sum, quotient) before the next is touched.
 */
import type { OpTable } from '../../../backend.js';
import { maxRows, sumColumns, sumRows } from '../row-kernels.js';
import { doublesAt, type Loop } from './ground.js';

/** Floats of a piece. */
const PIECE = 32_768;

/** (x) of (outer, length, inner) → softmax along the middle axis, or its logarithm. */
export const softmax: Loop<OpTable['softmax']> = (ground, [x], { outer, length, inner, log }) => {
  const { kernels, residency } = ground;
  const from = ground.at(x);
  // With inner = 1 a piece is some rows, each with one result; else some columns of a block, likewise.
  const across = inner > 1;
  const most = Math.max(16, Math.floor(PIECE / Math.max(1, length)));
  const width = Math.min(most, across ? inner : outer);
  const [largest, total, sums] = [
    residency.room(4 * width),
    residency.room(4 * width),
    residency.room(8 * width),
  ];
  const { storage, at } = ground.result(outer * length * inner);
  const [pattern, row, perRow] = across ? ['11', 4 * inner, 0] : ['10', 4 * length, 4];
  const piece = (place: number, width: number) => {
    const [source, target] = [[from + 4 * place, row] as const, [at + 4 * place, row] as const];
    const [n1, n] = across ? [length, width] : [width, length];
    const each = [largest, perRow] as const;
    ground.floats(largest, width).fill(Number.NEGATIVE_INFINITY);
    if (across) kernels.apply('max(a,b)', 'ab', '11', each, n1, n, [each, source]);
    else kernels.call(maxRows, ...each, ...source, n1, n);
    kernels.apply('exp(a-b)', 'ab', pattern, target, n1, n, [source, each]);
    const exact = doublesAt(ground, sums, width).fill(0);
    if (across) kernels.call(sumColumns, sums, ...target, n1, n);
    else kernels.call(sumRows, sums, 8, ...target, n1, n);
    const rounded = ground.floats(total, width);
    for (let i = 0; i < width; i++) rounded[i] = log ? Math.log(exact[i]) : exact[i];
    const by = [total, perRow] as const;
    if (log) kernels.apply('a-b-c', 'abc', `${pattern}${pattern[1]}`, target, n1, n, [source, each, by]);
    else kernels.apply('a/b', 'ab', pattern, target, n1, n, [target, by]);
  };
  for (let o = 0; o < outer; o += across ? 1 : width) {
    if (!across) piece(o * length, Math.min(width, outer - o));
    else for (let i = 0; i < inner; i += width) piece(o * length * inner + i, Math.min(width, inner - i));
  }
  return storage;
};
