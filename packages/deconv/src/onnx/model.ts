/**
 * model: a loaded network: what goes in, what comes out, and running it. A plan is made for each signature of inputs
 * (shapes, and contents where planning depends on them) and set of outputs, and kept; weights are shared by all plans.
 */
import { checkOptions, nearestName, refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { cast } from '../ops/layout.js';
import { type Shape, showShape, sizeOf } from '../shape.js';
import { convert, type DType, dtypeOf, Tensor, type TypedArray } from '../tensor.js';
import type { TileOptions, TilePlan } from '../tiling/plan.js';
import { execute, type Signal } from './execute.js';
import { foldConstants, fuse } from './fuse.js';
import type { Graph, GraphValue } from './graph.js';
import { checkDims } from './initializers.js';
import type { GraphNode, Value } from './node.js';
import { makePlan, NeedsInputs, type Plan } from './plan.js';
import { makeSummary, type OnnxSummary } from './summary.js';
import { planModelTiles, runModelTiled, type TiledModel } from './tiling.js';
import { type ElementType, heldAs, isFloat, isInteger, publicDType } from './types.js';
import { copyOf, peek, tensorOf } from './values.js';
import type { Dimension } from './wire.js';

/** An input or output of a model. */
export interface OnnxValue {
  readonly name: string;
  /** Axis lengths; a name where the model leaves one open and names it, −1 where it does not. */
  readonly shape: readonly (number | string)[];
  /** Number type of the tensors that go in or come out. */
  readonly dtype: DType;
  /** The type in the file, e.g. `'float16'` or `'int64'`, where it is wider or narrower. */
  readonly elementType: ElementType;
}

/** Values with their shape, as other runtimes take them. */
export interface DataWithDims {
  readonly data: TypedArray | BigInt64Array | BigUint64Array | readonly number[];
  readonly dims: readonly number[];
}

/** What an input may be given as: a tensor; values with `dims`; or values alone where the model fixes the shape. */
export type OnnxInput = Tensor | DataWithDims | TypedArray;

/** Options of {@link OnnxModel.run}. */
export interface RunOptions {
  /** Names of the values to return, intermediate ones too. Default: the model's outputs and what is tapped. */
  readonly outputs?: readonly string[] | undefined;
  /** Aborts the run between two operations. */
  readonly signal?: Signal | undefined;
  /**
   * Cuts large pictures into tiles, where what the network makes of a pixel depends on its neighbourhood alone; the result
   * is the same, to the last bit. Pixels by which tiles advance, for all axes or one each, or `'auto'`: as large as
   * maxMemory allows. Default: no tiles, unless maxMemory is given; then `'auto'`.
   */
  readonly tile?: TileOptions['tile'];
  /** Bytes for the values of a tile's run. Default 2²⁹ (512 MiB). */
  readonly maxMemory?: TileOptions['maxMemory'];
}

/** Plans that a model keeps. */
const MOST_PLANS = 16;

const dimension = (length: Dimension): number | string => length ?? -1;

function publicValue({ name, type, shape }: GraphValue): OnnxValue {
  const known = type ?? 'float32';
  return Object.freeze({
    name,
    shape: Object.freeze((shape ?? []).map(dimension)),
    dtype: publicDType(known),
    elementType: known,
  });
}

/**
 * A network loaded by {@link loadOnnx}.
 *
 * @example
 * ```ts no-run
 * import { tensor } from 'deconv';
 * import { loadOnnx } from 'deconv/onnx';
 * const model = await loadOnnx('generator.onnx');
 * console.log(model.inputs); // [ { name: 'z', shape: [ 'N', 100, 1, 1 ], … } ]
 * const { image } = await model.run({ z: tensor(new Float32Array(100), [1, 100, 1, 1]) });
 * ```
 */
export class OnnxModel {
  /** What goes in, in the model's order. */
  readonly inputs: readonly OnnxValue[];
  /** What comes out, in the model's order. */
  readonly outputs: readonly OnnxValue[];
  /** Version of the operator set that the model is written in. */
  readonly opset: number;
  /** What the model says about itself: key to value. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #graph: Graph;
  readonly #nodes: readonly GraphNode[];
  readonly #constants: Map<string, Value>;
  /** Every value that a node makes. */
  readonly #made: ReadonlySet<string>;
  /** Inputs whose contents planning has asked for. */
  readonly #asked = new Set<string>();
  readonly #taps = new Set<string>();
  readonly #plans = new Map<string, Plan>();
  /** Nodes after fusing, by what must stay. */
  readonly #fused = new Map<string, readonly GraphNode[]>();

  /** @internal */
  constructor(graph: Graph, constants: Map<string, Value>, metadata: ReadonlyMap<string, string>) {
    this.#graph = graph;
    this.#constants = constants;
    this.#made = new Set(graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== ''));
    this.#nodes = foldConstants(graph.nodes, graph.opset, constants);
    this.inputs = Object.freeze(graph.inputs.map(publicValue));
    this.outputs = Object.freeze(graph.outputs.map(publicValue));
    this.opset = graph.opset;
    this.metadata = Object.freeze(Object.fromEntries(metadata));
  }

  /**
   * Runs the network.
   *
   * @param inputs by the model's names: tensors, `{ data, dims }`, or a typed array where the model fixes the shape
   * @param options `outputs` names the values to return, intermediate ones too; `signal` aborts; `tile` and `maxMemory`
   *   run large pictures in parts
   * @returns the outputs by name: float16 as float32, booleans as uint8, 64-bit integers as int32
   * @throws DeconvError for inputs that are missing, unknown, or of another type or shape than the model's; with tiles, for
   *   a network that needs its picture whole, naming the node
   */
  async run(
    inputs: Readonly<Record<string, OnnxInput>>,
    options: RunOptions = {},
  ): Promise<Record<string, Tensor>> {
    checkOptions('run', options, ['outputs', 'signal', 'tile', 'maxMemory']);
    options.signal?.throwIfAborted();
    const wanted = this.#wanted(options.outputs);
    const given = this.#readInputs(inputs);
    const { tile, maxMemory, signal } = options;
    try {
      if (tile !== undefined || maxMemory !== undefined) {
        const made = await runModelTiled(this.#tiled(wanted), given, { tile, maxMemory }, signal);
        return Object.fromEntries(
          made.map(({ name, type, values }) => [name, published(name, type, values)]),
        );
      }
      const plan = this.#plan(given, wanted);
      const made = await execute(plan, given, signal);
      return Object.fromEntries(
        plan.outputs.map(({ name, type }, i) => [name, published(name, type, made[i])]),
      );
    } finally {
      for (const x of given.values()) x.dispose();
    }
  }

  /**
   * Makes an intermediate value an output of every run to come.
   *
   * @param name the value's name in the file, as an output of its node
   * @returns the model itself
   * @throws DeconvError for a name that the model does not have, naming the nearest
   */
  tap(name: string): this {
    this.#checkName('tap', name);
    this.#taps.add(name);
    return this;
  }

  /** Takes a {@link tap} back. */
  untap(name: string): this {
    this.#taps.delete(name);
    return this;
  }

  /** Names of all values that can be tapped, in the order in which they are computed. */
  get values(): readonly string[] {
    return [...this.#made];
  }

  /**
   * The nodes with the shapes of what they make, their parameters and floating-point operations, after fusing.
   *
   * @param shapes shape of each input whose shape the model leaves open; an input whose *contents* decide shapes is given
   *   as for {@link run}
   */
  summary(shapes: Readonly<Record<string, Shape | OnnxInput>> = {}): OnnxSummary {
    const plan = this.#plan(this.#described('summary', shapes), this.#wanted(undefined));
    return makeSummary(plan, this.#constants);
  }

  /**
   * How a large picture is cut into tiles: what each reads, and what it gives of each output. Nothing is computed. With it a
   * picture may be read, run ({@link run}, tile by tile) and written part by part, and need never be there as a whole.
   *
   * @param shapes as for {@link summary}; of inputs that are not cut with the picture, the values
   * @param options `{ tile = 'auto', maxMemory = 2²⁹, outputs }`
   * @throws DeconvError when the picture must be cut and cannot, naming the node that needs it whole
   * @example
   * ```ts
   * import { rand } from 'deconv';
   * import { Conv2d } from 'deconv/nn';
   * import { exportOnnx, loadOnnx } from 'deconv/onnx';
   * const layer = new Conv2d(3, 3, { kernelSize: 5, padding: 2 });
   * const model = await loadOnnx(exportOnnx(layer, rand([1, 3, 8, 8]), { dynamic: 'size' }));
   * const { tiles, halo } = model.planTiles({ input: [1, 3, 100, 80] }, { tile: 50 });
   * console.log(tiles.length, halo); // 4 [ [ 2, 2 ], [ 2, 2 ] ]
   * ```
   */
  planTiles(
    shapes: Readonly<Record<string, Shape | OnnxInput>>,
    options: TileOptions & Pick<RunOptions, 'outputs'> = {},
  ): TilePlan {
    checkOptions('planTiles', options, ['tile', 'maxMemory', 'outputs']);
    const { tile, maxMemory, outputs } = options;
    const given = this.#described('planTiles', shapes);
    const model = this.#tiled(this.#wanted(outputs));
    return planModelTiles('planTiles', model, given, { tile, maxMemory }).tiles;
  }

  /** What tiling needs of the model. */
  #tiled(wanted: readonly string[]): TiledModel {
    return { inputs: this.#graph.inputs, plan: (values) => this.#plan(values, wanted) };
  }

  /** Inputs told by their shapes, or given. */
  #described(op: string, shapes: Readonly<Record<string, Shape | OnnxInput>>): Map<string, Tensor | Value> {
    const given = new Map<string, Tensor | Value>();
    for (const name of Object.keys(shapes)) this.#checkInput(op, name);
    for (const value of this.#graph.inputs) {
      const said = shapes[value.name];
      const isShape = Array.isArray(said);
      if (said !== undefined && !isShape) {
        given.set(value.name, readInput(value, said as OnnxInput));
        continue;
      }
      const shape = isShape ? (said as Shape) : value.shape;
      if (shape === undefined || !shape.every((length) => typeof length === 'number')) {
        refuse(
          op,
          value.name,
          `the model leaves the shape of '${value.name}' open: [${(shape ?? []).map(dimension).join(', ')}]`,
          `give it: ${op}({ ${JSON.stringify(value.name)}: [1, 3, 224, 224] })`,
        );
      }
      checkShapes(value, shape as Shape);
      given.set(value.name, { type: value.type as ElementType, shape: shape as Shape });
    }
    return given;
  }

  #wanted(outputs: readonly string[] | undefined): string[] {
    if (outputs === undefined)
      return [...new Set([...this.#graph.outputs.map(({ name }) => name), ...this.#taps])];
    if (!Array.isArray(outputs) || outputs.length === 0)
      refuse('run', 'outputs', `outputs must be an array of names, got ${show(outputs)}`);
    for (const name of outputs) this.#checkName('run', name);
    return [...new Set(outputs)];
  }

  #checkName(op: string, name: unknown): void {
    const outputs = this.outputs.map((value) => value.name);
    if (typeof name === 'string' && (this.#made.has(name) || outputs.includes(name))) return;
    const near = typeof name === 'string' ? nearestName(name, [...this.#made].slice(0, 5000)) : undefined;
    refuse(
      op,
      'name',
      `the model has no value ${show(name)}`,
      near === undefined ? 'model.values lists all' : `did you mean '${near}'?`,
    );
  }

  #checkInput(op: string, name: string): void {
    const names = this.inputs.map((value) => value.name);
    if (names.includes(name)) return;
    const near = nearestName(name, names);
    refuse(
      op,
      name,
      `the model has no input '${name}'`,
      near === undefined ? `its inputs are ${names.join(', ')}` : `did you mean '${near}'?`,
    );
  }

  #readInputs(inputs: Readonly<Record<string, OnnxInput>>): Map<string, Tensor> {
    if (inputs === null || typeof inputs !== 'object' || inputs instanceof Tensor) {
      const names = this.inputs.map((value) => value.name);
      refuse(
        'run',
        'inputs',
        `inputs must be an object by name, got ${show(inputs)}`,
        `the names are ${names.join(', ')}`,
      );
    }
    for (const name of Object.keys(inputs)) this.#checkInput('run', name);
    const read = new Map<string, Tensor>();
    for (const value of this.#graph.inputs) {
      if (!Object.hasOwn(inputs, value.name) || inputs[value.name] === undefined) {
        const shape = (value.shape ?? []).map(dimension).join(', ');
        refuse('run', value.name, `input '${value.name}' (${value.type} [${shape}]) is missing`);
      }
      read.set(value.name, readInput(value, inputs[value.name]));
    }
    return read;
  }

  /** The plan for these inputs, made if there is none. */
  #plan(given: ReadonlyMap<string, Tensor | Value>, wanted: readonly string[]): Plan {
    for (;;) {
      const key = this.#signature(given, wanted);
      const known = this.#plans.get(key);
      if (known !== undefined) {
        this.#plans.delete(key);
        this.#plans.set(key, known);
        return known;
      }
      try {
        const plan = makePlan(this.#program(wanted), this.#planned(given), wanted);
        this.#plans.set(key, plan);
        for (const old of this.#plans.keys()) {
          if (this.#plans.size <= MOST_PLANS) break;
          this.#plans.delete(old);
        }
        return plan;
      } catch (error) {
        if (!(error instanceof NeedsInputs)) throw error;
        for (const name of error.names) {
          if (!(given.get(name) instanceof Tensor)) {
            refuse('summary', name, `the contents of input '${name}' decide shapes: give it as to run()`);
          }
          this.#asked.add(name);
        }
      }
    }
  }

  #signature(given: ReadonlyMap<string, Tensor | Value>, wanted: readonly string[]): string {
    const parts = [...given].map(([name, value]) => {
      const contents = value instanceof Tensor && this.#asked.has(name) ? [...peek(value)] : undefined;
      return [name, value.shape, contents?.map(String)];
    });
    return JSON.stringify([parts, wanted]);
  }

  #planned(given: ReadonlyMap<string, Tensor | Value>): Map<string, Value> {
    const types = new Map(this.#graph.inputs.map(({ name, type }) => [name, type as ElementType]));
    return new Map(
      [...given].map(([name, value]): [string, Value] => {
        if (!(value instanceof Tensor)) return [name, value];
        const type = types.get(name) as ElementType;
        // The caller may dispose of what was given; a plan keeps a copy.
        const constant = this.#asked.has(name) ? copyOf(value) : undefined;
        return [name, { type, shape: value.shape, constant }];
      }),
    );
  }

  #program(wanted: readonly string[]) {
    const key = JSON.stringify(wanted);
    let nodes = this.#fused.get(key);
    if (nodes === undefined) {
      nodes = fuse(this.#nodes, this.#graph.opset, this.#constants, new Set(wanted));
      this.#fused.set(key, nodes);
    }
    return { opset: this.#graph.opset, nodes, constants: this.#constants };
  }
}

/** Refuses a shape that is not the declared one, where that is fixed. */
function checkShapes({ name, shape }: GraphValue, given: Shape): void {
  if (shape === undefined) return;
  const fits =
    shape.length === given.length &&
    shape.every((length, axis) => typeof length !== 'number' || length === given[axis]);
  if (!fits) {
    const wanted = shape.map(dimension).join(', ');
    refuse('run', name, `input '${name}' must have shape [${wanted}], got ${showShape(given)}`);
  }
}

/** The values and shape of an input, whichever way they are given. */
function readInput(value: GraphValue, given: OnnxInput): Tensor {
  const { name } = value;
  const type = value.type as ElementType;
  let x: Tensor;
  if (given instanceof Tensor) {
    x = given.detach();
    checkKind(value, given.dtype);
  } else {
    const whole = ArrayBuffer.isView(given);
    const data: unknown = whole ? given : (given as DataWithDims | null)?.data;
    const dims: unknown = whole ? value.shape : (given as DataWithDims | null)?.dims;
    if (whole && !value.shape?.every((length) => typeof length === 'number')) {
      refuse('run', name, `the model leaves the shape of '${name}' open`, `give { data, dims } or a tensor`);
    }
    if (!Array.isArray(dims))
      return refuse('run', name, `input '${name}' must be a tensor or { data, dims }, got ${show(given)}`);
    checkDims('run', dims);
    const numbers = readNumbers(value, data);
    if (numbers.length !== sizeOf(dims)) {
      refuse(
        'run',
        name,
        `input '${name}' of shape ${showShape(dims)} holds ${sizeOf(dims)} values, got ${numbers.length}`,
      );
    }
    x = tensorOf(type, dims, numbers);
  }
  checkShapes(value, x.shape);
  return x.dtype === heldAs(type) ? x : cast(x, heldAs(type));
}

/** Refuses numbers of a kind that the input does not take: pixels (uint8) are no floats, floats are no indices. */
function checkKind({ name, type }: GraphValue, dtype: DType): void {
  const float = dtype === 'float32' || dtype === 'float64';
  if (float !== isFloat(type as ElementType) && !(type === 'int64' && dtype === 'float64')) {
    const wanted = publicDType(type as ElementType);
    refuse('run', name, `input '${name}' must be ${wanted}, got ${dtype}`, `cast(x, '${wanted}')`);
  }
}

function readNumbers(value: GraphValue, data: unknown): ArrayLike<number> {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    if (!isInteger(value.type as ElementType))
      refuse('run', value.name, `input '${value.name}' must be ${value.type}, got 64-bit integers`);
    return Array.from(data as ArrayLike<bigint>, Number);
  }
  if (Array.isArray(data) && data.every((entry) => typeof entry === 'number')) return data;
  const dtype = dtypeOf(data);
  if (dtype === undefined)
    return refuse(
      'run',
      value.name,
      `input '${value.name}' must hold numbers in a typed array, got ${show(data)}`,
    );
  checkKind(value, dtype);
  return data as TypedArray;
}

/** A value as it leaves the model: 64-bit integers as int32, if they fit. */
function published(name: string, type: ElementType, x: Tensor): Tensor {
  if (publicDType(type) === x.dtype) return x;
  const values = x.data;
  const outside = values.find((value) => value < -(2 ** 31) || value >= 2 ** 31);
  if (outside !== undefined) {
    refuse('run', name, `output '${name}' is ${type} and holds ${outside}, which no int32 can`);
  }
  return fromValues(convert('int32', values), x.shape);
}
