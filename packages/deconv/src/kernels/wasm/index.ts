/**
 * The WebAssembly backend: the convolution family in float32 by generated kernels on all cores, memory-bound operations
 * by plain loops over linear memory, and whatever is left by the reference.
 */
import type { Backend, ConvAttributes, OpName, OpTable } from '../../backend.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { coveragePlane } from '../../geometry/coverage.js';
import { sizeOf } from '../../shape.js';
import type { Storage } from '../../tensor.js';
import { Engine } from './engine.js';
import { runLoop } from './loops.js';
import { planDense } from './plan.js';
import { host } from './platform.js';
import { forwardProblem, inputGradProblem } from './problem.js';
import { WasmStorage } from './storage.js';
import { type Choice, chooseTile } from './tile.js';
import { planWeight } from './weight-plan.js';

/** What the backend can be told. */
export interface WasmOptions {
  /** Threads to work with, the caller included. */
  readonly threads: number;
  /** Let V8 fuse pairs of 128-bit operations into 256-bit ones, where it can. */
  readonly wideSimd: boolean;
}

/** What is in force. */
export interface WasmReport {
  readonly threads: number;
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

/** Asks V8 for 256-bit fusion; a process-wide flag, and only Node can set it. True when it was set. */
function setWide(): boolean {
  const v8 = host.process?.getBuiltinModule?.('node:v8') as
    | { setFlagsFromString(flag: string): void }
    | undefined;
  if (v8 === undefined) return false;
  v8.setFlagsFromString('--experimental-wasm-revectorize');
  return true;
}

type ConvName = 'conv.forward' | 'conv.inputGrad' | 'conv.weightGrad';

const isConv = (op: OpName): op is ConvName => op.startsWith('conv.');

function keyOf(op: ConvName, g: ConvGeometry, bias: boolean, average: boolean): string {
  const { batch, groups, xChannels, yChannels, xSize, ySize, kernelSize, stride, dilation, padBefore } = g;
  return `${op}|${batch},${groups},${xChannels},${yChannels}|${xSize}|${ySize}|${kernelSize}|${stride}|${dilation}|${padBefore}|${bias}${average}`;
}

/** The WebAssembly backend. Made synchronously; undefined where there is no WebAssembly with SIMD. */
export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly synchronous = true;
  readonly #engine: Engine;
  readonly #choice: Choice;
  readonly #fallback: Backend;

  private constructor(engine: Engine, choice: Choice, fallback: Backend) {
    this.#engine = engine;
    this.#choice = choice;
    this.#fallback = fallback;
  }

  static open(options: WasmOptions, fallback: Backend): WasmBackend | undefined {
    const wide = options.wideSimd && setWide();
    const choice = chooseTile(wide);
    if (choice === undefined) return undefined;
    return new WasmBackend(new Engine({ tile: choice.tile, threads: options.threads }), choice, fallback);
  }

  get report(): WasmReport {
    return { threads: this.#engine.threads, choice: this.#choice };
  }

  upload(values: Parameters<Backend['upload']>[0]): Storage {
    return this.#engine.residency.fromArray(values);
  }

  run<K extends OpName>(op: K, inputs: readonly Storage[], attributes: OpTable[K]): Storage {
    const { residency } = this.#engine;
    try {
      if (inputs[0].dtype === 'float32') {
        if (isConv(op)) return this.#conv(op, inputs, attributes as ConvAttributes);
        const done = runLoop(residency, op, inputs, attributes);
        if (done !== undefined) return done;
      }
      // The reference reads the values where they are.
      const readable = inputs.map((storage): Storage => {
        if (!(storage instanceof WasmStorage)) return storage;
        const { dtype, length } = storage;
        return { dtype, length, host: () => storage.peek(), read: async () => storage.peek() };
      });
      return residency.fromArray(this.#fallback.run(op, readable, attributes).host());
    } finally {
      residency.settle();
    }
  }

  #conv(op: ConvName, inputs: readonly Storage[], { geometry: g, bias, average }: ConvAttributes): Storage {
    const engine = this.#engine;
    const { residency, tile, kernels } = engine;
    const { commands } = kernels;
    const loaded = engine.plan(keyOf(op, g, bias, average), () => {
      if (op === 'conv.weightGrad') return planWeight(g, { tile, commands });
      const problem = op === 'conv.forward' ? forwardProblem(g) : inputGradProblem(g);
      return planDense(problem, g.batch, g.groups, { tile, commands, bias, scale: average });
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

function outputLength(op: ConvName, g: ConvGeometry): number {
  if (op === 'conv.forward') return g.batch * g.yChannels * sizeOf(g.ySize);
  if (op === 'conv.inputGrad') return g.batch * g.xChannels * sizeOf(g.xSize);
  return g.yChannels * (g.xChannels / g.groups) * sizeOf(g.kernelSize);
}
