/**
 * The WebAssembly backend: the convolution family in float32 by generated kernels on all cores, every other operation in
 * float32 by loops over linear memory, and whatever is left by the reference.
 */
import type { Backend, ConvAttributes, OpName, OpTable } from '../../backend.js';
import { refuse } from '../../errors.js';
import { type ConvGeometry, weightShapeOf, xShapeOf, yShapeOf } from '../../geometry/conv.js';
import { coveragePlane } from '../../geometry/coverage.js';
import { showShape, sizeOf } from '../../shape.js';
import type { Storage } from '../../tensor.js';
import { planDense } from './dense-plan.js';
import { Engine } from './engine.js';
import { type Heap, OutOfMemory } from './heap.js';
import { Ground, runLoop } from './loops/index.js';
import type { Tile } from './microkernels.js';
import { host } from './platform.js';
import { forwardProblem, inputGradProblem } from './problem.js';
import { WasmStorage } from './storage.js';
import { type Choice, chooseTile, tryTiles } from './tile.js';
import { planWeight } from './weight-plan.js';

/** What the backend can be told. */
export interface WasmOptions {
  /** Threads to work with, the caller included. */
  readonly threads: number;
  /** Let V8 fuse pairs of 128-bit operations into 256-bit ones, where it can. */
  readonly wideSimd: boolean;
  /** Register tile to work with. Default: the fastest of those tried. */
  readonly tile?: Tile | undefined;
}

/** What is in force. */
export interface WasmReport {
  readonly threads: number;
  /** Helper threads that have come up so far; the first operation that is worth sharing starts them. */
  readonly ready: number;
  readonly choice: Choice;
}

interface NodeOs {
  availableParallelism?(): number;
  cpus(): unknown[];
}

