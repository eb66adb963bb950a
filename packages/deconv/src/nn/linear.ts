/** linear: a matrix product with a learned matrix. */
import { checkOptions, refuse } from '../errors.js';
import { randomStream } from '../ops/create.js';
import { add } from '../ops/elementwise.js';
import { asFloat } from '../ops/input.js';
import { transpose } from '../ops/layout.js';
import { matmul } from '../ops/matmul.js';
import { showShape } from '../shape.js';
import type { DType, Tensor } from '../tensor.js';
import { drawnWithin } from './draw.js';
import { Layer } from './module.js';
import { type DTypeOption, readCount, readFlag, readType, type SeedOption } from './options.js';
import { layerSeed } from './seed.js';

/** Options of {@link Linear}. */
export interface LinearOptions extends DTypeOption, SeedOption {
  /** Add one learned value per output. Default true. */
  readonly bias?: boolean | undefined;
}

/**
 * y = x·weightᵀ + bias over the last axis. Weight (out, in) and bias (out) are uniform within ±1/√in at first.
 *
 * @param inFeatures length of the last axis; undefined: that of the first input
 * @param outFeatures length of the last axis of the output
 * @param options `{ bias = true, dtype = 'float32', seed }`
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { Linear } from 'deconv/nn';
 * console.log(new Linear(undefined, 10).forward(zeros([5, 3, 84])).shape); // [ 5, 3, 10 ]
 * ```
 */
export class Linear extends Layer {
  readonly outFeatures: number;
  readonly #hasBias: boolean;
  readonly #dtype: DType;
  readonly #seed: number;

  constructor(inFeatures: number | undefined, outFeatures: number, options: LinearOptions = {}) {
    super('Linear');
    checkOptions(this.type, options, ['bias', 'dtype', 'seed']);
    this.outFeatures = readCount(this.type, 'outFeatures', outFeatures);
    this.#hasBias = readFlag(this.type, 'bias', options.bias ?? true);
    this.#dtype = readType(this.type, options);
    this.#seed = layerSeed(this.type, options);
    this.pending('weight', [this.outFeatures, undefined], this.#dtype);
    if (this.#hasBias) this.pending('bias', [this.outFeatures], this.#dtype);
    if (inFeatures !== undefined) this.#make(readCount(this.type, 'inFeatures', inFeatures));
  }

  /** (out, in). Refuses while the inputs are open. */
  get weight(): Tensor {
    return this.made('weight');
  }

  /** (out); undefined for a layer without one. */
  get bias(): Tensor | undefined {
    return this.#hasBias ? this.made('bias') : undefined;
  }

  /** Length of the last axis of the input; undefined while it is open. */
  get inFeatures(): number | undefined {
    return this.registered('weight')?.shape[1];
  }

  #make(inFeatures: number): void {
    const next = randomStream(this.#seed);
    this.fillPending({
      weight: () => drawnWithin(next, [this.outFeatures, inFeatures], this.#dtype, inFeatures),
      bias: () => drawnWithin(next, [this.outFeatures], this.#dtype, inFeatures),
    });
  }

  forward(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    const last = input.shape.at(-1) ?? 0;
    if (this.hasPending && last > 0) this.#make(this.inFeatures ?? last);
    if (last !== this.inFeatures) {
      refuse(
        this.type,
        'input',
        `input must end in an axis of ${this.inFeatures ?? '≥ 1'}, got ${showShape(input.shape)}`,
      );
    }
    const product = matmul(input, transpose(this.weight));
    return this.bias === undefined ? product : add(product, this.bias);
  }

  protected override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return 2 * output.size * this.weight.shape[1];
  }
}
