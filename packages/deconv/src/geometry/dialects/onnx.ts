/**
 * dialects/onnx: the attributes of the ONNX operators Conv and ConvTranspose.
 *
 * ConvTranspose, with e = d(k−1)+1 and total = s(n−1) + output_padding + e − out:
 *
 *     auto_pad     output_shape   out                                    begin
 *     NOTSET       none           s(n−1) + output_padding + e − pads     as `pads` says
 *     VALID        none           s(n−1) + output_padding + e            0
 *     SAME_UPPER   none           n·s                                    floor(total / 2)
 *     SAME_LOWER   none           n·s                                    ceil(total / 2)
 *     SAME_UPPER   given          output_shape                           floor(total / 2)
 *     others       given          output_shape                           ceil(total / 2)
 *
 * A negative total (the kernel does not reach that far) extends after the last row.
 *
 * Where the specification contradicts itself or its implementations do, this file follows the formula above, which is
 * that of the operator's page today:
 * - In older texts the formula gave SAME_UPPER the odd row at the *begin*, the prose at the *end* (onnx/onnx#1609); both
 *   now say the end. Old onnxruntimes follow the old formula and shift by one row (microsoft/onnxruntime#8769).
 * - With NOTSET and output_shape the formula puts the odd row at the begin. onnxruntime put it at the end until
 *   microsoft/onnxruntime#13311; the reference evaluator of the standard crops nothing at all in that case.
 * - SAME_* without output_shape must give n·s. Old onnxruntimes crop nothing then (microsoft/onnxruntime#4086); the present one still
 *   gives the uncropped size where the stride exceeds extent + output_padding, where the specification wants n·s.
 * - For a negative total the reference evaluator shares it out too, which shifts SAME_UPPER; onnxruntime extends after.
 *
 * Refuses auto_pad together with pads that are not 0 (the specification forbids both) and negative pads.
 */
import { refuse, show } from '../../errors.js';
import { type Pad, samePadConv } from '../axis.js';
import { extents, pairs, share, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  auto_pad: "'NOTSET' (default), 'SAME_UPPER', 'SAME_LOWER' or 'VALID'",
  pads: 'all begins, then all ends: [h0, w0, h1, w1]',
  strides: 'as our stride',
  dilations: 'as our dilation',
  group: 'as our groups',
  kernel_shape: 'size of the kernel',
};

/** The flat list [begins…, ends…] as pads. */
function readPads(read: Reading): Pad[] {
  const flat = read.raw('pads') ?? new Array(2 * read.rank).fill(0);
  const good =
    Array.isArray(flat) && flat.length === 2 * read.rank && flat.every((p) => Number.isInteger(p) && p >= 0);
  if (!good) {
    refuse(
      read.where,
      'pads',
      `pads must be ${2 * read.rank} integers ≥ 0, begins then ends, got ${show(flat)}`,
    );
  }
  return Array.from({ length: read.rank }, (_, a) => ({ before: flat[a], after: flat[a + read.rank] }));
}

