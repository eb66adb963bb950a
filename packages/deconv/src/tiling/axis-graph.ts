/**
 * axis-graph: what a network does to one axis of a picture, in integers only: which positions of which value each position
 * of a value is made of. Three kinds of node are enough:
 *
 *     window   position o reads ⌊(o·step + first) / over⌋ … ⌊(o·step + last) / over⌋; what lies outside is a constant
 *     table    position o reads the positions index[o·taps + t] with weight[o·taps + t]
 *     join     position o reads position o of several values of one length
 *
 * Convolutions and pooling are windows with over = 1, transposed convolutions and unpooling windows with step = 1, slices
 * windows of one position, zero padding too. Resampling and padding that copies are tables.
 *
 * A *part* is the same network run on positions offset … offset + n − 1 of the input alone. Value by value, position i of
 * the part then stands for position i + offset of the whole, the offset of each value being found from that of the value
 * before, and is *right* if all it reads is right, and stands where the whole reads. At the ends of the part this fails,
 * since there the part sees padding where the whole sees the picture; at the ends of the picture both see padding.
 */
import { refuse } from '../errors.js';

/** Positions from … to, both included; none if to < from. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

interface Common {
  /** Positions of the value. */
  readonly size: number;
  /** What made it, for messages. */
  readonly label: string;
}

/** The picture itself. */
export interface InputNode extends Common {
  readonly kind: 'input';
}

/** A sliding window, or its transpose. */
export interface WindowNode extends Common {
  readonly kind: 'window';
  readonly source: number;
  readonly step: number;
  readonly over: number;
  readonly first: number;
  readonly last: number;
}

/** A sparse matrix. */
export interface TableNode extends Common {
  readonly kind: 'table';
  readonly source: number;
  readonly taps: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/** Several values side by side. */
export interface JoinNode extends Common {
  readonly kind: 'join';
  readonly sources: readonly number[];
  /** Constants beside them, each one number all over. */
  readonly numbers?: readonly number[];
}

export type AxisNode = InputNode | WindowNode | TableNode | JoinNode;

/** Nodes, each after those that it reads. The first is the input. */
export type AxisGraph = readonly AxisNode[];

/** Steps of the output per steps of the input, reduced. */
export interface Ratio {
  readonly output: number;
  readonly input: number;
}

const sourcesOf = (node: AxisNode): readonly number[] =>
  node.kind === 'input' ? [] : node.kind === 'join' ? node.sources : [node.source];

/** The nodes that some of them depend on, and the new numbers of these. */
export function pruned(
  graph: AxisGraph,
  wanted: readonly number[],
): { readonly graph: AxisGraph; readonly wanted: readonly number[] } {
  const open = new Set([0, ...wanted]);
  for (let at = graph.length - 1; at > 0; at--)
    if (open.has(at)) for (const source of sourcesOf(graph[at])) open.add(source);
  const places = new Map([...open].sort((a, b) => a - b).map((at, place) => [at, place]));
  const place = (at: number) => places.get(at) as number;
  const kept = [...places.keys()].map((at): AxisNode => {
    const node = graph[at];
    if (node.kind === 'input') return node;
    return node.kind === 'join'
      ? { ...node, sources: node.sources.map(place) }
      : { ...node, source: place(node.source) };
  });
  return { graph: kept, wanted: wanted.map(place) };
}

const EMPTY: Interval = { from: 0, to: -1 };

const floorDiv = (a: number, b: number) => Math.floor(a / b);
const ceilDiv = (a: number, b: number) => -Math.floor(-a / b);

/** Greatest common divisor. */
export function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return Math.abs(a);
}

function ratio(output: number, input: number): Ratio {
  const common = gcd(output, input);
  return { output: output / common, input: input / common };
}

/** Complains that a network cannot be run in parts. */
export function refuseTiling(label: string, why: string, hint?: string): never {
  return refuse('tiling', 'network', `the picture cannot be cut into tiles: ${label} ${why}`, hint);
}

/** Tables of fewer positions need not show a period. */
const SHORT = 16;

/** Longer periods of a table are no resampling by a simple factor. */
const MOST_PERIOD = 1024;

/**
 * The period of a table: so many positions on, it reads so many positions on, with the same weights. Looked for in its
 * middle half, where no end of the picture disturbs; undefined if there is none.
 */
function periodOf({ size, taps, index, weight }: TableNode): Ratio | undefined {
  const from = Math.floor(size / 4);
  const to = size - from;
  for (let period = 1; period <= MOST_PERIOD && 2 * period <= to - from; period++) {
    const moved = index[(from + period) * taps] - index[from * taps];
    if (moved < 1) continue;
    let same = true;
    for (let at = from * taps; same && at < (to - period) * taps; at++) {
      const later = at + period * taps;
      same = index[later] - index[at] === moved && weight[later] === weight[at];
    }
    if (same) return ratio(period, moved);
  }
  return undefined;
}

