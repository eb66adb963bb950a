/**
 * progress: a bar on stderr while a command works, for people only: not into pipes, not under --quiet or --json. Every
 * step gives the event loop a turn, so that Ctrl-C is heard between them.
 */
import { setImmediate as turn } from 'node:timers/promises';
import cliProgress from 'cli-progress';
import { whenStopped } from './interrupt.js';
import { type CommonOptions, wantsColour } from './terminal.js';

/** A running bar. */
export interface Progress {
  /** Begins the next step. */
  next(label: string): Promise<void>;
  /** Shows that this share of the whole, 0 to 1, is done. */
  at(share: number, label: string): Promise<void>;
  /** Takes the bar away. May be called twice. */
  stop(): void;
}

/** Starts a bar of `steps` steps, or one that nobody sees. */
export function startProgress(steps: number, options: CommonOptions): Progress {
  if (!process.stderr.isTTY || options.quiet || options.json) {
    return { next: () => turn(), at: () => turn(), stop: () => {} };
  }
  const filled = wantsColour(process.stderr) ? '\u001b[36m{bar}\u001b[39m' : '{bar}';
  const shown = new cliProgress.SingleBar({
    format: `${filled} {label}`,
    barCompleteChar: '━',
    barIncompleteChar: ' ',
    barsize: 30,
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
  });
  let done = 0;
  let running = true;
  const stop = () => {
    if (running) shown.stop();
    running = false;
  };
  const forget = whenStopped(stop);
  shown.start(steps, 0, { label: '' });
  return {
    next: (label) => {
      shown.update(done++, { label });
      shown.render();
      return turn();
    },
    at: (share, label) => {
      shown.update(Math.floor(share * steps), { label });
      shown.render();
      return turn();
    },
    stop: () => {
      forget();
      stop();
    },
  };
}
