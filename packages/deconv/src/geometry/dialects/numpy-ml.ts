/**
 * dialects/numpy-ml: `conv2D` and `deconv2D_naive` of numpy-ml: NHWC, weights (rows, columns, in, out), one stride for both
 * axes, and dilation counted from **0** (the number of rows *between* taps), so ours is theirs + 1.
 *
 * Its deconvolution inserts zeros, adds `pad`, adds 2(e − 1) − pads more so that the result is s(n−1) + e long, correlates
 * with the kernel turned by 180° (which is our scatter with the kernel as it stands: no flip is needed), and cuts `pad` off
 * again. So its `pad` crops, as in PyTorch: out = s(n−1) + e − before − after.
 *
 * - A pad (p, q) that differs on the two sides really crops ceil((p + q)/2) before: the zeros added in the middle step
 *   are shared out evenly, not as asked. Its rows are shifted. Here the asked-for p is cropped before; `asImplemented: true` gives
 *   numpy-ml's own pixels instead.
 * - 'same' of the deconvolution means s(n−1) + 1, one more than its zero-filled input has gaps, and not n·s: floor((e−1)/2) is
 *   meant before. For even extents the previous point applies.
 * - 'same' of the convolution means out = n for every stride, not ceil(n/s).
 * - A pad above e − 1 is refused by numpy-ml, though it is a valid crop.
 */
import { refuse, show } from '../../errors.js';
import type { Pad } from '../axis.js';
import { extents, pairs, scalar, share, symmetric, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  stride: 'one number for both axes',
  pad: "number, (rows, columns), (top, bottom, left, right) or 'same'",
  dilation: 'rows between taps, counted from 0: ours − 1',
};

/** Explicit pads, or undefined for 'same'. */
function readPad(read: Reading): Pad[] | undefined {
  const value = read.raw('pad') ?? 0;
  if (typeof value === 'string') {
    read.name('pad', ['same'], 'same');
    return undefined;
  }
  const list = Array.isArray(value) ? value : [value];
  if (![1, 2, 4].includes(list.length) || !list.every((p) => Number.isInteger(p) && p >= 0)) {
    refuse(read.where, 'pad', `pad must be 'same' or 1, 2 or 4 integers ≥ 0, got ${show(value)}`);
  }
  const [a, b = a, c, d] = list as number[];
  const [top, bottom, left, right] = list.length === 4 ? [a, b, c, d] : [a, a, b, b];
  return [
    { before: top, after: bottom },
    { before: left, after: right },
  ];
}

export const numpyMl: Dialect = {
  name: 'numpy-ml',
  about: 'numpy-ml: conv2D, deconv2D_naive',
  options: {
    conv: shared,
    convTranspose: {
      ...shared,
      asImplemented: 'true: numpy-ml’s own pixels where its padding is wrong. Default false',
    },
  },
  perAxis: [],
  rank: 2,

  from(read: Reading) {
    const s = read.int('stride', 1, 1);
    const d = read.int('dilation', 0, 0) + 1;
    const [stride, dilation] = [
      [s, s],
      [d, d],
    ];
    const rest = { layout: 'HWIO', dataFormat: 'NHWC' as const };
    const notes = [`dilation is counted from 0 there: ${d - 1} is ${d} here`];
    let pads = readPad(read);
    if (read.op === 'conv') {
      if (pads === undefined) {
        const e = extents(read.needKernel("'same' depends on it"), dilation);
        const size = s === 1 ? undefined : read.needInput("at stride > 1 'same' depends on it");
        pads = e.map((extent, a) => {
          const n = size?.[a] ?? 1;
          return share(s * (n - 1) + extent - n, 'after');
        });
        if (s > 1) notes.push("'same' keeps the input's size there, whatever the stride");
      }
      notes.push(...unevenNotes(read.op, pads));
      return { options: { stride, dilation, padding: pairs(pads) }, ...rest, notes };
    }
    if (pads === undefined) {
      const e = extents(read.needKernel("'same' depends on it"), dilation);
      pads = e.map((extent) => share(extent - 1, 'after'));
      notes.push("'same' means stride·(n−1) + 1 there, not n·stride");
    }
    const own = pads.map(({ before, after }) => {
      const half = Math.ceil((before + after) / 2);
      return { before: half, after: before + after - half };
    });
    const asImplemented = read.flag('asImplemented', false);
    for (const [axis, { before }] of pads.entries()) {
      const shift = own[axis].before - before;
      if (shift === 0) continue;
      const which = asImplemented
        ? `as numpy-ml does; ${before} was asked for`
        : `numpy-ml itself crops ${own[axis].before}`;
      notes.push(
        `axis ${axis} crops ${asImplemented ? own[axis].before : before} before (${which}, ${Math.abs(shift)} off)`,
      );
    }
    return { options: { stride, dilation, padding: pairs(asImplemented ? own : pads) }, ...rest, notes };
  },

  to(it: Explicit): Said {
    if (it.rank !== 2)
      return { reason: `numpy-ml's conv2D and deconv2D_naive are 2-D, this has rank ${it.rank}` };
    if (it.groups !== 1) return { reason: `numpy-ml has no groups, this has ${it.groups}` };
    const [stride, d] = [scalar(it.stride), scalar(it.dilation)];
    if (stride === undefined)
      return { reason: `numpy-ml has one stride for both axes, this has ${show(it.stride)}` };
    if (d === undefined)
      return { reason: `numpy-ml has one dilation for both axes, this has ${show(it.dilation)}` };
    if (it.pads === undefined)
      return { reason: "numpy-ml's 'same' is another one: give inputSize and kernelSize" };
    if (it.pads.some(({ before, after }) => before < 0 || after < 0)) {
      return { reason: `numpy-ml has no negative pad, this has ${show(pairs(it.pads))}` };
    }
    if (it.op === 'convTranspose') {
      if (!symmetric(it.pads)) {
        return {
          reason: `numpy-ml shifts a crop that differs on its two sides, this has ${show(pairs(it.pads))}`,
        };
      }
      if (it.kernelSize !== undefined) {
        const e = extents(it.kernelSize, it.dilation);
        const wide = it.pads.findIndex(({ before }, a) => before > e[a] - 1);
        if (wide >= 0) {
          return {
            reason: `numpy-ml refuses pad ${it.pads[wide].before} > kernel extent − 1 = ${e[wide] - 1}`,
          };
        }
      }
    }
    const pad = pairs(it.pads).flat();
    return {
      options: { stride, pad: scalar(pad) ?? pad, dilation: d - 1 },
      layout: 'HWIO',
      dataFormat: 'NHWC',
    };
  },
};
