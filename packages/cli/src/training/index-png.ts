/**
 * index-png: masks of classes as PNG files whose pixels are numbers, not colours: palette or grey, 1, 2, 4 or 8 bits.
 * Decoders of pictures turn the numbers of a palette into its colours, so these are read here. The layout is
 * that of the PNG specification (ISO/IEC 15948): chunks, rows with a filter, deflate.
 *
 * Refuses interlaced files, other kinds of pixels, sizes beyond the limit, and whatever does not add up.
 */
import { inflateSync } from 'node:zlib';
import { MAX_WHOLE_PIXELS } from '../pictures.js';
import { Failure, grouped } from '../terminal.js';

/** One class per pixel, row by row. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const GREY = 0;
const PALETTE = 3;

/** Name and content of each chunk up to IEND; a chunk that reaches beyond the file ends the search. */
function* chunksOf(file: Buffer): Generator<readonly [name: string, content: Buffer]> {
  for (let at = SIGNATURE.length; at + 12 <= file.length; ) {
    const length = file.readUInt32BE(at);
    const name = file.toString('latin1', at + 4, at + 8);
    if (name === 'IEND' || at + 12 + length > file.length) return;
    yield [name, file.subarray(at + 8, at + 8 + length)];
    at += 12 + length;
  }
}

/** Takes the filters of a PNG's rows back, in place: each byte is a difference from what left, above and both foretell. */
function unfilter(rows: Uint8Array, stride: number, height: number): boolean {
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1);
    const kind = rows[start];
    if (kind > 4) return false;
    for (let i = start + 1; i <= start + stride; i++) {
      // Pixels are one byte or less, so that the pixel to the left is one byte away.
      const left = i > start + 1 ? rows[i - 1] : 0;
      const above = y > 0 ? rows[i - stride - 1] : 0;
      const corner = y > 0 && i > start + 1 ? rows[i - stride - 2] : 0;
      if (kind === 1) rows[i] += left;
      else if (kind === 2) rows[i] += above;
      else if (kind === 3) rows[i] += (left + above) >> 1;
      else if (kind === 4) {
        const guess = left + above - corner;
        const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
        rows[i] += a <= b && a <= c ? left : b <= c ? above : corner;
      }
    }
  }
  return true;
}

/** Reads a mask. */
export function readMask(bytes: Uint8Array, name: string): Mask {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const broken = (why: string): never => {
    throw new Failure(`${name} is no mask: ${why}`);
  };
  if (!file.subarray(0, 8).equals(SIGNATURE)) broken('masks are PNG files whose pixels are class numbers');
  const chunks = [...chunksOf(file)];
  const header = chunks[0]?.[1];
  if (chunks[0]?.[0] !== 'IHDR' || header === undefined || header.length !== 13)
    return broken('it has no header');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [bits, colour, , , interlace] = header.subarray(8);
  if (width < 1 || height < 1 || width * height > MAX_WHOLE_PIXELS) {
    broken(
      `it claims ${grouped(width)} × ${grouped(height)} pixels, 1 to ${grouped(MAX_WHOLE_PIXELS)} are read`,
    );
  }
  if ((colour !== GREY && colour !== PALETTE) || ![1, 2, 4, 8].includes(bits)) {
    broken('its pixels are colours or more than 8 bits; class numbers are palette or grey, 8 bits or less');
  }
  if (interlace !== 0) broken('it is interlaced; save it without');
  const stride = Math.ceil((width * bits) / 8);
  const size = height * (stride + 1);
  const packed = Buffer.concat(chunks.filter(([chunk]) => chunk === 'IDAT').map(([, content]) => content));
  let rows: Buffer;
  try {
    rows = inflateSync(packed, { maxOutputLength: size });
  } catch {
    return broken('it is damaged or cut short');
  }
  if (rows.length !== size || !unfilter(rows, stride, height)) broken('it is damaged or cut short');
  const data = new Uint8Array(width * height);
  const perByte = 8 / bits;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const byte = rows[y * (stride + 1) + 1 + Math.floor(x / perByte)];
      data[to] = (byte >> (8 - bits - bits * (x % perByte))) & (2 ** bits - 1);
    }
  }
  return { width, height, data };
}

/**
 * Colours of classes that can be told apart: black for 0, then hues a golden angle from each other, in three rounds of
 * brightness.
 */
export function classColours(classes: number): [number, number, number][] {
  return Array.from({ length: classes }, (_, i) => {
    if (i === 0) return [0, 0, 0];
    const hue = ((i - 1) * 0.381966 + 0.02) % 1;
    const value = [255, 190, 230][i % 3];
    const channel = (n: number) => {
      const k = (n + 6 * hue) % 6;
      return Math.round(value * (1 - 0.75 * Math.max(0, Math.min(k, 4 - k, 1))));
    };
    return [channel(5), channel(3), channel(1)];
  });
}
