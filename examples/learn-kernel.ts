/**
 * The gradients of a transposed convolution at work: a 3 × 3 kernel and a bias that somebody hid are found again, to a
 * thousandth, from inputs and outputs alone. Pictures of 2 × 2 become 4 × 4, and what comes back from them is the
 * *message* dL/dy. Given that, backward makes
 *
 *     dx  the convolution of the message with the same weight
 *     dw  the correlation of the message with the input
 *     db  the sum of the message over pictures and pixels
 *
 * and plain gradient descent does the rest: w ← w − lr · dw, b ← b − lr · db.
 *
 * Run it: `npm run example -- learn-kernel`
 */
import { convTranspose2d, div, mean, mul, randn, square, sub, tensor, zeros } from 'deconv';

// What is hidden.
export const hidden = tensor([[[[0.5, -1, 0.25], [2, 1, -0.5], [0, 0.75, -2]]]]); // biome-ignore format: rows
const hiddenBias = tensor([0.3]);

// What is seen: small pictures, and what the hidden layer makes of them, stride 1.
const input = randn([16, 1, 2, 2], { seed: 1 });
const target = convTranspose2d(input, hidden, { bias: hiddenBias }); // (16, 1, 4, 4)

// What is learnt, from zero.
export const weight = zeros([1, 1, 3, 3], { requiresGrad: true });
export const bias = zeros([1], { requiresGrad: true });
const learningRate = 0.5;
for (let step = 0; step <= 120; step++) {
  const output = convTranspose2d(input, weight, { bias });
  // L = mean of (y − target)², so dL/dy = 2(y − target) / count.
  const difference = sub(output.detach(), target);
  output.backward(div(mul(difference, 2), target.size));
  for (const parameter of [weight, bias]) {
    const { grad } = parameter;
    if (grad) parameter.assign(sub(parameter.detach(), mul(grad, learningRate)));
    parameter.grad = null;
  }
  if (step % 40 === 0) console.log(`step ${step}: loss ${mean(square(difference)).item().toExponential(1)}`);
}

export const error = Math.max(...weight.data.map((value, i) => Math.abs(value - hidden.data[i])));
console.log('found', weight.toString());
console.log(
  `largest error ${error.toExponential(1)}: ${error < 1e-3 ? 'within' : 'beyond'} 1e-3; bias ${bias.item().toFixed(4)}`,
);
