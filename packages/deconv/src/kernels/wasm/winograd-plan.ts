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
import type { Form, Tiling } from '../../geometry/winograd.js';
import { BandInput, type Box, type Layout } from './band-input.js';
import { type Line, rangeOf, storeBand } from './band-output.js';
import { combinations, eachTile, flopsOf, gridOf, layBands } from './bands.js';
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
import { activateRows, endingOf } from './ending.js';
import { type Band, layItems } from './items.js';
import { kernelsFor } from './microkernels.js';
import { packStretches } from './panels.js';
import type { Problem, Triple } from './problem.js';
import { type Cut, ROOM, TileBands } from './tile-bands.js';
import {
  type Arranged,
  arrange,
  type Part,
  type TileAxis,
  type TileProblem,
  tileProblem,
} from './winograd.js';
import { namesOf, placesOf } from './winograd-kernels.js';

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

/** A run of channels. */
interface Run {
  readonly from: number;
  readonly count: number;
}

/** Where the transformed input of a band lies: its base and its first byte. */
type Place = readonly [base: number, at: number];

type Pair = readonly [y: number, x: number];

type Tap = Part['taps'][number];

/** All pairs of numbers below two. */
function pairs(height: number, width: number): Pair[] {
  return Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width]);
}

class WinogradPlanner {
  readonly #p: Problem;
  readonly #axes: readonly [TileAxis, TileAxis, TileAxis];
  readonly #form: Form;
  /** Places of a tile: matrix products. */
  readonly #places: number;
  /** Parts of the kernel: one along each axis. */
  readonly #parts: Arranged<Part>;
  /** Rows of the transformed input: parts × input channels. */
  readonly #channels: number;
  /** Rows of B: those, times the taps that plain sums go over; where those of each part begin, and the last end. */
  readonly #rowsFrom: readonly number[];
  readonly #depth: number;
  readonly #options: DenseOptions;
  readonly #list: CommandList;
  readonly #tables = new TableBuilder();
  readonly #input: BandInput;
  readonly #bands: TileBands;
  readonly #groups: number;
  /** Of the weight as it is; the problem's is filled up. */
  readonly #kernelSize: Triple;
  /** The phases of the original problem, of each of which every output channel has a row. */
  readonly #kinds: Arranged<TileAxis['kinds'][number]>;
  /** Residues of the dilation of both axes. */
  readonly #residues: readonly Pair[];
  #workBytes = 0;

