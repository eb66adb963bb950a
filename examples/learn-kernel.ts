/**
 * The gradients of a transposed convolution at work: a 3 × 3 kernel and a bias that somebody hid are found again from
 * inputs and outputs alone, by plain gradient descent w ← w − lr · dw.
 *
 * backward() gives all three gradients: of the input (a convolution of gradOutput with the same weight), of the weight
 * (a correlation of gradOutput with the input) and of the bias (the sum of gradOutput over batch and space).
 *
 * Run it: `npm run build`, then `node examples/learn-kernel.ts` (Node ≥ 22.18 reads TypeScript).
 */
import { convTranspose2d, randn, tensor, zeros } from 'deconv';
import { mseLoss } from 'deconv/nn';
import { SGD } from 'deconv/optim';

// What is hidden.
export const hidden = tensor([[[[0.5, -1, 0.25], [2, 1, -0.5], [0, 0.75, -2]]]]); // biome-ignore format: rows
const hiddenBias = tensor([0.3]);

// What is seen: small pictures, and what the hidden layer makes of them, twice as large.
const options = { stride: 2, padding: 1, outputPadding: 1 };
const input = randn([8, 1, 6, 6], { seed: 1 });
const target = convTranspose2d(input, hidden, { ...options, bias: hiddenBias }); // [8, 1, 12, 12]

// What is learnt, from zero.
export const weight = zeros([1, 1, 3, 3], { requiresGrad: true });
export const bias = zeros([1], { requiresGrad: true });
const optimizer = new SGD([weight, bias], { lr: 0.5 });
for (let step = 0; step <= 60; step++) {
  optimizer.zeroGrad();
  const loss = mseLoss(convTranspose2d(input, weight, { ...options, bias }), target);
  loss.backward();
  optimizer.step();
  if (step % 20 === 0) console.log(`step ${step}: loss ${loss.item().toExponential(1)}`);
}

export const error = Math.max(...weight.data.map((value, i) => Math.abs(value - hidden.data[i])));
console.log('found', weight.toString());
console.log(`largest error ${error.toExponential(1)}, bias ${bias.item().toFixed(3)}`);
