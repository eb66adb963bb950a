/**
 * module: what layers and networks have in common: parameters and buffers by name, the modules they are made of, the
 * mode they are in, and their state as PyTorch's `state_dict` has it (same names, shapes and layouts).
 *
 * A network is a class with its layers as properties and a `forward`. Children are found by looking at the properties:
 * a module, or an array with modules in it, which is named as a `ModuleList` would be. Tensors are not found but
 * registered, with `this.parameter(name, values)` and `this.buffer(name, values)`; a tensor in a property that collects
 * gradients and was not registered would silently not be trained, and is refused.
 *
 * A parameter may be *pending*: a layer whose input channels were left open makes it at its first call. Until then it
 * can be loaded, but not listed: an optimiser made from half a list would never move the rest.
 */
import { collectGradients, noGrad } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { zeros } from '../ops/create.js';
import { cast } from '../ops/layout.js';
import { checkShape, type Shape } from '../shape.js';
import { type DType, Tensor, unscoped } from '../tensor.js';
import { type LayerCall, type Summary, summaryOf } from './summary.js';

/** Axis lengths, undefined where the first call will tell. */
export type OpenShape = readonly (number | undefined)[];

interface Slot {
  readonly kind: 'parameter' | 'buffer';
  readonly shape: OpenShape;
  readonly dtype: DType;
  tensor: Tensor | undefined;
  frozen: boolean;
}

/** A module of any kind, as lists of modules hold it. */
export type AnyModule = Module<unknown, never>;

/** What {@link Module.loadStateDict} found. */
export interface StateReport {
  /** Names that the module has and the state has not. */
  readonly missing: readonly string[];
  /** Names that the state has and the module has not. */
  readonly unexpected: readonly string[];
  /** Names that both have, in different shapes; undefined stands for a length that is still open. */
  readonly misshaped: readonly { readonly name: string; readonly expected: OpenShape; readonly got: Shape }[];
}

const showOpen = (shape: OpenShape) => `[${shape.map((length) => length ?? '?').join(', ')}]`;
const fits = (shape: Shape, open: OpenShape) =>
  shape.length === open.length &&
  open.every((length, axis) => length === undefined || length === shape[axis]);

/** Part of a refusal: how many names there are, and all of them. */
const listed = (names: readonly string[], what: string) =>
  names.length === 0 ? [] : [`${names.length} ${what}: ${names.join(', ')}`];

/** The modules that a property leads to: itself, or those in an array of any depth. */
function modulesIn(name: string, value: unknown): [string, AnyModule][] {
  if (value instanceof Module) return [[name, value]];
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown, i) => modulesIn(`${name}.${i}`, entry));
}

/**
 * The base of every layer and network. `Output` is what `forward` returns, `Inputs` what it takes; unless told, tensors.
 *
 * @example
 * ```ts
 * import { add, relu, type Tensor, zeros } from 'deconv';
 * import { Conv2d, Module } from 'deconv/nn';
 * class Residual extends Module {
 *   conv1 = new Conv2d(4, 4, { kernelSize: 3, padding: 1 });
 *   conv2 = new Conv2d(4, 4, { kernelSize: 3, padding: 1, bias: false });
 *   forward(x: Tensor): Tensor {
 *     return add(x, this.conv2.forward(relu(this.conv1.forward(x))));
 *   }
 * }
 * const block = new Residual();
 * console.log(block.forward(zeros([1, 4, 8, 8])).shape); // [ 1, 4, 8, 8 ]
 * console.log(Object.keys(block.stateDict())); // [ 'conv1.weight', 'conv1.bias', 'conv2.weight' ]
 * ```
 */
export abstract class Module<Output = Tensor, Inputs extends readonly unknown[] = Tensor[]> {
  /** True in training: dropout drops, batch normalisation goes by the batch. Set by {@link train} and {@link eval}. */
  training = true;
  readonly #slots = new Map<string, Slot>();

  /** The computation. */
  abstract forward(...inputs: Inputs): Output;

  /** What kind of module this is, in messages and summaries: the name of its class. */
  get type(): string {
    return this.constructor.name;
  }

  /**
   * Registers a parameter and returns it: a leaf that collects gradients. `values` itself if it is one already.
   *
   * @param name its name in the state, without dots
   */
  protected parameter(name: string, values: Tensor): Tensor {
    this.pending(name, values.shape, values.dtype);
    return this.fill(name, values);
  }

  /** Registers a tensor that belongs to the state but is not trained, and returns it: a leaf, changed by `assign`. */
  protected buffer(name: string, values: Tensor): Tensor {
    const tensor = unscoped(() => values.detach());
    this.#register(name, { kind: 'buffer', shape: tensor.shape, dtype: tensor.dtype, tensor, frozen: true });
    return tensor;
  }

