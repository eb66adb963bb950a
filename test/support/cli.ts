/**
 * cli: runs the built command `deconv` as a user's shell does. Builds first, once per test file; where nothing changed
 * that takes a second.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The compiled entry. */
export const cliMain = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url));

/** Compiles the library and the command; throws with the compiler's words when it cannot. */
export function buildCli(): void {
  const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-b', 'packages/deconv', 'packages/cli'], {
    cwd: root,
  });
  if (status !== 0) throw new Error(`the build failed:\n${stdout}`);
}

/** How to run. */
export interface CliOptions {
  readonly cwd?: string;
  readonly input?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What came of it. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** Starts the command; the caller talks to it. Colour variables of the surroundings are taken away. */
export function startCli(args: readonly string[], { cwd = root, env = {} }: CliOptions = {}) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...clean } = process.env;
  return spawn(process.execPath, [cliMain, ...args], { cwd, env: { ...clean, ...env } });
}

/** Runs the command to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = startCli(args, options);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const bytes = Buffer.concat(out);
      resolve({ code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err).toString() });
    });
    // A command that refuses its options does not wait for its input.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}
