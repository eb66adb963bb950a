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
import type { ConvGeometry } from '../../geometry/conv.js';
import { lift } from '../../geometry/three-axes.js';
import type { Tiling } from '../../geometry/winograd.js';
import { range } from '../../shape.js';
import { BandInput, type Box, type Layout } from './band-input.js';
import { type Line, rangeOf, storeBand } from './band-output.js';
import { combinations, eachTile, flopsOf, gridOf, layBands } from './bands.js';
import * as BASE from './bases.js';
import {
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
import { type DenseOptions, ITEMS } from './dense-plan.js';
import { activateRows, endingOf } from './ending.js';
import { type Band, layItems } from './items.js';
import { kernelsFor } from './microkernels.js';
import { eachPanel, packStretches } from './panels.js';
import type { Problem, Triple } from './problem.js';
import { planeBytes, ROOM, tileBands } from './tile-bands.js';
import { arrange, type Part, tileProblem } from './winograd.js';
import { namesOf, placesOf } from './winograd-kernels.js';

/** Bytes of a band's products that are made at a time: the fewer, the more often its transformed input is read. */
export const PRODUCTS_TARGET = 576 * 1024;
/** Rows of a product that threads share should have at most, and channels that one item transforms at least. */
export const SHARED_ROWS = 96;
export const LEAST_CHANNELS = 8;

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

type Tap = Part['taps'][number];

/**
 * The plan of a convolution or its transpose in tiles; the problem is that of the kernel filled up to what they take. Results that
 * are not finite raise the flag of the call.
 */
export function planWinograd(filled: Problem, tiling: Tiling, g: ConvGeometry, options: DenseOptions): Plan {
  const { batch, groups } = g;
  const { scale, residual = false, tile, threads = 1 } = options;
  const { mr, nr } = tile;
  const tiles = tileProblem(filled, tiling, g);
  const { problem: p, form, axes } = tiles;
  const { inChannels, outChannels } = p;
  const names = namesOf(form);
  // Places of a tile: matrix products.
  const places = placesOf(form);
  // Parts of the kernel: one along each axis.
  const parts = arrange(axes, form, ({ parts }) => parts);
  // The phases of the original problem, of each of which every output channel has a row.
  const kinds = arrange(axes, form, ({ kinds }) => kinds);
  const kindCount = kinds.list.length;
  // Rows of the transformed input: parts × input channels.
  const channels = inChannels * parts.list.length;
  // Rows of B: those, times the taps that plain sums go over; where those of each part begin, and the last end.
  const rowsFrom = [0];
  let depth = 0;
  for (const part of parts.list) {
    depth += inChannels * product(part.map(({ taps }) => taps.length));
    rowsFrom.push(depth);
  }
  // Residues of the dilation.
  const residues = combinations(axes.map(({ dilation }) => range(dilation)));
  const list = new CommandList(options.commands);
  const tables = new TableBuilder();
  const grid = gridOf(p);
  const whole = new BandInput(p, grid);
  const { rows, step, rowsOf, measure, cut, thin } = tileBands(tiles, channels, nr);
  const ending = endingOf(options.activation, options.bias);
  let workBytes = 0;

  const flops = flopsOf(filled, batch * groups);
  const least = flops >= SHARE_FROM_FLOPS ? Math.ceil(ITEMS / groups) : 1;
  const weightFloats = places * depth * kindCount * outChannels;
  const usual = cut(batch);
  const few = usual.count < least;
  const slender = few ? thin(batch, least, 4 * weightFloats) : undefined;
  const together = groups === 1 && few && slender === undefined;
  const bands = slender ?? usual;
  const { count, pitch, slot, padded } = bands;
  const slots = together ? Math.max(1, Math.min(count, Math.floor((ROOM - padded) / slot))) : 0;
  const most = Math.floor(PRODUCTS_TARGET / (4 * places * pitch * kindCount));
  const fair = Math.ceil(outChannels / Math.ceil(least / slots));
  const wanted = together ? Math.min(fair, Math.ceil(SHARED_ROWS / kindCount)) : outChannels;
  const runs = cutRows(Math.max(1, Math.min(most, wanted)), together ? threads : 1);
  const { blocks, floats, packs } = layWeight();
  const slopes = options.activation?.fn === 'prelu';
  const repeats = { batch: 1, groups, bias: options.bias, slopes, packedFloats: floats };
  const given = { ...p, kernelSize: lift(g.kernelSize, 1) };
  const stages = together ? layTogether() : [layApart()];
  return {
    stages: [
      ...packs.map((stretches) => layItems(given, stretches, [], repeats)[0]),
      ...stages.map((works) => layItems(given, [], works, repeats)[1]),
    ],
    commands: Int32Array.from(list.words),
    tables: Int32Array.from(tables.words),
    packStages: packs.length,
    packedBytes: floats * groups * 4 + SLACK * 4,
    workBytes,
    sharedBytes: slots * slot,
    repeatable: true,
    flops,
  };

  /** The bands of all pictures, in parts. */
  function lay<Share>(
    shares: readonly Share[],
    emit: (box: Box, pictures: number, share: Share) => void,
  ): Band[] {
    const { size, pictures } = bands;
    const rest = batch % pictures;
    const bandsOf = (count: number, from: number, to: number) => {
      if (from === to) return [];
      const made = layBands(p, whole, size, list, shares, (box, share) => emit(box, count, share));
      return range((to - from) / count).flatMap((i) =>
        made.map((band) => ({ ...band, picture: from + i * count })),
      );
    };
    return [...bandsOf(pictures, 0, batch - rest), ...bandsOf(rest, batch - rest, batch)];
  }

  /** Bands that one thread works on from end to end. */
  function layApart(): Band[] {
    return lay([blocks], (box, pictures, blocks) => {
      const at = [BASE.work, measure(box.size, pictures).padded] as const;
      transform(box, pictures, { from: 0, count: inChannels }, at);
      multiply(box, pictures, blocks, at);
    });
  }

  /**
   * Bands whose input is transformed by all threads, into a buffer that has room for some of them, and then multiplied by all:
   * two stages for as many bands as there are slots.
   */
  function layTogether(): Band[][] {
    const each = Math.max(LEAST_CHANNELS, Math.ceil((inChannels * slots) / ITEMS));
    const turns = range(Math.ceil(inChannels / each)).map((i) => ({
      from: i * each,
      count: Math.min(each, inChannels - i * each),
    }));
    const at = [BASE.shared, 0] as const;
    const laid = <Share>(
      shares: readonly Share[],
      emit: (box: Box, pictures: number, share: Share) => void,
    ) => {
      const works = lay(shares, emit);
      const each = shares.length;
      return (first: number) =>
        works
          .slice(first * each, (first + slots) * each)
          .map((band, i) => ({ ...band, shared: Math.floor(i / each) * slot }));
    };
    const turned = laid(turns, (box, pictures, run) => transform(box, pictures, run, at));
    const multiplied = laid(blocks, (box, pictures, block) => multiply(box, pictures, [block], at));
    const stages: Band[][] = [];
    for (let first = 0; first < count; first += slots) stages.push(turned(first), multiplied(first));
    return stages;
  }

  /** Byte offset of a tap of the kernel, or how far one lies behind another. */
  function tapAt(z: number, y: number, x: number): number {
    const [, kh, kw] = p.kernelSize;
    return 4 * ((z * kh + y) * kw + x);
  }

  /** Output channels in runs of at most so many, all about the same, in whole tiles if there is room for one; a multiple of `times` runs. */
  function cutRows(most: number, times: number): Run[] {
    const unit = most < mr ? 1 : mr;
    const units = Math.ceil(outChannels / unit);
    const count = Math.min(units, roundUp(Math.ceil(units / Math.floor(most / unit)), times));
    const endOf = (i: number) => Math.min(outChannels, unit * Math.floor((i * units) / count));
    return range(count).map((i) => ({ from: endOf(i), count: endOf(i + 1) - endOf(i) }));
  }

  /**
   * The transformed weight: per block and place, panels of rows that are (phase, channel) pairs. Behind them lies the weight filled
   * up with zeros, if it has to be: that is a stage of its own.
   */
  function layWeight(): { blocks: Block[]; floats: number; packs: Stretch[][] } {
    const [[levels, ownHeight, ownWidth], [, kh, kw]] = [lift(g.kernelSize, 1), p.kernelSize];
    const tapTable = tables.add(combinations(axes.map(({ taps }) => taps)).map((at) => tapAt(...at)));
    const kTable = tables.add(depthOf((i, z, y, x) => 4 * i * p.weightIn + tapAt(z.tap, y.tap, x.tap)));
    const packs: Stretch[][] = [];
    let weight: Place = [BASE.weight, 0];
    let floats = weightFloats;
    if (kh > ownHeight || kw > ownWidth) {
      weight = [BASE.packed, 4 * floats];
      const planes = levels * inChannels * outChannels;
      const each = [planes, 4 * ownHeight * ownWidth, 4 * kh * kw] as const;
      const zeros = [BASE.packed, 4 * (floats + ownHeight * kw)] as const;
      const line = [0, ownWidth, 4, kw - ownWidth] as const;
      list.push('pad', [BASE.weight, 0], weight, ...each, ownHeight, 4 * ownWidth, 4 * kw, ...line);
      list.push('pad', 0, zeros, planes, 0, 4 * kh * kw, kh - ownHeight, 0, 4 * kw, kw);
      packs.push([{ first: 0, count: list.length }]);
      floats += planes * kh * kw;
    }
    const first = list.length;
    let at = 0;
    const blocks = runs.map((run) => {
      const panels = 4 * at;
      const plane = 4 * kindCount * run.count * depth;
      const rows = eachPanel(p, kinds.list, run, mr, tables, (table, height, row) => {
        const target = [BASE.packed, panels + 4 * row * depth] as const;
        const deep = [[BASE.tables, kTable], depth] as const;
        list.push(names.weight, weight, target, table, height, ...deep, [BASE.tables, tapTable], plane);
      });
      at += places * rows * depth;
      return { ...run, panels };
    });
    packs.push(packStretches(first, list.length));
    return { blocks, floats, packs };
  }

  /** `make` of each row of B: its input channel, taps of plain sums, and row of the transformed input. */
  function depthOf(make: (channel: number, z: Tap, y: Tap, x: Tap, row: number) => number): number[] {
    return parts.list.flatMap((along, part) =>
      range(inChannels).flatMap((i) =>
        combinations(along.map(({ taps }) => taps)).map((at) => make(i, ...at, part * inChannels + i)),
      ),
    );
  }

  /** Brings channels of the input of a band into Winograd's form. */
  function transform(box: Box, pictures: number, { from, count }: Run, [base, at]: Place): void {
    const input = new BandInput({ ...rows, inChannels: count }, grid);
    const own = rowsOf(box);
    const layout = input.layout(own.size);
    workBytes = Math.max(workBytes, 4 * layout.floats);
    const { extent, pitch, plane } = measure(box.size, pictures);
    const [levels, height, width] = extent;
    const offsets = residues.map((residue) =>
      parts.list.map((along) => inputsOf(input, layout, residue, along)),
    );
    for (let n = 0; n < pictures; n++) {
      input.pad(list, own, layout, n, from, inChannels * groups);
      for (const [which, perPart] of offsets.entries())
        for (const [part, table] of perPart.entries())
          for (let z = 0; z < levels; z++) {
            const lane = ((n * residues.length + which) * levels + z) * height * width;
            const to = [base, at + 4 * ((part * inChannels + from) * pitch + lane)] as const;
            const level = [BASE.work, 4 * z * layout.y * layout.x] as const;
            const each = [count, 4 * layout.channel, 4 * pitch] as const;
            const down = [height, 4 * step * layout.x, 4 * width, width] as const;
            list.push(names.input, level, to, [BASE.tables, table], plane, ...each, ...down);
          }
    }
  }

  /** Table of the byte offsets of a tile's inputs, for one part of the kernel, in the padded input of a band. */
  function inputsOf(
    input: BandInput,
    layout: Layout,
    residue: Triple,
    part: readonly [Part, Part, Part],
  ): number {
    const [, across, along] = input.reach.map((reach) => reach.residues.length);
    const inputs = axes.map(({ tiled, spacing }, axis) =>
      range(tiled ? form.inputs : 1).map((i) =>
        input.place(axis, part[axis].input + residue[axis] + spacing * i),
      ),
    );
    return tables.add(
      combinations(inputs).map(([[planeZ, z], [planeY, y], [planeX, x]]) => {
        const plane = (planeZ * across + planeY) * along + planeX;
        return 4 * (plane * layout.plane + (z * layout.y + y) * layout.x + x);
      }),
    );
  }

  /** Multiplies the transformed input of a band, and stores the outputs. */
  function multiply(box: Box, pictures: number, blocks: readonly Block[], [base, at]: Place): void {
    const { activation, bias, floor } = ending;
    const { extent, used, pitch, plane: inPlane, slot } = measure(box.size, pictures);
    const [, height, width] = extent;
    const row = 4 * pitch;
    const outAt = base === BASE.work ? at + slot : 0;
    const kTable = tables.add(
      depthOf((_, z, y, x, at) => at * row + 4 * ((z.shift * height + y.shift) * width + x.shift)),
    );
    for (const { from, count, panels } of blocks) {
      const rows = kindCount * count;
      const outPlane = planeBytes(rows, pitch);
      workBytes = Math.max(workBytes, outAt + places * outPlane);
      for (let place = 0; place < places; place++) {
        const emit = (wanted: readonly [number, number], [first, end]: readonly number[]) => {
          // Once even where there is nothing to sum: the rows are zero then.
          for (let k = first; k < end || k === first; k += K_BLOCK) {
            const deep = Math.min(K_BLOCK, end - k);
            const table = [BASE.tables, kTable + 4 * k] as const;
            const tilesOf = (high: number, tiles: number, firstRow: number) => {
              const panel = panels + 4 * ((place * rows + firstRow) * depth + k * high);
              const down = [tiles, 4 * high * depth, 0, high * row] as const;
              for (const { name, from, count, step } of kernelsFor(high, used, nr)) {
                const skip = 4 * nr * from;
                const b = [base, at + place * inPlane + skip] as const;
                const c = [BASE.work, outAt + place * outPlane + firstRow * row + skip] as const;
                const along = [count, 0, 4 * nr * step, 4 * nr * step] as const;
                const fresh = k === first ? 1 : 0;
                list.push(name, [BASE.packed, panel], b, table, deep, c, row, fresh, ...along, ...down);
              }
            };
            eachTile(rows, mr, tilesOf, wanted);
          }
        };
        const [first, last] = kinds.at(place).map((kind) => kind * count);
        const [begin, end] = [first - (first % mr), Math.min(rows, roundUp(last, mr))];
        emit([0, begin], [0, 0]);
        emit(
          [begin, end],
          parts.at(place).map((part) => rowsFrom[part]),
        );
        emit([end, rows], [0, 0]);
      }
      list.push(names.output, [BASE.work, outAt], outPlane, FLAG_AT, rows, row, used);
      /** Where the results of a phase begin, of an output of the tile. */
      const resultsAt = (place: number, kind: number) => outAt + place * outPlane + kind * count * row;
      if (activation !== undefined) {
        const common = { row, positions: used, from, count, bias: options.bias };
        for (let place = 0; place < form.outputs ** (form.plane ? 2 : 1); place++)
          for (let kind = 0; kind < kindCount; kind++)
            activateRows(list, activation, { c: resultsAt(place, kind), ...common });
      }
      for (let n = 0; n < pictures; n++) {
        const lines = linesOf(box, row, extent, (place, kind, residue) => {
          const lane = (n * residues.length + residue) * product(extent);
          return resultsAt(place, kind) + 4 * lane;
        });
        const picture = 4 * n * outChannels * product(p.outSize) * groups;
        storeBand(list, p, lines, { from, count, scale, residual, floor, picture, bias });
      }
    }
  }

  /** The outputs of a block's tiles, and where each goes. */
  function linesOf(
    box: Box,
    row: number,
    [, height, width]: readonly number[],
    at: (place: number, kind: number, residue: number) => number,
  ): Line[] {
    const [, outHeight, outWidth] = p.outSize;
    return combinations(axes.map(({ phases }) => phases)).flatMap((phases): Line[] => {
      const [z, y, x] = phases.map((phase, axis) => rangeOf(p, box, axis, phase));
      if (z.count <= 0 || y.count <= 0 || x.count <= 0) return [];
      const [, py, px] = phases;
      const place = form.plane ? py.place * form.outputs + px.place : py.place + px.place;
      const kind = kinds.list.findIndex((along) =>
        along.every((own, axis) => own === axes[axis].kinds[phases[axis].kind]),
      );
      const residue = py.residue * axes[2].dilation + px.residue;
      const out = (z.out * outHeight + y.out) * outWidth + x.out;
      return [
        {
          c: at(place, kind, residue) + 4 * ((z.local * height + y.local) * width + x.local),
          row,
          pitch: 4 * width,
          level: 4 * height * width,
          out,
          row0: z.out * outHeight + y.out,
          z: z.count,
          y: y.count,
          x: x.count,
        },
      ];
    });
  }
}
