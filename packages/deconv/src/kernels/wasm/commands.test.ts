import { expect, it } from 'vitest';
import * as BASE from './bases.js';
import { BASES } from './commands.js';

it('the bases are numbered one after the other', () => {
  const numbers = Object.values<number>(BASE).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: BASES }, (_, i) => i));
});
