/**
 * Finds the code blocks of the documents: fenced ```ts and ```js in Markdown, and the same inside the doc comments of
 * TypeScript sources. A block marked `no-run` is compiled but not run.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/setup.mjs';

export interface Block {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Line of the block's first line of code, from 1. */
  readonly line: number;
  readonly language: 'ts' | 'js';
  readonly run: boolean;
  readonly code: string;
}

const languages: Readonly<Record<string, 'ts' | 'js'>> = {
  ts: 'ts',
  typescript: 'ts',
  js: 'js',
  javascript: 'js',
};

/** The blocks of a Markdown text, in order. */
export function markdownBlocks(text: string, file: string): Block[] {
  const blocks: Block[] = [];
  let fence: { indent: string; mark: string; info: string; line: number; code: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, indent, mark, info] = /^(\s*)(```+)(.*)$/.exec(line) ?? [];
    if (fence === undefined) {
      if (mark !== undefined) fence = { indent, mark, info: info.trim(), line: index + 2, code: [] };
    } else if (mark !== undefined && mark.length >= fence.mark.length && info.trim() === '') {
      const [name, ...marks] = fence.info.split(/\s+/);
      const language = languages[name];
      const run = !marks.includes('no-run');
      if (language) blocks.push({ file, line: fence.line, language, run, code: fence.code.join('\n') });
      fence = undefined;
    } else {
      fence.code.push(line.startsWith(fence.indent) ? line.slice(fence.indent.length) : line.trimStart());
    }
  }
  if (fence) throw new Error(`${file}:${fence.line - 1}: the code block is never closed`);
  return blocks;
}

/** The blocks in the doc comments of a TypeScript text: all else is blanked, so that line numbers stay true. */
export function commentBlocks(text: string, file: string): Block[] {
  const lines = text.split('\n');
  let inside = false;
  for (const [index, line] of lines.entries()) {
    if (/^\s*\/\*\*/.test(line)) inside = true;
    lines[index] = inside ? line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, '').replace(/\s*\*\/.*$/, '') : '';
    if (line.includes('*/')) inside = false;
  }
  return markdownBlocks(lines.join('\n'), file);
}

const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** Files under `folder` whose name ends so, as paths from the root with forward slashes. */
function find(folder: string, ending: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !/(^|[\\/])(node_modules|dist)[\\/]/.test(name))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort();
}

/** Every block of the readmes, of docs/ and of the library's doc comments. */
export function allBlocks(): Block[] {
  const readmes = ['README.md', 'CONTRIBUTING.md', 'packages/cli/README.md'].filter((f) =>
    existsSync(join(root, f)),
  );
  const documents = [...readmes, ...find('docs', '.md'), ...find('examples', '.md')];
  const sources = find('packages/deconv/src', '.ts').filter((file) => !file.endsWith('.test.ts'));
  return [
    ...documents.flatMap((file) => markdownBlocks(read(file), file)),
    ...sources.flatMap((file) => commentBlocks(read(file), file)),
  ];
}

/** What the first screen of the readme promises: its first block of JavaScript. */
export function readmeBlock(): Block {
  const block = markdownBlocks(read('README.md'), 'README.md').find(({ language }) => language === 'js');
  if (!block) throw new Error('README.md has no ```js block');
  return block;
}
