/**
 * interrupt: what must happen before the process ends by Ctrl-C: half-written files go, a hidden cursor comes back.
 */
import { exitCodes } from './terminal.js';

const pending = new Set<() => void>();

/** Has `tidy` (which must be synchronous) done if the process is stopped; gives a function that takes it back. */
export function whenStopped(tidy: () => void): () => void {
  pending.add(tidy);
  return () => void pending.delete(tidy);
}

/** Ends the process as Ctrl-C and terminators should. Called once, by main. */
export function listenForSignals(): void {
  const stop = (exitCode: number) => () => {
    for (const tidy of pending) tidy();
    process.exit(exitCode);
  };
  process.once('SIGINT', stop(exitCodes.interrupted));
  process.once('SIGTERM', stop(143));
}
