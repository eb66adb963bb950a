/**
 * cli-train: training and using models by the command line, run as a process on tiny pictures: what is written, that a
 * training that was stopped or killed goes on bit for bit, and what is said of folders, pictures and models that will not do.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildCli, cliMain, runCli, startCli } from './support/cli.js';

/** Options that make a training quick. */
const tiny = ['--channels', '4', '--depth', '1', '--patch', '8', '--batch', '2', '--threads', '1'];

let cwd: string;
const pictures: Buffer[] = [];
const at = (...parts: string[]) => join(cwd, ...parts);
const deconv = (...args: string[]) => runCli(args, { cwd });
const left = () => readdirSync(cwd).sort();
const trainUp = (...more: string[]) => [
  'train',
  'upscale',
  'photos',
  '-o',
  'up.safetensors',
  ...tiny,
  ...more,
];

beforeAll(async () => {
  buildCli();
  for (let k = 0; k < 4; k++) {
    const data = Buffer.from(
      Array.from(
        { length: 40 * 32 * 3 },
        (_, i) => 128 + 100 * Math.sin((i % 120) / (3 + k) + Math.floor(i / 120) / 4),
      ),
    );
    pictures.push(
      await sharp(data, { raw: { width: 40, height: 32, channels: 3 } })
        .png()
        .toBuffer(),
    );
  }
});
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'deconv-train-'));
  mkdirSync(at('photos'));
  for (const [k, picture] of pictures.entries()) writeFileSync(at('photos', `${k}.png`), picture);
});
afterEach(() => rmSync(cwd, { recursive: true }));

