/**
 * follow: reads off a dry run what a network does to the axes of its picture. Every operation of the contract says how it
 * moves along a track ({@link Track}); networks are made of these alone, so no layer needs to be known, and any function
 * of tensors can be followed.
 *
 * Refuses operations that see the whole axis at once: sums over it (global pooling, normalisation by the picture itself),
 * softmax and matrix products along it; constants that vary along it; and what looks at values.
 */
import type { FusedConvAttributes, OpName, OpTable } from '../backend.js';
import { usesWinograd } from '../backends.js';
import type { WindowGeometry } from '../geometry/window.js';
import { type TilesAlong, tilesAlong } from '../geometry/winograd.js';
import { type Shape, sameShape, sizeOf, stridesOf } from '../shape.js';
import type { DType, Storage, Tensor } from '../tensor.js';
import { type AxisGraph, type AxisNode, pruned, refuseTiling } from './axis-graph.js';
import { axisAround, axisLike, type Track, throughView } from './layout.js';
import { type Reach, SPOKEN, transposed } from './reach.js';

/** Where the axes lie in a value; one track per axis that is followed. */
interface State {
  readonly tracks: readonly Track[];
  /** Of positions of maxima: what was pooled, where its axes lay, and how. */
  readonly pooled?: {
    readonly from: Storage;
    readonly tracks: readonly Track[];
    readonly window: WindowGeometry;
  };
}

/** An output of a network. */
export interface FollowedOutput {
  readonly shape: Shape;
  readonly dtype: DType;
  /** For each followed axis: the axis of the output along which it lies, and its node. */
  readonly axes: readonly number[];
  readonly nodes: readonly number[];
}

/** What a network does to the axes of its picture. */
export interface Followed {
  readonly graphs: readonly AxisGraph[];
  readonly outputs: readonly FollowedOutput[];
  /** The operations with their numbers: what must be the same for a part and for the whole. */
  readonly calls: readonly string[];
}

type Name = OpName;

/** Adds the nodes of a window over a node of graph `a`, along a spatial axis, and tells the last. */
type Slide = (a: number, node: number, size: number, space: number) => number;

/** Constants of so many numbers are compared between a part and the whole. */
const FEW = 16;

/** Elements of a constant that may be looked through to see whether they are all the same. */
const MOST_LOOKED_AT = 2 ** 26;

/** Watches a dry run. */
export class Follower {
  readonly #graphs: AxisNode[][];
  readonly #states = new WeakMap<Storage, State>();
  readonly #calls: string[] = [];
  #label = '';
  /** What the next operations belong to, in messages; else they are called what they are. */
  within: string | undefined;

  /** @param count axes that are followed */
  constructor(count: number) {
    this.#graphs = Array.from({ length: count }, () => []);
  }

