/**
 * winograd-plan: a problem on the grid of tiles (winograd.ts) cut into work. Per band of tiles, of one picture or, where
 * they are small, of several:
 *
 *   1. pad         the rows of the input that the band sees, split by residue of the step from tile to tile;
 *   2. tileInput   a plane for every place of a tile: rows of input channels × tiles;
 *   3. gemm        output channels × tiles, once per place;
 *   4. tileOutput  the products of a tile to its outputs;
 *   5. store       from there to the output, as in dense plans.
 *
 * A value that is not finite would spoil all outputs of its tile, not only those that see it. So a result that is not finite
 * raises the flag of the call, and the problem is solved densely then (loops/conv.ts).
 */
import type { Activation } from '../../backend.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { lift } from '../../geometry/three-axes.js';
import type { Form } from '../../geometry/winograd.js';
import { BandInput, type Box, type Layout } from './band-input.js';
import { activateRows, type Line, rangeOf, storeBand } from './band-output.js';
import { eachTile, flopsOf, gridOf, layBands } from './bands.js';
import {
  BASE,
  CommandList,
  FLAG_AT,
  K_BLOCK,
  type Plan,
  product,
  roundUp,
  SHARE_FROM_FLOPS,
  SLACK,
  type Stretch,
  TableBuilder,
} from './commands.js';
import type { DenseOptions } from './dense-plan.js';
import { type Band, layItems } from './items.js';
import { packStretches } from './panels.js';
import type { Problem, Triple } from './problem.js';
import { type TileAxis, type TilePhase, type TileProblem, tileProblem } from './winograd.js';

/** Tiles of a band: as many as keep its transformed input to so many bytes, but not fewer or more than so many. */
const INPUT_TARGET = 768 * 1024;
const LEAST_TILES = 96;
const MOST_TILES = 256;
/** Bytes of transformed input and what it is made from, at most; and of a band's products. */
const ROOM = 3 * 1024 * 1024;
/** Values of a transformed weight from which bands that threads share are made so many times as large: they read it so often less. */
const HEAVY_WEIGHT = 4 * 1024 * 1024;
const HEAVY_BANDS = 2;
const PRODUCTS_TARGET = 384 * 1024;
/** Rows of a product that threads share should have at most, and channels that one item transforms at least. */
const SHARED_ROWS = 96;
const LEAST_CHANNELS = 8;
/** Items that work worth sharing is cut into, if it allows. */
const ITEMS = 8;

/** A run of output channels, and where its panels begin, in bytes. */
interface Block {
  readonly from: number;
  readonly count: number;
  readonly panels: number;
}

/** A run of input channels. */
interface Run {
  readonly from: number;
  readonly count: number;
}

/** Bands of so many tiles, of so many pictures at once; and how many there are. */
interface Cut {
  readonly size: readonly number[];
  readonly pictures: number;
  readonly count: number;
}

/** Where the transformed input of a band lies: its base and its first byte. */
type Place = readonly [base: number, at: number];

type Pair = readonly [y: number, x: number];

/** All pairs of numbers below two. */
function pairs(height: number, width: number): Pair[] {
  return Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width]);
}

class WinogradPlanner {
  readonly #p: Problem;
  readonly #y: TileAxis;
  readonly #x: TileAxis;
  readonly #form: Form;
  /** Places of a tile: matrix products. */
  readonly #places: number;
  /** Rows of the transformed input: residues of the stride × input channels. */
  readonly #depth: number;
  readonly #options: DenseOptions;
  readonly #list: CommandList;
  readonly #tables = new TableBuilder();
  readonly #input: BandInput;
  readonly #groups: number;
  /** Of the weight as it is; the problem's is filled up. */
  readonly #kernelSize: Triple;
  /** Phases of the original problem: rows per output channel. */
  readonly #kinds: number;
  /** Residues of the dilation, and of the stride, of both axes. */
  readonly #residues: readonly Pair[];
  readonly #splits: readonly Pair[];
  #workBytes = 0;

  constructor({ problem, form, y, x }: TileProblem, g: ConvGeometry, options: DenseOptions) {
    this.#p = problem;
    this.#y = y;
    this.#x = x;
    this.#form = form;
    this.#places = form.inputs ** 2;
    this.#depth = problem.inChannels * y.splits * x.splits;
    this.#groups = g.groups;
    this.#kernelSize = lift(g.kernelSize, 1);
    this.#options = options;
    this.#list = new CommandList(options.commands);
    this.#input = new BandInput(problem, gridOf(problem));
    this.#kinds = y.kinds.length * x.kinds.length;
    this.#residues = pairs(y.dilation, x.dilation);
    this.#splits = pairs(y.splits, x.splits);
  }

