import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { breakLines, measure, textPath } from './text.js';

const style = { size: 20, fill: '#000000' };

/** Dark pixels of a text drawn on white. */
async function ink(path: string): Promise<{ left: number; right: number; pixels: number }> {
  const [width, height] = [400, 40];
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${path}</svg>`;
  const data = await sharp(Buffer.from(drawing))
    .flatten({ background: '#ffffff' })
    .greyscale()
    .raw()
    .toBuffer();
  let [left, right, pixels] = [width, -1, 0];
  for (const [i, level] of data.entries()) {
    if (level > 128) continue;
    left = Math.min(left, i % width);
    right = Math.max(right, i % width);
    pixels++;
  }
  return { left, right, pixels };
}

describe('textPath', () => {
  it('draws every letter of a long line', async () => {
    const line = 'sizes 3 × 227 × 227 to 96 × 55 × 55 (all).';
    const { left, right } = await ink(textPath(line, 5, 30, { ...style, size: 16 }));
    expect(left).toBeGreaterThan(3);
    expect(Math.abs(right - 5 - measure(line, 16))).toBeLessThan(4);
  });

  it('stands where it is anchored', async () => {
    const { right } = await ink(textPath('end', 390, 30, { ...style, anchor: 'end' }));
    expect(right).toBeGreaterThan(384);
    expect(right).toBeLessThan(391);
  });

  it('cuts what is too long with an ellipsis', async () => {
    const { right } = await ink(textPath('a very long heading indeed', 0, 30, { ...style, maxWidth: 100 }));
    expect(right).toBeLessThanOrEqual(100);
    expect(right).toBeGreaterThan(60);
  });

  it('draws something for letters that the font has not', async () => {
    expect((await ink(textPath('写', 10, 30, style))).pixels).toBeGreaterThan(10);
  });
});

describe('breakLines', () => {
  it('fills lines, and keeps sizes and decibels whole', () => {
    const lines = breakLines('windows of 11 × 11 reach 33.4 dB', 20, measure('windows of 11 ×', 20));
    expect(lines).toEqual(['windows of', '11\u00a0×\u00a011 reach', '33.4\u00a0dB']);
    for (const line of lines) expect(measure(line, 20)).toBeLessThanOrEqual(measure('windows of 11 ×', 20));
  });
});