  /** Says along which axes of an input the picture lies. Inputs of one picture have the same sizes there. */
  begin(input: Tensor, axes: readonly number[]): void {
    const own = stridesOf(input.shape);
    const tracks = this.#graphs.map((graph, a): Track => {
      const length = input.shape[axes[a]];
      if (graph.length === 0) graph.push({ kind: 'input', size: length, label: 'the input' });
      else if (graph[0].size !== length)
        refuseTiling('the network', `takes pictures of different sizes, ${graph[0].size} and ${length}`);
      return { node: 0, stride: own[axes[a]], length };
    });
    this.#states.set(input.storage, { tracks });
  }

  /** What was followed: where the axes lie in the outputs of the network, and what these are made of. */
  end(outputs: readonly Tensor[], names: readonly string[] = ['the output']): Followed {
    const ends = outputs.map((output, i) => this.#end(output, names[i]));
    const graphs = this.#graphs.map((graph, a) =>
      pruned(
        graph,
        ends.map(({ nodes }) => nodes[a]),
      ),
    );
    return {
      calls: this.#calls,
      graphs: graphs.map(({ graph }) => graph),
      outputs: ends.map((end, i) => ({ ...end, nodes: graphs.map(({ wanted }) => wanted[i]) })),
    };
  }

  #end(output: Tensor, name: string): FollowedOutput {
    this.#label = name;
    const state = this.#states.get(output.storage);
    if (state === undefined) return refuseTiling(name, 'does not depend on the picture');
    if (state.pooled !== undefined)
      return refuseTiling(name, 'is a place in the picture, which is another one in a part');
    const laid = this.#graphs.map((_, a) => this.#lay(a, state.tracks[a], output.shape));
    return {
      shape: output.shape,
      dtype: output.dtype,
      axes: laid.map(({ axis }) => axis),
      nodes: laid.map(({ track }) => track.node),
    };
  }

  /** Values that are made of others position by position, in a way that the engine does not see. */
  alike(inputs: readonly Tensor[], output: Tensor): void {
    this.#label = this.within ?? 'the network';
    this.#calls.push(this.#label);
    this.#states.set(output.storage, this.#pointwise(inputs, output.shape));
  }

  /** To be told of every operation. */
  note<K extends Name>(name: K, inputs: readonly Tensor[], output: Tensor, attributes: OpTable[K]): void {
    this.#label = this.within ?? SPOKEN[name] ?? name;
    this.#record(name, inputs, attributes);
    const rule = this.#rules[name] as Rule<K> | undefined;
    if (rule === undefined) this.#refuse('is not known here');
    else this.#states.set(output.storage, rule(inputs, output.shape, attributes));
  }

  /** Notes an operation and its numbers, but for weights and what goes by the size of the picture. */
  #record(name: string, inputs: readonly Tensor[], attributes: object): void {
    const { fn, parameters, activation, before } = attributes as {
      readonly fn?: string | { readonly name: string };
      readonly parameters?: readonly number[];
      readonly activation?: object;
      readonly before?: object;
    };
    // Zeros may stand for nothing, in any number.
    const tells = (x: Tensor) => !x.storage.dry && x.size <= FEW && x.data.some((value) => value !== 0);
    const numbers = inputs.map((x) => (tells(x) ? x.data.join() : ''));
    const what = typeof fn === 'object' ? fn.name : fn;
    const functions = JSON.stringify([activation, before]);
    this.#calls.push([name, what, parameters, functions, ...numbers].join(' '));
  }

  #refuse(why: string, hint?: string): never {
    return refuseTiling(this.#label, why, hint);
  }

  #add(a: number, node: AxisNode): number {
    return this.#graphs[a].push(node) - 1;
  }

  /** A window over a track, as the node of another. */
  #window(
    a: number,
    source: number,
    size: number,
    { step = 1, over = 1, first = 0, last = first }: Reach,
  ): number {
    if (size < 2) this.#refuse('leaves less than two rows or columns of a part');
    return this.#add(a, { kind: 'window', source, size, step, over, first, last, label: this.#label });
  }

  /** The same places in finer or coarser steps. */
  #restep(a: number, track: Track, stride: number): Track {
    if (track.stride === stride) return track;
    const length = (track.length * track.stride) / stride;
    const [over, step] = [track.stride / stride, stride / track.stride];
    const node =
      over > 1
        ? this.#window(a, track.node, length, { over })
        : this.#window(a, track.node, length, { step, last: step - 1 });
    return { node, stride, length };
  }

  /** Lays a track over an axis of a shape. */
  #lay(a: number, track: Track, shape: Shape): { readonly track: Track; readonly axis: number } {
    const axis = axisLike(track, shape);
    if (axis < 0) this.#refuse('meets an axis of the picture cut up, or joined with another');
    return { axis, track: this.#restep(a, track, stridesOf(shape)[axis]) };
  }

  /** A track in steps as fine as a shape tells apart: a view of the shape may mix them. */
  #refine(a: number, track: Track, shape: Shape): Track {
    const own = stridesOf(shape);
    const outermost = shape.findIndex((n, axis) => n * own[axis] === track.stride * track.length);
    if (outermost < 0) return track;
    const stride = own.slice(outermost).find((by) => track.stride % by === 0) ?? track.stride;
    return this.#restep(a, track, stride);
  }

  /** The axis of a shape in which a track lies. */
  #around(track: Track, shape: Shape): number {
    const axis = axisAround(track, shape);
    return axis >= 0 ? axis : this.#refuse('meets an axis of the picture cut up, or joined with another');
  }

  #stateOf(x: Tensor): State | undefined {
    return this.#states.get(x.storage);
  }

  #tracksOf(x: Tensor): readonly Track[] {
    const state =
      this.#stateOf(x) ?? this.#refuse('takes its first argument from elsewhere than the picture');
    if (state.pooled !== undefined) this.#refuse('computes with positions of maxima');
    return state.tracks;
  }

  /** Beside a track, constants that lie along it: each must be one number all over, and the same for every part. */
  #even(a: number, track: Track, constants: readonly Tensor[]): Track {
    const along = constants.filter((x) => x.size > 1);
    if (along.length === 0) return track;
    const numbers = along.map((x) => {
      const data = x.size > MOST_LOOKED_AT ? [0, 1] : x.data;
      return data.every((value) => value === data[0]) ? data[0] : this.#refuseVarying();
    });
    const { node, length } = track;
    return {
      ...track,
      node: this.#add(a, { kind: 'join', sources: [node], numbers, size: length, label: this.#label }),
    };
  }

  #refuseVarying(): never {
    return this.#refuse(
      'meets a constant that varies over the picture',
      'such as a mask or an encoding of positions',
    );
  }

  /** Refuses arguments that come from the picture where only parameters are meant. */
  #parameters(inputs: readonly Tensor[]): void {
    if (this.#graphs.length > 0 && inputs.some((x) => x.storage.dry))
      this.#refuse('has parameters that are made from the picture');
  }

  /** One node out of several of the same positions. */
  #join(a: number, tracks: readonly Track[]): Track {
    const stride = Math.min(...tracks.map((track) => track.stride));
    const laid = tracks.map((track) => {
      if (track.stride % stride !== 0 || track.stride * track.length !== tracks[0].stride * tracks[0].length)
        this.#refuse('joins values in which the picture lies in different ways');
      return this.#restep(a, track, stride);
    });
    const sources = [...new Set(laid.map(({ node }) => node))];
    const [{ length }] = laid;
    const label = this.#label;
    const node =
      sources.length === 1 ? sources[0] : this.#add(a, { kind: 'join', sources, size: length, label });
    return { node, stride, length };
  }

  /** Positions stay: arguments broadcast to a shape, as NumPy does. */
  #pointwise(inputs: readonly Tensor[], shape: Shape): State {
    const own = stridesOf(shape);
    const tracks = this.#graphs.map((_, a) => {
      let along = -1;
      const found = inputs.flatMap((x): Track[] => {
        const state = this.#stateOf(x);
        if (state === undefined) return [];
        if (state.pooled !== undefined) this.#refuse('computes with positions of maxima');
        const track = state.tracks[a];
        if (x.size === sizeOf(shape)) return [track];
        const axis = this.#around(track, x.shape);
        const there = axis + shape.length - x.shape.length;
        along = there;
        return [{ ...track, stride: (track.stride / stridesOf(x.shape)[axis]) * own[there] }];
      });
      if (found.length === 0) this.#refuse('is made of nothing from the picture');
      const track = this.#join(a, found);
      if (along < 0) along = axisAround(track, shape);
      const constants = inputs.filter((x) => {
        const there = along < 0 ? x.size : (x.shape[along - shape.length + x.rank] ?? 1);
        return this.#stateOf(x) === undefined && there > 1;
      });
      return this.#even(a, track, constants);
    });
    return { tracks };
  }

  #slide(from: readonly Track[], shape: Shape, to: Shape, slide: Slide): State {
    const own = stridesOf(to);
    const tracks = from.map((given, a): Track => {
      const { axis, track } = this.#lay(a, given, shape);
      if (axis < 2) this.#refuse('meets the picture among its channels');
      const node = slide(a, track.node, to[axis], axis - 2);
      return { node, stride: own[axis], length: to[axis] };
    });
    return { tracks };
  }

  /** What a convolution makes, with the residual added to it. Its other inputs must not come from the picture. */
  #added(inputs: readonly Tensor[], state: State, residual: boolean | undefined): State {
    this.#parameters(inputs.slice(1, residual ? -1 : undefined));
    if (!residual) return state;
    const last = inputs[inputs.length - 1];
    const other = this.#stateOf(last);
    if (other?.pooled !== undefined) this.#refuse('computes with positions of maxima');
    const tracks = state.tracks.map((track, a) =>
      other === undefined ? this.#even(a, track, [last]) : this.#join(a, [track, other.tracks[a]]),
    );
    return { tracks };
  }

  /** A window per output; or one per tile of outputs, if they are computed tile by tile, and the tiles of each output. */
  #convolve(
    inputs: readonly Tensor[],
    tracks: readonly Track[],
    from: Shape,
    to: Shape,
    reach: (space: number) => Reach,
    tiles: (space: number) => TilesAlong | undefined,
  ): State {
    return this.#slide(tracks, from, to, (a, node, size, s) => {
      const along = inputs[0].dtype === 'float32' && usesWinograd() ? tiles(s) : undefined;
      // Two nodes whatever they are: whole and part, if not computed alike, differ in their numbers.
      if (along === undefined) return this.#window(a, this.#window(a, node, size, reach(s)), size, {});
      const { step, first, last, over, from, to } = along;
      const count = Math.floor((size - 1 + to) / over) + 1;
      const tile = this.#window(a, node, count, { step, first, last });
      return this.#window(a, tile, size, { over, first: from, last: to });
    });
  }

  #pool(inputs: readonly Tensor[], w: WindowGeometry, channels: number): State {
    return this.#slide(
      this.#tracksOf(inputs[0]),
      [w.batch, w.channels, ...w.inputSize],
      [w.batch, channels, ...w.outputSize],
      (a, node, size, s) =>
        this.#window(a, node, size, {
          step: w.stride[s],
          first: -w.padding[s],
          last: w.dilation[s] * (w.kernelSize[s] - 1) - w.padding[s],
        }),
    );
  }

  #forward(given: readonly Tensor[], { geometry: g, residual, split }: FusedConvAttributes): State {
    const [inputs, more] = split === undefined ? [given, []] : [given.slice(0, -1), given.slice(-1)];
    const [first, ...others] = [inputs[0], ...more].map((x) => this.#tracksOf(x));
    const tracks = first.map((track, a) => this.#join(a, [track, ...others.map((other) => other[a])]));
    const [from, to] = [
      [g.batch, g.xChannels, ...g.xSize],
      [g.batch, g.yChannels, ...g.ySize],
    ];
    const reach = (s: number) => ({
      step: g.stride[s],
      first: -g.padBefore[s],
      last: g.dilation[s] * (g.kernelSize[s] - 1) - g.padBefore[s],
    });
    const state = this.#convolve(inputs, tracks, from, to, reach, (s) => tilesAlong(g, false, s));
    return this.#added(inputs, state, residual);
  }

  #inputGrad(inputs: readonly Tensor[], { geometry: g, residual, average }: FusedConvAttributes): State {
    const [from, to] = [
      [g.batch, g.yChannels, ...g.ySize],
      [g.batch, g.xChannels, ...g.xSize],
    ];
    const reach = (s: number) => transposed(g.kernelSize[s], g.stride[s], g.dilation[s], g.padBefore[s]);
    const tracks = this.#tracksOf(inputs[0]);
    const state = this.#convolve(inputs, tracks, from, to, reach, (s) => tilesAlong(g, true, s, average));
    return this.#added(inputs, state, residual);
  }

  readonly #rules: { readonly [K in Name]?: Rule<K> } = {
    'conv.forward': (inputs, _, attributes) => this.#forward(inputs, attributes),
    'conv.inputGrad': (inputs, _, attributes) => this.#inputGrad(inputs, attributes),
    'conv.forwardFused': (inputs, _, attributes) => this.#forward(inputs, attributes),
    'conv.inputGradFused': (inputs, _, attributes) => this.#inputGrad(inputs, attributes),
    unary: (inputs, shape) => this.#pointwise(inputs, shape),
    cast: (inputs, shape) => this.#pointwise(inputs, shape),
    binary: (inputs, shape) => this.#pointwise(inputs, shape),
    select: (inputs, shape) => this.#pointwise(inputs, shape),
    reduce: ([x], _, { shape, axes }) => this.#collapse(x, shape, axes),
    argMax: ([x], _, { shape, axis }) => this.#collapse(x, shape, [axis]),
    'strided.read': ([x], _, view) => ({
      tracks: this.#tracksOf(x).map((given, a) => {
        const track = this.#refine(a, given, x.shape);
        const seen = throughView(track, view);
        if (typeof seen === 'string') return this.#refuse(seen);
        return { ...seen, node: this.#window(a, track.node, seen.length, seen) };
      }),
    }),
    'strided.write': ([x], shape, view) => {
      if (view.mode !== 'set' && this.#graphs.length > 0) this.#refuse('adds up parts of the picture');
      const own = stridesOf(shape);
      return {
        tracks: this.#tracksOf(x).map((given, a): Track => {
          const { axis, track } = this.#lay(a, given, view.shape);
          const by = view.strides[axis];
          const over = by / own[axis];
          if (!(by > 0 && Number.isInteger(over)))
            this.#refuse('moves values across the axes of the picture');
          const before = Math.floor(view.offset / own[axis]) % shape[axis];
          const node = this.#window(a, track.node, shape[axis], { over, first: -before });
          return { node, stride: own[axis], length: shape[axis] };
        }),
      };
    },
    concat: (inputs, shape) => {
      const along = shape.findIndex((n, axis) => inputs.some((x) => x.shape[axis] !== n));
      const own = stridesOf(shape);
      const followed = inputs.filter((x) => this.#stateOf(x) !== undefined);
      const tracks = this.#graphs.map((_, a) => {
        const there = followed.map((x): Track => {
          const track = this.#tracksOf(x)[a];
          const axis = this.#around(track, x.shape);
          if (axis === along) this.#refuse('joins pictures along their own axes');
          return { ...track, stride: (track.stride / stridesOf(x.shape)[axis]) * own[axis] };
        });
        const constants = inputs.filter((x) => this.#stateOf(x) === undefined);
        return this.#even(a, this.#join(a, there), constants);
      });
      return { tracks };
    },
    'axis.map': ([x], _, { outer, inner, map, transposed: back }) => ({
      tracks: this.#tracksOf(x).map((track, a): Track => {
        const { inLength, outLength, taps, index, weight } = map;
        if (back) this.#refuse('runs backwards');
        if (track.stride * track.length <= inner) return track;
        if (track.stride >= inner * inLength)
          return { ...track, stride: (track.stride / inLength) * outLength };
        const { axis, track: laid } = this.#lay(a, track, [outer, inLength, inner]);
        if (axis !== 1 || outLength < 2) this.#refuse('mixes the axes of the picture');
        const label = this.#label;
        const node = this.#add(a, {
          kind: 'table',
          source: laid.node,
          size: outLength,
          taps,
          index,
          weight,
          label,
        });
        return { node, stride: inner, length: outLength };
      }),
    }),
    matmul: (inputs, _, { batch, m, n, k, transposeA, transposeB }) => {
      const [left, right] = inputs.map((x) => this.#stateOf(x));
      if (left !== undefined && right !== undefined && this.#graphs.length > 0)
        this.#refuse('multiplies two values that both come from the picture, as attention does');
      const [rows, at] = left === undefined ? [n, 1] : [m, n];
      const tracks = this.#graphs.map((_, a): Track => {
        const track = this.#tracksOf(inputs[left === undefined ? 1 : 0])[a];
        // The operand as (batch, …): its rows or columns that the result keeps, and those that are summed over.
        const keptLast = left === undefined ? !transposeB : transposeA;
        const shape = keptLast ? [batch, k, rows] : [batch, rows, k];
        const axis = this.#around(track, shape);
        const own = stridesOf(shape)[axis];
        // With a batch of its own the constant is another one for each place in the batch.
        if (axis === 0) {
          const constant = inputs[left === undefined ? 0 : 1];
          return this.#even(a, { ...track, stride: (track.stride / own) * m * n }, [constant]);
        }
        if (axis !== (keptLast ? 2 : 1)) this.#refuse('sums over the picture');
        return { ...track, stride: (track.stride / own) * at };
      });
      return { tracks };
    },
    softmax: ([x], _, { outer, length, inner }) => ({
      tracks: this.#tracksOf(x).map((track) => {
        if (this.#around(track, [outer, length, inner]) === 1)
          this.#refuse('goes over a whole axis of the picture');
        return track;
      }),
    }),
    'channel.affine': (inputs, _, { outer, channels, inner }) => {
      const seen: Shape = [outer, channels, inner];
      const tracks = this.#graphs.map((_, a): Track => {
        const found = inputs.flatMap((x, i): Track[] => {
          const track = this.#stateOf(x)?.tracks[a];
          if (track === undefined) return [];
          // Values are seen as (outer, channels, inner), the numbers beside them one per channel.
          const values = i === 0 || i === 4;
          return [values ? track : { ...track, stride: track.stride * inner }];
        });
        const track = this.#join(a, found);
        const perChannel = inputs.filter((_, i) => i !== 0 && i !== 4);
        if (this.#around(track, seen) === 1) {
          const constants = perChannel.filter((x) => this.#stateOf(x) === undefined);
          return this.#even(a, track, constants);
        }
        if (perChannel.some((x) => this.#stateOf(x) !== undefined)) {
          this.#refuse('goes by the whole picture');
        }
        return track;
      });
      return { tracks };
    },
    'channel.dot': (inputs, _, { outer, channels, inner }) => ({
      tracks: this.#graphs.map((_, a): Track => {
        const found = inputs.flatMap((x, i): Track[] => {
          const track = this.#stateOf(x)?.tracks[a];
          return track === undefined
            ? []
            : [i % 2 === 0 ? track : { ...track, stride: track.stride * inner }];
        });
        const track = this.#join(a, found);
        if (this.#around(track, [outer, channels, inner]) !== 1) this.#refuseWhole();
        return { ...track, stride: track.stride / inner };
      }),
    }),
    'pool.max': (inputs, _, window) => this.#pool(inputs, window, window.channels),
    'pool.argMax': (inputs, _, window) => ({
      ...this.#pool(inputs, window, window.channels),
      pooled: { from: inputs[0].storage, tracks: this.#tracksOf(inputs[0]), window },
    }),
    'pool.average': (inputs, _, { window }) => this.#pool(inputs, window, window.channels),
    unfold: (inputs, _, window) => this.#pool(inputs, window, window.channels * sizeOf(window.kernelSize)),
    fold: (inputs, _, w) =>
      this.#slide(
        this.#tracksOf(inputs[0]),
        [w.batch, w.channels * sizeOf(w.kernelSize), ...w.outputSize],
        [w.batch, w.channels, ...w.inputSize],
        (a, node, size, s) =>
          this.#window(a, node, size, transposed(w.kernelSize[s], w.stride[s], w.dilation[s], w.padding[s])),
      ),
    'plane.gather': ([x, positions]) => {
      const state = this.#stateOf(positions);
      if (state?.pooled?.from !== x.storage)
        this.#refuse('takes values from places that another value decides');
      return { tracks: state?.tracks ?? [] };
    },
    'plane.scatter': ([y, positions], shape) => {
      const state = this.#stateOf(positions);
      const pooled = state?.pooled;
      if (pooled === undefined) return this.#refuse('puts values to places that another value decides');
      const { window: w } = pooled;
      if (!sameShape(shape, [w.batch, w.channels, ...w.inputSize]))
        this.#refuse('unpools to another size than was pooled', 'give it the size of what was pooled');
      const own = stridesOf(shape);
      const small: Shape = [w.batch, w.channels, ...w.outputSize];
      const tracks = this.#tracksOf(y).map((track, a): Track => {
        const both = this.#join(a, [track, (state as State).tracks[a]]);
        const { axis, track: laid } = this.#lay(a, both, small);
        const s = axis - 2;
        const back = transposed(w.kernelSize[s], w.stride[s], w.dilation[s], w.padding[s]);
        const node = this.#window(a, laid.node, shape[axis], back);
        return { node, stride: own[axis], length: shape[axis] };
      });
      return { tracks };
    },
  };

  #refuseWhole(): never {
    return this.#refuse(
      'takes the whole picture together, or all its rows or columns',
      'global pooling, and normalisation by what the picture itself has (a batch normalisation is made to go by its running statistics by model.eval())',
    );
  }

  /** Axes of a shape made one position each. */
  #collapse(x: Tensor, shape: Shape, axes: readonly number[]): State {
    const own = stridesOf(shape);
    const kept = stridesOf(shape.map((n, axis) => (axes.includes(axis) ? 1 : n)));
    const tracks = this.#tracksOf(x).map((track): Track => {
      const axis = this.#around(track, shape);
      if (axes.includes(axis)) this.#refuseWhole();
      return { ...track, stride: (track.stride / own[axis]) * kept[axis] };
    });
    return { tracks };
  }
}

type Rule<K extends Name> = (inputs: readonly Tensor[], shape: Shape, attributes: OpTable[K]) => State;
