/** summary: what a plan will do, as a table: each node, the shapes it makes, its parameters, its floating-point operations. */
import { showShape, sizeOf } from '../shape.js';
import type { Value } from './node.js';
import type { Plan } from './plan.js';
import { isFloat } from './types.js';

/** One node of a summary. */
export interface OnnxSummaryRow {
  readonly name: string;
  readonly op: string;
  /** Names of what it makes. */
  readonly outputs: readonly string[];
  /** Shapes of what it makes. */
  readonly shapes: readonly (readonly number[])[];
  /** Numbers in the floating-point constants that it uses. */
  readonly parameters: number;
  /** Floating-point operations, of convolutions and matrix products. */
  readonly flops: number;
}

/** What {@link OnnxModel.summary} returns; printed, it is a table. */
export interface OnnxSummary {
  readonly nodes: readonly OnnxSummaryRow[];
  /** Numbers in all floating-point constants, each counted once. */
  readonly parameters: number;
  readonly flops: number;
  toString(): string;
}

/** 1234567 as `1.23 M`. */
function short(n: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit + 1 < units.length) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)}${units[unit]}`;
}

export function makeSummary(plan: Plan, constants: ReadonlyMap<string, Value>): OnnxSummary {
  const counted = new Set<string>();
  let total = 0;
  const nodes = plan.rows.map(({ node, outputs, flops }): OnnxSummaryRow => {
    let parameters = 0;
    for (const name of new Set(node.inputs)) {
      const value = constants.get(name);
      if (value === undefined || !isFloat(value.type)) continue;
      parameters += sizeOf(value.shape);
      if (!counted.has(name)) total += sizeOf(value.shape);
      counted.add(name);
    }
    const { name, op } = node;
    return { name, op, outputs: node.outputs, shapes: outputs.map(({ shape }) => shape), parameters, flops };
  });
  const flops = nodes.reduce((sum, row) => sum + row.flops, 0);
  const rows = nodes.map((row) => [
    row.name,
    row.op,
    row.shapes.map(showShape).join(' '),
    row.parameters === 0 ? '' : short(row.parameters),
    row.flops === 0 ? '' : short(row.flops),
  ]);
  const table = [['node', 'operator', 'output', 'parameters', 'flops'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  const count = short(flops);
  const unit = /[kMGT]$/.test(count) ? 'flop' : ' flop';
  const text = [...lines, `${nodes.length} nodes, ${short(total)} parameters, ${count}${unit}`].join('\n');
  return Object.freeze({ nodes, parameters: total, flops, toString: () => text });
}
