/**
 * fields: what one output of each node sees of the network's input. Along a chain of convolutions, poolings and resizings
 * that is geometry (`receptiveField`); where ways meet, the wider one counts; what goes over a whole plane sees all of it.
 * Where values leave their places (Reshape, Transpose) nothing is claimed.
 */
import { type AxisField, type FieldLayer, receptiveField } from 'deconv';
import type { OnnxContents, OnnxNode } from 'deconv/onnx';

/** What a value sees: fields per axis; everything; or not known, for values without places too. */
export type Sight =
  | { readonly layers: readonly FieldLayer[]; readonly axes: readonly AxisField[] }
  | 'all'
  | undefined;

/** Lengths of the axes of each value, as far as they are known. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

const WINDOWS: Readonly<Record<string, FieldLayer['type']>> = {
  Conv: 'conv',
  ConvTranspose: 'convTranspose',
  MaxPool: 'pool',
  AveragePool: 'pool',
  LpPool: 'pool',
};

const PLANES = /^(Global|Reduce|InstanceNorm|GroupNorm|LayerNorm|LpNorm|MeanVariance)/;
const SCATTERED = new Set([
  'Reshape',
  'Transpose',
  'Gather',
  'Squeeze',
  'Unsqueeze',
  'Tile',
  'Expand',
  'Shape',
  'Constant',
]);

const ints = (node: OnnxNode, name: string): readonly number[] | undefined => {
  const value = node.attributes[name];
  return Array.isArray(value) && typeof value[0] === 'number' ? (value as readonly number[]) : undefined;
};
const int = (node: OnnxNode, name: string, usual: number): number => {
  const value = node.attributes[name];
  return typeof value === 'number' ? value : usual;
};

/** The geometry of a node; undefined if it has none, null if it cannot be told. Padding moves a field and does not widen it. */
function layerOf(node: OnnxNode, contents: OnnxContents, shapes: Shapes): FieldLayer | null | undefined {
  const { op, inputs, outputs, name } = node;
  const type = WINDOWS[op];
  if (type !== undefined) {
    const weight =
      type === 'pool' ? undefined : (contents.initializers[inputs[1]]?.shape ?? shapes.get(inputs[1]));
    const kernelSize = ints(node, 'kernel_shape') ?? weight?.slice(2);
    if (kernelSize === undefined || kernelSize.length > 3) return null;
    const stride = ints(node, 'strides') ?? kernelSize.map(() => 1);
    const dilation = ints(node, 'dilations') ?? kernelSize.map(() => 1);
    return { type, name, kernelSize, stride, dilation };
  }
  if (op === 'DepthToSpace') return { type: 'upsample', name, factor: int(node, 'blocksize', 1) };
  if (op === 'SpaceToDepth') return { type: 'pool', name, kernelSize: int(node, 'blocksize', 1) };
  if (op !== 'Resize' && op !== 'Upsample') return undefined;
  const [from, to] = [shapes.get(inputs[0])?.slice(2), shapes.get(outputs[0])?.slice(2)];
  if (from === undefined || to === undefined || from.length === 0) return null;
  const factor = to.map((n, axis) => n / from[axis]);
  if (!factor.every((f) => Number.isInteger(f) && f >= 1)) return null;
  const mode = node.attributes['mode'];
  if (mode === 'linear') return { type: 'upsample', name, factor, mode: 'linear' };
  // Four neighbours make each pixel.
  if (mode === 'cubic')
    return { type: 'convTranspose', name, kernelSize: factor.map((f) => 4 * f), stride: factor };
  return { type: 'upsample', name, factor };
}

const reach = (sight: Sight): number =>
  sight === 'all'
    ? Number.POSITIVE_INFINITY
    : sight === undefined
      ? -1
      : sight.axes.reduce((sum, { size }) => sum + size, 0);

/** What each value of a network sees, by name. */
export function sightsOf(contents: OnnxContents, shapes: Shapes): Map<string, Sight> {
  const sights = new Map<string, Sight>();
  const start = (rank: number): Sight => ({ layers: [], axes: receptiveField([], { rank }).axes });
  for (const { name } of contents.inputs) {
    const rank = (shapes.get(name)?.length ?? 0) - 2;
    sights.set(name, rank >= 1 && rank <= 3 ? start(rank) : undefined);
  }
  for (const node of contents.nodes) {
    const given = node.inputs.filter((name) => sights.has(name)).map((name) => sights.get(name));
    const widest = given.reduce((a, b) => (reach(b) > reach(a) ? b : a), undefined);
    const sight = seen(node, contents, widest, layerOf(node, contents, shapes));
    for (const output of node.outputs) sights.set(output, sight);
  }
  return sights;
}

/** A reduction over the channels alone leaves places as they are. */
function reducesChannels(node: OnnxNode, { initializers }: OnnxContents): boolean {
  if (!node.op.startsWith('Reduce')) return false;
  const axes = ints(node, 'axes') ?? Array.from(initializers[node.inputs[1] ?? '']?.data ?? []);
  return axes.length === 1 && axes[0] === 1;
}

function seen(
  node: OnnxNode,
  contents: OnnxContents,
  widest: Sight,
  layer: FieldLayer | null | undefined,
): Sight {
  if (widest === 'all') return 'all';
  if (widest !== undefined && PLANES.test(node.op)) return reducesChannels(node, contents) ? widest : 'all';
  if (layer === null || widest === undefined || SCATTERED.has(node.op)) return undefined;
  if (node.op === 'Flatten' || node.op === 'Gemm' || node.op === 'MatMul') return 'all';
  if (layer === undefined) return widest;
  const layers = [...widest.layers, layer];
  try {
    return { layers, axes: receptiveField(layers, { rank: widest.axes.length }).axes };
  } catch {
    // Layers that the geometry does not know: more axes than it counts, or phases without end.
    return undefined;
  }
}

/** "43 × 43", "43" where all axes are alike, "all", or nothing. */
export function sightText(sight: Sight): string {
  if (sight === undefined) return '';
  if (sight === 'all') return 'all';
  const sizes = sight.axes.map(({ size }) => `${size}`);
  return sizes.every((size) => size === sizes[0]) ? sizes[0] : sizes.join(' × ');
}
