/**
 * dynamic: which axes of the inputs stay open, and the inputs that a module is run on to see what depends on them. In the
 * first run every open axis has its usual length; in each further one another axis has another: a batch two more, anything
 * else twice its length, since networks that halve and double want multiples. A last run, which may fail, has lengths that are no multiples.
 */
import { checkName, refuse, show } from '../../errors.js';
import { type Shape, sizeOf } from '../../shape.js';
import { convert, hostTensor, type Tensor } from '../../tensor.js';

const OP = 'exportOnnx';

/** Open axes: a name for each axis, by input. */
export type DynamicAxes = Readonly<Record<string, Readonly<Record<number, string>>>>;

/** Which axes have any length: the first of each input; that and the spatial ones; or those named. */
export type DynamicOption = 'batch' | 'size' | DynamicAxes;

const AXES = ['height', 'width'];

/** Names of the spatial axes of (N, C, …). */
function spatial(rank: number): string[] {
  if (rank === 3) return ['length'];
  return rank === 5 ? ['depth', ...AXES] : AXES.slice(0, rank - 2);
}

/** The names of open axes, per input. */
export function readDynamic(
  option: DynamicOption | undefined,
  names: readonly string[],
  shapes: readonly Shape[],
): readonly ReadonlyMap<number, string>[] {
  if (option === undefined) return shapes.map(() => new Map());
  if (typeof option === 'string') {
    checkName(OP, 'dynamic', option, ['batch', 'size']);
    return shapes.map((shape) => {
      const named: [number, string][] = shape.length > 0 ? [[0, 'batch']] : [];
      if (option === 'size' && shape.length >= 3)
        named.push(...spatial(shape.length).map((name, i): [number, string] => [i + 2, name]));
      return new Map(named);
    });
  }
  if (option === null || typeof option !== 'object' || Array.isArray(option))
    refuse(OP, 'dynamic', `dynamic must be 'batch', 'size' or names of axes by input, got ${show(option)}`);
  for (const name of Object.keys(option)) checkName(OP, 'dynamic', name, names);
  return names.map((name, i) => {
    const entries = Object.entries(option[name] ?? {});
    for (const [axis, called] of entries) {
      if (!(Number.isInteger(Number(axis)) && Number(axis) >= 0 && Number(axis) < shapes[i].length)) {
        refuse(
          OP,
          'dynamic',
          `dynamic['${name}'] must name axes 0 to ${shapes[i].length - 1}, got ${show(axis)}`,
        );
      }
      if (typeof called !== 'string' || called === '')
        refuse(OP, 'dynamic', `the name of axis ${axis} of '${name}' must be a text, got ${show(called)}`);
    }
    return new Map(entries.map(([axis, called]) => [Number(axis), called]));
  });
}

/** Shapes of the inputs in each run. */
export interface Probes {
  /** Those that must run. */
  readonly runs: readonly (readonly Shape[])[];
  /** One more that should, if the module takes it. */
  readonly extra: readonly Shape[] | undefined;
}

/** Shapes to run a module on so that every open axis shows; all but batches of multiples of `multiple`. */
export function probesOf(
  shapes: readonly Shape[],
  open: readonly ReadonlyMap<number, string>[],
  multiple: number,
): Probes {
  const names = [...new Set(open.flatMap((axes) => [...axes.values()]))];
  const isBatch = new Set(open.flatMap((axes) => (axes.has(0) ? [axes.get(0)] : [])));
  const resized = (length: (name: string, n: number) => number) =>
    shapes.map((shape, i) =>
      shape.map((n, axis) => {
        const name = open[i].get(axis);
        return name === undefined ? n : length(name, n);
      }),
    );
  for (const [i, shape] of shapes.entries()) {
    for (const [axis, name] of open[i]) {
      if (isBatch.has(name) || shape[axis] % multiple === 0) continue;
      refuse(OP, 'multiple', `axis ${axis} of the example is ${shape[axis]}, no multiple of ${multiple}`);
    }
  }
  // A batch of one is repeated where others are not: never only one.
  const usual = (name: string, n: number) => (isBatch.has(name) ? n + 1 : n);
  const changed = (which: string) =>
    resized((name, n) => (name !== which ? usual(name, n) : isBatch.has(name) ? n + 3 : 2 * n));
  if (names.length === 0) return { runs: [shapes, shapes], extra: undefined };
  return {
    runs: [resized(usual), ...names.map(changed)],
    extra: resized((name, n) => (isBatch.has(name) ? n + 4 : n + multiple)),
  };
}

/** The example's values, in another order and a little different in every run, in a shape that is larger or smaller. */
export function probeInput({ data, dtype }: Tensor, shape: Shape, run: number): Tensor {
  const float = dtype === 'float32' || dtype === 'float64';
  const count = Math.max(1, data.length);
  const values = convert(
    dtype,
    Array.from({ length: sizeOf(shape) }, (_, i) => {
      const value = data.length === 0 ? 0 : data[(i * (2 * run + 1) + run) % count];
      return float ? value * (1 - run / 16) + run / 64 : value;
    }),
  );
  return hostTensor(values, shape);
}
