/// <reference lib="esnext.disposable" preserve="true" />
/**
 * tensor: values, their shape and their number type, and nothing that computes. A tensor does not know which backend
 * holds its values (a {@link Storage} does), nor how its gradient is found (a {@link GradNode} does, and the engine
 * that walks the nodes is put in from above by autograd).
 *
 * Values are shared, never copied, so a storage counts who holds it: tensors, and nodes for their backward pass. The last
 * holder to let go gives the memory back at once. A holder that is merely forgotten stays counted; then the garbage
 * collector does it.
 */
import { refuse, show } from './errors.js';
import { checkShape, range, type Shape, sameShape, showShape, sizeOf } from './shape.js';

/** Number types. Gradients flow through the two floating-point ones; the others hold indices and pixels. */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8';

/** The arrays values come in and go out by. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
} as const;

/** Names of all number types. */
export const DTYPES = /* @__PURE__ */ Object.keys(constructors) as readonly DType[];

/** A new array of zeros of the number type. */
export function allocate(dtype: DType, length: number): TypedArray {
  return new constructors[dtype](length);
}

/** A new array with `values` rounded to the number type. */
export function convert(dtype: DType, values: ArrayLike<number>): TypedArray {
  return new constructors[dtype](values);
}

/** Number type of an array; undefined for anything that is no {@link TypedArray}. */
export function dtypeOf(array: unknown): DType | undefined {
  return DTYPES.find((dtype) => array instanceof constructors[dtype]);
}

/**
 * Values that are made whenever they are wanted, the same each time: of those that are only read to be packed, as a network's weights
 * are, no array stays.
 */
export interface Recipe {
  readonly dtype: DType;
  readonly length: number;
  /** Where the bytes of the values lie as they are, little-endian, if they do. */
  readonly bytes?: Uint8Array | undefined;
  make(): TypedArray;
}

/** Where the values of a tensor live. Made by a backend; never changed once a tensor has it. */
export interface Storage {
  readonly dtype: DType;
  readonly length: number;
  /** The values, at once; throws where the backend can only be waited for. The array is never recycled. */
  host(): TypedArray;
  /** The values where they are, to be read at once and not kept. Absent where {@link host} gives these without further ado. */
  peek?(): TypedArray;
  /** The values, on any backend. */
  read(): Promise<TypedArray>;
  /** Tensors and nodes that hold the values, 0 at first; counted by {@link hold} and {@link letGo}. */
  holders: number;
  /** True where there are no values, in a run that only shows what would be computed. */
  readonly dry?: boolean;
  /** Gives the memory back at once; nobody will ask for the values again. Absent where the garbage collector does it. */
  release?(): void;
}

/** Holders of a storage that was released: so far below zero that no count comes back from there. */
const RELEASED = -(2 ** 30);

/** Counts one holder more. */
export function hold(storage: Storage): void {
  storage.holders++;
}

/** Counts one holder less; the last one gives the memory back. */
export function letGo(storage: Storage): void {
  if (--storage.holders !== 0) return;
  storage.holders = RELEASED;
  storage.release?.();
}

/** Tensors made in the innermost {@link scoped}. */
let made: Set<Tensor> | undefined;

function withMade<T>(set: Set<Tensor> | undefined, body: () => T): T {
  const outer = made;
  made = set;
  try {
    return body();
  } finally {
    made = outer;
  }
}

/**
 * Runs an operation that is made of others: what they make on the way to its result lets go of its values at the end. The
 * tape holds what it needs by itself. Not for code that keeps tensors elsewhere.
 */
export function scoped<T>(body: () => T): T {
  const mine = new Set<Tensor>();
  try {
    const result = withMade(mine, body);
    for (const x of result instanceof Tensor ? [result] : Object.values(result ?? {})) {
      if (x instanceof Tensor && mine.delete(x)) made?.add(x);
    }
    return result;
  } finally {
    for (const x of mine) x.letGo();
  }
}

