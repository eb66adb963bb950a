/**
 * layout: where an axis of the picture lies in an array. A *track* says that the element at flat place p belongs to
 * position ⌊p / stride⌋ mod length of the axis; it holds for any shape that the array is seen in, so a reshape changes
 * nothing. A shape that has the axis in finer or coarser steps (pixels shuffled out of channels, or into them) is met by
 * another track with as many places, length · stride.
 */
import type { StridedView } from '../backend.js';
import { type Shape, stridesOf } from '../shape.js';

/** Place of an axis in an array. The node that says what its positions are made of has this length. */
export interface Track {
  readonly node: number;
  readonly stride: number;
  readonly length: number;
}

/** The axis of a shape within which a track lies, wholly and without a rest; −1 if there is none. */
export function axisAround({ stride, length }: Track, shape: Shape): number {
  const own = stridesOf(shape);
  return shape.findIndex(
    (n, axis) =>
      n > 1 &&
      stride >= own[axis] &&
      stride % own[axis] === 0 &&
      stride * length <= own[axis] * n &&
      (own[axis] * n) % (stride * length) === 0,
  );
}

/** The axis of a shape over which a track may be laid, in finer or coarser steps if need be; −1 if there is none. */
export function axisLike({ stride, length }: Track, shape: Shape): number {
  const own = stridesOf(shape);
  return shape.findIndex(
    (n, axis) =>
      n > 1 && n * own[axis] === length * stride && (stride % own[axis] === 0 || own[axis] % stride === 0),
  );
}

/** What a view takes of an axis: positions o·step + first … o·step + last, o being its place along an axis of the view. */
export interface ViewedAxis {
  readonly step: number;
  readonly first: number;
  readonly last: number;
  readonly stride: number;
  readonly length: number;
}

/**
 * How a view shows an axis. Several axes of the view may go along it: then the one with the longest steps is followed, and
 * the others count as what it sees. A string tells why not.
 */
export function throughView({ stride, length }: Track, view: StridedView): ViewedAxis | string {
  const out = stridesOf(view.shape);
  const first = Math.floor(view.offset / stride) % length;
  const along = view.shape
    .map((count, axis) => ({ count, axis, by: view.strides[axis] }))
    .filter(({ count, by }) => count > 1 && Math.abs(by) >= stride && Math.abs(by) < stride * length);
  if (along.some(({ by }) => by < 0)) return 'turns the picture round';
  if (along.length === 0) return 'takes single rows or columns out of the picture';
  if (along.some(({ by }) => by % stride !== 0)) return 'moves values across the axes of the picture';
  along.sort((p, q) => q.by - p.by);
  const [main, ...others] = along;
  const step = main.by / stride;
  const rest = others.reduce((sum, { by, count }) => sum + (by / stride) * (count - 1), 0);
  // Axes that follow each other in the view as they did in the picture are still one axis.
  const joined = others.every(({ by, count }, i) => {
    const before = along[i];
    return before.by === by * count && out[before.axis] === out[along[i + 1].axis] * count;
  });
  const finest = along[along.length - 1];
  if (others.length > 0 && joined) {
    const count = along.reduce((product, one) => product * one.count, 1);
    return { step: finest.by / stride, first, last: first, stride: out[finest.axis], length: count };
  }
  return { step, first, last: first + rest, stride: out[main.axis], length: main.count };
}
