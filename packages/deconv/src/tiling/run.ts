/**
 * run: a picture through a network tile by tile. Neither the picture nor the result need exist as a whole: tiles are asked
 * for, and handed over, one at a time, in the order of the plan.
 */
import { noGrad } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { asFloat } from '../ops/input.js';
import { slice } from '../ops/layout.js';
import { type Shape, sameShape, showShape, sizeOf, stridesOf } from '../shape.js';
import { allocate, type DType, hostTensor, scoped, Tensor, type TypedArray } from '../tensor.js';
import { runDry } from './dry.js';
import { Follower } from './follow.js';
import {
  type Box,
  type DryRun,
  planPicture,
  readTileOptions,
  type TileOptions,
  type TilePlan,
} from './plan.js';

/** A network: a function of a tensor, or a module that takes one. */
export type Network = ((x: Tensor) => Tensor) | { forward(x: Tensor): Tensor };

/** What stops a run: an AbortSignal, as far as it is used. */
export interface Signal {
  throwIfAborted(): void;
}

/** How far a run is. */
export interface TileProgress {
  /** Tiles that are done, and all. */
  readonly done: number;
  readonly total: number;
}

const asFunction = (op: string, network: Network): ((x: Tensor) => Tensor) => {
  if (typeof network === 'function') return network;
  if (typeof network?.forward === 'function') return (x) => network.forward(x);
  return refuse(op, 'network', `network must be a function of a tensor or a module, got ${show(network)}`);
};

/** The axes of (N, C, …space), all but the first two. */
function pictureAxes(op: string, shape: Shape): number[] {
  if (shape.length < 3)
    refuse(op, 'shape', `a picture must be (N, C, …1 or more spatial axes), got ${showShape(shape)}`);
  return shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]));
}

/** Runs a function dry on a picture whose axes have other lengths. */
function dryRunOf(
  network: (x: Tensor) => Tensor,
  shape: Shape,
  axes: readonly number[],
  dtype: DType,
): DryRun {
  return (size, follow) => {
    const follower = new Follower(follow.length);
    const input = [...shape];
    for (const [at, axis] of axes.entries()) input[axis] = size[at];
    const { result, bytes } = runDry(follower.note.bind(follower), (make) =>
      noGrad(() => {
        const x = make(dtype, input);
        follower.begin(
          x,
          follow.map((at) => axes[at]),
        );
        const y = network(x);
        if (!(y instanceof Tensor))
          refuse('tiling', 'network', `the network must return a tensor, got ${show(y)}`);
        return follower.end([y]);
      }),
    );
    return { followed: result, bytes };
  };
}

/**
 * How a picture is cut for a network: tiles, each with what it reads and what it gives. Nothing is computed: the network is
 * run on values that are not there, and watched.
 *
 * @param network a function of a tensor, or a module; anything whose output pixels depend on pixels nearby
 * @param shape (N, C, …space) of the whole picture
 * @param options `{ tile = 'auto', maxMemory = 2²⁹ }`
 * @throws DeconvError when no axis can be cut, and says which operation needs it whole; when no tile fits in maxMemory
 * @example
 * ```ts
 * import { conv2d, randn } from 'deconv';
 * import { planTiles } from 'deconv/nn';
 * const weight = randn([4, 1, 5, 5]);
 * const plan = planTiles((x) => conv2d(x, weight, { padding: 2 }), [1, 1, 1000, 1000], { tile: 500 });
 * console.log(plan.tiles.length, plan.halo); // 4 [ [ 2, 2 ], [ 2, 2 ] ]
 * console.log(plan.tiles[3].input.start, plan.tiles[3].outputs[0].place.start); // [ 0, 0, 498, 498 ] [ 0, 0, 500, 500 ]
 * ```
 */
export function planTiles(network: Network, shape: Shape, options: TileOptions = {}): TilePlan {
  const op = 'planTiles';
  checkOptions(op, options, ['tile', 'maxMemory']);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 1))
    refuse(op, 'shape', `shape must be integers ≥ 1, got ${show(shape)}`);
  const axes = pictureAxes(op, shape);
  const checked = readTileOptions(op, options, axes.length);
  return planPicture(dryRunOf(asFunction(op, network), shape, axes, 'float32'), { shape, axes }, checked);
}

interface Host {
  setImmediate?(then: () => void): unknown;
  setTimeout(then: () => void, after: number): unknown;
}

/** Lets the event loop do what waits. */
export function breathe(): Promise<void> {
  const host = globalThis as object as Host;
  return new Promise((resolve) => {
    if (host.setImmediate !== undefined) host.setImmediate(resolve);
    else host.setTimeout(resolve, 0);
  });
}

/** What {@link streamTiles} takes. */
export interface TileStream {
  /** From {@link planTiles}, for the same network. */
  readonly plan: TilePlan;
  /** Computes one tile. */
  readonly run: Network;
  /** The part of the picture that a box names: a tensor of the box's size. It is disposed of when the tile is done. */
  read(box: Box): Tensor | Promise<Tensor>;
  /** Takes the part of the result that a box names; the tensor is disposed of afterwards. Each element comes once. */
  write(box: Box, tile: Tensor): void | Promise<void>;
  /** Aborts between two tiles. */
  readonly signal?: Signal | undefined;
  readonly onProgress?: ((progress: TileProgress) => void) | undefined;
}