/** Processors that may be used: what the host says, 1 if it says nothing. */
export function processors(): number {
  const os = host.process?.getBuiltinModule?.('node:os') as NodeOs | undefined;
  if (os !== undefined) return os.availableParallelism?.() ?? os.cpus().length;
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/**
 * Asks V8 for what it has beyond the standard, by flags of the process; only Node can set them. Fused multiply–add needs
 * one before V8 11.4, where relaxed SIMD came in; fusing vectors to 256 bits has one that works from V8 13 on. Older
 * engines do not know it, and would complain. True when vectors may be fused.
 */
function setWide(): boolean {
  const v8 = host.process?.getBuiltinModule?.('node:v8') as
    | { setFlagsFromString(flag: string): void }
    | undefined;
  if (v8 === undefined) return false;
  const [major = 0, minor = 0] = (host.process?.versions?.v8 ?? '').split('.').map(Number);
  if (major === 11 && minor < 4) v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  if (major < 13) return false;
  v8.setFlagsFromString('--experimental-wasm-revectorize');
  return true;
}

type ConvName = 'conv.forward' | 'conv.inputGrad' | 'conv.weightGrad';

const isConv = (op: OpName): op is ConvName => op.startsWith('conv.');

function keyOf(op: ConvName, { geometry, bias, average, activation }: ConvAttributes): string {
  const f = activation === undefined ? '' : `${activation.fn}${activation.parameters}`;
  const { batch, groups, xChannels, yChannels, xSize, ySize, kernelSize, stride, dilation, padBefore } =
    geometry;
  return `${op}|${batch},${groups},${xChannels},${yChannels}|${xSize}|${ySize}|${kernelSize}|${stride}|${dilation}|${padBefore}|${bias}${average}${f}`;
}

/** The WebAssembly backend. Made synchronously; undefined where there is no WebAssembly with SIMD. */
export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly synchronous = true;
  readonly #engine: Engine;
  readonly #ground: Ground;
  readonly #choice: Choice;
  readonly #fallback: Backend;

  private constructor(engine: Engine, choice: Choice, fallback: Backend) {
    this.#engine = engine;
    this.#ground = new Ground(engine);
    this.#choice = choice;
    this.#fallback = fallback;
  }

  static open(options: WasmOptions, fallback: Backend): WasmBackend | undefined {
    const wide = options.wideSimd && setWide();
    const choice = options.tile === undefined ? chooseTile(wide) : tryTiles([options.tile]);
    if (choice === undefined) return undefined;
    return new WasmBackend(new Engine({ tile: choice.tile, threads: options.threads }), choice, fallback);
  }

  get report(): WasmReport {
    return { threads: this.#engine.threads, ready: this.#engine.ready, choice: this.#choice };
  }

  /** The linear memory. */
  get heap(): Heap {
    return this.#engine.heap;
  }

  /** Bytes in linear memory: values, packed weights, plans and work space. */
  get bytes(): number {
    return this.#engine.residency.bytes;
  }

  upload(values: Parameters<Backend['upload']>[0]): Storage {
    return this.#engine.residency.fromArray(values);
  }

  run<K extends OpName>(op: K, inputs: readonly Storage[], attributes: OpTable[K]): Storage {
    const { residency } = this.#engine;
    this.#engine.settle();
    try {
      if (inputs[0].dtype === 'float32') {
        if (isConv(op)) return this.#conv(op, inputs, attributes as ConvAttributes);
        const done = this.#loop(op, inputs, attributes);
        if (done !== undefined) return done;
      }
      // The reference reads the values where they are.
      const readable = inputs.map((storage): Storage => {
        if (!(storage instanceof WasmStorage)) return storage;
        const { dtype, length } = storage;
        return { dtype, length, holders: 0, host: () => storage.peek(), read: async () => storage.peek() };
      });
      return residency.fromArray(this.#fallback.run(op, readable, attributes).host());
    } catch (error) {
      if (!isShortage(error)) throw error;
      if (isConv(op)) return this.#refuseLarge(op, attributes as ConvAttributes);
      const name = 'fn' in attributes ? attributes.fn : op;
      const lengths = inputs.map(({ length }) => length).join(', ');
      return refuse(name, 'input', `not enough memory for inputs of ${lengths} elements and the output`);
    } finally {
      residency.settle();
    }
  }

  /** A loop over linear memory; what does not fit there is left to the reference. */
  #loop<K extends OpName>(op: K, inputs: readonly Storage[], attributes: OpTable[K]): Storage | undefined {
    try {
      return runLoop(this.#ground, op, inputs, attributes);
    } catch (error) {
      if (error instanceof OutOfMemory) return undefined;
      throw error;
    }
  }

  #refuseLarge(op: ConvName, { geometry: g }: ConvAttributes): never {
    const shapes = [xShapeOf(g), weightShapeOf(g), yShapeOf(g)];
    const [name, order] = LAYOUTS[op];
    const [input, weight, output] = order.map((which) => shapes[which]);
    const most = this.#engine.heap.capacity;
    refuse(
      name,
      'input',
      `${showShape(input)} and ${showShape(weight)} to ${showShape(output)} take ${gibibytes(convBytes(g))}, work space aside; linear memory holds ${gibibytes(most)}`,
      'compute it in parts: fewer pictures at once, or large ones in tiles',
    );
  }

  #conv(op: ConvName, inputs: readonly Storage[], attributes: ConvAttributes): Storage {
    const { geometry: g, bias, average, activation } = attributes;
    const engine = this.#engine;
    const { residency, tile, kernels } = engine;
    const { commands } = kernels;
    // Before a plan is made, which for such sizes would be large itself.
    if (convBytes(g) > engine.heap.capacity) this.#refuseLarge(op, attributes);
    const loaded = engine.plan(keyOf(op, attributes), () => {
      if (op === 'conv.weightGrad') return planWeight(g, { tile, commands });
      const problem = op === 'conv.forward' ? forwardProblem(g) : inputGradProblem(g);
      return planDense(problem, g.batch, g.groups, { tile, commands, bias, scale: average, activation });
    });
    const { plan } = loaded;
    const [first, second, third] = inputs;
    const input = residency.address(first);
    const weight = residency.address(second);
    const biasAt = bias ? residency.address(third) : 0;
    const known = plan.packStages > 0 ? residency.packed(second, loaded) : undefined;
    const packed = known ?? residency.room(plan.packedBytes);
    let scale = 0;
    if (average) {
      const counts = coveragePlane(g);
      scale = residency.room(4 * counts.length);
      const plane = engine.heap.floats.subarray(scale / 4, scale / 4 + counts.length);
      for (let i = 0; i < counts.length; i++) plane[i] = counts[i] === 0 ? 0 : 1 / counts[i];
    }
    const { storage, at } = residency.result('float32', outputLength(op, g));
    const addresses = { input, weight, bias: biasAt, packed, output: at, scale };
    engine.run(loaded, addresses, known === undefined ? 0 : plan.packStages);
    if (known === undefined && plan.packStages > 0) residency.keepPacked(second, loaded, packed);
    return storage;
  }

  /** Stops the helper threads. */
  close(): void {
    this.#engine.close();
  }
}

/** What each operation is called in a complaint, and which of x, w and y are its two inputs and its output. */
const LAYOUTS: Readonly<Record<ConvName, readonly [name: string, order: readonly number[]]>> = {
  'conv.forward': ['convolution', [0, 1, 2]],
  'conv.inputGrad': ['transposed convolution', [2, 1, 0]],
  'conv.weightGrad': ['weight gradient', [0, 2, 1]],
};

/** Bytes of x, w and y together. */
const convBytes = (g: ConvGeometry): number =>
  4 * (sizeOf(xShapeOf(g)) + sizeOf(weightShapeOf(g)) + sizeOf(yShapeOf(g)));

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** Linear memory is full, or the host has no more for an array. */
const isShortage = (error: unknown): boolean =>
  error instanceof OutOfMemory ||
  (error instanceof RangeError && /allocation failed|array length/i.test(error.message));

function outputLength(op: ConvName, g: ConvGeometry): number {
  if (op === 'conv.forward') return g.batch * g.yChannels * sizeOf(g.ySize);
  if (op === 'conv.inputGrad') return g.batch * g.xChannels * sizeOf(g.xSize);
  return g.yChannels * (g.xChannels / g.groups) * sizeOf(g.kernelSize);
}
