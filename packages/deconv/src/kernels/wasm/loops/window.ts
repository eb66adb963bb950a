/**
 * Loops through sliding windows: the place of each window's largest value, values by place and back, unfold and fold. All
 * go row by row: for one tap and one row of windows, the inputs lie a stride apart, and which windows see the tap is known
 * beforehand, so that nothing is asked within a row.
 */
import type { OpTable } from '../../../backend.js';
import { lift } from '../../../geometry/three-axes.js';
import { type WindowGeometry, withinReach } from '../../../geometry/window.js';
import { sizeOf } from '../../../shape.js';
import { SLACK } from '../commands.js';
import { accumulate, copy } from '../row-kernels.js';
import { larger, largest, MOST_TAPS, paddedArgMax, paddedMax, windowMax } from '../window-kernels.js';
import { type Ground, integersAt, type Loop } from './ground.js';

/** Floats of largest values that are kept at a time. */
const BEST_FLOATS = 1 << 19;

/**
 * Per axis (missing ones in front) and tap within reach: its number, the windows that see an input there, and the input of the first.
 */
function reachOf(w: WindowGeometry) {
  const sizes = { n: lift(w.inputSize, 1), out: lift(w.outputSize, 1), k: lift(w.kernelSize, 1) };
  const steps = { s: lift(w.stride, 1), d: lift(w.dilation, 1), p: lift(w.padding, 0) };
  const within = withinReach(w);
  const [counts, padding] = [lift(within.kernelSize, 1), lift(within.padding, 0)];
  const taps = ([0, 1, 2] as const).map((a) => {
    const [n, s, d] = [sizes.n[a], steps.s[a], steps.d[a]];
    const left = (steps.p[a] - padding[a]) / d;
    return Array.from({ length: counts[a] }, (_, i) => {
      const shift = i * d - padding[a];
      const from = Math.max(0, Math.ceil(-shift / s));
      const to = Math.min(sizes.out[a], Math.floor((n - 1 - shift) / s) + 1);
      return { tap: left + i, from, count: Math.max(0, to - from), at: from * s + shift };
    });
  });
  return { ...sizes, stride: steps.s, taps };
}

/** Windows along each axis: from the first to one past the last. */
type Box = readonly (readonly [from: number, to: number])[];

/**
 * Visits, tap by tap, the levels of windows that see an input: the flat number of the tap, the flat places of the first
 * window and of its input, and how many rows and columns of windows there are. All windows, or those of a box.
 */
function eachTap(
  w: WindowGeometry,
  visit: (tap: number, window: number, place: number, rows: number, columns: number) => void,
  box?: Box,
): void {
  const { n, out, k, stride, taps } = reachOf(w);
  const [depth, height, width] = taps.map((list, axis) =>
    list.map(({ tap, from, count, at }) => {
      const [low, high] = box?.[axis] ?? [0, out[axis]];
      const first = Math.max(from, low);
      const end = Math.min(from + count, high);
      return { tap, from: first, count: Math.max(0, end - first), at: at + (first - from) * stride[axis] };
    }),
  );
  for (const z of depth) {
    for (const y of height) {
      for (const x of width) {
        const tap = (z.tap * k[1] + y.tap) * k[2] + x.tap;
        for (let l = 0; l < z.count && y.count > 0 && x.count > 0; l++) {
          const window = ((z.from + l) * out[1] + y.from) * out[2] + x.from;
          const place = ((z.at + l * stride[0]) * n[1] + y.at) * n[2] + x.at;
          visit(tap, window, place, y.count, x.count);
        }
      }
    }
  }
}

/** Parts that windows are shared in, by planes, at most. */
const PARTS = 16;
/** Bytes for planes with padding around them, one for each part. */
const PADDED_ROOM = 4 * 1024 * 1024;

/**
 * Planes of windows that are copied, one at a time, to where there is padding around them: how many planes are done in one part, and for
 * the first of them what kernels want to know. Undefined for windows that they do not take.
 */
