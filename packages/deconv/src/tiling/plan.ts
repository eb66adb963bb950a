/**
 * plan: a picture too large for a network at once, cut into tiles whose results, put side by side, are what the network
 * would have made of the whole, to the last bit.
 *
 * Along each axis the plan is made from the graph of the whole picture (a dry run with the axis at its full length and the
 * others short): every tile gets a stretch of the output, and reads what the graph says it needs. Two rules keep a part in
 * step with the whole. A part begins at a multiple of the *alignment*, so that its beginning is a whole position in every
 * value. And its length leaves the same rest as the whole picture's, so that whatever goes by the length (padding to a
 * multiple, padding 'same', rounding) goes the same way. Then the network is run dry on a part of each size, and what is
 * right in its output is worked out from both graphs ({@link settle}): it must cover what the tile is to give. So a plan is
 * never believed, but checked.
 *
 * Memory is what lives at the same time in a dry run, to the byte. Refuses networks that cannot be run in parts along any
 * axis in need of cutting, saying which operation is to blame, and budgets that no tile keeps.
 */
import { usesWinograd } from '../backends.js';
import { DeconvError, refuse, show } from '../errors.js';
import { type Shape, showShape } from '../shape.js';
import type { DType } from '../tensor.js';
import {
  type AxisGraph,
  alignmentOf,
  type Interval,
  type Ratio,
  ratiosOf,
  refuseTiling,
  settle,
  spareFor,
} from './axis-graph.js';
import { bytesOf } from './dry.js';
import type { Followed, FollowedOutput } from './follow.js';

/** A part of an array: its first position and its length along each axis. */
export interface Box {
  readonly start: readonly number[];
  readonly size: readonly number[];
}

/** What a tile gives of one output. */
export interface TileOutput {
  /** Which part of the tile's result is right and wanted. */
  readonly keep: Box;
  /** Where that lies in the output; of the same size. */
  readonly place: Box;
}

/** One tile. */
export interface Tile {
  /** What it reads of the picture. */
  readonly input: Box;
  /** What it gives, per output of the network. */
  readonly outputs: readonly TileOutput[];
}