/** Starts a training, stops it by a signal once its first checkpoint is there, and waits for its end. */
async function stopped(args: readonly string[], signal: 'SIGINT' | 'SIGKILL') {
  const child = startCli(args, { cwd });
  let stdout = '';
  child.stdout.on('data', (part: Buffer) => {
    stdout += part;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (!existsSync(at('up.checkpoint.safetensors')) && child.exitCode === null) await sleep(10);
  // It must not have ended by itself, or nothing is tested.
  expect(child.exitCode).toBeNull();
  child.kill(signal);
  return { code: await ended, stdout };
}

describe('deconv train', () => {
  it.each(['train', 'apply', 'upscale'])('%s --help has three examples', async (command) => {
    const { code, stdout } = await deconv(command, '--help');
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\$ .*$/gm)).toHaveLength(3);
  });

  it.each([
    ['upscale', ['--scale', '3'], 'PSNR'],
    ['denoise', ['--noise', '10..30'], 'PSNR'],
    ['autoencode', ['--down', 'pool', '--code', '3'], 'PSNR'],
  ])('%s leaves a model, its curves and a panel, and apply uses it', async (task, more, measure) => {
    const { code, stdout, stderr } = await deconv(
      'train',
      task,
      'photos',
      '-o',
      'out/m.safetensors',
      ...tiny,
      '--steps',
      '12',
      '--json',
      ...more,
    );
    expect([code, stderr]).toEqual([0, '']);
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({ command: 'train', task, reason: 'finished', steps: 12, measure, used: 3 });
    expect(facts.pictures).toHaveLength(1);
    expect(readdirSync(at('out')).sort()).toEqual(['m-before-after.png', 'm-curves.png', 'm.safetensors']);
    for (const name of ['m-before-after.png', 'm-curves.png'])
      expect((await sharp(at('out', name)).metadata()).width).toBeGreaterThan(1000);
    const used = await deconv('apply', 'photos/0.png', '-m', 'out/m.safetensors', '-o', 'used.png', '--json');
    expect([used.code, used.stderr]).toEqual([0, '']);
    const scale = task === 'upscale' ? 3 : 1;
    expect(await sharp(at('used.png')).metadata()).toMatchObject({ width: 40 * scale, height: 32 * scale });
  });

  it('segment learns from masks, and apply writes masks', async () => {
    mkdirSync(at('set/images'), { recursive: true });
    mkdirSync(at('set/masks'));
    const mask = Buffer.from(
      Array.from({ length: 40 * 32 }, (_, i) => [0, 1, 2, 255][Math.floor((i % 40) / 10)]),
    );
    for (const [k, picture] of pictures.entries()) {
      writeFileSync(at('set/images', `${k}.png`), picture);
      const file = sharp(mask, { raw: { width: 40, height: 32, channels: 1 } })
        .toColourspace('b-w')
        .png();
      writeFileSync(at('set/masks', `${k}.png`), await file.toBuffer());
    }
    writeFileSync(at('set/classes.txt'), 'sky\nsea\nland\n');
    const trained = await deconv(
      'train',
      'segment',
      'set',
      '-o',
      'm.safetensors',
      ...tiny,
      '--steps',
      '6',
      '--json',
    );
    expect([trained.code, trained.stderr]).toEqual([0, '']);
    expect(JSON.parse(trained.stdout)).toMatchObject({ measure: 'IoU', options: { classes: 3 } });
    const used = await deconv(
      'apply',
      'set/images/0.png',
      'set/images/1.png',
      '-m',
      'm.safetensors',
      '-o',
      'said/',
    );
    expect([used.code, used.stderr]).toEqual([0, '']);
    expect(readdirSync(at('said'))).toEqual(['0-classes.png', '1-classes.png']);
    // What apply writes can be learnt from: its pixels are numbers.
    rmSync(at('set/masks'), { recursive: true });
    mkdirSync(at('set/masks'));
    for (const k of [0, 1])
      writeFileSync(at('set/masks', `${k}.png`), readFileSync(at('said', `${k}-classes.png`)));
    const again = await deconv(
      'train',
      'segment',
      'set',
      '-o',
      'n.safetensors',
      ...tiny,
      '--steps',
      '2',
      '--classes',
      '3',
      '--json',
    );
    expect(again.code, again.stderr).toBe(0);
    expect(JSON.parse(again.stdout).used).toBe(1);
  });

  it('--synthetic needs no folder', async () => {
    const { code, stdout } = await deconv(
      'train',
      'segment',
      '--synthetic',
      '-o',
      'm.safetensors',
      ...tiny,
      '--steps',
      '2',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ options: { classes: 5 }, used: 588 });
  });

  it('says in words what came of it', async () => {
    const { code, stdout, stderr } = await deconv(...trainUp('--steps', '4'));
    expect([code, stderr]).toEqual([0, '']);
    for (const words of [
      'train upscale',
      '4 steps in',
      'PSNR',
      'bicubic',
      'this model',
      'mean',
      'wrote up.safetensors',
      'use it: deconv upscale',
    ])
      expect(stdout).toContain(words);
  });

  it('trains by time, and by epochs', async () => {
    const timed = await deconv(...trainUp('--minutes', '0.02', '--json'));
    expect([timed.code, timed.stderr]).toEqual([0, '']);
    const { steps, reason } = JSON.parse(timed.stdout);
    expect(reason).toBe('finished');
    expect(steps).toBeGreaterThan(0);
    // 3 pictures, 6 crops of each at least for 8 batches of 2: (40·32)/16² = 5 of each are fewer.
    const counted = await deconv(
      'train',
      'upscale',
      'photos',
      '-o',
      'b.safetensors',
      ...tiny,
      '--epochs',
      '2',
      '--json',
    );
    expect(JSON.parse(counted.stdout).steps).toBe(2 * 9);
  });

  it('goes on bit for bit after it was killed', async () => {
    const steps = ['--steps', '400', '--quiet'];
    expect((await deconv(...trainUp(...steps))).code).toBe(0);
    const whole = readFileSync(at('up.safetensors'));
    for (const name of left()) if (name.startsWith('up')) rmSync(at(name));
    await stopped(trainUp(...steps), 'SIGKILL');
    // Whatever it was doing, model and checkpoint are whole.
    const half = await deconv('upscale', 'photos/0.png', '-m', 'up.safetensors', '-o', 'half.png');
    expect(half.code, half.stderr).toBe(0);
    const refused = await deconv(...trainUp(...steps));
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--resume goes on with it')]);
    const resumed = await deconv('train', 'upscale', 'photos', '-o', 'up.safetensors', '--resume', '--quiet');
    expect([resumed.code, resumed.stderr]).toEqual([0, '']);
    expect(readFileSync(at('up.safetensors')).equals(whole)).toBe(true);
    expect(existsSync(at('up.checkpoint.safetensors'))).toBe(false);
  });

  it('saves all it has on Ctrl-C, leaves no debris, and goes on from there', async () => {
    const steps = ['--steps', '400', '--quiet'];
    expect((await deconv(...trainUp(...steps))).code).toBe(0);
    const whole = readFileSync(at('up.safetensors'));
    for (const name of left()) if (name.startsWith('up')) rmSync(at(name));
    const { code, stdout } = await stopped(trainUp('--steps', '400'), 'SIGINT');
    expect(code).toBe(130);
    expect(stdout).toMatch(/stopped after step \d+; [\s\S]*--resume/);
    expect(left()).toEqual([
      'photos',
      'up-before-after.png',
      'up-curves.png',
      'up.checkpoint.safetensors',
      'up.safetensors',
    ]);
    const resumed = await deconv('train', 'upscale', 'photos', '-o', 'up.safetensors', '--resume', '--quiet');
    expect([resumed.code, resumed.stderr]).toEqual([0, '']);
    expect(readFileSync(at('up.safetensors')).equals(whole)).toBe(true);
  });
});

