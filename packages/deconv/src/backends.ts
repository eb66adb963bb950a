/**
 * backends: opens an engine by name; the only place that knows which there are. The reference backend is always
 * present, so that the first operation needs no await.
 */
import type { Backend } from './backend.js';
import { checkName, checkOptions } from './errors.js';
import { reference } from './kernels/reference/index.js';

/** What {@link configure} understands. */
export interface ConfigureOptions {
  /** Engine by name. `'reference'`: plain loops in float64, slow and exact. */
  readonly backend?: 'reference' | undefined;
}

const OPENERS: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: async () => reference,
};

let current: Backend = reference;

/** The engine that runs operations now. */
export function currentBackend(): Backend {
  return current;
}

/**
 * Chooses the engine. Only for choosing: everything works without having called it.
 *
 * @example
 * ```ts
 * import { configure } from 'deconv';
 * console.log(await configure({ backend: 'reference' })); // { backend: 'reference' }
 * ```
 * @returns what is in force
 */
export async function configure(options: ConfigureOptions = {}): Promise<{ backend: string }> {
  checkOptions('configure', options, ['backend']);
  if (options.backend !== undefined) {
    checkName('configure', 'backend', options.backend, Object.keys(OPENERS));
    current = await OPENERS[options.backend]();
  }
  return { backend: current.name };
}
