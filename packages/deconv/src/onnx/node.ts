/**
 * node: the contract between operators and the planner. An operator looks at the shapes and types of its inputs, at its
 * attributes, and at those inputs' values that it must know beforehand; it answers with the shapes and types of its
 * outputs and a function that computes them. All checking happens there, once per plan; the function only runs.
 */
import { DeconvError, refuse, show } from '../errors.js';
import { type Shape, showShape } from '../shape.js';
import type { Tensor, TypedArray } from '../tensor.js';
import { type ElementType, isFloat } from './types.js';
import type { AttributeValue, TensorRecord } from './wire.js';

/** What the passes over the graph add to a convolution. */
export interface Fused {
  /** Applied to every output before it is stored. */
  readonly activation?:
    | { readonly name: 'relu' | 'sigmoid' | 'tanh' | 'silu' | 'hardSwish' }
    | { readonly name: 'leakyRelu'; readonly slope: number }
    | { readonly name: 'clamp'; readonly min: number; readonly max: number };
  /** Applied to the input first. */
  readonly before?: { readonly name: 'relu' } | { readonly name: 'leakyRelu'; readonly slope: number };
  /** Instead of an activation: negative outputs times their channel's slope, the fourth input. */
  readonly slopes?: true;
  /** The last input is added to the outputs, before the activation. */
  readonly residual?: true;
  /** The input has more channels: those of the fifth, behind its own. */
  readonly joined?: true;
  /** Zeros around the input, in addition to the attribute `pads`: begins, then ends. */
  readonly pads?: readonly number[];
}

/** One operation of the graph. */
export interface GraphNode {
  /** The node's name, or that of its first output. */
  readonly name: string;
  readonly op: string;
  readonly operator: Operator;
  /** Names of values; '' for an optional one left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly fused?: Fused;
}

/** How a node is named in messages: `Conv node 'conv1'`. */
export function nodeLabel(op: string, name: string): string {
  return `${op} node '${name}'`;
}

/** What is known of a value while planning. */
export interface Value {
  readonly type: ElementType;
  readonly shape: Shape;
  /** Its contents, if they do not depend on data that only a run has. */
  readonly constant?: Tensor | undefined;
}

/** Computes the outputs of a node. An input that was left out is undefined. */
export type Run = (inputs: readonly Tensor[]) => readonly Tensor[];

/** Along one axis: the positions start, start + step … so many of them. */
export interface AxisSlice {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** An operator's answer. */
export interface Planned {
  readonly outputs: readonly Value[];
  /** Not needed if every output is constant. */
  readonly run?: Run | undefined;
  /** Says that the node only takes these parts of its first input, so that the planner may do several at once. */
  readonly slices?: readonly AxisSlice[] | undefined;
  /** Floating-point operations of one run, where they are worth counting. */
  readonly flops?: number | undefined;
}

/** An operator: how many inputs and outputs, which attributes, and how it is planned. */
export interface Operator {
  /** Least and most. */
  readonly inputs: readonly [number, number];
  /** Most. */
  readonly outputs: number;
  readonly attributes: readonly string[];
  plan(node: NodeContext): Planned;
}

/** Thrown when a node must know an input that is not known yet; the planner makes it known, or refuses. */
export class NeedsValue extends Error {
  readonly value: string;
  readonly label: string;

  constructor(value: string, label: string) {
    super(`${label} needs the contents of '${value}'`);
    this.value = value;
    this.label = label;
  }
}

/** Runs `body`; what it refuses gets the name of the node in front. */
export function labelled<T>(label: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof DeconvError) || error.op === label) throw error;
    const { argument, hint } = error;
    const rule = `${error.op}: ${error.rule}`;
    throw new DeconvError(
      hint === undefined ? { op: label, argument, rule } : { op: label, argument, rule, hint },
    );
  }
}

/** The contents of a tensor, read without marking it as being in the user's hands. */
export type Peek = (x: Tensor) => TypedArray;

/** One node while it is being planned. */
export class NodeContext {
  readonly node: GraphNode;
  readonly opset: number;
  readonly #values: readonly (Value | undefined)[];
  readonly #peek: Peek;

  constructor(node: GraphNode, opset: number, values: readonly (Value | undefined)[], peek: Peek) {
    this.node = node;
    this.opset = opset;
    this.#values = values;
    this.#peek = peek;
  }

  /** `Conv node 'conv1'`, for messages. */
  get label(): string {
    return nodeLabel(this.node.op, this.node.name);
  }

  /** What the passes over the graph added. */
  get fused(): Fused {
    return this.node.fused ?? {};
  }

  /** Number of inputs, those left out in between included. */
  get count(): number {
    return this.node.inputs.length;
  }

  /** Number of outputs that are wanted or stand before one that is. */
  get outputs(): number {
    return this.node.outputs.length;
  }

  /** True when an output is used. */
  wants(output: number): boolean {
    return (this.node.outputs[output] ?? '') !== '';
  }

