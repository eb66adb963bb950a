/**
 * cli-engine: the commands about the engine, `bench` and `verify`, and the options by which commands choose it, run as
 * processes. Figures of speed are only held to be figures: what they come to is another matter on every machine.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCli, runCli, startCli } from './support/cli.js';

beforeAll(() => buildCli());

const deconv = (...args: string[]) => runCli(args);
const quick = ['--milliseconds', '1'];

describe('deconv bench', () => {
  it('says what was chosen and measures layers on one thread and on all', async () => {
    const { code, stdout, stderr } = await deconv(
      'bench',
      '--self',
      '--shape',
      'rgb',
      '--threads',
      '2',
      ...quick,
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/engine {2,}wasm, \d × \d+ tile, (256-bit vectors, )?2 threads/);
    expect(stdout).toMatch(/peak {2,}\d+\.\d GF\/s on one thread/);
    expect(stdout).toContain(`Node     ${process.versions.node} (V8 ${process.versions.v8})`);
    expect(stdout).toMatch(/layer +1 thread +GF\/s +of peak +2 threads +GF\/s +of peak/);
    const rows = stdout.match(/^ {2}(dcgan-rgb|to-rgb) .*( +[\d.]+ m?s +\d+\.\d +\d+ %){2}$/gm);
    expect(rows).toHaveLength(2);
  });

  it('gives facts to programs', async () => {
    const { code, stdout, stderr } = await deconv(
      'bench', '--self', '--shape', 'FSRCNN', '--shape', 'mobilenet', '--threads', '1', '--no-wide', '--json', ...quick,
    ); // biome-ignore format: options and their values
    expect([code, stderr]).toEqual([0, '']);
    const facts = JSON.parse(stdout);
    expect(facts).toMatchObject({
      command: 'bench',
      engine: { backend: 'wasm', threads: 1, wideSimd: false, tile: expect.stringMatching(/^\d×8$/) },
      machine: { node: process.versions.node },
      shapes: [
        {
          name: 'fsrcnn 56->1 k9 s3 p4 op2 128->384',
          op: 'convTranspose',
          outputPadding: 2,
          flops: 2 * 128 * 128 * 56 * 81,
        },
        { name: 'mobilenet dw 144 k3 p1 56', op: 'conv', g: 144, flops: 2 * 56 * 56 * 144 * 9 },
      ],
    });
    expect(facts.engine.peak).toBeGreaterThan(0);
    for (const { timings, flops } of facts.shapes) {
      expect(timings).toHaveLength(1);
      const [{ threads, milliseconds, gflops, ofPeak }] = timings;
      expect(threads).toBe(1);
      expect((gflops * milliseconds * 1e6) / flops).toBeCloseTo(1, 2);
      // The peak of the passes' moment, not of the start: a shared processor goes at half its speed at times.
      expect((ofPeak * facts.engine.peak) / gflops).toBeGreaterThan(0.2);
      expect((ofPeak * facts.engine.peak) / gflops).toBeLessThan(5);
    }
  });

  it('prints the table alone under --quiet', async () => {
    const { code, stdout } = await deconv('bench', '--shape', 'fcn', '--threads', '1', '-q', ...quick);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  it('refuses layers and numbers that there are not', async () => {
    const wrong = [
      [['--shape', 'resnet', '--shape', 'inception'], "no layer has 'inception' in its name"],
      [['--threads', '0'], 'whole number ≥ 1'],
      [['--threads', '65'], 'threads must be an integer in [1, 64], got 65'],
      [['--shape'], 'argument missing'],
    ] as const;
    for (const [args, words] of wrong) {
      const { code, stdout, stderr } = await deconv('bench', ...args);
      expect([code, stdout], args.join(' ')).toEqual([2, '']);
      expect(stderr).toContain(words);
    }
  });
});

describe('deconv verify', () => {
  it('finds the engine right, and says how right', async () => {
    const { code, stdout, stderr } = await deconv(
      'verify',
      '--count',
      '150',
      '--seed',
      '11',
      '--threads',
      '2',
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^150 random layers in [\d.]+ m?s on wasm, .* 2 threads, seed 11$/m);
    for (const kernel of ['conv', 'convTranspose', 'weight gradient']) {
      expect(stdout).toMatch(new RegExp(`^ {2}${kernel} +\\d+ +\\d\\.\\de-\\d+ +\\d\\.\\de-\\d$`, 'm'));
    }
    expect(stdout).toContain('every layer agrees with its definition');
  });

  it('walks the same sequence for a seed, whatever the threads and vectors', async () => {
    const facts = async (...args: string[]) => {
      const { code, stdout } = await deconv('verify', '--count', '40', '--seed', '4', '--json', ...args);
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    const [one, two] = await Promise.all([facts('--threads', '1'), facts('--threads', '2', '--no-wide')]);
    expect(one).toMatchObject({ command: 'verify', seed: 4, cases: 40, wrong: 0, failures: [] });
    const counts = ({ worst }: { worst: Record<string, { cases: number }> }) =>
      Object.entries(worst)
        .map(([kernel, { cases }]) => [kernel, cases])
        .sort();
    expect(counts(one)).toEqual(counts(two));
    expect(one.worst.conv.difference.relative).toBeLessThan(one.worst.conv.difference.tolerance);
  });

  it('stops when the time is up, and says nothing under --quiet', async () => {
    expect(await deconv('verify', '--seconds', '1', '-q')).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it('is stopped by Ctrl-C with 130', async () => {
    const child = startCli(['verify', '--seconds', '600']);
    await new Promise((done) => setTimeout(done, 1000));
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130);
  });
});

describe('help and options of commands that compute', () => {
  it.each(['bench', 'verify'])(
    '%s --help has three examples that work and the exit codes',
    async (command) => {
      const { code, stdout } = await deconv(command, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain('Exit codes:');
      const examples = stdout.match(/^ {2}\$ deconv .*$/gm) ?? [];
      expect(examples).toHaveLength(3);
      // The first measures, or examines, at length.
      for (const example of examples.slice(1)) {
        const args = example.replace('  $ deconv ', '').split(' ');
        const result = await deconv(...args, ...(command === 'bench' ? quick : []));
        expect(result, example).toMatchObject({ code: 0, stderr: '' });
      }
    },
  );

  it.each(['project', 'bench', 'verify'])('%s takes --threads and --no-wide', async (command) => {
    const { stdout } = await deconv(command, '--help');
    expect(stdout).toContain('--threads <n>');
    expect(stdout).toContain('--no-wide');
  });

  it('project gives the same panel whatever the threads', async () => {
    const input = readFileSync(new URL('../assets/sample.png', import.meta.url));
    const args = [
      'project',
      '-',
      '-o',
      '-',
      '-q',
      '--size',
      '48',
      '--kernel',
      '6',
      '--stride',
      '3',
      '--no-wide',
    ];
    const [one, three] = await Promise.all(
      ['1', '3'].map((threads) => runCli([...args, '--threads', threads], { input })),
    );
    expect([one.code, three.code]).toEqual([0, 0]);
    expect(one.bytes.length).toBeGreaterThan(1000);
    expect(one.bytes.equals(three.bytes)).toBe(true);
  });
});