  plan(batch: number, flops: number): Plan {
    const p = this.#p;
    const groups = this.#groups;
    const least = flops >= SHARE_FROM_FLOPS ? Math.ceil(ITEMS / groups) : 1;
    const heavy = this.#places * this.#depth * this.#kinds * p.outChannels > HEAVY_WEIGHT;
    const shared = this.#cut(batch, heavy ? Math.min(HEAVY_BANDS, this.#options.threads ?? 1) : 1);
    const together = groups === 1 && shared.count < least;
    const cut = together ? shared : this.#cut(batch, 1);
    const pitch = this.#pitchOf(this.#tilesOf(cut.size, cut.pictures));
    const most = Math.floor(PRODUCTS_TARGET / (4 * this.#places * pitch * this.#kinds));
    const fair = Math.ceil(p.outChannels / Math.ceil(least / cut.count));
    const wanted = together ? Math.min(fair, Math.ceil(SHARED_ROWS / this.#kinds)) : p.outChannels;
    const { mr } = this.#options.tile;
    const rows = Math.max(1, Math.min(most, wanted));
    const step = Math.min(p.outChannels, rows < mr ? rows : rows - (rows % mr));
    const { blocks, floats, packs } = this.#layWeight(step);
    const { bias, activation } = this.#options;
    const repeats = { batch: 1, groups, bias, slopes: activation?.fn === 'prelu', packedFloats: floats };
    const slot = this.#slotBytes(pitch);
    const slots = together ? Math.max(1, Math.min(cut.count, Math.floor(ROOM / slot))) : 0;
    const stages = together
      ? this.#together(batch, cut, blocks, { slots, bytes: slot })
      : [this.#apart(batch, cut, blocks)];
    const given = { ...p, kernelSize: this.#kernelSize };
    const packing = packs.map((stretches) => layItems(given, stretches, [], repeats)[0]);
    return {
      stages: [...packing, ...stages.map((bands) => layItems(given, [], bands, repeats)[1])],
      commands: Int32Array.from(this.#list.words),
      tables: Int32Array.from(this.#tables.words),
      packStages: packs.length,
      packedBytes: floats * groups * 4 + SLACK * 4,
      workBytes: this.#workBytes,
      sharedBytes: slots * slot,
      repeatable: true,
      flops,
    };
  }

  /** The bands of all pictures, in parts. */
  #lay<Part>(
    batch: number,
    { size, pictures }: Cut,
    parts: readonly Part[],
    emit: (box: Box, pictures: number, part: Part) => void,
  ): Band[] {
    const rest = batch % pictures;
    const bandsOf = (count: number, from: number, to: number) => {
      if (from === to) return [];
      const bands = layBands(this.#p, this.#input, size, this.#list, parts, (box, part) =>
        emit(box, count, part),
      );
      const firsts = Array.from({ length: (to - from) / count }, (_, i) => from + i * count);
      return firsts.flatMap((picture) => bands.map((band) => ({ ...band, picture })));
    };
    return [...bandsOf(pictures, 0, batch - rest), ...bandsOf(rest, batch - rest, batch)];
  }

  /** Bands that one thread works on from end to end. */
  #apart(batch: number, cut: Cut, blocks: readonly Block[]): Band[] {
    const all = { from: 0, count: this.#p.inChannels };
    return this.#lay(batch, cut, [blocks], (box, pictures, part) => {
      const at = [BASE.work, 4 * this.#input.layout(box.size).floats] as const;
      this.#transform(box, pictures, all, at);
      this.#multiply(box, pictures, part, at);
    });
  }

  /**
   * Bands whose input is transformed by all threads, into a buffer that has room for some of them, and then multiplied by all:
   * two stages for as many bands as there are slots.
   */
  #together(
    batch: number,
    cut: Cut,
    blocks: readonly Block[],
    { slots, bytes }: { readonly slots: number; readonly bytes: number },
  ): Band[][] {
    const { inChannels } = this.#p;
    const each = Math.max(LEAST_CHANNELS, Math.ceil((inChannels * cut.count) / ITEMS));
    const runs: Run[] = [];
    for (let from = 0; from < inChannels; from += each)
      runs.push({ from, count: Math.min(each, inChannels - from) });
    const shared = [BASE.shared, 0] as const;
    const turns = this.#lay(batch, cut, runs, (box, pictures, run) =>
      this.#transform(box, pictures, run, shared),
    );
    const works = this.#lay(batch, cut, blocks, (box, pictures, block) =>
      this.#multiply(box, pictures, [block], shared),
    );
    const stages: Band[][] = [];
    for (let first = 0; first < cut.count; first += slots) {
      const part = (bands: readonly Band[], parts: number) =>
        bands
          .slice(first * parts, (first + slots) * parts)
          .map((band, i) => ({ ...band, shared: Math.floor(i / parts) * bytes }));
      stages.push(part(turns, runs.length), part(works, blocks.length));
    }
    return stages;
  }

  #tilesOf([, height, width]: readonly number[], pictures: number): number {
    return pictures * this.#residues.length * height * width;
  }

  /**
   * Bands of as many tiles as there is room for, `times` the usual: several pictures, or rows of one, or parts of a row; all about
   * the same.
   */
  #cut(batch: number, times: number): Cut {
    const [, height, width] = gridOf(this.#p);
    const size = [1, height, width];
    const wanted = INPUT_TARGET / (4 * this.#places * this.#depth);
    let pictures = 1;
    for (let fit = Math.min(MOST_TILES, times * Math.max(LEAST_TILES, wanted)); ; fit *= 0.8) {
      const even = (whole: number, each: number, unit = 1) => {
        const parts = Math.ceil(whole / Math.max(unit, Math.floor(fit / each)));
        return Math.min(whole, roundUp(Math.ceil(whole / parts), unit));
      };
      pictures = even(batch, this.#tilesOf([1, height, width], 1));
      size[1] = even(height, this.#tilesOf([1, 1, width], pictures));
      size[2] = even(width, this.#tilesOf([1, size[1], 1], pictures), 4);
      const slot = this.#slotBytes(this.#pitchOf(this.#tilesOf(size, pictures)));
      if (slot + 4 * this.#input.layout(size).floats <= times * ROOM || fit < this.#residues.length) break;
    }
    const count = Math.ceil(batch / pictures) * Math.ceil(height / size[1]) * Math.ceil(width / size[2]);
    return { size, pictures, count };
  }

  /** Floats from one row of tiles to the next: whole strips, a few tiles that may be touched, no power of two. */
  #pitchOf(tiles: number): number {
    const { nr } = this.#options.tile;
    const pitch = roundUp(tiles + nr / 2 - 1, Math.max(16, nr));
    return pitch % 32 === 0 ? pitch + 16 : pitch;
  }

  /**
   * The transformed weight: per block and place, panels of rows that are (phase, channel) pairs. Behind them lies the weight filled
   * up with zeros, if it has to be: that is a stage of its own.
   */
  #layWeight(step: number): { blocks: Block[]; floats: number; packs: Stretch[][] } {
    const p = this.#p;
    const { mr } = this.#options.tile;
    const [[, ownHeight, ownWidth], [, kh, kw]] = [this.#kernelSize, p.kernelSize];
    const tapTable = this.#tables.add(this.#y.taps.flatMap((u) => this.#x.taps.map((v) => 4 * (u * kw + v))));
    const channels = Array.from({ length: p.inChannels }, (_, i) => i);
    const taps = this.#splits.flatMap(([y, x]) => channels.map((i) => 4 * (i * p.weightIn + y * kw + x)));
    const kTable = this.#tables.add(taps);
    const depth = this.#depth;
    const packs: Stretch[][] = [];
    let weight: Place = [BASE.weight, 0];
    let floats = this.#places * this.#kinds * p.outChannels * depth;
    if (kh > ownHeight || kw > ownWidth) {
      const begin = this.#list.length;
      weight = [BASE.packed, 4 * floats];
      const pairs = p.inChannels * p.outChannels;
      const each = [pairs, 4 * ownHeight * ownWidth, 4 * kh * kw] as const;
      const zeros = [BASE.packed, 4 * (floats + ownHeight * kw)] as const;
      const line = [0, ownWidth, 4, kw - ownWidth] as const;
      this.#list.push('pad', [BASE.weight, 0], weight, ...each, ownHeight, 4 * ownWidth, 4 * kw, ...line);
      this.#list.push('pad', 0, zeros, pairs, 0, 4 * kh * kw, kh - ownHeight, 0, 4 * kw, kw);
      packs.push([{ first: begin, count: this.#list.length - begin }]);
      floats += pairs * kh * kw;
    }
    const first = this.#list.length;
    const blocks: Block[] = [];
    let at = 0;
    for (let from = 0; from < p.outChannels; from += step) {
      const count = Math.min(step, p.outChannels - from);
      const rows = this.#y.kinds.flatMap((y) =>
        this.#x.kinds.flatMap((x) =>
          Array.from({ length: count }, (_, o) => 4 * ((from + o) * p.weightOut + y.tap * kw + x.tap)),
        ),
      );
      const rowTable = this.#tables.add(rows);
      for (let r = 0; r < rows.length; r += mr) {
        const panel = [BASE.packed, 4 * (at + r * depth)] as const;
        this.#list.push(
          `tileWeight${this.#form.outputs}`,
          weight,
          panel,
          [BASE.tables, rowTable + 4 * r],
          Math.min(mr, rows.length - r),
          [BASE.tables, kTable],
          depth,
          [BASE.tables, tapTable],
          4 * rows.length * depth,
        );
      }
      blocks.push({ from, count, panels: 4 * at });
      at += this.#places * rows.length * depth;
    }
    packs.push(packStretches(first, this.#list.length));
    return { blocks, floats, packs };
  }

  /** Bytes of the transformed input of a band. */
  #slotBytes(pitch: number): number {
    return this.#places * this.#planeBytes(this.#depth, pitch);
  }

  /** Bytes of one place of so many rows. */
  #planeBytes(rows: number, pitch: number): number {
    return 4 * (pitch * rows + SLACK);
  }

  /** Brings channels of the input of a band into Winograd's form. */
  #transform(box: Box, pictures: number, { from, count }: Run, [base, at]: Place): void {
    const p = this.#p;
    const input = new BandInput({ ...p, inChannels: count }, gridOf(p));
    const layout = input.layout(box.size);
    this.#workBytes = Math.max(this.#workBytes, 4 * layout.floats);
    const [, height, width] = box.size;
    const each = height * width;
    const pitch = this.#pitchOf(this.#tilesOf(box.size, pictures));
    const plane = this.#planeBytes(this.#depth, pitch);
    const channelBytes = 4 * product(p.inSize);
    const tables = this.#residues.map(([ry, rx]) =>
      this.#splits.map(([sy, sx]) => this.#inputsOf(input, layout, [ry + sy, rx + sx])),
    );
    for (let n = 0; n < pictures; n++) {
      input.pad(this.#list, box, layout, (n * p.inChannels * this.#groups + from) * channelBytes);
      for (const [which, splits] of tables.entries()) {
        const lane = (n * this.#residues.length + which) * each;
        for (const [split, table] of splits.entries()) {
          const to = [base, at + 4 * ((split * p.inChannels + from) * pitch + lane)] as const;
          const channels = [count, 4 * layout.channel, 4 * pitch] as const;
          const rows = [height, 4 * layout.x, 4 * width, width] as const;
          const name = `tileInput${this.#form.inputs}`;
          this.#list.push(name, [BASE.work, 0], to, [BASE.tables, table], plane, ...channels, ...rows);
        }
      }
    }
  }

  /** Table of the byte offsets of a tile's inputs in the padded input of a band. */
  #inputsOf(input: BandInput, layout: Layout, [ry, rx]: Pair): number {
    const across = input.reach[2].residues.length;
    const { inputs } = this.#form;
    const offsets = pairs(inputs, inputs).map(([i, j]) => {
      const [planeY, y] = input.place(1, this.#y.low + ry + this.#y.spacing * i);
      const [planeX, x] = input.place(2, this.#x.low + rx + this.#x.spacing * j);
      return 4 * ((planeY * across + planeX) * layout.plane + y * layout.x + x);
    });
    return this.#tables.add(offsets);
  }

  /** Multiplies the transformed input of a band, and stores the outputs. */
  #multiply(box: Box, pictures: number, blocks: readonly Block[], [base, at]: Place): void {
    const p = this.#p;
    const { activation, bias, scale, tile } = this.#options;
    const list = this.#list;
    const [, height, width] = box.size;
    const each = height * width;
    const tiles = this.#tilesOf(box.size, pictures);
    const pitch = this.#pitchOf(tiles);
    const row = 4 * pitch;
    const depth = this.#depth;
    const { outputs } = this.#form;
    const inPlane = this.#planeBytes(depth, pitch);
    const outAt = base === BASE.work ? at + this.#places * inPlane : 0;
    const outBytes = 4 * p.outChannels * product(p.outSize) * this.#groups;
    const kTable = this.#tables.add(Array.from({ length: depth }, (_, i) => i * row));
    for (const block of blocks) {
      const rows = this.#kinds * block.count;
      const outPlane = this.#planeBytes(rows, pitch);
      this.#workBytes = Math.max(this.#workBytes, outAt + this.#places * outPlane);
      const strips = Math.ceil(tiles / tile.nr);
      for (let place = 0; place < this.#places; place++) {
        const panels = block.panels + 4 * place * rows * depth;
        for (let k = 0; k < depth; k += K_BLOCK) {
          const deep = Math.min(K_BLOCK, depth - k);
          eachTile(rows, tile.mr, (high, count, firstRow) => {
            const a = [BASE.packed, panels + 4 * (firstRow * depth + k * high)] as const;
            const b = [base, at + place * inPlane] as const;
            const c = [BASE.work, outAt + place * outPlane + firstRow * row] as const;
            const along = [strips, 0, 4 * tile.nr, 4 * tile.nr] as const;
            const down = [count, 4 * high * depth, 0, high * row] as const;
            const table = [BASE.tables, kTable + 4 * k] as const;
            list.push(`gemm${high}`, a, b, table, deep, c, row, k === 0 ? 1 : 0, ...along, ...down);
          });
        }
      }
      list.push(`tileOutput${outputs}`, [BASE.work, outAt], outPlane, FLAG_AT, rows, row, tiles);
      if (activation !== undefined) this.#activate(activation, block, outAt, outPlane, row, tiles);
      for (let n = 0; n < pictures; n++) {
        const lines = this.#lines(box, row, (place, kind, residue) => {
          const lane = (n * this.#residues.length + residue) * each;
          return outAt + place * outPlane + kind * block.count * row + 4 * lane;
        });
        const finish = { from: block.from, count: block.count, scale, picture: n * outBytes };
        storeBand(list, p, lines, { ...finish, bias: bias && activation === undefined });
      }
    }
  }

  #activate(
    activation: Activation,
    { from, count }: Block,
    at: number,
    plane: number,
    row: number,
    positions: number,
  ) {
    const { bias } = this.#options;
    for (let place = 0; place < this.#form.outputs ** 2; place++)
      for (let kind = 0; kind < this.#kinds; kind++) {
        const c = at + place * plane + kind * count * row;
        activateRows(this.#list, activation, { c, row, positions, from, count, bias });
      }
  }

  /** The outputs of a block's tiles, and where each goes. */
  #lines(box: Box, row: number, at: (place: number, kind: number, residue: number) => number): Line[] {
    const p = this.#p;
    const [, , width] = p.outSize;
    const pitch = box.size[2];
    const rangeIn = (axis: 1 | 2, phase: TilePhase) => rangeOf(p, box, axis, phase);
    return this.#y.phases.flatMap((py) =>
      this.#x.phases.flatMap((px): Line[] => {
        const [y, x] = [rangeIn(1, py), rangeIn(2, px)];
        if (y.count <= 0 || x.count <= 0) return [];
        const place = py.place * this.#form.outputs + px.place;
        const kind = py.kind * this.#x.kinds.length + px.kind;
        const residue = py.residue * this.#x.dilation + px.residue;
        return [
          {
            c: at(place, kind, residue) + 4 * (y.local * pitch + x.local),
            row,
            pitch: 4 * pitch,
            level: 0,
            out: y.out * width + x.out,
            row0: y.out,
            z: 1,
            y: y.count,
            x: x.count,
          },
        ];
      }),
    );
  }
}

/**
 * The plan of a convolution or its transpose in a form that its geometry is fit for; the problem is that of its kernel filled up to
 * taps × stride. Results that are not finite raise the flag of the call.
 */
export function planWinograd(problem: Problem, form: Form, g: ConvGeometry, options: DenseOptions): Plan {
  const planner = new WinogradPlanner(tileProblem(problem, form), g, options);
  return planner.plan(g.batch, flopsOf(problem, g.batch * g.groups));
}