/**
 * The ratio of a table that is too short to tell by its middle. If it reads all of its source in order, one by one, it only pads, by
 * more than there is in between perhaps. Else a guess; whether it fits, settle sees.
 */
function shortRatio({ size, taps, index }: TableNode, source: number): Ratio {
  let run = 1;
  let longest = 1;
  for (let at = 1; at < size; at++) {
    run = index[at] === index[at - 1] + 1 ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return taps === 1 && source > 2 && longest === source ? ratio(1, 1) : ratio(size, source);
}

/** Each value's step against that of the input. Refuses tables without a period, and values without positions. */
export function ratiosOf(graph: AxisGraph): Ratio[] {
  const ratios: Ratio[] = [];
  for (const node of graph) {
    if (node.size === 0) refuseTiling(node.label, 'is empty');
    switch (node.kind) {
      case 'input':
        ratios.push({ output: 1, input: 1 });
        break;
      case 'window': {
        const { output, input } = ratios[node.source];
        ratios.push(ratio(output * node.over, input * node.step));
        break;
      }
      case 'table': {
        const period =
          periodOf(node) ??
          (node.size < SHORT ? shortRatio(node, graph[node.source].size) : undefined) ??
          refuseTiling(
            node.label,
            'reads positions that do not repeat: it stretches the picture to a size, or by no simple factor',
            'resize by a factor, without alignCorners',
          );
        const { output, input } = ratios[node.source];
        ratios.push(ratio(output * period.output, input * period.input));
        break;
      }
      case 'join': {
        const [first, ...others] = node.sources.map((source) => ratios[source]);
        if (others.some(({ output, input }) => output !== first.output || input !== first.input))
          refuseTiling(node.label, 'joins values of different scales');
        ratios.push(first);
      }
    }
  }
  return ratios;
}

/** What the beginning of a part must be a multiple of, so that in every value it lies on a whole position. */
export function alignmentOf(ratios: readonly Ratio[]): number {
  return ratios.reduce((all, { input }) => (all / gcd(all, input)) * input, 1);
}

const join = (a: Interval, b: Interval): Interval =>
  a.to < a.from ? b : b.to < b.from ? a : { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) };

/** The positions that an interval of a node reads of its source, those beyond its ends too. */
function reads(node: AxisNode, wanted: Interval): Interval {
  if (node.kind === 'window') {
    const from = floorDiv(wanted.from * node.step + node.first, node.over);
    const to = floorDiv(wanted.to * node.step + node.last, node.over);
    return { from, to };
  }
  if (node.kind !== 'table') return wanted;
  let [from, to] = [Number.POSITIVE_INFINITY, -1];
  for (let at = wanted.from * node.taps; at < (wanted.to + 1) * node.taps; at++) {
    from = Math.min(from, node.index[at]);
    to = Math.max(to, node.index[at]);
  }
  return { from, to };
}

/** The shortest part that can do: how much of the input may be left off before it, and after it. */
export interface Spare {
  readonly before: number;
  readonly after: number;
}

/**
 * What a part must have to give the wanted positions of some values: all that these are made of, in every value on the
 * way. A network that cuts off an end of its picture does so with a part too, so a part may need more than is read.
 */
export function spareFor(
  graph: AxisGraph,
  ratios: readonly Ratio[],
  wanted: ReadonlyMap<number, Interval>,
): Spare {
  const open = graph.map((_, at) => wanted.get(at) ?? EMPTY);
  let [before, after] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let at = graph.length - 1; at >= 0; at--) {
    const node = graph[at];
    const { from, to } = open[at];
    if (to < from) continue;
    const { output, input } = ratios[at];
    before = Math.min(before, Math.floor((from * input) / output));
    after = Math.min(after, Math.floor(((node.size - 1 - to) * input) / output));
    for (const source of sourcesOf(node)) {
      const { size } = graph[source];
      const read = reads(node, open[at]);
      // What sees beyond an end of the picture must have that end.
      if (read.from < 0) before = 0;
      if (read.to >= size) after = 0;
      open[source] = join(open[source], { from: Math.max(0, read.from), to: Math.min(size - 1, read.to) });
    }
  }
  return { before, after };
}

/** What is right in a value of a part: positions of the part; and where its position 0 stands in the whole. */
export interface Settled extends Interval {
  readonly offset: number;
}

/** The longest run of positions that pass. */
function longestRun(size: number, passes: (at: number) => boolean): Interval {
  let best = EMPTY;
  for (let at = 0; at < size; at++) {
    const from = at;
    while (at < size && passes(at)) at++;
    if (at - 1 - from > best.to - best.from) best = { from, to: at - 1 };
  }
  return best;
}

