/**
 * Two networks against each other (DCGAN: Radford et al. 2015, arXiv:1511.06434): a generator draws small figures from
 * noise by transposed convolutions, a discriminator is to tell them from real ones. Each has its own optimiser, and they
 * move in turn: what the one gets better at, the other learns from.
 *
 * Run it: `npm run example -- dcgan`
 */
import { add, full, noGrad, randn, sigmoid, type Tensor } from 'deconv';
import {
  BatchNorm2d,
  batches,
  bceWithLogits,
  Conv2d,
  ConvTranspose2d,
  LeakyReLU,
  manualSeed,
  ReLU,
  Sequential,
  tensorDataset,
} from 'deconv/nn';
import { Adam } from 'deconv/optim';
import { nearest } from './support/nearest.mjs';
import { silhouettes } from './support/shapes.mjs';
import { showPictures } from './support/show.mjs';

const [LATENT, BATCH, EPOCHS] = [16, 32, 10];
const half = { kernelSize: 4, stride: 2, padding: 1 };

manualSeed(1);
// (16, 1, 1) → (48, 4, 4) → (24, 8, 8) → (1, 16, 16), before the sigmoid.
const generator = new Sequential(
  new ConvTranspose2d(LATENT, 48, { kernelSize: 4 }),
  new BatchNorm2d(48),
  new ReLU(),
  new ConvTranspose2d(48, 24, half),
  new BatchNorm2d(24),
  new ReLU(),
  new ConvTranspose2d(24, 1, half),
);
// (1, 16, 16) → (24, 8, 8) → (48, 4, 4) → one number: above 0 for real.
const discriminator = new Sequential(
  new Conv2d(1, 24, half),
  new LeakyReLU(0.2),
  new Conv2d(24, 48, half),
  new BatchNorm2d(48),
  new LeakyReLU(0.2),
  new Conv2d(48, 1, { kernelSize: 4 }),
);
const options = { lr: 2e-3, betas: [0.5, 0.999] } as const;
const forGenerator = new Adam(generator.parameters(), options);
const forDiscriminator = new Adam(discriminator.parameters(), options);

const draw = (count: number, seed: number) =>
  sigmoid(generator.forward(randn([count, LATENT, 1, 1], { seed })));
/** Loss of a discriminator that is to say, with this probability, that the pictures are real. */
const judged = (pictures: Tensor, probability: number) =>
  bceWithLogits(discriminator.forward(pictures), full([pictures.shape[0], 1, 1, 1], probability));

const real = await silhouettes(512, 1);
function report(name: string, pictures: Tensor) {
  // Are they figures? Are all kinds there?
  const [toReal, toDrawn] = [nearest(pictures, real), nearest(real, pictures)];
  console.log(`${name}  to the nearest real ${toReal.toFixed(3)}, from real ${toDrawn.toFixed(3)}`);
  return { toReal, toDrawn };
}

report('other real', await silhouettes(256, 2));
export const first = noGrad(() => report('epoch 0   ', draw(256, 0)));
export let last = first;
let step = 0;
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  for await (const [x] of batches(tensorDataset(real), { batchSize: BATCH, shuffle: true, epoch })) {
    const drawn = draw(BATCH, ++step);
    // The discriminator: real is real (0.9: never too sure), drawn is not. detach: the generator does not learn from this.
    forDiscriminator.zeroGrad();
    add(judged(x, 0.9), judged(drawn.detach(), 0)).backward();
    forDiscriminator.step();
    // The generator: what it drew should pass for real.
    forGenerator.zeroGrad();
    judged(drawn, 1).backward();
    forGenerator.step();
  }
  if (epoch % 2 === 1) last = noGrad(() => report(`epoch ${epoch + 1}`.padEnd(10), draw(256, 0)));
}

showPictures('real', real, 6);
showPictures('drawn', draw(6, 2), 6);
