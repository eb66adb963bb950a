/**
 * diagnose: where a number that is not finite comes from. The step is made once more, with every module watched: what first
 * returned NaN or Infinity is named; or, if all outputs are finite, the parameter whose gradient the backward pass spoilt
 * first, which is one of the module called last.
 */
import { collectedBy, recollect } from '../autograd.js';
import { Tensor } from '../tensor.js';
import type { AnyModule } from './module.js';

/** How many values are not finite; undefined if none, or if these are not floating-point values. */
function spoilt(x: Tensor): { readonly count: number; readonly first: number } | undefined {
  if (x.dtype !== 'float32' && x.dtype !== 'float64') return undefined;
  let count = 0;
  let first = 0;
  for (const value of x.data) {
    if (Number.isFinite(value)) continue;
    if (count++ === 0) first = value;
  }
  return count === 0 ? undefined : { count, first };
}

/** `12 of 96 values are not finite, the first is NaN` */
function describe(x: Tensor): string | undefined {
  const found = spoilt(x);
  if (found === undefined) return undefined;
  const { count, first } = found;
  return `${count} of ${x.size} value${x.size === 1 ? '' : 's'} ${count === 1 ? 'is' : 'are'} not finite, the first ${first}`;
}

/** True when all values are finite. */
export const allFinite = (x: Tensor): boolean => x.data.every(Number.isFinite);

/** The tensors in what a module returned: a tensor, or an array or object of them. */
function tensorsIn(output: unknown): Tensor[] {
  if (output instanceof Tensor) return [output];
  if (output === null || typeof output !== 'object') return [];
  return Object.values(output).filter((value): value is Tensor => value instanceof Tensor);
}

interface Watched {
  /** What the first output that is not finite is, in words. */
  spoilt: string | undefined;
  /** Modules in the order in which their calls ended. */
  readonly calls: string[];
}

/** Watches the calls of a module until the returned function is called. */
function watch(path: string, module: AnyModule, seen: Watched): () => void {
  const own = Object.getOwnPropertyDescriptor(module, 'forward');
  const { forward } = module;
  const watched = (...inputs: never[]): unknown => {
    const output = Reflect.apply(forward, module, inputs);
    seen.calls.push(path);
    if (seen.spoilt !== undefined) return output;
    const what = tensorsIn(output).map(describe).find(Boolean);
    if (what === undefined) return output;
    const name = path === '' ? `the model (${module.type})` : `'${path}' (${module.type})`;
    seen.spoilt = `the first output that is not finite is that of ${name}: ${what}`;
    return output;
  };
  Object.defineProperty(module, 'forward', { value: watched, configurable: true, enumerable: false });
  return () => {
    if (own === undefined) Reflect.deleteProperty(module, 'forward');
    else Object.defineProperty(module, 'forward', own);
  };
}

/**
 * Says in words where the loss, or a gradient, of these batches stopped to be finite; undefined if a second look finds
 * nothing.
 */
export function whereNotFinite(
  model: AnyModule,
  batches: readonly (readonly Tensor[])[],
  loss: (batch: number) => Tensor,
): string | undefined {
  for (const [name, tensor] of [...model.namedParameters(), ...model.namedBuffers()]) {
    const what = describe(tensor);
    if (what !== undefined) return `'${name}' was not finite before the step: ${what}`;
  }
  for (const parameter of model.parameters()) recollect(parameter, null);
  for (const [i, batch] of batches.entries()) {
    for (const [which, tensor] of batch.entries()) {
      const what = describe(tensor);
      if (what !== undefined) return `tensor ${which} of the batch is not finite: ${what}`;
    }
    const seen: Watched = { spoilt: undefined, calls: [] };
    const undo = model.namedModules().map(([path, module]) => watch(path, module, seen));
    let value: Tensor;
    try {
      value = loss(i);
    } finally {
      for (const restore of undo) restore();
    }
    if (seen.spoilt !== undefined) return seen.spoilt;
    if (!allFinite(value)) return 'every module’s output is finite: it is the loss function that is not';
    value.backward();
    const gradient = firstSpoiltGradient(model, seen.calls);
    if (gradient !== undefined) return gradient;
  }
  return undefined;
}

/** The backward pass goes from the last call to the first. */
function firstSpoiltGradient(model: AnyModule, calls: readonly string[]): string | undefined {
  const found = model.namedParameters().flatMap(([name, parameter]) => {
    const gradient = collectedBy(parameter);
    const what = gradient === null ? undefined : describe(gradient);
    const owner = name.slice(0, Math.max(0, name.lastIndexOf('.')));
    return what === undefined ? [] : [{ name, what, call: calls.lastIndexOf(owner) }];
  });
  if (found.length === 0) return undefined;
  const { name, what } = found.reduce((a, b) => (b.call > a.call ? b : a));
  return `all outputs are finite; the first gradient that is not is that of '${name}': ${what}`;
}
