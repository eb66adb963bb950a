/**
 * inspect: what is in a model file: inputs, outputs, and every node with the shape it makes, its parameters, its operations
 * and how much of the input it sees; or the tensors of a file of weights.
 */
import type { Command } from 'commander';
import { columns } from '../models/columns.js';
import { sightText } from '../models/fields.js';
import {
  describeFile,
  inBytes,
  type NetworkFile,
  openModel,
  openShape,
  short,
  type WeightsFile,
} from '../models/open.js';
import { type NetworkTable, type NodeRow, networkTable, readShapeOption } from '../models/tables.js';
import { type CommonOptions, grouped, hang, paintFor, plural, print, printJson, table } from '../terminal.js';

interface InspectOptions extends CommonOptions {
  readonly shape?: Readonly<Record<string, readonly number[]>>;
}

/** Adds `deconv inspect` to the program. */
export function addInspect(program: Command): void {
  program
    .command('inspect')
    .summary('show what is in a model file')
    .description(
      'Shows the nodes of a network with shapes, parameters, floating-point operations and receptive fields, or the tensors of a file of weights.',
    )
    .argument('<model>', 'an .onnx or .safetensors file; - reads stdin')
    .option(
      '--shape <shape>',
      'shape of an input: 1x3x224x224, or NAME=1x3x224x224, once for each',
      readShapeOption,
    )
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print the totals only')
    .addHelpText(
      'after',
      `
Axes that the file leaves open are taken as one picture of 64 × 64, unless --shape
says otherwise. flops: two to each multiplication with its addition, of
convolutions and matrix products. sees: pixels of the input along an axis that
one output depends on.

Examples:
  $ deconv inspect generator.onnx
  $ deconv inspect unet.onnx --shape 1x3x256x256
  $ deconv inspect weights.safetensors --json`,
    )
    .action(inspect);
}

async function inspect(path: string, options: InspectOptions): Promise<void> {
  const file = await openModel(path);
  if (file.kind === 'weights') return inspectWeights(file, options);
  const facts = await networkTable(file, options.shape ?? {});
  if (options.json) printJson(factsOf(file, facts));
  else if (options.quiet) print(totals(facts));
  else print(describe(file, facts).join('\n'));
}

const showShape = (shape: readonly number[]) => shape.join('×') || '1';

function totals({ rows, parameters, flops }: NetworkTable): string {
  const operations = flops === undefined ? '' : `, ${short(flops)}flop`.replace(/(\d)flop/, '$1 flop');
  return `${plural(rows.length, 'node')}, ${short(parameters)} parameters${operations}`.replace('  ', ' ');
}

function describe(file: NetworkFile, facts: NetworkTable): string[] {
  const paint = paintFor(process.stdout);
  const { contents, path, model } = file;
  const declared = (list: typeof contents.inputs, word: string) =>
    list.map(({ name, shape, elementType }) => [paint.bold(word), name, elementType, openShape(shape)]);
  const lines = [
    `${path}: ${describeFile(file)}`,
    '',
    table([...declared(contents.inputs, 'input'), ...declared(contents.outputs, 'output')], 'llll'),
    '',
  ];
  const rows = facts.rows.map(({ node, op, shapes, parameters, flops, sees }: NodeRow) => [
    node,
    op,
    paint.cyan(shapes.map(showShape).join(' ')),
    parameters === 0 ? '' : short(parameters),
    flops === undefined || flops === 0 ? '' : short(flops),
    sightText(sees),
  ]);
  const head = ['node', 'operator', 'makes', 'parameters', 'flops', 'sees'].map(paint.bold);
  lines.push(columns([head, ...rows], 'lllrrr'), '', totals(facts));
  if (model !== undefined) {
    const said = Object.entries(model.options).map(([name, value]) => `${name} ${value}`);
    lines.push(...hang('', 0, `made with ${said.join(', ')}`));
  }
  if (facts.problem !== undefined)
    lines.push(...hang(`${paint.yellow('note')}  `, 6, `no shapes: ${facts.problem}`));
  else if (facts.assumed.length > 0)
    lines.push(
      ...hang(`${paint.yellow('note')}  `, 6, `${facts.assumed.join(', ')}; --shape says otherwise`),
    );
  return lines;
}

const factsOf = ({ path, contents, bytes, model }: NetworkFile, facts: NetworkTable): object => ({
  command: 'inspect',
  model: path,
  format: model === undefined ? 'onnx' : 'safetensors',
  bytes,
  opset: contents.opset,
  producer: contents.producer,
  metadata: contents.metadata,
  inputs: contents.inputs,
  outputs: contents.outputs,
  task: model?.task ?? null,
  options: model?.options ?? null,
  shapes: facts.inputs,
  nodes: facts.rows.map(({ sees, flops, ...row }) => ({
    ...row,
    flops: flops ?? null,
    receptiveField:
      sees === undefined || sees === 'all'
        ? (sees ?? null)
        : sees.axes.map(({ size, jump }) => ({ size, jump })),
  })),
  parameters: facts.parameters,
  flops: facts.flops ?? null,
  problem: facts.problem ?? null,
});

function inspectWeights({ path, bytes, tensors, metadata }: WeightsFile, options: InspectOptions): void {
  const entries = Object.entries(tensors);
  const numbers = entries.reduce((sum, [, { size }]) => sum + size, 0);
  const total = `${plural(entries.length, 'tensor')}, ${grouped(numbers)} numbers`;
  if (options.json) {
    const list = entries.map(([name, { shape, dtype, size }]) => ({ name, shape, dtype, size }));
    printJson({
      command: 'inspect',
      model: path,
      format: 'safetensors',
      bytes,
      metadata,
      tensors: list,
      numbers,
    });
    return;
  }
  if (options.quiet) {
    print(total);
    return;
  }
  const paint = paintFor(process.stdout);
  const rows = entries.map(([name, { shape, dtype, size, data }]) => {
    const floats = dtype === 'float32' || dtype === 'float64';
    const deviation = floats && size > 1 ? rootMeanSquare(data).toPrecision(3) : '';
    return [name, dtype, paint.cyan(showShape(shape)), grouped(size), deviation];
  });
  const head = ['tensor', 'type', 'shape', 'numbers', 'rms'].map(paint.bold);
  const texts = Object.entries(metadata).map(([key, text]) =>
    hang(
      `${paint.bold(key)}  `,
      [...key].length + 2,
      text.length > 200 ? `${text.slice(0, 199)}…` : text,
    ).join('\n'),
  );
  print(
    [
      `${path}: safetensors, weights without a network, ${inBytes(bytes)}`,
      '',
      columns([head, ...rows], 'lllrr'),
      '',
      total,
      ...texts,
    ].join('\n'),
  );
}

function rootMeanSquare(data: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] * data[i];
  return Math.sqrt(sum / data.length);
}
