import { describe, expect, it } from 'vitest';
import {
  type AxisGraph,
  type AxisNode,
  alignmentOf,
  pruned,
  ratiosOf,
  settle,
  spareFor,
} from './axis-graph.js';

const input = (size: number): AxisNode => ({ kind: 'input', size, label: 'the input' });
const conv = (source: number, size: number, k: number, s: number, p: number): AxisNode => ({
  kind: 'window',
  source,
  size,
  step: s,
  over: 1,
  first: -p,
  last: k - 1 - p,
  label: 'a convolution',
});
/** Kernel 2, stride 2: position o reads ⌊o / 2⌋. */
const grow = (source: number, size: number): AxisNode => ({
  kind: 'window',
  source,
  size,
  step: 1,
  over: 2,
  first: 0,
  last: 0,
  label: 'a transposed convolution',
});
const join = (sources: number[], size: number): AxisNode => ({ kind: 'join', sources, size, label: 'add' });
/** Linear interpolation to twice the length, half-pixel centres, clamped. */
const doubled = (source: number, n: number): AxisNode => {
  const places = Array.from({ length: 2 * n }, (_, o) => Math.max(0, (o + 0.5) / 2 - 0.5));
  const index = places.flatMap((at) => [Math.floor(at), Math.min(n - 1, Math.floor(at) + 1)]);
  const weight = places.flatMap((at) => [1 - (at % 1), at % 1]);
  const map = { index: Int32Array.from(index), weight: Float64Array.from(weight) };
  return { kind: 'table', source, size: 2 * n, taps: 2, ...map, label: 'a resampling' };
};

/** y = x + grow(conv k3 s2 p1), for an even length. */
const network = (n: number): AxisGraph => [input(n), conv(0, n / 2, 3, 2, 1), grow(1, n), join([0, 2], n)];

describe('ratios and alignment', () => {
  it('halve and double', () => {
    expect(ratiosOf(network(32)).map(({ output, input: i }) => `${output}/${i}`)).toEqual([
      '1/1',
      '1/2',
      '1/1',
      '1/1',
    ]);
    expect(alignmentOf(ratiosOf(network(32)))).toBe(2);
  });

  it('are the least common multiple of what each value needs', () => {
    const graph = [input(60), conv(0, 30, 2, 2, 0), conv(0, 20, 3, 3, 0), conv(1, 7, 4, 4, 0)];
    expect(alignmentOf(ratiosOf(graph))).toBe(24);
  });

  it('are read off a table where no end disturbs', () => {
    expect(ratiosOf([input(32), doubled(0, 32)])[1]).toEqual({ output: 2, input: 1 });
  });

  it('keep the scale where a short picture is padded by more than lies in between', () => {
    const index = [4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2];
    const mirrored: AxisNode = {
      ...doubled(0, 7),
      size: index.length,
      taps: 1,
      index: Int32Array.from(index),
      weight: new Float64Array(index.length).fill(1),
    } as AxisNode;
    expect(ratiosOf([input(7), mirrored])[1]).toEqual({ output: 1, input: 1 });
  });

  it('refuse a table that never repeats, and values of different scales side by side', () => {
    const index = Int32Array.from({ length: 64 }, (_, o) => Math.floor(o ** 1.3 / 4));
    const warped: AxisNode = {
      ...doubled(0, 32),
      taps: 1,
      index,
      weight: new Float64Array(64).fill(1),
    } as AxisNode;
    expect(() => ratiosOf([input(64), warped])).toThrow('a resampling reads positions that do not repeat');
    expect(() => ratiosOf([input(64), conv(0, 0, 2, 2, 0), grow(1, 3)])).toThrow('a convolution is empty');
    expect(() => ratiosOf([input(64), conv(0, 64, 2, 2, 64), join([0, 1], 64)])).toThrow(
      'add joins values of different scales',
    );
  });
});

