/**
 * dialects/torch: `torch.nn.ConvNd` / `ConvTransposeNd` and their functional forms. deconv's canonical options follow
 * PyTorch, so little moves: padding is the same on both sides, outputPadding is less crop after the last row, and the
 * weights are OIHW and IOHW already.
 *
 * Refuses padding_mode other than zeros, and what PyTorch refuses: 'same' with a stride, outputPadding ≥ max(stride,
 * dilation).
 */
import { refuse } from '../../errors.js';
import { pairs, symmetric } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  kernel_size: 'size of the kernel (the weight has it too)',
  stride: 'as ours',
  padding: 'rows on both sides: added by a convolution, cropped by a transposed one',
  dilation: 'as ours, 1 = dense',
  groups: 'as ours',
  padding_mode: "only 'zeros'",
};

export const torch: Dialect = {
  name: 'torch',
  about: 'torch.nn.Conv1d … Conv3d, torch.nn.ConvTranspose1d … 3d and torch.nn.functional',
  options: {
    conv: { ...shared, padding: `${shared.padding}; or 'valid', or 'same' (stride 1 only)` },
    convTranspose: {
      ...shared,
      output_padding: 'as our outputPadding',
      output_size: 'as our outputShape: chooses output_padding',
    },
  },
  perAxis: ['kernel_size', 'stride', 'padding', 'dilation', 'output_padding', 'output_size'],

  from(read: Reading) {
    read.name('padding_mode', ['zeros'], 'zeros');
    read.kernel('kernel_size'); // the weight decides; only its form is checked
    const stride = read.ints('stride', 1, 1);
    const base = { stride, dilation: read.ints('dilation', 1, 1), groups: read.int('groups', 1, 1) };
    const named = typeof read.raw('padding') === 'string' && read.op === 'conv';
    const name = named ? read.name('padding', ['valid', 'same'], 'valid') : undefined;
    if (name === 'same' && stride.some((s) => s !== 1)) {
      refuse(read.where, 'padding', `padding 'same' needs stride 1 in PyTorch, got [${stride.join(', ')}]`);
    }
    const padding = name ?? read.ints('padding', 0, 0);
    const channels = 'NCHW' as const;
    if (read.op === 'conv') return { options: { ...base, padding }, layout: 'OIHW', dataFormat: channels };
    const outputShape = read.maybeInts('output_size', 1);
    const outputPadding = read.ints('output_padding', 0, 0);
    const decided = outputShape === undefined ? { outputPadding } : { outputShape };
    return { options: { ...base, padding, ...decided }, layout: 'IOHW', dataFormat: channels };
  },

  to(it: Explicit): Said {
    const base = { stride: it.stride, dilation: it.dilation, groups: it.groups };
    const rest = { layout: it.op === 'conv' ? 'OIHW' : 'IOHW', dataFormat: 'NCHW' } as const;
    if (it.op === 'conv') {
      if (it.same && it.stride.every((s) => s === 1))
        return { options: { ...base, padding: 'same' }, ...rest };
      if (it.pads === undefined) {
        return {
          reason: "PyTorch has 'same' at stride 1 only: give inputSize and kernelSize for explicit padding",
        };
      }
      const before = it.pads.map((pad) => pad.before);
      if (symmetric(it.pads) && before.every((p) => p >= 0))
        return { options: { ...base, padding: before }, ...rest };
      return {
        reason: `PyTorch pads both sides alike and never less than 0, this pads ${JSON.stringify(pairs(it.pads))}: apply torch.nn.functional.pad first, then padding=0`,
      };
    }
    const pads = it.pads ?? [];
    // before − after is what PyTorch calls output_padding.
    const output_padding = pads.map((pad) => pad.before - pad.after);
    const fits = pads.every(({ before }, a) => {
      const extra = output_padding[a];
      return before >= 0 && extra >= 0 && extra < Math.max(it.stride[a], it.dilation[a]);
    });
    if (!fits) {
      return {
        reason: `PyTorch crops both sides alike and can only keep up to max(stride, dilation) − 1 rows more after, this crops ${JSON.stringify(pairs(pads))}: use padding=0 and slice the output`,
      };
    }
    const padding = pads.map((pad) => pad.before);
    return { options: { ...base, padding, output_padding }, ...rest };
  },
};
