/**
 * interrupt: what must happen before the process ends by Ctrl-C: half-written files go, a hidden cursor comes back. A
 * command with something to save may ask to end by itself.
 */
import { exitCodes } from './terminal.js';

const pending = new Set<() => void>();

/** Has `tidy` (which must be synchronous) done if the process is stopped; gives a function that takes it back. */
export function whenStopped(tidy: () => void): () => void {
  pending.add(tidy);
  return () => void pending.delete(tidy);
}

let gentle: ((exitCode: number) => void) | undefined;

/**
 * Lets a command that has something to save end by itself: the first Ctrl-C calls `end` with the exit code and no more, the
 * second stops the process. Gives a function that takes it back.
 */
export function whenAskedToStop(end: (exitCode: number) => void): () => void {
  gentle = end;
  return () => {
    gentle = undefined;
  };
}

/** Ends the process as Ctrl-C and terminators should. Called once, by main. */
export function listenForSignals(): void {
  const stop = (exitCode: number) => () => {
    if (gentle !== undefined) {
      const end = gentle;
      gentle = undefined;
      return end(exitCode);
    }
    for (const tidy of pending) tidy();
    process.exit(exitCode);
  };
  process.on('SIGINT', stop(exitCodes.interrupted));
  process.on('SIGTERM', stop(143));
}
