/**
 * Super-resolution: a small network learns what bicubic interpolation leaves out. It looks at the small picture, and a
 * pixel shuffle turns four of its maps into one of twice the height and width; that is added to the bicubic picture
 * (the residual is learnt, as in Kim et al. 2016, arXiv:1511.04587; the shuffle is of Shi et al. 2016,
 * arXiv:1609.05158). What is to be learnt is small, so what the network says is scaled down: its first steps do no harm.
 *
 * Run it: `npm run example -- super-resolution`
 */
import { add, avgPool2d, clamp, mul, noGrad, slice, sub, type Tensor, upsample } from 'deconv';
import {
  Conv2d,
  fit,
  Module,
  mapDataset,
  mseLoss,
  PixelShuffle,
  ReLU,
  randomCrop,
  Sequential,
  tensorDataset,
} from 'deconv/nn';
import { Adam, cosineDecay } from 'deconv/optim';
import { shapes } from './support/shapes.mjs';
import { showPictures } from './support/show.mjs';

const bicubic = (x: Tensor) => upsample(x, { scaleFactor: 2, mode: 'cubic' });

class SuperResolution extends Module {
  // (3, h, w) → (24, h, w) → (12, h, w) → (3, 2h, 2w).
  detail = new Sequential(
    new Conv2d(3, 24, { kernelSize: 5, padding: 2, seed: 1 }),
    new ReLU(),
    new Conv2d(24, 24, { kernelSize: 3, padding: 1, seed: 2 }),
    new ReLU(),
    new Conv2d(24, 12, { kernelSize: 3, padding: 1, seed: 3 }),
    new PixelShuffle(2),
  );

  forward(x: Tensor): Tensor {
    return add(bicubic(x), mul(this.detail.forward(mul(sub(x, 0.5), 4)), 0.1));
  }
}

// Sharp pictures, and the same with each 2 × 2 pixels averaged into one.
const [sharp] = await shapes(96, { size: 64, seed: 1 });
const [unseen] = await shapes(24, { size: 64, seed: 2 });
const halve = (x: Tensor) => avgPool2d(x, { kernelSize: 2 });
const small = halve(unseen);

const psnr = (y: Tensor) =>
  noGrad(() => -10 * Math.log10(mseLoss(clamp(y, { min: 0, max: 1 }), unseen).item()));

const model = new SuperResolution();
const training = fit(model, {
  // Crops of 16 × 16 and 32 × 32 at the same place.
  data: mapDataset(tensorDataset(halve(sharp), sharp), randomCrop(16, { scale: 2 })),
  batch: { batchSize: 8, shuffle: true },
  loss: (net, [x, y]) => mseLoss(net.forward(x), y),
  optimizer: new Adam(model.parameters(), { lr: 4e-3 }),
  schedule: cosineDecay({ steps: 24 }),
  epochs: 24,
  evaluate: (net) => psnr(net.forward(small)),
  evaluateEvery: 72,
  mode: 'max',
});

export const before = psnr(bicubic(small));
console.log(`bicubic                  ${before.toFixed(2)} dB`);
export const scores: number[] = [];
for await (const { step, metrics } of training) {
  if (metrics === undefined) continue;
  scores.push(metrics['score']);
  console.log(`network after ${String(step).padStart(3)} steps  ${metrics['score'].toFixed(2)} dB`);
}

// A part of one picture, as it should be, by interpolation, and by the network.
const part = (x: Tensor) => slice(x, { start: [1, 0, 16, 16], end: [2, 3, 48, 48] });
for (const [title, picture] of Object.entries({
  truth: unseen,
  bicubic: bicubic(small),
  network: model.forward(small),
}))
  showPictures(title, part(picture));
