/**
 * backends: opens an engine by name; the only place that knows which there are. The engine is opened by the first
 * operation that needs it, synchronously, so nothing has to be awaited before; `configure` is only for choosing.
 *
 * Candidates, in order: `'wasm'`, generated WebAssembly kernels on all cores; `'reference'`, plain loops in float64,
 * which is always there.
 */
import type { Backend } from './backend.js';
import { checkName, checkOptions, refuse, show } from './errors.js';
import { reference } from './kernels/reference/index.js';
import { processors, WasmBackend } from './kernels/wasm/index.js';
import { chooseTile, TURNS } from './kernels/wasm/tile.js';
import { setWide } from './kernels/wasm/wide.js';

/** What {@link configure} understands. */
export interface ConfigureOptions {
  /**
   * Engine by name. `'wasm'`: generated WebAssembly kernels for float32, the reference for everything else.
   * `'reference'`: plain loops that sum in float64, slow and exact. Default `'wasm'` where the JavaScript engine has SIMD.
   */
  readonly backend?: 'wasm' | 'reference' | undefined;
  /** Threads to work with, the calling one included. Integer ≥ 1. Default: one per processor. Results do not depend on it. */
  readonly threads?: number | undefined;
  /**
   * Ask V8 to fuse pairs of 128-bit vector operations into 256-bit ones (Node 24 and newer), or at least to fuse
   * multiplication with addition (Node 20, where that is not yet the rule). Without effect in pages. These are
   * experimental flags of the whole process, so they are off unless asked for, and used only after a self-test.
   * Default false.
   */
  readonly wideSimd?: boolean | undefined;
  /**
   * Compute layers with two or three taps per axis and residue of the stride (3 × 3; 4 × 4 and 5 × 5 at stride 2; 11 × 11 at
   * stride 4; transposed or not) by tiles, with 2.25 to 4 times fewer multiplications (Winograd 1980; Lavin and Gray 2015), where
   * there are channels and positions enough for it to pay. The largest error is up to some 2.5 times that of plain sums, on all
   * data tried, in large tiles, and smaller than it in small ones; outputs beside a large input that they do not see err by some
   * 10⁻⁷ of it, zeros too. False: plain sums everywhere.
   * Default true.
   */
  readonly winograd?: boolean | undefined;
}

/** What is in force. */
export interface Configuration {
  readonly backend: string;
  /** Threads that may work. */
  readonly threads: number;
  /** Whether kernels for 256-bit vectors are in use. */
  readonly wideSimd: boolean;
  /** Whether layers that are fit for it are computed in Winograd's form. */
  readonly winograd: boolean;
  /** Register tile of the matrix kernels, rows × floats; undefined on the reference. */
  readonly tile: string | undefined;
  /** Speed of that tile on one thread, in GF/s, measured by this call; undefined on the reference. */
  readonly peak: number | undefined;
}

const NAMES = ['wasm', 'reference'];
export const MOST_THREADS = 64;

let current: Backend | undefined;
let threads: number | undefined;
/** Asks for wide vectors, if they are wanted, and tells whether there are. Set by `configure` alone, so that others go without. */
let widen: (() => boolean) | undefined;
let winograd: boolean | undefined;

function openWasm(): Backend {
  const count = threads ?? Math.min(MOST_THREADS, processors());
  const choice = chooseTile(widen?.() ?? false);
  return choice === undefined ? reference : new WasmBackend(choice, count, winograd ?? true, reference);
}

/** The engine that runs operations now; opened if none is. */
export function currentBackend(): Backend {
  current ??= openWasm();
  return current;
}

/** Whether float32 layers that are fit for it are computed in Winograd's form now. */
export const usesWinograd = (): boolean => (winograd ?? true) && currentBackend().name === 'wasm';

/** Runs `body` on another engine. */
export function underBackend<T>(backend: Backend, body: () => T): T {
  const before = current;
  current = backend;
  try {
    return body();
  } finally {
    current = before;
  }
}

/**
 * Chooses the engine, its threads and its vectors. Only for choosing: everything works without having called it.
 * Tensors made before stay usable.
 *
 * @throws DeconvError for an unknown name or option, and for `'wasm'` where the JavaScript engine has no SIMD
 * @example
 * ```ts
 * import { configure } from 'deconv';
 * const inForce = await configure({ backend: 'reference' });
 * console.log(inForce.backend, inForce.threads); // reference 1
 * await configure({ backend: 'wasm' });
 * ```
 * @returns what is in force
 */
export async function configure(options: ConfigureOptions = {}): Promise<Configuration> {
  const op = 'configure';
  checkOptions(op, options, ['backend', 'threads', 'wideSimd', 'winograd']);
  if (options.backend !== undefined) checkName(op, 'backend', options.backend, NAMES);
  const { threads: count, wideSimd: wide, winograd: form } = options;
  if (count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= MOST_THREADS)) {
    refuse(op, 'threads', `threads must be an integer in [1, ${MOST_THREADS}], got ${show(count)}`);
  }
  if (wide !== undefined && typeof wide !== 'boolean') {
    refuse(op, 'wideSimd', `wideSimd must be true or false, got ${show(wide)}`);
  }
  if (form !== undefined && typeof form !== 'boolean') {
    refuse(op, 'winograd', `winograd must be true or false, got ${show(form)}`);
  }
  const chosen = () => [threads, widen !== undefined, winograd ?? true].join();
  const before = chosen();
  threads = count ?? threads;
  if (wide !== undefined) widen = wide ? setWide : undefined;
  winograd = form ?? winograd;
  const changed = chosen() !== before;
  const name = options.backend ?? current?.name ?? 'wasm';
  if (name === 'reference') current = reference;
  else if (changed || current?.name !== 'wasm') {
    if (current instanceof WasmBackend) current.close();
    current = openWasm();
    if (options.backend === 'wasm' && current.name !== 'wasm') {
      refuse(
        op,
        'backend',
        "backend 'wasm' needs WebAssembly with SIMD, which this JavaScript engine has not",
      );
    }
  }
  const backend = currentBackend();
  if (!(backend instanceof WasmBackend)) {
    const none = { wideSimd: false, winograd: false, tile: undefined, peak: undefined };
    return { backend: backend.name, threads: 1, ...none };
  }
  const { choice, engine } = backend;
  const { mr, nr } = choice.tile;
  return {
    backend: backend.name,
    threads: engine.threads,
    wideSimd: nr >= 16,
    winograd: winograd ?? true,
    tile: `${mr}×${nr}`,
    peak: Math.max(...Array.from({ length: TURNS }, choice.run)),
  };
}
