/** Parts: that they give what the whole gives, for every kind of model within the memory. */
import { autoencoder, denoiser, init, type PictureModel, segmenter, upscaler } from 'deconv/nn';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../pictures.js';
import { fromTensor, toTensor } from '../planes.js';
import { startPng } from './png-stream.js';
import { planParts, useModel } from './tiles.js';

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

async function resultOf(model: (typeof models)[number], picture: Pixels, memory: number) {
  const bands: Uint8Array[] = [];
  let parts = 0;
  const plan = planParts(model, picture.width, picture.height, memory);
  expect(plan.bytes).toBeLessThanOrEqual(memory);
  await useModel(
    model,
    picture,
    plan,
    async (band) => void bands.push(band),
    async () => void parts++,
  );
  expect(parts).toBe(plan.tiles.length);
  return { bytes: Buffer.concat(bands), parts };
}

describe('useModel', () => {
  it.each(models)('gives in parts what $type gives for the whole', async (model) => {
    const [width, height] = model.task === 'segment' ? [601, 413] : [93, 71];
    const picture = noise(width, height);
    const whole = await resultOf(model, picture, 2 ** 30);
    expect(whole.parts).toBe(1);
    const expected = model.apply(toTensor(picture));
    const bytes =
      model.task === 'segment' ? Uint8Array.from(expected.data, Number) : fromTensor(expected, 255).data;
    expect(whole.bytes.equals(bytes)).toBe(true);
    const { bytes: all } = planParts(model, width, height, 2 ** 30);
    for (const share of [2, 3]) {
      const cut = await resultOf(model, picture, all / share);
      expect(cut.parts).toBeGreaterThan(1);
      expect(cut.bytes.equals(whole.bytes), `a ${share}th of the memory`).toBe(true);
    }
  });

  it('says so when no part is small enough', () => {
    expect(() => planParts(models[0], 5000, 5000, 1000)).toThrow('no part of the picture is small enough');
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