/** Runs `body` outside of any {@link scoped}: what it makes will be kept. */
export function unscoped<T>(body: () => T): T {
  return withMade(undefined, body);
}

/** Values in an ordinary typed array. */
export class HostStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  holders = 0;
  readonly #array: TypedArray;

  constructor(array: TypedArray) {
    this.dtype = dtypeOf(array) as DType;
    this.length = array.length;
    this.#array = array;
  }

  host(): TypedArray {
    return this.#array;
  }

  async read(): Promise<TypedArray> {
    return this.#array;
  }
}

/**
 * One step of the tape: how the gradient of an output becomes the gradients of the inputs. A leaf has no inputs and
 * collects what arrives in `grad`.
 */
export interface GradNode {
  readonly name: string;
  /** The nodes of the inputs; null where an input needs no gradient. */
  inputs: readonly (GradNode | null)[];
  /** Vector–Jacobian product: gradient of the output → gradients of the inputs. Null for leaves and after release. */
  vjp: ((gradOutput: Tensor) => readonly (Tensor | null)[]) | null;
  /** What the vjp reads, held until the node has been walked. */
  kept: readonly Storage[];
  readonly leaf: boolean;
  grad: Tensor | null;
  /** Whether `grad` has been in the user's hands, who then may still have it. */
  shown: boolean;
}

/** A new node: a leaf, unless it is told how gradients go on. */
export function nodeOf(
  name: string,
  inputs: GradNode['inputs'] = [],
  kept: GradNode['kept'] = [],
  vjp: GradNode['vjp'] = null,
): GradNode {
  return { name, inputs, vjp, kept, leaf: vjp === null, grad: null, shown: false };
}

/** Options of {@link Tensor.backward}. */
export interface BackwardOptions {
  /** Record the backward pass itself, so that the gradients can be differentiated again. Default false. */
  readonly createGraph?: boolean | undefined;
  /** Keep the tape for another backward pass. Default: as createGraph. */
  readonly retainGraph?: boolean | undefined;
}

/** {@link Tensor.backward} of a tensor. */
type Backward = (root: Tensor, gradOutput?: Tensor, options?: BackwardOptions) => void;

let walkBack: Backward = () => {
  throw new Error('deconv: autograd is not loaded');
};

/** Called once by autograd: the tensor class cannot import what is built on it. */
export function installBackward(backward: Backward): void {
  walkBack = backward;
}

/** Puts a gradient into a leaf. The one before goes at once, unless the user has seen it. */
export function collect(leaf: GradNode, value: Tensor | null, shown = false): void {
  const { grad: before } = leaf;
  if (before !== value && !leaf.shown) before?.letGo();
  leaf.grad = value;
  leaf.shown = shown;
}

/** Number type and shape of a tensor, as they are written in messages. */
export const showKind = (x: Tensor): string => `${x.dtype} ${showShape(x.shape)}`;

/** Whether both tensors have the same number type and shape. */
export const alike = (a: Tensor, b: Tensor): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);

/** Nested arrays of numbers, as deep as the rank. */
export type NestedNumbers = number | readonly NestedNumbers[];

// Engines without explicit resource management still get dispose() by its own name.
const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');

/**
 * An n-dimensional array of numbers. Made by {@link tensor}, by the other makers (`zeros`, `randn` …) and by every
 * operation; never by `new`.
 *
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * const x = tensor([[1, 2], [3, 4]]);
 * console.log(x.shape, x.dtype); // [ 2, 2 ] float32
 * console.log(x.data); // Float32Array(4) [ 1, 2, 3, 4 ]
 * ```
 */
export class Tensor {
  /** Axis lengths, outermost first. */
  readonly shape: Shape;
  /** Number type. */
  readonly dtype: DType;
  #storage: Storage | undefined;
  #node: GradNode | null;
  #holds: boolean;

