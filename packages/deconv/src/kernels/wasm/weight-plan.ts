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
import { eachPlace, eachTile } from './bands.js';
import {
  BASE,
  CommandList,
  type Commands,
  type Item,
  K_BLOCK,
  type Plan,
  product,
  roundUp,
  SHARE_FROM_FLOPS,
  SLACK,
  type Stretch,
  shift,
  TableBuilder,
} from './commands.js';
import type { Tile } from './microkernels.js';

/** Target for the turned x and y of one chunk, in bytes. */
const CHUNK_TARGET = 3 * 1024 * 1024;

/** Target for the sums that an item works on, in bytes. */
const SUMS_TARGET = 128 * 1024;

/** A piece of K: a box of output positions of one or more whole pictures. */
interface Chunk {
  readonly n: number;
  readonly pictures: number;
  readonly from: readonly number[];
  readonly size: readonly number[];
}

/** At most so many items, made by joining neighbours: each should be worth a thread's while. */
function gather(stretches: readonly Stretch[], most: number): Stretch[] {
  const per = Math.max(1, Math.ceil(stretches.length / most));
  return stretches
    .filter((_, i) => i % per === 0)
    .map(({ first }, i) => {
      const last = stretches[Math.min(stretches.length, (i + 1) * per) - 1];
      return { first, count: last.first + last.count - first };
    });
}

