/**
 * dialects/webnn: `MLGraphBuilder.conv2d` and `convTranspose2d` of the Web Neural Network API.
 *
 * The formulas are ours; only the writing differs: padding is flat, [beginH, endH, beginW, endW], layouts are named, and
 * outputSizes, when given, takes the place of outputPadding (which is then ignored, as that standard says).
 *
 * Refuses negative paddings (they are unsigned there) and outputPadding ≥ strides.
 *
 * Source: W3C Candidate Recommendation "Web Neural Network API", conv2d and convTranspose2d.
 */
import { refuse, show } from '../../errors.js';
import { pairs, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  padding: '[beginH, endH, beginW, endW]',
  strides: 'as our stride',
  dilations: 'as our dilation',
  groups: 'as ours',
  inputLayout: "'nchw' (default) or 'nhwc'",
};

export const webnn: Dialect = {
  name: 'webnn',
  about: 'Web Neural Network API: conv2d, convTranspose2d',
  options: {
    conv: { ...shared, filterLayout: "'oihw' (default), 'hwio', 'ohwi' or 'ihwo'" },
    convTranspose: {
      ...shared,
      filterLayout: "'iohw' (default), 'hwoi' or 'ohwi'",
      outputPadding: 'as ours, but < strides',
      outputSizes: '[height, width] of the output; outputPadding is then ignored',
    },
  },
  perAxis: ['strides', 'dilations'],
  rank: 2,

  from(read: Reading) {
    const base = {
      stride: read.ints('strides', 1, 1),
      dilation: read.ints('dilations', 1, 1),
      groups: read.int('groups', 1, 1),
    };
    const flat = read.raw('padding') ?? [0, 0, 0, 0];
    if (!Array.isArray(flat) || flat.length !== 4 || !flat.every((p) => Number.isInteger(p) && p >= 0)) {
      refuse(
        read.where,
        'padding',
        `padding must be [beginH, endH, beginW, endW], integers ≥ 0, got ${show(flat)}`,
      );
    }
    const pads = [0, 2].map((at) => ({ before: flat[at] as number, after: flat[at + 1] as number }));
    const last = read.name('inputLayout', ['nchw', 'nhwc'], 'nchw') === 'nhwc';
    const dataFormat = last ? ('NHWC' as const) : ('NCHW' as const);
    const notes = unevenNotes(read.op, pads);
    if (read.op === 'conv') {
      const layout = read.name('filterLayout', ['oihw', 'hwio', 'ohwi', 'ihwo'], 'oihw').toUpperCase();
      return { options: { ...base, padding: pairs(pads) }, layout, dataFormat, notes };
    }
    const layout = read.name('filterLayout', ['iohw', 'hwoi', 'ohwi'], 'iohw').toUpperCase();
    const outputShape = read.maybeInts('outputSizes', 1);
    const outputPadding = read.ints('outputPadding', 0, 0);
    for (const [axis, extra] of outputPadding.entries()) {
      if (extra >= base.stride[axis]) {
        refuse(read.where, 'outputPadding', `outputPadding ${extra} must be < strides ${base.stride[axis]}`);
      }
    }
    if (outputShape !== undefined && outputPadding.some((extra) => extra > 0)) {
      notes.push('outputPadding is not used: outputSizes decides');
    }
    const decided = outputShape === undefined ? { outputPadding } : { outputShape };
    return { options: { ...base, padding: pairs(pads), ...decided }, layout, dataFormat, notes };
  },

  to(it: Explicit): Said {
    if (it.rank !== 2)
      return { reason: `WebNN's conv2d and convTranspose2d are 2-D, this has rank ${it.rank}` };
    if (it.pads === undefined)
      return { reason: "WebNN has explicit padding only: 'same' needs inputSize and kernelSize" };
    const base = { strides: it.stride, dilations: it.dilation, groups: it.groups };
    if (it.op === 'conv') {
      if (it.pads.some(({ before, after }) => before < 0 || after < 0)) {
        return {
          reason: `WebNN has no negative padding, this has ${show(pairs(it.pads))}: slice the input first`,
        };
      }
      return { options: { ...base, padding: pairs(it.pads).flat() }, layout: 'OIHW', dataFormat: 'NCHW' };
    }
    // Keep our outputPadding where it makes the padding whole, else just enough to make it ≥ 0.
    const extra = it.pads.map(({ after }, a) =>
      after + it.outputPadding[a] >= 0 ? it.outputPadding[a] : -after,
    );
    if (it.pads.some(({ before }, a) => before < 0 || extra[a] >= it.stride[a])) {
      return {
        reason: `WebNN has no negative padding and outputPadding < strides only, this crops ${show(pairs(it.pads))}: pad the output afterwards`,
      };
    }
    const padding = it.pads.flatMap(({ before, after }, a) => [before, after + extra[a]]);
    return { options: { ...base, padding, outputPadding: extra }, layout: 'IOHW', dataFormat: 'NCHW' };
  },
};