function paddedPlanes(ground: Ground, w: WindowGeometry, source: number) {
  const { n, out, k, stride } = reachOf(w);
  const [down, across] = [w.dilation.at(-2) ?? 1, w.dilation.at(-1) ?? 1];
  const [above, before] = [w.padding.at(-2) ?? 0, w.padding.at(-1) ?? 0];
  // What windows see of a plane, padding included.
  const height = (out[1] - 1) * stride[1] + (k[1] - 1) * down + 1;
  const width = (out[2] - 1) * stride[2] + (k[2] - 1) * across + 1;
  const floats = height * width + SLACK;
  const parts = Math.min(PARTS, Math.floor(PADDED_ROOM / (4 * floats)));
  if (w.rank > 2 || k[1] * k[2] > MOST_TAPS || parts < 2) return undefined;
  const room = ground.residency.room(4 * floats * parts);
  const planes = w.batch * w.channels;
  const each = Math.ceil(planes / parts);
  const from = sizeOf(w.inputSize);
  const [rows, columns] = [Math.min(n[1], height - above), Math.min(n[2], width - before)];
  return {
    each,
    kind: { rows: k[1], columns: k[2], apart: across },
    fill: () => ground.floats(room, floats * parts).fill(Number.NEGATIVE_INFINITY),
    /** src, srcPlane, line, padded, inner, pitch, height, width, srcRow, tapRow, step */
    arguments: (plane: number) => {
      const padded = room + (4 * floats * plane) / each;
      return [
        ...[source + 4 * plane * from, 4 * from, 4 * n[2]],
        ...[padded, padded + 4 * (above * width + before), 4 * width, rows, columns],
        ...[4 * stride[1] * width, 4 * down * width, 4 * stride[2]],
      ] as const;
    },
    /** Places within a plane: of the first window, and from row to row of windows and of taps. */
    places: [-above * n[2] - before, stride[1] * n[2], down * n[2]] as const,
  };
}

/** Calls `pool` for so many planes at a time; threads share these parts. */
function inParts(
  { kernels }: Ground,
  w: WindowGeometry,
  each: number,
  pool: (plane: number, count: number) => void,
): void {
  const planes = w.batch * w.channels;
  kernels.shared(planes * sizeOf(w.outputSize) * sizeOf(w.kernelSize), false, (part) => {
    for (let plane = 0; plane < planes; plane += each)
      part(() => pool(plane, Math.min(each, planes - plane)));
  });
}

/** (x) → each window's largest value; a NaN is larger than all, −∞ if it sees nothing. Padding is never chosen. */
export const poolMax: Loop<OpTable['pool.max']> = (ground, [x], given) => {
  const w = withinReach(given);
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  const planes = w.batch * w.channels;
  const { n, out, k, stride, taps } = reachOf(w);
  const { kernels } = ground;
  const source = ground.at(x);
  const { storage, at } = ground.result(planes * to);
  // Along each axis, the windows that see an input at every tap.
  const inner = taps.map((list, axis) => {
    // The first tap is the last to come in, and the last the first to leave.
    const [{ from }, last] = [list[0], list[list.length - 1]];
    return [from, Math.max(from, Math.min(out[axis], last.from + last.count))] as const;
  });
  const whole = k[0] === 1 && k[1] * k[2] <= MOST_TAPS && inner.every(([from, end]) => from < end);
  // Around them, along one axis after the other, those that see less.
  const edges = inner.flatMap(([from, end], axis) =>
    [[0, from] as const, [end, out[axis]] as const].map((range) =>
      out.map((count, other) => (other < axis ? inner[other] : other > axis ? ([0, count] as const) : range)),
    ),
  );
  const outer = whole ? edges.filter((box) => box.every(([from, end]) => from < end)) : [undefined];
  const padded = outer.length > 0 ? paddedPlanes(ground, w, source) : undefined;
  if (padded !== undefined) {
    padded.fill();
    const kernel = paddedMax(padded.kind);
    inParts(ground, w, padded.each, (plane, count) => {
      const target = [at + 4 * plane * to, 4 * to, 4 * out[2]] as const;
      kernels.call(kernel, ...target, ...padded.arguments(plane), count, out[1], out[2]);
    });
    return storage;
  }

  if (outer.length > 0) ground.floats(at, storage.length).fill(Number.NEGATIVE_INFINITY);
  const [down, across] = [w.dilation.at(-2) ?? 1, w.dilation.at(-1) ?? 1];
  const tapDown = 4 * down * n[2];
  const inside = windowMax({ rows: k[1], columns: k[2], apart: across });
  const pool = (plane: number, count: number) => {
    /** Where windows and their inputs lie, and how far those of the next plane and row. */
    const rowsAt = (window: number, place: number) =>
      [
        ...[at + 4 * (plane * to + window), 4 * to, 4 * out[2]],
        ...[source + 4 * (plane * from + place), 4 * from, 4 * stride[1] * n[2]],
      ] as const;
    const step = 4 * stride[2];
    if (whole)
      eachTap(
        w,
        (tap, window, place, rows, columns) => {
          if (tap === 0) kernels.call(inside, ...rowsAt(window, place), tapDown, step, count, rows, columns);
        },
        inner,
      );
    for (const box of outer)
      eachTap(
        w,
        (_, window, place, rows, columns) =>
          kernels.call(larger, ...rowsAt(window, place), step, count, rows, columns),
        box,
      );
  };
  inParts(ground, w, Math.ceil(planes / PARTS), pool);
  return storage;
};

