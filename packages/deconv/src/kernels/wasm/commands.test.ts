import { expect, it } from 'vitest';
import * as BASE from './bases.js';
import { BASE_NAMES } from './commands.js';

it('the names of the bases are in the order of their numbers, and all there', () => {
  const named = Object.fromEntries(BASE_NAMES.map((name, number) => [name, number]));
  expect(named).toEqual({ ...BASE });
});
