import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expand, isPattern } from './globs.js';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'deconv-globs-'));
  mkdirSync(join(root, 'a/deep/er'), { recursive: true });
  mkdirSync(join(root, '.git'));
  for (const name of ['1.png', '2.png', '2.jpg', 'x[1].png', '.hidden.png', 'a+b.png'])
    writeFileSync(join(root, name), '');
  for (const name of ['a/3.png', 'a/deep/4.png', 'a/deep/er/5.png', '.git/6.png'])
    writeFileSync(join(root, name), '');
  symlinkSync(root, join(root, 'a/loop'));
  symlinkSync(join(root, '1.png'), join(root, 'link.png'));
});
afterAll(() => rmSync(root, { recursive: true }));

const found = async (pattern: string) =>
  (await expand(join(root, pattern))).map((path) => path.slice(root.length + 1));

describe('expand', () => {
  it.each([
    ['*.png', ['1.png', '2.png', 'a+b.png', 'link.png', 'x[1].png']],
    ['?.png', ['1.png', '2.png']],
    ['[!1].*', ['2.jpg', '2.png']],
    ['[0-1].png', ['1.png']],
    ['{2,1}.{png,jpg}', ['2.png', '2.jpg', '1.png']],
    ['a+*', ['a+b.png']],
    ['.*.png', ['.hidden.png']],
    ['*/*.png', ['a/3.png']],
    ['a/**/*.png', ['a/3.png', 'a/deep/4.png', 'a/deep/er/5.png']],
    ['**/[45].png', ['a/deep/4.png', 'a/deep/er/5.png']],
    ['a/**', ['a/3.png', 'a/deep/4.png', 'a/deep/er/5.png']],
    ['*.gif', []],
    ['no/such/*', []],
    ['[', []],
  ])('%s', async (pattern, names) => {
    expect(await found(pattern)).toEqual(names);
  });

  it('is relative to the current folder, or not', async () => {
    expect(await expand('packages/cli/package.jso?')).toEqual(['packages/cli/package.json']);
    expect(await expand(`${root}/1.pn?`)).toEqual([`${root}/1.png`]);
  });

  it('knows a name that exists from a pattern', () => {
    expect([
      isPattern(join(root, 'x[1].png')),
      isPattern(join(root, 'x[2].png')),
      isPattern('a.png'),
    ]).toEqual([false, true, false]);
  });
});
