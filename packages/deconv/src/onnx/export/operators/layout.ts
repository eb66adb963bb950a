/**
 * Operations that move values. Target shapes are numbers where they are the same for every input; else an axis is copied
 * from the input (0 in a Reshape), worked out (−1), or read off a shape when the file runs.
 */
import { refuse } from '../../../errors.js';
import { sizeOf } from '../../../shape.js';
import { type Emitters, gives, givesLater } from '../emit.js';
import type { Step } from '../program.js';
import type { Lengths, Writer } from '../writer.js';

/** Beyond the end of any axis. */
const END = 2 ** 31 - 1;

const alike = (lengths: Lengths) => lengths.every((n) => n === lengths[0]);

function reshape(w: Writer, step: Step<'reshape'>): string {
  const [x] = step.inputs;
  const from = w.axes(x.shapes);
  const to = w.axes(step.outputs[0].shapes);
  const asked = step.attributes[0].shape.indexOf(-1);
  const copied = (axis: number) => axis < from.length && to[axis].every((n, run) => n === from[axis][run]);
  const target = to.map((lengths, axis) =>
    axis === asked ? -1 : alike(lengths) ? lengths[0] : copied(axis) ? 0 : undefined,
  );
  const open = target.filter((length) => length === undefined).length;
  if (to.some((lengths) => lengths.includes(0))) {
    // Here 0 is a length.
    return w.one('Reshape', [w.name(x), w.lengths(to, step.inputs)], { allowzero: 1 });
  }
  if (open === 0 || (open === 1 && !target.includes(-1))) {
    return w.one('Reshape', [w.name(x), w.integers(target.map((length) => length ?? -1))]);
  }
  const lengths = target.map(
    (length, axis): Lengths => (length === undefined ? to[axis] : to[axis].map(() => length)),
  );
  return w.one('Reshape', [w.name(x), w.lengths(lengths, step.inputs)]);
}

function slice(w: Writer, step: Step<'slice'>): string {
  const [x] = step.inputs;
  const rank = x.shapes[0].length;
  const at = (pick: 'start' | 'end' | 'step', axis: number) =>
    step.attributes.map((one) => one[pick]?.[axis]);
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) =>
    (['start', 'end', 'step'] as const).some((pick) => at(pick, axis).some((value) => value !== undefined)),
  );
  if (axes.length === 0) return w.one('Identity', [w.name(x)]);
  const steps = axes.map((axis) => w.fixed(step, 'step', (one) => one.step?.[axis] ?? 1));
  const ends = (pick: 'start' | 'end') =>
    axes.map((axis, i): Lengths => {
      const first = steps[i] > 0 === (pick === 'start');
      return at(pick, axis).map((value) => value ?? (first ? (steps[i] > 0 ? 0 : -END - 1) : END));
    });
  // A backward slice begins at the end of the axis and ends before its beginning.
  return w.one('Slice', [
    w.name(x),
    w.lengths(ends('start'), step.inputs),
    w.lengths(ends('end'), step.inputs),
    w.integers(axes),
    w.integers(steps),
  ]);
}

const MODES = { constant: 'constant', reflect: 'reflect', replicate: 'edge' } as const;

function pad(w: Writer, step: Step<'pad'>): string {
  const { before, after, mode, value } = w.fixed(step, 'padding', (one) => one);
  const [x] = step.inputs;
  if (mode === 'circular') return wrapped(w, step, before, after);
  if (mode !== 'constant') checkFolds(step, before, after);
  const inputs = [w.name(x), w.integers([...before, ...after])];
  if (mode === 'constant' && value !== 0) inputs.push(w.scalar(value, x.dtype));
  return w.one('Pad', inputs, { mode: MODES[mode] });
}

