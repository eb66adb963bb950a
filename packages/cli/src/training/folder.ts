/**
 * folder: the pictures that a model is trained on: those of a folder and the folders in it, or drawn ones. Decoded off the
 * main thread, several at a time, scaled down to a longest side, held as bytes. What cannot be used is skipped, and
 * remembered with the reason.
 *
 * When all pictures together need more than the memory that was allowed, they are dealt out to *shelves* that fit: an
 * epoch then goes from shelf to shelf, the next being read while one is in use.
 */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { randomStream } from 'deconv';
import { SHAPE_NAMES, syntheticShapes } from 'deconv/nn';
import { readBytes } from '../files.js';
import { claimedPixels, loadPicture, type Pixels } from '../pictures.js';
import { Failure, grouped, misuse } from '../terminal.js';
import { type Mask, readMask } from './index-png.js';

/** A picture, and where classes are learnt the class of each pixel. */
export interface Example extends Pixels {
  readonly name: string;
  readonly mask?: Uint8Array;
}

/** Where examples come from. */
export interface Source {
  /** Their names, in a fixed order. */
  readonly names: readonly string[];
  /** Reads one; throws a {@link Failure} with the reason where that cannot be done. */
  load(index: number): Promise<Example>;
  /** How many pixels one will have, told by its header alone; 0 where it cannot be told. */
  pixels(index: number): Promise<number>;
  /** Changes when the pictures do: a resumed training must see the same. */
  readonly fingerprint: string;
  /** Names of the classes, if there are any. */
  readonly classNames?: readonly string[];
}

/** Value of a mask's pixels that are of no class. */
export const UNKNOWN_CLASS = 255;

const ENDINGS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.avif', '.gif', '.tif', '.tiff']);