describe('what will not do', () => {
  const failing = async (args: readonly string[], exitCode: number, ...words: string[]) => {
    const { code, stdout, stderr } = await deconv(...args);
    expect([code, stdout], stderr).toEqual([exitCode, '']);
    for (const word of words) expect(stderr).toContain(word);
    expect(left().filter((name) => name.includes('safetensors'))).toEqual([]);
  };

  it('a folder that is not there, is none, or is empty', async () => {
    mkdirSync(at('empty/.hidden'), { recursive: true });
    writeFileSync(at('empty/notes.txt'), 'none');
    const train = (folder: string) => ['train', 'upscale', folder, '-o', 'm.safetensors'];
    await failing(train('nowhere'), 1, 'cannot read nowhere: there is no such folder');
    await failing(train('photos/0.png'), 1, 'it is not a folder');
    await failing(train('empty'), 1, 'empty holds no pictures', 'files ending in .jpg');
    await failing(
      ['train', 'segment', 'photos', '-o', 'm.safetensors'],
      1,
      'there is no such folder',
      'FOLDER/masks',
    );
    await failing(['train', 'upscale', '-o', 'm.safetensors'], 2, 'a folder of pictures is needed');
  });

  it('one picture among many that cannot be read is named, counted and left out', async () => {
    writeFileSync(at('photos/broken.jpg'), 'nothing of the kind');
    writeFileSync(at('photos/cut.png'), pictures[0].subarray(0, 90));
    const tinyPicture = await sharp(pictures[0]).resize(10, 10).png().toBuffer();
    writeFileSync(at('photos/small.png'), tinyPicture);
    const { code, stdout, stderr } = await deconv(...trainUp('--steps', '2'));
    expect(code).toBe(0);
    expect(stdout).toContain('train upscale  3 pictures');
    expect(stderr).toContain('note: 3 pictures could not be used:');
    expect(stderr).toContain('broken.jpg: is a text file, not a picture');
    expect(stderr).toContain('cut.png: is a broken or truncated PNG picture');
    expect(stderr).toContain('small.png: 10 × 10 pixels are fewer than a patch of 16 × 16');
  });

  it('pictures that are all too small', async () => {
    const args = ['train', 'upscale', 'photos', '-o', 'm.safetensors', '--steps', '2'];
    await failing(args, 1, 'no picture can be used: 0.png: 40 × 32 pixels are fewer than a patch of 48 × 48');
  });

  it('a loss that is not finite: it stops, says where, and keeps what was good', async () => {
    const { code, stdout, stderr } = await deconv(...trainUp('--steps', '40', '--lr', '1e38'));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/error: (the loss is|a gradient is not) .* in step \d+/);
    expect(stderr).toContain('try a smaller --lr');
    expect(left().filter((name) => name.includes('.part'))).toEqual([]);
  });

  it('a disk that is full', async () => {
    // A file may not be longer than 4 blocks, as on a disk with no more room.
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', 'ulimit -f 4; exec "$0" "$@"', process.execPath, cliMain, ...trainUp('--steps', '20')],
      { cwd },
    );
    expect([status, stderr.toString()]).toEqual([1, expect.stringContaining('cannot write up.safetensors')]);
    expect(left()).toEqual(['photos']);
  });

  it('options that do not go together', async () => {
    const out = ['-o', 'm.safetensors'];
    await failing(['train', 'upscale', 'photos', '-o', 'm.bin'], 2, 'a file ending in .safetensors');
    await failing(
      ['train', 'upscale', 'photos', ...out, '--scale', '5'],
      2,
      '--scale must be 2, 3 or 4, got 5',
    );
    await failing(
      ['train', 'denoise', 'photos', ...out, '--scale', '2'],
      2,
      '--scale is for upscale, not for denoise',
    );
    await failing(
      ['train', 'denoise', 'photos', ...out, '--noise', '50..10'],
      2,
      '--noise is a number or a range',
    );
    await failing(
      ['train', 'segment', 'photos', ...out, '--patch', '60'],
      2,
      '--patch must be a multiple of 16',
    );
    await failing(['train', 'upscale', 'photos', ...out, '--steps', '3', '--minutes', '2'], 2, 'give one of');
    await failing(['train', 'upscale', 'photos', ...out, '--synthetic'], 2, 'photos is not needed');
    await failing(['train', 'upscale', 'photos', ...out, '--resume'], 1, 'there is nothing to resume');
    await failing(['train', 'upscale', 'photos', ...out, '--resume', '--lr', '1'], 2, 'without --lr');
    await failing(['train', 'classify', 'photos', ...out], 2, 'upscale, denoise, autoencode, segment');
  });

  it('pictures that are not those of the checkpoint', async () => {
    await stopped(trainUp('--steps', '4000'), 'SIGKILL');
    writeFileSync(at('photos/9.png'), pictures[0]);
    const { code, stderr } = await deconv('train', 'upscale', 'photos', '-o', 'up.safetensors', '--resume');
    expect([code, stderr]).toEqual([1, expect.stringContaining('the pictures are not those')]);
  });
});

