/**
 * The convolutions by generated kernels: geometry → problem → plan, made once per shape and kept → run with the addresses of
 * the call. What does not fit into linear memory is refused by its sizes: by the reference it would take for ever.
 */
import type { ConvAttributes } from '../../../backend.js';
import { refuse } from '../../../errors.js';
import { kernelExtent } from '../../../geometry/axis.js';
import { type ConvGeometry, weightShapeOf, xShapeOf, yShapeOf } from '../../../geometry/conv.js';
import { coverageReciprocals } from '../../../geometry/coverage.js';
import { filledKernel, type Tiling, tilingOf } from '../../../geometry/winograd.js';
import { type Shape, showShape, sizeOf } from '../../../shape.js';
import type { Storage } from '../../../tensor.js';
import { ACTIVATIONS, type Ending } from '../activations.js';
import * as BASE from '../bases.js';
import type { Bases } from '../commands.js';
import { planDense } from '../dense-plan.js';
import { depthwise } from '../depthwise-kernel.js';
import { type Depthwise, depthwiseOf } from '../depthwise-plan.js';
import type { Loaded } from '../engine.js';
import { isShortage } from '../heap.js';
import { type Fusion, problemOf } from '../problem.js';
import { remembered } from '../remembered.js';
import { planWeight } from '../weight-plan.js';
import { planWinograd } from '../winograd-plan.js';
import type { Ground, Loop } from './ground.js';
import { product } from './product.js';

/** One of the three: what it is called in a complaint, and which of x, w and y are its two inputs and its output. */
export type Reading = readonly [name: string, order: readonly number[]];
export const FORWARD: Reading = ['convolution', [0, 1, 2]];
export const INPUT_GRAD: Reading = ['transposed convolution', [2, 1, 0]];
const WEIGHT_GRAD: Reading = ['weight gradient', [0, 2, 1]];

/** The attributes that all convolutions have. The activation is one of {@link ACTIVATIONS}, or known to the fusion or the engine. */
interface Attributes extends Pick<ConvAttributes, 'geometry' | 'bias' | 'average'> {
  readonly activation?: Ending | undefined;
}

/** Phases of a transposed convolution, empty ones too, above which the reference's plain scattering is the better way. */
export const MOST_PHASES = 16_384;

/** Span of a kernel's taps above which the bands that plans work in, which are at least as wide, have no room. */
export const MOST_SPAN = 4096;

/** Of geometries that come again, what they are called by and computed as, for each way to finish. */
interface Known {
  readonly key: string;
  readonly tiling: Tiling | undefined;
  readonly planes: Depthwise | undefined;
  /** Values of the output. */
  readonly length: number;
  /** Bytes of inputs and output together. */
  readonly bytes: number;
  /** No plan is made for it. */
  readonly strange: boolean;
  readonly lone: boolean;
}
const known = new WeakMap<ConvGeometry, Map<string, Known>>();

function knownOf(op: Reading, attributes: Attributes, fusion: Fusion | undefined): Known {
  const { geometry, bias, average, activation } = attributes;
  const ways = remembered(known, geometry, () => new Map());
  const way = `${op[0]}|${bias}${average}${activation?.fn}${activation?.parameters}|${fusion?.key}`;
  return remembered(ways, way, () => {
    const { batch, stride, dilation, kernelSize } = geometry;
    const sizes = shapesOf(op, geometry).map(sizeOf);
    return {
      key: [way, ...Object.values(geometry)].join('|'),
      // The average of ones is one, and of whole numbers what it is: nobody should have to explain a 0.9999998.
      tiling: op === WEIGHT_GRAD ? undefined : tilingOf(geometry, op === INPUT_GRAD, average),
      planes:
        op === WEIGHT_GRAD || average || fusion
          ? undefined
          : depthwiseOf(geometry, op === INPUT_GRAD, activation),
      length: sizes[2],
      bytes: 4 * sizes.reduce((sum, size) => sum + size),
      strange:
        batch === 0 ||
        (op === INPUT_GRAD && sizeOf(stride) > MOST_PHASES) ||
        kernelSize.some((k, axis) => kernelExtent(k, dilation[axis]) > MOST_SPAN),
      lone: !fusion && isLone(op, geometry),
    };
  });
}

