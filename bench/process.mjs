/** process: a contender in a process of its own: one JSON request per line on its stdin, one JSON answer per line back. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * Starts one; its first line is `{ "detail": … }`.
 *
 * @param {string} command @param {string[]} args
 * @param {string} [cwd]
 */
export async function open(command, args, cwd) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`bench: ${args[0]} ended before its answer`);
    return JSON.parse(value);
  };
  const { detail } = await answer();
  return {
    /** @type {string} */
    detail,
    ask(/** @type {object} */ request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    close: () => child.stdin.end(),
  };
}

/**
 * Answers requests by their `do` until stdin ends.
 *
 * @param {string} detail @param {Record<string, (request: any) => object | Promise<object>>} handlers
 */
export async function serve(detail, handlers) {
  console.log(JSON.stringify({ detail }));
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    console.log(JSON.stringify(await handlers[request.do](request)));
  }
}

/**
 * The most memory that this process has held, in bytes. Not maxRSS where it can be helped: Linux counts into it what the parent held
 * when it started this process, and the bench's own may hold more than a contender.
 */
export function peakMemory() {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const kibibytes = /VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
  return { peak: Number(kibibytes) * 1024 };
}
