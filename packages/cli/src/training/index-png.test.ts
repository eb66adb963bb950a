/** Masks: read from files that another encoder has written, and refused where they are no masks. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startPng } from '../using/png-stream.js';
import { classColours, readMask } from './index-png.js';

const [width, height] = [23, 17];
const numbers = (most: number) =>
  Uint8Array.from({ length: width * height }, (_, i) => (i * 7 + Math.floor(i / 5)) % (most + 1));
const raw = { raw: { width, height, channels: 1 as const } };

async function paletteFile(data: Uint8Array, classes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const png = await startPng({ width, height, palette: classColours(classes) }, async (part) => {
    parts.push(part);
  });
  await png.rows(data);
  await png.end();
  return Buffer.concat(parts);
}

describe('readMask', () => {
  it.each([true, false])(
    'reads grey of 8 bits with the filters of another encoder (adaptive %s)',
    async (on) => {
      const data = numbers(250);
      const file = await sharp(Buffer.from(data), raw)
        .toColourspace('b-w')
        .png({ adaptiveFiltering: on })
        .toBuffer();
      expect(readMask(file, 'mask.png')).toEqual({ width, height, data });
    },
  );

  it.each([2, 4, 16])('reads a palette of %i colours, whatever its bits', async (colours) => {
    const file = await sharp(Buffer.from(numbers(255)), raw)
      .toColourspace('srgb')
      .png({ palette: true, colours, dither: 0 })
      .toBuffer();
    const mask = readMask(file, 'mask.png');
    // The palette's colour of each number is what a decoder of pictures shows.
    const at = file.indexOf('PLTE') + 4;
    const shown = await sharp(file).removeAlpha().toColourspace('srgb').raw().toBuffer();
    const said = Uint8Array.from(
      [...mask.data].flatMap((n) => [...file.subarray(at + 3 * n, at + 3 * n + 3)]),
    );
    expect(said).toEqual(Uint8Array.from(shown));
    expect(Math.max(...mask.data)).toBeLessThan(colours);
  });

  it('reads what apply writes, and others see its colours', async () => {
    const data = numbers(5);
    const file = await paletteFile(data, 6);
    expect(readMask(file, 'm').data).toEqual(data);
    const shown = await sharp(file).raw().toBuffer();
    expect([...shown]).toEqual([...data].flatMap((n) => classColours(6)[n]));
  });

  it('refuses what is no mask', async () => {
    const file = await paletteFile(numbers(5), 6);
    const changed = (at: number, value: number) => file.map((byte, i) => (i === at ? value : byte));
    const refusal = (bytes: Uint8Array) => {
      try {
        return `${readMask(bytes, 'm.png').width}`;
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(refusal(Buffer.from('GIF89a'))).toBe(
      'm.png is no mask: masks are PNG files whose pixels are class numbers',
    );
    expect(
      refusal(
        await sharp(Buffer.from(numbers(9)), raw)
          .toColourspace('srgb')
          .png()
          .toBuffer(),
      ),
    ).toContain('its pixels are colours');
    expect(
      refusal(
        await sharp(Buffer.from(numbers(9)), raw)
          .toColourspace('b-w')
          .png({ progressive: true })
          .toBuffer(),
      ),
    ).toContain('it is interlaced');
    expect(refusal(file.subarray(0, file.length - 40))).toContain('it is damaged or cut short');
    expect(refusal(changed(16, 255))).toContain('it claims 4,278,190,103 × 17 pixels');
    expect(refusal(file.subarray(0, 20))).toContain('it has no header');
    // Each byte of the compressed rows in turn: read or refused, never more.
    for (let at = 8; at < file.length; at += 3)
      expect(typeof refusal(changed(at, file[at] ^ 0x55))).toBe('string');
  });
});

describe('classColours', () => {
  it('are all different, the ground black', () => {
    const colours = classColours(40).map((colour) => colour.join());
    expect(colours[0]).toBe('0,0,0');
    expect(new Set(colours).size).toBe(40);
  });
});
