/**
 * png-stream: PNG files written row by row, so that a picture need never be in memory as a whole: grey, RGB, RGBA, or class
 * numbers with a palette. Each row gets the filter whose bytes are smallest (the heuristic of the PNG specification, ISO/IEC 15948,
 * 12.8), and goes through one deflate stream.
 */
import { once } from 'node:events';
import { constants, crc32, createDeflate } from 'node:zlib';

/** What is written. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bytes per pixel: grey, RGB (the default), RGBA. */
  readonly channels?: 1 | 3 | 4;
  /** Colours of classes: pixels are their numbers, one byte each. */
  readonly palette?: readonly (readonly number[])[];
}

/** Kinds of pixels, as files number them. */
const KINDS = { 1: 0, 3: 2, 4: 6 } as const;
const PALETTE = 3;

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

function chunk(name: string, content: Uint8Array): Buffer {
  const out = Buffer.alloc(content.length + 12);
  out.writeUInt32BE(content.length, 0);
  out.write(name, 4, 'latin1');
  out.set(content, 8);
  out.writeUInt32BE(crc32(out.subarray(4, content.length + 8)), content.length + 8);
  return out;
}

/** The byte that left, above and the corner between them foretell (Paeth). */
function foretold(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

/** A row behind the number of its filter: as it is, or less what is left of it, above it, or foretold. */
function filtered(row: Uint8Array, above: Uint8Array, bytes: number, kinds: readonly number[]): Uint8Array {
  let best: Uint8Array | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const kind of kinds) {
    const out = new Uint8Array(row.length + 1);
    out[0] = kind;
    let sum = 0;
    for (let i = 0; i < row.length && sum < least; i++) {
      const left = i >= bytes ? row[i - bytes] : 0;
      let guess = 0;
      if (kind === 1) guess = left;
      else if (kind === 2) guess = above[i];
      else if (kind === 4) guess = foretold(left, above[i], i >= bytes ? above[i - bytes] : 0);
      const value = (row[i] - guess) & 255;
      out[i + 1] = value;
      sum += value < 128 ? value : 256 - value;
    }
    if (sum < least) [best, least] = [out, sum];
  }
  return best ?? new Uint8Array(row.length + 1);
}

/** Writes a PNG; rows are handed to the returned functions, whole rows at a time, from the top. */
export async function startPng(
  { width, height, channels = 3, palette }: PngHeader,
  write: (part: Uint8Array) => Promise<void>,
): Promise<{ rows(data: Uint8Array): Promise<void>; end(): Promise<void> }> {
  const bytes = palette === undefined ? channels : 1;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, palette === undefined ? KINDS[channels] : PALETTE, 0, 0, 0], 8);
  await write(Buffer.concat([SIGNATURE, chunk('IHDR', header)]));
  if (palette !== undefined) await write(chunk('PLTE', Uint8Array.from(palette.flat())));
  const strategy = palette === undefined ? constants.Z_FILTERED : constants.Z_DEFAULT_STRATEGY;
  const deflate = createDeflate({ level: 6, strategy, chunkSize: 2 ** 18 });
  // Written in the order of arrival; a failure is kept for whoever hands over the next rows.
  let written: Promise<void> = Promise.resolve();
  deflate.on('data', (part: Buffer) => {
    written = written.then(() => write(chunk('IDAT', part)));
    written.catch(() => undefined);
  });
  let above: Uint8Array = new Uint8Array(width * bytes);
  // Differences of class numbers mean nothing.
  const kinds = palette === undefined ? [1, 2, 4] : [0];
  // One band is packed while the next is made: packing has a thread of its own, and gets large pieces to be busy with.
  let packing: Promise<unknown> = Promise.resolve();
  return {
    rows: async (data) => {
      const stride = width * bytes;
      const count = data.length / stride;
      const band = new Uint8Array(count * (stride + 1));
      for (let y = 0; y < count; y++) {
        const row = data.subarray(y * stride, (y + 1) * stride);
        band.set(filtered(row, above, bytes, kinds), y * (stride + 1));
        above = row;
      }
      above = above.slice();
      await packing;
      await written;
      packing = deflate.write(band) ? Promise.resolve() : once(deflate, 'drain');
      packing.catch(() => undefined);
    },
    end: async () => {
      await packing;
      deflate.end();
      await once(deflate, 'end');
      await written;
      await write(chunk('IEND', new Uint8Array()));
    },
  };
}