describe('what a part must have', () => {
  const spare = (graph: AxisGraph, at: number, from: number, to: number) =>
    spareFor(graph, ratiosOf(graph), new Map([[at, { from, to }]]));

  it('is all that is read on the way', () => {
    // 10 … 13 through grow: 5 and 6 of the convolution, which read 9 … 13; beside the input itself.
    expect(spare(network(32), 3, 10, 13)).toEqual({ before: 9, after: 18 });
    expect(spare(network(32), 3, 0, 1)).toEqual({ before: 0, after: 30 });
    expect(spare(network(32), 3, 28, 31)).toEqual({ before: 27, after: 0 });
  });

  it('is an end of the picture where that is seen', () => {
    const padded: AxisNode = { ...conv(0, 48, 1, 1, 8), label: 'a padding' };
    expect(spare([input(32), padded], 1, 4, 6)).toEqual({ before: 0, after: 41 });
    expect(spare([input(32), padded], 1, 42, 44)).toEqual({ before: 42, after: 0 });
  });

  it('is looked up in tables', () => {
    const graph = [input(32), doubled(0, 32)];
    expect(spare(graph, 1, 10, 11)).toEqual({ before: 4, after: 25 });
    expect(spare(graph, 1, 0, 0)).toEqual({ before: 0, after: 30 });
  });

  it('is more where ends are cut off', () => {
    // Positions 5 … 24 of 32 are left: of a part that begins at 5, the first that is left would be 10.
    const cropped: AxisNode = { ...conv(0, 20, 1, 1, -5), label: 'a slice' };
    expect(spare([input(32), cropped], 1, 0, 3)).toEqual({ before: 0, after: 16 });
    expect(spare([input(32), cropped], 1, 16, 19)).toEqual({ before: 16, after: 0 });
  });
});

describe('what is right in a part', () => {
  const whole = network(32);
  const rightIn = (offset: number, size: number) => {
    const [, y, up, sum] = settle(whole, network(size), offset, ratiosOf(whole));
    return [y, up, sum].map(({ offset: o, from, to }) => [o, from, to]);
  };

  it('stops short of ends that are none of the picture', () => {
    // The first output of the convolution reads position −1: padding in the part, the picture in the whole.
    expect(rightIn(8, 10)).toEqual([
      [4, 1, 4],
      [8, 2, 9],
      [8, 2, 9],
    ]);
  });

  it('goes up to the ends of the picture', () => {
    expect(rightIn(0, 10)[2]).toEqual([0, 0, 9]);
    expect(rightIn(22, 10)[2]).toEqual([22, 2, 9]);
    expect(rightIn(0, 32)[2]).toEqual([0, 0, 31]);
  });

  it('is nothing off the alignment', () => {
    expect(() => rightIn(7, 10)).toThrow(
      'a convolution does something else with a part than with the whole picture',
    );
  });

  it('is nothing where the part is another network', () => {
    expect(() => settle(whole, network(10).slice(0, 3), 0, ratiosOf(whole))).toThrow(
      'the network makes 3 values of a part and 4 of the whole picture',
    );
  });

  it('holds tables against each other weight by weight', () => {
    const graph = [input(32), doubled(0, 32)];
    const ratios = ratiosOf(graph);
    // Clamped at its own ends, right elsewhere.
    expect(settle(graph, [input(8), doubled(0, 8)], 4, ratios)[1]).toEqual({ offset: 8, from: 1, to: 14 });
    expect(settle(graph, [input(8), doubled(0, 8)], 24, ratios)[1]).toEqual({ offset: 48, from: 1, to: 15 });
    const other = doubled(0, 8);
    if (other.kind === 'table') other.weight[8] += 2 ** -52;
    expect(settle(graph, [input(8), other], 4, ratios)[1]).toEqual({ offset: 8, from: 5, to: 14 });
  });
});

describe('pruning', () => {
  it('leaves what the outputs are made of', () => {
    const { graph, wanted } = pruned([...network(8), conv(0, 8, 1, 1, 0), join([4, 0], 8)], [5]);
    expect(graph.map(({ label }) => label)).toEqual(['the input', 'a convolution', 'add']);
    expect(graph[2]).toMatchObject({ sources: [1, 0] });
    expect(wanted).toEqual([2]);
  });
});
