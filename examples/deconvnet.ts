/**
 * What does a feature look at? In the manner of Zeiler & Fergus (2014, arXiv:1311.2901): a picture goes through
 * convolution, ReLU and max pooling, which remembers where each maximum was (the *switches*); one activation is kept
 * and sent back through unpooling with the switches, ReLU and the transposed convolution with the *same* weight.
 *
 * Run it: `npm run example -- deconvnet`
 */
import { conv2d, convTranspose2d, maxPool2d, maxUnpool2d, relu, tensor, toDisplay } from 'deconv';

// A bright square on dark ground, 12 × 12.
const side = 12;
const pixels = new Float32Array(side * side);
for (let y = 3; y < 9; y++) pixels.fill(1, y * side + 4, y * side + 9);
const picture = tensor(pixels, [1, 1, side, side]);

// Two features: an edge from dark to bright downwards, and one to the right.
const weight = tensor([
  [[[-1, -1, -1], [0, 0, 0], [1, 1, 1]]], // biome-ignore format: rows of a kernel
  [[[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]], // biome-ignore format: rows of a kernel
]);

// Forward: (1, 1, 12, 12) → (1, 2, 10, 10) → (1, 2, 5, 5).
const features = relu(conv2d(picture, weight));
export const { output: pooled, indices: switches } = maxPool2d(features, { kernelSize: 2 });

/** What the strongest activation of one feature saw, in image space. */
export function project(feature: number) {
  const plane = pooled.size / pooled.shape[1];
  const own = pooled.data.subarray(feature * plane, (feature + 1) * plane);
  const at = feature * plane + own.indexOf(Math.max(...own));
  const kept = new Float32Array(pooled.size);
  kept[at] = pooled.data[at];
  // Back: (1, 2, 5, 5) → (1, 2, 10, 10) → (1, 1, 12, 12).
  const unpooled = maxUnpool2d(tensor(kept, pooled.shape), switches, { kernelSize: 2 });
  return convTranspose2d(relu(unpooled), weight);
}

for (const [feature, name] of ['edge downwards', 'edge to the right'].entries()) {
  const shown = toDisplay(project(feature), { signed: true }).data;
  console.log(name);
  for (let y = 0; y < side; y++) {
    const row = shown.subarray(y * side, (y + 1) * side);
    console.log(`  ${Array.from(row, (value) => (value > 128 ? '#' : value < 128 ? '-' : '.')).join(' ')}`);
  }
}
