/**
 * dialects/tfjs: TensorFlow.js' `tf.conv2d` and `tf.conv2dTranspose`.
 *
 * conv2dTranspose is told the shape of its output and computes the gradient of the conv2d that would map that shape back
 * to its input: `pad` is the padding of that convolution, so it crops, and the output's size decides how many rows are
 * kept after. There is no dilation and there are no groups. A numeric `pad` with dimRoundingMode 'ceil' or 'round'
 * may make a convolution's output one longer: the last window then hangs over the end and sees zeros.
 *
 * TensorFlow.js itself works out both output sizes of a numeric `pad` from the *height's* kernel and stride, which is wrong
 * for a kernel or a stride that is not square; here every axis has its own.
 *
 * Refuses an outputShape that does not fit its input, and dimRoundingMode with a named pad (so does TensorFlow.js).
 */
import { refuse, show } from '../../errors.js';
import { kernelExtent, type Pad } from '../axis.js';
import { pairs, scalar, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  strides: 'as our stride',
  pad: "'same', 'valid', a number for both sides, or [[0, 0], [top, bottom], [left, right], [0, 0]] (NHWC order)",
  dimRoundingMode: "'floor' (default), 'round' or 'ceil', with a numeric pad",
  dataFormat: "'NHWC' (default) or 'NCHW'; the transposed operation has NHWC only",
};

type Rounding = 'floor' | 'round' | 'ceil';

/** A numeric or explicit pad; undefined for a name. */
function readPad(read: Reading, first: boolean): Pad[] | undefined {
  const value =
    read.raw('pad') ?? refuse(read.where, 'pad', "pad is required: 'same', 'valid', a number or pairs");
  if (typeof value === 'string') return undefined;
  if (Number.isInteger(value) && (value as number) >= 0) {
    return [0, 1].map(() => ({ before: value as number, after: value as number }));
  }
  const whole = (p: unknown) =>
    Array.isArray(p) && p.length === 2 && p.every((v) => Number.isInteger(v) && v >= 0) && [p[0], p[1]];
  const list = Array.isArray(value) && value.length === 4 ? value.map(whole) : [];
  const space = first ? [list[2], list[3]] : [list[1], list[2]];
  const rest = first ? [list[0], list[1]] : [list[0], list[3]];
  if (list.length !== 4 || list.includes(false) || rest.some((p) => p && (p[0] !== 0 || p[1] !== 0))) {
    refuse(
      read.where,
      'pad',
      `pad must be 'same', 'valid', an integer ≥ 0, or four pairs with [0, 0] for batch and channels, got ${show(value)}`,
    );
  }
  return space.map((p) => ({ before: (p as number[])[0], after: (p as number[])[1] }));
}