/** (x) → flat position of each window's largest value: the first of equals, a NaN before all. Padding is never chosen. */
export const poolArgMax: Loop<OpTable['pool.argMax']> = (ground, [x], given) => {
  const w = withinReach(given);
  const planes = w.batch * w.channels;
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  const { n, out, stride } = reachOf(w);
  const { kernels, residency } = ground;
  const source = ground.at(x);
  const padded = paddedPlanes(ground, w, source);
  // Planes that are gone through at a time, each with room for its largest values.
  const each = Math.max(1, Math.min(planes, Math.floor(BEST_FLOATS / Math.max(1, to))));
  const best = padded === undefined ? residency.room(4 * each * to) : 0;
  const places = residency.room(4 * out[2]);
  const { storage, at } = ground.result(planes * to, 'int32');
  for (let o = 0, p = integersAt(ground, places, out[2]); o < out[2]; o++) p[o] = o * stride[2];
  // To begin with, the first input that each window sees; −1 if it sees none.
  const first = new Int32Array(to).fill(-1);
  eachTap(w, (_, window, place, rows, columns) => {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const o = window + r * out[2] + c;
        if (first[o] < 0) first[o] = place + r * stride[1] * n[2] + c * stride[2];
      }
    }
  });
  if (padded !== undefined) {
    const firsts = residency.room(4 * to);
    padded.fill();
    integersAt(ground, firsts, to).set(first);
    const kernel = paddedArgMax(padded.kind);
    inParts(ground, w, padded.each, (plane, count) => {
      const tables = [places, firsts, ...padded.places] as const;
      const target = at + 4 * plane * to;
      kernels.call(kernel, target, ...padded.arguments(plane), ...tables, count, out[1], out[2]);
    });
    return storage;
  }
  const [srcRow, placeRow] = [4 * stride[1] * n[2], stride[1] * n[2]];
  const pool = (plane: number) =>
    eachTap(w, (_, window, place, rows, columns) => {
      const target = [best + 4 * ((plane % each) * to + window), at + 4 * (plane * to + window)] as const;
      const input = [source + 4 * (plane * from + place), srcRow, 4 * stride[2]] as const;
      kernels.call(largest, ...target, 4 * out[2], ...input, places, place, placeRow, rows, columns);
    });
  for (let plane = 0; plane < planes; plane += each) {
    const end = Math.min(planes, plane + each);
    ground.floats(best, each * to).fill(Number.NEGATIVE_INFINITY);
    for (let i = plane; i < end; i++) integersAt(ground, at + 4 * i * to, to).set(first);
    kernels.shared((end - plane) * to * sizeOf(w.kernelSize), false, (part) => {
      for (let i = plane; i < end; i++) part(() => pool(i));
    });
  }
  return storage;
};