/** The part of a tensor that a box names. */
export const part = (x: Tensor, { start, size }: Box): Tensor =>
  slice(x, { start, end: start.map((from, axis) => from + size[axis]) });

/**
 * Runs the tiles of a plan. Only one tile is there at a time: the picture may lie in a file or as bytes, and so may the
 * result.
 *
 * @param stream `{ plan, run, read, write, signal, onProgress }`
 * @throws DeconvError when what is read has another shape than the box
 * @example
 * ```ts
 * import { mul, tensor } from 'deconv';
 * import { planTiles, streamTiles } from 'deconv/nn';
 * const [source, sink] = [Uint8Array.from({ length: 64 }, (_, i) => i), new Uint8Array(64)];
 * await streamTiles({
 *   plan: planTiles((x) => mul(x, 2), [1, 1, 64], { tile: 16 }),
 *   run: (x) => mul(x, 2),
 *   read: ({ start: [, , at], size }) => tensor(Float32Array.from(source.subarray(at, at + size[2])), size),
 *   write: ({ start: [, , at] }, tile) => sink.set(tile.data, at),
 * });
 * console.log(sink[63]); // 126
 * ```
 */
export async function streamTiles(stream: TileStream): Promise<void> {
  const op = 'streamTiles';
  checkOptions(op, stream, ['plan', 'run', 'read', 'write', 'signal', 'onProgress']);
  const { plan, read, write, signal, onProgress } = stream;
  for (const [name, value] of Object.entries({ read, write }))
    if (typeof value !== 'function') refuse(op, name, `${name} must be a function, got ${show(value)}`);
  if (!Array.isArray(plan?.tiles)) refuse(op, 'plan', `plan must come from planTiles, got ${show(plan)}`);
  const network = asFunction(op, stream.run);
  for (const [done, { input, outputs }] of plan.tiles.entries()) {
    signal?.throwIfAborted();
    onProgress?.({ done, total: plan.tiles.length });
    const x = await read(input);
    if (!(x instanceof Tensor) || !sameShape(x.shape, input.size)) {
      const got = x instanceof Tensor ? showShape(x.shape) : show(x);
      refuse(op, 'read', `read must give a tensor of shape ${showShape(input.size)}, got ${got}`);
    }
    const [{ keep, place }] = outputs;
    const y = noGrad(() => scoped(() => part(network(x), keep)));
    x.dispose();
    await write(place, y);
    y.dispose();
    await breathe();
  }
  onProgress?.({ done: plan.tiles.length, total: plan.tiles.length });
}

/** Lays a block of values into a larger array, row by row. */
export function place(into: TypedArray, shape: Shape, { start, size }: Box, values: TypedArray): void {
  const own = stridesOf(shape);
  const last = shape.length - 1;
  const row = last < 0 ? 1 : size[last];
  for (let r = 0; r * row < values.length; r++) {
    let [at, rest] = [last < 0 ? 0 : start[last], r];
    for (let axis = last - 1; axis >= 0; axis--) {
      at += (start[axis] + (rest % size[axis])) * own[axis];
      rest = Math.floor(rest / size[axis]);
    }
    into.set(values.subarray(r * row, (r + 1) * row), at);
  }
}

/** Options of {@link runTiled}. */
export interface RunTiledOptions extends TileOptions {
  /** Aborts between two tiles. */
  readonly signal?: Signal | undefined;
  readonly onProgress?: ((progress: TileProgress) => void) | undefined;
}

/**
 * What a network makes of a picture, computed tile by tile: the same as at once, to the last bit, in less memory.
 *
 * The network is any function whose output pixels depend on pixels nearby: convolutions, pooling, resampling by a factor,
 * everything that works pixel by pixel, in any arrangement. An axis along which it is not so stays whole.
 *
 * @param network a function of a tensor, or a module
 * @param picture (N, C, …space)
 * @param options `{ tile = 'auto', maxMemory = 2²⁹, signal, onProgress }`
 * @throws DeconvError when the picture must be cut and cannot, naming the operation that needs it whole
 * @example
 * ```ts
 * import { rand } from 'deconv';
 * import { runTiled, upscaler } from 'deconv/nn';
 * const model = upscaler({ scale: 2, channels: 4, blocks: 1 });
 * const x = rand([1, 3, 50, 40]);
 * const y = await runTiled(model, x, { tile: 16 });
 * console.log(y.shape, y.data.every((value, i) => value === model.forward(x).data[i])); // [ 1, 3, 100, 80 ] true
 * ```
 */
export async function runTiled(
  network: Network,
  picture: Tensor,
  options: RunTiledOptions = {},
): Promise<Tensor> {
  const op = 'runTiled';
  checkOptions(op, options, ['tile', 'maxMemory', 'signal', 'onProgress']);
  const { tile, maxMemory, signal, onProgress } = options;
  const run = asFunction(op, network);
  const x = asFloat(op, 'picture', picture);
  const axes = pictureAxes(op, x.shape);
  const checked = readTileOptions(op, { tile, maxMemory }, axes.length);
  const plan = planPicture(dryRunOf(run, x.shape, axes, x.dtype), { shape: x.shape, axes }, checked);
  const [{ shape, dtype }] = plan.outputs;
  const values = allocate(dtype, sizeOf(shape));
  await streamTiles({
    plan,
    run,
    read: (box) => part(x, box),
    write: (box, y) => place(values, shape, box, y.data),
    signal,
    onProgress,
  });
  return hostTensor(values, shape);
}
