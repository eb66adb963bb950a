import { describe, expect, it } from 'vitest';
import { bar, duration, hang, paintFor, plural, table, wantsColour, widthOf, wrap } from './terminal.js';

const tty = { isTTY: true };
const pipe = { isTTY: false };

describe('wantsColour', () => {
  it('goes by the terminal, NO_COLOR, FORCE_COLOR and TERM', () => {
    expect(wantsColour(tty, {})).toBe(true);
    expect(wantsColour(pipe, {})).toBe(false);
    expect(wantsColour(tty, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColour(tty, { NO_COLOR: '' })).toBe(true);
    expect(wantsColour(tty, { TERM: 'dumb' })).toBe(false);
    expect(wantsColour(pipe, { FORCE_COLOR: '1' })).toBe(true);
    expect(wantsColour(tty, { FORCE_COLOR: '0' })).toBe(false);
    expect(wantsColour(tty, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false);
  });
});

describe('tables and text', () => {
  it('aligns columns by their visible width', () => {
    const paint = paintFor(tty, {});
    const text = table(
      [
        ['a', paint.red('1')],
        ['bcd', '22'],
      ],
      'lr',
      '',
    );
    expect(text).toBe(`a     ${paint.red('1')}\nbcd  22`);
    expect(widthOf(paint.bold('× 3'))).toBe(3);
  });

  it('wraps at words and hangs what follows', () => {
    expect(wrap('one two three', '', 7)).toBe('one two\nthree');
    expect(hang('a  ', 3, 'one two three', 10)).toEqual(['a  one two', '   three']);
  });

  it('draws bars in eighths, and something for the smallest share', () => {
    expect(bar(1, 3)).toBe('███');
    expect(bar(0.5, 1)).toBe('▌');
    expect(bar(1e-6, 40)).toBe('▏');
    expect(bar(0, 40)).toBe('');
  });

  it('writes numbers as people do', () => {
    expect([duration(0.44), duration(12.3), duration(3120)]).toEqual(['0.4 ms', '12 ms', '3.1 s']);
    expect([plural(1, 'row'), plural(1234, 'row')]).toEqual(['1 row', '1,234 rows']);
  });
});
