/**
 * Loops with one number per channel: each array is read once, and products go straight into float64 sums.
 * With inner > 1 a row is one channel of one picture; with inner = 1 all channels of a picture are one.
 */
import type { Channels, LocalResponse } from '../../../backend.js';
import { centredDot, sumColumns } from '../row-kernels.js';
import { CALL, inPieces } from '../vector-kernels.js';
import { localResponse, NEIGHBOURS } from './formulas.js';
import { doublesAt, type Ground, type Loop } from './ground.js';

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
export const channelAffine: Loop<Channels & { relu?: boolean }> = (ground, inputs, c) => {
  const names = 'xmftyng'.slice(0, inputs.length);
  const sum = inputs.length > 4 ? '(x-m)*f+t+(y-n)*g' : '(x-m)*f+t';
  const text = c.relu ? `max(${sum},0)` : sum;
  const addresses = inputs.map((input) => ground.at(input));
  const { storage, at } = ground.result(c.outer * c.channels * c.inner);
  const operands = operandsOf(addresses, names, 'xy');
  ground.kernels.shared(storage.length, true, () =>
    eachBlock(c, operands, (n1, n, first, places) =>
      ground.kernels.apply(text, names, patternOf(operands, c), [at + 4 * first, 4 * n], n1, n, places),
    ),
  );
  return storage;
};

/** Adds the products of rows that hold all channels to the sums: piece by piece, so that they never leave the cache. */
function addColumns(
  { kernels, residency }: Ground,
  { outer, channels }: Channels,
  [x, m, y, n]: readonly number[],
  sums: number,
): void {
  const room = residency.room(4 * CALL);
  const row = 4 * channels;
  inPieces(outer, channels, (first, rows, column, columns) => {
    const at = (address: number) => [address + first * row + 4 * column, row] as const;
    const all = (address: number) => [address + 4 * column, 0] as const;
    const products = [room, 4 * columns] as const;
    kernels.apply('(x-m)*(y-n)', 'xmyn', '1111', products, rows, columns, [at(x), all(m), at(y), all(n)]);
    kernels.call(sumColumns, sums + 8 * column, ...products, rows, columns);
  });
}

/** Adds the products of one row per channel and picture; runs of channels are shared, a channel's pictures in their order. */
function addRows(
  { kernels }: Ground,
  { outer, channels, inner }: Channels,
  [x, m, y, n]: readonly number[],
  sums: number,
): void {
  const most = Math.max(1, Math.floor(CALL / inner));
  const run = (first: number, count: number) => {
    for (let o = 0; o < outer; o++) {
      for (let from = 0; from < inner; from += CALL) {
        const at = 4 * ((o * channels + first) * inner + from);
        const rows = [x + at, 4 * inner, y + at, 4 * inner, m + 4 * first, n + 4 * first, 4] as const;
        kernels.call(centredDot, sums + 8 * first, ...rows, count, Math.min(CALL, inner - from));
      }
    }
  };
  kernels.shared(outer * channels * inner, false, (part) => {
    for (let first = 0; first < channels; first += most)
      part(() => run(first, Math.min(most, channels - first)));
  });
}

/** (x, m, y, n) → Σ (x − m)·(y − n) of each channel */
export const channelDot: Loop<Channels> = (ground, inputs, c) => {
  const addresses = inputs.map((input) => ground.at(input));
  const { storage, at } = ground.result(c.channels);
  const sums = ground.residency.room(8 * c.channels);
  doublesAt(ground, sums, c.channels).fill(0);
  (c.inner === 1 ? addColumns : addRows)(ground, c, addresses, sums);
  ground.floats(at, c.channels).set(doublesAt(ground, sums, c.channels));
  return storage;
};

/** (x) → x / (bias + alpha/size · Σ x²)^beta: neighbouring channels as so many operands, read once each from the cache. */
export const channelResponse: Loop<Channels & LocalResponse> = (ground, [x], c) => {
  const { outer, channels, inner, size, before, alpha, beta, bias } = c;
  // Runs of channels that see as many others.
  const reach = Array.from({ length: channels }, (_, k) => {
    const low = Math.max(0, k - before);
    return { low, count: Math.min(channels, k - before + size) - low };
  });
  const formulas = reach.map(({ count }) => localResponse(Math.max(0, count), beta));
  if (formulas.some((formula) => formula === undefined)) return undefined;
  const from = ground.at(x);
  const { storage, at } = ground.result(outer * channels * inner);
  const row = 4 * inner;
  ground.kernels.shared(storage.length, true, () => {
    for (let o = 0; o < outer; o++) {
      for (let k = 0, end = 0; k < channels; k = end) {
        const { low, count } = reach[k];
        for (end = k + 1; reach[end]?.count === count && reach[end].low - low === end - k; end++) {}
        const place = (channel: number) => [from + (o * channels + channel) * row, row] as const;
        const names = `x${NEIGHBOURS.slice(0, count)}`;
        const neighbours = Array.from({ length: count }, (_, i) => place(low + i));
        const target = [at + (o * channels + k) * row, row] as const;
        const text = formulas[k] as string;
        const parameters = [alpha / size, bias];
        const pattern = names.replace(/./g, '1');
        ground.kernels.apply(
          text,
          names,
          pattern,
          target,
          end - k,
          inner,
          [place(k), ...neighbours],
          parameters,
        );
      }
    }
  });
  return storage;
};