/** Files of a folder and those below that look like pictures, in the order of their names. */
async function filesIn(folder: string): Promise<string[]> {
  const info = await stat(folder).catch(() => {
    throw new Failure(`cannot read ${folder}: there is no such folder`);
  });
  if (!info.isDirectory()) throw new Failure(`cannot read ${folder}: it is not a folder`);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: Error) => {
    throw new Failure(`cannot read ${folder}: ${error.message}`);
  });
  const found = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(join(folder, '/').length))
    .filter((name) => ENDINGS.has(extname(name).toLowerCase()));
  if (found.length === 0) {
    throw new Failure(
      `${folder} holds no pictures`,
      1,
      `files ending in ${[...ENDINGS].join(', ')} are looked for, in its folders too`,
    );
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

async function fingerprintOf(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path}\0${(await stat(path)).size}\0`);
  return hash.digest('hex').slice(0, 32);
}

/** Pictures of a folder, none longer than `longest`. */
export async function folderSource(folder: string, longest: number): Promise<Source> {
  const names = await filesIn(folder);
  return {
    names,
    load: async (index) => ({
      ...(await loadPicture(join(folder, names[index]), longest)),
      name: names[index],
    }),
    pixels: async (index) => (await claimedPixels(join(folder, names[index]), longest)) ?? 0,
    fingerprint: await fingerprintOf(names.map((name) => join(folder, name))),
  };
}

/** Pictures of FOLDER/images with masks of the same name, ending in .png, in FOLDER/masks; names in FOLDER/classes.txt. */
export async function maskedSource(folder: string): Promise<Source> {
  const layout =
    'FOLDER/images holds pictures, FOLDER/masks a PNG of class numbers for each, of the same name';
  const under = async (part: string) =>
    filesIn(join(folder, part)).catch((error: unknown) => {
      throw error instanceof Failure ? new Failure(error.message, error.exitCode, layout) : error;
    });
  const [names, masks] = [await under('images'), new Set(await under('masks'))];
  const maskOf = (name: string) => `${name.slice(0, -extname(name).length)}.png`;
  const paired = names.filter((name) => masks.has(maskOf(name)));
  if (paired.length === 0) throw new Failure(`no picture of ${folder}/images has a mask`, 1, layout);
  const paths = paired.flatMap((name) => [join(folder, 'images', name), join(folder, 'masks', maskOf(name))]);
  const words = await readBytes(join(folder, 'classes.txt')).catch(() => undefined);
  const classNames = words && Buffer.from(words).toString('utf8').split(/\r?\n/).filter(Boolean);
  return {
    names: paired,
    load: async (index) => {
      const picture = await loadPicture(paths[2 * index]);
      const mask: Mask = readMask(await readBytes(paths[2 * index + 1]), paths[2 * index + 1]);
      if (mask.width !== picture.width || mask.height !== picture.height) {
        throw new Failure(
          `its mask is ${mask.width} × ${mask.height}, the picture ${picture.width} × ${picture.height}`,
        );
      }
      return { ...picture, name: paired[index], mask: mask.data };
    },
    pixels: async (index) => (await claimedPixels(paths[2 * index])) ?? 0,
    fingerprint: await fingerprintOf(paths),
    ...(classNames === undefined ? {} : { classNames }),
  };
}

/** Drawn pictures of lit figures over textured grounds, each with its mask. */
export function drawnSource(count: number, size: number): Source {
  const drawn = syntheticShapes(count, { size, seed: 1 });
  const plane = size * size;
  return {
    names: Array.from({ length: count }, (_, i) => `drawn ${i + 1}`),
    load: async (index) => {
      const [picture, , mask] = await drawn.get(index, randomStream(0));
      const data = new Uint8ClampedArray(3 * plane);
      for (let i = 0; i < plane; i++) {
        for (let c = 0; c < 3; c++) data[3 * i + c] = 255 * Number(picture.data[c * plane + i]);
      }
      return {
        name: `drawn ${index + 1}`,
        width: size,
        height: size,
        data: new Uint8Array(data.buffer),
        mask: Uint8Array.from(mask.data, Number),
      };
    },
    pixels: async () => plane,
    fingerprint: `drawn ${count} ${size}`,
    classNames: ['ground', ...SHAPE_NAMES.slice(0, 4)],
  };
}

/** An example that was not used, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

/** Decoded examples that can be used. */
export interface Loaded {
  readonly examples: readonly { readonly index: number; readonly example: Example }[];
  readonly skipped: readonly Skipped[];
}

/** How many pictures are decoded at a time. */
const AT_A_TIME = 4;

/**
 * Loads examples in the order of `indices`, several at a time.
 *
 * @param reject says why an example cannot be used, or nothing
 * @param onLoaded told after each
 */
export async function loadExamples(
  source: Source,
  indices: readonly number[],
  reject: (example: Example) => string | undefined,
  onLoaded: (done: number) => Promise<void> | void = () => {},
): Promise<Loaded> {
  const found: (Example | Skipped)[] = new Array(indices.length);
  let [next, done] = [0, 0];
  const work = async () => {
    while (next < indices.length) {
      const at = next++;
      const name = source.names[indices[at]];
      found[at] = await source.load(indices[at]).then(
        (example) => {
          const reason = reject(example);
          return reason === undefined ? example : { name, reason };
        },
        (error: unknown) => {
          if (!(error instanceof Failure)) throw error;
          return { name, reason: error.message.replace(/^.*?(?=\b(is|claims|cannot|its)\b)/, '') };
        },
      );
      await onLoaded(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return {
    examples: indices.flatMap((index, at) => {
      const example = found[at];
      return 'data' in example ? [{ index, example }] : [];
    }),
    skipped: found.filter((entry): entry is Skipped => 'reason' in entry),
  };
}

/** Which examples are held back for validation: every so many-th, at most `most`; none of a single one. */
export function holdBack(count: number, most: number): { train: number[]; held: number[] } {
  const wanted = Math.min(most, Math.floor(count / 2), Math.max(1, Math.round(count / 10)));
  const held = new Set(Array.from({ length: wanted }, (_, i) => Math.floor(((i + 0.5) * count) / wanted)));
  const all = Array.from({ length: count }, (_, i) => i);
  return { train: all.filter((i) => !held.has(i)), held: [...held] };
}

/** Bytes from "512M", "1.5G", "800K" or a plain number of them. */
export function readBytesOption(text: string): number {
  const [, number, unit] = text.match(/^(\d+(?:\.\d+)?)([KMG]?)i?B?$/i) ?? [];
  if (number === undefined) misuse(`a size is written as 512M or 1G, got '${text}'`);
  const bytes = Number(number) * 1024 ** ' KMG'.indexOf(unit === '' ? ' ' : unit.toUpperCase());
  if (bytes < 2 ** 20) misuse(`a size must be at least 1M, got '${text}'`);
  return Math.floor(bytes);
}

/** Bytes as people write them. */
export const inMiB = (bytes: number): string => `${grouped(Math.ceil(bytes / 2 ** 20))} MiB`;
