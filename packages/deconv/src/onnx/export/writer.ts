/**
 * writer: the graph under construction: names, nodes, constants, and lengths that only a run of the file will know.
 */
import { refuse } from '../../errors.js';
import { type Shape, sizeOf } from '../../shape.js';
import { convert, type DType, type Tensor } from '../../tensor.js';
import { type Program, type Step, spoken, type Value } from './program.js';
import type { Attribute, FileNode, FileType, Initializer } from './proto.js';
import type { TraceName } from './recorder.js';

/** A length in each run. */
export type Lengths = readonly number[];

const OP = 'exportOnnx';
const constant = (lengths: Lengths) => lengths.every((n) => n === lengths[0]);

/** A graph being written. */
export class Writer {
  readonly opset: number;
  readonly program: Program;
  readonly nodes: FileNode[] = [];
  readonly initializers: Initializer[] = [];
  /** Values in the form in which ONNX makes them: truth values of comparisons, positions in a whole tensor. */
  readonly raw = new Map<Value, string>();
  /** Names of values, or how to make them when they are asked for. */
  readonly #names = new Map<Value, string | (() => string)>();
  /** Names of parameters, by storage. */
  readonly #parameters: ReadonlyMap<unknown, string>;
  readonly #taken = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #shared = new Map<string, string>();

  constructor(program: Program, opset: number, parameters: ReadonlyMap<unknown, string>) {
    this.program = program;
    this.opset = opset;
    this.#parameters = parameters;
    for (const name of parameters.values()) this.#taken.add(name);
  }

  /** A name like `wanted` that nothing has yet. */
  fresh(wanted: string): string {
    if (!this.#taken.has(wanted)) {
      this.#taken.add(wanted);
      return wanted;
    }
    for (;;) {
      const count = (this.#counts.get(wanted) ?? 0) + 1;
      this.#counts.set(wanted, count);
      const name = `${wanted}_${count}`;
      if (!this.#taken.has(name)) {
        this.#taken.add(name);
        return name;
      }
    }
  }

  /** Gives a value a name, or a way to come to one when it is needed. */
  bind(value: Value, name: string | (() => string)): void {
    this.#names.set(value, name);
  }

  /** The name of a value. */
  name(value: Value): string {
    const known = this.#names.get(value);
    if (typeof known === 'string') return known;
    const name = known?.() ?? this.#constant(value);
    this.#names.set(value, name);
    return name;
  }

  /** True for a value that is asked for by a step or an output. */
  used(value: Value): boolean {
    return this.program.uses.has(value);
  }

  /** Names of all inputs of a step. */
  inputs(step: Step): string[] {
    return step.inputs.map((value) => this.name(value));
  }

  /** The parameter's name in the state of the module; undefined for other values. */
  parameter(value: Value): string | undefined {
    return value.constants && this.#parameters.get(value.constants[0].storage);
  }

  #constant(value: Value): string {
    const { constants, shapes, dtype } = value;
    if (constants === undefined) throw new Error('exportOnnx: a value is used before it is made');
    const [tensor] = constants;
    const name = this.parameter(value);
    if (name === undefined && !constants.every((one) => one === tensor || one.size === tensor.size)) {
      // One number in a shape that follows the input.
      return this.one('Expand', [this.scalar(tensor.data[0], dtype), this.lengths(this.axes(shapes))]);
    }
    if (name !== undefined && this.initializers.some((known) => known.name === name)) {
      // The same values in another shape, as shared parameters are not.
      return this.one('Reshape', [name, this.integers(tensor.shape)]);
    }
    return this.initializer(name ?? this.fresh('constant'), tensor);
  }

  /** Values of a tensor as they are now. */
  initializer(name: string, tensor: Tensor): string {
    this.initializers.push({ name, type: tensor.dtype, shape: tensor.shape, values: tensor.data });
    return name;
  }

  /** Numbers in a shape. Equal ones are written once. */
  numbers(values: ArrayLike<number>, shape: Shape, type: FileType): string {
    const small = values.length <= 16;
    const key = `${type} ${shape.join()} ${Array.from(small ? values : [], (value) => (Object.is(value, -0) ? '-0' : value)).join()}`;
    const known = small ? this.#shared.get(key) : undefined;
    if (known !== undefined) return known;
    const name = this.fresh('constant');
    const array =
      type === 'int64'
        ? BigInt64Array.from(Array.from(values, BigInt))
        : convert(type === 'bool' ? 'uint8' : type, values);
    this.initializers.push({ name, type, shape, values: array });
    if (small) this.#shared.set(key, name);
    return name;
  }

  /** A list of integers, int64. */
  integers(values: readonly number[]): string {
    return this.numbers(values, [values.length], 'int64');
  }