function settleWindow(
  whole: WindowNode,
  part: WindowNode,
  source: Settled,
  sizes: { readonly whole: number; readonly part: number },
): Settled | undefined {
  const { step, over, first, last } = part;
  if (whole.step !== step || whole.over !== over || whole.last - whole.first !== last - first)
    return undefined;
  // ⌊(i·step + first)/over⌋ + source.offset is ⌊((i + offset)·step + whole.first)/over⌋ for all i.
  const offset = (source.offset * over + first - whole.first) / step;
  if (!Number.isInteger(offset)) return undefined;
  // Beyond an end of the picture part and whole see the same constant.
  const open = source.from === 0 && source.offset === 0;
  const closed = source.to === sizes.part - 1 && source.offset + sizes.part === sizes.whole;
  const from = open ? 0 : ceilDiv(source.from * over - first, step);
  const to = closed ? part.size - 1 : floorDiv((source.to + 1) * over - 1 - last, step);
  return { offset, from, to };
}

function settleTable(
  whole: TableNode,
  part: TableNode,
  source: Settled,
  ratio: { readonly node: Ratio; readonly source: Ratio },
): Settled | undefined {
  if (whole.taps !== part.taps) return undefined;
  const { taps } = part;
  const moved =
    (source.offset * ratio.node.output * ratio.source.input) / (ratio.node.input * ratio.source.output);
  if (!Number.isInteger(moved)) return undefined;
  const passes = (i: number) => {
    const o = i + moved;
    if (o < 0 || o >= whole.size) return false;
    for (let t = 0; t < taps; t++) {
      const read = part.index[i * taps + t];
      if (read < source.from || read > source.to) return false;
      if (read + source.offset !== whole.index[o * taps + t]) return false;
      if (part.weight[i * taps + t] !== whole.weight[o * taps + t]) return false;
    }
    return true;
  };
  return { offset: moved, ...longestRun(part.size, passes) };
}

/**
 * What is right in each value of a part that begins at `offset`.
 *
 * @param whole the graph of the whole picture
 * @param part the graph of a picture as long as the part
 * @throws DeconvError where the part is another network than the whole, or nothing is right
 */
export function settle(
  whole: AxisGraph,
  part: AxisGraph,
  offset: number,
  ratios: readonly Ratio[],
): Settled[] {
  if (whole.length !== part.length) {
    refuseTiling(
      'the network',
      `makes ${part.length} values of a part and ${whole.length} of the whole picture`,
    );
  }
  const settled: Settled[] = [];
  for (const [at, node] of part.entries()) {
    const beside = whole[at];
    const found = settleNode(beside, node, offset, settled, (source) => ({
      sizes: { whole: whole[source].size, part: part[source].size },
      ratio: { node: ratios[at], source: ratios[source] },
    }));
    const { label } = node;
    if (found === undefined)
      return refuseTiling(label, 'does something else with a part than with the whole picture');
    // A part is shorter by whole alignments, and so must be all that is made of it.
    const shorter = ((whole[0].size - part[0].size) * ratios[at].output) / ratios[at].input;
    if (beside.size - node.size !== shorter) {
      refuseTiling(
        label,
        `makes ${node.size} positions of a part of ${part[0].size}, and ${beside.size} of the whole ${whole[0].size}`,
      );
    }
    // Nothing beyond what the whole has.
    const from = Math.max(0, found.from, -found.offset);
    const to = Math.min(node.size - 1, found.to, beside.size - 1 - found.offset);
    if (to < from) refuseTiling(label, 'has nothing right in a part: the part is too small for it');
    settled.push({ offset: found.offset, from, to });
  }
  return settled;
}

interface Beside {
  readonly sizes: { readonly whole: number; readonly part: number };
  readonly ratio: { readonly node: Ratio; readonly source: Ratio };
}

function settleNode(
  whole: AxisNode,
  part: AxisNode,
  offset: number,
  settled: readonly Settled[],
  beside: (source: number) => Beside,
): Settled | undefined {
  if (part.kind === 'input')
    return whole.kind === 'input' ? { offset, from: 0, to: part.size - 1 } : undefined;
  if (part.kind === 'join') {
    if (whole.kind !== 'join' || whole.sources.join() !== part.sources.join()) return undefined;
    if (whole.numbers?.join() !== part.numbers?.join()) return undefined;
    const all = part.sources.map((source) => settled[source]);
    if (all.some((one) => one.offset !== all[0].offset)) return undefined;
    return {
      offset: all[0].offset,
      from: Math.max(...all.map(({ from }) => from)),
      to: Math.min(...all.map(({ to }) => to)),
    };
  }
  if (whole.kind !== part.kind || whole.source !== part.source) return undefined;
  const source = settled[part.source];
  const { sizes, ratio } = beside(part.source);
  return part.kind === 'window'
    ? settleWindow(whole as WindowNode, part, source, sizes)
    : settleTable(whole as TableNode, part, source, ratio);
}
