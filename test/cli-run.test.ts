/**
 * cli-run: `deconv run` as a process: pictures and arrays into networks and out again, what is said of the choices that were
 * made, what becomes of files that cannot be used, and what is left when it is stopped. The networks are small enough to
 * know what they must give, or come with inputs and outputs of another runtime (test/fixtures/onnx).
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Tensor, tensor } from 'deconv';
import { readNpy, readNpz, writeNpy, writeNpz } from 'deconv/io';
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildCli, runCli, startCli } from './support/cli.js';
import { type ModelSpec, onnxModel } from './support/onnx.js';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/onnx/${name}`, import.meta.url));

let cwd: string;
beforeAll(() => buildCli());
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'deconv-run-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

const deconv = (...args: string[]) => runCli(['run', ...args], { cwd });
const at = (name: string) => join(cwd, name);
const npy = (name: string): Tensor => readNpy(readFileSync(at(name)));
const save = (name: string, model: ModelSpec) => writeFileSync(at(name), onnxModel(model));

/** A network that gives back what it gets. */
const identity = (shape: (number | string)[], type: 'float32' | 'uint8' = 'float32'): ModelSpec => ({
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  inputs: [{ name: 'x', type, shape }],
  outputs: ['y'],
});

/** A picture whose pixels all differ: red grows to the right, green downwards, blue is 200. */
async function drawPicture(name: string, width = 12, height = 8): Promise<Uint8Array> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    data.set([(i % width) * 10, Math.floor(i / width) * 20, 200], i * 3);
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(at(name));
  return data;
}
const pixels = async (name: string) => new Uint8Array(await sharp(at(name)).raw().toBuffer());

