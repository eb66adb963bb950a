/**
 * dialects/tinynet: `Conv2D` and `Deconv2D` of tinynet: one stride, dilation (1 = dense) and padding for both axes,
 * padding cropping the output of the deconvolution.
 *
 * Its Deconv2D declares weights (n_filters, in, k, k) but multiplies the same numbers as (in, n_filters·k·k): what it
 * computes is an IOHW weight under an OIHW name. For in = n_filters the two have one shape, and reading the array as IOHW
 * gives tinynet's numbers; for in ≠ n_filters reshape (not permute) it to (in, n_filters, k, k) first, where tinynet itself
 * goes wrong. It crops one row per side for every padding ≥ 1, adds no bias, and has no gradient.
 */
import { show } from '../../errors.js';
import { pairs, scalar } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  stride: 'one number for both axes',
  dilation: 'as ours, 1 = dense; one number for both axes',
  padding: 'one number for all four sides',
};

export const tinynet: Dialect = {
  name: 'tinynet',
  about: 'tinynet: Conv2D, Deconv2D',
  options: { conv: shared, convTranspose: shared },
  perAxis: [],
  rank: 2,

  from(read: Reading) {
    const both = (value: number) => [value, value];
    const padding = read.int('padding', 0, 0);
    const options = {
      stride: both(read.int('stride', 1, 1)),
      dilation: both(read.int('dilation', 1, 1)),
      padding: both(padding),
    };
    if (read.op === 'conv') return { options, layout: 'OIHW', dataFormat: 'NCHW' as const };
    const notes = [
      'weights are declared (n_filters, in, k, k) but multiplied as (in, n_filters, k, k): reshape them so, do not permute',
    ];
    if (padding > 1)
      notes.push(`tinynet itself crops 1 row per side whatever the padding; ${padding} are cropped here`);
    return { options, layout: 'IOHW', dataFormat: 'NCHW' as const, notes };
  },

  to(it: Explicit): Said {
    if (it.rank !== 2) return { reason: `tinynet's layers are 2-D, this has rank ${it.rank}` };
    if (it.groups !== 1) return { reason: `tinynet has no groups, this has ${it.groups}` };
    const [stride, dilation] = [scalar(it.stride), scalar(it.dilation)];
    if (stride === undefined || dilation === undefined) {
      return {
        reason: `tinynet has one stride and one dilation, this has ${show(it.stride)} and ${show(it.dilation)}`,
      };
    }
    if (it.pads === undefined) return { reason: "tinynet has no 'same': give inputSize and kernelSize" };
    const padding = scalar(pairs(it.pads).flat());
    if (padding === undefined || padding < 0) {
      return { reason: `tinynet pads all four sides alike, this has ${show(pairs(it.pads))}` };
    }
    if (it.op === 'convTranspose' && padding > 1) {
      return { reason: `tinynet crops 1 row per side whatever the padding, this needs ${padding}` };
    }
    const layout = it.op === 'conv' ? 'OIHW' : 'IOHW';
    return { options: { stride, dilation, padding }, layout, dataFormat: 'NCHW' };
  },
};
