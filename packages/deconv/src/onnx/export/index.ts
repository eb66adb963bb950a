/**
 * export: a module as an ONNX file. The module is run on an example and watched (recorder, program); each operation becomes
 * the nodes that say it in ONNX (operators); parameters become initializers under their names in the module's state.
 *
 * Refuses, with what to do instead: operations that ONNX has not, values that come from the input by another way than
 * operations, axes that cannot stay open.
 */
import { noGrad } from '../../autograd.js';
import { checkOptions, DeconvError, refuse, show } from '../../errors.js';
import type { AnyModule } from '../../nn/module.js';
import type { Shape } from '../../shape.js';
import { Tensor } from '../../tensor.js';
import { type DynamicOption, probeInput, probesOf, readDynamic } from './dynamic.js';
import { emitters } from './operators/index.js';
import { type Program, programOf, type Step, spoken, type Value } from './program.js';
import { type FileNode, type FileValue, type Initializer, writeModel } from './proto.js';
import { type Run, recordRun } from './recorder.js';
import { Writer } from './writer.js';

export type { DynamicAxes, DynamicOption } from './dynamic.js';

const OP = 'exportOnnx';

/** Version of the file format that came with an operator set. */
const IR_VERSIONS: Readonly<Record<number, number>> = { 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10 };

/** Options of {@link exportOnnx}. */
export interface ExportOnnxOptions {
  /** Names of the inputs. Default `'input'`; of several `'input0'`, `'input1'` … */
  readonly inputNames?: readonly string[] | undefined;
  /** Names of the outputs. Default `'output'`; of several those of the object that forward() returns, or `'output0'` … */
  readonly outputNames?: readonly string[] | undefined;
  /**
   * Axes of the inputs that may have any length: `'batch'`, the first of each; `'size'`, the spatial ones too; or a name for
   * each, as in `{ input: { 0: 'batch', 2: 'height', 3: 'width' } }`. Default: none, the file is for inputs of the example's
   * shape.
   */
  readonly dynamic?: DynamicOption | undefined;
  /**
   * Open axes other than the batch will only ever be multiples of this: what the module would do to other lengths is left
   * out. Default 1.
   */
  readonly multiple?: number | undefined;
  /** Version of the operator set, 17 to 22. Default 17. */
  readonly opset?: number | undefined;
  /** Name of the graph. Default: the name of the module's class. */
  readonly name?: string | undefined;
  /** Texts that the file is to carry. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

const OPTIONS = ['inputNames', 'outputNames', 'dynamic', 'multiple', 'opset', 'name', 'metadata'] as const;

function readNames(
  argument: string,
  given: readonly string[] | undefined,
  usual: readonly string[],
): readonly string[] {
  if (given === undefined) return usual;
  const well = Array.isArray(given) && given.every((name) => typeof name === 'string' && name !== '');
  if (!well || given.length !== usual.length || new Set(given).size !== given.length) {
    refuse(OP, argument, `${argument} must be ${usual.length} different names, got ${show(given)}`);
  }
  return given;
}

const numbered = (word: string, count: number) =>
  count === 1 ? [word] : Array.from({ length: count }, (_, i) => `${word}${i}`);

function readInputs(given: Tensor | readonly Tensor[]): readonly Tensor[] {
  const inputs: readonly unknown[] = Array.isArray(given) ? given : [given];
  for (const [i, input] of inputs.entries()) {
    if (!(input instanceof Tensor))
      refuse(
        OP,
        'exampleInput',
        `exampleInput must be a tensor, or one per input, got ${show(input)} as number ${i}`,
      );
  }
  return inputs as readonly Tensor[];
}

/** The tensors that forward() returned, by name. */
function namedOutputs(output: unknown): [string, Tensor][] {
  if (output instanceof Tensor) return [['output', output]];
  const entries = Object.entries(output !== null && typeof output === 'object' ? output : {});
  const tensors = entries.filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  if (tensors.length === 0 || tensors.length !== entries.length)
    refuse(
      OP,
      'module',
      `forward() must return a tensor, or tensors by name or in an array, got ${show(output)}`,
    );
  return Array.isArray(output) ? tensors.map(([i, tensor]) => [`output${i}`, tensor]) : tensors;
}

/** Told by what it can do: who only runs files need not load the layers. */
const isModule = (module: Partial<AnyModule> | undefined | null): boolean =>
  typeof module?.forward === 'function' && typeof module.namedParameters === 'function';

/** Runs a module in evaluation mode, watched; its mode is afterwards what it was. */
class Subject {
  readonly #module: AnyModule;
  /** Names of what forward() returned last. */
  names: readonly string[] = [];

