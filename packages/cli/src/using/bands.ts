/**
 * bands: large pictures into files, band by band from the top, as bytes. A PNG is written as the bands come and is never in
 * memory as a whole; the other kinds need all of it at once, which is held as bytes.
 */
import { extname } from 'node:path';
import sharp from 'sharp';
import { STANDARD, writeBytes, writeParts } from '../files.js';
import { encoderFor, MAX_PIXELS } from '../pictures.js';
import { exitCodes, Failure, grouped } from '../terminal.js';
import { type PngHeader, startPng } from './png-stream.js';

/** Is such a file written as its bands come? */
export const isStreamed = (target: string): boolean =>
  target === STANDARD || extname(target).toLowerCase() === '.png';

/**
 * Writes a picture. `make` hands over its bands: whole rows of bytes, channels last. Class numbers with a palette become PNG
 * alone.
 */
export async function writeBands(
  target: string,
  header: PngHeader,
  make: (onBand: (band: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { width, height, channels = 3 } = header;
  if (isStreamed(target)) {
    await writeParts(target, async (part) => {
      const png = await startPng(header, part);
      await make(png.rows);
      await png.end();
    });
    return;
  }
  if (width * height > MAX_PIXELS) {
    throw new Failure(
      `${grouped(width)} × ${grouped(height)} pixels are more than the ${grouped(MAX_PIXELS)} that such a file is written with`,
      exitCodes.failed,
      'write a .png',
    );
  }
  const data = new Uint8Array(width * height * channels);
  let filled = 0;
  await make(async (band) => {
    data.set(band, filled);
    filled += band.length;
  });
  await writeBytes(target, await encoderFor(target)(sharp(data, { raw: { width, height, channels } })));
}
