/**
 * dialects/jax: `jax.lax.conv_general_dilated` and `jax.lax.conv_transpose`.
 *
 * JAX computes a transposed convolution as what it is not: a correlation of stride 1 over the input with s − 1 zeros
 * between its elements (lhs_dilation s) and explicit zeros around it. Then y[o] = Σ x[i]·w[u] over i·s = o + u·d − a, so
 * with u′ = k−1−u it is our scatter with the kernel reversed and
 *
 *     crop before = d(k−1) − a      crop after = d(k−1) − b      for zeros [a, b] around the dilated input.
 *
 * A kernel trained there therefore needs a spatial flip; with transpose_kernel=True JAX flips it itself and reads its I
 * and O exchanged, and then nothing has to be flipped. 'SAME' and 'VALID' of conv_transpose mean what TensorFlow means by them
 * (n·s, and n·s + max(e − s, 0), with e = d(k−1)+1); explicit pairs mean [a, b], unless use_consistent_padding is set,
 * which makes them crops as in PyTorch.
 *
 * Refuses lhs_dilation in a plain convolution, strings with lhs_dilation (so does JAX), and groups of a transposed one
 * (its weight would have to be regrouped, which no permutation does).
 */
import { refuse, show } from '../../errors.js';
import { type Pad, samePadConv } from '../axis.js';
import { extents, pairs, share, unevenNotes } from './common.js';
import type { Dialect, Explicit, Reading, Said } from './types.js';

const shared = {
  padding: "'SAME', 'VALID', or [[low, high], …]",
  rhs_dilation: 'as our dilation',
  dimension_numbers: "[lhs, rhs, out] as strings, e.g. ['NHWC', 'HWIO', 'NHWC']",
  feature_group_count: 'as our groups',
};

/** Explicit [low, high] pairs; undefined when padding is a name. */
function readPairs(read: Reading): Pad[] | undefined {
  const value = read.raw('padding') ?? 'VALID';
  if (typeof value === 'string') return undefined;
  const good =
    Array.isArray(value) &&
    value.length === read.rank &&
    value.every((p) => Array.isArray(p) && p.length === 2 && p.every(Number.isInteger));
  if (!good) {
    refuse(
      read.where,
      'padding',
      `padding must be 'SAME', 'VALID' or ${read.rank} pairs [low, high], got ${show(value)}`,
    );
  }
  return value.map(([before, after]: [number, number]) => ({ before, after }));
}

/** The layout of the kernel and of the input out of dimension_numbers; strings only, spatial letters in the same order. */
function readLayout(
  read: Reading,
  fallback: readonly [string, string],
): { layout: string; dataFormat: 'NCHW' | 'NHWC' } {
  const spatial = 'DHW'.slice(3 - read.rank);
  const whole = (layout: string) => layout.replace('HW', spatial);
  const value = read.raw('dimension_numbers') ?? [whole(fallback[0]), whole(fallback[1]), whole(fallback[0])];
  const strings = Array.isArray(value) && value.length === 3 && value.every((s) => typeof s === 'string');
  if (!strings) {
    refuse(read.where, 'dimension_numbers', `dimension_numbers must be three strings, got ${show(value)}`);
  }
  const [lhs, rhs, out] = value as string[];
  const last = lhs === `N${spatial}C`;
  const sorted = (text: string) => [...text].sort().join('');
  const inOrder = [...rhs].filter((c) => spatial.includes(c)).join('') === spatial;
  if (
    (!last && lhs !== `NC${spatial}`) ||
    out !== lhs ||
    !inOrder ||
    sorted(rhs) !== sorted(`OI${spatial}`)
  ) {
    refuse(
      read.where,
      'dimension_numbers',
      `dimension_numbers must be N${spatial}C or NC${spatial} (both sides) and a kernel of ${spatial}, I and O, got ${show(value)}`,
    );
  }
  return { layout: rhs, dataFormat: last ? 'NHWC' : 'NCHW' };
}

const swapIO = (layout: string) => layout.replace(/[IO]/g, (c) => (c === 'I' ? 'O' : 'I'));

