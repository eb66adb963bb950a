/**
 * state: how optimisers and schedules hand out what they remember, and how they take it back: tensors by flat names, so
 * that a safetensors file holds them. A state is checked as a whole before any of it is used: one that is not complete,
 * of other shapes, or another rule's, is refused with all that does not fit.
 */
import { refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { type Shape, sameShape, showShape } from '../shape.js';
import { type DType, Tensor } from '../tensor.js';

/** Tensors by name. */
export type StateDict = Readonly<Record<string, Tensor>>;

/** What stands under a name. */
export interface Entry {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** The entry of a single number. */
export const SCALAR: Entry = { dtype: 'float64', shape: [] };

/** A number as a state holds it. */
export const scalar = (value: number): Tensor => fromValues(Float64Array.of(value), []);

/** Longest list of names in a message. */
const MOST_LISTED = 6;

const listed = (names: readonly string[]) =>
  names.slice(0, MOST_LISTED).join(', ') + (names.length > MOST_LISTED ? ', …' : '');

/** Refuses anything but an object of tensors; gives it as a map. */
export function readState(op: string, state: unknown): Map<string, Tensor> {
  if (state === null || typeof state !== 'object' || Array.isArray(state) || state instanceof Tensor)
    refuse(op, 'state', `state must be an object of tensors by name, got ${show(state)}`);
  return new Map(
    Object.entries(state).map(([name, value]: [string, unknown]): [string, Tensor] => [
      name,
      value instanceof Tensor
        ? value
        : refuse(op, 'state', `state['${name}'] must be a tensor, got ${show(value)}`),
    ]),
  );
}

/** Refuses a state that has not just the wanted entries. */
export function checkState(
  op: string,
  state: ReadonlyMap<string, Tensor>,
  wanted: ReadonlyMap<string, Entry>,
): void {
  const describe = ({ dtype, shape }: Entry) => `${dtype} ${showShape(shape)}`;
  const missing = [...wanted.keys()].filter((name) => !state.has(name));
  const unexpected = [...state.keys()].filter((name) => !wanted.has(name));
  const misshaped = [...wanted].flatMap(([name, entry]) => {
    const got = state.get(name);
    if (got === undefined || (got.dtype === entry.dtype && sameShape(got.shape, entry.shape))) return [];
    return [`${name} must be ${describe(entry)}, got ${describe(got)}`];
  });
  const report = [
    ...(missing.length > 0 ? [`${missing.length} missing: ${listed(missing)}`] : []),
    ...(unexpected.length > 0 ? [`${unexpected.length} unexpected: ${listed(unexpected)}`] : []),
    ...(misshaped.length > 0 ? [`${misshaped.length} of another kind: ${listed(misshaped)}`] : []),
  ];
  if (report.length > 0) refuse(op, 'state', `the state does not fit: ${report.join('; ')}`);
}
