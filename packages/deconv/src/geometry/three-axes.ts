/** three-axes: convolutions over one, two or three axes as such over three, so that kernels need not be written for each. */
import type { ConvGeometry } from './conv.js';

/** One number per axis: levels, rows, positions of a row. */
export type Triple = readonly [number, number, number];

/** What a convolution does along its axes. */
export type Axes = Pick<ConvGeometry, 'xSize' | 'ySize' | 'kernelSize' | 'stride' | 'dilation' | 'padBefore'>;

/** Three axes whatever the rank: missing ones in front. */
export function lift(list: readonly number[], filler: number): Triple {
  const [z, y, x] = [...new Array<number>(3 - list.length).fill(filler), ...list];
  return [z, y, x];
}

/** The same over three axes, in this order: missing ones, in front, have length 1. */
export const inThreeAxes = (
  g: Axes,
): readonly [
  xSize: Triple,
  ySize: Triple,
  kernelSize: Triple,
  stride: Triple,
  dilation: Triple,
  padBefore: Triple,
] => [
  lift(g.xSize, 1),
  lift(g.ySize, 1),
  lift(g.kernelSize, 1),
  lift(g.stride, 1),
  lift(g.dilation, 1),
  lift(g.padBefore, 0),
];

/** All combinations of what there is along each axis; the last changes fastest. */
export const combinations = <T>([zs, ys, xs]: readonly (readonly T[])[]) =>
  zs.flatMap((z) => ys.flatMap((y) => xs.map((x) => [z, y, x] as const)));
