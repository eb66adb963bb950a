/**
 * Training as it happens to users: a process killed at any moment leaves a checkpoint that loads, and what goes on from it
 * ends in the same bits; a thousand steps take no more memory than a hundred; threads change nothing.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configure, randn } from 'deconv';
import { readSafetensors } from 'deconv/io';
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  fit,
  loadCheckpoint,
  mseLoss,
  ReLU,
  Sequential,
} from 'deconv/nn';
import { Adam } from 'deconv/optim';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentBackend } from '../packages/deconv/src/backends.js';
import { WasmBackend } from '../packages/deconv/src/kernels/wasm/index.js';
import { root } from '../scripts/setup.mjs';
import { buildCli } from './support/cli.js';
import { helpersUp } from './support/wasm.js';

const folder = mkdtempSync(join(tmpdir(), 'deconv-training-'));
beforeAll(() => buildCli());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two epochs of nine steps with everything that has a state; tells each step as it is done. */
const program = (path: string) => `
  import { configure, randn } from 'deconv';
  import { BatchNorm2d, batches, Conv2d, ConvTranspose2d, Dropout, fit, mseLoss, ReLU, Sequential, tensorDataset }
    from 'deconv/nn';
  import { Adam, cosineDecay, warmup } from 'deconv/optim';
  await configure({ threads: 2 });
  const model = new Sequential(
    new Conv2d(3, 64, { kernelSize: 4, stride: 2, padding: 1, seed: 1 }),
    new BatchNorm2d(64),
    new ReLU(),
    new Conv2d(64, 256, { kernelSize: 4, stride: 2, padding: 1, seed: 2 }),
    new Dropout(0.2, { seed: 3 }),
    new ConvTranspose2d(256, 3, { kernelSize: 8, stride: 4, padding: 2, seed: 4 }),
  );
  const dataset = tensorDataset(randn([36, 3, 16, 16], { seed: 5 }), randn([36, 3, 16, 16], { seed: 6 }));
  const training = fit(model, {
    data: dataset,
    batch: { batchSize: 4, shuffle: true, seed: 7 },
    loss: (net, [x, y]) => mseLoss(net.forward(x), y),
    optimizer: new Adam(model.parameters(), { lr: 1e-3 }),
    schedule: warmup({ steps: 3 }, cosineDecay({ steps: 15, floor: 1e-5 })),
    scheduleEvery: 'step',
    clip: 1,
    epochs: 2,
    checkpoint: { path: ${JSON.stringify(path)}, every: 1 },
    resume: true,
  });
  for await (const { step, loss, meanLoss, lr } of training) console.log(JSON.stringify([step, loss, meanLoss, lr]));
`;

/** Runs a program; what it told, and whether it ended by itself. `tell` may kill it. */
function run(
  source: string,
  tell: (line: string, kill: () => void) => void = () => undefined,
): Promise<{ ended: boolean; lines: string[]; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { cwd: root });
    const lines: string[] = [];
    let [rest, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        lines.push(line);
        tell(line, () => child.kill('SIGKILL'));
      }
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ ended: code === 0, lines, stderr }));
  });
}

describe('a killed training', () => {
  it('leaves a whole checkpoint, and what goes on from it ends in the same bits', async () => {
    const [straight, broken] = ['straight', 'broken'].map((name) => join(folder, `${name}.safetensors`));
    const whole = await run(program(straight));
    expect(whole.stderr).toBe('');
    expect(whole.lines.length).toBe(18);

    const told = new Map<number, string>();
    let ended = false;
    let kills = 0;
    // Each attempt is killed some milliseconds after its second step: in a step, while a checkpoint is written, between.
    while (!ended && kills < 18) {
      let steps = 0;
      const delay = 5 * kills;
      const attempt = await run(program(broken), (line, kill) => {
        const step: number = JSON.parse(line)[0];
        const before = told.get(step);
        if (before !== undefined) expect(line).toBe(before);
        told.set(step, line);
        if (++steps === 2) setTimeout(kill, delay);
      });
      expect(attempt.stderr).toBe('');
      ended = attempt.ended;
      if (!ended) kills++;
      expect(Object.keys(readSafetensors(readFileSync(broken))).length).toBeGreaterThan(20);
    }
    expect(ended).toBe(true);
    expect(kills).toBeGreaterThan(1);
    expect([...told.values()]).toEqual(whole.lines);
    expect(readFileSync(broken).equals(readFileSync(straight))).toBe(true);
    // What a kill left of a file half-written is beside it, never in its place.
    const others = readdirSync(folder).filter((name) => !name.endsWith('.safetensors'));
    expect(others.filter((name) => !name.endsWith('.part'))).toEqual([]);
  });
});

