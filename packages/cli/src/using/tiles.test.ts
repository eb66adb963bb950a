/** Parts: that they give what the whole gives, for every kind of model, and keep within the memory. */
import { autoencoder, denoiser, init, type PictureModel, segmenter, upscaler } from 'deconv/nn';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../pictures.js';
import { startPng } from './png-stream.js';
import { tilingOf, useModel } from './tiles.js';

const noise = (width: number, height: number): Pixels => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 2654435761) >>> 24),
});

/** No layer as it began: what starts as zero would hide the others. */
function shaken<M extends PictureModel>(model: M): M {
  for (const [i, parameter] of model.parameters().entries())
    init.uniform(parameter, { min: -0.2, max: 0.2, seed: i });
  return model;
}

const models = [
  shaken(upscaler({ scale: 3, channels: 4, blocks: 1 })),
  shaken(denoiser({ channels: 4, blocks: 1 })),
  shaken(autoencoder({ channels: 4, levels: 2, code: 3, down: 'pool' })),
  shaken(segmenter({ classes: 4, channels: 4, levels: 2 })),
];

async function bandsOf(model: (typeof models)[number], picture: Pixels, rows: number, columns: number) {
  const around = Math.ceil(model.reach / model.multiple) * model.multiple;
  const bands: Uint8Array[] = [];
  let parts = 0;
  const cut = { rows, columns, around, count: 0 };
  for await (const band of useModel(model, picture, cut, async () => void parts++)) bands.push(band);
  return { bytes: Buffer.concat(bands), parts };
}

describe('useModel', () => {
  it.each(models)('gives in parts what $type gives for the whole', async (model) => {
    const picture = noise(53, 47);
    const { multiple } = model;
    const whole = await bandsOf(model, picture, 47, 53);
    expect(whole.parts).toBe(1);
    for (const [rows, columns] of [
      [multiple, 53],
      [16, 16],
      [4 * multiple, 12],
    ]) {
      const cut = await bandsOf(model, picture, rows, columns);
      expect(cut.parts).toBe(Math.ceil(47 / rows) * Math.ceil(53 / columns));
      expect(cut.bytes.equals(whole.bytes), `${rows} × ${columns}`).toBe(true);
    }
  });
});

describe('tilingOf', () => {
  it('covers the picture with parts at multiples that fit, and knows how many', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...models),
        fc.integer({ min: 1, max: 9000 }),
        fc.integer({ min: 1, max: 9000 }),
        fc.integer({ min: 2 ** 20, max: 2 ** 30 }),
        (model, width, height, memory) => {
          const { rows, columns, around, count } = tilingOf(model, width, height, memory);
          expect(around).toBeGreaterThanOrEqual(model.reach);
          expect(around % model.multiple).toBe(0);
          expect(rows % model.multiple === 0 || rows === height).toBe(true);
          expect(columns % model.multiple === 0 || columns === width).toBe(true);
          expect(count).toBe(Math.ceil(height / rows) * Math.ceil(width / columns));
        },
      ),
    );
  });
});

describe('startPng', () => {
  it('writes what other decoders read back, handed over in any portions', async () => {
    const { width, height, data } = noise(31, 29);
    const smooth = data.map((_, i) => (i * i) >> 7);
    for (const pixels of [data, smooth]) {
      const parts: Uint8Array[] = [];
      const png = await startPng({ width, height }, async (part) => void parts.push(part));
      for (let row = 0; row < height; ) {
        const some = Math.min(height - row, 1 + (row % 7));
        await png.rows(pixels.subarray(row * width * 3, (row + some) * width * 3));
        row += some;
      }
      await png.end();
      const file = Buffer.concat(parts);
      expect(await sharp(file).metadata()).toMatchObject({ format: 'png', width, height, channels: 3 });
      expect(Buffer.from(pixels).equals(await sharp(file).raw().toBuffer())).toBe(true);
    }
  });

  it('tells whoever writes of a failure', async () => {
    const png = async () => {
      const { width, height, data } = noise(400, 400);
      const { rows, end } = await startPng({ width, height }, (part) =>
        part.length > 1000 ? Promise.reject(new Error('no space')) : Promise.resolve(),
      );
      await rows(data);
      await end();
    };
    await expect(png()).rejects.toThrow('no space');
  });
});
