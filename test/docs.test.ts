/**
 * The documents' code is true: every block compiles, every block runs, and what a comment beside a `console.log` says
 * is what it prints. Blocks that cannot run here are marked `no-run`, and few.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { root } from '../scripts/setup.mjs';
import { allBlocks, commentBlocks, markdownBlocks, readmeBlock } from './support/blocks.js';
import { agrees, compileBlocks, runBlock } from './support/run-block.js';

/** How many blocks may be left unrun: those that need a page, a file of the reader's, or minutes. */
const MOST_UNRUN = 12;

const blocks = allBlocks();

afterAll(() => rmSync(join(root, 'test/.blocks'), { recursive: true, force: true }));

describe('finding blocks', () => {
  it('takes ts and js out of Markdown, with their lines and marks', () => {
    const text = 'a\n```js\none();\n```\n```sh\nls\n```\n  ```ts no-run\n  two();\n    three();\n  ```\n';
    expect(markdownBlocks(text, 'f')).toEqual([
      { file: 'f', line: 3, language: 'js', run: true, code: 'one();' },
      { file: 'f', line: 9, language: 'ts', run: false, code: 'two();\n  three();' },
    ]);
  });

  it('refuses a block that is never closed', () => {
    expect(() => markdownBlocks('```ts\n', 'f')).toThrow('f:1: the code block is never closed');
  });

  it('takes them out of doc comments only', () => {
    const text =
      '/**\n * Says.\n * ```ts\n * one();\n *   two();\n * ```\n */\nconst s = `\n```js\nthree();\n```\n`;';
    expect(commentBlocks(text, 'f')).toEqual([
      { file: 'f', line: 4, language: 'ts', run: true, code: 'one();\n  two();' },
    ]);
  });
});

describe('comparing what is printed', () => {
  it.each([
    ['[ 1, 2 ]', ['[ 1,\n  2 ]'], true],
    ['[ 1, 2 ]', ['[ 1, 3 ]'], false],
    ['1', ['1', '1'], false],
    ['1 2', ['1', '2'], true],
    ['0.33…', ['0.3333333'], true],
    ['0.33…', ['0.34'], false],
    ['(.*)', ['anything'], false],
    ['1', [], false],
  ])('%s against %j: %s', (expected, printed, same) => expect(agrees(expected, printed)).toBe(same));

  it('sees every print of a block, and what its comment says', async () => {
    const code =
      'for (const i of [1, 2]) console.log(i); // 1 2\nconst n: number = 3;\nconsole.log([n]); // [ 4 ]\nconsole.log("x");';
    const claims = await runBlock({ file: 'self', line: 1, language: 'ts', run: true, code });
    expect(claims).toEqual([
      { line: 1, expected: '1 2', printed: ['1', '2'] },
      { line: 3, expected: '[ 4 ]', printed: ['[ 3 ]'] },
      { line: 4, expected: undefined, printed: ['x'] },
    ]);
  });

  it('compiles strictly', () => {
    const block = { file: 'self', line: 10, language: 'ts', run: true } as const;
    const code = "import { conv2d } from 'deconv';\nconv2d('x');";
    expect(compileBlocks([{ ...block, code }])[0]).toMatch(/^self:11: /);
    expect(compileBlocks([{ ...block, code: 'const f = (x) => x;' }])[0]).toMatch(/^self:10: .*implicitly/);
    expect(compileBlocks([{ ...block, language: 'js', code: 'const f = (x) => x;' }])).toEqual([]);
  });
});

describe('code in the documents', () => {
  it('is there, and almost all of it runs', () => {
    expect(readmeBlock().run).toBe(true);
    expect(blocks.length).toBeGreaterThan(20);
    const unrun = blocks.filter(({ run }) => !run).map(({ file, line }) => `${file}:${line}`);
    expect(unrun.length, unrun.join('\n')).toBeLessThanOrEqual(MOST_UNRUN);
  });

  it('compiles', () => expect(compileBlocks(blocks).join('\n')).toBe(''));

  // A block that chooses an engine must not choose it for the next.
  beforeEach(() => vi.resetModules());

  for (const block of blocks.filter(({ run }) => run)) {
    it(`runs and tells the truth: ${block.file}:${block.line}`, async () => {
      const claims = await runBlock(block);
      for (const { line, expected, printed } of claims) {
        if (expected === undefined || agrees(expected, printed)) continue;
        expect.fail(
          `${block.file}:${line} says it prints ${expected}\nbut it prints ${printed.join('\n') || 'nothing'}`,
        );
      }
    });
  }
});
