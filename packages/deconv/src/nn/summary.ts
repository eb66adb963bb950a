/** summary: the table that `Module.summary` returns: layer, output shape, parameters, operations; and totals. */
import { type Shape, showShape } from '../shape.js';
import { Tensor } from '../tensor.js';

/** One call of a layer, as a module saw it. */
export interface LayerCall {
  readonly name: string;
  readonly type: string;
  readonly output: unknown;
  readonly parameters: readonly Tensor[];
  readonly flops: number;
}

/** One call of a layer, in the order in which they were made. */
export interface SummaryRow {
  /** Path of the layer, as in the names of its parameters. */
  readonly name: string;
  readonly type: string;
  /** Shape of what it returned; of the first tensor in it, where it returned several. */
  readonly outputShape: Shape;
  /** Numbers in its parameters; 0 where an earlier row has counted them. */
  readonly parameters: number;
  /** Operations of its products, two to each multiplication with its addition; other layers' are not counted. */
  readonly flops: number;
}

/** What {@link Module.summary} returns; `String(summary)` is the table as text. */
export interface Summary {
  readonly rows: readonly SummaryRow[];
  /** Shape of the module's own output. */
  readonly outputShape: Shape;
  /** Numbers in all parameters, each counted once. */
  readonly parameters: number;
  /** Those of them that are not frozen. */
  readonly trainable: number;
  readonly flops: number;
  toString(): string;
}

/** The first tensor in what a module returned: itself, or a member of an object or array. */
function shapeOf(output: unknown): Shape {
  if (output instanceof Tensor) return output.shape;
  if (output === null || typeof output !== 'object') return [];
  return Object.values(output).find((value): value is Tensor => value instanceof Tensor)?.shape ?? [];
}

const total = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

function asText(summary: Omit<Summary, 'toString'>): string {
  const { rows, outputShape, parameters, trainable, flops } = summary;
  const number = (value: number) => value.toLocaleString('en-US');
  const line = (name: string, shape: Shape, ...numbers: number[]) => [
    name,
    showShape(shape),
    ...numbers.map(number),
  ];
  const cells = [
    ['layer', 'output', 'parameters', 'flops'],
    ...rows.map((row) => line(`${row.name} ${row.type}`.trim(), row.outputShape, row.parameters, row.flops)),
    line('total', outputShape, parameters, flops),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  // Words to the left, numbers to the right.
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  '),
  );
  if (trainable !== parameters) lines.push(`${number(parameters - trainable)} of the parameters are frozen`);
  return lines.join('\n');
}

/** The table of the calls of one run. */
export function summaryOf(
  calls: readonly LayerCall[],
  parameters: readonly Tensor[],
  output: unknown,
): Summary {
  const seen = new Set<Tensor>();
  const rows = calls.map(({ name, type, output, parameters, flops }): SummaryRow => {
    const fresh = parameters.filter((tensor) => !seen.has(tensor));
    for (const tensor of fresh) seen.add(tensor);
    return {
      name,
      type,
      outputShape: shapeOf(output),
      parameters: total(fresh.map(({ size }) => size)),
      flops,
    };
  });
  const summary = {
    rows,
    outputShape: shapeOf(output),
    parameters: total(parameters.map(({ size }) => size)),
    trainable: total(parameters.filter(({ requiresGrad }) => requiresGrad).map(({ size }) => size)),
    flops: total(rows.map(({ flops }) => flops)),
  };
  return { ...summary, toString: () => asText(summary) };
}
