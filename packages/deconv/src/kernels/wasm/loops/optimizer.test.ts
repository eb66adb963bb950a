/** Each rule against its definition: new values, and memories changed where they lie, wherever that is. */
import { describe, expect, it } from 'vitest';
import { alone, values, wild } from '../../../../../../test/support/loops.js';
import { openWasm, TILES } from '../../../../../../test/support/wasm.js';
import { HostStorage, type Storage, type TypedArray } from '../../../tensor.js';
import { adagrad, adam, rmsprop, rmspropMomentum, sgd, sgdMomentum, sgdNesterov } from '../../../updates.js';
import { reference } from '../../reference/index.js';

const rules = { sgd, sgdMomentum, sgdNesterov, adam, rmsprop, rmspropMomentum, adagrad };

/** Numbers of each rule, and how many arrays it remembers. */
const RULES: Record<keyof typeof rules, readonly [numbers: number[], memories: number]> = {
  sgd: [[0.1, 0.3], 0],
  sgdMomentum: [[0.1, 0.3, 0.9], 1],
  sgdNesterov: [[0.1, 0.3, 0.9], 1],
  adam: [[0.01, 0.2, 0.99, 0.9, 0.1, 0.999, 0.001, 3.2, 1e-8], 2],
  rmsprop: [[0.01, 0.2, 0.9, 0.1, 1e-8], 1],
  rmspropMomentum: [[0.01, 0.2, 0.9, 0.1, 1e-8, 0.5], 2],
  adagrad: [[0.1, 0.2, 1e-10], 1],
};
const names = Object.keys(RULES) as (keyof typeof RULES)[];

/** What a step gives: the new values, then the memories. */
function step(
  name: keyof typeof RULES,
  numbers: readonly number[],
  inputs: readonly Storage[],
  backend = alone,
): TypedArray[] {
  const moved = backend.run(rules[name], inputs, { numbers });
  return [moved, ...inputs.slice(2)].map((storage) => storage.host().slice());
}

/** Memories of squares are not negative. */
const arraysFor = (name: keyof typeof RULES, length: number, draw = values): Float32Array[] =>
  Array.from({ length: 2 + RULES[name][1] }, (_, i) => draw(length, i + length)).map((array, i) =>
    i < 2 ? array : array.map(Math.abs),
  );

function defined(name: keyof typeof RULES, numbers: readonly number[], arrays: readonly Float32Array[]) {
  const inputs = arrays.map((array) => new HostStorage(array.slice()));
  const moved = reference.run(rules[name], inputs, { numbers });
  return [moved, ...inputs.slice(2)].map((storage) => storage.host());
}

function expectClose(got: readonly TypedArray[], wanted: readonly TypedArray[]): void {
  expect(got.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
  for (const [which, array] of wanted.entries()) {
    for (let i = 0; i < array.length; i++) {
      const [a, b] = [got[which][i], array[i]];
      const near = Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));
      if (!Object.is(a + 0, b + 0) && !near)
        expect.fail(`array ${which}, element ${i} is ${a}, should be ${b}`);
    }
  }
}

describe.each(names)('%s', (name) => {
  const [numbers] = RULES[name];

  it('is its definition, with weight decay and without, whatever the length', () => {
    for (const length of [0, 1, 3, 5, 4095, 8192, 20_003]) {
      for (const decay of [numbers[1], 0]) {
        const given = [numbers[0], decay, ...numbers.slice(2)];
        const arrays = arraysFor(name, length);
        const got = step(
          name,
          given,
          arrays.map((array) => alone.upload(array.slice())),
        );
        expectClose(got, defined(name, given, arrays));
      }
    }
  });

  it('lets NaN and infinities show', () => {
    const arrays = arraysFor(name, 5000, wild);
    const got = step(
      name,
      numbers,
      arrays.map((array) => alone.upload(array.slice())),
    );
    expectClose(got, defined(name, numbers, arrays));
  });

  it('gives the same bits wherever its memories lie', () => {
    for (const length of [100, 9000]) {
      const arrays = arraysFor(name, length);
      const copies = () => arrays.map((array) => array.slice());
      const expected = step(
        name,
        numbers,
        copies().map((array) => alone.upload(array)),
      );
      const inHost = copies().map((array) => new HostStorage(array));
      expect(step(name, numbers, inHost)).toEqual(expected);
      // In the hands of a user, and of another engine.
      const exposed = copies().map((array) => alone.upload(array));
      for (const storage of exposed) storage.host();
      expect(step(name, numbers, exposed)).toEqual(expected);
      const other = openWasm(TILES[0], 1);
      const foreign = copies().map((array) => other.upload(array));
      expect(step(name, numbers, foreign)).toEqual(expected);
      other.close();
    }
  });
});
