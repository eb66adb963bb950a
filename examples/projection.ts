/**
 * Feature maps projected back to image space: a 3 × 227 × 227 picture is convolved with 96 kernels of 11 × 11 at stride
 * 4, which gives 55 × 55 maps. On the way back every value of a map weights its kernel, lays it onto the image, and
 * where kernels overlap their contributions are averaged.
 *
 * Run it: `npm run example -- projection`
 */
import { conv2d, convTranspose2d, coverage, ones, tensor } from 'deconv';
import { dctBank } from 'deconv/vis';

// A picture of our own: rings of light in three colours. Shape (batch, channels, height, width).
const side = 227;
const pixels = new Float32Array(3 * side * side);
for (let c = 0, at = 0; c < 3; c++) {
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const radius = Math.hypot(y - 90 - 20 * c, x - 113);
      pixels[at++] = 0.5 + 0.5 * Math.cos(radius / 9) * Math.exp(-radius / 120);
    }
  }
}
const picture = tensor(pixels, [1, 3, side, side]);

// There: (227 − 11) / 4 + 1 = 55.
const kernels = dctBank({ channels: 3, kernelSize: 11, filters: 96 });
export const maps = conv2d(picture, kernels, { stride: 4 });
console.log('maps      ', maps.shape); // [ 1, 96, 55, 55 ]

// And back: (55 − 1) · 4 + 11 = 227. The weight is the convolution's own, as it is.
export const back = convTranspose2d(maps, kernels, { stride: 4, overlap: 'average' });
console.log('projection', back.shape); // [ 1, 3, 227, 227 ]

// The kernels are orthonormal, so the projection of the maps is the picture again, as far as 96 of 363 can carry it.
const error = pixels.reduce((sum, value, i) => sum + (value - back.data[i]) ** 2, 0) / pixels.length;
export const psnr = -10 * Math.log10(error);
console.log('PSNR      ', `${psnr.toFixed(1)} dB`);

// What averaging divides by: how many windows reach each pixel.
export const counts = coverage([55, 55], { kernelSize: 11, stride: 4 });
const histogram = new Map<number, number>();
for (const count of counts.data) histogram.set(count, (histogram.get(count) ?? 0) + 1);
console.log(
  'coverage  ',
  [...histogram].sort(([a], [b]) => a - b),
); // [[1, 64], [2, 960], … [9, 25281]]

// Another way up, by convolution alone: padding 20 and a kernel of 21 add 20 rows at a time, 55 → 75 → 95.
const wide = ones([1, 1, 21, 21]);
const once = conv2d(ones([1, 1, 55, 55]), wide, { padding: 20 });
export const twice = conv2d(once, wide, { padding: 20 });
console.log('by padding', once.shape, twice.shape); // [ 1, 1, 75, 75 ] [ 1, 1, 95, 95 ]
