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
import { type Box, bandInput } from './band-input.js';
import { linesOf, storeBand } from './band-output.js';
import { combinations, flopsOf, layBands } from './bands.js';
import * as BASE from './bases.js';
import {
  FLAG_AT,
  ITEMS,
  itemsFor,
  type Place,
  type Plan,
  placeIn,
  planBuilder,
  product,
  type Run,
  roundUp,
  runsOf,
  type Stretch,
} from './commands.js';
import { activateRows, endingOf } from './ending.js';
import { type Band, planItems } from './items.js';
import { type Block, layPanels, wholeTiles } from './panels.js';
import type { Finish, Machine, Problem } from './problem.js';
import { type Layer, layProduct, sideBySide } from './products.js';
import { remembered } from './remembered.js';
import { planeBytes, ROOM, tileBands } from './tile-bands.js';
import { arrange, type Part, tileProblem } from './winograd.js';
import { namesOf, placesOf } from './winograd-kernels.js';

/** Bytes of a band's products that are made at a time: the fewer, the more often its transformed input is read. */
export const PRODUCTS_TARGET = 576 * 1024;
/** Rows of a product that threads share should have at most, and channels that one item transforms at least. */
export const SHARED_ROWS = 96;
export const LEAST_CHANNELS = 8;

type Tap = Part['taps'][number];

/**
 * The plan of a convolution or its transpose in tiles; the problem is that of the kernel filled up to what they take. Results that
 * are not finite raise the flag of the call.
 */