export const jax: Dialect = {
  name: 'jax',
  about: 'jax.lax.conv_general_dilated, jax.lax.conv_transpose',
  options: {
    conv: {
      ...shared,
      padding: "'SAME', 'SAME_LOWER', 'VALID' or [[low, high], …]",
      window_strides: 'as our stride',
      lhs_dilation: 'only 1 here; more makes it a transposed convolution',
    },
    convTranspose: {
      ...shared,
      strides: 'as our stride (conv_transpose)',
      lhs_dilation: 'as our stride (conv_general_dilated with window_strides 1)',
      window_strides: 'only 1 here',
      transpose_kernel: 'True: JAX flips the kernel and exchanges its I and O. Default False',
      use_consistent_padding:
        'True: pairs are crops, as in PyTorch. Default False: zeros around the dilated input',
    },
  },
  perAxis: ['strides', 'window_strides', 'lhs_dilation', 'rhs_dilation', 'padding'],

  from(read: Reading) {
    const dilation = read.ints('rhs_dilation', 1, 1);
    const groups = read.int('feature_group_count', 1, 1);
    const explicit = readPairs(read);
    if (read.op === 'conv') {
      const { layout, dataFormat } = readLayout(read, ['NCHW', 'OIHW']);
      if (read.ints('lhs_dilation', 1, 1).some((d) => d !== 1)) {
        refuse(
          read.where,
          'lhs_dilation',
          'lhs_dilation > 1 makes a transposed convolution',
          "use op 'convTranspose'",
        );
      }
      const stride = read.ints('window_strides', 1, 1);
      const base = { stride, dilation, groups };
      const rest = { layout, dataFormat };
      if (explicit !== undefined) return { options: { ...base, padding: pairs(explicit) }, ...rest };
      const name = read.name('padding', ['SAME', 'SAME_LOWER', 'VALID'], 'VALID');
      if (name !== 'SAME_LOWER') {
        return {
          options: { ...base, padding: name === 'SAME' ? ('same' as const) : ('valid' as const) },
          ...rest,
        };
      }
      const kernel = read.needKernel('SAME_LOWER puts the odd zero before');
      const size = stride.every((s) => s === 1)
        ? undefined
        : read.needInput('at stride > 1 SAME_LOWER depends on it');
      const pads = kernel.map((k, a) => {
        const upper = samePadConv(size?.[a] ?? 1, k, stride[a], dilation[a]);
        return { before: upper.after, after: upper.before };
      });
      return { options: { ...base, padding: pairs(pads) }, ...rest, notes: unevenNotes(read.op, pads) };
    }

    const general = read.raw('lhs_dilation') !== undefined;
    if (general && read.raw('strides') !== undefined) {
      refuse(
        read.where,
        'lhs_dilation',
        'lhs_dilation and strides are the stride of two different functions; give one',
      );
    }
    if (read.ints('window_strides', 1, 1).some((s) => s !== 1)) {
      refuse(read.where, 'window_strides', 'window_strides must be 1 in a transposed convolution');
    }
    if (groups !== 1) {
      refuse(
        read.where,
        'feature_group_count',
        `feature_group_count must be 1 in a transposed convolution, got ${groups}`,
      );
    }
    const stride = general ? read.ints('lhs_dilation', 1, 1) : read.ints('strides', 1, 1);
    const { layout, dataFormat } = general
      ? readLayout(read, ['NCHW', 'OIHW'])
      : readLayout(read, ['NHWC', 'HWIO']);
    const transposed = read.flag('transpose_kernel', false);
    const consistent = read.flag('use_consistent_padding', false);
    if (general && (explicit === undefined || transposed || consistent)) {
      refuse(
        read.where,
        'padding',
        'conv_general_dilated with lhs_dilation takes explicit padding pairs, and neither transpose_kernel nor use_consistent_padding',
      );
    }
    const name = explicit === undefined ? read.name('padding', ['SAME', 'VALID'], 'VALID') : undefined;
    let pads: Pad[];
    if (explicit !== undefined && consistent) pads = explicit;
    else {
      const e = extents(read.needKernel('the crop is worked out from it'), dilation);
      pads = e.map((extent, a) => {
        if (name === 'SAME') return share(extent - stride[a], 'after');
        if (name === 'VALID') return { before: 0, after: Math.min(extent - stride[a], 0) };
        const { before, after } = (explicit as Pad[])[a];
        return { before: extent - 1 - before, after: extent - 1 - after };
      });
    }
    const notes = unevenNotes(read.op, pads);
    if (!transposed)
      notes.push(
        'JAX correlates with the kernel as it stands: reverse its spatial axes to get the same numbers',
      );
    return {
      options: { stride, dilation, groups, padding: pairs(pads) },
      layout: transposed ? swapIO(layout) : layout,
      flip: !transposed,
      dataFormat,
      notes,
    };
  },

  to(it: Explicit): Said {
    if (it.op === 'conv') {
      const padding = it.pads === undefined ? 'SAME' : pairs(it.pads);
      const options = {
        window_strides: it.stride,
        padding,
        rhs_dilation: it.dilation,
        feature_group_count: it.groups,
      };
      return { options, layout: 'OIHW', dataFormat: 'NCHW', notes: ['for jax.lax.conv_general_dilated'] };
    }
    if (it.groups !== 1) {
      return { reason: `jax.lax.conv_transpose has no groups, this has ${it.groups}` };
    }
    if (it.kernelSize === undefined)
      return { reason: 'JAX pads the dilated input by d(k−1) − crop: give kernelSize' };
    const e = extents(it.kernelSize, it.dilation);
    const padding = (it.pads ?? []).map(({ before, after }, a) => [e[a] - 1 - before, e[a] - 1 - after]);
    return {
      options: { strides: it.stride, padding, rhs_dilation: it.dilation },
      layout: 'HWIO',
      flip: true,
      dataFormat: 'NHWC',
      notes: ['for jax.lax.conv_transpose; the kernel has to be reversed along its spatial axes'],
    };
  },
};