/** An output as a whole. */
export interface PlannedOutput {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** How a picture is cut. Boxes count along all axes of a tensor, the rest along the picture's axes. */
export interface TilePlan {
  /** Row by row. */
  readonly tiles: readonly Tile[];
  readonly outputs: readonly PlannedOutput[];
  /** Multiples at which tiles begin. */
  readonly alignment: readonly number[];
  /** The most pixels that a tile reads before and after those by which it advances. */
  readonly halo: readonly (readonly [before: number, after: number])[];
  /** Most bytes of values at the same time, for the largest tile. */
  readonly bytes: number;
}

/** How large tiles may be. */
export interface TileOptions {
  /**
   * Pixels of the picture by which tiles advance, for all its axes or one each; rounded up to the alignment, doubled until
   * the network takes parts of that size, and what a tile needs around it comes on top. `'auto'` (the default): as large as
   * maxMemory allows, the whole picture if it fits.
   */
  readonly tile?: 'auto' | number | readonly number[] | undefined;
  /** Bytes for the values of a run: the tile, what is computed of it, the result. Default 2²⁹ (512 MiB). */
  readonly maxMemory?: number | undefined;
}

/** Picture axes of an input. */
export interface Picture {
  readonly shape: Shape;
  /** The axes along which it may be cut. */
  readonly axes: readonly number[];
}

/** What a dry run tells. */
export interface Dry {
  readonly followed: Followed;
  readonly bytes: number;
}

/** A dry run on a picture of some size, following some of its axes. */
export type DryRun = (size: readonly number[], follow: readonly number[]) => Dry;

const OP = 'tiling';
const DEFAULT_MEMORY = 2 ** 29;

/**
 * Parts that are too short for some operation are widened by so many alignments, but not by more than half a tile: then it
 * is no matter of ends.
 */
const WIDER = [0, 1, 2, 4, 8] as const;

/** Options, complete. */
export interface CheckedTileOptions {
  readonly tile: 'auto' | readonly number[];
  readonly maxMemory: number;
}

/** Reads the options for a picture of so many axes. */
export function readTileOptions(op: string, options: TileOptions, rank: number): CheckedTileOptions {
  const { tile = 'auto', maxMemory = DEFAULT_MEMORY } = options;
  if (!(typeof maxMemory === 'number' && maxMemory > 0))
    refuse(op, 'maxMemory', `maxMemory must be a number of bytes > 0, got ${show(maxMemory)}`);
  if (tile === 'auto') return { tile, maxMemory };
  const list: readonly unknown[] = Array.isArray(tile) ? tile : new Array(rank).fill(tile);
  if (list.length !== rank || !list.every((n) => Number.isInteger(n) && (n as number) >= 1))
    refuse(op, 'tile', `tile must be 'auto', an integer ≥ 1, or ${rank} of them, got ${show(tile)}`);
  return { tile: list as readonly number[], maxMemory };
}

/** One axis of the whole picture. */
interface Axis {
  readonly size: number;
  readonly graph: AxisGraph;
  readonly calls: string;
  readonly ratios: readonly Ratio[];
  readonly alignment: number;
  /** Per output: its node and its length. */
  readonly outputs: readonly { readonly node: number; readonly size: number }[];
}

/** A stretch of one axis, which a tile gives. */
interface Stretch {
  readonly from: number;
  /** Behind the last. */
  readonly to: number;
  readonly start: number;
  readonly size: number;
  /** Per output, if the axis is cut. */
  readonly outputs: readonly Interval[];
}

/** Lengths to stand for an axis while another is followed: short, and with the rests that matter, as far as they are known. */
function standIns(n: number, alignment = 1): number[] {
  const lengths = [64, 192, 960].map((least) => {
    const multiple = Math.ceil(least / alignment) * alignment;
    return multiple + (n % multiple);
  });
  return [...lengths.filter((length) => length < n), n];
}

/** A dry run with one axis at full length; the others as short as the network takes them. */
function readAxis(dry: DryRun, size: readonly number[], axis: number, alignments: readonly number[]): Axis {
  const ladders = size.map((n, other) => (other === axis ? [n] : standIns(n, alignments[other])));
  const steps = Math.max(...ladders.map(({ length }) => length));
  let reason: unknown;
  for (let step = 0; step < steps; step++) {
    const lengths = ladders.map((ladder) => ladder[Math.min(step, ladder.length - 1)]);
    try {
      const { followed } = dry(lengths, [axis]);
      const [graph] = followed.graphs;
      const calls = followed.calls.join('\n');
      const ratios = ratiosOf(graph);
      const outputs = followed.outputs.map(({ shape, axes, nodes }) => ({
        node: nodes[0],
        size: shape[axes[0]],
      }));
      return { size: size[axis], graph, calls, ratios, alignment: alignmentOf(ratios), outputs };
    } catch (error) {
      if (!(error instanceof DeconvError)) throw error;
      reason = error;
    }
  }
  throw reason;
}

/** The stretch of an output that belongs to a stretch of the picture, which begins at a multiple of the alignment. */
function outputOf(from: number, to: number, whole: number, size: number, { output, input }: Ratio): Interval {
  const scaled = (at: number) => Math.min(size, (at * output) / input);
  return { from: scaled(from), to: (to === whole ? size : scaled(to)) - 1 };
}

/** Cuts an axis into stretches of about `length`, each with what it reads. */
function cut(axis: Axis, length: number, wider: number): Stretch[] {
  const { size, graph, ratios, alignment, outputs } = axis;
  const each = Math.ceil(size / Math.ceil(size / length) / alignment) * alignment;
  const stretches: Stretch[] = [];
  for (let from = 0; from < size; from += each) {
    const to = Math.min(size, from + each);
    const parts = outputs.map(({ node, size: n }) => outputOf(from, to, size, n, ratios[node]));
    if (parts.every((part) => part.to < part.from)) continue;
    const wanted = new Map<number, Interval>();
    for (const [i, { node }] of outputs.entries()) {
      const other = wanted.get(node) ?? parts[i];
      wanted.set(node, { from: Math.min(other.from, parts[i].from), to: Math.max(other.to, parts[i].to) });
    }
    const spare = spareFor(graph, ratios, wanted);
    const multiples = (pixels: number) => Math.max(0, Math.floor(pixels / alignment) - wider) * alignment;
    // It ends a multiple of the alignment before the end of the picture: so its length leaves the same rest.
    let [start, end] = [multiples(spare.before), size - multiples(spare.after)];
    // What lies in padding alone needs no picture, but the network does.
    while (end - start < 2 && end < size) end += alignment;
    while (end - start < 2 && start > 0) start -= alignment;
    stretches.push({ from, to, start, size: end - start, outputs: parts });
  }
  return stretches;
}

/** All combinations of one of each list; the last changes fastest. */
function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (heads, list) => heads.flatMap((head) => list.map((one) => [...head, one])),
    [[]],
  );
}

