/**
 * dialects/keras: `keras.layers.ConvNd` / `ConvNDTranspose`, that is TensorFlow's conventions.
 *
 * With e = d(k−1)+1, the sizes and crops of the transposed layers are
 *
 *     padding  output_padding   output size                crop (total, the odd row after)
 *     'same'   none             n·s                        e − s
 *     'same'   op               (n−1)s + e mod 2 + op      e − e mod 2 − op
 *     'valid'  none             (n−1)s + max(e, s)         min(e − s, 0), all after
 *     'valid'  op               (n−1)s + e + op            −op, all after
 *
 * so output_padding 0 is not the same as none. A negative total extends after. 'causal' is for Conv1D: d(k−1) zeros
 * before, none after. Weights are HWIO for the convolution and HWOI for its transpose; channels stand last.
 *
 * Source: Keras' documentation of the layers; TensorFlow's `conv2d_transpose`, which is the gradient of a padded
 * convolution of the wanted output size.
 */
import { refuse } from '../../errors.js';
import type { Pad } from '../axis.js';
import { extents, pairs, share, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  kernel_size: 'size of the kernel',
  strides: 'as our stride',
  padding: "'valid' or 'same'",
  dilation_rate: 'as our dilation, 1 = dense',
  data_format: "'channels_last' (default) or 'channels_first'",
};

/** The crop of one axis of a transposed layer; `op` undefined is Keras' None. */
function crop(padding: string, e: number, s: number, op: number | undefined): Pad {
  if (padding === 'valid') return { before: 0, after: 0 - (op ?? Math.max(s - e, 0)) };
  return share(op === undefined ? e - s : e - (e % 2) - op, 'after');
}