describe('a thousand steps', () => {
  it('take no more memory than a hundred', async () => {
    const { lines, stderr } = await run(`
      import { randn } from 'deconv';
      import { BatchNorm2d, Conv2d, fit, mseLoss, ReLU, Sequential } from 'deconv/nn';
      import { Adam } from 'deconv/optim';
      const model = new Sequential(
        new Conv2d(1, 16, { kernelSize: 3, padding: 1, seed: 1 }),
        new BatchNorm2d(16),
        new ReLU(),
        new Conv2d(16, 1, { kernelSize: 3, padding: 1, seed: 2 }),
      );
      const training = fit(model, {
        data: function* (epoch) {
          for (let i = 0; i < 100; i++) yield [randn([4, 1, 32, 32], { seed: i }), randn([4, 1, 32, 32], { seed: 9 })];
        },
        loss: (net, [x, y]) => mseLoss(net.forward(x), y),
        optimizer: new Adam(model.parameters()),
        epochs: 10,
      });
      let before = 0;
      let most = 0;
      for await (const { step } of training) {
        const { rss } = process.memoryUsage();
        if (step === 100) before = rss;
        if (step > 100) most = Math.max(most, rss);
      }
      console.log(Math.round((most - before) / 1e6));
    `);
    expect(stderr).toBe('');
    // The outputs and gradients of the layers alone take 2 MB a step: kept, they would be 2 GB.
    expect(Number(lines.at(-1))).toBeLessThan(120);
  });
});

/** Weights after some steps of a network whose layers are worth sharing. */
async function trained(threads: number): Promise<Uint8Array> {
  await configure({ backend: 'wasm', threads });
  const model = new Sequential(
    new Conv2d(3, 32, { kernelSize: 4, stride: 2, padding: 1, seed: 1 }),
    new BatchNorm2d(32),
    new ReLU(),
    new ConvTranspose2d(32, 3, { kernelSize: 4, stride: 2, padding: 1, seed: 2 }),
  );
  let ready = 0;
  let bytes = new Uint8Array();
  // biome-ignore lint/suspicious/noFocusedTests: this fit trains a model
  const training = fit(model, {
    data: (epoch) => Array.from({ length: 4 }, (_, i) => [randn([4, 3, 48, 48], { seed: 4 * epoch + i })]),
    loss: (net, [x]) => mseLoss(net.forward(x), x),
    optimizer: new Adam(model.parameters(), { lr: 0.01 }),
    epochs: 6,
    checkpoint: {
      write: (given) => {
        bytes = new Uint8Array(given);
      },
    },
  });
  for await (const { step } of training) {
    const backend = currentBackend();
    if (!(backend instanceof WasmBackend)) throw new Error('this test is about the WebAssembly backend');
    // Helpers come up by and by; the last steps are to be made with all of them.
    for (let i = 0; step === 8 && i < 400 && helpersUp(backend) < threads - 1; i++)
      await new Promise((done) => setTimeout(done, 25));
    ready = helpersUp(backend);
  }
  expect(ready).toBe(threads - 1);
  const read = new Sequential(...model);
  await loadCheckpoint(bytes, { model: read });
  return bytes;
}

describe('threads', () => {
  it('change nothing: the same bits on 1, 2 and 3', async () => {
    const [one, two, three] = [await trained(1), await trained(2), await trained(3)];
    expect(Buffer.from(two).equals(one)).toBe(true);
    expect(Buffer.from(three).equals(one)).toBe(true);
    await configure({ threads: 2 });
  });
});
