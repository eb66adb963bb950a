/**
 * coverage: how many (input, tap) pairs reach each output of a transposed convolution. It is what `overlap: 'average'`
 * divides by, and, where it is uneven, what a checkerboard looks like before any weight is learnt.
 */
import { coverageAxis } from './axis.js';
import type { ConvGeometry } from './conv.js';

/** Coverage along each axis; the coverage of an output is the product of its axes' counts. */
export function coverageAxes(g: ConvGeometry): Int32Array[] {
  return g.xSize.map((out, axis) =>
    coverageAxis(g.ySize[axis], g.kernelSize[axis], g.stride[axis], g.dilation[axis], g.padBefore[axis], out),
  );
}

/** The product of {@link coverageAxes} over the whole output plane, row-major; one number per pixel. */
export function coveragePlane(g: ConvGeometry): Float64Array {
  let plane = Float64Array.of(1);
  for (const axis of coverageAxes(g)) {
    const next = new Float64Array(plane.length * axis.length);
    for (let i = 0, at = 0; i < plane.length; i++) {
      for (let j = 0; j < axis.length; j++) next[at++] = plane[i] * axis[j];
    }
    plane = next;
  }
  return plane;
}

/** 1 / coverage over the output plane: what averaging multiplies by. 0 where nothing reaches. */
export function coverageReciprocals(g: ConvGeometry): Float64Array {
  return coveragePlane(g).map((count) => count && 1 / count);
}
