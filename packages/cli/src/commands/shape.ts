/**
 * shape: the sizes that an input takes on its way through a stack of layers, the arithmetic of each, its weights and
 * multiplications, and the receptive field: how many places of the input one output sees, and how far apart neighbouring
 * outputs look.
 */

import type { Command } from 'commander';
import { type AxisField, type DialectName, flopsOf, receptiveField } from 'deconv';
import { axesOf } from '../axis-table.js';
import { arithmetic, canonicalOf } from '../explanation.js';
import {
  type Input,
  type Layer,
  type LayerOptions,
  type LayerText,
  layerFromFlags,
  layerHelp,
  outputOf,
  parseInput,
  parseLayer,
  placeLayer,
  placePool,
  shortValue,
  withLayerOptions,
} from '../layers.js';
import { type CommonOptions, grouped, hang, misuse, paintFor, print, printJson, table } from '../terminal.js';

/** Adds `deconv shape` to the program. */
export function addShape(program: Command): void {
  const command = program
    .command('shape')
    .summary('work out the sizes of one layer, or of a stack of layers')
    .description('Works out the sizes that INPUT takes on its way through the layers, one after the other.')
    .argument('<input>', 'size of the input, for example 3@227x227')
    .argument('[layers...]', 'layers, or one layer by options');
  withLayerOptions(command)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print the last size only')
    .addHelpText(
      'after',
      `${layerHelp}

Examples:
  $ deconv shape 3@227x227 conv:out=96,kernel=11,stride=4 maxPool:kernel=3,stride=2
  $ deconv shape 55x55 --kernel 11 --stride 4
  $ deconv shape 100@1x1 deconv:o=512,k=4 deconv:o=256,k=4,strides=2,padding=same --dialect keras`,
    )
    .action(shape);
}

/** One step of the way. */
interface Step {
  readonly text: string;
  readonly kind: LayerText['kind'];
  readonly channels: number | undefined;
  readonly layer: Layer;
  readonly parameters: number;
  readonly macs: number;
  /** What one output sees of the first input, per axis. */
  readonly field: readonly AxisField[];
}

function shape(
  inputText: string,
  layerTexts: readonly string[],
  options: CommonOptions & LayerOptions,
): void {
  const input = parseInput(inputText);
  const flags = layerFromFlags(options);
  if (flags !== undefined && layerTexts.length > 0)
    misuse('describe layers either as arguments or by options, not by both');
  const layers = flags !== undefined ? [flags] : layerTexts.map(parseLayer);
  if (layers.length === 0)
    misuse('no layer is given', 'for example conv:kernel=11,stride=4, or --kernel 11 --stride 4');
  const steps = walk(input, layers, options.dialect);
  const last = steps[steps.length - 1];
  if (options.json) printJson(factsOf(input, steps));
  else if (options.quiet) print(sizeText(last.channels, outputOf(last.layer), 'x', '@'));
  else print(describe(input, steps).join('\n'));
}

/** Places each layer on the output of the one before. */
function walk(input: Input, layers: readonly LayerText[], dialect: DialectName | undefined): Step[] {
  let here = input;
  const steps = layers.map((text) => {
    const pool = text.kind === 'maxPool';
    const layer = pool ? placePool(text, here) : placeLayer(text, here, dialect);
    const g = layer.geometry;
    // Channels are spoken of once somebody has named some.
    const named = here.channels !== undefined || text.values['out'] !== undefined;
    const channels = named ? (layer.op === 'conv' ? g.yChannels : g.xChannels) : undefined;
    const weights = (g.xChannels * g.yChannels * g.kernelSize.reduce((a, b) => a * b, 1)) / g.groups;
    here = { channels, size: outputOf(layer) };
    return {
      text: text.text,
      kind: text.kind,
      channels,
      layer,
      parameters: pool ? 0 : weights,
      macs: pool ? 0 : flopsOf(g) / 2,
    };
  });
  const fields = receptiveField(
    steps.map(({ kind, text, layer: { geometry: g } }) => ({
      type: kind === 'maxPool' ? 'pool' : kind,
      name: text,
      kernelSize: g.kernelSize,
      stride: g.stride,
      dilation: g.dilation,
      padding: g.padBefore.map((before, axis): [number, number] => [before, g.padAfter[axis]]),
    })),
    { rank: input.size.length },
  );
  return steps.map((step, i) => ({ ...step, field: fields.steps[i].axes }));
}

