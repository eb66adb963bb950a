/** PyTorch, where a Python that has it is found: a child process, asked over stdin and stdout in its turn. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inputShape, outputShape, weightShape } from '../problem.mjs';

export const script = fileURLToPath(new URL('./torch-child.py', import.meta.url));

/** A Python that can import torch, or undefined. `PYTHON` in the environment goes first. */
export function findPython() {
  const candidates = [process.env.PYTHON, 'python3', '/usr/bin/python3', 'python'];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch']).status === 0);
}

/**
 * Arrays as files of raw float32, in a folder of their own.
 *
 * @param {import('../problem.mjs').Problem} problem @param {import('../problem.mjs').Data} data
 */
export function filesOf(problem, data) {
  const folder = mkdtempSync(join(tmpdir(), 'deconv-bench-'));
  const paths = { x: join(folder, 'x'), w: join(folder, 'w'), g: join(folder, 'g') };
  for (const key of /** @type {const} */ (['x', 'w', 'g'])) writeFileSync(paths[key], data[key]);
  const shapes = { x: inputShape(problem), w: weightShape(problem), g: outputShape(problem) };
  return { folder, request: { problem, shapes, ...paths } };
}

/**
 * @param {{ threads: number, python: string }} options
 * @returns {Promise<import('../protocol.mjs').Contender & { version: string, close(): void }>}
 */
export async function open({ threads, python }) {
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('bench: PyTorch ended before its answer');
    return JSON.parse(value);
  };
  const ask = (/** @type {object} */ request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer();
  };
  const { version } = await answer();
  return {
    name: 'torch',
    version,
    detail: `the better of 1 and ${threads} threads, per case`,
    async prepare(problem, data, task) {
      const { folder, request } = filesOf(problem, data);
      await ask({ do: 'prepare', task, threads, ...request });
      return {
        run: (times) => ask({ do: 'run', times }),
        async result() {
          const files = (task === 'forward' ? ['y'] : ['gx', 'gw']).map((name) => join(folder, name));
          await ask({ do: 'result', files });
          return files.map((file) => new Float32Array(Uint8Array.from(readFileSync(file)).buffer));
        },
        release: () => rmSync(folder, { recursive: true }),
      };
    },
    close: () => child.stdin.end(),
  };
}