describe('deconv run with arrays', () => {
  it.each(['dcgan', 'fsrcnn', 'vae'])('%s gives what another runtime gives', async (name) => {
    const result = await deconv(
      fixture(`${name}/model.onnx`),
      '-i',
      fixture(`${name}/input.npy`),
      '-o',
      'y.npy',
    );
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const [got, expected] = [npy('y.npy'), readNpy(readFileSync(fixture(`${name}/output.npy`)))];
    expect(got.shape).toEqual(expected.shape);
    const most = Math.max(...expected.data.map(Math.abs));
    const off = Math.max(...Array.from(got.data, (v, i) => Math.abs(v - expected.data[i])));
    expect(off / most).toBeLessThan(1e-5);
  });

  it('sums up what comes out where nothing is written, taps included', async () => {
    const { code, stdout } = await deconv(
      fixture('vae/model.onnx'), '-i', fixture('vae/input.npy'), '--tap', '/mu/Gemm_output_0',
    ); // biome-ignore format: options and their values
    expect(code).toBe(0);
    expect(stdout).toMatch(/output +2 × 1 × 28 × 28 +0\.\d+ … 0\.\d+, mean 0\.\d+/);
    expect(stdout).toMatch(/\/mu\/Gemm_output_0 +2 × 8 /);
    expect(stdout).toContain('nothing was written: --output says where');
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('feeds several inputs, by name, from one file of named arrays, or one for every run', async () => {
    save('add.onnx', {
      nodes: [
        { op: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['product'] },
      ],
      inputs: ['a', 'b'].map((name) => ({ name, type: 'float32', shape: ['n', 2] })),
      outputs: ['sum', 'product'],
    });
    writeFileSync(at('a1.npy'), writeNpy(tensor([[1, 2]])));
    writeFileSync(at('a2.npy'), writeNpy(tensor([[3, 4]])));
    writeFileSync(at('b.npy'), writeNpy(tensor([[10, 20]])));
    writeFileSync(at('ab.npz'), writeNpz({ a: tensor([[5, 6]]), b: tensor([[7, 8]]) }));

    expect((await deconv('add.onnx', '-i', 'a=a?.npy', 'b=b.npy', '-o', 'out/')).code).toBe(0);
    expect(readdirSync(at('out'))).toEqual(['a1.npz', 'a2.npz']);
    const { sum, product } = readNpz(readFileSync(at('out/a2.npz')));
    expect([[...sum.data], [...product.data]]).toEqual([[13, 24], [30, 80]]); // biome-ignore format: short

    expect((await deconv('add.onnx', '-i', 'ab.npz', '-o', '{name}-{output}.npy')).code).toBe(0);
    expect([[...npy('ab-sum.npy').data], [...npy('ab-product.npy').data]]).toEqual([[12, 14], [35, 48]]); // biome-ignore format: short

    expect((await deconv('add.onnx', '-i', 'ab.npz', '--outputs', 'product', '-o', 'p.npy')).code).toBe(0);
    expect([...npy('p.npy').data]).toEqual([35, 48]);

    const { code, stdout, stderr } = await deconv('add.onnx', '-i', 'ab.npz', '--outputs', 'prodct');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain("did you mean 'product'?");
  });

  it('adds a missing batch axis and makes floats of whole numbers, and says so', async () => {
    save('same.onnx', identity(['n', 2]));
    writeFileSync(at('x.npy'), writeNpy(tensor(new Uint8Array([7, 9]), [2])));
    const { stdout } = await deconv('same.onnx', '-i', 'x.npy', '-o', 'y.npy');
    expect(stdout).toContain("note: 'x': arrays of 1 axes go in as a batch of one");
    expect(stdout).toContain("note: 'x': uint8 values go in as they are, as float32");
    expect([npy('y.npy').dtype, npy('y.npy').shape, ...npy('y.npy').data]).toEqual(['float32', [1, 2], 7, 9]);
  });

  it('takes stdin and gives stdout', async () => {
    save('same.onnx', identity(['n']));
    const x = writeNpy(tensor([1, 2, 3]));
    const { code, bytes, stderr } = await runCli(['run', 'same.onnx', '-i', '-', '-o', '-'], {
      cwd,
      input: x,
    });
    expect(code).toBe(0);
    expect([...readNpy(bytes).data]).toEqual([1, 2, 3]);
    expect(stderr).toContain('stdout');
  });
});

describe('deconv run with pictures', () => {
  it('says how they go in, and brings them back as they were', async () => {
    save('same.onnx', identity([1, 3, 'h', 'w']));
    const before = await drawPicture('p.png');
    const plain = await deconv('same.onnx', '-i', 'p.png', '-o', 'out/');
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    const said = plain.stdout.replace(/\s+/g, ' ');
    for (const words of [
      'values 0..1 (by default)',
      'no mean, no std (by default)',
      'RGB (by default; the network has 3 channels)',
      'NCHW (from its shape [1, 3, h, w])',
      "each picture's own size (the network leaves it open)",
      'pixels from 0..1 (as the input)',
    ])
      expect(said).toContain(words);
    expect(await pixels('out/p.png')).toEqual(before);
    for (const args of [
      ['--range', '-1..1'],
      ['--range', '0..255', '--channels', 'bgr'],
    ]) {
      const { code } = await deconv('same.onnx', '-i', 'p.png', '-o', 'q.png', ...args);
      expect(code).toBe(0);
      expect(await pixels('q.png'), args.join(' ')).toEqual(before);
    }
  });

  it('gives the values that the formula gives', async () => {
    save('same.onnx', identity([1, 3, 'h', 'w']));
    save('nhwc.onnx', identity([1, 'h', 'w', 3]));
    save('bytes.onnx', identity([1, 3, 'h', 'w'], 'uint8'));
    save('grey.onnx', identity([1, 1, 'h', 'w']));
    await drawPicture('p.png');
    const at5 = async (model: string, ...args: string[]) => {
      expect((await deconv(model, '-i', 'p.png', '-o', 'y.npy', ...args)).code).toBe(0);
      const { data, shape } = npy('y.npy');
      // Column 3, row 2: red 30, green 40, blue 200.
      return shape[3] === 3
        ? [0, 1, 2].map((c) => Number(data[(2 * 12 + 3) * 3 + c]))
        : Array.from({ length: shape[1] }, (_, c) => Number(data[c * 96 + 2 * 12 + 3]));
    };
    const close = (got: number[], expected: number[]) => {
      expect(got).toHaveLength(expected.length);
      for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5);
    };
    close(await at5('nhwc.onnx', '--channels', 'bgr'), [200 / 255, 40 / 255, 30 / 255]);
    close(await at5('same.onnx', '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225'), [
      (30 / 255 - 0.485) / 0.229,
      (40 / 255 - 0.456) / 0.224,
      (200 / 255 - 0.406) / 0.225,
    ]);
    close(await at5('bytes.onnx'), [30, 40, 200]);
    close(await at5('grey.onnx', '--range', '0..255'), [Math.round(0.299 * 30 + 0.587 * 40 + 0.114 * 200)]);
  });

  it('brings them to the size of the network, or a stated one', async () => {
    save('fixed.onnx', identity([1, 3, 4, 4]));
    save('open.onnx', identity([1, 3, 'h', 'w']));
    await drawPicture('p.png', 8, 4);
    const { stdout } = await deconv('fixed.onnx', '-i', 'p.png', '-o', 'crop.npy');
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      'cut in the middle to 4 × 4, lanczos3 (the size of the network, cutting by default)',
    );
    // The middle of 8 columns: 2 to 5, not resampled.
    expect([...npy('crop.npy').data.slice(0, 4)].map((v) => Math.round(Number(v) * 255))).toEqual([
      20, 30, 40, 50,
    ]);
    await deconv('fixed.onnx', '-i', 'p.png', '-o', 'pad.npy', '--fit', 'pad', '--resample', 'linear');
    const padded = [...npy('pad.npy').data].map(Number);
    expect([padded.slice(32, 36), padded[37] > 0.5, padded.slice(44, 48)]).toEqual([
      [0, 0, 0, 0],
      true,
      [0, 0, 0, 0],
    ]);
    await deconv('open.onnx', '-i', 'p.png', '-o', 's.png', '--size', '6x2', '--fit', 'stretch');
    expect(await sharp(at('s.png')).metadata()).toMatchObject({ width: 6, height: 2 });
    const wrong = await deconv('fixed.onnx', '-i', 'p.png', '-o', 'y.png', '--size', '8x4');
    expect([wrong.code, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toContain("--size 8x4 is not what input 'x' takes: width 4, height 4");
  });

  it('writes batches as numbered pictures, and says which values are black and white', async () => {
    const { stdout } = await deconv(
      fixture('dcgan/model.onnx'),
      '-i',
      fixture('dcgan/input.npy'),
      '-o',
      'face.png',
    );
    expect(readdirSync(cwd)).toEqual(['face-1.png', 'face-2.png']);
    expect(stdout.replace(/\s+/g, ' ')).toMatch(
      /pixels from -1\.\.1 \(guessed from values of -0\.281 … 0\.262;/,
    );
    const { data, shape } = readNpy(readFileSync(fixture('dcgan/output.npy')));
    const got = await pixels('face-2.png');
    const plane = shape[2] * shape[3];
    const off = Array.from({ length: plane * 3 }, (_, i) => {
      const value = Number(data[(3 + (i % 3)) * plane + Math.floor(i / 3)]);
      return Math.abs(got[i] - ((value + 1) / 2) * 255);
    });
    expect(Math.max(...off)).toBeLessThan(0.501);
  });

  it('sends them through in tiles, with the result of the whole', async () => {
    const weight = Array.from({ length: 3 * 3 * 25 }, (_, i) => ((i * 37) % 11) / 100 - 0.04);
    save('blur.onnx', {
      nodes: [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['a'], attributes: { pads: [2, 2, 2, 2] } },
        { op: 'Conv', inputs: ['a', 'w'], outputs: ['y'], attributes: { pads: [2, 2, 2, 2] } },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 'h', 'w'] }],
      outputs: ['y'],
      initializers: { w: { dims: [3, 3, 5, 5], values: weight } },
    });
    await drawPicture('p.png', 25, 12);
    const range = ['--output-range', '-1..1', '--channels', 'bgr'];
    await deconv('blur.onnx', '-i', 'p.png', '-o', 'whole.png', ...range);
    const { code, stdout } = await deconv(
      'blur.onnx',
      '-i',
      'p.png',
      '-o',
      'tiled.png',
      '--tile',
      '7',
      ...range,
    );
    expect([code, stdout]).toEqual([0, expect.stringContaining('8 tiles')]);
    expect(await pixels('tiled.png')).toEqual(await pixels('whole.png'));
    expect(
      (await deconv('blur.onnx', '-i', 'p.png', '-o', 't.webp', '--max-memory', '1M', ...range)).code,
    ).toBe(0);
    expect(await sharp(at('t.webp')).metadata()).toMatchObject({ format: 'webp', width: 25, height: 12 });

    save('pool.onnx', {
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['m'], name: 'squeeze' },
        { op: 'Mul', inputs: ['x', 'm'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 'h', 'w'] }],
      outputs: ['y'],
    });
    expect((await deconv('pool.onnx', '-i', 'p.png', '-o', 'm.png')).code).toBe(0);
    const refused = await deconv('pool.onnx', '-i', 'p.png', '-o', 'n.png', '--tile', '7');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/p\.png: .*GlobalAveragePool node 'squeeze'/);
  });

  it('names classes', async () => {
    save('mean.onnx', {
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['p'] },
        { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 'h', 'w'] }],
      outputs: ['y'],
    });
    writeFileSync(at('names.txt'), 'red\ngreen\nblue\n');
    writeFileSync(at('two.json'), '["a", "b"]');
    const colour = (background: string) =>
      sharp({ create: { width: 4, height: 4, channels: 3, background } })
        .png()
        .toFile(at(`${background}.png`));
    await Promise.all(['red', 'blue'].map(colour));
    const args = ['-i', 'red.png', 'blue.png', '--top', '2', '--labels', 'names.txt'];
    const { code, stdout } = await deconv('mean.onnx', ...args, '--quiet');
    // Red is 1 0 0: probabilities as they are; blue comes next in no order but its number.
    expect([code, stdout.replace(/[\s█]+/g, ' ').trim()]).toEqual([
      0,
      'red.png red 100.0 % green 0.0 % blue.png blue 100.0 % red 0.0 %',
    ]);
    const facts = JSON.parse((await deconv('mean.onnx', ...args, '--range', '0..2', '--json')).stdout);
    const [{ top }] = facts.runs;
    expect(top[0]).toMatchObject({ softmax: true, classes: [{ index: 0, label: 'red' }, { index: 1 }] });
    expect(top[0].classes[0].probability).toBeCloseTo(Math.exp(2) / (Math.exp(2) + 2), 5);
    const wrong = await deconv('mean.onnx', '-i', 'red.png', '--top', '1', '--labels', 'two.json');
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('there are 2 labels for 3 classes'),
    ]);
  });
});