/** Bytes of results. */
function resultBytes(outputs: readonly FollowedOutput[]): number {
  return outputs.reduce((sum, { dtype, shape }) => sum + bytesOf(dtype, shape), 0);
}

/** Plans tiles for one network and one size of picture. */
class Planner {
  readonly #dry: DryRun;
  readonly #picture: Picture;
  readonly size: readonly number[];
  readonly #axes = new Map<string, Axis>();
  readonly #runs = new Map<string, Dry>();

  constructor(dry: DryRun, picture: Picture) {
    this.#dry = dry;
    this.#picture = picture;
    this.size = picture.axes.map((axis) => picture.shape[axis]);
  }

  /** The axis, if it can be cut; else why not is thrown. Read in view of the alignments of the others, if given. */
  axis(at: number, alignments: readonly number[] = []): Axis {
    const key = `${at} ${alignments}`;
    let axis = this.#axes.get(key);
    if (axis === undefined) {
      axis = readAxis(this.#dry, this.size, at, alignments);
      this.#axes.set(key, axis);
    }
    return axis;
  }

  /** The axis's alignment, if it can be cut. */
  alignment(at: number): number | undefined {
    try {
      return this.axis(at).alignment;
    } catch (error) {
      if (error instanceof DeconvError) return undefined;
      throw error;
    }
  }

  #run(size: readonly number[], cuts: readonly number[]): Dry {
    const key = `${size} ${cuts}`;
    let run = this.#runs.get(key);
    if (run === undefined) {
      run = this.#dry(size, cuts);
      this.#runs.set(key, run);
    }
    return run;
  }

