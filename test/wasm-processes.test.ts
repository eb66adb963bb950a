/**
 * The engine in processes of their own, from the built package: that memory stays bounded within one synchronous loop,
 * that a process with helper threads ends by itself, what is left when a helper is killed at work, and switching engines.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from './support/cli.js';

const root = fileURLToPath(new URL('..', import.meta.url));

beforeAll(() => buildCli());

/** Runs a module in a process of its own; gives its last line as JSON, and how it ended. */
function run(
  source: string,
  flags: string[] = [],
): Promise<{ code: number | null; result: unknown; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', source], { cwd: root });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const last = stdout.trim().split('\n').at(-1) ?? '';
      resolve({ code, stderr, result: last === '' ? undefined : JSON.parse(last) });
    });
  });
}

/** How far the resident memory rises, in MB, over a loop that never gives the event loop a turn. */
const measured = (setup: string, step: string, times: number, every: number) => `
  import * as deconv from 'deconv';
  const { configure, conv2d, convTranspose2d, mul, randn, relu, zeros } = deconv;
  await configure({ backend: 'wasm', threads: 2 });
  ${setup}
  const step = (i) => { ${step} };
  for (let i = 0; i < 20; i++) step(i);
  const before = process.memoryUsage.rss();
  let most = before;
  for (let i = 0; i < ${times}; i++) {
    step(i);
    if (i % ${every} === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  console.log(JSON.stringify(Math.round((most - before) / 1e6)));
`;

describe('memory of one synchronous loop', () => {
  it('stays bounded over 100,000 small operations of every kind', async () => {
    const setup = `
      const x = randn([1, 2, 16, 16]); const w = randn([2, 2, 3, 3]); let y = x;`;
    const step = `
      y = i % 4 === 0 ? conv2d(x, w, { padding: 1 }) : i % 4 === 1 ? convTranspose2d(y, w, { padding: 1 })
        : i % 4 === 2 ? relu(y) : mul(y, 0.5);
      if (i % 1000 === 0) y.data[0] = 1;`;
    const { code, result } = await run(measured(setup, step, 100_000, 500));
    expect(code).toBe(0);
    // Kept, the results alone would be 200 MB, and their accounts as much again.
    expect(result).toBeLessThan(150);
  });

  it('stays bounded over 300 large operations', async () => {
    const setup = `
      const x = randn([1, 4, 512, 512]); const w = randn([4, 4, 1, 1]); let y = x;`;
    const step = `
      y = i % 3 === 0 ? conv2d(x, w) : i % 3 === 1 ? convTranspose2d(y, w) : relu(y);`;
    const { code, result } = await run(measured(setup, step, 300, 1));
    expect(code).toBe(0);
    // Kept, they would be 1.3 GB.
    expect(result).toBeLessThan(700);
  });

  it('stays bounded where one weight meets inputs of 400 sizes', async () => {
    const setup = `
      const w = randn([256, 256, 3, 3]); const xs = Array.from({ length: 400 }, (_, i) => zeros([1, 256, 3, 3 + i]));`;
    const { code, result } = await run(measured(setup, 'conv2d(xs[i], w);', 400, 1));
    expect(code).toBe(0);
    // Each packed form of the weight takes 2.4 MB.
    expect(result).toBeLessThan(700);
  });
});

const WORK = `
  const x = randn([1, 64, 64, 64], { seed: 1 });
  const w = randn([64, 64, 3, 3], { seed: 2 });
  // Once the weight is packed, there is one stage, whose items take milliseconds.
  const work = () => conv2d(x, w, { padding: 1 }).data;`;

