/**
 * tile-bands: the grid of tiles cut into bands, and how the transformed input of a band lies in memory: a plane for every place of a
 * tile, in it a row for every channel, in that the band's positions one after the other: of each picture, of each residue of the
 * dilation, level by level and row by row. Along axes without tiles there are more positions than outputs, which plain sums see.
 */
import type { Form } from '../../geometry/winograd.js';
import { BandInput, type Box } from './band-input.js';
import { gridOf } from './bands.js';
import { product, roundUp, SLACK } from './commands.js';
import type { Problem } from './problem.js';
import type { TileAxis, TileProblem } from './winograd.js';
import { placesOf } from './winograd-kernels.js';

/** Tiles of a band: as many as keep its transformed input to so many bytes, but not fewer or more than so many. */
const INPUT_TARGET = 768 * 1024;
const LEAST_TILES = 96;
const MOST_TILES = 256;
/** Tiles in lines are smaller, and what neighbouring bands both read tells more. */
const MOST_LINES = 1024;
/** Thin bands fill this share of their strips, may have so much more than their share of tiles, and read a weight of so many bytes often. */
const THIN = 0.85;
const NEARLY = 1.1;
const LIGHT_WEIGHT = 768 * 1024;
/** Bytes of transformed input and what it is made from, at most; and of a band's products. */
export const ROOM = 3 * 1024 * 1024;

/** Bands of so many tiles, of so many pictures at once; and how many there are. */
export interface Cut {
  readonly size: readonly number[];
  readonly pictures: number;
  readonly count: number;
}

const mostOf = ({ plane }: Form): number => (plane ? MOST_TILES : MOST_LINES);

/** Bands of a problem on the grid of tiles. */
export class TileBands {
  readonly #p: Problem;
  readonly #axes: readonly [TileAxis, TileAxis, TileAxis];
  readonly #places: number;
  readonly #channels: number;
  /** Residues of the dilation of all axes. */
  readonly #residues: number;
  readonly #nr: number;
  readonly #most: number;
  readonly #input: BandInput;
  /** The problem whose rows along y are not split by residue: tiles step over them, `step` at a time. */
  readonly rows: Problem;
  readonly step: number;

  /** @param channels rows of the transformed input @param nr floats of a strip */
  constructor({ problem, form, axes }: TileProblem, channels: number, nr: number) {
    this.#p = problem;
    this.#axes = axes;
    this.#places = placesOf(form);
    this.#channels = channels;
    this.#residues = product(axes.map(({ dilation }) => dilation));
    this.#nr = nr;
    this.#most = mostOf(form);
    const [z, y, x] = problem.inStride;
    this.step = axes[1].tiled ? y : 1;
    this.rows = { ...problem, inStride: [z, y / this.step, x] };
    this.#input = new BandInput(this.rows, gridOf(problem));
  }

  /** Positions of a band's transformed input per axis: tiles, or what plain sums see. */
  extent(size: readonly number[]): number[] {
    return size.map((length, axis) => length + this.#axes[axis].span);
  }

  /** Positions of the transformed input of a band of so many pictures. */
  positions(size: readonly number[], pictures: number): number {
    return pictures * this.#residues * product(this.extent(size));
  }

  /** Those of them from the first to the last that is one of the band's own. */
  used(size: readonly number[], pictures: number): number {
    const [, height, width] = this.extent(size);
    const [z, y, x] = size.map((length) => length - 1);
    const behind = product(this.extent(size)) - ((z * height + y) * width + x + 1);
    return this.positions(size, pictures) - behind;
  }

  /**
   * Bands of as many tiles as there is room for, `times` the usual, but not more than `most`: several pictures, or rows of one, or
   * parts of a row; all about the same.
   */
  cut(batch: number, times: number, most = Number.POSITIVE_INFINITY): Cut {
    const grid = gridOf(this.#p);
    const size = [...grid];
    const wanted = INPUT_TARGET / (4 * this.#places * this.#channels);
    let pictures = 1;
    for (let fit = Math.min(most, this.#most, times * Math.max(LEAST_TILES, wanted)); ; fit *= 0.8) {
      const even = (whole: number, room: number, unit = 1) => {
        const parts = Math.ceil(whole / Math.max(unit, Math.floor(room)));
        return Math.min(whole, roundUp(Math.ceil(whole / parts), unit));
      };
      pictures = even(batch, fit / this.positions(grid, 1));
      for (const [axis, unit] of [1, 1, 4].entries()) {
        // One position along this axis, whole ones along the next.
        const slice = size.map((_, a) => (a < axis ? size[a] : a > axis ? grid[a] : 1 - this.#axes[a].span));
        size[axis] = even(grid[axis], fit / this.positions(slice, pictures) - this.#axes[axis].span, unit);
      }
      const slot = this.slotBytes(this.pitch(size, pictures));
      if (slot + this.paddedBytes(size) <= times * ROOM || fit < this.#residues) break;
    }
    const bands = grid.map((length, axis) => Math.ceil(length / size[axis]));
    return { size, pictures, count: Math.ceil(batch / pictures) * product(bands) };
  }

  /**
   * So many bands, or about as many, if they fill their strips nearly as well as larger ones, and read the transformed weight, of so
   * many bytes, seldom enough.
   */
  thin(batch: number, count: number, weightBytes: number): Cut | undefined {
    const all = batch * this.positions(gridOf(this.#p), 1);
    const cut = this.cut(batch, 1, (all / count) * NEARLY);
    const used = this.used(cut.size, cut.pictures);
    if (cut.count < count * THIN || used < THIN * roundUp(used, this.#nr / 2)) return undefined;
    return used >= LEAST_TILES || weightBytes <= LIGHT_WEIGHT ? cut : undefined;
  }

  /** Floats from one channel of it to the next: whole strips, a few positions that may be touched, no power of two. */
  pitch(size: readonly number[], pictures: number): number {
    const nr = this.#nr;
    const pitch = roundUp(this.positions(size, pictures) + nr / 2 - 1, Math.max(16, nr));
    return pitch % 32 === 0 ? pitch + 16 : pitch;
  }

  /** Bytes of the transformed input of a band. */
  slotBytes(pitch: number): number {
    return this.#places * this.planeBytes(this.#channels, pitch);
  }

  /** Bytes of one place of so many rows. */
  planeBytes(rows: number, pitch: number): number {
    return 4 * (pitch * rows + SLACK);
  }

  /** Bytes of the padded input of a band. */
  paddedBytes(size: readonly number[]): number {
    return 4 * this.#input.layout(this.rowsOf({ from: size, size }).size).floats;
  }

  /** A band in rows of the input that are not split. */
  rowsOf({ from: [z, y, x], size: [levels, height, width] }: Box): Box {
    return { from: [z, y * this.step, x], size: [levels, (height - 1) * this.step + 1, width] };
  }
}
