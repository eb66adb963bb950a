/**
 * A convolution is a matrix, and the transposed convolution is the transposed matrix. The 2 × 2 weight is written out
 * as the 4 × 9 matrix that takes a 3 × 3 image to a 2 × 2 one; transposed, it takes 2 × 2 back to 3 × 3. The shape comes
 * back; the values do not.
 *
 * Run it: `npm run example -- unrolled-matrix`
 */
import {
  conv2d,
  convTranspose2d,
  matmul,
  reshape,
  tensor,
  toDisplay,
  transpose,
  unrolledMatrix,
} from 'deconv';

const weight = tensor([[[[1, 2], [3, 4]]]]); // biome-ignore format: rows of the kernel
const image = tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]); // biome-ignore format: rows of the image

export const matrix = unrolledMatrix(weight, [3, 3]);
console.log('W* =', matrix.toString());

// Forward: the image as a column, times the matrix, is the convolution.
export const y = conv2d(image, weight);
const column = matmul(matrix, reshape(image, [9, 1]));
console.log('conv        ', y.data, 'W*·x  ', column.data); // 37 47 67 77, both

// Back: the transposed matrix is the transposed convolution.
export const back = convTranspose2d(y, weight);
export const backByMatrix = reshape(matmul(transpose(matrix), reshape(y, [4, 1])), [1, 1, 3, 3]);
console.log('convTranspose', back.data, 'W*ᵀ·y', backByMatrix.data); // 37 121 94 178 500 342 201 499 308, both

// Values beyond 255 cannot be shown as they are: stretched to 0…255, fractions cut off.
export const shown = toDisplay(back);
console.log('to be shown ', shown.data); // 0 46 31 77 255 167 90 254 149

// With overlaps averaged, the middle pixel is divided by the four windows that reach it: 500 / 4.
export const averaged = convTranspose2d(y, weight, { overlap: 'average' });
console.log('averaged    ', averaged.data);