describe('deconv upscale', () => {
  beforeEach(async () => {
    const { code } = await deconv(...trainUp('--steps', '2', '--quiet'));
    expect(code).toBe(0);
  });

  it('gives the same in parts as in one, by a name of its own, from stdin too', async () => {
    const big = await sharp(pictures[1]).resize(300, 200).png().toBuffer();
    writeFileSync(at('big.png'), big);
    expect((await deconv('upscale', 'big.png', '-m', 'up.safetensors')).code).toBe(0);
    const parted = await deconv(
      'upscale',
      'big.png',
      '-m',
      'up.safetensors',
      '-o',
      'parted.png',
      '--max-memory',
      '2M',
      '--json',
    );
    expect(JSON.parse(parted.stdout).results[0].parts).toBeGreaterThan(5);
    const piped = await runCli(['upscale', '-', '-m', 'up.safetensors', '-o', '-'], { cwd, input: big });
    expect(piped.code).toBe(0);
    const pixels = (file: string | Buffer) => sharp(file).raw().toBuffer();
    const whole = await pixels(at('big-x2.png'));
    expect(whole).toHaveLength(600 * 400 * 3);
    expect((await pixels(at('parted.png'))).equals(whole)).toBe(true);
    expect((await pixels(piped.bytes)).equals(whole)).toBe(true);
  });

  it('takes patterns, writes to folders, and goes on where one cannot be read', async () => {
    writeFileSync(at('photos/bad.png'), 'no picture');
    const { code, stdout, stderr } = await deconv(
      'upscale',
      'photos/*.png',
      '-m',
      'up.safetensors',
      '-o',
      'large/',
      '--format',
      'jpg',
    );
    expect(code).toBe(1);
    expect(stdout).toContain('4 pictures');
    expect(stderr).toContain('photos/bad.png is a text file');
    expect(readdirSync(at('large'))).toEqual([0, 1, 2, 3].map((k) => `${k}-x2.jpg`));
  });

  it('refuses what is no model of its kind, and targets that will not do', async () => {
    const use = (...args: string[]) => deconv('upscale', 'photos/0.png', ...args);
    const refused = async (args: string[], exitCode: number, words: string) => {
      const { code, stderr } = await use(...args);
      expect([code, stderr]).toEqual([exitCode, expect.stringContaining(words)]);
    };
    await deconv('train', 'denoise', 'photos', '-o', 'clean.safetensors', ...tiny, '--steps', '2');
    await refused(['-m', 'photos/0.png'], 1, 'photos/0.png cannot be used: the header should be');
    await refused(['-m', 'clean.safetensors'], 2, "clean.safetensors is a model for 'denoise'");
    await refused(['-m', 'up.safetensors', '-o', 'photos/0.png'], 2, 'is the input itself');
    await refused(['-m', 'up.safetensors', '-o', 'x.bmp'], 2, 'cannot tell the format');
    await refused(['-m', 'up.safetensors', '--max-memory', 'much'], 2, 'a size is written as 512M');
    const model = readFileSync(at('up.safetensors'));
    writeFileSync(at('half.safetensors'), model.subarray(0, model.length / 2));
    await refused(['-m', 'half.safetensors'], 1, 'half.safetensors cannot be used');
    const several = await deconv(
      'upscale',
      'photos/0.png',
      'photos/1.png',
      '-m',
      'up.safetensors',
      '-o',
      'one.png',
    );
    expect([several.code, several.stderr]).toEqual([2, expect.stringContaining('2 pictures need a folder')]);
    const none = await deconv('upscale', 'photos/*.gif', '-m', 'up.safetensors');
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringContaining('no file is named like photos/*.gif'),
    ]);
  });
});
