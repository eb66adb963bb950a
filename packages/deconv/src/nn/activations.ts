/** activations: the functions of one argument as layers. Without parameters, except PReLU. */
import type { ActivationOption } from '../ops/activation.js';
import { leakyRelu, relu, sigmoid, tanh } from '../ops/elementwise.js';
import type { Tensor } from '../tensor.js';
import { Layer } from './module.js';

/** A function applied to every value. */
export class Activation extends Layer {
  readonly #apply: (x: Tensor) => Tensor;
  /** @internal The same function as a convolution takes it, where it does. */
  readonly fused: ActivationOption | undefined;

  /** @internal */
  protected constructor(type: string, apply: (x: Tensor) => Tensor, fused?: ActivationOption) {
    super(type);
    this.#apply = apply;
    this.fused = fused;
  }

  forward(x: Tensor): Tensor {
    return this.#apply(x);
  }
}

/** max(x, 0). */
export class ReLU extends Activation {
  constructor() {
    super('ReLU', relu, 'relu');
  }
}

/** x for x > 0, else slope·x. */
export class LeakyReLU extends Activation {
  /** @param slope factor of negative values. Default 0.01. */
  constructor(slope = 0.01) {
    super('LeakyReLU', (x) => leakyRelu(x, slope), slope >= 0 ? { name: 'leakyRelu', slope } : undefined);
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