function factsOf(input: Input, steps: readonly Step[]): object {
  const last = steps[steps.length - 1];
  return {
    command: 'shape',
    input: { channels: input.channels ?? null, size: input.size },
    layers: steps.map(({ text, kind, channels, layer, parameters, macs, field }) => ({
      layer: text,
      kind,
      output: { channels: channels ?? null, size: outputOf(layer) },
      kernelSize: layer.geometry.kernelSize,
      options: canonicalOf(layer).options,
      arithmetic: arithmeticOf(layer),
      weights: parameters,
      multiplications: macs,
      receptiveField: field.map(({ size, jump, start }) => ({ size, jump, start })),
      notes: layer.notes,
    })),
    output: { channels: last.channels ?? null, size: outputOf(last.layer) },
  };
}

const arithmeticOf = (layer: Layer) =>
  axesOf(layer.geometry, layer.outputPadding).map((axis) => arithmetic(layer.op, axis).join(' '));

/** Each axis, or one for all where they are alike. */
const perAxis = (texts: readonly string[]) =>
  texts.every((text) => text === texts[0]) ? texts[0] : texts.join(' × ');

const sizeText = (channels: number | undefined, size: readonly number[], times = ' × ', at = ' @ ') =>
  `${channels === undefined ? '' : `${channels}${at}`}${size.join(times)}`;

function describe(input: Input, steps: readonly Step[]): string[] {
  const paint = paintFor(process.stdout);
  const rows = [
    ['', 'size', 'weights', 'multiplications', 'sees', 'every'].map(paint.bold),
    ['input', sizeText(input.channels, input.size), '', '', '', ''],
    ...steps.map(({ text, channels, layer, parameters, macs, field }) => [
      text,
      paint.cyan(sizeText(channels, outputOf(layer))),
      parameters === 0 ? paint.dim('–') : grouped(parameters),
      macs === 0 ? paint.dim('–') : grouped(macs),
      perAxis(field.map(({ size }) => `${size}`)),
      perAxis(
        field.map(({ jump }) =>
          jump.denominator === 1 ? `${jump.numerator}` : `${jump.numerator}/${jump.denominator}`,
        ),
      ),
    ]),
  ];
  const total = (pick: (step: Step) => number) => grouped(steps.reduce((sum, step) => sum + pick(step), 0));
  if (steps.length > 1)
    rows.push(['', '', total((s) => s.parameters), total((s) => s.macs), '', ''].map(paint.dim));
  const lines = [table(rows, 'lrrrrr'), ''];
  for (const { text, layer } of steps) {
    const each = arithmeticOf(layer);
    const alike = each.every((line) => line === each[0]);
    lines.push(paint.bold(text));
    for (const [axis, line] of (alike ? each.slice(0, 1) : each).entries()) {
      lines.push(`  ${alike ? '' : `axis ${axis}: `}${line}`);
    }
    for (const note of layer.notes) lines.push(...hang(`  ${paint.yellow('note')}  `, 8, note));
    if (layer.notes.length > 0) {
      const { stride, padding, dilation } = canonicalOf(layer).options;
      lines.push(
        paint.dim(
          `  deconv: stride ${shortValue(stride)}, padding ${shortValue(padding)}, dilation ${shortValue(dilation)}`,
        ),
      );
    }
  }
  lines.push(
    '',
    ...hang(
      '',
      0,
      'Weights without biases. sees: places of the input along an axis that one output depends on; every: how far apart neighbouring outputs look.',
    ).map(paint.dim),
  );
  return lines;
}
