/**
 * engine: the options by which commands that compute choose how: `--threads` and `--no-wide`. The command line is a
 * process of its own, so that it may turn on what the library leaves off unless asked: experimental vector flags of the
 * JavaScript engine, which are used only after a self-test. Commands that only reason about sizes do not come here.
 */
import type { Command } from 'commander';
import { type ConfigureOptions, configure } from 'deconv';
import { wholeNumber } from './terminal.js';

/** What `--threads` and `--no-wide` say. */
export interface EngineOptions {
  readonly threads?: number;
  readonly wide: boolean;
}

/** What is in force. */
export type Configuration = Awaited<ReturnType<typeof configure>>;

/** Adds the two options to a command. */
export function withEngineOptions(command: Command): Command {
  return command
    .option('--threads <n>', 'threads to compute with (default: one per processor)', wholeNumber)
    .option('--no-wide', 'leave the experimental vector instructions of the JavaScript engine off');
}

/** Starts the engine as the options say, or with `threads` of them. */
export function startEngine(options: EngineOptions, threads = options.threads): Promise<Configuration> {
  const wanted: ConfigureOptions = { wideSimd: options.wide };
  return configure(threads === undefined ? wanted : { ...wanted, threads });
}

/** The engine in words: "wasm, 6 × 8 tile, 2 threads". */
export function engineInWords({ backend, tile, threads, wideSimd }: Configuration): string {
  const parts = [backend];
  if (tile !== undefined) parts.push(`${tile.replace('×', ' × ')} tile`);
  if (wideSimd) parts.push('256-bit vectors');
  parts.push(threads === 1 ? '1 thread' : `${threads} threads`);
  return parts.join(', ');
}
