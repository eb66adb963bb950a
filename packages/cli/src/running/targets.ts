/**
 * targets: which file each output of each run is written to. `--output` is a file, a folder, or a pattern: {name} stands for
 * the input's name without folder and ending, {index} for the number of the run, from 1, {output} for the output's name. All
 * of it is worked out before anything runs: two results under one name, or a result over an input, are refused.
 */
import { stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { checkTarget, STANDARD } from '../files.js';
import { encoderFor } from '../pictures.js';
import { misuse, plural } from '../terminal.js';
import type { Item } from './items.js';

/** Kinds of files in a folder. */
export const FORMATS = ['npy', 'npz', 'png', 'jpg', 'webp', 'avif'] as const;
export type Format = (typeof FORMATS)[number];

/** Where results go. */
export interface Targets {
  /** The file of an output; without a kind in the pattern, `format` decides. Of a .npz, every output has the same. */
  of(run: number, output: string, format: Format): string;
  /** What the files are, if the name or an option says so. */
  readonly format: Format | undefined;
}

/** A name of the graph as part of a file's name. */
const plain = (name: string) =>
  name.replace(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^[_.]+|_+$/g, '') || 'output';

/** The kind that a name ends in; refuses endings that nothing is known of. */
function formatOf(path: string): Format {
  const ending = extname(path).toLowerCase().slice(1);
  if (ending === 'npy' || ending === 'npz') return ending;
  if (ending === 'jpeg') return 'jpg';
  if (!FORMATS.some((format) => format === ending)) {
    if (ending === '')
      misuse(
        `cannot tell from '${path}' what to write`,
        `a folder ends in /; a file in one of .${FORMATS.join(', .')}`,
      );
    misuse(
      `cannot tell the format of ${path} by its ending '.${ending}'`,
      `use one of .${FORMATS.join(', .')}`,
    );
  }
  encoderFor(path);
  return ending as Format;
}

const isFolder = async (path: string) =>
  /[/\\]$/.test(path) || ((await stat(path).catch(() => undefined))?.isDirectory() ?? false);

/** Works out where everything goes; undefined where nothing is written. */
export async function planTargets(
  output: string | undefined,
  format: Format | undefined,
  items: readonly Item[],
  outputs: readonly string[],
  others: readonly string[],
): Promise<Targets | undefined> {
  if (output === undefined) {
    if (format !== undefined) misuse(`--format ${format} needs an --output`);
    return undefined;
  }
  const several = outputs.length > 1;
  if (output === STANDARD) {
    if (items.length > 1) misuse(`${plural(items.length, 'run')} cannot all be written to stdout`);
    if (several && format !== undefined && format !== 'npz') refuseSeveral('stdout', outputs);
    return { of: () => STANDARD, format: format ?? (several ? 'npz' : undefined) };
  }
  const folder = await isFolder(output);
  const known = folder ? format : formatOf(output);
  if (!folder && format !== undefined && format !== known)
    misuse(`--format ${format} does not go with ${output}`, '--format is for folders');
  if (known === 'npz' && output.includes('{output}'))
    misuse('a .npz holds every output: leave {output} out of its name');
  if (!folder && several && known !== 'npz' && !output.includes('{output}')) refuseSeveral(output, outputs);
  if (!folder && items.length > 1 && !/\{(name|index)\}/.test(output)) {
    misuse(
      `${plural(items.length, 'run')} need a folder or a pattern: ${output} is one file`,
      `-o ${output.replace(/\.\w+$/, '')}/ makes a folder; a pattern has {name} or {index}`,
    );
  }
  // What all outputs go into together, and each alone.
  const all = folder ? join(output, '{name}') : output;
  const each = folder && several ? join(output, '{name}-{output}') : all;
  const of = (run: number, name: string, kind: Format) => {
    const path = (kind === 'npz' ? all : each).replace(/\{(name|index|output)\}/g, (_, what: string) =>
      what === 'name' ? items[run].stem : what === 'index' ? String(run + 1) : plain(name),
    );
    return folder ? `${path}.${kind}` : path;
  };
  await checkAll(items, outputs, known === undefined ? FORMATS : [known], of, others);
  return { of, format: known };
}

function refuseSeveral(target: string, outputs: readonly string[]): never {
  misuse(
    `${target} holds one output, but there are ${outputs.length}: ${outputs.join(', ')}`,
    'choose with --outputs, write a .npz, or have {output} in the name',
  );
}

/** Refuses two results under one name, and results over what is read. */
async function checkAll(
  items: readonly Item[],
  outputs: readonly string[],
  kinds: readonly Format[],
  of: Targets['of'],
  others: readonly string[],
): Promise<void> {
  const sources = new Set(
    [...items.flatMap(({ files }) => [...files.values()]), ...others].map((path) => resolve(path)),
  );
  for (const kind of kinds) {
    const taken = new Map<string, string>();
    for (const [run, item] of items.entries()) {
      for (const name of kind === 'npz' ? outputs.slice(0, 1) : outputs) {
        const target = of(run, name, kind);
        const id = outputs.length === 1 ? item.name : `${name} of ${item.name}`;
        const before = taken.get(target);
        if (before !== undefined) {
          misuse(
            `${before} and ${id} would both be written to ${target}`,
            'a pattern with {index} or {output} in --output tells them apart',
          );
        }
        taken.set(target, id);
        if (sources.has(resolve(target)))
          misuse(`${target} is an input itself, which is never overwritten`, 'give another --output');
      }
    }
  }
  if (items.length > 0) await checkTarget(of(0, outputs[0], kinds[0]), [...items[0].files.values()][0]);
}