  /** Registers a parameter that {@link fill} will make once the open axes of its shape are known. */
  protected pending(name: string, shape: OpenShape, dtype: DType): void {
    this.#register(name, { kind: 'parameter', shape, dtype, tensor: undefined, frozen: false });
  }

  /** Gives a pending parameter its values. */
  protected fill(name: string, values: Tensor): Tensor {
    const slot = this.#slot(name);
    // Parameters outlive the call in which they are made.
    const tensor = unscoped(() =>
      values.isLeaf && values.requiresGrad ? values : collectGradients(values.detach()),
    );
    tensor.requiresGrad = !slot.frozen;
    slot.tensor = tensor;
    return tensor;
  }

  /** Makes those of the named parameters that are still pending, in the order given; what was loaded stays. */
  protected fillPending(makers: Readonly<Record<string, () => Tensor>>): void {
    for (const [name, make] of Object.entries(makers)) {
      const slot = this.#slots.get(name);
      if (slot === undefined || slot.tensor !== undefined) continue;
      const values = make();
      if (this.fill(name, values) !== values) values.letGo();
    }
  }

  /** True while a parameter of this module itself is pending. */
  protected get hasPending(): boolean {
    return Array.from(this.#slots.values()).some((slot) => slot.tensor === undefined);
  }

  /** The registered tensor; undefined while it is pending. */
  protected registered(name: string): Tensor | undefined {
    return this.#slot(name).tensor;
  }

  /** The registered tensor; refuses while it is pending. */
  protected made(name: string): Tensor {
    return this.registered(name) ?? this.#refusePending(name);
  }

  /** Floating-point operations of one call, counted for {@link summary}. Default 0: not counted. */
  protected flops(_inputs: readonly Tensor[], _output: Tensor): number {
    return 0;
  }

  /**
   * What a rehearsed call ({@link summary}, {@link build}) must not change, beside what is registered: called before it,
   * returns what puts it back. For modules that remember something from call to call.
   */
  protected preserve(): () => void {
    return () => undefined;
  }

  /** The modules this one is made of, by name, in order. Those in private (#) fields cannot be seen. */
  namedChildren(): [string, AnyModule][] {
    return Object.entries(this).flatMap(([name, value]) => modulesIn(name, value));
  }

  /** The modules this one is made of. */
  children(): AnyModule[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module (named `''`) and all below it, each once, by the path that leads to it first. */
  namedModules(): [string, AnyModule][] {
    const found = new Map<AnyModule, string>();
    const visit = (path: string, module: AnyModule) => {
      if (found.has(module)) return;
      found.set(module, path);
      for (const [name, child] of module.namedChildren())
        visit(path === '' ? name : `${path}.${name}`, child);
    };
    visit('', this);
    return Array.from(found, ([module, path]) => [path, module]);
  }

  /** This module and all below it, each once. */
  modules(): AnyModule[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** Parameters of this module and all below it, each once, by name. Refuses while one is pending. */
  namedParameters(): [string, Tensor][] {
    return this.#unique('parameter');
  }

  /** Parameters of this module and all below it: what an optimiser takes. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Buffers (running statistics and the like) of this module and all below it, each once, by name. */
  namedBuffers(): [string, Tensor][] {
    return this.#unique('buffer');
  }

  /** Parameters and buffers by name, as they are now: later changes of the module do not show in the result. */
  stateDict(): Record<string, Tensor> {
    const state: Record<string, Tensor> = Object.create(null);
    for (const [name, slot, owner] of this.#entries('')) {
      state[name] = (slot.tensor ?? owner.#refusePending(name)).detach();
    }
    return state;
  }

  /**
   * Takes over the values of a state, such as a safetensors file saved from PyTorch holds. Other number types are cast.
   * Where something does not fit nothing is changed.
   *
   * @param state tensors by name
   * @param options `{ strict = true }`; with false what fits is loaded and the rest only reported
   * @returns what was missing, unexpected, or of another shape
   * @throws DeconvError that lists all that does not fit, when strict
   * @example
   * ```ts
   * import { tensor } from 'deconv';
   * import { Linear } from 'deconv/nn';
   * const layer = new Linear(2, 1);
   * layer.loadStateDict({ weight: tensor([[1, 2]]), bias: tensor([3]) });
   * console.log(layer.forward(tensor([[10, 20]])).item()); // 53
   * ```
   */
  loadStateDict(
    state: Readonly<Record<string, Tensor>>,
    options: { readonly strict?: boolean | undefined } = {},
  ): StateReport {
    const op = 'loadStateDict';
    checkOptions(op, options, ['strict']);
    const { strict = true } = options;
    if (typeof strict !== 'boolean')
      refuse(op, 'strict', `strict must be true or false, got ${show(strict)}`);
    if (state === null || typeof state !== 'object' || Array.isArray(state) || state instanceof Tensor)
      refuse(op, 'state', `state must be tensors by name, got ${show(state)}`);
    for (const [name, value] of Object.entries(state)) {
      if (!(value instanceof Tensor))
        refuse(op, 'state', `state[${show(name)}] must be a tensor, got ${show(value)}`);
    }
    const entries = this.#entries('');
    const known = new Set(entries.map(([name]) => name));
    const given = entries.filter(([name]) => Object.hasOwn(state, name));
    const fitting = given.filter(([name, slot]) => fits(state[name].shape, slot.tensor?.shape ?? slot.shape));
    const report: StateReport = {
      missing: entries.map(([name]) => name).filter((name) => !Object.hasOwn(state, name)),
      unexpected: Object.keys(state).filter((name) => !known.has(name)),
      misshaped: given
        .filter((entry) => !fitting.includes(entry))
        .map(([name, slot]) => ({
          name,
          expected: slot.tensor?.shape ?? slot.shape,
          got: state[name].shape,
        })),
    };
    if (strict) refuseMisfits(op, this.type, report, known);
    for (const [name, slot, owner] of fitting) {
      const source = state[name].detach();
      const values = cast(source, slot.dtype);
      if (slot.tensor === undefined) owner.fill(name.slice(name.lastIndexOf('.') + 1), values);
      else slot.tensor.assign(values);
      for (const passing of [source, values]) passing.letGo();
    }
    return report;
  }

  /** Sets the mode of this module and all below it. */
  train(on = true): this {
    if (typeof on !== 'boolean') refuse('train', 'on', `on must be true or false, got ${show(on)}`);
    for (const module of this.modules()) module.training = on;
    return this;
  }

  /** Leaves training: nothing is dropped, batch normalisation goes by its running statistics. */
  eval(): this {
    return this.train(false);
  }

  /** Stops collecting gradients in all parameters. Gradients still flow through to what lies before. */
  freeze(): this {
    return this.#setFrozen(true);
  }

  /** Collects gradients in all parameters again. */
  unfreeze(): this {
    return this.#setFrozen(false);
  }

  /**
   * What each layer makes of an input: a table, as data and (by `String(…)`) as text. Runs the module once on zeros, in
   * evaluation mode and without recording; afterwards everything is as before, pending parameters too.
   *
   * @param inputShape shape of the input with its batch axis; one shape per input where `forward` takes several
   * @example
   * ```ts
   * import { Conv2d, ReLU, Sequential } from 'deconv/nn';
   * const net = new Sequential(new Conv2d(1, 2, { kernelSize: 3 }), new ReLU());
   * const { rows, parameters } = net.summary([1, 1, 8, 8]);
   * console.log(parameters, rows[0].outputShape); // 20 [ 1, 2, 6, 6 ]
   * ```
   */
  summary(inputShape: Shape | readonly Shape[]): Summary {
    return this.#rehearse('summary', inputShape, false);
  }

  /**
   * Makes the pending parameters of all layers, as the first call would, so that an optimiser can be given them.
   *
   * @param inputShape as for {@link summary}
   */
  build(inputShape: Shape | readonly Shape[]): this {
    this.#rehearse('build', inputShape, true);
    return this;
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new Error(`${this.type}: nothing is registered as '${name}'`);
    return slot;
  }

  #register(name: string, slot: Slot): void {
    if (typeof name !== 'string' || name === '' || name.includes('.'))
      refuse(this.type, 'name', `the name of a tensor must be a string without dots, got ${show(name)}`);
    if (this.#slots.has(name)) refuse(this.type, 'name', `'${name}' is registered already`);
    this.#slots.set(name, slot);
  }

  #refusePending(name: string): never {
    return refuse(
      this.type,
      name,
      `${name} is not made yet: its shape ${showOpen(this.#slot(name.slice(name.lastIndexOf('.') + 1)).shape)} is open until the first call`,
      'call build(inputShape) or load a state first',
    );
  }

  #setFrozen(frozen: boolean): this {
    for (const [, slot] of this.#entries('')) {
      if (slot.kind === 'buffer') continue;
      slot.frozen = frozen;
      if (slot.tensor !== undefined) slot.tensor.requiresGrad = !frozen;
    }
    return this;
  }

  /** Every registered tensor here and below: its full name, its slot, its owner. A shared one comes more than once. */
  #entries(prefix: string): [string, Slot, AnyModule][] {
    for (const [name, value] of Object.entries(this)) {
      if (!(value instanceof Tensor && value.isLeaf && value.requiresGrad)) continue;
      if (Array.from(this.#slots.values()).some((slot) => slot.tensor === value)) continue;
      refuse(
        this.type,
        name,
        `property '${name}' collects gradients but is not registered`,
        `${name} = this.parameter('${name}', values)`,
      );
    }
    const own = Array.from(this.#slots, ([name, slot]): [string, Slot, AnyModule] => [
      prefix + name,
      slot,
      this,
    ]);
    return [...own, ...this.namedChildren().flatMap(([name, child]) => child.#entries(`${prefix}${name}.`))];
  }

  #unique(kind: Slot['kind']): [string, Tensor][] {
    const found = new Map<Tensor, string>();
    for (const [name, slot, owner] of this.#entries('')) {
      if (slot.kind !== kind) continue;
      const tensor = slot.tensor ?? owner.#refusePending(name);
      if (!found.has(tensor)) found.set(tensor, name);
    }
    return Array.from(found, ([tensor, name]) => [name, tensor]);
  }

  /** One call on zeros, watched; what it changed is put back, except made parameters where they are to be kept. */
  #rehearse(op: string, inputShape: Shape | readonly Shape[], keep: boolean): Summary {
    const given: readonly unknown[] = Array.isArray(inputShape)
      ? inputShape
      : refuse(op, 'inputShape', `inputShape must be an array of axis lengths, got ${show(inputShape)}`);
    const shapes = given.length > 0 && given.every(Array.isArray) ? given : [given];
    const slots = this.#entries('').map(([, slot]) => slot);
    const dtype = slots.find(({ kind }) => kind === 'parameter')?.dtype ?? 'float32';
    const inputs = shapes.map((shape) => zeros(checkShape(op, 'inputShape', shape), { dtype }));
    const pending = slots.filter(({ tensor }) => tensor === undefined);
    const calls: LayerCall[] = [];
    const restore = this.namedModules().map(([path, module]) => module.#watch(path, calls));
    try {
      const output = noGrad(() => Reflect.apply(this.forward, this, inputs));
      const counted = new Map(
        this.#entries('').flatMap(([, { kind, tensor }]) =>
          kind === 'parameter' && tensor !== undefined ? [[tensor, tensor] as const] : [],
        ),
      );
      return summaryOf(calls, [...counted.keys()], output);
    } finally {
      for (const undo of restore) undo();
      if (!keep) for (const slot of pending) slot.tensor = undefined;
    }
  }

  /** Notes every call of `forward`, in evaluation mode, until the returned function puts things back. */
  #watch(path: string, calls: LayerCall[]): () => void {
    const { training } = this;
    const putBack = this.preserve();
    const own = Object.getOwnPropertyDescriptor(this, 'forward');
    const forward: (...inputs: Inputs) => Output = this.forward;
    const watched = (...inputs: Inputs): Output => {
      const output = Reflect.apply(forward, this, inputs);
      const tensors = inputs.filter((input): input is Inputs[number] & Tensor => input instanceof Tensor);
      const parameters = Array.from(this.#slots.values()).flatMap(({ kind, tensor }) =>
        kind === 'parameter' && tensor !== undefined ? [tensor] : [],
      );
      if (parameters.length > 0 || this.children().length === 0) {
        const flops = output instanceof Tensor ? this.flops(tensors, output) : 0;
        calls.push({ name: path, type: this.type, output, parameters, flops });
      }
      return output;
    };
    Object.defineProperty(this, 'forward', { value: watched, configurable: true, enumerable: false });
    this.training = false;
    return () => {
      putBack();
      this.training = training;
      if (own === undefined) Reflect.deleteProperty(this, 'forward');
      else Object.defineProperty(this, 'forward', own);
    };
  }
}

function refuseMisfits(op: string, type: string, report: StateReport, known: ReadonlySet<string>): void {
  const { missing, unexpected, misshaped } = report;
  const found = [
    ...listed(missing, 'missing'),
    ...listed(unexpected, 'unexpected'),
    ...listed(
      misshaped.map(
        ({ name, expected, got }) => `${name} must be ${showOpen(expected)}, got ${showOpen(got)}`,
      ),
      'of another shape',
    ),
  ];
  if (found.length === 0) return;
  // Wrappers put their own name before all others, as in `module.0.weight`.
  const prefix = unexpected[0]?.split('.')[0];
  const wrapped =
    unexpected.length > 0 &&
    unexpected.every((name) => name.startsWith(`${prefix}.`) && known.has(name.slice(prefix.length + 1)));
  refuse(
    op,
    'state',
    `the state does not fit this ${type}: ${found.join('; ')}`,
    wrapped ? `take '${prefix}.' off the names` : '{ strict: false } loads what fits',
  );
}

/** A module of this library: its type is a fixed word, the name that its refusals go by. */
export abstract class Layer<Output = Tensor, Inputs extends readonly unknown[] = Tensor[]> extends Module<
  Output,
  Inputs
> {
  readonly #type: string;

  /** @internal */
  protected constructor(type: string) {
    super();
    this.#type = type;
  }

  override get type(): string {
    return this.#type;
  }
}
