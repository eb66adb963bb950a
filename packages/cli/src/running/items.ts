/**
 * items: from what `--input` says to a list of runs. A text is a file, a pattern, a folder (the pictures and arrays in it),
 * or `-` for stdin, with the name of the network's input before it where that must be said: `mask=m.npy`. Every run gets one
 * file per input; an input with a single file beside others with many gets it in every run. A file of named arrays (.npz)
 * gives several inputs at once.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { OnnxValue } from 'deconv/onnx';
import { STANDARD } from '../files.js';
import { expand, isPattern } from '../globs.js';
import { exitCodes, Failure, grouped, misuse, plural } from '../terminal.js';

/** One run. */
export interface Item {
  /** The file that it is named after, as people know it. */
  readonly name: string;
  /** That name without folder and ending. */
  readonly stem: string;
  /** Path for each input; under '' one that gives inputs by the names in it. */
  readonly files: ReadonlyMap<string, string>;
}

const ENDINGS = /\.(npy|npz|jpe?g|png|webp|avif|gif|tiff?)$/i;

/** Files that a text stands for. */
async function filesOf(text: string): Promise<string[]> {
  if (text === STANDARD) return [STANDARD];
  if (isPattern(text)) {
    const found = await expand(text);
    if (found.length === 0) throw new Failure(`no file fits ${text}`);
    return found;
  }
  if (!(await stat(text).catch(() => undefined))?.isDirectory()) return [text];
  const names = (await readdir(text)).filter((name) => ENDINGS.test(name) && !name.startsWith('.'));
  if (names.length === 0) throw new Failure(`${text} holds no pictures and no arrays`);
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => join(text, name));
}

/** `mask=m.npy` → the input it is for, and the file; '' where no input is named. */
function readText(text: string, inputs: readonly OnnxValue[]): [string, string] {
  const names = inputs.map(({ name }) => name);
  // Names of inputs may hold '=' themselves.
  const named = names.find((name) => text.startsWith(`${name}=`));
  if (named !== undefined) return [named, text.slice(named.length + 1)];
  const at = text.indexOf('=');
  if (at > 0 && !existsSync(text) && !/[\\/.*?[]/.test(text.slice(0, at)))
    misuse(`the network has no input '${text.slice(0, at)}'`, `its inputs are ${names.join(', ')}`);
  return ['', text];
}

const isNamedArrays = (path: string) => extname(path).toLowerCase() === '.npz';

/** Reads all of `--input` into runs. Refuses what leaves an input without a file. */
export async function readItems(texts: readonly string[], inputs: readonly OnnxValue[]): Promise<Item[]> {
  const lists = new Map<string, string[]>();
  for (const text of texts) {
    const [input, path] = readText(text, inputs);
    if (path === '') misuse(`--input ${text} names no file`);
    lists.set(input, [...(lists.get(input) ?? []), ...(await filesOf(path))]);
  }
  const all = [...lists.values()].flat();
  if (all.filter((path) => path === STANDARD).length > 1) misuse('stdin can be read once only');

  // Files without a name are for the one input that is left, unless they bring their names along.
  const loose = lists.get('') ?? [];
  const left = inputs.filter(({ name }) => !lists.has(name));
  if (loose.some((path) => !isNamedArrays(path) && path !== STANDARD) && left.length !== 1) {
    const example = left.map(({ name }) => `--input ${name}=FILE`).join(' ');
    misuse(
      left.length === 0
        ? 'every input has a file already; a file without a name is left over'
        : `the network has ${grouped(left.length)} inputs without a file: ${left.map(({ name }) => name).join(', ')}`,
      left.length === 0
        ? `the inputs are ${inputs.map(({ name }) => name).join(', ')}`
        : `say which is which: ${example}`,
    );
  }
  if (loose.length === 0 && left.length > 0) {
    misuse(`input '${left[0].name}' has no file`, `give it: --input ${left[0].name}=FILE`);
  }
  const count = Math.max(0, ...[...lists.values()].map(({ length }) => length));
  for (const [input, files] of lists) {
    if (files.length !== count && files.length !== 1) {
      const [longest] = [...lists].find(([, { length }]) => length === count) ?? [''];
      misuse(
        `${plural(files.length, 'file')} for input '${input}', ${grouped(count)} for '${longest}'`,
        'give each input as many files, or one that is used in every run',
      );
    }
  }
  return Array.from({ length: count }, (_, i) => {
    const files = new Map([...lists].map(([input, list]) => [input, list[list.length === 1 ? 0 : i]]));
    // The run is named after the input that has most files.
    const [naming] = [...lists].filter(([, list]) => list.length === count).map(([input]) => input);
    const path = files.get(naming) as string;
    const stem = path === STANDARD ? 'stdin' : basename(path, extname(path));
    return { name: path === STANDARD ? 'stdin' : path, stem, files };
  });
}

/** One failure for a file that is not what a network can take. */
export const unusable = (name: string, what: string, hint?: string): Failure =>
  new Failure(`${name} ${what}`, exitCodes.failed, hint);
