/** cli-models: `deconv inspect`, `lint` and `convert` as processes, on files of every kind, good and bad. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randn } from 'deconv';
import { readSafetensors, writeSafetensors } from 'deconv/io';
import {
  ConvTranspose2d,
  init,
  MaxPool2d,
  ReLU,
  Sequential,
  saveModel,
  segmenter,
  upscaler,
} from 'deconv/nn';
import { exportOnnx, loadOnnx, readOnnx } from 'deconv/onnx';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { root } from '../scripts/setup.mjs';
import { buildCli, runCli } from './support/cli.js';

beforeAll(buildCli);

let cwd: string;
const deconv = (...args: string[]) => runCli(args, { cwd, env: { COLUMNS: '80' } });
const facts = async (...args: string[]) => JSON.parse((await deconv(...args, '--json')).stdout);

const uneven = () => {
  const even = new ConvTranspose2d(4, 8, { kernelSize: 4, stride: 2, padding: 1, seed: 1 });
  init.bilinear(even.weight);
  return new Sequential(even, new ReLU(), new ConvTranspose2d(8, 2, { kernelSize: 3, stride: 2, seed: 2 }));
};

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'deconv-models-'));
  const net = uneven();
  writeFileSync(join(cwd, 'net.onnx'), exportOnnx(net, randn([1, 4, 5, 5]), { dynamic: 'size' }));
  writeFileSync(join(cwd, 'net.safetensors'), writeSafetensors(net.stateDict(), { metadata: { who: 'me' } }));
  writeFileSync(join(cwd, 'up.safetensors'), saveModel(upscaler({ channels: 4, blocks: 1, seed: 1 })));
  for (const name of ['dcgan', 'vae'])
    copyFileSync(join(root, 'test/fixtures/onnx', name, 'model.onnx'), join(cwd, `${name}.onnx`));
});
afterEach(() => rmSync(cwd, { recursive: true }));

it.each(['inspect', 'lint', 'convert'])(
  '%s --help has three examples and fits 80 columns',
  async (command) => {
    const { code, stdout } = await deconv(command, '--help');
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\$ deconv .*$/gm)).toHaveLength(3);
    const own = stdout.slice(0, stdout.indexOf('Exit codes:')).split('\n');
    expect(own.filter((line) => line.length > 82)).toEqual([]);
  },
);

describe('deconv inspect', () => {
  it('shows the nodes of a network from elsewhere', async () => {
    const { code, stdout, stderr } = await deconv('inspect', 'dcgan.onnx');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('dcgan.onnx: ONNX, operator set 13, written by pytorch, 566 kB');
    expect(stdout).toMatch(/^ {2}input {3}input {3}float32 {2}\[batch, 32, 1, 1\]$/m);
    expect(stdout).toMatch(/^ {2}\/3\/ConvTranspose +ConvTranspose +1×64×8×8 +65\.5 k +2\.1 M +5$/m);
    expect(stdout).toContain('14 nodes, 141 k parameters, 12.1 Mflop');
    expect(stdout).toContain('note  batch of input as 1; --shape says otherwise');
  });

  it('takes other shapes', async () => {
    const { nodes, shapes, flops } = await facts('inspect', 'net.onnx', '--shape', '2x4x7x9');
    expect(shapes).toEqual({ input: [2, 4, 7, 9] });
    expect(nodes.map(({ shapes: made }: { shapes: number[][] }) => made[0])).toEqual([
      [2, 8, 14, 18],
      [2, 8, 14, 18],
      [2, 2, 29, 37],
    ]);
    // Every input meets every tap of its channel, and each time there is one multiplication and one addition.
    expect(flops).toBe(2 * (2 * 4 * 7 * 9 * 8 * 16 + 2 * 8 * 14 * 18 * 2 * 9));
    // Outputs 1 and 2 of the first layer see two inputs each, one of them both.
    expect(nodes[2].receptiveField[0]).toEqual({ size: 3, jump: { numerator: 1, denominator: 4 } });
  });

  it('shows models of deconv train by what they export to', async () => {
    const { task, options, parameters } = await facts('inspect', 'up.safetensors');
    expect([task, options.channels]).toEqual(['upscale', 4]);
    const numbers = Object.values(upscaler({ channels: 4, blocks: 1 }).stateDict()).map(({ size }) => size);
    expect(parameters).toBe(numbers.reduce((a, b) => a + b, 0));
    expect((await deconv('inspect', 'up.safetensors', '-q')).stdout).toMatch(
      /^\d+ nodes, .* parameters, .*flop\n$/,
    );
  });

  it('shows bare weights, from stdin too', async () => {
    const { stdout } = await deconv('inspect', 'net.safetensors');
    expect(stdout).toContain('weights without a network');
    expect(stdout).toMatch(/^ {2}2\.weight {2}float32 {2}8×2×3×3 +144 +0\.\d+$/m);
    expect(stdout).toMatch(/^who {2}me$/m);
    const input = readFileSync(join(cwd, 'net.safetensors'));
    const piped = await runCli(['inspect', '-', '-q'], { cwd, input });
    expect(piped.stdout).toBe('4 tensors, 666 numbers\n');
  });

  it('shows what it can of a network that it cannot plan', async () => {
    const pool = new Sequential(new MaxPool2d({ kernelSize: 9 }));
    writeFileSync(join(cwd, 'pool.onnx'), exportOnnx(pool, randn([1, 1, 9, 9]), { dynamic: 'size' }));
    const { code, stdout } = await deconv('inspect', 'pool.onnx', '--shape', '1x1x4x4');
    expect(code).toBe(0);
    expect(stdout).toContain('MaxPool');
    expect(stdout.replace(/\s+/g, ' ')).toContain('note no shapes: ');
  });

  it.each([
    [['nothing.onnx'], 1, 'cannot read nothing.onnx: there is no such file'],
    [['text.onnx'], 1, 'text.onnx: the bytes are no whole ONNX model'],
    [['net.onnx', '--shape', 'x'], 2, '--shape x must be like 1x3x224x224'],
    [['net.onnx', '--shape', 'inptu=1x4x5x5'], 2, "the network has no input 'inptu'"],
  ])('refuses %j', async (args, code, text) => {
    writeFileSync(join(cwd, 'text.onnx'), 'version https://git-lfs.github.com/spec/v1\n');
    const result = await deconv('inspect', ...args);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(result.stderr).toContain(text);
  });
});

describe('deconv lint', () => {
  it('finds the layer, says why, and what to do', async () => {
    const { code, stdout } = await deconv('lint', 'net.onnx');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}0 +transposed +4 +2 +4 +1\.00 +1\.00 +even$/m);
    expect(stdout).toMatch(/^ {2}2 +transposed +3 +2 +1–4 +[\d.]+ +[\d.]+ +checkerboard$/m);
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      '→ kernel 4×4 at stride 2×2, padding 1×1: as many taps everywhere',
    );
    expect(stdout).toContain('1 layer of 2 will draw a checkerboard');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('--strict ends with code 1 where there is a risk', async () => {
    const { code, stderr } = await deconv('lint', 'net.onnx', '--strict', '-q');
    expect([code, stderr]).toEqual([1, 'error: 1 layer of net.onnx will draw a checkerboard\n']);
    expect(await deconv('lint', 'dcgan.onnx', '--strict')).toMatchObject({ code: 0, stderr: '' });
    expect(await deconv('lint', 'up.safetensors', '--strict')).toMatchObject({ code: 0 });
    expect((await deconv('lint', 'dcgan.onnx', '--strict', '--threshold', '1.05')).code).toBe(1);
  });

  it('prints facts', async () => {
    const { risks, layers } = await facts('lint', 'net.onnx');
    expect(risks).toBe(1);
    expect(layers[1]).toMatchObject({
      node: '2',
      verdict: 'checkerboard',
      kernelSize: [3, 3],
      stride: [2, 2],
      even: false,
    });
    expect(layers[1].phases.map(({ taps }: { taps: number }) => taps)).toEqual([4, 2, 2, 1]);
  });

  it('refuses weights without a network', async () => {
    const { code, stderr } = await deconv('lint', 'net.safetensors');
    expect(code).toBe(2);
    expect(stderr).toContain('nothing says at which stride they are used');
  });
});

describe('deconv convert', () => {
  it('takes weights out of a network and puts them back, byte for byte', async () => {
    expect(await deconv('convert', 'dcgan.onnx', 'w.safetensors')).toMatchObject({ code: 0, stderr: '' });
    const weights = readSafetensors(readFileSync(join(cwd, 'w.safetensors')));
    const { initializers } = await readOnnx(join(cwd, 'dcgan.onnx'));
    for (const [name, { data }] of Object.entries(weights)) expect(data).toEqual(initializers[name].data);
    const back = await deconv('convert', 'w.safetensors', 'back.onnx', '--into', 'dcgan.onnx');
    expect(back).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^back\.onnx: onnx, \d+ tensors, /),
    });
    expect(readFileSync(join(cwd, 'back.onnx'))).toEqual(readFileSync(join(cwd, 'dcgan.onnx')));
  });

  it('puts other weights into a network', async () => {
    const other = uneven();
    writeFileSync(join(cwd, 'other.safetensors'), writeSafetensors(other.stateDict()));
    await deconv('convert', 'other.safetensors', 'other.onnx', '--into', 'net.onnx');
    const x = randn([1, 4, 6, 6], { seed: 1 });
    const { output } = await (await loadOnnx(join(cwd, 'other.onnx'))).run({ input: x });
    const wanted = other.forward(x).data;
    const worst = Math.max(...Array.from(output.data, (value, i) => Math.abs(value - wanted[i])));
    expect(worst).toBeLessThan(1e-5);
  });

  it('writes a model of deconv train as a network that computes the same', async () => {
    const model = segmenter({ classes: 3, channels: 4, seed: 1 });
    writeFileSync(join(cwd, 'seg.safetensors'), saveModel(model));
    const { format, notes } = await facts('convert', 'seg.safetensors', 'seg.onnx', '--opset', '18');
    expect([format, notes[0]]).toEqual([
      'onnx',
      `takes pictures (N, 3, H, W) with values in 0 … 1, H and W multiples of ${model.multiple}`,
    ]);
    const x = randn([2, 3, 5 * model.multiple, 3 * model.multiple], { seed: 1 });
    const net = await loadOnnx(join(cwd, 'seg.onnx'));
    expect(net.opset).toBe(18);
    const { output } = await net.run({ picture: x });
    const wanted = model.eval().forward(x);
    expect(output.shape).toEqual(wanted.shape);
    const largest = Math.max(...Array.from(wanted.data, Math.abs));
    const worst = Math.max(...Array.from(output.data, (value, i) => Math.abs(value - wanted.data[i])));
    expect(worst / largest).toBeLessThan(1e-5);
  });

  it.each([
    [['net.onnx', 'x.txt'], 2, 'must end in .onnx or .safetensors'],
    [['net.onnx', 'x.onnx'], 2, 'net.onnx is an ONNX file already'],
    [['up.safetensors', 'x.safetensors'], 2, 'up.safetensors is a safetensors file already'],
    [['net.onnx', 'net.onnx'], 2, 'is the input itself, which is never overwritten'],
    [['net.safetensors', 'x.onnx'], 1, 'net.safetensors holds weights without a network'],
    [
      ['net.safetensors', 'x.onnx', '--into', 'dcgan.onnx'],
      1,
      "weight '0.weight' must be [32, 64, 4, 4], got [4, 8, 4, 4]",
    ],
    [['net.safetensors', 'x.onnx', '--into', 'vae.onnx'], 1, 'no weight of the file is one of vae.onnx'],
    [['net.safetensors', 'x.onnx', '--into', 'up.safetensors'], 2, 'up.safetensors is no ONNX file'],
    [['net.safetensors', 'x.safetensors', '--into', 'net.onnx'], 2, '--into makes an ONNX file'],
    [['up.safetensors', 'x.onnx', '--opset', '11'], 2, 'It must be a number from 17 to 22.'],
    [['net.onnx', 'x.safetensors', '--opset', '18'], 2, '--opset is for ONNX files'],
  ])('refuses %j, and leaves nothing behind', async (args, code, text) => {
    const before = readdirSync(cwd).sort();
    const result = await deconv('convert', ...args);
    expect([result.code, result.stdout], result.stderr).toEqual([code, '']);
    expect(result.stderr).toContain(text);
    expect(readdirSync(cwd).sort()).toEqual(before);
  });

  it('tells what has no place, and what stays', async () => {
    const { '2.weight': weight } = uneven().stateDict();
    writeFileSync(join(cwd, 'part.safetensors'), writeSafetensors({ '2.weight': weight, more: weight }));
    const { stdout } = await deconv('convert', 'part.safetensors', 'part.onnx', '--into', 'net.onnx');
    expect(stdout).toContain('1 of the weights have no place in net.onnx');
    expect(stdout).toContain('3 of its weights stay as they were');
  });
});
