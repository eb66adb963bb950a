/**
 * axis: the arithmetic of one spatial axis, integers only. Everything that deconv computes about sizes is one of the
 * formulas in this file, applied once per axis.
 *
 * Words: input size n, kernelSize k, stride s, dilation d (1 = dense), padding before pb and after pa, outputPadding
 * op; the *extent* of a kernel is the span its taps cover, d(k−1)+1.
 *
 * Source of the formulas: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
 * arXiv:1603.07285, relations 6 and 14, extended by dilation (section 5.1) and by different padding on the two sides.
 */

/** Padding of one axis: how much before the first and after the last element. Negative crops (conv) or extends (convTranspose). */
export interface Pad {
  readonly before: number;
  readonly after: number;
}

/** The span of a kernel's taps: d(k−1)+1. A 3-tap kernel at dilation 2 spans 5. */
export function kernelExtent(kernelSize: number, dilation: number): number {
  return dilation * (kernelSize - 1) + 1;
}

/**
 * Output size of a convolution: floor((n + pb + pa − d(k−1) − 1) / s) + 1. May come out below 1, which the callers
 * refuse.
 */
export function convAxis(n: number, k: number, s: number, d: number, pad: Pad): number {
  return Math.floor((n + pad.before + pad.after - kernelExtent(k, d)) / s) + 1;
}

/** Output size of a transposed convolution: (n−1)s − pb − pa + d(k−1) + 1 + op. */
export function convTransposeAxis(n: number, k: number, s: number, d: number, pad: Pad, op: number): number {
  return (n - 1) * s - pad.before - pad.after + kernelExtent(k, d) + op;
}

/**
 * Padding 'same' of a convolution: out = ceil(n / s), the total shared out evenly with the odd one *after* (TensorFlow
 * and ONNX SAME_UPPER). Never negative.
 */
export function samePadConv(n: number, k: number, s: number, d: number): Pad {
  const { before, after } = padConvTransposeTo(n, Math.ceil(n / s), k, s, d);
  return { before, after: Math.max(after, 0) };
}

/**
 * Padding of a transposed convolution that makes its output exactly `out` long: total = (n−1)s + d(k−1)+1 − out, a
 * positive total shared out evenly with the odd one *after*, a negative one (the kernel does not reach that far) left
 * wholly after. With out = n·s this is padding 'same', the transpose of {@link samePadConv}.
 */
export function padConvTransposeTo(out: number, n: number, k: number, s: number, d: number): Pad {
  const total = (n - 1) * s + kernelExtent(k, d) - out;
  const before = Math.floor(Math.max(total, 0) / 2);
  return { before, after: total - before };
}

/**
 * How many (input i, tap u) pairs reach each position of a transposed convolution's output along one axis:
 * coverage[q] = #{(i, u) : i·s + u·d − pb = q, 0 ≤ i < n, 0 ≤ u < k}. The counts are those of the uncropped output,
 * read through the window that the crop leaves; a position beyond the reach of every tap counts 0. The coverage of
 * several axes is the product of theirs.
 */
export function coverageAxis(
  n: number,
  k: number,
  s: number,
  d: number,
  padBefore: number,
  out: number,
): Int32Array {
  const counts = new Int32Array(out);
  for (let u = 0; u < k; u++) {
    // Inputs i that land inside: 0 ≤ i·s + u·d − pb < out.
    const shift = u * d - padBefore;
    const first = Math.max(0, Math.ceil(-shift / s));
    const last = Math.min(n - 1, Math.floor((out - 1 - shift) / s));
    for (let i = first; i <= last; i++) counts[i * s + shift]++;
  }
  return counts;
}
