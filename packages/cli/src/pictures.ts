/**
 * pictures: from a file's bytes to pixels and back, by sharp. Only formats of pixels are opened (JPEG, PNG, WebP, AVIF,
 * GIF, TIFF), told by their first bytes and not by the file's name, and the size that the header claims is checked
 * before anything is decoded. Whatever the file holds (CMYK, 16 bits, grey, a palette, transparency, several frames, a
 * camera held sideways) comes out as upright 8-bit RGB, transparency on white, the first frame.
 */
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { pathFailure, readBytes, STANDARD } from './files.js';
import { exitCodes, Failure, grouped, misuse } from './terminal.js';

/** The most pixels a picture may claim to have where it is decoded row by row. */
export const MAX_PIXELS = 200_000_000;
/** And where the whole of it must be held: interlaced and progressive files, WebP, AVIF. */
export const MAX_WHOLE_PIXELS = 64_000_000;

/** 8-bit RGB, row by row: `data[(y·width + x)·3 + channel]`. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A picture as it was loaded. */
export interface Picture extends Pixels {
  /** The file's name, or `stdin`. */
  readonly name: string;
  /** Facts of the file itself; width and height are of the upright picture. */
  readonly source: { readonly format: string; readonly width: number; readonly height: number };
}

/** The kind of picture that bytes begin with, or undefined. */
export function sniff(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.subarray(0, 32)).toString('latin1');
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp';
  if (text.startsWith('GIF8')) return 'gif';
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'tiff';
  if (text.slice(4, 8) === 'ftyp' && /avi[fs]|mif1|msf1/.test(text.slice(8))) return 'avif';
  return undefined;
}

function refuseFormat(bytes: Uint8Array, name: string): never {
  const head = Buffer.from(bytes.subarray(0, 4096));
  const text = head.toString('utf8');
  const known = 'JPEG, PNG, WebP, AVIF, GIF and TIFF are read';
  if (/<svg[\s>]/i.test(text)) {
    throw new Failure(
      `${name} is an SVG drawing, not a picture made of pixels`,
      exitCodes.failed,
      'render it to PNG first',
    );
  }
  if (text.startsWith('%PDF')) throw new Failure(`${name} is a PDF document; ${known}`);
  if (text.slice(4, 8) === 'ftyp') throw new Failure(`${name} is a film or a HEIC picture; ${known}`);
  if (head.includes(0)) throw new Failure(`${name} is not a picture of a known kind; ${known}`);
  throw new Failure(`${name} is a text file, not a picture`);
}

/** libvips' own words in brackets, shortened to one line without its internal names; nothing where nothing is left. */
function decoderWords(error: unknown): string {
  const text = error instanceof Error ? error.message : '';
  const lines = text
    .replace(/Input buffer has corrupt header:/, '')
    .split('\n')
    .map((line) => line.trim());
  const words = lines
    .filter((line) => line !== '')
    .pop()
    ?.replace(/^(\w+:\s*)*/, '');
  return words ? ` (${words})` : '';
}

/** The first bytes of a file. */
async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw pathFailure(error, path, 'read');
  });
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(4096), 0, 4096, 0);
    if (bytesRead === 0) throw new Failure(`${path} is empty (0 bytes)`);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw error instanceof Failure ? error : pathFailure(error, path, 'read');
  } finally {
    await file.close();
  }
}

/** Opens a picture, given as bytes or as the path of a file, and checks what its header claims; nothing is decoded yet. */
async function openPicture(bytes: Uint8Array | string, name: string) {
  const head = typeof bytes === 'string' ? await headOf(bytes) : bytes;
  const format = sniff(head) ?? refuseFormat(head, name);
  const broken = (error: unknown) =>
    new Failure(`${name} is a broken or truncated ${format.toUpperCase()} picture${decoderWords(error)}`);
  // Our own limit follows, with a message that says so; sharp's would come first.
  const header = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw broken(error);
    });
  const { width, height } = header;
  const whole = header.isProgressive || format === 'webp' || format === 'avif';
  const most = whole ? MAX_WHOLE_PIXELS : MAX_PIXELS;
  if (width * height > most) {
    throw new Failure(
      `${name} claims ${grouped(width)} × ${grouped(height)} pixels; at most ${grouped(most)} are decoded${whole ? ' of a file that must be held whole' : ''}`,
      exitCodes.failed,
      'scale it down first',
    );
  }
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: most, sequentialRead: true });
  const sideways = (header.orientation ?? 1) >= 5;
  return {
    image,
    broken,
    source: { format, width: sideways ? height : width, height: sideways ? width : height },
  };
}