  constructor(module: AnyModule) {
    this.#module = module;
  }

  run(inputs: readonly Tensor[]): Run {
    const modes = this.#module.modules().map((module) => [module, module.training] as const);
    for (const [module] of modes) module.training = false;
    try {
      return recordRun(inputs, () =>
        noGrad(() => {
          const outputs = namedOutputs(Reflect.apply(this.#module.forward, this.#module, inputs));
          this.names = outputs.map(([name]) => name);
          return outputs.map(([, tensor]) => tensor);
        }),
      );
    } finally {
      for (const [module, training] of modes) module.training = training;
    }
  }
}

/** The runs that show what depends on what, and the shapes of their inputs. */
function observe(
  subject: Subject,
  examples: readonly Tensor[],
  open: readonly ReadonlyMap<number, string>[],
  multiple: number,
): { runs: Run[]; shapes: (readonly Shape[])[] } {
  const probes = probesOf(
    examples.map(({ shape }) => shape),
    open,
    multiple,
  );
  const shapes = [...probes.runs];
  const runOn = (all: readonly Shape[], run: number) =>
    subject.run(all.map((shape, i) => probeInput(examples[i], shape, run)));
  const runs = shapes.map(runOn);
  if (probes.extra !== undefined) {
    try {
      runs.push(runOn(probes.extra, runs.length));
      shapes.push(probes.extra);
    } catch (error) {
      // Not every network takes odd lengths.
      if (!(error instanceof DeconvError)) throw error;
    }
  }
  return { runs, shapes };
}

function emit(w: Writer, step: Step): void {
  const write = emitters[step.name] as ((w: Writer, step: Step) => void) | undefined;
  if (write === undefined) {
    refuse(
      OP,
      'module',
      `forward() uses an operation that cannot be exported: ${spoken(step.name)}`,
      'leave it out of the exported module, and do it before or after running the file',
    );
  }
  write(w, step);
}

/** Gives the outputs their names: the nodes that make them are renamed; what has a name of its own already is passed on. */
function nameOutputs(w: Writer, program: Program, names: readonly string[]): FileNode[] {
  const renamed = new Map<string, string>();
  const made = new Set(w.nodes.flatMap((node) => node.outputs));
  const passed: FileNode[] = [];
  for (const [i, value] of program.outputs.entries()) {
    const name = w.name(value);
    for (const node of w.nodes) for (const output of node.outputs) made.add(output);
    if (made.has(name) && !renamed.has(name)) renamed.set(name, names[i]);
    else
      passed.push({
        name: w.fresh('identity'),
        op: 'Identity',
        inputs: [renamed.get(name) ?? name],
        outputs: [names[i]],
        attributes: {},
      });
  }
  const now = (name: string) => renamed.get(name) ?? name;
  const nodes = w.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(now),
    outputs: node.outputs.map(now),
  }));
  return [...nodes, ...passed];
}

/** Parameters and buffers as they stand in the state, other constants behind them. */
function inOrder(initializers: readonly Initializer[], state: readonly string[]): Initializer[] {
  const places = new Map(state.map((name, i) => [name, i]));
  const place = ({ name }: Initializer) => places.get(name) ?? state.length;
  return [...initializers].sort((a, b) => place(a) - place(b));
}

/** A declared value: open axes by their names, what follows from them otherwise by names of their own. */
function declared(value: Value, name: string, open: ReadonlyMap<string, readonly number[]>): FileValue {
  const shape = value.shapes[0].map((n, axis) => {
    const lengths = value.shapes.map((one) => one[axis]);
    if (lengths.every((length) => length === n)) return n;
    const known = [...open].find(([, list]) => list.every((length, run) => length === lengths[run]));
    return known?.[0] ?? `${name}_axis${axis}`;
  });
  return { name, type: value.dtype, shape };
}

