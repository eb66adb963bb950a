/**
 * Loops with one number per channel: each array is read once, and products go from the first-level cache into float64 sums.
 * With inner > 1 a row is one channel of one picture; with inner = 1 all channels of a picture are one.
 */
import type { Channels } from '../../../backend.js';
import { sumColumns, sumRows } from '../row-kernels.js';
import { CALL, inPieces } from '../vector-kernels.js';
import type { Ground, Loop } from './ground.js';

interface Operand {
  readonly at: number;
  /** One value per channel, not per element. */
  readonly perChannel: boolean;
}

/** Operands by their letters; those named in `whole` have one value per element. */
const operandsOf = (addresses: readonly number[], names: string, whole: string): Operand[] =>
  addresses.map((at, i) => ({ at, perChannel: !whole.includes(names[i]) }));

/** Which operands the kernels step through element by element. */
const patternOf = (operands: readonly Operand[], { inner }: Channels): string =>
  operands.map(({ perChannel }) => (perChannel && inner > 1 ? '0' : '1')).join('');

/** Calls `visit` for each block of equal rows: how many, how long, which element is first, and where each operand lies. */
function eachBlock(
  { outer, channels, inner }: Channels,
  operands: readonly Operand[],
  visit: (n1: number, n: number, first: number, places: readonly (readonly [number, number])[]) => void,
): void {
  if (inner === 1) {
    const places = operands.map(({ at, perChannel }) => [at, perChannel ? 0 : 4 * channels] as const);
    visit(outer, channels, 0, places);
    return;
  }
  for (let o = 0; o < outer; o++) {
    const first = o * channels * inner;
    const places = operands.map(({ at, perChannel }) =>
      perChannel ? ([at, 4] as const) : ([at + 4 * first, 4 * inner] as const),
    );
    visit(channels, inner, first, places);
  }
}

/** (x, m, f, t[, y, n, g]) → (x − m)·f + t [+ (y − n)·g] */
export const channelAffine: Loop<Channels> = (ground, inputs, c) => {
  const names = 'xmftyng'.slice(0, inputs.length);
  const text = inputs.length > 4 ? '(x-m)*f+t+(y-n)*g' : '(x-m)*f+t';
  const addresses = inputs.map((input) => ground.at(input));
  const { storage, at } = ground.result(c.outer * c.channels * c.inner);
  const operands = operandsOf(addresses, names, 'xy');
  eachBlock(c, operands, (n1, n, first, places) =>
    ground.kernels.apply(text, names, patternOf(operands, c), [at + 4 * first, 4 * n], n1, n, places),
  );
  return storage;
};

/** Adds the products of one block to the sums: piece by piece, so that they never leave the cache. */
function addProducts(
  { kernels }: Ground,
  c: Channels,
  operands: readonly Operand[],
  [room, sums]: readonly [number, number],
): void {
  const pattern = patternOf(operands, c);
  eachBlock(c, operands, (n1, n, _first, places) =>
    inPieces(n1, n, (row, rows, column, columns) => {
      const piece = places.map(
        ([at, step], i) => [at + row * step + (pattern[i] === '1' ? 4 * column : 0), step] as const,
      );
      const products = [room, 4 * columns] as const;
      kernels.apply('(x-m)*(y-n)', 'xmyn', pattern, products, rows, columns, piece);
      if (c.inner === 1) kernels.call(sumColumns, sums + 8 * column, ...products, rows, columns);
      else kernels.call(sumRows, sums + 8 * row, 8, ...products, rows, columns);
    }),
  );
}

/** (x, m, y, n) → Σ (x − m)·(y − n) of each channel */
export const channelDot: Loop<Channels> = (ground, inputs, c) => {
  const addresses = inputs.map((input) => ground.at(input));
  const { storage, at } = ground.result(c.channels);
  const [room, sums] = [ground.residency.room(4 * CALL), ground.residency.room(8 * c.channels)];
  ground.doubles(sums, c.channels).fill(0);
  addProducts(ground, c, operandsOf(addresses, 'xmyn', 'xy'), [room, sums]);
  ground.floats(at, c.channels).set(ground.doubles(sums, c.channels));
  return storage;
};
