/** matrix: what a convolution is when it is written out: its matrix W*, and how often its transpose reaches each pixel. */
import { checkOptions, refuse, show } from '../errors.js';
import {
  type ConvGeometryOptions,
  type ConvTransposeGeometryOptions,
  convGeometry,
  convTransposeGeometry,
} from '../geometry/conv.js';
import { coveragePlane } from '../geometry/coverage.js';
import { conv1d, conv2d, conv3d } from '../ops/conv.js';
import { asFloat, fromValues } from '../ops/input.js';
import { reshape, transpose } from '../ops/layout.js';
import { type PerAxis, perAxis, type Shape, showShape, sizeOf } from '../shape.js';
import { allocate, hostTensor, scoped, type Tensor } from '../tensor.js';

/** Elements of the largest matrix that is written out. */
const MATRIX_LIMIT = 2 ** 24;

const CONVS = [conv1d, conv2d, conv3d];

/**
 * The matrix of a convolution: y = W*·x for x and y written as columns, so that the transposed convolution with the
 * same weight is W*ᵀ·y. Column j is the convolution's answer to the image that is 1 at element j and 0 elsewhere;
 * nothing else is meant by the matrix of a linear map, and nothing else is done here. Gradients flow to the weight.
 *
 * @param weight (O, C/groups, …kernelSize), of the *convolution*
 * @param inputShape of the convolution's input: (…space), (C, …space) or (1, C, …space)
 * @param options stride, padding, dilation, groups
 * @returns (O·|output space|, C·|input space|)
 * @throws DeconvError when the matrix would have more than 2²⁴ elements
 * @example
 * ```ts
 * import { tensor, unrolledMatrix } from 'deconv';
 * const matrix = unrolledMatrix(tensor([[[[1, 2], [3, 4]]]]), [3, 3]);
 * console.log(matrix.shape); // [ 4, 9 ]
 * console.log(matrix.data.subarray(0, 9)); // Float32Array(9) [ 1, 2, 0, 3, 4, 0, 0, 0, 0 ]
 * ```
 */
export function unrolledMatrix(weight: Tensor, inputShape: Shape, options: ConvGeometryOptions = {}): Tensor {
  const op = 'unrolledMatrix';
  checkOptions(op, options, ['stride', 'padding', 'dilation', 'groups']);
  const rank = asFloat(op, 'weight', weight).rank - 2;
  if (rank < 1 || rank > 3)
    refuse(op, 'weight', `weight must be (O, C/groups, …kernelSize), got ${showShape(weight.shape)}`);
  if (!Array.isArray(inputShape) || inputShape.length < rank || inputShape.length > rank + 2) {
    refuse(
      op,
      'inputShape',
      `inputShape must be (…space), (C, …space) or (1, C, …space) with ${rank} spatial axes, got ${show(inputShape)}`,
    );
  }
  const space = inputShape.slice(-rank);
  const channels =
    inputShape.length > rank
      ? inputShape[inputShape.length - rank - 1]
      : weight.shape[1] * (options.groups ?? 1);
  const batch = inputShape.length > rank + 1 ? inputShape[0] : 1;
  if (batch !== 1)
    refuse(op, 'inputShape', `the matrix is that of one picture, inputShape has batch ${batch}`);
  const geometry = convGeometry([1, channels, ...space], weight.shape, options, op);
  const columns = channels * sizeOf(space);
  const rows = geometry.yChannels * sizeOf(geometry.ySize);
  if (columns * Math.max(rows, columns) > MATRIX_LIMIT) {
    refuse(
      op,
      'inputShape',
      `the matrix would be ${rows}×${columns}, more than ${MATRIX_LIMIT} elements to write out`,
    );
  }
  const units = allocate(weight.dtype, columns * columns);
  for (let j = 0; j < columns; j++) units[j * columns + j] = 1;
  return scoped(() => {
    const answers = CONVS[rank - 1](fromValues(units, [columns, channels, ...space]), weight, options);
    return transpose(reshape(answers, [columns, rows]));
  });
}

/** Options of {@link coverage}. */
export interface CoverageOptions extends Omit<ConvTransposeGeometryOptions, 'groups'> {
  /** Kernel length per axis. */
  readonly kernelSize: PerAxis;
}

/**
 * How many (input, tap) pairs reach each output of a transposed convolution; what `overlap: 'average'` divides by.
 *
 * @param inputSize spatial size of the transposed convolution's input, 1 to 3 axes
 * @param options kernelSize, stride, padding, dilation, outputPadding, outputShape
 * @returns int32, (…output space)
 * @example
 * ```ts
 * import { coverage } from 'deconv';
 * console.log(coverage([3], { kernelSize: 3, stride: 2 }).data); // Int32Array(7) [ 1, 1, 2, 1, 2, 1, 1 ]
 * ```
 */
export function coverage(inputSize: Shape, options: CoverageOptions): Tensor {
  const op = 'coverage';
  checkOptions(op, options, ['kernelSize', 'stride', 'padding', 'dilation', 'outputPadding', 'outputShape']);
  if (!Array.isArray(inputSize) || inputSize.length < 1 || inputSize.length > 3) {
    refuse(op, 'inputSize', `inputSize must be an array of 1 to 3 spatial sizes, got ${show(inputSize)}`);
  }
  const { kernelSize, ...rest } = options ?? {};
  const kernel = perAxis(op, 'kernelSize', kernelSize, inputSize.length, 1);
  const geometry = convTransposeGeometry([1, 1, ...inputSize], [1, 1, ...kernel], rest, op);
  return hostTensor(Int32Array.from(coveragePlane(geometry)), geometry.xSize);
}
