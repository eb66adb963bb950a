/**
 * activations: the functions of one argument as layers. They have no parameters, PReLU alone has one. After a
 * convolution in a `Sequential`, those marked with a fused form are applied by the convolution itself.
 */
import { checkOptions, refuse } from '../errors.js';
import type { ActivationOption } from '../ops/activation.js';
import { full } from '../ops/create.js';
import {
  clamp,
  elu,
  gelu,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  mish,
  prelu,
  relu,
  selu,
  sigmoid,
  silu,
  softplus,
  softsign,
  tanh,
} from '../ops/elementwise.js';
import { asFloat } from '../ops/input.js';
import { reshape } from '../ops/layout.js';
import { logSoftmax, softmax } from '../ops/softmax.js';
import { showShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { Layer } from './module.js';
import { type DTypeOption, readCount, readNumber, readType } from './options.js';

/** @internal A function without parameters. */
export abstract class Activation extends Layer {
  readonly #apply: (x: Tensor) => Tensor;
  /** @internal The same function as a convolution takes it, where it does. */
  readonly fused: ActivationOption | undefined;

  protected constructor(type: string, apply: (x: Tensor) => Tensor, fused?: ActivationOption) {
    super(type);
    this.#apply = apply;
    this.fused = fused;
  }

  forward(x: Tensor): Tensor {
    return this.#apply(x);
  }
}

/**
 * max(x, 0).
 *
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { ReLU } from 'deconv/nn';
 * console.log(new ReLU().forward(tensor([-1, 2])).toArray()); // [ 0, 2 ]
 * ```
 */
export class ReLU extends Activation {
  constructor() {
    super('ReLU', relu, 'relu');
  }
}

/** x held within [0, 6]. */
export class ReLU6 extends Activation {
  constructor() {
    super('ReLU6', (x) => clamp(x, { min: 0, max: 6 }), { name: 'clamp', min: 0, max: 6 });
  }
}

/** x for x > 0, else slope·x. */
export class LeakyReLU extends Activation {
  /** @param slope factor of negative values. Default 0.01. */
  constructor(slope = 0.01) {
    readNumber('LeakyReLU', 'slope', slope);
    super('LeakyReLU', (x) => leakyRelu(x, slope), slope < 0 ? undefined : { name: 'leakyRelu', slope });
  }
}

/** x for x > 0, else alpha·(eˣ − 1). */
export class ELU extends Activation {
  /** @param alpha what large negative values come to, negated. Default 1. */
  constructor(alpha = 1) {
    readNumber('ELU', 'alpha', alpha);
    super('ELU', (x) => elu(x, alpha));
  }
}

/** 1.0507·(x for x > 0, else 1.6733·(eˣ − 1)). */
export class SELU extends Activation {
  constructor() {
    super('SELU', selu);
  }
}

/** 1 / (1 + e⁻ˣ). */
export class Sigmoid extends Activation {
  constructor() {
    super('Sigmoid', sigmoid, 'sigmoid');
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Activation {
  constructor() {
    super('Tanh', tanh, 'tanh');
  }
}

/** ln(1 + eˣ). */
export class Softplus extends Activation {
  constructor() {
    super('Softplus', softplus);
  }
}

/** x / (1 + |x|). */
export class Softsign extends Activation {
  constructor() {
    super('Softsign', softsign);
  }
}

/** x·Φ(x), Φ the normal distribution; with `approximate: 'tanh'` its tanh form. */
export class GELU extends Activation {
  constructor(options: NonNullable<Parameters<typeof gelu>[1]> = {}) {
    super('GELU', (x) => gelu(x, options));
  }
}

/** x·sigmoid(x). */
export class SiLU extends Activation {
  constructor() {
    super('SiLU', silu);
  }
}

/** alpha·x + beta held within [0, 1]; PyTorch's 1/6 and 1/2 unless told. */
export class HardSigmoid extends Activation {
  constructor(options: NonNullable<Parameters<typeof hardSigmoid>[1]> = {}) {
    super('HardSigmoid', (x) => hardSigmoid(x, options));
  }
}

/** x·hardSigmoid(x). */
export class HardSwish extends Activation {
  constructor() {
    super('HardSwish', hardSwish);
  }
}

/** x·tanh(softplus(x)). */
export class Mish extends Activation {
  constructor() {
    super('Mish', mish);
  }
}

/** eˣ / Σeˣ along an axis. */
export class Softmax extends Activation {
  /** @param axis default −1, the last; of (N, C, …) the channels are axis 1 */
  constructor(axis = -1) {
    readCount('Softmax', 'axis', axis, Number.NEGATIVE_INFINITY);
    super('Softmax', (x) => softmax(x, axis));
  }
}

/** ln softmax(x) along an axis. */
export class LogSoftmax extends Activation {
  /** @param axis default −1, the last; of (N, C, …) the channels are axis 1 */
  constructor(axis = -1) {
    readCount('LogSoftmax', 'axis', axis, Number.NEGATIVE_INFINITY);
    super('LogSoftmax', (x) => logSoftmax(x, axis));
  }
}

/**
 * x for x > 0, else weight·x, the weight learned: He et al. 2015, arXiv:1502.01852.
 *
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { PReLU } from 'deconv/nn';
 * console.log(new PReLU().forward(tensor([-4, 4])).toArray()); // [ -1, 4 ]
 * ```
 */
export class PReLU extends Layer {
  /** (count): one for all, or one per channel. */
  readonly weight: Tensor;

  /**
   * @param count 1 (the default): one weight for all values; or the number of channels, axis 1: one for each
   * @param options `{ init = 0.25, dtype = 'float32' }`
   */
  constructor(count = 1, options: DTypeOption & { readonly init?: number | undefined } = {}) {
    super('PReLU');
    checkOptions(this.type, options, ['init', 'dtype']);
    const shape = [readCount(this.type, 'count', count)];
    const init = readNumber(this.type, 'init', options.init ?? 0.25);
    this.weight = this.parameter('weight', full(shape, init, { dtype: readType(this.type, options) }));
  }

  forward(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    const { size } = this.weight;
    if (size > 1 && input.shape[1] !== size) {
      refuse(
        this.type,
        'input',
        `input must have ${size} channels in axis 1, one per weight, got ${showShape(input.shape)}`,
      );
    }
    const weight =
      size > 1 ? reshape(this.weight, [size, ...input.shape.slice(2).map(() => 1)]) : this.weight;
    return prelu(input, weight);
  }
}
