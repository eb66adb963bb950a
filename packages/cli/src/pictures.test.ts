import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encoderFor, loadSquare, sniff } from './pictures.js';
import { Failure } from './terminal.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deconv-pictures-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const RED = { r: 255, g: 0, b: 0 };
const BLUE = { r: 0, g: 0, b: 255 };

/** Red on the left, blue on the right. */
function halves(width: number, height: number): Sharp {
  const right = { create: { width: width / 2, height, channels: 3 as const, background: BLUE } };
  return sharp({ create: { width, height, channels: 3, background: RED } }).composite([
    { input: right, left: width / 2, top: 0 },
  ]);
}

async function save(name: string, image: Sharp): Promise<string> {
  const path = join(folder, name);
  writeFileSync(path, await image.toBuffer());
  return path;
}

function saveBytes(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The colour at (x, y) of a square of `size`. */
const at = (data: Uint8Array, size: number, x: number, y: number) => [
  ...data.subarray((y * size + x) * 3, (y * size + x) * 3 + 3),
];

const near = (colour: readonly number[], wanted: readonly number[], by = 12) =>
  colour.every((v, c) => Math.abs(v - wanted[c]) <= by);

/** A chunk of a PNG file. */
function chunk(type: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length);
  head.write(type, 4, 'latin1');
  return withChecksum(Buffer.concat([head, body, Buffer.alloc(4)]));
}

async function failure(path: string): Promise<string> {
  const error = await loadSquare(path, 16).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Failure);
  return (error as Failure).message.replaceAll(`${folder}/`, '');
}

describe('loadSquare', () => {
  it.each([
    ['jpeg', (image: Sharp) => image.jpeg({ quality: 95 })],
    ['png', (image: Sharp) => image.png()],
    ['webp', (image: Sharp) => image.webp({ quality: 95 })],
    ['avif', (image: Sharp) => image.avif({ quality: 90 })],
    ['tiff', (image: Sharp) => image.tiff()],
    ['gif', (image: Sharp) => image.gif()],
  ])('reads %s whatever the file is called', async (format, encode) => {
    const path = await save(`${format}.bin`, encode(halves(64, 64)));
    const { data, source } = await loadSquare(path, 32);
    expect(source).toEqual({ format, width: 64, height: 64 });
    expect(near(at(data, 32, 4, 16), [255, 0, 0])).toBe(true);
    expect(near(at(data, 32, 27, 16), [0, 0, 255])).toBe(true);
  });

  it('turns a picture held sideways upright', async () => {
    // Orientation 6: to be turned by 90° clockwise, so that left comes to the top.
    const path = await save(
      'sideways.jpg',
      halves(64, 32).jpeg({ quality: 95 }).withMetadata({ orientation: 6 }),
    );
    const { data, source } = await loadSquare(path, 32);
    expect(source).toEqual({ format: 'jpeg', width: 32, height: 64 });
    expect(near(at(data, 32, 16, 3), [255, 0, 0])).toBe(true);
    expect(near(at(data, 32, 16, 28), [0, 0, 255])).toBe(true);
  });

  it('takes the square of the middle', async () => {
    const path = await save('wide.png', halves(96, 32).png());
    const { data } = await loadSquare(path, 32);
    expect(at(data, 32, 2, 2)).toEqual([255, 0, 0]);
    expect(at(data, 32, 29, 29)).toEqual([0, 0, 255]);
  });

  it('lays transparency on white', async () => {
    const clear = { r: 200, g: 0, b: 0, alpha: 0 };
    const path = await save(
      'clear.png',
      sharp({ create: { width: 20, height: 20, channels: 4, background: clear } }).png(),
    );
    expect(at((await loadSquare(path, 8)).data, 8, 4, 4)).toEqual([255, 255, 255]);
    const half = { r: 255, g: 0, b: 0, alpha: 0.5 };
    const path2 = await save(
      'half.png',
      sharp({ create: { width: 20, height: 20, channels: 4, background: half } }).png(),
    );
    expect(near(at((await loadSquare(path2, 8)).data, 8, 4, 4), [255, 127, 127], 2)).toBe(true);
  });

  it('makes three channels of grey, of grey with transparency, and of 16 bits', async () => {
    const grey = {
      create: { width: 20, height: 20, channels: 3 as const, background: { r: 90, g: 90, b: 90 } },
    };
    for (const [name, image] of [
      ['grey.png', sharp(grey).toColourspace('b-w').png()],
      ['grey-alpha.png', sharp(grey).ensureAlpha().toColourspace('b-w').png()],
      ['16-bit.png', sharp(grey).toColourspace('rgb16').png()],
      ['16-bit-grey.png', sharp(grey).toColourspace('grey16').png()],
    ] as const) {
      const { data } = await loadSquare(await save(name, image), 8);
      expect(data.length).toBe(8 * 8 * 3);
      expect(near(at(data, 8, 4, 4), [90, 90, 90], 2), name).toBe(true);
    }
  });

  it('reads CMYK as the colours that it means', async () => {
    const path = await save('cmyk.jpg', halves(32, 32).toColourspace('cmyk').jpeg({ quality: 95 }));
    expect((await sharp(path).metadata()).space).toBe('cmyk');
    const { data } = await loadSquare(path, 16);
    const [r, , b] = at(data, 16, 3, 8);
    expect(r - b).toBeGreaterThan(100);
  });

  it('reads the first frame of an animation', async () => {
    const frame = (background: object) => ({
      create: { width: 16, height: 16, channels: 3 as const, background },
    });
    const frames = await Promise.all([RED, BLUE].map((colour) => sharp(frame(colour)).png().toBuffer()));
    const path = await save(
      'moving.webp',
      sharp(frames, { join: { animated: true } }).webp({ lossless: true }),
    );
    const { data, source } = await loadSquare(path, 8);
    expect(source.height).toBe(16);
    expect(at(data, 8, 4, 4)).toEqual([255, 0, 0]);
  });

  it('enlarges a single pixel', async () => {
    const path = await save(
      'dot.png',
      sharp({ create: { width: 1, height: 1, channels: 3, background: BLUE } }).png(),
    );
    const { data } = await loadSquare(path, 8);
    expect(at(data, 8, 0, 0)).toEqual([0, 0, 255]);
    expect(at(data, 8, 7, 7)).toEqual([0, 0, 255]);
  });
});