describe('a process with helper threads', () => {
  it('ends by itself, and may end while they are at work', async () => {
    const source = (end: string) => `
      import { configure, conv2d, randn } from 'deconv';
      await configure({ threads: 3 });
      ${WORK}
      for (let i = 0; i < 5; i++) { work(); await new Promise((done) => setTimeout(done, 30)); }
      console.log(JSON.stringify(work().length));
      ${end}`;
    for (const end of ['', 'process.exit(0);', 'process.exitCode = 0; work();']) {
      expect(await run(source(end)), end).toEqual({ code: 0, result: 64 ** 3, stderr: '' });
    }
  });

  it('goes on or says so when a helper is killed in the middle of an item, and computes rightly afterwards', async () => {
    const { code, result, stderr } = await run(`
      import { Worker } from 'node:worker_threads';
      import { configure, conv2d, randn } from 'deconv';
      const helpers = [];
      const { unref } = Worker.prototype;
      Worker.prototype.unref = function () { helpers.push(this); return unref.call(this); };
      await configure({ threads: 1 });
      ${WORK}
      const expected = Buffer.from(work().slice().buffer);
      await configure({ threads: 2 });
      work();
      await new Promise((done) => setTimeout(done, 500));
      // The caller notifies when a stage's items are there: wait until the helper has one, and kill it then.
      const { notify } = Atomics;
      let killed = 0;
      Atomics.notify = (words, epoch) => {
        notify.call(Atomics, words, epoch);
        if (killed > 0) return;
        while ((Atomics.load(words, 1) & 0xffff) === 0);
        for (const helper of helpers) { helper.terminate(); killed++; }
      };
      let message = 'went on';
      const began = Date.now();
      try { if (!Buffer.from(work().buffer).equals(expected)) message = 'wrong'; } catch (error) { message = error.message; }
      const took = Date.now() - began;
      Atomics.notify = notify;
      const after = [1, 2, 3].map(() => Buffer.from(work().buffer).equals(expected));
      await configure({ threads: 3 });
      after.push(Buffer.from(work().buffer).equals(expected));
      console.log(JSON.stringify({ killed, message, tookTooLong: took > 30_000, after }));
    `);
    expect([code, stderr]).toEqual([0, '']);
    expect(result).toMatchObject({ killed: 1, tookTooLong: false, after: [true, true, true, true] });
    expect((result as { message: string }).message).toMatch(
      /^went on$|^deconv: a helper thread was lost, from now on one works alone$/,
    );
  });
});

describe('configure', () => {
  it('switches engines and threads; tensors made before stay usable', async () => {
    const { code, result, stderr } = await run(`
      import { add, configure, conv2d, randn, tensor } from 'deconv';
      const choices = [{ backend: 'reference' }, { backend: 'wasm' }, { threads: 2 }, { wideSimd: true }, { threads: 1 }, { backend: 'reference' }, { wideSimd: false }, { backend: 'wasm', threads: 3 }];
      const x = randn([1, 8, 40, 40], { seed: 1, requiresGrad: true });
      const w = randn([8, 8, 3, 3], { seed: 2 });
      const first = conv2d(x, w);
      const all = [first.detach()];
      let total = conv2d(x, w);
      const names = [];
      for (const choice of choices) {
        const { backend, threads } = await configure(choice);
        names.push(backend + threads);
        const y = conv2d(x, w);
        all.push(y.detach());
        total = add(total, y);
      }
      total.backward(tensor(new Float32Array(total.size).fill(1), total.shape));
      const reference = all[1].data;
      const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const worst = Math.max(...all.map(({ data }) => data.reduce((most, value, i) => Math.max(most, Math.abs(value - reference[i])), 0)));
      const sums = total.data.reduce((most, value, i) => Math.max(most, Math.abs(value - 9 * reference[i])), 0);
      console.log(JSON.stringify({ names, near: worst / largest < 1e-5, sums: sums / largest < 1e-4, gradient: x.grad.size }));
    `);
    expect([code, stderr]).toEqual([0, '']);
    expect(result).toEqual({
      names: [
        'reference1',
        expect.stringMatching(/^wasm\d+$/),
        'wasm2',
        'wasm2',
        'wasm1',
        'reference1',
        'reference1',
        'wasm3',
      ],
      near: true,
      sums: true,
      gradient: 8 * 40 * 40,
    });
  });

  it('may be called a hundred times', async () => {
    const { code, result, stderr } = await run(`
      import { configure, relu, tensor } from 'deconv';
      const x = tensor([-1, 2]);
      let sum = 0;
      for (let i = 0; i < 100; i++) {
        await configure({ threads: 1 + (i % 2) });
        sum += relu(x).data[1];
      }
      console.log(JSON.stringify(sum));
    `);
    expect({ code, result, stderr }).toEqual({ code: 0, result: 200, stderr: '' });
  });
});
