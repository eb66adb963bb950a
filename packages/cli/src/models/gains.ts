/**
 * gains: how strongly the weights of a layer that enlarges reach each phase of its output. With stride s an output belongs
 * to one of s phases per axis (its place modulo s), each made by taps of its own; where they reach them differently, a
 * pattern of period s shows: a checkerboard. Over all pairs of an input channel i and an output channel o,
 *
 *     flat   √ Σ (Σᵤ w[i, o, u])²    what a constant input gives     (u: the taps of the phase)
 *     noise  √ Σ  Σᵤ w[i, o, u]²     what a random one does
 *
 * Even coverage (as many taps in every phase) is what one can build for; even *flat* gain is what one sees.
 *
 * Source: A. Odena, V. Dumoulin, C. Olah, "Deconvolution and checkerboard artifacts", Distill 2016; the phases are those of
 * `phasesOfAxis`.
 */
import type { Tensor } from 'deconv';

/** One phase of an output. */
export interface PhaseGain {
  /** Place modulo stride, per axis. */
  readonly residue: readonly number[];
  /** Taps that reach it, per pair of channels. */
  readonly taps: number;
  readonly flat: number;
  readonly noise: number;
}

/** The geometry that decides phases. */
export interface Stepping {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBefore: readonly number[];
}

/** All residues, row-major. */
function residues(stride: readonly number[]): number[][] {
  return stride.reduce<number[][]>(
    (heads, s) => heads.flatMap((head) => Array.from({ length: s }, (_, r) => [...head, r])),
    [[]],
  );
}

const rowMajor = (at: readonly number[], lengths: readonly number[]) =>
  at.reduce((index, place, axis) => index * lengths[axis] + place, 0);

/** The gains of a transposed convolution's phases. @param weight (in, out/groups, …kernel) */
export function transposedGains(weight: Tensor, { stride, dilation, padBefore }: Stepping): PhaseGain[] {
  const [ins, outs, ...kernel] = weight.shape;
  const places = residues(stride);
  const taps = residues(kernel);
  const phaseOfTap = taps.map((tap) =>
    rowMajor(
      tap.map(
        (u, axis) => (((u * dilation[axis] - padBefore[axis]) % stride[axis]) + stride[axis]) % stride[axis],
      ),
      stride,
    ),
  );
  return gainsOf(places, phaseOfTap, ins * outs, weight.data);
}

/**
 * The gains of the phases that a pixel shuffle makes of a convolution's channels.
 *
 * @param weight (channels·f², in, …kernel)
 * @param columnsFirst channel c·f² + phase (PyTorch's order, CRD); else phase·channels + c (DCR)
 */
export function shuffledGains(
  weight: Tensor,
  bias: Tensor | undefined,
  factor: number,
  columnsFirst: boolean,
): PhaseGain[] {
  const [all, ins, ...kernel] = weight.shape;
  const phases = factor * factor;
  const channels = all / phases;
  const taps = kernel.reduce((a, b) => a * b, 1);
  const sums = Array.from({ length: phases }, () => ({ flat: 0, noise: 0 }));
  const { data } = weight;
  for (let row = 0; row < all; row++) {
    const sum = sums[columnsFirst ? row % phases : Math.floor(row / channels)];
    for (let i = 0; i < ins; i++) {
      let flat = 0;
      for (let u = 0; u < taps; u++) {
        const w = data[(row * ins + i) * taps + u];
        flat += w;
        sum.noise += w * w;
      }
      sum.flat += flat * flat;
    }
    // A bias is one more input that is always 1.
    if (bias !== undefined) sum.flat += bias.data[row] ** 2;
  }
  return residues([factor, factor]).map((residue, phase) => ({
    residue,
    taps,
    flat: Math.sqrt(sums[phase].flat),
    noise: Math.sqrt(sums[phase].noise),
  }));
}

function gainsOf(
  places: readonly number[][],
  phaseOfTap: readonly number[],
  pairs: number,
  data: ArrayLike<number>,
): PhaseGain[] {
  const count = phaseOfTap.length;
  const [flat, noise] = [places.map(() => 0), places.map(() => 0)];
  const sums = new Float64Array(places.length);
  for (let pair = 0; pair < pairs; pair++) {
    sums.fill(0);
    for (let u = 0; u < count; u++) {
      const w = data[pair * count + u];
      sums[phaseOfTap[u]] += w;
      noise[phaseOfTap[u]] += w * w;
    }
    for (const [phase, sum] of sums.entries()) flat[phase] += sum * sum;
  }
  return places.map((residue, phase) => ({
    residue,
    taps: phaseOfTap.filter((of) => of === phase).length,
    flat: Math.sqrt(flat[phase]),
    noise: Math.sqrt(noise[phase]),
  }));
}

/** Largest : smallest; 1 where all are 0. */
export function ratioOf(values: readonly number[]): number {
  const [most, least] = [Math.max(...values), Math.min(...values)];
  return most === 0 ? 1 : most / least;
}