export const keras: Dialect = {
  name: 'keras',
  about: 'keras.layers.Conv1D … 3D, Conv1DTranspose … 3DTranspose; tf.nn.conv2d, tf.nn.conv2d_transpose',
  options: {
    conv: { ...shared, padding: "'valid', 'same' or (1-D) 'causal'", groups: 'as ours' },
    convTranspose: {
      ...shared,
      output_padding: 'none by default, which is not 0: see the table in docs/conventions.md',
    },
  },
  perAxis: ['kernel_size', 'strides', 'dilation_rate', 'output_padding'],

  from(read: Reading) {
    const stride = read.ints('strides', 1, 1);
    const dilation = read.ints('dilation_rate', 1, 1);
    const first =
      read.name('data_format', ['channels_last', 'channels_first'], 'channels_last') === 'channels_first';
    const dataFormat = first ? ('NCHW' as const) : ('NHWC' as const);
    const notes: string[] = [];
    if (stride.some((s) => s > 1) && dilation.some((d) => d > 1)) {
      notes.push('Keras refuses strides > 1 together with dilation_rate > 1; deconv computes them');
    }
    if (read.op === 'conv') {
      const padding = read.name('padding', ['valid', 'same', 'causal'], 'valid');
      const base = { stride, dilation, groups: read.int('groups', 1, 1) };
      if (padding !== 'causal') {
        if (padding === 'same')
          notes.push(
            "'same' adds the odd row of zeros after; at stride > 1 PyTorch's padding=k//2 adds it before",
          );
        return { options: { ...base, padding }, layout: 'HWIO', dataFormat, notes };
      }
      if (read.rank !== 1)
        refuse(read.where, 'padding', `padding 'causal' is for rank 1, this has rank ${read.rank}`);
      const [e] = extents(read.needKernel("'causal' pads d(k−1) before", 'kernel_size'), dilation);
      notes.push(`'causal' adds ${e - 1} zeros before and none after: output t sees inputs ≤ t only`);
      return { options: { ...base, padding: [[e - 1, 0]] }, layout: 'HWIO', dataFormat, notes };
    }
    const padding = read.name('padding', ['valid', 'same'], 'valid');
    const op = read.maybeInts('output_padding', 0);
    for (const [axis, extra] of (op ?? []).entries()) {
      if (extra >= stride[axis])
        refuse(read.where, 'output_padding', `output_padding ${extra} must be < strides ${stride[axis]}`);
    }
    const e = extents(read.needKernel('the crop is worked out from it', 'kernel_size'), dilation);
    const pads = e.map((extent, axis) => crop(padding, extent, stride[axis], op?.[axis]));
    notes.push(...unevenNotes(read.op, pads));
    if (padding === 'same' && pads.some(({ before, after }) => before < after)) {
      notes.push(
        'PyTorch with padding and output_padding of the same output size gives every row one place further up',
      );
    }
    for (const [axis, extra] of (op ?? []).entries()) {
      const beyond = (e[axis] % 2) + extra;
      if (padding === 'same' && (beyond < 1 || beyond > stride[axis])) {
        notes.push(
          `axis ${axis}: TensorFlow's own backend refuses this size, (n−1)·strides + ${beyond}; other backends take it`,
        );
      }
    }
    return { options: { stride, dilation, padding: pairs(pads) }, layout: 'HWOI', dataFormat, notes };
  },

  to(it: Explicit): Said {
    const base = { strides: it.stride, dilation_rate: it.dilation };
    const sized = it.kernelSize === undefined ? base : { kernel_size: it.kernelSize, ...base };
    if (it.stride.some((s) => s > 1) && it.dilation.some((d) => d > 1)) {
      return { reason: 'Keras refuses strides > 1 together with dilation_rate > 1' };
    }
    if (it.op === 'conv') {
      const rest = { layout: 'HWIO', dataFormat: 'NHWC' } as const;
      const say = (padding: string): Said => ({ options: { ...sized, padding, groups: it.groups }, ...rest });
      if (it.same) return say('same');
      const pads = it.pads ?? [];
      if (pads.every(({ before, after }) => before === 0 && after === 0)) return say('valid');
      if (it.kernelSize !== undefined) {
        const e = extents(it.kernelSize, it.dilation);
        const isSame = pads.every(({ before, after }, a) => {
          const n = it.inputSize?.[a];
          if (n === undefined && it.stride[a] !== 1) return false;
          const total =
            n === undefined ? e[a] - 1 : (Math.ceil(n / it.stride[a]) - 1) * it.stride[a] + e[a] - n;
          const pad = share(Math.max(total, 0), 'after');
          return pad.before === before && pad.after === after;
        });
        if (isSame) return say('same');
        if (it.rank === 1 && pads[0].before === e[0] - 1 && pads[0].after === 0) return say('causal');
      }
      return {
        reason: `Keras has 'valid', 'same' and 'causal' only, this pads ${JSON.stringify(pairs(pads))}: put a ZeroPadding layer before a 'valid' one${it.kernelSize === undefined ? ' (or give kernelSize and inputSize to see whether it is one of them)' : ''}`,
      };
    }
    if (it.groups !== 1) return { reason: `Keras' transposed layers have no groups, this has ${it.groups}` };
    if (it.kernelSize === undefined)
      return { reason: 'the crop of a Keras layer depends on kernel_size: give kernelSize' };
    const e = extents(it.kernelSize, it.dilation);
    const pads = it.pads ?? [];
    const rest = { layout: 'HWOI', dataFormat: 'NHWC' } as const;
    for (const padding of ['same', 'valid']) {
      const makes = (axis: number, op: number | undefined): boolean => {
        const pad = crop(padding, e[axis], it.stride[axis], op);
        return pad.before === pads[axis].before && pad.after === pads[axis].after;
      };
      if (pads.every((_, axis) => makes(axis, undefined))) return { options: { ...sized, padding }, ...rest };
      // The size that output_padding would have to give, axis by axis.
      const op = pads.map(
        ({ before, after }, a) => (padding === 'same' ? e[a] - (e[a] % 2) : 0) - before - after,
      );
      if (op.every((extra, axis) => extra >= 0 && extra < it.stride[axis] && makes(axis, extra))) {
        return { options: { ...sized, padding, output_padding: op }, ...rest };
      }
    }
    return {
      reason: `Keras crops what 'same' or 'valid' crops, this crops ${JSON.stringify(pairs(pads))}: use 'valid' and a Cropping layer after it`,
    };
  },
};