describe('what is no picture', () => {
  it('is refused with the reason', async () => {
    expect(await failure(join(folder, 'nowhere.png'))).toBe('cannot read nowhere.png: there is no such file');
    expect(await failure(folder)).toMatch(/^cannot read .*: it is a folder$/);
    expect(await failure(saveBytes('empty.png', ''))).toBe('empty.png is empty (0 bytes)');
    expect(await failure(saveBytes('words.png', 'no picture at all'))).toBe(
      'words.png is a text file, not a picture',
    );
    expect(
      await failure(saveBytes('drawing.svg', '<?xml version="1.0"?>\n<svg width="9" height="9"/>')),
    ).toBe('drawing.svg is an SVG drawing, not a picture made of pixels');
    expect(await failure(saveBytes('paper.pdf', '%PDF-1.7'))).toMatch(
      /^paper.pdf is a PDF document; JPEG, PNG/,
    );
    expect(await failure(saveBytes('film.mp4', '\0\0\0\x18ftypisom\0\0\0\0'))).toMatch(/^film.mp4 is a film/);
    expect(await failure(saveBytes('noise.png', Uint8Array.of(1, 0, 7, 9)))).toMatch(
      /^noise.png is not a picture of a known kind/,
    );
  });

  it('is refused when it ends too early', async () => {
    for (const [name, image] of [
      ['cut.png', halves(256, 256).png({ compressionLevel: 0 })],
      ['cut.jpg', halves(256, 256).jpeg()],
      ['cut.webp', halves(256, 256).webp({ lossless: true })],
      ['cut.avif', halves(256, 256).avif()],
    ] as const) {
      const whole = readFileSync(await save(name, image));
      const kind = name.slice(4).toUpperCase().replace('JPG', 'JPEG');
      for (const share of [0.6, 0.1]) {
        const path = saveBytes(name, whole.subarray(0, Math.max(24, whole.length * share)));
        expect(await failure(path)).toMatch(new RegExp(`^${name} is a broken or truncated ${kind} picture`));
      }
    }
  });

  it.each([
    [100_000, 0, '200,000,000 are decoded'],
    [9_000, 1, '64,000,000 are decoded of a file that must be held whole'],
  ])(
    'is refused by its header when that claims too many pixels: %i squared',
    async (side, interlaced, words) => {
      const header = Buffer.alloc(13);
      header.writeUInt32BE(side, 0);
      header.writeUInt32BE(side, 4);
      header.set([8, 2, 0, 0, interlaced], 8);
      const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
      const chunks = [
        chunk('IHDR', header),
        chunk('IDAT', deflateSync(Buffer.alloc(1000))),
        chunk('IEND', Buffer.alloc(0)),
      ];
      const before = process.memoryUsage().rss;
      const claimed = side.toLocaleString('en-US');
      expect(await failure(saveBytes('vast.png', Buffer.concat([signature, ...chunks])))).toBe(
        `vast.png claims ${claimed} × ${claimed} pixels; at most ${words}`,
      );
      expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    },
  );
});

/** CRC-32 of type and body, as PNG has it. */
function withChecksum(bytes: Buffer): Buffer {
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, -4)) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  bytes.writeUInt32BE((crc ^ 0xffffffff) >>> 0, bytes.length - 4);
  return bytes;
}

describe('encoderFor', () => {
  it('goes by the ending', async () => {
    for (const [name, kind] of [
      ['a.png', 'png'],
      ['-', 'png'],
      ['a.JPG', 'jpeg'],
      ['a.jpeg', 'jpeg'],
      ['a.webp', 'webp'],
      ['a.avif', 'avif'],
    ]) {
      expect(sniff(await encoderFor(name)(halves(16, 16)))).toBe(kind);
    }
  });

  it('refuses endings that it does not know', () => {
    expect(() => encoderFor('a.bmp')).toThrow("cannot tell the format of a.bmp by its ending '.bmp'");
    expect(() => encoderFor('a')).toThrow('cannot tell the format of a by its ending (it has none)');
    expect(() => encoderFor('a.toString')).toThrow('cannot tell the format');
  });
});
