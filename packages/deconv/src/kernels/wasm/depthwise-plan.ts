/**
 * depthwise-plan: convolutions of each channel by itself, with a kernel made for their taps. As products they would have one row: all
 * their time would go into preparing and storing. A transposed convolution with stride 1 is one, too, of the turned kernel.
 */
import { kernelExtent } from '../../geometry/axis.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { inThreeAxes } from '../../geometry/three-axes.js';
import type { Ending } from './activations.js';
import { insideOf } from './band-input.js';
import { boxesIn, boxesOf } from './bands.js';
import * as BASE from './bases.js';
import {
  type Commands,
  columnsOf,
  evenPart,
  evenRuns,
  type Item,
  itemsFor,
  type Plan,
  placeIn,
  planBuilder,
  product,
  SLACK,
  type Stretch,
} from './commands.js';
import { type DepthwiseKind, depthwiseName } from './depthwise-kernel.js';
import { bitsOf } from './ending.js';
import { remembered } from './remembered.js';

/** Floats of a padded band: they stay in the second-level cache, or the first. */
export const BAND_FLOATS = 16 * 1024;
/** Taps of a kernel, at most: each is some instructions of it. */
export const MOST_TAPS = 64;
/** What a multiplication costs here, in those of a product: it waits for memory. */
export const COST = 3;

/** A convolution of planes: the kernel for it, which must be among the commands, and its plan. */
export interface Depthwise {
  readonly kind: DepthwiseKind;
  readonly name: string;
  readonly plan: (commands: Commands, bias: boolean) => Plan;
}

/** The convolution of planes that this is, if it is one, and what is done to its sums can be done as they are stored. */
export function depthwiseOf(
  g: ConvGeometry,
  transposed: boolean,
  activation: Ending | undefined,
): Depthwise | undefined {
  const { batch, groups: channels } = g;
  const axes = inThreeAxes(g);
  const [[x, y, k, s, , p]] = columnsOf(axes);
  const [xSize, ySize, taps, stride, dilation, padBefore] = axes.map(([, ...plane]) => plane);
  const extents = taps.map((k, axis) => kernelExtent(k, dilation[axis]));
  if (channels === 1 || g.xChannels !== channels || g.yChannels !== channels) return undefined;
  if (activation !== undefined && activation.fn !== 'clamp') return undefined;
  if (x * y * k * s > 1 || p !== 0) return undefined;
  // What one output sees must leave room for others.
  if (product(extents) > BAND_FLOATS / 4 || product(taps) > MOST_TAPS) return undefined;
  if (stride[1] > 2 || (transposed && product(stride) > 1)) return undefined;
  const kind: DepthwiseKind = { taps, dilation, stride, flipped: transposed };
  const name = depthwiseName(kind);
  const [inSize, outSize] = transposed ? [ySize, xSize] : [xSize, ySize];
  const before = padBefore.map((pad, axis) => (transposed ? extents[axis] - 1 - pad : pad));
  const [floor = Number.NEGATIVE_INFINITY, ceiling = Number.POSITIVE_INFINITY] = activation?.parameters ?? [];
  return { kind, name, plan };

  function plan(commands: Commands, hasBias: boolean): Plan {
    const list = planBuilder(commands);
    const seenBy = (outputs: number, axis: number) => (outputs - 1) * stride[axis] + extents[axis];
    // Columns first, then as many rows as have room beside them.
    const most = (axis: number, floats: number) =>
      evenPart(outSize[axis], (floats - extents[axis]) / stride[axis] + 1);
    const columns = most(1, BAND_FLOATS / extents[0]);
    const rows = most(0, BAND_FLOATS / seenBy(columns, 1));
    const flops = 2 * COST * batch * channels * product(outSize) * product(taps);
    const bands = boxesIn(outSize, [rows, columns]);
    const runs = Math.min(channels, itemsFor(flops, (batch * bands) / 2));

    const stretches = new Map<string, Stretch>();
    const items: Item[] = [];
    for (const {
      from: [n, ...place],
      size: [, ...size],
    } of boxesOf([batch, ...outSize], [1, rows, columns])) {
      const [height, pitch] = size.map(seenBy);
      const [[above, left], [down, across], first] = columnsOf(
        [height, pitch].map((length, axis) =>
          insideOf(place[axis] * stride[axis] - before[axis], length, inSize[axis]),
        ),
      );
      list.work(4 * (height * pitch + SLACK));
      const line = [4 * (above * pitch + left), 4 * pitch, down, across] as const;
      for (const { from, count } of evenRuns(channels, runs)) {
        const stretch = remembered(stretches, `${line}|${[count, ...size]}`, () =>
          list.stretch(() => {
            const out = [[BASE.output, 0], 4 * product(outSize), 4 * outSize[1]] as const;
            const source = [[BASE.input, 0], 4 * product(inSize), 4 * inSize[1]] as const;
            const bias = hasBias ? ([BASE.bias, 0] as const) : 0;
            const ends = [bitsOf(floor), bitsOf(ceiling), count, ...size];
            list.push(name, ...out, ...source, [BASE.work, 0], ...line, [BASE.weight, 0], bias, ...ends);
          }),
        );
        const channel = n * channels + from;
        const moves = {
          [BASE.input]: 4 * placeIn([channel, ...inSize], [channel, ...first]),
          [BASE.output]: 4 * placeIn([channel, ...outSize], [channel, ...place]),
          [BASE.weight]: 4 * from * product(taps),
          [BASE.bias]: 4 * from,
        };
        items.push({ ...stretch, moves });
      }
    }
    return list.plan({ stages: [items], flops });
  }
}