/**
 * A module as an ONNX file: what `forward` computes in evaluation mode, as one node per operation, with the parameters as
 * initializers under their names in the state. The module is run a few times on inputs like the example.
 *
 * @param module any module: of layers, and of operations between them
 * @param exampleInput an input of the shape that the file is for, or several where `forward` takes several
 * @param options inputNames, outputNames, dynamic, multiple (1), opset (17), name, metadata
 * @returns the bytes of the file
 * @throws DeconvError that names an operation that cannot be exported, a value that does not come from operations, an axis
 *   that cannot stay open
 * @example
 * ```ts
 * import { ones } from 'deconv';
 * import { ConvTranspose2d, ReLU, Sequential } from 'deconv/nn';
 * import { exportOnnx, loadOnnx } from 'deconv/onnx';
 * const net = new Sequential(new ConvTranspose2d(4, 2, { kernelSize: 4, stride: 2, padding: 1 }), new ReLU());
 * const file = exportOnnx(net, ones([1, 4, 8, 8]), { dynamic: 'batch' });
 * const model = await loadOnnx(file);
 * console.log(model.outputs[0].shape); // [ 'batch', 2, 16, 16 ]
 * const { output } = await model.run({ input: ones([3, 4, 8, 8]) });
 * console.log(output.shape); // [ 3, 2, 16, 16 ]
 * ```
 */
export function exportOnnx(
  module: AnyModule,
  exampleInput: Tensor | readonly Tensor[],
  options: ExportOnnxOptions = {},
): Uint8Array {
  if (!isModule(module)) refuse(OP, 'module', `module must be a module, got ${show(module)}`);
  checkOptions(OP, options, OPTIONS);
  const { opset = 17, metadata = {}, multiple = 1 } = options;
  if (IR_VERSIONS[opset] === undefined) refuse(OP, 'opset', `opset must be 17 to 22, got ${show(opset)}`);
  if (!(Number.isInteger(multiple) && multiple >= 1))
    refuse(OP, 'multiple', `multiple must be an integer ≥ 1, got ${show(multiple)}`);
  const examples = readInputs(exampleInput);
  const inputNames = readNames('inputNames', options.inputNames, numbered('input', examples.length));
  const open = readDynamic(
    options.dynamic,
    inputNames,
    examples.map(({ shape }) => shape),
  );

  const subject = new Subject(module);
  const { runs, shapes } = observe(subject, examples, open, multiple);
  const program = programOf(
    runs,
    examples.map(({ dtype }, i) => ({ dtype, shapes: shapes.map((all) => all[i]) })),
  );
  const outputNames = readNames('outputNames', options.outputNames, subject.names);

  const names = Object.keys(module.stateDict());
  const tensors = new Map([...module.namedParameters(), ...module.namedBuffers()]);

  const clash = [...inputNames, ...outputNames].find((name) => tensors.has(name));
  if (clash !== undefined)
    refuse(
      OP,
      'inputNames',
      `'${clash}' is the name of a parameter`,
      'give other inputNames and outputNames',
    );
  const w = new Writer(
    program,
    opset,
    new Map(Array.from(tensors, ([name, { storage }]) => [storage, name] as const).reverse()),
  );
  for (const name of [...inputNames, ...outputNames]) w.fresh(name);
  for (const [i, input] of program.inputs.entries()) w.bind(input, inputNames[i]);
  for (const step of program.steps) emit(w, step);
  const nodes = nameOutputs(w, program, outputNames);

  const lengths = new Map(
    open.flatMap((axes, i) =>
      [...axes].map(([axis, name]) => [name, shapes.map((all) => all[i][axis])] as const),
    ),
  );
  return writeModel({
    irVersion: IR_VERSIONS[opset],
    opset,
    producer: 'deconv',
    name: options.name ?? module.type,
    inputs: program.inputs.map((input, i) => declared(input, inputNames[i], lengths)),
    outputs: program.outputs.map((output, i) => declared(output, outputNames[i], lengths)),
    nodes,
    initializers: inOrder(w.initializers, names),
    metadata,
  });
}