  /** Stretches of all axes; those that are not cut are one. */
  #stretches(lengths: readonly number[], wider: number): Stretch[][] {
    return lengths.map((length, at) => {
      const size = this.size[at];
      return length < size
        ? cut(this.axis(at), length, wider)
        : [{ from: 0, to: size, start: 0, size, outputs: [] }];
    });
  }

  #cuts(lengths: readonly number[]): number[] {
    return lengths.flatMap((length, at) => (length < this.size[at] ? [at] : []));
  }

  /** The most bytes that tiles of these lengths take, found by one run. */
  bytes(lengths: readonly number[]): number {
    const largest = this.#stretches(lengths, 0).map((list) => Math.max(...list.map(({ size }) => size)));
    const { bytes, followed } = this.#run(largest, this.#cuts(lengths));
    return bytes + resultBytes(followed.outputs);
  }

  plan(lengths: readonly number[]): TilePlan {
    let reason: unknown;
    for (const wider of WIDER) {
      const tooWide = (at: number) => 2 * wider * this.axis(at).alignment > lengths[at];
      if (wider > 1 && this.#cuts(lengths).some(tooWide)) break;
      try {
        return this.#checked(lengths, wider);
      } catch (error) {
        if (!(error instanceof DeconvError)) throw error;
        reason ??= error;
      }
    }
    throw reason;
  }

  /** A plan of which every tile has been held against the whole. */
  #checked(lengths: readonly number[], wider: number): TilePlan {
    const cuts = this.#cuts(lengths);
    const lists = this.#stretches(lengths, wider);
    const alignments = this.size.map((_, at) => this.alignment(at) ?? 1);
    const settled = new Map<string, ReturnType<typeof settle>>();
    const tiles = product(lists).map((stretches): Tile => {
      const size = stretches.map((one) => one.size);
      const { followed } = this.#run(size, cuts);
      const right = cuts.map((at, i) => {
        const { start } = stretches[at];
        const key = `${at} ${start} ${size}`;
        let found = settled.get(key);
        if (found === undefined) {
          const { graph, ratios, calls } = this.axis(at, alignments);
          if (followed.calls.join('\n') !== calls)
            refuseTiling('the network', 'does other operations with a part than with the whole picture');
          found = settle(graph, followed.graphs[i], start, ratios);
          settled.set(key, found);
        }
        return found;
      });
      const outputs = followed.outputs.map((output, o): TileOutput => {
        const keep = { start: output.shape.map(() => 0), size: [...output.shape] };
        const place = { start: output.shape.map(() => 0), size: [...output.shape] };
        for (const [i, at] of cuts.entries()) {
          const wanted = stretches[at].outputs[o];
          const { offset, from, to } = right[i][output.nodes[i]];
          const length = wanted.to - wanted.from + 1;
          if (length > 0 && (wanted.from - offset < from || wanted.to - offset > to)) {
            refuseTiling(
              'the output',
              `is right from ${from + offset} to ${to + offset}, a tile is to give ${wanted.from} to ${wanted.to}`,
            );
          }
          const axis = output.axes[i];
          [keep.start[axis], place.start[axis]] = [Math.max(0, wanted.from - offset), wanted.from];
          [keep.size[axis], place.size[axis]] = [length, length];
        }
        return { keep, place };
      });
      return { input: this.#inputBox(stretches), outputs };
    });
    const runs = [...this.#used(lists, cuts)];
    const largest = lists.map((list) => Math.max(...list.map(({ size }) => size)));
    for (const at of cuts) this.#checkShapes(largest, cuts, at);
    return {
      tiles,
      outputs: this.#outputs(runs[0].followed.outputs, cuts),
      alignment: alignments.map((alignment, at) => (cuts.includes(at) ? alignment : 1)),
      halo: lists.map((list) => [
        Math.max(...list.map(({ from, start }) => from - start)),
        Math.max(...list.map(({ to, start, size }) => start + size - to)),
      ]),
      bytes: Math.max(...runs.map(({ bytes, followed }) => bytes + resultBytes(followed.outputs))),
    };
  }

  /** Refuses outputs that grow along several axes when the picture grows along one: shapes may be made of its lengths. */
  #checkShapes(size: readonly number[], cuts: readonly number[], at: number): void {
    const { alignment } = this.axis(at);
    // Both leave the same rest as the whole, and one is no longer than it.
    const other = size.map((n, axis) => (axis === at ? Math.min(n + alignment, this.size[at]) : n));
    const [a, b] = [size, other].map((lengths) => this.#run(lengths, cuts).followed.outputs);
    const own = cuts.indexOf(at);
    for (const [o, { shape, axes }] of a.entries())
      if (shape.some((n, axis) => axis !== axes[own] && n !== b[o].shape[axis]))
        refuseTiling('the output', `grows along more axes than one with the picture: ${showShape(shape)}`);
  }

  /** The dry runs of all tiles. */
  #used(lists: readonly (readonly Stretch[])[], cuts: readonly number[]): Set<Dry> {
    const sizes = lists.map((list) => [...new Set(list.map(({ size }) => size))]);
    return new Set(product(sizes).map((size) => this.#run(size, cuts)));
  }

  #inputBox(stretches: readonly Stretch[]): Box {
    const { shape, axes } = this.#picture;
    const [start, size] = [shape.map(() => 0), [...shape]];
    for (const [at, axis] of axes.entries())
      [start[axis], size[axis]] = [stretches[at].start, stretches[at].size];
    return { start, size };
  }

  /** The outputs as a whole: those of a tile, but for the axes that are cut. */
  #outputs(outputs: readonly FollowedOutput[], cuts: readonly number[]): PlannedOutput[] {
    return outputs.map(({ shape, dtype, axes }, o) => {
      const whole = [...shape];
      for (const [i, at] of cuts.entries()) whole[axes[i]] = this.axis(at).outputs[o].size;
      return { shape: whole, dtype };
    });
  }
}