/** The pixels of an opened picture: transparency on white, 8-bit RGB. */
async function decode({ image, broken, source }: Awaited<ReturnType<typeof openPicture>>, name: string) {
  const { data, info } = await image
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw broken(error);
    });
  const { width, height } = info;
  return { name, source, width, height, data: rgb(data, width * height) };
}

/**
 * Loads a picture as a square of `size`×`size`: upright, the largest square of its middle, resampled.
 *
 * @param path a file, or `-` for stdin
 */
export async function loadSquare(path: string, size: number): Promise<Picture> {
  return loadPixels(await readBytes(path), path === STANDARD ? 'stdin' : path, {
    width: size,
    height: size,
    fit: 'crop',
    kernel: 'lanczos3',
  });
}

/**
 * Loads a whole picture, upright; one that is longer than `longest` is scaled down to it.
 *
 * @param path a file, or `-` for stdin
 */
export async function loadPicture(path: string, longest?: number): Promise<Picture> {
  const name = path === STANDARD ? 'stdin' : path;
  const opened = await openPicture(await readBytes(path), name);
  opened.image.autoOrient();
  if (longest !== undefined)
    opened.image.resize(longest, longest, { fit: 'inside', withoutEnlargement: true, kernel: 'lanczos3' });
  return decode(opened, name);
}

/** How a picture is brought to a size: stretched, cut in the middle, or fitted into it with black around. */
export interface Resizing {
  readonly width: number;
  readonly height: number;
  readonly fit: 'stretch' | 'crop' | 'pad';
  readonly kernel: 'nearest' | 'linear' | 'cubic' | 'lanczos3';
}

const fits = { stretch: 'fill', crop: 'cover', pad: 'contain' } as const;

/** The pixels of a file, or of its bytes, upright, brought to a size if one is given. A picture that has it is left as it is. */
export async function loadPixels(
  bytes: Uint8Array | string,
  name: string,
  resizing?: Resizing,
): Promise<Picture> {
  const opened = await openPicture(bytes, name);
  opened.image.autoOrient();
  if (resizing !== undefined) {
    const { width, height, fit, kernel } = resizing;
    opened.image.resize(width, height, { fit: fits[fit], position: 'centre', kernel, background: '#000000' });
  }
  return decode(opened, name);
}

/** How many pixels a file claims to have once it is no longer than `longest`; undefined where it is no picture. Nothing is decoded. */
export async function claimedPixels(
  path: string,
  longest = Number.POSITIVE_INFINITY,
): Promise<number | undefined> {
  const header = await sharp(path, { limitInputPixels: false })
    .metadata()
    .catch(() => undefined);
  if (header === undefined) return undefined;
  const shrink = Math.min(1, longest / Math.max(header.width, header.height));
  return Math.ceil(header.width * shrink) * Math.ceil(header.height * shrink);
}

/** Grey becomes three equal channels, a fourth channel goes. */
function rgb(data: Uint8Array, pixels: number): Uint8Array {
  const channels = data.length / pixels;
  if (channels === 3) return data;
  const out = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) out[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)];
  }
  return out;
}

/** Endings of file names that can be written, and how. */
const encoders: Record<string, (image: Sharp) => Sharp> = {
  '.png': (image) => image.png({ compressionLevel: 9 }),
  '.jpg': (image) => image.jpeg({ quality: 92, chromaSubsampling: '4:4:4' }),
  '.jpeg': (image) => image.jpeg({ quality: 92, chromaSubsampling: '4:4:4' }),
  '.webp': (image) => image.webp({ quality: 92 }),
  '.avif': (image) => image.avif({ quality: 80 }),
};

/** How a target's name wants to be encoded; `-` is PNG. Refuses unknown endings. */
export function encoderFor(target: string): (image: Sharp) => Promise<Uint8Array> {
  const ending = target === STANDARD ? '.png' : extname(target).toLowerCase();
  if (!Object.hasOwn(encoders, ending)) {
    misuse(
      `cannot tell the format of ${target} by its ending ${ending === '' ? '(it has none)' : `'${ending}'`}`,
      `use one of ${Object.keys(encoders).join(', ')}`,
    );
  }
  return (image) => encoders[ending](image).toBuffer();
}