/** Refuses padding that is mirrored more than once, or that cuts and copies. */
function checkFolds(step: Step<'pad'>, before: readonly number[], after: readonly number[]): void {
  const { mode } = step.attributes[0];
  const most = (n: number) =>
    mode === 'reflect' ? n - 1 : mode === 'circular' ? n : Number.POSITIVE_INFINITY;
  const fits = step.inputs[0].shapes.every((shape) =>
    shape.every((n, axis) => [before[axis], after[axis]].every((amount) => amount >= 0 && amount <= most(n))),
  );
  if (fits) return;
  refuse(
    'exportOnnx',
    'module',
    `pad with mode '${mode}' by [${before.join(', ')}] before and [${after.join(', ')}] after is negative, or longer than what it copies from`,
    'pad in two steps',
  );
}

/** Circular padding: the end of each axis put before it, its beginning behind. */
function wrapped(w: Writer, step: Step<'pad'>, before: readonly number[], after: readonly number[]): string {
  checkFolds(step, before, after);
  let output = w.name(step.inputs[0]);
  for (const axis of before.keys()) {
    if (before[axis] === 0 && after[axis] === 0) continue;
    const part = (start: number, end: number) =>
      w.one('Slice', [output, w.integers([start]), w.integers([end]), w.integers([axis])]);
    const parts = [
      ...(before[axis] > 0 ? [part(-before[axis], END)] : []),
      output,
      ...(after[axis] > 0 ? [part(0, after[axis])] : []),
    ];
    output = w.one('Concat', parts, { axis });
  }
  return output;
}

function concat(w: Writer, step: Step<'concat'>): string {
  const [output] = step.outputs;
  const sum = (lengths: Lengths) => lengths.reduce((a, b) => a + b, 0);
  const joins = (axis: number, run: number) => {
    const shapes = step.inputs.map((value) => value.shapes[run]);
    const grown = output.shapes[run][axis] === sum(shapes.map((shape) => shape[axis]));
    return grown && sizeOf(shapes[0].slice(0, axis)) === step.attributes[run].outer;
  };
  const axis = output.shapes[0].findIndex((_, at) => step.attributes.every((_, run) => joins(at, run)));
  return w.one('Concat', w.inputs(step), { axis });
}

export const layout: Emitters = {
  reshape: gives(reshape),
  permute: givesLater((w, step) =>
    w.one('Transpose', w.inputs(step), { perm: [...w.fixed(step, 'order', ({ order }) => order)] }),
  ),
  expand: givesLater((w, step) =>
    w.one('Expand', [w.name(step.inputs[0]), w.lengths(w.axes(step.outputs[0].shapes), step.inputs)]),
  ),
  slice: gives(slice),
  pad: gives(pad),
  concat: gives(concat),
  take: gives((w, step) => {
    const positions = w.fixed(step, 'positions', (one) => [...one.positions]);
    const axis = w.fixed(step, 'axis', (one) => one.axis);
    return w.one('Gather', [w.name(step.inputs[0]), w.integers(positions)], { axis });
  }),
  pixelShuffle: gives((w, step) =>
    w.one('DepthToSpace', w.inputs(step), {
      blocksize: w.fixed(step, 'factor', ({ factor }) => factor),
      mode: 'CRD',
    }),
  ),
  pixelUnshuffle: gives(unshuffle),
};

/** SpaceToDepth orders channels the other way round, so it is written out: (N, C, h, f, w, f) → (N, C·f², h, w). */
function unshuffle(w: Writer, step: Step<'pixelUnshuffle'>): string {
  const f = w.fixed(step, 'factor', ({ factor }) => factor);
  const [, channels] = step.inputs[0].shapes[0];
  const each = (n: number) => step.attributes.map(() => n);
  const [, , height, width] = w.axes(step.outputs[0].shapes);
  const split = w.lengths([each(0), each(channels), height, each(f), width, each(f)], step.inputs);
  const parts = w.one('Reshape', [w.name(step.inputs[0]), split]);
  const moved = w.one('Transpose', [parts], { perm: [0, 1, 3, 5, 2, 4] });
  const joined = w.lengths([each(0), each(channels * f * f), height, width], step.inputs);
  return w.one('Reshape', [moved, joined]);
}