const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** As large as memory allows. */
function planAutomatically(planner: Planner, maxMemory: number): TilePlan {
  const { size } = planner;
  const bytesOf = (lengths: readonly number[]): number | DeconvError => {
    try {
      return planner.bytes(lengths);
    } catch (error) {
      if (error instanceof DeconvError) return error;
      throw error;
    }
  };
  const whole = bytesOf(size);
  if (typeof whole === 'number' && whole <= maxMemory) return planner.plan(size);
  const alignments = size.map((_, at) => planner.alignment(at));
  // Why not, as the first axis says.
  if (alignments.every((alignment) => alignment === undefined)) planner.axis(0);
  const lengthsOf = (edge: number) =>
    alignments.map((alignment, at) =>
      alignment === undefined ? size[at] : Math.min(size[at], Math.ceil(edge / alignment) * alignment),
    );
  // Too small to run, fits …, too large: by doubling, then by halving what is between.
  let [fits, tooLarge, least] = [0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let refused: DeconvError | undefined;
  const longest = Math.max(...size);
  const tryEdge = (edge: number): void => {
    const bytes = bytesOf(lengthsOf(edge));
    if (typeof bytes === 'number' && bytes <= maxMemory) fits = edge;
    else if (typeof bytes === 'number' || fits > 0) tooLarge = edge;
    if (typeof bytes === 'number') least = Math.min(least, bytes);
    else refused ??= bytes;
  };
  for (let edge = 1; edge < 2 * longest && tooLarge === Number.POSITIVE_INFINITY; edge *= 2) tryEdge(edge);
  for (tooLarge = Math.min(tooLarge, longest); fits > 0 && tooLarge - fits > Math.max(1, fits / 32); )
    tryEdge(Math.floor((fits + tooLarge) / 2));
  if (fits === 0) {
    if (least === Number.POSITIVE_INFINITY && refused !== undefined) throw refused;
    refuse(
      OP,
      'maxMemory',
      `the smallest tile needs ${mebibytes(least)}, maxMemory is ${mebibytes(maxMemory)}`,
      `maxMemory: ${Math.ceil(least / 2 ** 20)} * 2 ** 20${usesWinograd() ? '; or configure({ winograd: false }), which can do with smaller tiles' : ''}`,
    );
  }
  // A plan may have to widen its tiles.
  for (let edge = fits; ; edge = Math.floor(edge * 0.9)) {
    const plan = planner.plan(lengthsOf(edge));
    if (plan.bytes <= maxMemory || edge < 2) return plan;
  }
}

/** Cuts a picture into tiles for a network that can be run dry. */
export function planPicture(dry: DryRun, picture: Picture, options: CheckedTileOptions): TilePlan {
  const planner = new Planner(dry, picture);
  // Without pixels there is nothing to cut.
  if (planner.size.includes(0)) return planner.plan(planner.size);
  if (options.tile === 'auto') return planAutomatically(planner, options.maxMemory);
  const lengths = options.tile.map((length, at) => {
    const size = planner.size[at];
    if (length >= size) return size;
    const { alignment } = planner.axis(at);
    return Math.min(size, Math.ceil(length / alignment) * alignment);
  });
  return planFrom(planner, lengths);
}

/** Tiles of these lengths; of twice, four times … as much if the network takes no parts so small. */
function planFrom(planner: Planner, lengths: readonly number[]): TilePlan {
  try {
    return planner.plan(lengths);
  } catch (error) {
    const doubled = lengths.map((length, at) => Math.min(2 * length, planner.size[at]));
    if (!(error instanceof DeconvError) || doubled.join() === planner.size.join()) throw error;
    try {
      return planFrom(planner, doubled);
    } catch (later) {
      // Why not, as the tiles that were asked for say.
      throw later instanceof DeconvError ? error : later;
    }
  }
}
