/**
 * Pooling. ONNX counts the positions of maxima through the whole tensor, deconv through each channel's plane: between a
 * pooling and its unpooling they are handed on as they are, elsewhere they are converted.
 */
import { refuse } from '../../../errors.js';
import { sizeOf } from '../../../shape.js';
import type { TracedWindow } from '../../../trace.js';
import { type Emitters, gives } from '../emit.js';
import type { Step, Value } from '../program.js';
import { type Attribute, TYPE_CODES } from '../proto.js';
import type { Writer } from '../writer.js';

function windowAttributes(w: Writer, step: Step<'maxPool'> | Step<'avgPool'>): Record<string, Attribute> {
  const plain = step as Step<'maxPool'>;
  const pick = (what: 'kernelSize' | 'stride' | 'dilation' | 'padding') => [
    ...w.fixed(plain, what, ({ window }: TracedWindow) => window[what]),
  ];
  const padding = pick('padding');
  const dilations = pick('dilation');
  return {
    kernel_shape: pick('kernelSize'),
    strides: pick('stride'),
    pads: [...padding, ...padding],
    ...(dilations.some((d) => d > 1) && { dilations }),
    ...(w.fixed(plain, 'ceilMode', ({ ceilMode }) => ceilMode) && { ceil_mode: 1 }),
  };
}

/** Lengths of the spatial axes, multiplied: a number, or read off the shape. */
function planeOf(w: Writer, value: Value): string {
  const sizes = value.shapes.map((shape) => sizeOf(shape.slice(2)));
  if (sizes.every((size) => size === sizes[0])) return w.numbers([sizes[0]], [], 'int64');
  const space = w.one('Shape', [w.name(value)], { start: 2 });
  return w.opset >= 18
    ? w.one('ReduceProd', [space, w.integers([0])], { keepdims: 0 })
    : w.one('ReduceProd', [space], { axes: [0], keepdims: 0 });
}

function maxPool(w: Writer, step: Step<'maxPool'>): void {
  const [output, indices] = step.outputs;
  const wanted = w.used(indices);
  const [input] = step.inputs;
  const names = w.node('MaxPool', [w.name(input)], windowAttributes(w, step), { outputs: wanted ? 2 : 1 });
  w.bind(output, names[0]);
  if (!wanted) return;
  w.raw.set(indices, names[1]);
  w.bind(indices, () =>
    w.one('Cast', [w.one('Mod', [names[1], planeOf(w, input)])], { to: TYPE_CODES.int32 }),
  );
}

function maxUnpool(w: Writer, step: Step<'maxUnpool'>): string {
  const [x, indices] = step.inputs;
  const [output] = step.outputs;
  const pooled = indices.maker?.name === 'maxPool' ? indices.maker.inputs[0] : undefined;
  const positions = w.raw.get(indices);
  const fits = pooled?.shapes.every((shape, run) => shape.join() === output.shapes[run].join());
  if (positions === undefined || !fits) {
    refuse(
      'exportOnnx',
      'module',
      'maxUnpool can be exported where its indices come from a maxPool whose input has the shape of its output',
      'hand indices on from maxPool, and give outputSize: x.shape of what was pooled',
    );
  }
  const { kernelSize, stride, padding } = w.fixed(step, 'window', (one) => one);
  const natural = output.shapes.every((shape, run) =>
    shape
      .slice(2)
      .every((n, a) => n === (x.shapes[run][a + 2] - 1) * stride[a] + kernelSize[a] - 2 * padding[a]),
  );
  const inputs = [w.name(x), positions];
  if (!natural) inputs.push(w.lengths(w.axes(output.shapes), [pooled as Value]));
  return w.one('MaxUnpool', inputs, {
    kernel_shape: [...kernelSize],
    strides: [...stride],
    pads: [...padding, ...padding],
  });
}

function avgPool(w: Writer, step: Step<'avgPool'>): string {
  const attributes = windowAttributes(w, step);
  if (attributes['dilations'] !== undefined && w.opset < 19) {
    refuse(
      'exportOnnx',
      'opset',
      'avgPool with a dilation needs operator set 19',
      'exportOnnx(…, { opset: 19 })',
    );
  }
  const include = w.fixed(step, 'countIncludePad', ({ countIncludePad }) => countIncludePad);
  return w.one('AveragePool', [w.name(step.inputs[0])], {
    ...attributes,
    count_include_pad: include ? 1 : 0,
  });
}

/** One output: GlobalAveragePool. Sizes that divide: AveragePool. Else each axis is a product with the matrix of its windows. */
function adaptiveAvgPool(w: Writer, step: Step<'adaptiveAvgPool'>): string {
  const [x] = step.inputs;
  const size = w.fixed(step, 'outputSize', (one) => one.size);
  if (size.every((out) => out === 1)) return w.one('GlobalAveragePool', [w.name(x)]);
  const space = w.space(step, x);
  const out = space.map((n, axis) => size[axis] ?? n);
  if (space.every((n, axis) => n % out[axis] === 0)) {
    const steps = space.map((n, axis) => n / out[axis]);
    return w.one('AveragePool', [w.name(x)], { kernel_shape: steps, strides: steps });
  }
  const rank = space.length;
  return space.reduce((y, n, axis) => {
    if (out[axis] === n) return y;
    const matrix = new Float64Array(n * out[axis]);
    for (let o = 0; o < out[axis]; o++) {
      const [start, end] = [Math.floor((o * n) / out[axis]), Math.ceil(((o + 1) * n) / out[axis])];
      for (let i = start; i < end; i++) matrix[i * out[axis] + o] = 1 / (end - start);
    }
    return alongAxis(w, y, rank, axis, w.numbers(matrix, [n, out[axis]], x.dtype));
  }, w.name(x));
}

/** y · matrix along one spatial axis of (N, C, …), brought to the end and back. */
export function alongAxis(w: Writer, y: string, rank: number, axis: number, matrix: string): string {
  if (axis === rank - 1) return w.one('MatMul', [y, matrix]);
  const perm = Array.from({ length: rank + 2 }, (_, i) => i);
  [perm[axis + 2], perm[rank + 1]] = [perm[rank + 1], perm[axis + 2]];
  const turned = w.one('Transpose', [y], { perm });
  return w.one('Transpose', [w.one('MatMul', [turned, matrix])], { perm });
}

export const pooling: Emitters = {
  maxPool,
  maxUnpool: gives(maxUnpool),
  avgPool: gives(avgPool),
  adaptiveAvgPool: gives(adaptiveAvgPool),
};
