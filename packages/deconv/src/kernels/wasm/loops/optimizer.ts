/**
 * Steps of optimisers over linear memory: a formula for each array that is remembered, which is changed where it lies, and
 * one for the new value. They go through the arrays together, piece by piece, so that each is fetched and stored once.
 */
import type { OpTable } from '../../../backend.js';
import type { Storage } from '../../../tensor.js';
import { WasmStorage } from '../storage.js';
import type { Ground, Loop } from './ground.js';

/** Floats of a piece: five arrays of it stay in the second-level cache. */
const PIECE = 8192;

type Assignment = readonly [letter: string, formula: string];

/** Whether what is written at the address of a storage becomes its values. */
function stays({ residency }: Ground, storage: Storage): storage is WasmStorage {
  if (!(storage instanceof WasmStorage) || storage.owner !== residency) return false;
  return !storage.cell.exposed && !storage.cell.small;
}

/** Puts values from linear memory where a storage keeps its own. */
function putBack(ground: Ground, storage: Storage, at: number): void {
  const values = storage.peek?.() ?? storage.host();
  values.set(ground.floats(at, storage.length));
}

/** A formula with what it reads, as the kernels want it; the letters as places in a list of addresses. */
interface Assigned {
  /** Place of the array that is written to, 0 for the new value. */
  readonly to: number;
  readonly text: string;
  readonly names: string;
  readonly pattern: string;
  readonly from: readonly number[];
}

/**
 * The loop of a rule. Its formulas are about the value x, the gradient g, what is remembered (a letter each, in the order of
 * the inputs), and numbers (a letter each, in the order of the attributes). S is the slope: the gradient, with the weight
 * decay w if there is any.
 */
/* @__NO_SIDE_EFFECTS__ */
function rule(
  numberLetters: string,
  memories: readonly Assignment[],
  value: string,
): Loop<OpTable['optimizer.step']> {
  const arrayLetters = `xg${memories.map(([letter]) => letter).join('')}`;
  const letters = arrayLetters + numberLetters;
  const assigned = (slope: string): Assigned[] =>
    [...memories, ['x', value] as const].map(([letter, formula]) => {
      const text = formula.replaceAll('S', slope);
      const names = [...letters].filter((name) => text.replace('sqrt', '').includes(name));
      return {
        to: letters.indexOf(letter),
        text,
        names: names.join(''),
        pattern: names.map((name) => Number(arrayLetters.includes(name))).join(''),
        from: names.map((name) => letters.indexOf(name)),
      };
    });
  const [plain, decaying] = [assigned('g'), assigned('(g+w*x)')];
  const decay = numberLetters.indexOf('w');
  return (ground, inputs, { numbers }) => {
    const { length } = inputs[0];
    const arrays = inputs.map((input) => ground.at(input));
    const table = ground.residency.room(4 * numbers.length);
    const { storage, at } = ground.result(length);
    ground.floats(table, numbers.length).set(numbers);
    const places = [...arrays, ...numbers.map((_, i) => table + 4 * i)];
    const steps = numbers[decay] === 0 ? plain : decaying;
    const piece = (done: number) => {
      const count = Math.min(PIECE, length - done);
      for (const { to, text, names, pattern, from } of steps) {
        const rows = from.map(
          (place) => [places[place] + (place < arrays.length ? 4 * done : 0), 0] as const,
        );
        const target = [(to === 0 ? at : places[to]) + 4 * done, 0] as const;
        ground.kernels.apply(text, names, pattern, target, 1, count, rows);
      }
    };
    ground.kernels.shared(length, false, (part) => {
      for (let done = 0; done < length; done += PIECE) part(() => piece(done));
    });
    for (const [i, memory] of inputs.entries())
      if (i >= 2 && !stays(ground, memory)) putBack(ground, memory, arrays[i]);
    return storage;
  };
}

export const sgd = rule('lw', [], 'x-l*S');
export const sgdMomentum = rule('lwa', [['v', 'a*v+S']], 'x-l*v');
export const sgdNesterov = rule('lwa', [['v', 'a*v+S']], 'x-l*(S+a*v)');
export const adam = rule(
  'lwkabcdue',
  [
    ['m', 'a*m+b*S'],
    ['v', 'c*v+d*S*S'],
  ],
  'k*x-l*m/(sqrt(v)*u+e)',
);
export const rmsprop = rule('lwabe', [['v', 'a*v+b*S*S']], 'x-l*S/(sqrt(v)+e)');
export const rmspropMomentum = rule(
  'lwabec',
  [
    ['v', 'a*v+b*S*S'],
    ['m', 'c*m+S/(sqrt(v)+e)'],
  ],
  'x-l*m',
);
export const adagrad = rule('lwe', [['v', 'v+S*S']], 'x-l*S/(sqrt(v)+e)');
