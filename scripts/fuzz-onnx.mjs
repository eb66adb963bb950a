/**
 * fuzz-onnx: damaged and hostile ONNX files, thousands of them. Each must end in a result or in a DeconvError that says
 * what is wrong: within five seconds, within a bound of memory, and without bringing the process down. Every case is told
 * by its seed, and can be had again: `--seed S --count 1`.
 *
 *   npm run build && node scripts/fuzz-onnx.mjs [--seconds 60 | --count 100000] [--seed 1]
 *
 * Ends with code 1 if any case did not.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    count: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const seed = Number(values.seed);
const count = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
const seconds =
  values.seconds === undefined
    ? values.count === undefined
      ? 60
      : Number.POSITIVE_INFINITY
    : Number(values.seconds);

/** A case that takes longer hangs. */
const PATIENCE_MS = 5000;
/** Resident memory of the process that a case may leave it with, or reach while it runs. */
const MOST_MEMORY = 1.5 * 2 ** 30;
/** A fresh process after so many cases. */
const SHIFT = 5000;

const child = fileURLToPath(new URL('./fuzz/child.mjs', import.meta.url));
/** @type {Record<string, number>} */
const tally = { refused: 0, ran: 0, loaded: 0 };
/** @type {string[]} */
const faults = [];
let most = 0;

/** Runs cases from `from` on in a process of their own; the number of the first that it did not get to. @param {number} from @param {number} to @param {number} until */
function shift(from, to, until) {
  return new Promise((/** @type {(next: number) => void} */ resolve) => {
    const worker = fork(child, [seed, from, to].map(String), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--max-old-space-size=1024'],
    });
    let next = from;
    let running = -1;
    let over = false;
    /** @type {string | undefined} */
    let why;
    let words = '';
    /** @type {NodeJS.Timeout | undefined} */
    let watch;
    worker.stderr?.on('data', (data) => {
      words = `${words}${data}`.slice(-2000);
    });
    worker.on('message', (/** @type {any} */ message) => {
      if (over) return;
      clearTimeout(watch);
      if ('begin' in message) {
        running = message.begin;
        watch = setTimeout(() => {
          why = `took more than ${PATIENCE_MS / 1000} s`;
          worker.kill('SIGKILL');
        }, PATIENCE_MS);
        return;
      }
      const { end, result, complaint, memory } = message;
      running = -1;
      next = end + 1;
      most = Math.max(most, memory);
      if (result === 'broken') faults.push(`seed ${seed + end}: ${complaint}`);
      else tally[result]++;
      if (memory > MOST_MEMORY) {
        faults.push(`seed ${seed + end}: ${(memory / 2 ** 20).toFixed(0)} MiB of memory`);
        worker.kill('SIGKILL');
      } else if (Date.now() > until) {
        over = true;
        worker.kill('SIGKILL');
      }
    });
    worker.on('exit', (code, signal) => {
      clearTimeout(watch);
      if (running >= 0) {
        faults.push(`seed ${seed + running}: ${why ?? `the process ended (${signal ?? code}) ${words}`}`);
        next = running + 1;
      } else if (code !== 0 && signal === null) {
        faults.push(`the process could not work: ${words}`);
        next = to;
      }
      resolve(next);
    });
  });
}

const until = Date.now() + seconds * 1000;
let next = 0;
while (next < count && Date.now() < until) {
  next = await shift(next, Math.min(count, next + SHIFT), until);
  console.log(
    `${next} models: ${tally.refused} refused, ${tally.ran} ran, ${tally.loaded} only loaded, ${faults.length} faults; at most ${(most / 2 ** 20).toFixed(0)} MiB`,
  );
}
for (const fault of faults.slice(0, 20)) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
