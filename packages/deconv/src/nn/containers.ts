/**
 * containers: modules made of others: one after the other (Sequential), or a list to be called as one likes (ModuleList).
 *
 * In a Sequential a convolution followed by a function that it can apply as it stores its output does so, which saves a
 * pass over memory each way; nothing else changes. A layer whose `forward` was replaced, by a subclass or from outside, is
 * called by itself. What only passes from one layer to the next gives its memory back at once: a module that wants to keep
 * such a tensor keeps `x.detach()`.
 */
import { refuse, show } from '../errors.js';
import type { ActivationOption } from '../ops/activation.js';
import type { Tensor } from '../tensor.js';
import { Activation } from './activations.js';
import { AnyConv } from './conv.js';
import { type AnyModule, Layer, Module } from './module.js';

/** Refuses anything but modules. */
function checkModules<M>(type: string, modules: readonly M[]): readonly M[] {
  for (const [i, module] of modules.entries()) {
    if (!(module instanceof Module))
      refuse(type, 'modules', `argument ${i} must be a module, got ${show(module)}`);
  }
  return modules;
}

/** The function to fuse into `layer`, if it is a convolution without one and `next` is one that it can apply. */
function fusable(layer: AnyModule, next: AnyModule | undefined): ActivationOption | undefined {
  if (!(layer instanceof AnyConv && next instanceof Activation)) return undefined;
  const untouched =
    layer.forward === AnyConv.prototype.forward && next.forward === Activation.prototype.forward;
  return untouched && layer.activation === undefined ? next.fused : undefined;
}

/**
 * Modules called one after the other, each with what the one before returned. Their names are their positions: `0`, `1` …
 *
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { ConvTranspose2d, ReLU, Sequential, Sigmoid } from 'deconv/nn';
 * const decoder = new Sequential(
 *   new ConvTranspose2d(8, 4, { kernelSize: 4, stride: 2, padding: 1 }),
 *   new ReLU(),
 *   new ConvTranspose2d(4, 1, { kernelSize: 4, stride: 2, padding: 1 }),
 *   new Sigmoid(),
 * );
 * console.log(decoder.forward(zeros([1, 8, 7, 7])).shape); // [ 1, 1, 28, 28 ]
 * console.log(Object.keys(decoder.stateDict())); // [ '0.weight', '0.bias', '2.weight', '2.bias' ]
 * ```
 */
export class Sequential extends Layer {
  readonly #modules: readonly Module[];

  constructor(...modules: readonly Module[]) {
    super('Sequential');
    this.#modules = Object.freeze([...checkModules('Sequential', modules)]);
  }

  /** Number of modules. */
  get length(): number {
    return this.#modules.length;
  }

  /** The module at a position; negative counts from the end. */
  at(index: number): Module | undefined {
    return this.#modules.at(index);
  }

  [Symbol.iterator](): IterableIterator<Module> {
    return this.#modules.values();
  }

  override namedChildren(): [string, AnyModule][] {
    return this.#modules.map((module, i) => [String(i), module]);
  }

  forward(x: Tensor): Tensor {
    let y = x;
    for (let i = 0; i < this.#modules.length; i++) {
      const layer = this.#modules[i];
      const activation = fusable(layer, this.#modules[i + 1]);
      const before = y;
      if (activation === undefined || !(layer instanceof AnyConv)) {
        y = layer.forward(before);
      } else {
        y = layer.activated(before, activation);
        i++;
      }
      // What only passed through gives its memory back; the tape holds what it needs by itself.
      if (before !== x && before !== y && !(before.isLeaf && before.requiresGrad)) before.letGo();
    }
    return y;
  }
}

/**
 * A list of modules, to be called as the network likes; their names are their positions. A plain array in a property of a
 * module does the same; this one can also be counted, indexed and extended by name.
 *
 * @example
 * ```ts
 * import { add, type Tensor, zeros } from 'deconv';
 * import { Conv2d, Module, ModuleList } from 'deconv/nn';
 * class Tower extends Module {
 *   floors = new ModuleList([1, 2, 3].map(() => new Conv2d(4, 4, { kernelSize: 3, padding: 1 })));
 *   forward(x: Tensor): Tensor {
 *     let y = x;
 *     for (const floor of this.floors) y = add(y, floor.forward(y));
 *     return y;
 *   }
 * }
 * const tower = new Tower();
 * console.log(tower.forward(zeros([1, 4, 8, 8])).shape, tower.namedParameters()[2][0]); // [ 1, 4, 8, 8 ] floors.1.weight
 * ```
 */
export class ModuleList<M extends AnyModule = Module> extends Layer<never, never> {
  readonly #modules: M[];

  constructor(modules: readonly M[] = []) {
    super('ModuleList');
    if (!Array.isArray(modules))
      refuse(this.type, 'modules', `modules must be an array of modules, got ${show(modules)}`);
    this.#modules = [...checkModules(this.type, modules)];
  }

  /** Number of modules. */
  get length(): number {
    return this.#modules.length;
  }

  /** The module at a position; negative counts from the end. */
  at(index: number): M | undefined {
    return this.#modules.at(index);
  }

  /** Adds a module at the end. */
  push(module: M): this {
    checkModules(this.type, [module]);
    this.#modules.push(module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<M> {
    return this.#modules.values();
  }

  override namedChildren(): [string, AnyModule][] {
    return this.#modules.map((module, i) => [String(i), module]);
  }

  /** Refuses: a list has no order of calls. */
  forward(): never {
    return refuse(
      this.type,
      'this',
      'a ModuleList cannot be called',
      'call its modules, or use a Sequential',
    );
  }
}