export function planWinograd(
  filled: Problem,
  tiling: Tiling,
  g: ConvGeometry,
  { tile, commands, threads = 1 }: Machine,
  finish: Finish,
): Plan {
  const { batch, groups } = g;
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
  const list = planBuilder(commands);
  const whole = bandInput(p);
  const { rows, step, rowsOf, measure, cut, thin } = tileBands(tiles, channels, nr);
  const [activation] = endingOf(finish.activation);

  const flops = flopsOf(filled, batch * groups);
  const least = itemsFor(flops, groups);
  const weightFloats = places * depth * kindCount * outChannels;
  const usual = cut(batch);
  const few = usual.count < least;
  const slender = few ? thin(batch, least, 4 * weightFloats) : undefined;
  const together = groups === 1 && few && slender === undefined;
  const bands = slender ?? usual;
  const { count, pitch, slot, padded } = bands;
  const slots = together ? Math.max(1, Math.min(count, Math.floor((ROOM * threads - padded) / slot))) : 0;
  const most = Math.floor(PRODUCTS_TARGET / (4 * places * pitch * kindCount));
  const fair = Math.ceil(outChannels / Math.ceil(least / slots));
  const wanted = together ? Math.min(fair, Math.ceil(SHARED_ROWS / kindCount)) : outChannels;
  const runs = wholeTiles(outChannels, Math.max(1, Math.min(most, wanted)), mr, together ? threads : 1);
  const { blocks, floats, packs } = layWeight();
  const given = { ...p, kernelSize: lift(g.kernelSize, 1) };
  const works = together ? layTogether() : [layApart()];
  return planItems(list, given, 1, groups, floats, packs, works, flops, slots * slot);

  /** The bands of all pictures, in parts. */
  function lay<Share>(
    shares: readonly Share[],
    emit: (box: Box, pictures: number, share: Share) => void,
  ): Band[] {
    const { size, pictures } = bands;
    const known = new Map<number, Band[]>();
    return runsOf(batch, pictures).flatMap(({ from, count }) => {
      const made = remembered(known, count, () =>
        layBands(p, whole, size, list, shares, (box, share) => emit(box, count, share)),
      );
      return made.map((band) => ({ ...band, picture: from }));
    });
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
    const turns = runsOf(inChannels, each);
    const at = [BASE.shared, 0] as const;
    const laid = <Share>(
      shares: readonly Share[],
      emit: (box: Box, pictures: number, share: Share) => void,
    ) => {
      const works = lay(shares, emit);
      const each = shares.length;
      // What bands share comes one after the other: a part of the weight that one has read is still in a cache then.
      return runsOf(works.length, slots * each).map(({ from, count }) =>
        combinations([each, count / each, 1].map(range)).map(([share, i]) => ({
          ...works[from + i * each + share],
          shared: i * slot,
        })),
      );
    };
    const turned = laid(turns, (box, pictures, run) => transform(box, pictures, run, at));
    const multiplied = laid(blocks, (box, pictures, block) => multiply(box, pictures, [block], at));
    return turned.flatMap((stage, i) => [stage, multiplied[i]]);
  }

  /**
   * The transformed weight: per block and place, panels of rows that are (phase, channel) pairs. Behind them lies the weight filled
   * up with zeros, if it has to be: that is a stage of its own.
   */
  function layWeight() {
    const [levels, ownHeight, ownWidth] = lift(g.kernelSize, 1);
    const [, kh, kw] = p.kernelSize;
    const tapsOf = (taps: readonly number[]) => 4 * placeIn(p.kernelSize, taps);
    const taps = list.table(combinations(axes.map((axis) => axis.taps)).map(tapsOf));
    const wTable = list.table(
      depthOf((i, along) => 4 * i * p.weightIn + tapsOf(along.map(({ tap }) => tap))),
    );
    const fills: Stretch[][] = [];
    let weight: Place = [BASE.weight, 0];
    let filledFloats = 0;
    if (kh > ownHeight || kw > ownWidth) {
      weight = [BASE.packed, 4 * weightFloats];
      const planes = levels * inChannels * outChannels;
      const each = [planes, 4 * ownHeight * ownWidth, 4 * kh * kw] as const;
      const zeros = [BASE.packed, 4 * (weightFloats + ownHeight * kw)] as const;
      const line = [0, ownWidth, 4, kw - ownWidth] as const;
      const fill = list.stretch(() => {
        list.push('pad', [BASE.weight, 0], weight, ...each, ownHeight, 4 * ownWidth, 4 * kw, ...line);
        list.push('pad', 0, zeros, planes, 0, 4 * kh * kw, kh - ownHeight, 0, 4 * kw, kw);
      });
      fills.push([fill]);
      filledFloats = planes * kh * kw;
    }
    const group = { phases: kinds.list, k: depth, wTable };
    const tapPlace = [BASE.tables, taps] as const;
    const laid = layPanels(p, [group], runs, mr, list, names.weight, weight, places, tapPlace);
    return { blocks: laid.blocks, floats: laid.floats + filledFloats, packs: [...fills, laid.packs] };
  }

  /** `make` of each row of B: its input channel, taps of plain sums, and row of the transformed input. */
  function depthOf(make: (channel: number, along: readonly Tap[], row: number) => number): number[] {
    return parts.list.flatMap((along, part) =>
      range(inChannels).flatMap((i) =>
        combinations(along.map(({ taps }) => taps)).map((at) => make(i, at, part * inChannels + i)),
      ),
    );
  }

  /** Brings channels of the input of a band into Winograd's form. */
  function transform(box: Box, pictures: number, { from, count }: Run, [base, at]: Place): void {
    const input = bandInput({ ...rows, inChannels: count });
    const own = rowsOf(box);
    const layout = input.layout(own.size);
    list.work(4 * layout.floats);
    const { extent, pitch, plane } = measure(box.size, pictures);
    const [levels, height, width] = extent;
    // For each residue and part, the byte offsets of a tile's inputs in the padded input of a band.
    const tables = residues.flatMap((residue, which) =>
      parts.list.map((along, part) => {
        const inputs = axes.map(({ tiled, spacing }, axis) =>
          range(tiled ? form.inputs : 1).map((i) => along[axis].input + residue[axis] + spacing * i),
        );
        const rows = combinations(inputs).map((offsets) => 4 * input.rowOf(layout, offsets));
        return [which, part, list.table(rows)] as const;
      }),
    );
    for (let n = 0; n < pictures; n++) {
      input.pad(list, own, layout, n, from, inChannels * groups);
      for (const [which, part, table] of tables)
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

  /** Multiplies the transformed input of a band, and stores the outputs. */
  function multiply(box: Box, pictures: number, blocks: readonly Block[], [base, at]: Place): void {
    const { extent, used, pitch, plane: inPlane, slot } = measure(box.size, pictures);
    const [, height, width] = extent;
    const row = 4 * pitch;
    const outAt = base === BASE.work ? at + slot : 0;
    const shifts = (along: readonly Tap[]) => along.map(({ shift }) => shift);
    const table = list.table(depthOf((_, along, at) => at * row + 4 * placeIn(extent, shifts(along))));
    for (const block of blocks) {
      const { count, panels } = block;
      const rows = kindCount * count;
      const outPlane = planeBytes(rows, pitch);
      list.work(outAt + places * outPlane);
      for (let place = 0; place < places; place++) {
        const from = panels[0] + 4 * place * rows * depth;
        const factors = [[BASE.packed, from], depth, table, weightFloats / bands.count] as const;
        const sums = [[BASE.work, outAt + place * outPlane], row, rows] as const;
        const b = [base, at + place * inPlane] as const;
        // What other threads have transformed is far away: fetched all at once, it does not hold up each product.
        if (together && threads > 1) list.push('touch', b, 1, 0, inPlane / 64);
        const layer: Layer = (height) => sideBySide(height, nr, used, b, 0);
        // Rows that are zero throughout at this place are set to that: sums of nothing.
        const [first, last] = kinds.at(place).map((kind) => kind * count);
        const [begin, end] = [first - (first % mr), Math.min(rows, roundUp(last, mr))];
        const deep = parts.at(place).map((part) => rowsFrom[part]);
        layProduct(list, mr, factors, sums, [layer], false, [], [0, begin]);
        layProduct(list, mr, factors, sums, [layer], false, deep, [begin, end]);
        layProduct(list, mr, factors, sums, [layer], false, [], [end, rows]);
      }
      list.push(names.output, [BASE.work, outAt], outPlane, FLAG_AT, rows, row, used);
      /** Where the results of a phase begin, of an output of the tile. */
      const resultsAt = (place: number, kind: number) => outAt + place * outPlane + kind * count * row;
      for (let place = 0; place < form.outputs ** (form.plane ? 2 : 1); place++)
        for (let kind = 0; kind < kindCount; kind++)
          activateRows(list, activation, finish.bias, resultsAt(place, kind), row, used, block);
      for (let n = 0; n < pictures; n++) {
        const lines = combinations(axes.map(({ phases }) => phases)).flatMap((phases) => {
          const [, y, x] = phases;
          const place = form.plane ? y.place * form.outputs + x.place : y.place + x.place;
          const kind = kinds.list.findIndex((along) =>
            along.every((own, axis) => own === axes[axis].kinds[phases[axis].kind]),
          );
          const lane = (n * residues.length + y.residue * axes[2].dilation + x.residue) * product(extent);
          const steps = [row, 4 * height * width, 4 * width] as const;
          return linesOf(p, box, phases, resultsAt(place, kind) + 4 * lane, steps);
        });
        const picture = 4 * n * groups * outChannels * product(p.outSize);
        storeBand(list, p, finish, lines, block, picture);
      }
    }
  }
}
