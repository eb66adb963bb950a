/**
 * tiling: a network on pictures too large for it at once. Its plan is run dry, for the whole picture and for parts, and
 * what its nodes do to the axes of the picture is read off the operations that they are made of (tiling/follow.ts); a
 * refusal names the node.
 *
 * The picture is the first input with three axes or more. It is cut along the axes behind the batch that the model leaves
 * open; if it fixes all or none, along all behind the channels. Inputs with the same sizes there are cut with it, others
 * are given whole to every tile.
 */
import { noGrad } from '../autograd.js';
import { DeconvError, refuse } from '../errors.js';
import type { Shape } from '../shape.js';
import { sizeOf } from '../shape.js';
import { allocate, hostTensor, scoped, Tensor } from '../tensor.js';
import { type MakeDry, runDry } from '../tiling/dry.js';
import { Follower } from '../tiling/follow.js';
import {
  type DryRun,
  planPicture,
  readTileOptions,
  type TileOptions,
  type TilePlan,
} from '../tiling/plan.js';
import { part, place } from '../tiling/run.js';
import { execute, type Signal } from './execute.js';
import type { GraphValue } from './graph.js';
import { labelled, nodeLabel, type Value } from './node.js';
import { activations } from './operators/activation.js';
import { arithmetic } from './operators/arithmetic.js';
import type { Plan, Step } from './plan.js';
import { type ElementType, heldAs } from './types.js';

/** What tiling needs of a model. */
export interface TiledModel {
  readonly inputs: readonly GraphValue[];
  /** The plan for inputs of which shapes, or values, are known. */
  plan(given: ReadonlyMap<string, Tensor | Value>): Plan;
}

/** A result with its name. */
export interface TiledOutput {
  readonly name: string;
  readonly type: ElementType;
  readonly values: Tensor;
}

/** Operators that work element by element, where they loop over values instead of asking the engine. */
const POINTWISE: ReadonlySet<string> = new Set([
  ...Object.keys(activations),
  ...Object.keys(arithmetic),
  'Cast',
  'CastLike',
]);

/** The axes along which a picture may be cut. */
function pictureAxes({ shape: declared }: GraphValue, { length: rank }: Shape): number[] {
  const open = (declared ?? []).flatMap((n, axis) => (axis > 0 && typeof n !== 'number' ? [axis] : []));
  const space = Array.from({ length: rank - 2 }, (_, at) => at + 2);
  return open.length > 0 && open.length <= space.length ? open : space;
}

/** Runs one step on values that are not there. */
function stepDry(
  { node, run, values }: Step,
  inputs: readonly (Tensor | undefined)[],
  follower: Follower,
  make: MakeDry,
): readonly Tensor[] {
  const label = nodeLabel(node.op, node.name);
  follower.within = label;
  try {
    const made = scoped(() => run(inputs as readonly Tensor[]));
    return made.map((x) => (inputs.includes(x) ? x.share() : x));
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    if (POINTWISE.has(node.op)) {
      const given = inputs.filter((x) => x !== undefined);
      return values.map(({ type, shape }) => {
        const output = make(heldAs(type), shape);
        follower.alike(given, output);
        return output;
      });
    }
    if (error.rule.includes(label)) throw error;
    return labelled(label, () => {
      throw error;
    });
  }
}

/** A plan run dry: what it does to axes of its pictures, each an input by name. */
function followPlan(
  plan: Plan,
  pictures: ReadonlyMap<string, Value>,
  others: ReadonlyMap<string, Tensor>,
  axes: readonly number[],
) {
  const follower = new Follower(axes.length);
  const { result, bytes } = runDry(follower.note.bind(follower), (make) =>
    noGrad(() => {
      const state: (Tensor | undefined)[] = [...plan.fixed];
      for (const [name, slot] of plan.inputs) {
        const picture = pictures.get(name);
        if (picture === undefined) {
          state[slot] = others.get(name);
          continue;
        }
        const x = make(heldAs(picture.type), picture.shape);
        follower.begin(x, axes);
        state[slot] = x;
      }
      const given = new Set(plan.inputs.values());
      for (const step of plan.steps) {
        const inputs = step.inputs.map((slot) => state[slot]);
        const made = stepDry(step, inputs, follower, make);
        for (const [i, slot] of step.outputs.entries()) if (slot >= 0) state[slot] = made[i];
        for (const slot of step.dead) if (!given.has(slot)) state[slot]?.dispose();
      }
      const outputs = plan.outputs.map(({ slot }) => state[slot] as Tensor);
      return follower.end(
        outputs,
        plan.outputs.map(({ name }) => `the output '${name}'`),
      );
    }),
  );
  return { followed: result, bytes };
}

