/**
 * weight-plan: the gradient with respect to the weight, w[o, i, u] = Σ x[n, i, q·s + u·d − pb] · y[n, o, q], as a matrix
 * product whose K runs over pictures and positions.
 *
 * A row of B must be contiguous in what the lanes count, so x is first turned to channels-last, padded; then the lanes
 * are input channels, or with few channels the taps of a row together with them (they are neighbours there). y is turned
 * into panels. Both are done chunk by chunk of K, into a buffer of bounded size that all threads fill and then read:
 *
 *   turn x and y of the chunk | gemm: every tile of w belongs to one item, which adds the chunk's share | next chunk …
 *
 * and at the end w is put into its own order. No sum is ever split between threads, so their number cannot change a bit.
 */
import { kernelExtent } from '../../geometry/axis.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { inThreeAxes } from '../../geometry/three-axes.js';
import { range } from '../../shape.js';
import { insideOf } from './band-input.js';
import { boxesOf, combinations } from './bands.js';
import * as BASE from './bases.js';
import {
  type ByBase,
  columnsOf,
  type Item,
  joined,
  type Plan,
  placeIn,
  planBuilder,
  product,
  roundUp,
  runsOf,
  SHARE_FROM_FLOPS,
  SLACK,
  type Stretch,
  shift,
} from './commands.js';
import type { Machine } from './problem.js';
import { eachTile, type Layer, layProduct } from './products.js';
import { remembered } from './remembered.js';

/** Target for the turned x and y of one chunk, in bytes. */
export const CHUNK_TARGET = 3 * 1024 * 1024;

/** Target for the sums that an item works on, in bytes. */
export const SUMS_TARGET = 128 * 1024;

/** Items of a stage, at most: each should be worth a thread's while. */
export const MOST_ITEMS = 64;

/** A piece of K, a box of output positions of one or more whole pictures, but for its place. */
interface Chunk {
  readonly pictures: number;
  readonly size: readonly number[];
  /** What it sees of x, per axis: how many positions, and which of them lie inside x: the first, and how many. */
  readonly extent: readonly number[];
  readonly first: readonly number[];
  readonly count: readonly number[];
}

/** Neighbours joined to items, all of which move alike. */
const itemsOf = (stretches: readonly Stretch[], moves: ByBase = {}): Item[] =>
  joined(stretches, MOST_ITEMS).map((stretch) => ({ ...stretch, moves }));

