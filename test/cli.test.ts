/**
 * cli: the command line as it is installed, run as a process: what each command prints and where, its exit codes, what it
 * leaves behind when all goes well, when it does not, and when it is stopped.
 */
import {
  existsSync,
  linkSync,
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
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildCli, cliMain, runCli, startCli } from './support/cli.js';

const sample = fileURLToPath(new URL('../assets/sample.png', import.meta.url));
/** Options that make a projection quick. */
const quick = ['--size', '32', '--kernel', '4', '--stride', '4', '--filters', '6'];

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes begin with one
const escapes = /\u001b/;

let cwd: string;
let picture: Buffer;
beforeAll(async () => {
  buildCli();
  picture = await sharp(sample).resize(64, 64).png().toBuffer();
});
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'deconv-cli-'));
  writeFileSync(join(cwd, 'lake.png'), picture);
});
afterEach(() => rmSync(cwd, { recursive: true }));

const deconv = (...args: string[]) => runCli(args, { cwd });
const left = () => readdirSync(cwd).sort();

describe('deconv', () => {
  it('prints its version and its help to stdout', async () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../packages/cli/package.json', import.meta.url), 'utf8'),
    );
    expect(await deconv('--version')).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
    const help = await deconv('--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const word of ['project', 'shape', 'solve', 'explain', 'bench', 'verify', 'Exit codes:', '130'])
      expect(help.stdout).toContain(word);
  });

  it('prints help to stderr when it is told nothing', async () => {
    const { code, stdout, stderr } = await deconv();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: deconv');
  });

  it.each(['project', 'shape', 'solve', 'explain'])(
    '%s --help has three examples that work and the exit codes',
    async (command) => {
      const { code, stdout } = await deconv(command, '--help');
      expect(code).toBe(0);
      const examples = stdout.match(/^ {2}\$ .*$/gm) ?? [];
      expect(examples).toHaveLength(3);
      expect(stdout).toContain('Exit codes:');
      if (command === 'project') return;
      for (const example of examples) {
        const result = await deconv(...example.replace('  $ deconv ', '').split(' '));
        expect(result, example).toMatchObject({ code: 0, stderr: '' });
        expect(result.stdout).not.toMatch(escapes);
      }
    },
  );

  it('names the nearest command, option and dialect', async () => {
    const wrong = [
      [['projct', 'lake.png'], 'project'],
      [['project', 'lake.png', '--kernal', '3'], '--kernel'],
      [['explain', '4', 'conv:k=3,stirde=2'], 'stride'],
      [['explain', '4', '--kernel', '3', '--dialect', 'kears'], 'keras'],
      [['shape', '5x5', 'deconv:k=3,pading=same', '--dialect', 'keras'], 'padding'],
    ] as const;
    for (const [args, near] of wrong) {
      const { code, stdout, stderr } = await deconv(...args);
      expect([code, stdout], args.join(' ')).toEqual([2, '']);
      expect(stderr).toMatch(new RegExp(`did you mean '?${near}`, 'i'));
    }
  });

  it('writes colour only where it is wanted', async () => {
    const args = ['explain', '3', '--kernel', '3', '--stride', '2'];
    const coloured = await runCli(args, { env: { FORCE_COLOR: '1' } });
    expect(coloured.stdout).toMatch(escapes);
    expect((await runCli(args)).stdout).not.toMatch(escapes);
    expect((await runCli(args, { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout).not.toMatch(escapes);
    const error = await runCli(['projct'], { env: { NO_COLOR: '1' } });
    expect(error.stderr).not.toMatch(escapes);
  });

  it('does not mind a reader that goes away', async () => {
    const child = startCli(['explain', '64x64', '--kernel', '3', '--stride', '2', '--json']);
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('deconv project', () => {
  it('projects the sample picture well with the defaults', async () => {
    const { code, stdout, stderr } = await deconv('project', sample, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({
      command: 'project',
      input: { format: 'png', width: 768, height: 768 },
      output: { file: 'sample-projected.png' },
      options: { kernel: 11, stride: 4, filters: 96, overlap: 'average', size: 227 },
      shapes: {
        picture: [1, 3, 227, 227],
        weight: [96, 3, 11, 11],
        maps: [1, 96, 55, 55],
        projection: [1, 3, 227, 227],
      },
      outputPadding: 0,
      notes: [],
    });
    // Along an axis 4 + 4 places are reached once, 62 twice… ; the plane is the product.
    expect(facts.coverage).toMatchObject({ min: 1, max: 9 });
    expect(facts.coverage.histogram).toEqual([
      { count: 1, pixels: 64 },
      { count: 2, pixels: 960 },
      { count: 3, pixels: 2544 },
      { count: 4, pixels: 3600 },
      { count: 6, pixels: 19080 },
      { count: 9, pixels: 25281 },
    ]);
    expect(facts.psnr).toBeGreaterThan(22);
    for (const step of ['read', 'convolve', 'projectSum', 'projectAverage', 'coverage', 'panel', 'write']) {
      expect(facts.milliseconds[step]).toBeGreaterThanOrEqual(0);
    }
    const panel = await sharp(join(cwd, 'sample-projected.png')).metadata();
    expect([panel.width, panel.height, panel.channels]).toEqual([facts.output.width, facts.output.height, 3]);
  });

  it('tells people what it did, on stdout alone', async () => {
    const { code, stdout, stderr } = await deconv('project', 'lake.png', ...quick);
    expect([code, stderr]).toEqual([0, '']);
    for (const text of [
      'PNG, 64 × 64',
      '1 × 6 × 8 × 8',
      'Coverage',
      'PSNR',
      'dB',
      'wrote lake-projected.png',
    ]) {
      expect(stdout).toContain(text);
    }
    expect(left()).toEqual(['lake-projected.png', 'lake.png']);
  });

  it('says nothing under --quiet', async () => {
    expect(await deconv('project', 'lake.png', ...quick, '--quiet')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(left()).toContain('lake-projected.png');
  });

  it('comes back to the whole size where windows end before the edge, and says so', async () => {
    const { stdout } = await deconv(
      'project',
      'lake.png',
      '--size',
      '33',
      '--kernel',
      '4',
      '--stride',
      '4',
      '--filters',
      '48',
      '--json',
    );
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({
      outputPadding: 1,
      shapes: { maps: [1, 48, 8, 8], projection: [1, 3, 33, 33] },
    });
    expect(facts.coverage.histogram).toEqual([
      { count: 0, pixels: 33 * 33 - 32 * 32 },
      { count: 1, pixels: 32 * 32 },
    ]);
    expect(facts.notes.join(' ')).toContain('outputPadding 1');
    // A whole basis in windows that do not overlap: every covered pixel comes back.
    expect(facts.psnr === null || facts.psnr > 60).toBe(true);
  });

  it('measures the other projection with --overlap sum', async () => {
    const args = [
      'project',
      'lake.png',
      '--size',
      '32',
      '--kernel',
      '8',
      '--stride',
      '4',
      '--filters',
      '192',
      '--json',
    ];
    const [average, sum] = await Promise.all([
      deconv(...args, '-o', 'a.png'),
      deconv(...args, '-o', 's.png', '--overlap', 'sum'),
    ]);
    const psnr = [average, sum].map(({ stdout }) => JSON.parse(stdout).psnr);
    expect(psnr[0] === null || psnr[0] > 60).toBe(true);
    expect(psnr[1]).toBeLessThan(30);
    // The panels differ only in what they measure: the picture, the maps and both projections are the same.
    const tile = (name: string) =>
      sharp(join(cwd, name)).extract({ left: 56, top: 144, width: 456, height: 456 }).raw().toBuffer();
    expect(await tile('a.png')).toEqual(await tile('s.png'));
  });

  it('draws the picture and its average alike', async () => {
    await deconv('project', 'lake.png', '--size', '32', '--kernel', '4', '--stride', '2', '--filters', '48');
    const panel = sharp(join(cwd, 'lake-projected.png'));
    const { height = 0 } = await panel.metadata();
    // The second row of tiles begins where the picture's first row comes again: look for it.
    const column = await panel.clone().extract({ left: 284, top: 0, width: 1, height }).raw().toBuffer();
    const strip = column.subarray(144 * 3, (144 + 456) * 3);
    const distance = (top: number) => {
      let sum = 0;
      for (let i = 0; i < strip.length; i++) sum += Math.abs(strip[i] - column[top * 3 + i]);
      return sum / strip.length;
    };
    const tops = Array.from({ length: height - 456 - 620 }, (_, i) => 620 + i);
    expect(Math.min(...tops.map(distance))).toBeLessThan(2);
  });

  it('reads stdin and writes stdout', async () => {
    const { code, bytes, stderr } = await runCli(['project', '-', '-o', '-', ...quick], {
      cwd,
      input: picture,
    });
    expect(code).toBe(0);
    expect((await sharp(bytes).metadata()).format).toBe('png');
    expect(stderr).toContain('stdin  PNG, 64 × 64');
    expect(left()).toEqual(['lake.png']);
    const quiet = await runCli(['project', '-', '-o', '-', '-q', ...quick], { cwd, input: picture });
    expect([quiet.stderr, quiet.bytes.length > 1000]).toEqual(['', true]);
    await runCli(['project', '-', '-q', ...quick], { cwd, input: picture });
    expect(left()).toEqual(['lake.png', 'picture-projected.png']);
  });

  it('encodes the panel as its name says, in folders that it makes', async () => {
    for (const [name, format] of [
      ['new/deep/panel.jpg', 'jpeg'],
      ['panel.webp', 'webp'],
      ['panel.avif', 'heif'],
    ]) {
      expect(await deconv('project', 'lake.png', ...quick, '-q', '-o', name)).toMatchObject({ code: 0 });
      expect((await sharp(join(cwd, name)).metadata()).format).toBe(format);
    }
  });

  it('replaces an older panel, but never its own input', async () => {
    writeFileSync(join(cwd, 'old.png'), 'old');
    expect(await deconv('project', 'lake.png', ...quick, '-q', '-o', 'old.png')).toMatchObject({ code: 0 });
    expect(readFileSync(join(cwd, 'old.png')).length).toBeGreaterThan(1000);
    linkSync(join(cwd, 'lake.png'), join(cwd, 'other-name.png'));
    for (const name of ['lake.png', './lake.png', 'other-name.png']) {
      const { code, stderr } = await deconv('project', 'lake.png', ...quick, '-o', name);
      expect(code).toBe(2);
      expect(stderr).toContain('is the input itself, which is never overwritten');
    }
    expect(readFileSync(join(cwd, 'lake.png'))).toEqual(picture);
  });

  it('refuses options that cannot work, with exit code 2 and before reading', async () => {
    const wrong: [string[], string][] = [
      [['--kernel', '0'], 'whole number ≥ 1'],
      [['--kernel', '3.5'], 'whole number ≥ 1'],
      [['--stride', 'x'], 'whole number ≥ 1'],
      [['--kernel', '40', '--size', '32'], '--kernel 40 must be ≤ --size 32'],
      [['--kernel', '3', '--filters', '28'], '--filters 28 must be ≤ 3·kernel² = 27'],
      [['--size', '4000', '--stride', '1'], 'MiB'],
      [['--overlap', 'max'], 'average'],
      [['-o', 'panel.bmp'], "cannot tell the format of panel.bmp by its ending '.bmp'"],
      [['-o', '-', '--json'], 'would both write to stdout'],
      [['second.png'], 'too many arguments'],
    ];
    for (const [args, words] of wrong) {
      const { code, stdout, stderr } = await deconv('project', 'nowhere.png', ...args);
      expect([code, stdout], args.join(' ')).toEqual([2, '']);
      expect(stderr).toContain(words);
    }
    expect(await deconv('project')).toMatchObject({ code: 2 });
  });

  it('refuses what is no picture, with exit code 1 and nothing left behind', async () => {
    writeFileSync(join(cwd, 'empty.png'), '');
    writeFileSync(join(cwd, 'words.png'), 'words');
    writeFileSync(join(cwd, 'cut.png'), picture.subarray(0, 2000));
    writeFileSync(join(cwd, 'drawing.svg'), '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    mkdirSync(join(cwd, 'folder.png'));
    const before = left();
    for (const [name, words] of [
      ['nowhere.png', 'cannot read nowhere.png: there is no such file'],
      ['folder.png', 'cannot read folder.png: it is a folder'],
      ['empty.png', 'empty.png is empty (0 bytes)'],
      ['words.png', 'words.png is a text file, not a picture'],
      ['cut.png', 'cut.png is a broken or truncated PNG picture'],
      ['drawing.svg', 'drawing.svg is an SVG drawing'],
    ]) {
      const { code, stdout, stderr } = await deconv('project', name, '-o', 'result.png');
      expect([code, stdout], name).toEqual([1, '']);
      expect(stderr).toContain(words);
      expect(stderr).not.toContain('    at ');
    }
    const piped = await runCli(['project', '-'], { cwd, input: '' });
    expect([piped.code, piped.stderr]).toEqual([1, 'error: stdin is empty (0 bytes)\n']);
    const folder = await deconv('project', 'lake.png', '-o', 'words.png/panel.png');
    expect([folder.code, folder.stderr]).toEqual([
      1,
      `error: cannot write words.png/panel.png: ${join(cwd, 'words.png')} is not a folder\n`,
    ]);
    const onFolder = await deconv('project', 'lake.png', '-o', 'folder.png');
    expect([onFolder.code, onFolder.stderr]).toEqual([1, 'error: cannot write folder.png: it is a folder\n']);
    expect(left()).toEqual(before);
  });

  it('needs no fonts and no font settings', async () => {
    await deconv('project', 'lake.png', ...quick, '-q', '-o', 'with.png');
    const env = { FONTCONFIG_FILE: '/nowhere', FONTCONFIG_PATH: '/nowhere', HOME: '/nowhere' };
    const bare = await runCli(['project', 'lake.png', ...quick, '-o', 'without.png'], { cwd, env });
    expect([bare.code, bare.stderr]).toEqual([0, '']);
    expect(readFileSync(join(cwd, 'without.png'))).toEqual(readFileSync(join(cwd, 'with.png')));
  });

  it('stops with 130 while it reads, and leaves nothing', async () => {
    const child = startCli(['project', '-', '-o', 'panel.png'], { cwd });
    // More than a pipe holds: when it is written, somebody reads.
    await new Promise((done) => child.stdin.write(Buffer.alloc(4_000_000), done));
    child.stdin.on('error', () => {});
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
    expect(left()).toEqual(['lake.png']);
  });

  it('stopped at any time leaves the whole result or nothing', async () => {
    for (const delay of [100, 300, 400, 500, 600, 700, 900]) {
      const child = startCli(['project', 'lake.png', ...quick, '-q', '-o', 'panel.png'], { cwd });
      setTimeout(() => child.kill('SIGINT'), delay);
      const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
        child.on('close', (...end) => resolve(end)),
      );
      // Before the command has begun to listen, the signal itself ends it: a shell calls that 130, too.
      expect(code === 0 || code === 130 || signal === 'SIGINT').toBe(true);
      expect(left().filter((name) => name.endsWith('.part'))).toEqual([]);
      if (existsSync(join(cwd, 'panel.png'))) {
        expect((await sharp(join(cwd, 'panel.png')).stats()).isOpaque).toBe(true);
        rmSync(join(cwd, 'panel.png'));
      } else expect(code).not.toBe(0);
    }
  });
});

describe('deconv shape', () => {
  it('follows a stack of layers', async () => {
    const { code, stdout } = await deconv(
      'shape',
      '3@227x227',
      'conv:out=96,kernel=11,stride=4',
      'maxPool:k=3,s=2',
      '--json',
    );
    expect(code).toBe(0);
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({
      command: 'shape',
      input: { channels: 3, size: [227, 227] },
      output: { channels: 96, size: [27, 27] },
    });
    expect(facts.layers).toHaveLength(2);
    expect(facts.layers[0]).toMatchObject({
      kind: 'conv',
      output: { channels: 96, size: [55, 55] },
      weights: 96 * 3 * 121,
      multiplications: 96 * 3 * 121 * 55 * 55,
    });
    expect(facts.layers[0].arithmetic[0]).toContain('= floor(216 / 4) + 1 = 55');
    expect(facts.layers[1].receptiveField[0]).toMatchObject({
      size: 19,
      jump: { numerator: 8, denominator: 1 },
    });
  });

  it('takes one layer by options, and prints the last size alone under --quiet', async () => {
    expect((await deconv('shape', '55x55', '--kernel', '11', '--stride', '4', '-q')).stdout).toBe(
      '227x227\n',
    );
    expect((await deconv('shape', '227', '--conv', '-k', '11', '-s', '4', '-q')).stdout).toBe('55\n');
  });

  it('prints what a dialect moves', async () => {
    const { stdout } = await deconv(
      'shape',
      '8@5x5',
      'deconv:o=4,k=3,strides=2,padding=same',
      '--dialect',
      'keras',
    );
    expect(stdout).toContain('4 @ 10 × 10');
    expect(stdout).toContain('axis 0 crops 0 before and 1 after');
    expect(stdout).toContain('deconv: stride [2,2], padding [[0,1],[0,1]]');
  });

  it('refuses layers that cannot be, and no layer at all', async () => {
    for (const [args, words] of [
      [['4x4', '--kernel', '5', '--conv'], 'must be ≥ 1'],
      [
        ['4x4', '--kernel', '3', '--output-padding', '1'],
        'outputPadding 1 must be < max(stride 1, dilation 1)',
      ],
      [['4x4'], 'no layer is given'],
      [['4x4', 'conv:k=3', '--kernel', '3'], 'not by both'],
      [['four', 'conv:k=3'], "cannot read the input 'four'"],
    ] as const) {
      const { code, stdout, stderr } = await deconv('shape', ...args);
      expect([code, stdout], args.join(' ')).toEqual([2, '']);
      expect(stderr).toContain(words);
    }
  });
});

describe('deconv solve', () => {
  it('ranks solutions, all of which are ones', async () => {
    const { code, stdout } = await deconv('solve', '55', '227', '--json', '--limit', '100');
    expect(code).toBe(0);
    const { solutions, found } = JSON.parse(stdout);
    expect(found).toBe(solutions.length);
    for (const { kernelSize, stride, padding, outputPadding } of solutions) {
      expect(54 * stride - padding[0] - padding[1] + kernelSize + outputPadding).toBe(227);
    }
    expect(solutions[0].coverage.even).toBe(true);
    expect(solutions).toContainEqual(
      expect.objectContaining({ kernelSize: 11, stride: 4, padding: [0, 0], outputPadding: 0 }),
    );
  });

  it('solves several axes by what they share', async () => {
    const { stdout } = await deconv('solve', '8x5', '16x10', '--kernel', '4', '--json');
    const { solutions } = JSON.parse(stdout);
    expect(solutions.map((s: { stride: number }) => s.stride)).toContain(2);
    expect(await deconv('solve', '8x5', '16x11', '--kernel', '4', '--stride', '2')).toMatchObject({
      code: 1,
      stdout: '',
    });
  });

  it('writes a dialect, and ends with 1 when nothing fits', async () => {
    const torch = await deconv('solve', '16', '32', '--kernel', '4', '--dialect', 'torch');
    expect(torch.stdout).toContain('padding=[1], output_padding=[0]');
    const none = await deconv('solve', '7', '1000');
    expect([none.code, none.stdout]).toEqual([1, '']);
    expect(none.stderr).toContain('7 → 1000: nothing fits within these bounds');
    expect(await deconv('solve', '7', '1000', '--stride', '1..')).toMatchObject({ code: 2 });
    expect(await deconv('solve', '7x7', '14')).toMatchObject({ code: 2 });
  });
});

describe('deconv explain', () => {
  it('fills the formula in, and draws taps, coverage and phases', async () => {
    const { code, stdout } = await deconv('explain', '3', '--kernel', '3', '--stride', '2');
    expect(code).toBe(0);
    for (const text of [
      'Transposed convolution   3 → 7',
      '= (3 − 1)·2 − 0 − 0 + 1·(3 − 1) + 1 + 0',
      'input 1     ·  · w0 w1 w2  ·  ·',
      'coverage    1  1  2  1  2  1  1',
      'output[2m]      = input[m]·w0 + input[m − 1]·w2',
      'output[2m + 1]  = input[m]·w1',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  it('has the same in --json', async () => {
    const facts = JSON.parse((await deconv('explain', '2x2', '-k', '2', '-s', '2', '--json')).stdout);
    expect(facts).toMatchObject({
      command: 'explain',
      op: 'convTranspose',
      input: { size: [2, 2] },
      output: { size: [4, 4] },
      coverage: [
        [1, 1, 1, 1],
        [1, 1, 1, 1],
      ],
    });
    expect(facts.phases).toHaveLength(4);
    // Windows × places, taps counted from 1.
    expect(facts.matrix).toEqual([
      [1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4],
    ]);
    expect(facts.dialects.torch.options).toMatchObject({ stride: [2, 2], padding: [0, 0] });
    expect(Object.keys(facts.dialects)).toHaveLength(8);
  });

  it('writes out the matrix of a small convolution, and shows what padding crops', async () => {
    const conv = await deconv('explain', '4x4', '--conv', '--kernel', '3');
    expect(conv.stdout).toContain('w00 w01 w02   · w10 w11 w12   · w20 w21 w22');
    const cropped = await deconv('explain', '4', '-k', '3', '-s', '2', '-p', '1', '--output-padding', '1');
    expect(cropped.stdout).toContain('padding 1   dilation 1   outputPadding 1');
    expect(cropped.stdout).toContain('input 0    w0│w1 w2');
  });

  it('keeps large layers short', async () => {
    const { stdout } = await deconv('explain', '512x512', '-k', '16', '-s', '8');
    expect(stdout.split('\n').length).toBeLessThan(120);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });
});

describe('the installed command', () => {
  it('begins with the line that makes it one', () => {
    expect(readFileSync(cliMain, 'utf8').startsWith('#!/usr/bin/env node\n')).toBe(true);
  });
});