  /** @internal A tensor that does not hold its values can be used as long as somebody else does. */
  constructor(storage: Storage, shape: Shape, node: GradNode | null = null, holds = true) {
    this.shape = Object.isFrozen(shape) ? shape : Object.freeze([...shape]);
    this.dtype = storage.dtype;
    this.#storage = storage;
    this.#node = node;
    this.#holds = holds;
    if (!holds) return;
    hold(storage);
    made?.add(this);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** @internal The storage; refuses after {@link dispose}. */
  get storage(): Storage {
    const storage = this.#storage;
    if (storage !== undefined && storage.holders >= 0) return storage;
    return refuse(
      'tensor',
      'this',
      `this tensor ${showShape(this.shape)} was disposed`,
      storage && 'by what made it; keep x.detach() of what passes through',
    );
  }

  /** @internal */
  get node(): GradNode | null {
    return this.#node;
  }

  /**
   * The values, row-major, as a typed array. On a CPU backend this is immediate; on others use {@link read}. The array
   * stays yours: it is never recycled.
   */
  get data(): TypedArray {
    return this.storage.host();
  }

  /** The values, on any backend. */
  read(): Promise<TypedArray> {
    return this.storage.read();
  }

  /** The only value of a one-element tensor. */
  item(): number {
    if (this.size !== 1)
      refuse('item', 'this', `item() needs a tensor of one element, this one has ${this.size}`);
    return this.data[0];
  }

  /** The values as nested arrays; a plain number for rank 0. */
  toArray(): NestedNumbers {
    const { data, shape } = this;
    const level = (axis: number, start: number): NestedNumbers => {
      if (axis === shape.length) return data[start];
      const step = sizeOf(shape.slice(axis + 1));
      return range(shape[axis]).map((i) => level(axis + 1, start + i * step));
    };
    return level(0, 0);
  }

  /** True when gradients flow to or through this tensor. */
  get requiresGrad(): boolean {
    return this.#node !== null;
  }

  /** Starts or stops collecting gradients in this tensor. Only for tensors that no operation made. */
  set requiresGrad(wanted: boolean) {
    if (wanted === this.requiresGrad) return;
    if (!this.isLeaf) {
      refuse(
        'requiresGrad',
        'requiresGrad',
        'requiresGrad can only be set on a leaf, no result; use detach()',
      );
    }
    if (wanted && this.dtype !== 'float32' && this.dtype !== 'float64') {
      refuse(
        'requiresGrad',
        'dtype',
        `only float32 and float64 tensors have gradients, this one is ${this.dtype}`,
      );
    }
    this.#node = wanted ? nodeOf('leaf') : null;
  }

  /** True for a tensor that no recorded operation made. */
  get isLeaf(): boolean {
    return this.#node?.leaf ?? true;
  }

  /** The gradient collected by {@link backward}; null before, and on results. Assign null to forget it. */
  get grad(): Tensor | null {
    const node = this.#node;
    if (node?.grad) node.shown = true;
    return node?.grad ?? null;
  }

  set grad(value: Tensor | null) {
    const node = this.#node;
    if (!node?.leaf) {
      if (value === null) return;
      refuse('grad', 'grad', 'grad can only be set on a leaf with requiresGrad');
    }
    if (value !== null && !(value instanceof Tensor && alike(value, this))) {
      const got = value instanceof Tensor ? showKind(value) : show(value);
      refuse('grad', 'grad', `grad must be null or ${showKind(this)}, got ${got}`);
    }
    collect(node, value, true);
  }

  /**
   * Differentiates this tensor with respect to every leaf it was computed from, *adding* to their `grad`.
   *
   * @param gradOutput gradient of the final scalar with respect to this tensor, same shape; may be left out for a
   *   one-element tensor, where it is 1
   * @example
   * ```ts
   * import { mul, sum, tensor } from 'deconv';
   * const x = tensor([1, 2, 3], { requiresGrad: true });
   * sum(mul(x, x)).backward();
   * console.log(x.grad?.data); // Float32Array(3) [ 2, 4, 6 ]
   * ```
   */
  backward(gradOutput?: Tensor, options?: BackwardOptions): void {
    walkBack(this, gradOutput, options);
  }

  /** The same values, cut off from the tape. */
  detach(): Tensor {
    return new Tensor(this.storage, this.shape);
  }

  /**
   * @internal A second handle on the same values and the same node, which does not hold them. Operations read through
   * such handles, also in their backward pass, so that a later {@link assign} or {@link dispose} cannot change a
   * gradient under way; the node holds the values.
   */
  snapshot(): Tensor {
    return new Tensor(this.storage, this.shape, this.#node, false);
  }

  /** @internal A second handle on the same values and the same node, and one more holder. */
  share(): Tensor {
    return new Tensor(this.storage, this.shape, this.#node);
  }

  /**
   * @internal Says that nobody but the tape needs these values through this handle any more. Unlike a disposed tensor it
   * can still be read as long as others hold them.
   */
  letGo(): void {
    if (this.#holds && this.#storage) letGo(this.#storage);
    this.#holds = false;
  }

  /**
   * Replaces the values of a leaf, as an optimiser does. Results computed before keep the values that they were
   * computed from, in their backward pass too.
   */
  assign(values: Tensor): void {
    if (!this.isLeaf) refuse('assign', 'this', 'only a leaf can be assigned to');
    if (!(values instanceof Tensor))
      refuse('assign', 'values', `values must be a tensor, got ${show(values)}`);
    if (!alike(values, this))
      refuse('assign', 'values', `values must be ${showKind(this)}, got ${showKind(values)}`);
    const [before, after] = [this.storage, values.storage];
    hold(after);
    this.#storage = after;
    if (this.#holds) letGo(before);
    this.#holds = true;
  }

  /**
   * Gives the values up now instead of when the garbage collector comes: their memory is free as soon as no other tensor
   * shares them and no backward pass needs them. Using the tensor afterwards is an error; disposing of it again is none.
   */
  dispose(): void {
    this.letGo();
    this.#storage = undefined;
    this.#node = null;
  }

  [disposeSymbol](): void {
    this.dispose();
  }

  /** A readable form: number type, shape, and the values as rows (long axes shortened). */
  toString(): string {
    if (!(this.#storage && this.#storage.holders >= 0)) return `Tensor(${showShape(this.shape)}, disposed)`;
    const most = this.size <= 128 ? Number.POSITIVE_INFINITY : 6;
    const digits = (value: number) => String(Number.isInteger(value) ? value : Number(value.toPrecision(5)));
    const cells = Array.from(this.data.subarray(0, 4096), digits);
    const width = Math.max(0, ...cells.map((cell) => cell.length));
    const level = (axis: number, start: number, indent: string): string => {
      if (axis === this.rank) return digits(this.data[start]).padStart(width);
      const step = sizeOf(this.shape.slice(axis + 1));
      const length = this.shape[axis];
      const inner = axis === this.rank - 1 ? ', ' : `,\n${indent} `;
      const parts: string[] = [];
      for (let i = 0; i < length; i++) {
        if (length > most && i === 3) {
          parts.push('…');
          i = length - 3;
        }
        parts.push(level(axis + 1, start + i * step, `${indent} `));
      }
      return `[${parts.join(inner)}]`;
    };
    const grad = this.requiresGrad ? ', requiresGrad' : '';
    return `Tensor(${this.dtype} ${showShape(this.shape)}${grad})${this.size === 0 ? '' : `\n${level(0, 0, '')}`}`;
  }

  /** What `console.log(x)` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** A tensor around values just made; the array is taken over, not copied. */
export function hostTensor(array: TypedArray, shape: Shape): Tensor {
  return new Tensor(new HostStorage(array), checkShape('tensor', 'shape', [...shape]));
}