/** How a picture is cut for a model, and which of its inputs with it, along which axes. */
interface ModelTiles {
  readonly tiles: TilePlan;
  readonly pictures: readonly GraphValue[];
  readonly axes: readonly number[];
}

/**
 * Plans tiles; nothing is computed.
 *
 * @param given the inputs: of pictures the shapes are enough
 * @throws DeconvError when the picture must be cut and cannot, naming the node that needs it whole
 */
export function planModelTiles(
  op: string,
  model: TiledModel,
  given: ReadonlyMap<string, Tensor | Value>,
  options: TileOptions,
): ModelTiles {
  const first = model.inputs.find(({ name }) => (given.get(name)?.shape.length ?? 0) >= 3);
  const picture = first && given.get(first.name);
  if (first === undefined || picture === undefined)
    return refuse(op, 'tile', 'no input is a picture: none has three axes or more');
  const axes = pictureAxes(first, picture.shape);
  const alike = ({ shape }: Tensor | Value) => axes.every((axis) => shape[axis] === picture.shape[axis]);
  const pictures = model.inputs.filter(({ name }) => alike(given.get(name) as Tensor | Value));
  const others = new Map<string, Tensor>();
  for (const { name } of model.inputs) {
    const value = given.get(name);
    if (pictures.some((one) => one.name === name)) continue;
    if (!(value instanceof Tensor))
      return refuse(
        op,
        name,
        `input '${name}' is not cut with the picture: its values are needed, not its shape`,
      );
    others.set(name, value);
  }

  const dry: DryRun = (size, follow) => {
    const values = new Map(
      pictures.map(({ name, type }): [string, Value] => {
        const shape = [...(given.get(name) as Tensor | Value).shape];
        for (const [at, axis] of axes.entries()) shape[axis] = size[at];
        return [name, { type: type as ElementType, shape }];
      }),
    );
    const plan = model.plan(new Map<string, Tensor | Value>([...given, ...values]));
    return followPlan(
      plan,
      values,
      others,
      follow.map((at) => axes[at]),
    );
  };
  const checked = readTileOptions(op, options, axes.length);
  return { tiles: planPicture(dry, { shape: picture.shape, axes }, checked), pictures, axes };
}

/**
 * The outputs of a model, computed tile by tile.
 *
 * @param given the inputs, checked
 * @throws DeconvError when the picture must be cut and cannot, naming the node that needs it whole
 */
export async function runModelTiled(
  model: TiledModel,
  given: ReadonlyMap<string, Tensor>,
  options: TileOptions,
  signal: Signal | undefined,
): Promise<TiledOutput[]> {
  const { tiles, pictures, axes } = planModelTiles('run', model, given, options);
  const wholes = tiles.outputs.map(({ shape, dtype }) => allocate(dtype, sizeOf(shape)));
  let outputs: Plan['outputs'] = [];
  for (const { input, outputs: boxes } of tiles.tiles) {
    const parts = new Map(given);
    for (const { name } of pictures) {
      const x = given.get(name) as Tensor;
      const [start, size] = [x.shape.map(() => 0), [...x.shape]];
      for (const axis of axes) [start[axis], size[axis]] = [input.start[axis], input.size[axis]];
      parts.set(
        name,
        noGrad(() => part(x, { start, size })),
      );
    }
    const plan = model.plan(parts);
    const made = await execute(plan, parts, signal);
    for (const { name } of pictures) parts.get(name)?.dispose();
    for (const [o, y] of made.entries()) {
      const kept = noGrad(() => part(y, boxes[o].keep));
      place(wholes[o], tiles.outputs[o].shape, boxes[o].place, kept.data);
      kept.dispose();
      y.dispose();
    }
    outputs = plan.outputs;
  }
  return outputs.map(({ name, type }, o) => ({
    name,
    type,
    values: hostTensor(wholes[o], tiles.outputs[o].shape),
  }));
}