describe('deconv run when something is wrong', () => {
  it('names every missing operator before anything runs', async () => {
    save('m.onnx', {
      nodes: [
        { op: 'LSTM', inputs: ['x'], outputs: ['a'] },
        { op: 'Frobnicate', inputs: ['a'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1] }],
      outputs: ['y'],
    });
    const { code, stdout, stderr } = await deconv('m.onnx', '-i', 'nothing.npy', '-o', 'y.npy');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /m\.onnx cannot be run: .*LSTM.*Frobnicate|m\.onnx cannot be run: .*Frobnicate.*LSTM/,
    );
    expect(stderr).not.toContain('nothing.npy');
  });

  it('goes on after files that cannot be used, and tells by the exit code', async () => {
    save('same.onnx', identity([1, 3, 4, 4]));
    await drawPicture('good.png', 4, 4);
    await drawPicture('second.png', 4, 4);
    writeFileSync(at('bad.png'), readFileSync(at('good.png')).subarray(0, 60));
    writeFileSync(at('shape.npy'), writeNpy(tensor([[1, 2]])));
    const { code, stdout, stderr } = await deconv(
      'same.onnx',
      '-i',
      'gone.png',
      '*.png',
      'shape.npy',
      '-o',
      'out/',
    );
    expect(code).toBe(1);
    expect(readdirSync(at('out'))).toEqual(['good.png', 'second.png']);
    expect(stderr).toContain('error: cannot read gone.png: there is no such file');
    expect(stderr).toContain('error: bad.png is a broken or truncated PNG picture');
    expect(stderr).toContain("error: shape.npy: input 'x' must have shape [1, 3, 4, 4], got [1, 2]");
    expect(stderr).toContain('3 of 5 runs failed');
    expect(stdout).toContain('2 runs in');
    expect(await deconv('same.onnx', '-i', '*.gif', '-o', 'out/')).toMatchObject({
      code: 1,
      stderr: 'error: no file fits *.gif\n',
    });
  });

  it('warns of values that are no numbers', async () => {
    save('same.onnx', identity(['n']));
    writeFileSync(at('x.npy'), writeNpy(tensor([1, Number.NaN, Number.POSITIVE_INFINITY])));
    const { code, stdout } = await deconv('same.onnx', '-i', 'x.npy');
    expect([code, stdout.replace(/\s+/g, ' ')]).toEqual([
      0,
      expect.stringContaining("warning: 'y' of x.npy holds 2 values that are infinite or no number"),
    ]);
  });

  it('refuses files that are no networks', async () => {
    writeFileSync(at('junk.onnx'), 'this is no network');
    const { code, stderr } = await deconv('junk.onnx', '-i', 'x.npy');
    expect([code, stderr]).toEqual([1, expect.stringContaining('junk.onnx cannot be run: ')]);
    expect(stderr).not.toMatch(/\n +at /);
    expect((await deconv('none.onnx', '-i', 'x.npy')).code).toBe(1);
  });

  it('leaves whole files or none when it is stopped', async () => {
    mkdirSync(at('in'));
    for (let i = 0; i < 400; i++) copyFileSync(fixture('fsrcnn/input.npy'), at(`in/${i}.npy`));
    const child = startCli(['run', fixture('fsrcnn/model.onnx'), '-i', 'in/', '-o', 'out/'], { cwd });
    while (readdirSync(cwd).length < 2 || readdirSync(at('out')).length < 3)
      await new Promise((done) => setTimeout(done, 5));
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130);
    const left = readdirSync(at('out'));
    expect(left.length).toBeLessThan(400);
    for (const name of left) expect(npy(`out/${name}`).shape, name).toEqual([1, 1, 72, 120]);
  });
});

describe('deconv run --help', () => {
  it('has three examples and the exit codes', async () => {
    const { code, stdout } = await deconv('--help');
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\$ deconv run .*$/gm)).toHaveLength(3);
    expect(stdout).toContain('Exit codes:');
  });
});