  constructor(tiles: TileProblem, g: ConvGeometry, options: DenseOptions) {
    const { problem, form, axes } = tiles;
    this.#p = problem;
    this.#axes = axes;
    this.#form = form;
    this.#places = placesOf(form);
    this.#parts = arrange(axes, form, ({ parts }) => parts);
    this.#channels = problem.inChannels * this.#parts.list.length;
    let depth = 0;
    const ends = this.#parts.list.map((part) => {
      depth += problem.inChannels * product(part.map(({ taps }) => taps.length));
      return depth;
    });
    this.#rowsFrom = [0, ...ends];
    this.#depth = depth;
    this.#groups = g.groups;
    this.#kernelSize = lift(g.kernelSize, 1);
    this.#options = options;
    this.#list = new CommandList(options.commands);
    this.#input = new BandInput(problem, gridOf(problem));
    this.#bands = new TileBands(tiles, this.#channels, options.tile.nr);
    this.#kinds = arrange(axes, form, ({ kinds }) => kinds);
    this.#residues = pairs(axes[1].dilation, axes[2].dilation);
  }

  plan(batch: number, flops: number): Plan {
    const p = this.#p;
    const groups = this.#groups;
    const least = flops >= SHARE_FROM_FLOPS ? Math.ceil(ITEMS / groups) : 1;
    const weight = this.#places * this.#depth * this.#kinds.list.length * p.outChannels;
    const times = weight > HEAVY_WEIGHT ? Math.min(HEAVY_BANDS, this.#options.threads ?? 1) : 1;
    const shared = this.#bands.cut(batch, times);
    const few = shared.count < least;
    const thin = few ? this.#bands.thin(batch, least, 4 * weight) : undefined;
    const together = groups === 1 && few && thin === undefined;
    const cut = together ? shared : (thin ?? this.#bands.cut(batch, 1));
    const kinds = this.#kinds.list.length;
    const pitch = this.#bands.pitch(cut.size, cut.pictures);
    const slot = this.#bands.slotBytes(pitch);
    const room = ROOM - this.#bands.paddedBytes(cut.size);
    const slots = together ? Math.max(1, Math.min(cut.count, Math.floor(room / slot))) : 0;
    const most = Math.floor(PRODUCTS_TARGET / (4 * this.#places * pitch * kinds));
    const fair = Math.ceil(p.outChannels / Math.ceil(least / slots));
    const wanted = together ? Math.min(fair, Math.ceil(SHARED_ROWS / kinds)) : p.outChannels;
    const rows = Math.max(1, Math.min(most, wanted));
    const runs = this.#cutRows(rows, together ? (this.#options.threads ?? 1) : 1);
    const { blocks, floats, packs } = this.#layWeight(runs);
    const { bias, activation } = this.#options;
    const repeats = { batch: 1, groups, bias, slopes: activation?.fn === 'prelu', packedFloats: floats };
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
  #lay<Share>(
    batch: number,
    { size, pictures }: Cut,
    parts: readonly Share[],
    emit: (box: Box, pictures: number, part: Share) => void,
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
      const at = [BASE.work, this.#bands.paddedBytes(box.size)] as const;
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
    const each = Math.max(LEAST_CHANNELS, Math.ceil((inChannels * slots) / ITEMS));
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

  /** A place of a tile, along each axis. */
  #placeAt(place: number): Pair {
    const across = this.#axes[2].tiled ? this.#form.inputs : 1;
    return [Math.floor(place / across), place % across];
  }

  /** Index of a tap of the kernel, or how far one lies behind another. */
  #tapOf(z: number, y: number, x: number): number {
    const [, kh, kw] = this.#p.kernelSize;
    return (z * kh + y) * kw + x;
  }

  /** Output channels in runs of at most so many, all about the same, in whole tiles if there is room for one; a multiple of `times` runs. */
  #cutRows(most: number, times: number): Run[] {
    const { outChannels } = this.#p;
    const { mr } = this.#options.tile;
    const unit = most < mr ? 1 : mr;
    const units = Math.ceil(outChannels / unit);
    const count = Math.min(units, roundUp(Math.ceil(units / Math.floor(most / unit)), times));
    const ends = Array.from({ length: count + 1 }, (_, i) =>
      Math.min(outChannels, unit * Math.floor((i * units) / count)),
    );
    return ends.slice(1).map((end, i) => ({ from: ends[i], count: end - ends[i] }));
  }

  /**
   * The transformed weight: per block and place, panels of rows that are (phase, channel) pairs. Behind them lies the weight filled
   * up with zeros, if it has to be: that is a stage of its own.
   */
  #layWeight(runs: readonly Run[]): { blocks: Block[]; floats: number; packs: Stretch[][] } {
    const p = this.#p;
    const { mr } = this.#options.tile;
    const [[levels, ownHeight, ownWidth], [, kh, kw]] = [this.#kernelSize, p.kernelSize];
    const offset = (z: number, y: number, x: number) => 4 * this.#tapOf(z, y, x);
    const tapTable = this.#tables.add(
      combinations(this.#axes.map(({ taps }) => taps)).map((at) => offset(...at)),
    );
    const kTable = this.#tables.add(
      this.#depthOf((i, z, y, x) => 4 * i * p.weightIn + offset(z.tap, y.tap, x.tap)),
    );
    const depth = this.#depth;
    const packs: Stretch[][] = [];
    let weight: Place = [BASE.weight, 0];
    let floats = this.#places * this.#kinds.list.length * p.outChannels * depth;
    if (kh > ownHeight || kw > ownWidth) {
      const begin = this.#list.length;
      weight = [BASE.packed, 4 * floats];
      const planes = levels * p.inChannels * p.outChannels;
      const each = [planes, 4 * ownHeight * ownWidth, 4 * kh * kw] as const;
      const zeros = [BASE.packed, 4 * (floats + ownHeight * kw)] as const;
      const line = [0, ownWidth, 4, kw - ownWidth] as const;
      this.#list.push('pad', [BASE.weight, 0], weight, ...each, ownHeight, 4 * ownWidth, 4 * kw, ...line);
      this.#list.push('pad', 0, zeros, planes, 0, 4 * kh * kw, kh - ownHeight, 0, 4 * kw, kw);
      packs.push([{ first: begin, count: this.#list.length - begin }]);
      floats += planes * kh * kw;
    }
    const first = this.#list.length;
    const blocks: Block[] = [];
    let at = 0;
    for (const { from, count } of runs) {
      const rows = this.#kinds.list.flatMap(([z, y, x]) =>
        Array.from({ length: count }, (_, o) => 4 * (from + o) * p.weightOut + offset(z.tap, y.tap, x.tap)),
      );
      const rowTable = this.#tables.add(rows);
      for (let r = 0; r < rows.length; r += mr) {
        const panel = [BASE.packed, 4 * (at + r * depth)] as const;
        this.#list.push(
          namesOf(this.#form).weight,
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

  /** `make` of each row of B: its input channel, taps of plain sums, and row of the transformed input. */
  #depthOf(make: (channel: number, z: Tap, y: Tap, x: Tap, row: number) => number): number[] {
    const channels = Array.from({ length: this.#p.inChannels }, (_, i) => i);
    return this.#parts.list.flatMap((parts, part) =>
      channels.flatMap((i) =>
        combinations(parts.map(({ taps }) => taps)).map((at) => make(i, ...at, part * channels.length + i)),
      ),
    );
  }

  /** Brings channels of the input of a band into Winograd's form. */
  #transform(box: Box, pictures: number, { from, count }: Run, [base, at]: Place): void {
    const p = this.#p;
    const input = new BandInput({ ...this.#bands.rows, inChannels: count }, gridOf(p));
    const rows = this.#bands.rowsOf(box);
    const layout = input.layout(rows.size);
    this.#workBytes = Math.max(this.#workBytes, 4 * layout.floats);
    const [levels, height, width] = this.#bands.extent(box.size);
    const pitch = this.#bands.pitch(box.size, pictures);
    const plane = this.#bands.planeBytes(this.#channels, pitch);
    const { step } = this.#bands;
    const tables = this.#residues.map((residues) =>
      this.#parts.list.map((parts) => this.#inputsOf(input, layout, residues, parts)),
    );
    for (let n = 0; n < pictures; n++) {
      input.pad(this.#list, rows, layout, n, from, p.inChannels * this.#groups);
      for (const [which, parts] of tables.entries()) {
        for (const [part, table] of parts.entries()) {
          for (let z = 0; z < levels; z++) {
            const lane = ((n * this.#residues.length + which) * levels + z) * height * width;
            const to = [base, at + 4 * ((part * p.inChannels + from) * pitch + lane)] as const;
            const level = [BASE.work, 4 * z * layout.y * layout.x] as const;
            const channels = [count, 4 * layout.channel, 4 * pitch] as const;
            const down = [height, 4 * step * layout.x, 4 * width, width] as const;
            const { input: name } = namesOf(this.#form);
            this.#list.push(name, level, to, [BASE.tables, table], plane, ...channels, ...down);
          }
        }
      }
    }
  }

  /** Table of the byte offsets of a tile's inputs, for one part of the kernel, in the padded input of a band. */
  #inputsOf(
    input: BandInput,
    layout: Layout,
    [ry, rx]: Pair,
    [partZ, partY, partX]: readonly [Part, Part, Part],
  ): number {
    const [, y, x] = this.#axes;
    const { inputs } = this.#form;
    const [down, across] = [y, x].map(({ tiled }) => (tiled ? inputs : 1));
    const residues = input.reach.map((reach) => reach.residues.length);
    const offsets = pairs(down, across).map(([i, j]) => {
      const [planeZ, atZ] = input.place(0, partZ.input);
      const [planeY, atY] = input.place(1, partY.input + ry + y.spacing * i);
      const [planeX, atX] = input.place(2, partX.input + rx + x.spacing * j);
      const plane = (planeZ * residues[1] + planeY) * residues[2] + planeX;
      return 4 * (plane * layout.plane + (atZ * layout.y + atY) * layout.x + atX);
    });
    return this.#tables.add(offsets);
  }

  /** Multiplies the transformed input of a band, and stores the outputs. */
  #multiply(box: Box, pictures: number, blocks: readonly Block[], [base, at]: Place): void {
    const p = this.#p;
    const { scale, residual = false, tile } = this.#options;
    const { activation, bias, floor } = endingOf(this.#options.activation, this.#options.bias);
    const list = this.#list;
    const [levels, height, width] = this.#bands.extent(box.size);
    const each = levels * height * width;
    const used = this.#bands.used(box.size, pictures);
    const pitch = this.#bands.pitch(box.size, pictures);
    const row = 4 * pitch;
    const depth = this.#depth;
    const kinds = this.#kinds.list.length;
    const inPlane = this.#bands.planeBytes(this.#channels, pitch);
    const outAt = base === BASE.work ? at + this.#places * inPlane : 0;
    const outBytes = 4 * p.outChannels * product(p.outSize) * this.#groups;
    const kTable = this.#tables.add(
      this.#depthOf((_, z, y, x, at) => at * row + 4 * ((z.shift * height + y.shift) * width + x.shift)),
    );
    for (const block of blocks) {
      const rows = kinds * block.count;
      const outPlane = this.#bands.planeBytes(rows, pitch);
      this.#workBytes = Math.max(this.#workBytes, outAt + this.#places * outPlane);
      for (let place = 0; place < this.#places; place++) {
        const [i, j] = this.#placeAt(place);
        const panels = block.panels + 4 * place * rows * depth;
        const multiply = (range: readonly [number, number], [first, end]: readonly number[]) => {
          // Once even where there is nothing to sum: the rows are zero then.
          for (let k = first; k < end || k === first; k += K_BLOCK) {
            const deep = Math.min(K_BLOCK, end - k);
            const emit = (high: number, count: number, firstRow: number) => {
              const a = [BASE.packed, panels + 4 * (firstRow * depth + k * high)] as const;
              const down = [count, 4 * high * depth, 0, high * row] as const;
              const table = [BASE.tables, kTable + 4 * k] as const;
              for (const { name, from, count, step } of kernelsFor(high, used, tile.nr)) {
                const skip = 4 * tile.nr * from;
                const b = [base, at + place * inPlane + skip] as const;
                const c = [BASE.work, outAt + place * outPlane + firstRow * row + skip] as const;
                const along = [count, 0, 4 * tile.nr * step, 4 * tile.nr * step] as const;
                list.push(name, a, b, table, deep, c, row, k === first ? 1 : 0, ...along, ...down);
              }
            };
            eachTile(rows, tile.mr, emit, range);
          }
        };
        const [first, last] = this.#kinds.at(i, j).map((kind) => kind * block.count);
        const [from, to] = [first - (first % tile.mr), Math.min(rows, roundUp(last, tile.mr))];
        multiply([0, from], [0, 0]);
        multiply(
          [from, to],
          this.#parts.at(i, j).map((part) => this.#rowsFrom[part]),
        );
        multiply([to, rows], [0, 0]);
      }
      list.push(namesOf(this.#form).output, [BASE.work, outAt], outPlane, FLAG_AT, rows, row, used);
      if (activation !== undefined) this.#activate(activation, block, outAt, outPlane, row, used);
      for (let n = 0; n < pictures; n++) {
        const lines = this.#lines(box, row, (place, kind, residue) => {
          const lane = (n * this.#residues.length + residue) * each;
          return outAt + place * outPlane + kind * block.count * row + 4 * lane;
        });
        const finish = {
          from: block.from,
          count: block.count,
          scale,
          residual,
          floor,
          picture: n * outBytes,
        };
        storeBand(list, p, lines, { ...finish, bias });
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
    const { plane: inPlane, outputs } = this.#form;
    for (let place = 0; place < (inPlane ? outputs * outputs : outputs); place++)
      for (let kind = 0; kind < this.#kinds.list.length; kind++) {
        const c = at + place * plane + kind * count * row;
        activateRows(this.#list, activation, { c, row, positions, from, count, bias });
      }
  }

  /** The outputs of a block's tiles, and where each goes. */
  #lines(box: Box, row: number, at: (place: number, kind: number, residue: number) => number): Line[] {
    const p = this.#p;
    const [, outHeight, outWidth] = p.outSize;
    const [, height, width] = this.#bands.extent(box.size);
    const { plane, outputs } = this.#form;
    const [zKinds, yKinds, xKinds] = this.#axes.map(({ kinds }) => kinds);
    const { dilation } = this.#axes[2];
    return combinations(this.#axes.map(({ phases }) => phases)).flatMap((phases): Line[] => {
      const ranges = phases.map((phase, axis) => rangeOf(p, box, axis, phase));
      if (ranges.some(({ count }) => count <= 0)) return [];
      const [pz, py, px] = phases;
      const [z, y, x] = ranges;
      const place = plane ? py.place * outputs + px.place : py.place + px.place;
      const kind = this.#kinds.list.findIndex(
        ([kz, ky, kx]) => kz === zKinds[pz.kind] && ky === yKinds[py.kind] && kx === xKinds[px.kind],
      );
      const residue = py.residue * dilation + px.residue;
      return [
        {
          c: at(place, kind, residue) + 4 * ((z.local * height + y.local) * width + x.local),
          row,
          pitch: 4 * width,
          level: 4 * height * width,
          out: (z.out * outHeight + y.out) * outWidth + x.out,
          row0: z.out * outHeight + y.out,
          z: z.count,
          y: y.count,
          x: x.count,
        },
      ];
    });
  }
}

/**
 * The plan of a convolution or its transpose in tiles; the problem is that of the kernel filled up to what they take. Results that
 * are not finite raise the flag of the call.
 */
export function planWinograd(problem: Problem, tiling: Tiling, g: ConvGeometry, options: DenseOptions): Plan {
  const planner = new WinogradPlanner(tileProblem(problem, tiling, g), g, options);
  return planner.plan(g.batch, flopsOf(problem, g.batch * g.groups));
}