/** Shapes of the two inputs and of the output. */
function shapesOf([, order]: Reading, g: ConvGeometry): Shape[] {
  const shapes = [xShapeOf(g), weightShapeOf(g), yShapeOf(g)];
  return order.map((which) => shapes[which]);
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

function refuseLarge({ engine }: Ground, op: Reading, g: ConvGeometry, bytes: number): never {
  const [input, weight, output] = shapesOf(op, g);
  const most = engine.heap.capacity;
  refuse(
    op[0],
    'input',
    `${showShape(input)} and ${showShape(weight)} to ${showShape(output)} take ${gibibytes(bytes)}, work space aside; linear memory holds ${gibibytes(most)}`,
    'compute it in parts: fewer pictures, or tiles',
  );
}

/** Whether this is a transposed convolution of pictures of a single position, of which all taps are the output. */
export const isLone = (
  op: Reading,
  { batch, groups, xSize, ySize, kernelSize, padBefore }: ConvGeometry,
): boolean =>
  op === INPUT_GRAD &&
  batch > 0 &&
  groups === 1 &&
  sizeOf(ySize) === 1 &&
  xSize.every((n, axis) => n === kernelSize[axis] && padBefore[axis] === 0);

/**
 * Such a one, as the first layer of a generator often is, as a product of matrices: pictures × channels by channels × (output channel,
 * tap) pairs, which is how the weight lies in memory.
 */
function computeLone(
  ground: Ground,
  [y, w, third]: readonly Storage[],
  { geometry: g, bias, activation }: Attributes,
): Storage {
  const taps = sizeOf(g.kernelSize);
  const size = [g.batch, g.xChannels * taps, g.yChannels] as const;
  const { storage, at } = product(ground, size, ground.at(y), ground.at(w));
  const biasAt = bias ? ground.at(third) : 0;
  const text = activation === undefined ? 'x+b' : ACTIVATIONS[activation.fn];
  if (bias || activation !== undefined)
    for (let n = 0; n < g.batch; n++) {
      const rows = [at + 4 * n * g.xChannels * taps, 4 * taps] as const;
      const inputs = [rows, [biasAt, bias ? 4 : 0]] as const;
      ground.kernels.apply(text, 'xb', '10', rows, g.xChannels, taps, inputs, activation?.parameters);
    }
  return storage;
}

function compute(
  { engine }: Ground,
  op: Reading,
  inputs: readonly Storage[],
  attributes: Attributes,
  { key, length, tiling, planes }: Known,
  fusion: Fusion | undefined,
): Storage {
  const { geometry: g, bias, average } = attributes;
  const { residency, tile, commands } = engine;
  const [first, second, third] = inputs;
  const input = residency.address(first);
  const biasAt = bias ? residency.address(third) : 0;
  // What an output is multiplied by: its share of the sum.
  let scale = 0;
  if (average) {
    const shares = coverageReciprocals(g);
    scale = residency.room(4 * shares.length);
    engine.heap.floats.set(shares, scale / 4);
  }
  const { storage, at } = residency.result('float32', length);
  /** Runs a plan; false if its result is not to be used. */
  const solve = (loaded: Loaded): boolean => {
    const { packStages, packedBytes } = loaded.plan;
    const known = packStages > 0 ? residency.packed(second, loaded) : undefined;
    const packed = known ?? residency.room(packedBytes, packStages > 0);
    // Once packed, a weight is not read again: it need not lie in linear memory twice.
    const weight = known === undefined ? residency.read(second) : 0;
    const addresses: Bases = {
      [BASE.input]: input,
      [BASE.weight]: weight,
      [BASE.bias]: biasAt,
      [BASE.packed]: packed,
      [BASE.output]: at,
      [BASE.scale]: scale,
    };
    fusion?.place(addresses, inputs, residency);
    const good = engine.run(loaded, addresses, known === undefined ? 0 : packStages);
    if (known === undefined && packStages > 0) residency.keep(second, loaded, packed);
    return good;
  };
  if (op === WEIGHT_GRAD) {
    solve(engine.plan(key, () => planWeight(g, engine)));
    return storage;
  }
  if (planes !== undefined && engine.has(planes.name, depthwise(planes.kind, tile.relaxed))) {
    solve(engine.plan(`${key}|depthwise`, () => planes.plan(commands, bias)));
    return storage;
  }
  /** Fusions bring kernels of their own. */
  const machine = () => fusion?.machine(engine) ?? engine;
  const transposed = op === INPUT_GRAD;
  if (engine.winograd && tiling !== undefined) {
    const winograd = () => {
      const filled = { ...g, kernelSize: filledKernel(g, transposed, tiling) };
      const problem = problemOf(filled, transposed, !tiling.form.plane, fusion);
      return planWinograd(problem, tiling, g, machine(), attributes);
    };
    if (solve(engine.plan(`${key}|winograd`, winograd))) return storage;
  }
  const dense = () =>
    planDense(problemOf(g, transposed, false, fusion), g.batch, g.groups, machine(), attributes);
  solve(engine.plan(key, dense));
  return storage;
}

/** Runs one of the three, with what else goes into it; refuses what does not fit, before a plan is made if the arrays alone do not. */
export function convolve(
  ground: Ground,
  op: Reading,
  inputs: readonly Storage[],
  attributes: Attributes,
  fusion?: Fusion,
): Storage | undefined {
  const { geometry } = attributes;
  const known = knownOf(op, attributes, fusion);
  if (known.bytes > ground.engine.heap.capacity) refuseLarge(ground, op, geometry, known.bytes);
  if (known.strange) return undefined;
  try {
    if (known.lone) return computeLone(ground, inputs, attributes);
    return compute(ground, op, inputs, attributes, known, fusion);
  } catch (error) {
    if (isShortage(error)) refuseLarge(ground, op, geometry, known.bytes);
    throw error;
  }
}

/** (x, w, bias?) → y */
export const convForward: Loop<ConvAttributes> = (ground, inputs, attributes) =>
  convolve(ground, FORWARD, inputs, attributes);

/** (y, w, bias?) → x */
export const convInputGrad: Loop<ConvAttributes> = (ground, inputs, attributes) =>
  convolve(ground, INPUT_GRAD, inputs, attributes);

/** (x, y) → w */
export const convWeightGrad: Loop<ConvAttributes> = (ground, inputs, attributes) =>
  convolve(ground, WEIGHT_GRAD, inputs, attributes);
