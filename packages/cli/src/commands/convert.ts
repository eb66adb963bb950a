/**
 * convert: models from one kind of file to the other: the weights of an ONNX network as safetensors; a model that deconv
 * train has written as an ONNX network; weights from a safetensors file into an ONNX network that has them by these names.
 */
import { extname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Tensor } from 'deconv';
import { writeSafetensors } from 'deconv/io';
import { type OnnxContents, replaceOnnxWeights } from 'deconv/onnx';
import { checkTarget, readBytes, STANDARD, writeBytes } from '../files.js';
import { blaming, exported, inBytes, type ModelFile, openModel } from '../models/open.js';
import { weightNames } from '../models/tables.js';
import {
  type CommonOptions,
  exitCodes,
  Failure,
  grouped,
  misuse,
  plural,
  print,
  printJson,
} from '../terminal.js';

interface ConvertOptions extends CommonOptions {
  readonly into?: string;
  readonly opset?: number;
}

function readOpset(text: string): number {
  const opset = Number(text);
  if (!(Number.isInteger(opset) && opset >= 17 && opset <= 22))
    throw new InvalidArgumentError('It must be a number from 17 to 22.');
  return opset;
}

/** Adds `deconv convert` to the program. */
export function addConvert(program: Command): void {
  program
    .command('convert')
    .summary('turn ONNX into safetensors, and safetensors into ONNX')
    .description(
      'Writes the weights of an ONNX network as safetensors, a model of deconv train as an ONNX network, or the weights of a safetensors file into an ONNX network.',
    )
    .argument('<model>', 'an .onnx or .safetensors file; - reads stdin')
    .argument('<target>', 'the file to write: .onnx or .safetensors; - is stdout')
    .option('--into <onnx>', 'the network that the weights of MODEL go into, by their names')
    .option('--opset <n>', 'operator set of the ONNX file, 17 to 22 (default: 17)', readOpset)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText(
      'after',
      `
Weights keep their names, shapes and layouts. A safetensors file of weights alone
says nothing of the network that they belong to: with --into, they take the place
of those of the same name in one that does.

Examples:
  $ deconv convert generator.onnx generator.safetensors
  $ deconv convert up.safetensors up.onnx
  $ deconv convert tuned.safetensors tuned.onnx --into generator.onnx`,
    )
    .action(convert);
}

/** What was written, in words and numbers. */
interface Written {
  readonly bytes: Uint8Array;
  readonly format: 'onnx' | 'safetensors';
  readonly tensors: number;
  readonly notes: readonly string[];
}

async function convert(path: string, target: string, options: ConvertOptions): Promise<void> {
  const ending = extname(target).toLowerCase();
  if (target !== STANDARD && ending !== '.onnx' && ending !== '.safetensors')
    misuse(`${target} must end in .onnx or .safetensors: the name says what is wanted`);
  await checkTarget(target, path);
  const file = await openModel(path);
  const written = await blaming(path, () => write(file, ending, options));
  await writeBytes(target, written.bytes);
  const { bytes, format, tensors, notes } = written;
  if (options.json) {
    // Where the file itself goes to stdout, facts would spoil it.
    if (target !== STANDARD)
      printJson({ command: 'convert', model: path, target, format, bytes: bytes.length, tensors, notes });
  } else if (!options.quiet && target !== STANDARD) {
    print(`${target}: ${format}, ${plural(tensors, 'tensor')}, ${inBytes(bytes.length)}`);
    for (const note of notes) print(`  ${note}`);
  }
}

async function write(file: ModelFile, ending: string, options: ConvertOptions): Promise<Written> {
  if (options.into !== undefined) {
    if (ending === '.safetensors') misuse('--into makes an ONNX file: give a name that ends in .onnx');
    if (options.opset !== undefined) misuse('--into keeps the operator set of the network');
    return putInto(options.into, weightsOf(file));
  }
  if (file.kind === 'weights') {
    throw new Failure(
      `${file.path} holds weights without a network`,
      exitCodes.failed,
      'give the network they belong to: --into network.onnx',
    );
  }
  if (file.model === undefined) {
    if (ending === '.onnx')
      misuse(`${file.path} is an ONNX file already`, 'its weights go to a .safetensors file');
    if (options.opset !== undefined) misuse('--opset is for ONNX files');
    return toSafetensors(file.contents);
  }
  if (ending === '.safetensors') misuse(`${file.path} is a safetensors file already`);
  const { multiple } = file.model;
  return {
    bytes: exported(file.model, options.opset),
    format: 'onnx',
    tensors: Object.keys(file.model.stateDict()).length,
    notes: [
      `takes pictures (N, 3, H, W) with values in 0 … 1, ${multiple > 1 ? `H and W multiples of ${multiple}` : 'of any size'}`,
      file.model.task === 'segment'
        ? 'gives a score for each class'
        : 'gives pictures; cut values below 0 and above 1',
    ],
  };
}

/** Floating-point weights by name, in the order of the file. */
function floatsOf(contents: OnnxContents): Record<string, Tensor> {
  const weights = new Set(weightNames(contents).flat());
  return Object.fromEntries(Object.entries(contents.initializers).filter(([name]) => weights.has(name)));
}

function weightsOf(file: ModelFile): Readonly<Record<string, Tensor>> {
  if (file.kind === 'weights') return file.tensors;
  return file.model === undefined ? floatsOf(file.contents) : file.model.stateDict();
}

function toSafetensors(contents: OnnxContents): Written {
  const weights = floatsOf(contents);
  const count = Object.keys(weights).length;
  if (count === 0) throw new Failure('the network has no floating-point weights');
  const others = Object.keys(contents.initializers).length - count;
  const unnamed = Object.keys(weights).filter((name) => /^(onnx::|\d+$|constant(_\d+)?$)/.test(name)).length;
  const narrow = Object.keys(weights).filter((name) => contents.elementTypes[name].includes('16')).length;
  return {
    bytes: writeSafetensors(weights),
    format: 'safetensors',
    tensors: count,
    notes: [
      ...(others > 0 ? [`${plural(others, 'constant')} left out that no layer has learned`] : []),
      ...(narrow > 0 ? [`${plural(narrow, 'tensor')} of 16 bits written as float32`] : []),
      ...(unnamed > 0
        ? [`${plural(unnamed, 'tensor')} without a name of its own: the exporter has folded layers together`]
        : []),
    ],
  };
}

async function putInto(network: string, weights: Readonly<Record<string, Tensor>>): Promise<Written> {
  const bytes = await readBytes(network);
  const file = await openModel(network);
  if (file.kind !== 'network' || file.model !== undefined) misuse(`${network} is no ONNX file`);
  const { initializers } = file.contents;
  const fitting = Object.entries(weights).filter(([name]) => Object.hasOwn(initializers, name));
  if (fitting.length === 0) {
    throw new Failure(
      `no weight of the file is one of ${network}`,
      exitCodes.failed,
      `its names are like ${Object.keys(floatsOf(file.contents)).slice(0, 3).join(', ')}`,
    );
  }
  const [left, kept] = [
    Object.keys(weights).length - fitting.length,
    Object.keys(floatsOf(file.contents)).length - fitting.length,
  ];
  return {
    bytes: await blaming(network, () => replaceOnnxWeights(bytes, Object.fromEntries(fitting))),
    format: 'onnx',
    tensors: fitting.length,
    notes: [
      ...(left > 0 ? [`${grouped(left)} of the weights have no place in ${network}`] : []),
      ...(kept > 0 ? [`${grouped(kept)} of its weights stay as they were`] : []),
    ],
  };
}