  /** True when an optional input is given. */
  has(input: number): boolean {
    return this.#values[input] !== undefined;
  }

  value(input: number): Value {
    return this.#values[input] ?? this.refuse('inputs', `input ${input} is missing`);
  }

  shape(input: number): Shape {
    return this.value(input).shape;
  }

  type(input: number): ElementType {
    return this.value(input).type;
  }

  /** Type of a floating-point input; refuses others. */
  float(input: number): ElementType {
    const { type } = this.value(input);
    return isFloat(type)
      ? type
      : this.refuse('inputs', `input ${input} must be floating-point, it is ${type}`);
  }

  /** Refuses inputs of types that differ; left-out ones do not count. */
  sameType(...inputs: readonly number[]): ElementType {
    const type = this.type(inputs[0]);
    for (const input of inputs) {
      if (this.has(input) && this.type(input) !== type)
        this.refuse('inputs', `input ${input} is ${this.type(input)}, input ${inputs[0]} is ${type}`);
    }
    return type;
  }

  /** Refuses an input of another rank. */
  rank(input: number, least: number, most = least): Shape {
    const shape = this.shape(input);
    if (shape.length < least || shape.length > most) {
      const wanted = least === most ? `${least}` : `${least} to ${most}`;
      this.refuse('inputs', `input ${input} must have rank ${wanted}, its shape is ${showShape(shape)}`);
    }
    return shape;
  }

  /** The contents of an input if they are known now. */
  constant(input: number): Tensor | undefined {
    return this.#values[input]?.constant;
  }

  /** The contents of an input as numbers; planning starts again with them if they are not known yet. */
  known(input: number): readonly number[] {
    const { constant } = this.value(input);
    if (constant === undefined) throw new NeedsValue(this.node.inputs[input], this.label);
    return Array.from(this.#peek(constant));
  }

  /** The only number of an input; `other` if it is left out or empty. */
  knownScalar(input: number, other: number): number {
    if (!this.has(input)) return other;
    const values = this.known(input);
    if (values.length > 1) this.refuse('inputs', `input ${input} must be one number, got ${show(values)}`);
    return values[0] ?? other;
  }

  #attribute<K extends AttributeValue['kind']>(
    name: string,
    ...kinds: readonly K[]
  ): Extract<AttributeValue, { kind: K }> | undefined {
    const attribute = this.node.attributes.get(name);
    if (attribute === undefined) return undefined;
    if (!(kinds as readonly string[]).includes(attribute.kind))
      this.refuse(name, `attribute '${name}' must be of type ${kinds[0]}, it is ${attribute.kind}`);
    return attribute as Extract<AttributeValue, { kind: K }>;
  }

  hasAttribute(name: string): boolean {
    return this.node.attributes.has(name);
  }

  int(name: string, other: number): number {
    return this.#attribute(name, 'int')?.value ?? other;
  }

  /** An integer attribute that means yes or no. */
  flag(name: string, other: boolean): boolean {
    const value = this.int(name, Number(other));
    if (value !== 0 && value !== 1) this.refuse(name, `attribute '${name}' must be 0 or 1, it is ${value}`);
    return value === 1;
  }

  number(name: string, other: number): number {
    return this.#attribute(name, 'float', 'int')?.value ?? other;
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'ints')?.value;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'floats')?.value;
  }

  /** A name out of several. */
  choice<T extends string>(name: string, known: readonly T[], other: T): T {
    const value = this.#attribute(name, 'string')?.value ?? other;
    const found = known.find((one) => one === value);
    const list = known.map((one) => `'${one}'`).join(', ');
    return found ?? this.refuse(name, `attribute '${name}' must be one of ${list}, it is ${show(value)}`);
  }

  tensor(name: string): TensorRecord | undefined {
    return this.#attribute(name, 'tensor')?.value;
  }

  /** An axis of `rank` axes; negative counts from the end. `slack` 1 allows the place after the last. */
  axis(value: number, rank: number, slack = 0): number {
    if (!Number.isInteger(value) || value < -rank || value >= rank + slack)
      this.refuse('axis', `axis ${value} must lie in [${-rank}, ${rank - 1 + slack}] for rank ${rank}`);
    return value < 0 ? value + rank : value;
  }

  /** Several axes, none twice. */
  axes(values: readonly number[], rank: number): number[] {
    const axes = values.map((value) => this.axis(value, rank));
    if (new Set(axes).size < axes.length) this.refuse('axes', `axes ${show(values)} name an axis twice`);
    return axes;
  }

  /** An attribute that became an input in a later operator set: read where it is. */
  listBoth(attribute: string, input: number): readonly number[] | undefined {
    return this.ints(attribute) ?? (this.has(input) ? this.known(input) : undefined);
  }

  /** Complains about this node. */
  refuse(argument: string, rule: string, hint?: string): never {
    return refuse(this.label, argument, rule, hint);
  }
}
