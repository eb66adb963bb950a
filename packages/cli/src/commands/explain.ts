/**
 * explain: one convolution or transposed convolution taken apart for a reader (explanation.ts has the words) or, with
 * --json, as facts for programs.
 */

import type { Command } from 'commander';
import { phases } from 'deconv';
import { axesOf } from '../axis-table.js';
import { arithmetic, canonicalOf, chapters, headline, inDialects, matrixOf, rowsOf } from '../explanation.js';
import {
  inputOf,
  type Layer,
  type LayerOptions,
  layerHelp,
  onlyLayer,
  outputOf,
  parseInput,
  placeLayer,
  withLayerOptions,
} from '../layers.js';
import { type CommonOptions, paintFor, print, printJson } from '../terminal.js';

/** Adds `deconv explain` to the program. */
export function addExplain(program: Command): void {
  const command = program
    .command('explain')
    .summary('take one layer apart: sizes, taps, coverage, phases, matrix')
    .description('Explains one transposed convolution (or, with --conv, a convolution), number by number.')
    .argument('<input>', 'size of the input, for example 3, 4x4 or 8@5x5')
    .argument('[layer]', 'the layer in one word, instead of options');
  withLayerOptions(command)
    .option('--json', 'print facts for programs')
    .option('-q, --quiet', 'print the result only, without explanations')
    .addHelpText(
      'after',
      `${layerHelp}

Examples:
  $ deconv explain 3 --kernel 3 --stride 2
  $ deconv explain 4x4 --conv --kernel 3
  $ deconv explain 5x5 convTranspose:kernel=3,strides=2,padding=same --dialect keras`,
    )
    .action(explain);
}

type ExplainOptions = CommonOptions & LayerOptions;

function explain(inputText: string, layerText: string | undefined, options: ExplainOptions): void {
  const input = parseInput(inputText);
  const layer = placeLayer(onlyLayer(layerText, options), input, options.dialect);
  if (options.json) printJson(factsOf(layer));
  else print((options.quiet ? [headline(layer, paintFor(process.stdout))] : chapters(layer)).join('\n'));
}

function factsOf(layer: Layer): object {
  const { op, geometry: g, notes } = layer;
  const axes = axesOf(g, layer.outputPadding);
  const matrix = matrixOf(layer);
  const fewPhases = g.stride.reduce((a, b) => a * b, 1) <= 4096;
  return {
    command: 'explain',
    op,
    input: { channels: op === 'conv' ? g.xChannels : g.yChannels, size: inputOf(layer) },
    output: { channels: op === 'conv' ? g.yChannels : g.xChannels, size: outputOf(layer) },
    kernelSize: g.kernelSize,
    options: canonicalOf(layer).options,
    arithmetic: axes.map((axis) => arithmetic(op, axis).join(' ')),
    coverage: axes.map((axis) => axis.coverage),
    phases: fewPhases
      ? phases(g).map((phase) => ({
          residue: phase.residue,
          taps: phase.axes.map((axis) => axis.taps),
          offsets: phase.axes.map((axis) => axis.offsets),
          outputs: phase.outputs,
        }))
      : null,
    // Windows × places; 0 where there is no weight, else the tap's number counted from 1.
    matrix: matrix ? rowsOf(matrix) : null,
    dialects: Object.fromEntries(
      inDialects(layer).map(({ name, said, onTwoAxes }) => [
        name,
        { ...said, ...(onTwoAxes ? { onTwoAxes } : {}) },
      ]),
    ),
    notes,
  };
}