/** The plan of w = weightGrad(x, y). Its bases: input is x, weight is y, output is w. */
export function planWeight(
  g: ConvGeometry,
  options: { readonly tile: Tile; readonly commands: Commands },
): Plan {
  const { mr, nr } = options.tile;
  const list = new CommandList(options.commands);
  const tables = new TableBuilder();
  const [xSize, ySize, k, s, d, pb] = inThreeAxes(g);
  const inputs = g.xChannels / g.groups;
  const outputs = g.yChannels / g.groups;
  const [xPlane, yPlane, taps] = [product(xSize), product(ySize), product(k)];

  // Lanes: (tap along x, channel) together where channels are few, else channels of one tap.
  const merged = d[2] === 1 && inputs < 4 * nr && inputs % nr !== 0;
  const lanes = roundUp(merged ? k[2] * inputs : inputs, nr);
  const tapRows = merged ? k[0] * k[1] : taps;
  // Floats per position of the turned x: an odd number of cache lines, so that the positions of a block of K do not
  // all fall into a few of the cache's sets.
  const lines = Math.ceil(lanes / 16);
  const pixel = merged ? inputs : 16 * (lines % 2 === 0 ? lines + 1 : lines);
  const cRow = 4 * (tapRows * lanes + 16);
  const groupFloats = (cRow / 4) * outputs + SLACK;
  const extent = (size: readonly number[]) =>
    size.map((length, axis) => (length - 1) * s[axis] + kernelExtent(k[axis], d[axis]));
  const bytes = (size: readonly number[]) =>
    4 * g.groups * (product(extent(size)) * pixel + product(size) * outputs);

  // As much of K at a time as the buffer holds: pictures, else levels, rows or a part of a row of one.
  const most = [...ySize];
  for (const axis of [0, 1, 2]) {
    while (bytes(most) > CHUNK_TARGET && most[axis] > 1) most[axis] = Math.ceil(most[axis] / 2);
  }
  const whole = most.every((length, axis) => length === ySize[axis]);
  const together = whole ? Math.max(1, Math.min(g.batch, Math.floor(CHUNK_TARGET / bytes(most)))) : 1;
  const chunks: Chunk[] = [];
  for (let n = 0; n < g.batch; n += together) {
    const pictures = Math.min(together, g.batch - n);
    eachPlace(ySize, most, (from) => {
      const size = most.map((length, axis) => Math.min(length, ySize[axis] - from[axis]));
      chunks.push({ n, pictures, from, size });
    });
  }

  const flops = 2 * g.batch * g.groups * outputs * inputs * taps * yPlane;
  // Output channels are shared out too: for threads where tap rows are few, and so that the sums of an item stay in the
  // second-level cache while K passes by in blocks.
  const inCache = Math.max(1, Math.floor(SUMS_TARGET / (4 * lanes * mr)));
  const perThread = Math.max(1, Math.ceil(outputs / mr / Math.ceil(16 / (g.groups * tapRows))));
  const oBlock = mr * (flops < SHARE_FROM_FLOPS ? inCache : Math.min(inCache, perThread));

  const stages: Item[][] = [];
  // The sums begin at 0.
  const begin = list.length;
  list.push('clear', [BASE.packed, 0], 4 * groupFloats * g.groups);
  stages.push([{ first: begin, count: 1, moves: {} }]);

  // Chunks that differ by their place alone share their commands.
  const known = new Map<
    string,
    { readonly like: Chunk; readonly turns: Stretch[]; readonly products: Stretch[] }
  >();
  for (const chunk of chunks) {
    const { from, to } = inside(chunk);
    const shape = JSON.stringify([chunk.pictures, chunk.size, from, to]);
    let made = known.get(shape);
    if (made === undefined) {
      made = { like: chunk, turns: gather(turn(chunk), 64), products: gather(multiply(chunk), 64) };
      known.set(shape, made);
    }
    const { like, turns, products } = made;
    const steps = chunk.from.map((at, axis) => at - like.from[axis]);
    const moves = {
      input: 4 * (chunk.n - like.n) * g.xChannels * xPlane + shift(steps, s, xSize),
      weight: 4 * (chunk.n - like.n) * g.yChannels * yPlane + shift(steps, [1, 1, 1], ySize),
    };
    stages.push(
      turns.map((stretch) => ({ ...stretch, moves })),
      products.map((stretch) => ({ ...stretch, moves: {} })),
    );
  }

  // w into its own order.
  const last: Stretch[] = [];
  for (let group = 0; group < g.groups; group++) {
    const out = [BASE.output, 4 * group * outputs * inputs * taps] as const;
    const from = [BASE.packed, 4 * group * groupFloats] as const;
    const tapStep = 4 * (merged ? inputs : lanes);
    const src2 = merged ? 4 * lanes : 4 * lanes * k[2];
    const steps = [outputs, cRow, 4 * inputs * taps, k[0] * k[1], src2, 4 * k[2]] as const;
    last.push({ first: list.length, count: 1 });
    list.push('turn', from, out, k[2], tapStep, inputs, 4, 4 * taps, 0, ...steps);
  }
  stages.push(gather(last, 64).map((stretch) => ({ ...stretch, moves: {} })));

  return {
    commands: Int32Array.from(list.words),
    tables: Int32Array.from(tables.words),
    stages,
    packStages: 0,
    packedBytes: 4 * groupFloats * g.groups,
    workBytes: 0,
    sharedBytes: together * bytes(most) + 4 * SLACK,
    repeatable: true,
    flops,
  };

  /** Positions of a chunk's extent that fall into x, and the place in x of the extent's first. */
  function inside({ from: at, size }: Chunk): { start: number[]; from: number[]; to: number[] } {
    const sizes = extent(size);
    const start = at.map((q, axis) => q * s[axis] - pb[axis]);
    const from = start.map((origin, axis) => Math.min(sizes[axis], Math.max(0, -origin)));
    const to = start.map((origin, axis) => Math.max(from[axis], Math.min(sizes[axis], xSize[axis] - origin)));
    return { start, from, to };
  }

  /** The commands that turn a chunk: a stretch per picture and group. */
  function turn(chunk: Chunk): Stretch[] {
    const stretches: Stretch[] = [];
    for (let n = 0; n < chunk.pictures; n++) {
      for (let group = 0; group < g.groups; group++) {
        const first = list.length;
        turnX(chunk, n, group);
        turnY(chunk, n, group);
        stretches.push({ first, count: list.length - first });
      }
    }
    return stretches;
  }

  function turnX(chunk: Chunk, n: number, group: number): void {
    const sizes = extent(chunk.size);
    const { start, from, to } = inside(chunk);
    const at = (n * g.groups + group) * product(sizes) * pixel;
    const full = from.every((f, axis) => f === 0 && to[axis] === sizes[axis]);
    if (!full) list.push('clear', [BASE.shared, 4 * at], 4 * product(sizes) * pixel);
    const count = to.map((t, axis) => t - from[axis]);
    if (count.some((c) => c === 0)) return;
    const [z, y, x] = from.map((f, axis) => start[axis] + f);
    const source =
      ((chunk.n + n) * g.xChannels + group * inputs) * xPlane + (z * xSize[1] + y) * xSize[2] + x;
    const target = at + ((from[0] * sizes[1] + from[1]) * sizes[2] + from[2]) * pixel;
    const levels = [count[0], 4 * xSize[1] * xSize[2], 4 * sizes[1] * sizes[2] * pixel] as const;
    const rows = [count[1], 4 * xSize[2], 4 * sizes[2] * pixel] as const;
    const [src, dst] = [[BASE.input, 4 * source] as const, [BASE.shared, 4 * target] as const];
    list.push(
      'turn',
      src,
      dst,
      inputs,
      4 * xPlane,
      count[2],
      4,
      4 * pixel,
      pixel - inputs,
      ...levels,
      ...rows,
    );
  }

  /** Where the panels of y begin, [group][tile of o][position of the chunk][row of the tile], in floats. */
  function panelsAt({ pictures, size }: Chunk): number {
    return pictures * g.groups * product(extent(size)) * pixel;
  }

  function turnY(chunk: Chunk, n: number, group: number): void {
    const { size, from } = chunk;
    const pixels = chunk.pictures * product(size);
    // Rows that fill the width are one long row.
    const [rows, width] = size[2] === ySize[2] ? [1, size[1] * size[2]] : [size[1], size[2]];
    const emit = (height: number, tiles: number, firstRow: number) => {
      for (let z = 0; z < size[0]; z++) {
        const plane = ((chunk.n + n) * g.yChannels + group * outputs + firstRow) * yPlane;
        const source = plane + ((from[0] + z) * ySize[1] + from[1]) * ySize[2] + from[2];
        const place = n * product(size) + z * size[1] * size[2];
        const target = panelsAt(chunk) + (group * outputs + firstRow) * pixels + place * height;
        const [src, dst] = [[BASE.weight, 4 * source] as const, [BASE.shared, 4 * target] as const];
        const tile = [tiles, 4 * height * yPlane, 4 * height * pixels] as const;
        const row = [rows, 4 * ySize[2], 4 * height * width] as const;
        list.push('turn', src, dst, height, 4 * yPlane, width, 4, 4 * height, 0, ...tile, ...row);
      }
    };
    eachTile(outputs, mr, emit);
  }

  /** The commands that add a chunk's share to every tile: a stretch per group, tap row and block of output channels. */
  function multiply(chunk: Chunk): Stretch[] {
    const [, ey, ex] = extent(chunk.size);
    const picture = product(extent(chunk.size)) * pixel;
    const pixels = chunk.pictures * product(chunk.size);
    const places: number[] = [];
    for (let n = 0; n < chunk.pictures; n++) {
      eachPlace(chunk.size, [1, 1, 1], ([z, y, x]) => {
        const at = (z * s[0] * ey + y * s[1]) * ex + x * s[2];
        places.push(4 * (n * g.groups * picture + at * pixel));
      });
    }
    const table = tables.add(places);
    const stretches: Stretch[] = [];
    for (let group = 0; group < g.groups; group++) {
      const panels = panelsAt(chunk) + group * outputs * pixels;
      for (let row = 0; row < tapRows; row++) {
        const ux = merged ? 0 : row % k[2];
        const rest = merged ? row : Math.floor(row / k[2]);
        const [uz, uy] = [Math.floor(rest / k[1]), rest % k[1]];
        const tap = ((uz * d[0] * ey + uy * d[1]) * ex + ux * d[2]) * pixel;
        const b = [BASE.shared, 4 * (group * picture + tap)] as const;
        for (let o = 0; o < outputs; o += oBlock) {
          const first = list.length;
          const end = Math.min(outputs, o + oBlock);
          for (let from = 0; from < pixels; from += K_BLOCK) {
            const depth = Math.min(K_BLOCK, pixels - from);
            eachTile(end - o, mr, (height, tiles, row0) => {
              const firstRow = o + row0;
              const a = [BASE.shared, 4 * (panels + firstRow * pixels + from * height)] as const;
              const c = [BASE.packed, 4 * group * groupFloats + firstRow * cRow + 4 * row * lanes] as const;
              const strips = [lanes / nr, 0, 4 * nr, 4 * nr] as const;
              const tile = [tiles, 4 * height * pixels, 0, height * cRow] as const;
              list.push(
                `gemm${height}`,
                a,
                b,
                [BASE.tables, table + 4 * from],
                depth,
                c,
                cRow,
                0,
                ...strips,
                ...tile,
              );
            });
          }
          stretches.push({ first, count: list.length - first });
        }
      }
    }
    return stretches;
  }
}
