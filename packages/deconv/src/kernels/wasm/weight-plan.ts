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
import type { ConvGeometry } from '../../geometry/conv.js';
import { BASE, type Tile } from './microkernels.js';
import {
  CommandList,
  type Commands,
  type Item,
  K_BLOCK,
  type Plan,
  product,
  roundUp,
  SHARE_FROM_FLOPS,
  SLACK,
  TableBuilder,
} from './plan.js';
import { lift, type Triple } from './problem.js';

/** Target for the turned x and y of one chunk, in bytes. */
const CHUNK_TARGET = 3 * 1024 * 1024;

/** A piece of K: some output rows of one or more whole pictures. */
interface Chunk {
  readonly n: number;
  readonly pictures: number;
  readonly z: number;
  readonly levels: number;
  readonly y: number;
  readonly rows: number;
}

/** Sizes of one picture's share of a chunk. */
interface Shape {
  readonly levels: number;
  readonly rows: number;
}

/** The plan of w = weightGrad(x, y). Its bases: input is x, weight is y, output is w. */
export function planWeight(
  g: ConvGeometry,
  options: { readonly tile: Tile; readonly commands: Commands },
): Plan {
  const { mr, nr } = options.tile;
  const list = new CommandList(options.commands);
  const tables = new TableBuilder();
  const [xSize, ySize, k] = [lift(g.xSize, 1), lift(g.ySize, 1), lift(g.kernelSize, 1)];
  const [s, d, pb] = [lift(g.stride, 1), lift(g.dilation, 1), lift(g.padBefore, 0)];
  const inputs = g.xChannels / g.groups;
  const outputs = g.yChannels / g.groups;
  const [xPlane, yPlane, taps] = [product(xSize), product(ySize), product(k)];

  // Lanes: (tap along x, channel) together where channels are few, else channels of one tap.
  const merged = d[2] === 1 && inputs < 4 * nr && inputs % nr !== 0;
  const lanes = roundUp(merged ? k[2] * inputs : inputs, nr);
  const tapRows = merged ? k[0] * k[1] : taps;
  // Floats per position of the turned x; not a multiple of the cache's set size.
  const pixel = merged ? inputs : lanes + ((lanes * s[2]) % 512 === 0 ? nr : 0);
  const cRow = 4 * (tapRows * lanes + 16);
  const groupFloats = (cRow / 4) * outputs + SLACK;
  const px = (ySize[2] - 1) * s[2] + (k[2] - 1) * d[2] + 1;
  const extent = (shape: Shape): Triple => [
    (shape.levels - 1) * s[0] + (k[0] - 1) * d[0] + 1,
    (shape.rows - 1) * s[1] + (k[1] - 1) * d[1] + 1,
    px,
  ];
  const xFloats = (shape: Shape) => product(extent(shape)) * pixel;
  const yFloats = (shape: Shape) => shape.levels * shape.rows * ySize[2] * outputs;
  const bytes = (shape: Shape) => 4 * g.groups * (xFloats(shape) + yFloats(shape));

  const shape = { levels: ySize[0], rows: ySize[1] };
  while (bytes(shape) > CHUNK_TARGET && shape.levels > 1) shape.levels = Math.ceil(shape.levels / 2);
  while (bytes(shape) > CHUNK_TARGET && shape.rows > 1) shape.rows = Math.ceil(shape.rows / 2);
  const whole = shape.levels === ySize[0] && shape.rows === ySize[1];
  const together = whole ? Math.max(1, Math.min(g.batch, Math.floor(CHUNK_TARGET / bytes(shape)))) : 1;

  const chunks: Chunk[] = [];
  for (let n = 0; n < g.batch; n += together) {
    const pictures = Math.min(together, g.batch - n);
    for (let z = 0; z < ySize[0]; z += shape.levels) {
      for (let y = 0; y < ySize[1]; y += shape.rows) {
        const [levels, rows] = [Math.min(shape.levels, ySize[0] - z), Math.min(shape.rows, ySize[1] - y)];
        chunks.push({ n, pictures, z, levels, y, rows });
      }
    }
  }

  const flops = 2 * g.batch * g.groups * outputs * inputs * taps * yPlane;
  const sharedFloats = together * g.groups * (xFloats(shape) + yFloats(shape)) + SLACK;
  // Few tap rows: the output channels are shared out as well.
  const oBlock =
    flops < SHARE_FROM_FLOPS
      ? outputs
      : Math.max(mr, mr * Math.ceil(outputs / mr / Math.ceil(16 / (g.groups * tapRows))));
  const stages: Item[][] = [];
  const tableOf = new Map<string, number>();

  for (const [number, chunk] of chunks.entries()) {
    const [ez, ey] = extent(chunk);
    const xPicture = ez * ey * px * pixel;
    const pixels = chunk.pictures * chunk.levels * chunk.rows * ySize[2];
    const yAt = chunk.pictures * g.groups * xPicture;

    // Turn x and y.
    const turns: Item[] = [];
    for (let n = 0; n < chunk.pictures; n++) {
      for (let group = 0; group < g.groups; group++) {
        const first = list.length;
        turnX(chunk, ez, ey, n, group, 4 * (n * g.groups + group) * xPicture);
        turnY(chunk, n, group, yAt, pixels);
        turns.push({ first, count: list.length - first, moves: {} });
      }
    }
    stages.push(turns);

    // Where each position of the chunk lies in the turned x.
    const key = `${chunk.pictures}:${chunk.levels}:${chunk.rows}`;
    let table = tableOf.get(key);
    if (table === undefined) {
      const places: number[] = [];
      for (let n = 0; n < chunk.pictures; n++) {
        for (let z = 0; z < chunk.levels; z++) {
          for (let y = 0; y < chunk.rows; y++) {
            for (let x = 0; x < ySize[2]; x++) {
              const at = (z * s[0] * ey + y * s[1]) * px + x * s[2];
              places.push(4 * (n * g.groups * xPicture + at * pixel));
            }
          }
        }
      }
      table = tables.add(places);
      tableOf.set(key, table);
    }

    const items: Item[] = [];
    for (let group = 0; group < g.groups; group++) {
      for (let row = 0; row < tapRows; row++) {
        for (let o = 0; o < outputs; o += oBlock) {
          const first = list.length;
          multiply(number === 0, group, row, o, Math.min(oBlock, outputs - o), {
            table,
            pixels,
            ey,
            xPicture,
            yAt,
          });
          items.push({ first, count: list.length - first, moves: {} });
        }
      }
    }
    stages.push(items);
  }

  // w into its own order; an empty batch leaves zeros.
  const last: Item[] = [];
  for (let group = 0; group < g.groups; group++) {
    const first = list.length;
    const out = [BASE.output, 4 * group * outputs * inputs * taps] as const;
    if (chunks.length === 0) list.push('clear', out, 4 * outputs * inputs * taps);
    else {
      const from = [BASE.packed, 4 * group * groupFloats] as const;
      const tapStep = 4 * (merged ? inputs : lanes);
      const [src2, dst2] = merged ? [4 * lanes, 4 * k[2]] : [4 * lanes * k[2], 4 * k[2]];
      const steps = [outputs, cRow, 4 * inputs * taps, k[0] * k[1], src2, dst2] as const;
      list.push('turn', from, out, k[2], tapStep, inputs, 4, 4 * taps, 0, ...steps);
    }
    last.push({ first, count: list.length - first, moves: {} });
  }
  stages.push(last);

  return {
    commands: Int32Array.from(list.words),
    tables: Int32Array.from(tables.words),
    stages,
    packStages: 0,
    packedBytes: 4 * groupFloats * g.groups,
    workBytes: 0,
    sharedBytes: 4 * sharedFloats,
    flops,
  };

  function turnX(chunk: Chunk, ez: number, ey: number, n: number, group: number, at: number): void {
    const sizes = [ez, ey, px];
    const start = [chunk.z * s[0] - pb[0], chunk.y * s[1] - pb[1], -pb[2]];
    // Positions of the extent that fall into x.
    const from = start.map((origin, axis) => Math.min(sizes[axis], Math.max(0, -origin)));
    const to = start.map((origin, axis) => Math.max(from[axis], Math.min(sizes[axis], xSize[axis] - origin)));
    const full = from.every((f, axis) => f === 0 && to[axis] === sizes[axis]);
    if (!full) list.push('clear', [BASE.shared, at], 4 * product(sizes) * pixel);
    const count = to.map((t, axis) => t - from[axis]);
    if (count.some((c) => c === 0)) return;
    const [z, y, x] = from.map((f, axis) => start[axis] + f);
    const source =
      ((chunk.n + n) * g.xChannels + group * inputs) * xPlane + (z * xSize[1] + y) * xSize[2] + x;
    const target = ((from[0] * ey + from[1]) * px + from[2]) * pixel;
    const levels = [count[0], 4 * xSize[1] * xSize[2], 4 * ey * px * pixel] as const;
    const rows = [count[1], 4 * xSize[2], 4 * px * pixel] as const;
    const dst = [BASE.shared, at + 4 * target] as const;
    const zeros = pixel - inputs;
    list.push(
      'turn',
      [BASE.input, 4 * source],
      dst,
      inputs,
      4 * xPlane,
      count[2],
      4,
      4 * pixel,
      zeros,
      ...levels,
      ...rows,
    );
  }

  /** Panels of y: [group][tile of o][position of the chunk][row of the tile]. */
  function turnY(chunk: Chunk, n: number, group: number, yAt: number, pixels: number): void {
    const perPicture = chunk.levels * chunk.rows * ySize[2];
    const full = Math.floor(outputs / mr);
    const emit = (height: number, tiles: number, firstRow: number) => {
      for (let z = 0; z < chunk.levels; z++) {
        const plane = ((chunk.n + n) * g.yChannels + group * outputs + firstRow) * yPlane;
        const source = plane + ((chunk.z + z) * ySize[1] + chunk.y) * ySize[2];
        const place = n * perPicture + z * chunk.rows * ySize[2];
        const target = yAt + group * outputs * pixels + firstRow * pixels + place * height;
        list.push(
          'turn',
          [BASE.weight, 4 * source],
          [BASE.shared, 4 * target],
          height,
          4 * yPlane,
          chunk.rows * ySize[2],
          4,
          4 * height,
          0,
          tiles,
          4 * height * yPlane,
          4 * height * pixels,
          1,
        );
      }
    };
    if (full > 0) emit(mr, full, 0);
    if (outputs > full * mr) emit(outputs - full * mr, 1, full * mr);
  }

  function multiply(
    fresh: boolean,
    group: number,
    row: number,
    o: number,
    count: number,
    {
      table,
      pixels,
      ey,
      xPicture,
      yAt,
    }: { table: number; pixels: number; ey: number; xPicture: number; yAt: number },
  ): void {
    const ux = merged ? 0 : row % k[2];
    const rest = merged ? row : Math.floor(row / k[2]);
    const [uz, uy] = [Math.floor(rest / k[1]), rest % k[1]];
    const shift = ((uz * d[0] * ey + uy * d[1]) * px + ux * d[2]) * pixel;
    const b = [BASE.shared, 4 * (group * xPicture + shift)] as const;
    for (let from = 0; from < pixels; from += K_BLOCK) {
      const depth = Math.min(K_BLOCK, pixels - from);
      const emit = (height: number, tiles: number, firstRow: number) => {
        const a = [
          BASE.shared,
          4 * (yAt + group * outputs * pixels + firstRow * pixels + from * height),
        ] as const;
        const c = [BASE.packed, 4 * group * groupFloats + firstRow * cRow + 4 * row * lanes] as const;
        const start = fresh && from === 0 ? 1 : 0;
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
          start,
          ...strips,
          ...tile,
        );
      };
      const full = Math.floor(count / mr);
      if (full > 0) emit(mr, full, o);
      if (count > full * mr) emit(count - full * mr, 1, o + full * mr);
    }
  }
}