  /** One number, rank 0. */
  scalar(value: number, dtype: DType): string {
    return this.numbers([value], [], dtype);
  }

  /** The same number everywhere. */
  filled(value: number, shape: Shape, dtype: DType): string {
    return this.numbers(new Array<number>(sizeOf(shape)).fill(value), shape, dtype);
  }

  /** Adds a node; gives the names of its outputs. `label` names the node and what it makes. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    { outputs = 1, label }: { readonly outputs?: number; readonly label?: string | undefined } = {},
  ): string[] {
    // Node and values have names of their own: `up1`, and `up1/output`.
    const name = this.fresh(label ?? op.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase());
    const made = Array.from({ length: outputs }, (_, i) =>
      this.fresh(i === 0 ? `${name}/output` : `${name}/output${i}`),
    );
    let last = inputs.length;
    while (last > 0 && inputs[last - 1] === '') last--;
    this.nodes.push({ name, op, inputs: inputs.slice(0, last), outputs: made, attributes });
    return made;
  }

  /** Adds a node of one output. */
  one(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    label?: string,
  ): string {
    return this.node(op, inputs, attributes, { label })[0];
  }

  /** Per axis the lengths in all runs. */
  axes(shapes: readonly Shape[]): Lengths[] {
    return shapes[0].map((_, axis) => shapes.map((shape) => shape[axis]));
  }

  /** A list of lengths as int64: written down, or taken from the shapes of `near`, the inputs and whatever is there. */
  lengths(list: readonly Lengths[], near: readonly Value[] = []): string {
    if (list.every(constant)) return this.integers(list.map(([n]) => n));
    const parts: string[] = [];
    for (let i = 0; i < list.length; i++) {
      const fixed: number[] = [];
      while (i < list.length && constant(list[i])) fixed.push(list[i++][0]);
      if (fixed.length > 0) parts.push(this.integers(fixed));
      if (i < list.length) parts.push(this.#length(list[i], near));
    }
    return parts.length === 1 ? parts[0] : this.one('Concat', parts, { axis: 0 });
  }

  /** One length that the input decides, as a list of one. */
  #length(length: Lengths, near: readonly Value[]): string {
    const named = [...this.#names].flatMap(([value, name]) => (typeof name === 'string' ? [value] : []));
    const candidates = [...near, ...this.program.inputs, ...named].filter(({ constants }) => !constants);
    const find = (fits: (n: number, run: number) => boolean) => {
      for (const value of candidates) {
        const axis = this.axes(value.shapes).findIndex((axisLengths) => axisLengths.every(fits));
        if (axis >= 0) return this.#axis(value, axis);
      }
      return undefined;
    };
    const same = find((n, run) => n === length[run]);
    if (same !== undefined) return same;
    for (let factor = 2; factor <= 64; factor++) {
      const part = find((n, run) => n * factor === length[run]);
      if (part !== undefined) return this.one('Mul', [part, this.integers([factor])]);
      const whole = find((n, run) => n > 0 && n === length[run] * factor);
      if (whole !== undefined) return this.one('Div', [whole, this.integers([factor])]);
    }
    return refuse(
      OP,
      'dynamic',
      `a length of ${[...new Set(length)].join(', ')} for inputs of different lengths does not follow from the length of an axis`,
      'leave the axis that decides it out of dynamic',
    );
  }

  #axis(value: Value, axis: number): string {
    const key = `shape ${this.name(value)} ${axis}`;
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = this.one('Shape', [this.name(value)], { start: axis, end: axis + 1 });
    this.#shared.set(key, name);
    return name;
  }

  /** What is the same in all runs; refuses what is not. */
  fixed<K extends TraceName, T>(
    step: Step<K>,
    what: string,
    pick: (attributes: Step<K>['attributes'][number]) => T,
  ): T {
    const all = step.attributes.map(pick);
    const texts = all.map((one) => JSON.stringify(one));
    const other = texts.find((text) => text !== texts[0]);
    if (other === undefined) return all[0];
    return refuse(
      OP,
      'dynamic',
      `the ${what} of ${spoken(step.name)} is ${texts[0]} for one input and ${other} for another`,
      'leave the axis that decides it out of dynamic',
    );
  }

  /** The spatial size of a value where it must not depend on the input's. */
  space(step: Step, value: Value): Shape {
    const sizes = value.shapes.map((shape) => shape.slice(2));
    const other = sizes.find((size) => size.join() !== sizes[0].join());
    if (other === undefined) return sizes[0];
    return refuse(
      OP,
      'dynamic',
      `${spoken(step.name)} is exported for one size, and it gets [${sizes[0].join(', ')}] and [${other.join(', ')}]`,
      'leave the spatial axes out of dynamic',
    );
  }
}
