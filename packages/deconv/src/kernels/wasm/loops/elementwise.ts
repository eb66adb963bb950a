/**
 * Elementwise loops: functions of one argument by their formulas (see formulas.ts), or by their definitions where they have
 * none; two arguments broadcast; selection; other number types.
 */
import type { BinaryName, OpTable } from '../../../backend.js';
import { broadcastStrides, sizeOf } from '../../../shape.js';
import type { Loop, WasmFunction } from './ground.js';
import { axesOf, single, walk } from './views.js';

/** (x[, g]) → f, f′ or f″ of each element [· g]. */
export const unary: Loop<OpTable['unary']> = (ground, inputs, { fn, order, parameters }) => {
  const { wasm, reference }: WasmFunction = fn;
  const [x, g] = inputs;
  const places = inputs.map((input) => [ground.at(input), 0] as const);
  const { storage, at } = ground.result(x.length);
  const text =
    typeof wasm === 'function' ? wasm(order, parameters) : wasm && (wasm[order] ?? 'min(abs(x),0)');
  if (text !== undefined) {
    // Definitions stay in front.
    const times = () => text.replace(/[^;]+$/, '($&)*g');
    const [formula, names, pattern] = g === undefined ? [text, 'x', '1'] : [times(), 'xg', '11'];
    ground.kernels.apply(formula, names, pattern, [at, 0], 1, x.length, places, parameters);
    return storage;
  }
  const f = reference[order];
  const out = ground.floats(at, x.length);
  const [values, factors] = places.map(([from]) => ground.floats(from, x.length));
  for (let i = 0; i < out.length; i++) out[i] = f(values[i], parameters) * (factors?.[i] ?? 1);
  return storage;
};

const BINARY: Readonly<Partial<Record<BinaryName, string>>> = {
  add: 'a+b',
  sub: 'a-b',
  mul: 'a*b',
  div: 'a/b',
  maximum: 'max(a,b)',
  minimum: 'min(a,b)',
  equal: 'a==b ? 1 : 0',
  greater: 'a>b ? 1 : 0',
  greaterEqual: 'a>=b ? 1 : 0',
  prelu: 'a>0 ? a : a*b',
};

/** (a, b) → f(a, b), broadcast; but powers are left to the reference, whose loop costs little beside them. */
export const binary: Loop<OpTable['binary']> = (ground, [a, b], { fn, aShape, bShape, shape }) => {
  const text = BINARY[fn];
  if (text === undefined) return undefined;
  const operands = [ground.at(a), ground.at(b)];
  const { storage, at } = ground.result(sizeOf(shape));
  const axes = axesOf(shape, broadcastStrides(aShape, shape), broadcastStrides(bShape, shape));
  const row = axes.pop() ?? single(2);
  const rows = axes.pop() ?? single(2);
  let out = at;
  ground.kernels.shared(storage.length, true, () =>
    walk(axes, [0, 0], (places) => {
      const inputs = operands.map((from, i) => [from + 4 * places[i], 4 * rows.steps[i]] as const);
      const target = [out, 4 * row.length] as const;
      ground.kernels.apply(text, 'ab', row.steps.join(''), target, rows.length, row.length, inputs);
      out += target[1] * rows.length;
    }),
  );
  return storage;
};

/** (condition, a, b) → a where condition ≠ 0, else b. */
export const select: Loop<OpTable['select']> = (ground, inputs) => {
  const places = inputs.map((input) => [ground.at(input), 0] as const);
  const { length } = inputs[0];
  const { storage, at } = ground.result(length);
  ground.kernels.apply('c==0 ? b : a', 'cab', '111', [at, 0], 1, length, places);
  return storage;
};

/** (x) → the same in another number type, rounded as typed arrays do. */
export const cast: Loop<OpTable['cast']> = (ground, [x], { dtype }) => {
  const from = ground.at(x);
  const { storage } = ground.result(x.length, dtype);
  storage.peek().set(ground.floats(from, x.length));
  return storage;
};