export const tfjs: Dialect = {
  name: 'tfjs',
  about: 'TensorFlow.js: tf.conv2d, tf.conv2dTranspose',
  options: {
    conv: { ...shared, dilations: 'as our dilation' },
    convTranspose: { ...shared, outputShape: '[batch, height, width, channels], or only [height, width]' },
  },
  perAxis: ['strides', 'dilations'],
  rank: 2,

  from(read: Reading) {
    const stride = read.ints('strides', 1, 1);
    const format = read.name('dataFormat', ['NHWC', 'NCHW'], 'NHWC');
    const rounding = read.name<Rounding>('dimRoundingMode', ['floor', 'round', 'ceil'], 'floor');
    const pads = readPad(read, format === 'NCHW');
    if (pads === undefined && read.raw('dimRoundingMode') !== undefined) {
      refuse(
        read.where,
        'dimRoundingMode',
        `dimRoundingMode needs a numeric pad, got ${show(read.raw('pad'))}`,
      );
    }
    const name = pads === undefined ? read.name('pad', ['same', 'valid'], 'valid') : undefined;
    const round = Math[rounding];

    if (read.op === 'conv') {
      const dilation = read.ints('dilations', 1, 1);
      const rest = { layout: 'HWIO', dataFormat: format };
      const notes: string[] = [];
      if (stride.some((s) => s > 1) && dilation.some((d) => d > 1)) {
        notes.push('TensorFlow.js refuses strides > 1 together with dilations > 1; deconv computes them');
      }
      if (pads === undefined)
        return { options: { stride, dilation, padding: name ?? 'valid' }, ...rest, notes };
      let exact = pads;
      if (rounding !== 'floor') {
        const size = read.needInput(`dimRoundingMode '${rounding}' depends on it`);
        const kernel = read.needKernel(`dimRoundingMode '${rounding}' depends on it`);
        exact = pads.map(({ before, after }, a) => {
          const e = kernelExtent(kernel[a], dilation[a]);
          const out = round((size[a] + before + after - e) / stride[a] + 1);
          return { before, after: Math.max(after, (out - 1) * stride[a] + e - size[a] - before) };
        });
        notes.push(...unevenNotes('conv', exact));
      }
      return { options: { stride, dilation, padding: pairs(exact) }, ...rest, notes };
    }

    if (format !== 'NHWC') refuse(read.where, 'dataFormat', "dataFormat must be 'NHWC' in conv2dTranspose");
    const shape = read.raw('outputShape');
    const space = Array.isArray(shape) && shape.length === 4 ? shape.slice(1, 3) : shape;
    if (!Array.isArray(space) || space.length !== 2 || !space.every((v) => Number.isInteger(v) && v >= 1)) {
      refuse(
        read.where,
        'outputShape',
        `outputShape must be [batch, height, width, channels], got ${show(shape)}`,
      );
    }
    const out = space as number[];
    const rest = { layout: 'HWOI', dataFormat: 'NHWC' as const };
    const dilation = [1, 1];
    const same = [
      "'same' shares the crop out with the odd row after; PyTorch's symmetric padding shifts by one row",
    ];
    if (pads === undefined) {
      const notes = name === 'same' ? same : [];
      return { options: { stride, dilation, padding: name ?? 'valid', outputShape: out }, ...rest, notes };
    }
    if (rounding === 'floor') {
      // Any `after` that leads to this size means the same: what is left over is outputPadding.
      const padding = pairs(pads);
      return { options: { stride, dilation, padding, outputShape: out }, ...rest };
    }
    const size = read.needInput(`dimRoundingMode '${rounding}' depends on it`);
    const kernel = read.needKernel(`dimRoundingMode '${rounding}' depends on it`);
    const exact = pads.map(({ before, after }, a) => {
      const back = round((out[a] + before + after - kernel[a]) / stride[a] + 1);
      if (back !== size[a]) {
        refuse(
          read.where,
          'outputShape',
          `outputShape ${out[a]} of axis ${a} must convolve back to the input: gives ${back}, input is ${size[a]}`,
        );
      }
      return { before, after: (size[a] - 1) * stride[a] + kernel[a] - before - out[a] };
    });
    return {
      options: { stride, dilation, padding: pairs(exact) },
      ...rest,
      notes: unevenNotes('convTranspose', exact),
    };
  },

  to(it: Explicit): Said {
    if (it.rank !== 2)
      return { reason: `tf.conv2d and tf.conv2dTranspose are 2-D, this has rank ${it.rank}` };
    if (it.groups !== 1)
      return { reason: `TensorFlow.js has no grouped convolution, this has groups ${it.groups}` };
    const dilated = it.dilation.some((d) => d > 1);
    const explicit = (pads: readonly Pad[]) => {
      const one = scalar(pads.flatMap(({ before, after }) => [before, after]));
      return one ?? [[0, 0], ...pads.map(({ before, after }) => [before, after]), [0, 0]];
    };
    if (it.op === 'conv') {
      if (dilated && it.stride.some((s) => s > 1)) {
        return { reason: 'TensorFlow.js refuses strides > 1 together with dilations > 1' };
      }
      const base = { strides: it.stride, dilations: it.dilation, dataFormat: 'NHWC' };
      const rest = { layout: 'HWIO', dataFormat: 'NHWC' } as const;
      if (it.same) return { options: { ...base, pad: 'same' }, ...rest };
      const pads = it.pads ?? [];
      if (pads.some(({ before, after }) => before < 0 || after < 0)) {
        return {
          reason: `TensorFlow.js has no negative pad, this has ${show(pairs(pads))}: slice the input first`,
        };
      }
      return { options: { ...base, pad: explicit(pads) }, ...rest };
    }
    if (dilated) return { reason: 'tf.conv2dTranspose has no dilation' };
    if (it.outputSize === undefined) {
      return { reason: 'tf.conv2dTranspose wants its outputShape: give inputSize and kernelSize' };
    }
    // after < 0 means rows beyond the last full window: up to stride − 1 of them are what flooring leaves over.
    const pads = (it.pads ?? []).map(({ before, after }) => ({ before, after: Math.max(after, 0) }));
    const fits = (it.pads ?? []).every(({ before, after }, a) => before >= 0 && -after < it.stride[a]);
    if (!fits) {
      return {
        reason: `tf.conv2dTranspose cannot extend its output by a stride or more, this crops ${show(pairs(it.pads ?? []))}: use tf.pad after it`,
      };
    }
    return {
      options: { outputShape: it.outputSize, strides: it.stride, pad: explicit(pads) },
      layout: 'HWOI',
      dataFormat: 'NHWC',
      notes: ['outputShape is [height, width]: put the batch before and the channels after'],
    };
  },
};