/** The plan of w = weightGrad(x, y). Its bases: input is x, weight is y, output is w. */
export function planWeight(g: ConvGeometry, { tile, commands }: Machine): Plan {
  const { mr, nr } = tile;
  const list = planBuilder(commands);
  const [xSize, ySize, k, s, d, pb] = inThreeAxes(g);
  const inputs = g.xChannels / g.groups;
  const outputs = g.yChannels / g.groups;
  const [xPlane, yPlane, taps] = [product(xSize), product(ySize), product(k)];

  // Lanes: (tap along x, channel) together where channels are few, else channels of one tap.
  const merged = d[2] === 1 && inputs < 4 * nr && inputs % nr !== 0;
  const lanes = roundUp(merged ? k[2] * inputs : inputs, nr);
  const alongX = merged ? 1 : k[2];
  const tapRows = k[0] * k[1] * alongX;
  // Floats per position of the turned x: an odd number of cache lines, so that the positions of a block of K do not
  // all fall into a few of the cache's sets.
  const pixel = merged ? inputs : 16 * (Math.ceil(lanes / 16) | 1);
  const cRow = 4 * (tapRows * lanes + 16);
  const groupFloats = (cRow / 4) * outputs + SLACK;
  const extentOf = (size: readonly number[]) =>
    size.map((length, axis) => (length - 1) * s[axis] + kernelExtent(k[axis], d[axis]));
  const bytes = (size: readonly number[]) =>
    4 * g.groups * (product(extentOf(size)) * pixel + product(size) * outputs);

  // As much of K at a time as the buffer holds: pictures, else levels, rows or a part of a row of one.
  const together = Math.max(1, Math.min(g.batch, Math.floor(CHUNK_TARGET / bytes(ySize))));
  const most = [...ySize];
  for (const axis of [0, 1, 2]) {
    while (bytes(most) > CHUNK_TARGET && most[axis] > 1) most[axis] = Math.ceil(most[axis] / 2);
  }

  const flops = 2 * g.batch * g.groups * outputs * inputs * taps * yPlane;
  // Output channels are shared out too: for threads where tap rows are few, and so that the sums of an item stay in the
  // second-level cache while K passes by in blocks.
  const inCache = Math.max(1, Math.floor(SUMS_TARGET / (4 * lanes * mr)));
  const perThread = Math.max(1, Math.ceil(outputs / mr / Math.ceil(16 / (g.groups * tapRows))));
  const oBlock = mr * (flops < SHARE_FROM_FLOPS ? inCache : Math.min(inCache, perThread));

  // The sums begin at 0.
  const clear = list.stretch(() => list.push('clear', [BASE.packed, 0], 4 * groupFloats * g.groups));
  const stages = [itemsOf([clear])];

  // Chunks that differ by their place alone share their commands: those of the first, moved.
  const known = new Map<string, { readonly turns: Stretch[]; readonly products: Stretch[] }>();
  for (const { from: n, count: pictures } of runsOf(g.batch, together))
    for (const { from, size } of boxesOf(ySize, most)) {
      const extent = extentOf(size);
      const inside = extent.map((length, axis) =>
        insideOf(from[axis] * s[axis] - pb[axis], length, xSize[axis]),
      );
      const [first, count] = columnsOf(inside);
      const chunk = { pictures, size, extent, first, count };
      const { turns, products } = remembered(known, JSON.stringify(chunk), () => ({
        turns: turn(chunk),
        products: multiply(chunk),
      }));
      const moves = {
        [BASE.input]: 4 * n * g.xChannels * xPlane + shift(from, s, xSize),
        [BASE.weight]: 4 * (n * g.yChannels * yPlane + placeIn(ySize, from)),
      };
      stages.push(itemsOf(turns, moves), itemsOf(products));
    }

  // w into its own order.
  const last = range(g.groups).map((group) => {
    const out = [BASE.output, 4 * group * outputs * inputs * taps] as const;
    const from = [BASE.packed, 4 * group * groupFloats] as const;
    const tapStep = 4 * (merged ? inputs : lanes);
    const steps = [outputs, cRow, 4 * inputs * taps, k[0] * k[1], 4 * lanes * alongX, 4 * k[2]] as const;
    return list.stretch(() => list.push('turn', from, out, k[2], tapStep, inputs, 4, 4 * taps, 0, ...steps));
  });
  stages.push(itemsOf(last));

  const packedBytes = 4 * groupFloats * g.groups;
  return list.plan({ stages, packedBytes, sharedBytes: together * bytes(most) + 4 * SLACK, flops });

  /** The commands that turn a chunk: a stretch per picture and group. */
  function turn(chunk: Chunk): Stretch[] {
    return range(chunk.pictures).flatMap((n) =>
      range(g.groups).map((group) =>
        list.stretch(() => {
          turnX(chunk, n, group);
          turnY(chunk, n, group);
        }),
      ),
    );
  }

  function turnX({ extent, first, count }: Chunk, n: number, group: number): void {
    const [, height, width] = extent;
    const at = (n * g.groups + group) * product(extent) * pixel;
    if (count.some((c, axis) => c !== extent[axis]))
      list.push('clear', [BASE.shared, 4 * at], 4 * product(extent) * pixel);
    if (count.includes(0)) return;
    const begin = first.map((place, axis) => place - pb[axis]);
    const source = (n * g.xChannels + group * inputs) * xPlane + placeIn(xSize, begin);
    const target = at + placeIn(extent, first) * pixel;
    const [src, dst] = [[BASE.input, 4 * source] as const, [BASE.shared, 4 * target] as const];
    const levels = [count[0], 4 * xSize[1] * xSize[2], 4 * height * width * pixel] as const;
    const rows = [count[1], 4 * xSize[2], 4 * width * pixel] as const;
    const columns = [count[2], 4, 4 * pixel, pixel - inputs] as const;
    list.push('turn', src, dst, inputs, 4 * xPlane, ...columns, ...levels, ...rows);
  }

  /** Where the panels of y begin, [group][tile of o][position of the chunk][row of the tile], in floats. */
  function panelsAt({ pictures, extent }: Chunk): number {
    return pictures * g.groups * product(extent) * pixel;
  }

  function turnY(chunk: Chunk, n: number, group: number): void {
    const { size } = chunk;
    const pixels = chunk.pictures * product(size);
    // Rows that fill the width are one long row.
    const [rows, width] = size[2] === ySize[2] ? [1, size[1] * size[2]] : [size[1], size[2]];
    eachTile(outputs, mr, (height, tiles, firstRow) => {
      for (let z = 0; z < size[0]; z++) {
        const plane = (n * g.yChannels + group * outputs + firstRow) * yPlane;
        const source = plane + z * ySize[1] * ySize[2];
        const place = n * product(size) + z * size[1] * size[2];
        const target = panelsAt(chunk) + (group * outputs + firstRow) * pixels + place * height;
        const [src, dst] = [[BASE.weight, 4 * source] as const, [BASE.shared, 4 * target] as const];
        const tile = [tiles, 4 * height * yPlane, 4 * height * pixels] as const;
        const row = [rows, 4 * ySize[2], 4 * height * width] as const;
        list.push('turn', src, dst, height, 4 * yPlane, width, 4, 4 * height, 0, ...tile, ...row);
      }
    });
  }

  /** The commands that add a chunk's share to every tile: a stretch per group, tap row and block of output channels. */
  function multiply(chunk: Chunk): Stretch[] {
    const { extent, pictures, size } = chunk;
    const picture = product(extent) * pixel;
    const pixels = pictures * product(size);
    let places = [0];
    for (const [axis, length] of size.entries()) {
      const along = range(length).map((i) => i * s[axis]);
      places = places.flatMap((at) => along.map((step) => at * extent[axis] + step));
    }
    const table = list.table(
      range(pictures).flatMap((n) => places.map((at) => 4 * (n * g.groups * picture + at * pixel))),
    );
    return range(g.groups).flatMap((group) => {
      const panels = panelsAt(chunk) + group * outputs * pixels;
      return combinations([k[0], k[1], alongX].map(range)).flatMap((tap, row) => {
        const b = [BASE.shared, 4 * group * picture + pixel * shift(tap, d, extent)] as const;
        const layer: Layer = (height) => [[`gemm${height}`, b, 0, [lanes / nr, 0, 4 * nr, 4 * nr]]];
        return runsOf(outputs, oBlock).map(({ from, count }) =>
          list.stretch(() => {
            const factors = [[BASE.shared, 4 * (panels + from * pixels)], pixels, table] as const;
            const c = [BASE.packed, 4 * (group * groupFloats + row * lanes) + from * cRow] as const;
            layProduct(list, mr, factors, [c, cRow, count], [layer], true);
          }),
        );
      });
    });
  }
}