export const onnx: Dialect = {
  name: 'onnx',
  about: 'ONNX operators Conv and ConvTranspose',
  options: {
    conv: shared,
    convTranspose: {
      ...shared,
      output_padding: 'as our outputPadding',
      output_shape: 'wanted spatial size: pads are worked out from it',
    },
  },
  perAxis: ['strides', 'dilations', 'kernel_shape', 'output_padding'],
  flat: ['pads'],

  from(read: Reading) {
    const stride = read.ints('strides', 1, 1);
    const dilation = read.ints('dilations', 1, 1);
    const base = { stride, dilation, groups: read.int('group', 1, 1) };
    const mode = read.name('auto_pad', ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'], 'NOTSET');
    const same = mode === 'SAME_UPPER' || mode === 'SAME_LOWER';
    const odd = mode === 'SAME_UPPER' ? 'after' : 'before';
    const explicit = readPads(read);
    if (mode !== 'NOTSET' && explicit.some(({ before, after }) => before !== 0 || after !== 0)) {
      refuse(read.where, 'pads', `pads [${read.raw('pads')}] and auto_pad '${mode}' exclude each other`);
    }
    const dataFormat = 'NCHW' as const;

    if (read.op === 'conv') {
      const rest = { layout: 'OIHW', dataFormat };
      if (!same) return { options: { ...base, padding: pairs(explicit) }, ...rest };
      if (mode === 'SAME_UPPER') return { options: { ...base, padding: 'same' as const }, ...rest };
      const kernel = read.needKernel('SAME_LOWER puts the odd zero before', 'kernel_shape');
      const size = stride.every((s) => s === 1)
        ? undefined
        : read.needInput('at stride > 1 SAME_LOWER depends on it');
      const pads = kernel.map((k, a) => {
        const upper = samePadConv(size?.[a] ?? 1, k, stride[a], dilation[a]);
        return { before: upper.after, after: upper.before };
      });
      return { options: { ...base, padding: pairs(pads) }, ...rest, notes: unevenNotes(read.op, pads) };
    }

    const rest = { layout: 'IOHW', dataFormat };
    const extra = read.ints('output_padding', 0, 0);
    const shape = read.raw('output_shape');
    const wanted = Array.isArray(shape) && shape.length === read.rank + 2 ? shape.slice(2) : shape;
    if (!same && wanted === undefined) {
      return { options: { ...base, padding: pairs(explicit), outputPadding: extra }, ...rest };
    }
    const notes: string[] = [];
    const kernel = read.needKernel('the crop is worked out from it', 'kernel_shape');
    const e = extents(kernel, dilation);
    let totals = e.map((extent, a) => extent - stride[a] + extra[a]); // s(n−1) + op + e − n·s
    if (wanted !== undefined) {
      const size = read.needInput('output_shape fixes the crop only together with it');
      const out = readSizes(read, wanted);
      totals = e.map((extent, a) => stride[a] * (size[a] - 1) + extra[a] + extent - out[a]);
      if (read.raw('pads') !== undefined) notes.push('pads are not used: output_shape decides them');
      if (mode === 'NOTSET' && totals.some((total) => total > 0 && total % 2 === 1)) {
        notes.push(
          'NOTSET with output_shape puts the odd row of the crop before; older onnxruntimes put it after',
        );
      }
    }
    if (mode === 'SAME_UPPER' && totals.some((total) => total > 0 && total % 2 === 1)) {
      notes.push('SAME_UPPER puts the odd row of the crop after; older onnxruntimes put it before');
    }
    if (same && wanted === undefined && totals.some((total) => total < 0)) {
      notes.push(
        'the specification wants n·stride here, extended with zeros after; onnxruntime gives the shorter, uncropped size',
      );
    }
    // The crop includes output_padding, which kept that many rows after: take them off again.
    const pads = totals.map((total, a) => {
      const pad = share(total, odd);
      return { before: pad.before, after: pad.after - extra[a] };
    });
    return {
      options: { ...base, padding: pairs(pads) },
      ...rest,
      notes: [...notes, ...unevenNotes(read.op, pads)],
    };
  },

  to(it: Explicit): Said {
    const base = { strides: it.stride, dilations: it.dilation, group: it.groups };
    const sized = it.kernelSize === undefined ? base : { ...base, kernel_shape: it.kernelSize };
    const rest = { layout: it.op === 'conv' ? 'OIHW' : 'IOHW', dataFormat: 'NCHW' } as const;
    if (it.pads === undefined) return { options: { ...sized, auto_pad: 'SAME_UPPER' }, ...rest };
    if (it.op === 'conv') {
      if (it.pads.some(({ before, after }) => before < 0 || after < 0)) {
        return {
          reason: `ONNX has no negative pads, this has ${JSON.stringify(pairs(it.pads))}: put a Slice before the Conv`,
        };
      }
      const flat = [...it.pads.map((p) => p.before), ...it.pads.map((p) => p.after)];
      return { options: { ...sized, pads: flat }, ...rest };
    }
    // Keep the outputPadding we were given where it makes the pads whole, else just enough to make them ≥ 0.
    const ends = it.pads.map(({ after }, a) => {
      const extra = after + it.outputPadding[a] >= 0 ? it.outputPadding[a] : -after;
      return { end: after + extra, extra };
    });
    const fits = it.pads.every(
      ({ before }, a) => before >= 0 && ends[a].extra < Math.max(it.stride[a], it.dilation[a]),
    );
    if (!fits) {
      return {
        reason: `ONNX has no negative pads and output_padding < max(stride, dilation) only, this crops ${JSON.stringify(pairs(it.pads))}: put a Pad after the ConvTranspose`,
      };
    }
    const pads = [...it.pads.map((p) => p.before), ...ends.map(({ end }) => end)];
    return { options: { ...sized, pads, output_padding: ends.map(({ extra }) => extra) }, ...rest };
  },
};

/** output_shape as one integer ≥ 1 per axis. */
function readSizes(read: Reading, wanted: unknown): number[] {
  const good =
    Array.isArray(wanted) &&
    wanted.length === read.rank &&
    wanted.every((v) => Number.isInteger(v) && v >= 1);
  if (!good) {
    refuse(
      read.where,
      'output_shape',
      `output_shape must be ${read.rank} integers ≥ 1 (or the whole shape), got ${show(wanted)}`,
    );
  }
  return wanted;
}
