/**
 * tables: the nodes of a network with the shapes of what they make, their parameters and operations, and what they see of
 * the input. Shapes come from planning the network for one size of its inputs; where that cannot be done, they are left out
 * and the reason is told.
 */
import { DeconvError } from 'deconv';
import { loadOnnx, type OnnxContents, type OnnxDeclaration } from 'deconv/onnx';
import { misuse } from '../terminal.js';
import { type Shapes, type Sight, sightsOf } from './fields.js';
import type { NetworkFile } from './open.js';

/** One node. */
export interface NodeRow {
  readonly node: string;
  readonly op: string;
  /** Shapes of its outputs; empty where they are not known. */
  readonly shapes: readonly (readonly number[])[];
  readonly parameters: number;
  readonly flops: number | undefined;
  readonly sees: Sight;
}

/** A network as a table. */
export interface NetworkTable {
  /** Shapes of the inputs that the table is for. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Axes that were open, and what they were taken for. */
  readonly assumed: readonly string[];
  readonly rows: readonly NodeRow[];
  readonly parameters: number;
  readonly flops: number | undefined;
  /** Why there are no shapes. */
  readonly problem: string | undefined;
}

/** Lengths that open axes are taken for: one picture of this size. */
const USUAL = 64;

/** `input=1x3x224x224` → name and shape. */
export function readShapeOption(text: string, so: Record<string, number[]> = {}): Record<string, number[]> {
  const at = text.lastIndexOf('=');
  const lengths = text.slice(at + 1);
  if (!/^\d+(x\d+)*$/.test(lengths)) misuse(`--shape ${text} must be like 1x3x224x224, or input=1x3x224x224`);
  const shape = lengths.split('x').map(Number);
  return { ...so, [at < 0 ? '' : text.slice(0, at)]: shape };
}

/** The shape of each input: as told, as declared, or else one picture of the usual size. */
function shapesFor(
  inputs: readonly OnnxDeclaration[],
  told: Readonly<Record<string, readonly number[]>>,
): { shapes: Record<string, readonly number[]>; assumed: string[] } {
  const names = inputs.map(({ name }) => name);
  const unknown = Object.keys(told).find((name) => name !== '' && !names.includes(name));
  if (unknown !== undefined)
    misuse(`the network has no input '${unknown}'`, `its inputs are ${names.join(', ')}`);
  if (told[''] !== undefined && names.length > 1)
    misuse('say for which input the shape is', `--shape ${names[0]}=…; the inputs are ${names.join(', ')}`);
  const assumed: string[] = [];
  const shapes = Object.fromEntries(
    inputs.map(({ name, shape = [] }) => {
      const given = told[name] ?? told[''];
      if (given !== undefined) return [name, given];
      const lengths = shape.map((n, axis) => {
        if (typeof n === 'number' && n >= 0) return n;
        const length = axis === 0 ? 1 : USUAL;
        assumed.push(`${typeof n === 'string' ? n : `axis ${axis}`} of ${name} as ${length}`);
        return length;
      });
      return [name, lengths];
    }),
  );
  return { shapes, assumed: [...new Set(assumed)] };
}

/** Operators whose constants are settings, and those that settings are computed with: single numbers. */
const SET = new Set(['Resize', 'Upsample', 'Clip', 'Pad', 'Expand']);
const COMPUTED = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Greater', 'Less', 'Where']);

/** Names of the floating-point weights that each node uses and that no node before it has. */
export function weightNames({ nodes, initializers, elementTypes }: OnnxContents): string[][] {
  const seen = new Set<string>();
  return nodes.map(({ inputs, op }) => {
    const names = inputs.filter((name) => {
      if (seen.has(name) || SET.has(op) || !/float/.test(elementTypes[name] ?? '')) return false;
      return !(COMPUTED.has(op) && initializers[name].size === 1);
    });
    for (const name of names) seen.add(name);
    return [...new Set(names)];
  });
}

/** What is known of a network, as a table. */
export async function networkTable(
  { contents, source }: NetworkFile,
  told: Readonly<Record<string, readonly number[]>>,
): Promise<NetworkTable> {
  const { shapes, assumed } = shapesFor(contents.inputs, told);
  const known = new Map<string, readonly number[]>(Object.entries(shapes));
  const flops = new Map<string, number>();
  let problem: string | undefined;
  try {
    const model = await loadOnnx(source);
    // A value that is asked for is not fused away: every node keeps a row of its own.
    for (const name of model.values) model.tap(name);
    for (const row of model.summary(shapes).nodes) {
      flops.set(row.outputs[0], row.flops);
      for (const [i, output] of row.outputs.entries()) known.set(output, row.shapes[i]);
    }
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    problem = error.hint === undefined ? error.rule : `${error.rule} (${error.hint})`;
  }
  const sights = sightsOf(contents, known as Shapes);
  const counts = weightNames(contents).map((names) =>
    names.reduce((sum, name) => sum + contents.initializers[name].size, 0),
  );
  const rows = contents.nodes.map((node, i): NodeRow => {
    const named = node.outputs.filter((output) => output !== '');
    const made = named.flatMap((output) => {
      const shape = known.get(output);
      return shape === undefined ? [] : [shape];
    });
    return {
      node: node.name,
      op: node.op,
      shapes: made,
      parameters: counts[i],
      flops: problem === undefined ? (flops.get(node.outputs[0]) ?? 0) : undefined,
      sees: sights.get(node.outputs[0]),
    };
  });
  const total = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    inputs: shapes,
    assumed,
    rows,
    parameters: total(counts),
    flops: problem === undefined ? total(rows.map((row) => row.flops ?? 0)) : undefined,
    problem,
  };
}