/** (x, indices) → x[index] per plane. */
export const planeGather: Loop<OpTable['plane.gather']> = (ground, [x, indices], { planes, from, to }) => {
  const [source, index] = [ground.at(x), ground.at(indices)];
  const { storage, at } = ground.result(planes * to);
  const [values, places] = [ground.floats(source, planes * from), integersAt(ground, index, planes * to)];
  const out = ground.floats(at, planes * to);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    const base = plane * from;
    for (const end = i + to; i < end; i++) out[i] = values[base + places[i]];
  }
  return storage;
};

/** (x, indices) → zeros with x added or set at the indices, per plane. */
export const planeScatter: Loop<OpTable['plane.scatter']> = (ground, [x, indices], attributes) => {
  const { planes, from, to, mode } = attributes;
  const [source, index] = [ground.at(x), ground.at(indices)];
  const { storage, at } = ground.result(planes * to);
  const [values, places] = [ground.floats(source, planes * from), integersAt(ground, index, planes * from)];
  const out = ground.floats(at, planes * to).fill(0);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    const base = plane * to;
    const end = i + from;
    if (mode === 'add') for (; i < end; i++) out[base + places[i]] += values[i];
    else for (; i < end; i++) out[base + places[i]] = values[i];
  }
  return storage;
};

/** Rows of columns and of pictures, one copied or added to the other, tap by tap. */
function moveColumns(
  ground: Ground,
  w: WindowGeometry,
  columns: number,
  picture: number,
  back: boolean,
): void {
  const { kernels } = ground;
  const [from, to, taps] = [sizeOf(w.inputSize), sizeOf(w.outputSize), sizeOf(w.kernelSize)];
  const { n, out, stride } = reachOf(w);
  const [pictureRow, pictureStep, columnsRow] = [4 * stride[1] * n[2], 4 * stride[2], 4 * out[2]];
  const move = (plane: number) =>
    eachTap(w, (tap, window, place, rows, count) => {
      const inPicture = [picture + 4 * (plane * from + place), pictureRow] as const;
      const inColumns = [columns + 4 * ((plane * taps + tap) * to + window), columnsRow] as const;
      if (pictureStep > 4) {
        const [a, b] = [[...inPicture, pictureStep] as const, [...inColumns, 4] as const];
        if (back) kernels.call(accumulate, ...a, ...b, rows, count);
        else kernels.call(copy, ...b, ...a, rows, count);
      } else if (back) kernels.apply('a+b', 'ab', '11', inPicture, rows, count, [inPicture, inColumns]);
      else kernels.apply('x', 'x', '1', inColumns, rows, count, [inPicture]);
    });
  kernels.shared(w.batch * w.channels * taps * to, false, (part) => {
    for (let plane = 0; plane < w.batch * w.channels; plane++) part(() => move(plane));
  });
}

/** (x) of (N, C, …space) → columns (N, C·|k|, windows). */
export const unfold: Loop<OpTable['unfold']> = (ground, [x], w) => {
  const from = ground.at(x);
  const length = w.batch * w.channels * sizeOf(w.kernelSize) * sizeOf(w.outputSize);
  const { storage, at } = ground.result(length);
  const { taps, out, k } = reachOf(w);
  const full = taps.every(
    (list, axis) => list.length === k[axis] && list.every(({ count }) => count === out[axis]),
  );
  if (!full) ground.floats(at, length).fill(0);
  moveColumns(ground, w, at, from, false);
  return storage;
};

/** (columns) → (N, C, …space), overlaps added: the adjoint of {@link unfold}. */
export const fold: Loop<OpTable['fold']> = (ground, [columns], w) => {
  const from = ground.at(columns);
  const length = w.batch * w.channels * sizeOf(w.inputSize);
  const { storage, at } = ground.result(length);
  ground.floats(at, length).fill(0);
  moveColumns(ground, w, from, at, true);
  return storage;
};
