/**
 * Resize. Positions agree where the factor is a whole number or nothing is rounded; nearest neighbours by any other
 * factor are picked by their indices, which says the same on every runtime. Cubic interpolation is defined by runtimes for
 * two axes only.
 */
import { refuse } from '../../../errors.js';
import { type Emitters, gives } from '../emit.js';
import type { Step } from '../program.js';
import type { Attribute } from '../proto.js';
import type { Writer } from '../writer.js';

type Upsample = Step<'upsample'>;

/** Factor of each axis, the same for every input; undefined where sizes decide. */
function factorsOf(w: Writer, step: Upsample): readonly number[] | undefined {
  const given = w.fixed(step, 'scaleFactor', ({ factors }) => factors ?? null);
  if (given !== null) return given;
  const [x, y] = [w.axes(step.inputs[0].shapes).slice(2), w.axes(step.outputs[0].shapes).slice(2)];
  const ratios = x.map((lengths, axis) => y[axis].map((n, run) => n / lengths[run]));
  return ratios.every((list) => list.every((ratio) => ratio === list[0]))
    ? ratios.map(([ratio]) => ratio)
    : undefined;
}

/** Picks the nearest neighbours along each axis by their indices. */
function pick(w: Writer, step: Upsample): string {
  const [from, to] = [w.space(step, step.inputs[0]), w.space(step, step.outputs[0])];
  const { factors } = step.attributes[0];
  return from.reduce((y, n, axis) => {
    const out = to[axis];
    if (out === n && (factors?.[axis] ?? 1) === 1) return y;
    const place = (o: number) => Math.floor(factors === undefined ? (o * n) / out : o / factors[axis]);
    const index = Array.from({ length: out }, (_, o) => Math.min(n - 1, place(o)));
    return w.one('Gather', [y, w.integers(index)], { axis: axis + 2 });
  }, w.name(step.inputs[0]));
}

function resize(w: Writer, step: Upsample): string {
  const { mode, alignCorners } = w.fixed(step, 'mode', (one) => ({
    mode: one.mode,
    alignCorners: one.alignCorners,
  }));
  const factors = factorsOf(w, step);
  const [x] = step.inputs;
  if (mode === 'nearest' && !factors?.every(Number.isInteger)) return pick(w, step);
  if (mode === 'cubic' && x.shapes[0].length !== 4) {
    refuse(
      'exportOnnx',
      'module',
      `upsample with mode 'cubic' over ${x.shapes[0].length - 2} spatial axes has no operator that runtimes know`,
      "use mode 'linear'; cubic goes over two axes, one of which may have length 1",
    );
  }
  const attributes: Record<string, Attribute> = {
    mode,
    coordinate_transformation_mode:
      mode === 'nearest' ? 'asymmetric' : alignCorners ? 'align_corners' : 'half_pixel',
    ...(mode === 'nearest' && { nearest_mode: 'floor' }),
  };
  const steady = x.shapes.every((shape) => shape.slice(2).join() === x.shapes[0].slice(2).join());
  if (factors !== undefined && (!steady || leavesRest(step, factors) || factors.every(isFloat))) {
    checkRounding(step, factors);
    const scales = w.numbers([1, 1, ...factors], [factors.length + 2], 'float32');
    return w.one('Resize', [w.name(x), '', scales], attributes);
  }
  const sizes = w.lengths(w.axes(step.outputs[0].shapes), step.inputs);
  return w.one('Resize', [w.name(x), '', '', sizes], attributes);
}

/** A number that float32 has: files keep factors so. */
const isFloat = (factor: number) => Math.fround(factor) === factor;

/** Where the factor leaves a rest it, and not the size, says where pixels lie. */
function leavesRest(step: Upsample, factors: readonly number[]): boolean {
  const sizes = step.outputs[0].shapes;
  return step.inputs[0].shapes.some((shape, run) =>
    factors.some((factor, axis) => shape[axis + 2] * factor !== sizes[run][axis + 2]),
  );
}

/** Refuses factors whose float32 value gives another size. */
function checkRounding(step: Upsample, factors: readonly number[]): void {
  for (const [run, shape] of step.inputs[0].shapes.entries()) {
    for (const [axis, factor] of factors.entries()) {
      const [n, wanted] = [shape[axis + 2], step.outputs[0].shapes[run][axis + 2]];
      const size = Math.floor(Math.fround(Math.fround(factor) * n));
      if (size === wanted) continue;
      refuse(
        'exportOnnx',
        'module',
        `upsample by ${factor} makes ${wanted} of ${n}, and ${size} in the float32 of a file`,
        'give size instead of scaleFactor',
      );
    }
  }
}

export const resizing: Emitters = { upsample: gives(resize) };
