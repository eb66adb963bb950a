/** Running networks: which files go where, how pictures go in and come out, labels; and what is refused before anything runs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from 'deconv';
import type { OnnxValue } from 'deconv/onnx';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readItems } from './items.js';
import { guessesOf, readLabels } from './labels.js';
import {
  levelsOf,
  type PictureOptions,
  pixelTensor,
  planPictures,
  readRange,
  readSize,
  reorder,
} from './pixels-in.js';
import { guessRange, pictureShape, pixelsOf, Tally } from './results.js';
import { planTargets } from './targets.js';
import { bandsOf } from './tiled.js';

const value = (shape: (number | string)[], name = 'x', dtype: OnnxValue['dtype'] = 'float32'): OnnxValue => ({
  name,
  shape,
  dtype,
  elementType: dtype,
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deconv-running-'));
  mkdirSync(join(folder, 'in'));
  for (const name of [
    'a1.npy',
    'a2.npy',
    'b.npy',
    'all.npz',
    'in/1.png',
    'in/2.jpg',
    'in/notes.txt',
    'in/.x.png',
  ])
    writeFileSync(join(folder, name), 'x');
});
afterAll(() => rmSync(folder, { recursive: true }));
const f = (name: string) => join(folder, name);

describe('files of a run', () => {
  const [a, b] = [value([1], 'a'), value([1], 'b')];
  const read = async (texts: string[], inputs = [a, b]) =>
    (await readItems(texts, inputs)).map(({ stem, files }) => [
      stem,
      ...[...files].map(([k, v]) => `${k}=${v.slice(folder.length + 1)}`),
    ]);

  it('are one per input, and one for all where there is no more', async () => {
    expect(await read([`a=${f('a?.npy')}`, `b=${f('b.npy')}`])).toEqual([
      ['a1', 'a=a1.npy', 'b=b.npy'],
      ['a2', 'a=a2.npy', 'b=b.npy'],
    ]);
    expect(await read([f('a1.npy'), `b=${f('b.npy')}`])).toEqual([['a1', '=a1.npy', 'b=b.npy']]);
    expect(await read([f('all.npz')])).toEqual([['all', '=all.npz']]);
    expect(await read([f('in')], [a])).toEqual([['1', '=in/1.png'], ['2', '=in/2.jpg']]); // biome-ignore format: short
    expect(await read([`a=${f('a1.npy')}`, '-'])).toEqual([['a1', `a=a1.npy`, '=']]);
  });

  it.each([
    [['a1.npy'], 'the network has 2 inputs without a file: a, b'],
    [['a=a1.npy'], "input 'b' has no file"],
    [['a=a?.npy', 'b=b.npy', 'b.npy'], 'every input has a file already'],
    [['a=a?.npy', 'b=in/*'], "2 files for input 'a', 4 for 'b'"],
    [['c=a1.npy'], "the network has no input 'c'"],
    [['a='], '--input a= names no file'],
    [['*.gif'], 'no file fits'],
    [['-', '-'], 'stdin can be read once only'],
  ])('%j is refused', async (texts, words) => {
    const here = process.cwd();
    process.chdir(folder);
    try {
      writeFileSync('in/3.png', 'x');
      await expect(readItems(texts, [a, b])).rejects.toThrow(words);
    } finally {
      rmSync('in/3.png');
      process.chdir(here);
    }
  });
});

describe('targets', () => {
  const item = (name: string) => ({
    name,
    stem: name.replace(/^.*\/|\.\w+$/g, ''),
    files: new Map([['', name]]),
  });
  const items = [item('p/one.png'), item('p/two.png')];
  const plan = (output: string, outputs = ['y'], runs = items) =>
    planTargets(output, undefined, runs, outputs, ['m.onnx']);

  it('are files of a folder, of a pattern, or one', async () => {
    const targets = await plan('out/');
    expect(targets?.of(1, 'y', 'png')).toBe(join('out', 'two.png'));
    const both = await plan('out/', ['y', '/a/b 1']);
    expect([both?.of(0, '/a/b 1', 'npy'), both?.of(0, 'y', 'npz')]).toEqual([
      join('out', 'one-a_b_1.npy'),
      join('out', 'one.npz'),
    ]);
    expect((await plan('o/{index}-{name}-{output}.webp', ['y', 'z']))?.of(1, 'z', 'webp')).toBe(
      'o/2-two-z.webp',
    );
    expect((await plan('y.npz', ['y', 'z'], items.slice(0, 1)))?.of(0, 'z', 'npz')).toBe('y.npz');
    expect(await planTargets(undefined, undefined, items, ['y'], [])).toBeUndefined();
  });

  it.each([
    ['y.npy', ['y', 'z'], 'y.npy holds one output, but there are 2: y, z'],
    ['y.npz', ['y'], '2 runs need a folder or a pattern: y.npz is one file'],
    ['-', ['y'], '2 runs cannot all be written to stdout'],
    ['{output}.png', ['y'], '2 runs need a folder or a pattern'],
    ['p/', ['y'], `${join('p', 'one.png')} is an input itself, which is never overwritten`],
    ['{name}.gif', ['y'], "cannot tell the format of {name}.gif by its ending '.gif'"],
    ['{name}', ['y'], "cannot tell from '{name}' what to write"],
    ['{name}-{output}.npz', ['y', 'z'], 'a .npz holds every output'],
    ['{name}.png', ['y'], 'would both be written to one.png', [item('p/one.png'), item('q/one.jpg')]],
  ] as const)('%s for %j is refused', async (output, outputs, words, runs?) => {
    await expect(plan(output, [...outputs], [...(runs ?? items)])).rejects.toThrow(words);
  });
});

describe('how pictures go in', () => {
  const plan = (shape: (number | string)[], options: PictureOptions = {}) =>
    planPictures(value(shape), options);

  it('is told by the shape where that tells', () => {
    expect(plan([1, 3, 'h', 'w'])).toMatchObject({
      layout: 'nchw',
      order: 'rgb',
      size: undefined,
      range: [0, 1],
    });
    expect(plan([1, 224, 192, 3])).toMatchObject({ layout: 'nhwc', size: { width: 192, height: 224 } });
    expect(plan([-1, 1, 28, 28])).toMatchObject({ order: 'grey', mean: [0], std: [1] });
    expect(plan([1, -1, -1, 3])).toMatchObject({ layout: 'nhwc' });
    expect(plan(['n', 'c', 'h', 'w'], { channels: 'bgr' })).toMatchObject({ layout: 'nchw', order: 'bgr' });
  });

  it.each([
    [[1, 3, 'h', 'w'], { fit: 'pad' }, '--fit pad needs a --size'],
    [[1, 3, 'h', 'w'], { mean: [1, 2] }, '--mean has 2 numbers, the input 3 channels'],
    [[1, 3, 'h', 'w'], { std: [0] }, '--std must not be 0'],
    [[1, 3, 'h', 'w'], { channels: 'grey' }, "--channels grey gives 1, input 'x' has 3"],
    [[1, 3, 4, 4], { size: [8, 4] }, "--size 8x4 is not what input 'x' takes: width 4, height 4"],
    [[1, 3, 4, 'w'], {}, 'one side of it open'],
    [[1, 4, 8, 8], {}, "input 'x' has 4 channels"],
    [[8, 3, 4, 4], {}, 'it takes 8 pictures at once'],
    [[1, 100], {}, 'pictures go into four axes'],
  ] as const)('%j with %j is refused', (shape, options, words) => {
    expect(() => plan([...shape], options)).toThrow(words);
  });

  it('takes bytes as they are and other whole numbers not at all', () => {
    expect(planPictures(value([1, 3, 4, 4], 'x', 'uint8'), {}).bytes).toBe(true);
    expect(() => planPictures(value([1, 3, 4, 4], 'x', 'uint8'), { range: [0, 1] })).toThrow(
      'without --range',
    );
    expect(() => planPictures(value([1, 3, 4, 4], 'x', 'int32'), {})).toThrow("input 'x' takes int32");
  });

  it('is the formula, in either layout and any order', () => {
    const rgb = Uint8Array.of(0, 51, 255, 102, 153, 204);
    const nchw = plan([1, 3, 1, 2], { range: [-1, 1], mean: [0.5, 0, 0], std: [2, 1, 1] });
    const expected = [(-1 - 0.5) / 2, (-0.2 - 0.5) / 2, -0.6, 0.2, 1, 0.6];
    [...pixelTensor(rgb, 2, 1, nchw).data].forEach((v, i) => void expect(v).toBeCloseTo(expected[i], 6));
    const nhwc = plan([1, 1, 2, 3], { layout: 'nhwc', channels: 'bgr', range: [0, 255] });
    expect([...pixelTensor(reorder(rgb, 'bgr'), 2, 1, nhwc).data]).toEqual([255, 51, 0, 204, 153, 102]);
    expect([...reorder(Uint8Array.of(10, 20, 30, 255, 255, 255), 'grey')]).toEqual([18, 255]);
    expect(levelsOf(nchw)).toHaveLength(3);
  });

  it('reads ranges and sizes', () => {
    expect([readRange('-1..1'), readRange('0..255'), readSize('64x48'), readSize('9')]).toEqual([
      [-1, 1],
      [0, 255],
      [64, 48],
      [9, 9],
    ]);
    for (const text of ['1..0', '0..', '5', '0..1..2', 'a..b'])
      expect(() => readRange(text)).toThrow('a range');
    for (const text of ['0x4', '4x', 'x', '99999x99999', '-4'])
      expect(() => readSize(text)).toThrow('a size');
  });
});

describe('pictures that come out', () => {
  it('are told by the shape', () => {
    expect(pictureShape([2, 3, 8, 9], 'nchw')).toMatchObject({ count: 2, channels: 3, height: 8, width: 9 });
    expect(pictureShape([1, 8, 9, 4], 'nchw')).toMatchObject({ layout: 'nhwc', channels: 4 });
    expect(pictureShape([1, 3, 8, 3], 'nhwc')).toMatchObject({ layout: 'nhwc', height: 3, width: 8 });
    expect(pictureShape([1, 8, 9], 'nchw')).toMatchObject({ count: 1, channels: 1, height: 8, width: 9 });
    for (const shape of [[1, 1000], [1, 8, 9, 9], [1, 3, 1, 1], [5], [1, 2, 3, 4, 5]])
      expect(pictureShape(shape, 'nchw'), String(shape)).toBeUndefined();
  });

  it('are the formula, cut and counted, in part too', () => {
    const shape = { count: 1, channels: 3, height: 1, width: 2, layout: 'nchw' } as const;
    const values = [0, 1, 0.5, -1, 2, Number.NaN];
    const tally = new Tally();
    expect([...pixelsOf(values, shape, 0, [0, 1], 'rgb', tally)]).toEqual([0, 128, 255, 255, 0, 0]);
    expect(tally).toMatchObject({ cut: 3, wrong: 1, all: 6, min: -1, max: 2, share: 0.5, mean: 0.5 });
    const box = { start: [0, 1], size: [1, 1] };
    expect([...pixelsOf(values, shape, 0, [-1, 1], 'bgr', new Tally(), box)]).toEqual([0, 0, 255]);
    expect(guessRange({ min: -0.9, max: 1, mean: 0, wrong: 0 })).toEqual([-1, 1]);
    expect(guessRange({ min: -0.01, max: 1.2, mean: 0, wrong: 0 })).toEqual([0, 1]);
    expect(guessRange({ min: 0, max: 250, mean: 0, wrong: 0 })).toEqual([0, 255]);
  });

  it('come in bands from tiles', async () => {
    const [width, height] = [5, 4];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7) % 256);
    const box = (start: number[], size: number[]) => ({ start: [0, 0, ...start], size: [1, 3, ...size] });
    // Each tile reads a row and a column more than it gives, where there is one.
    const tiles = [0, 2].flatMap((top) =>
      [0, 3].map((left) => {
        const columns = left === 0 ? 3 : 2;
        const [y, x] = [Math.max(0, top - 1), Math.max(0, left - 1)];
        return {
          input: box([y, x], [top + 2 - y, left + columns - x]),
          outputs: [{ keep: box([top - y, left - x], [2, columns]), place: box([top, left], [2, columns]) }],
        };
      }),
    );
    const done: number[] = [];
    const tally = new Tally();
    const tiled = {
      picture: { width, height, data },
      plan: planPictures(value([1, 3, 'h', 'w']), { channels: 'bgr' }),
      tiles: { tiles },
      run: async (x: Tensor) => x.detach(),
      shape: { count: 1, channels: 3, height, width, layout: 'nchw' } as const,
      order: 'bgr' as const,
      rangeOf: () => [0, 1] as const,
      onTile: async (n: number) => void done.push(n),
    };
    const bands: Uint8Array[] = [];
    for await (const band of bandsOf(tiled, tally)) bands.push(band);
    expect(bands.map(({ length }) => length)).toEqual([30, 30]);
    expect(Buffer.concat(bands).equals(data)).toBe(true);
    expect([done, tally.all]).toEqual([[1, 2, 3, 4], 60]);
  });
});

describe('labels', () => {
  it('are read from lines and from JSON', () => {
    expect(readLabels('\uFEFFcat\r\n dog \n', 'l')).toEqual(['cat', 'dog']);
    expect(readLabels('["cat", ["n01", "dog"]]', 'l')).toEqual(['cat', 'dog']);
    expect(readLabels('{"1": ["n01", "dog"], "0": "cat"}', 'l')).toEqual(['cat', 'dog']);
    expect(() => readLabels('{"1": "dog"}', 'l')).toThrow('l has no name for class 0');
    expect(() => readLabels('{"a": "dog"}', 'l')).toThrow("l has the key 'a'");
    expect(() => readLabels('[1', 'l')).toThrow('begins like JSON but is not');
  });

  it('go with the likeliest classes', () => {
    const [first, second] = guessesOf('y', [0, 0, Math.log(2), 9, 0, 0], [2, 3, 1, 1], 2, ['a', 'b', 'c']);
    expect(first.softmax).toBe(true);
    expect(first.top.map(({ label, probability }) => [label, Number(probability.toFixed(9))])).toEqual([
      ['c', 0.5],
      ['a', 0.25],
    ]);
    expect(second.top[0].index).toBe(0);
    const [sure] = guessesOf('y', [0.25, 0.75], [2], 5, undefined);
    expect(sure).toEqual({
      softmax: false,
      top: [
        { index: 1, label: undefined, probability: 0.75 },
        { index: 0, label: undefined, probability: 0.25 },
      ],
    });
    expect(() => guessesOf('y', [], [1, 3, 8, 8], 1, undefined)).toThrow("output 'y' of shape 1 × 3 × 8 × 8");
    expect(() => guessesOf('y', [1, 2], [1, 2], 1, ['a'])).toThrow('there are 1 labels for 2 classes');
  });
});
