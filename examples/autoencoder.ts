/**
 * An autoencoder that remembers where things were. Max pooling keeps the largest value of each 2 × 2 window; its
 * *switches* say where in the window that stood. The decoder puts values back at the switches (unpooling, as in
 * Noh et al. 2015, arXiv:1505.04366) or, to compare, doubles every pixel. Trained alike, the first draws edges where
 * they were.
 *
 * Run it: `npm run example -- autoencoder`
 */
import { add, mul, slice, sub, type Tensor } from 'deconv';
import {
  Conv2d,
  ConvTranspose2d,
  fit,
  MaxPool2d,
  MaxUnpool2d,
  Module,
  mseLoss,
  ReLU,
  Sequential,
  tensorDataset,
  Upsample,
} from 'deconv/nn';
import { Adam } from 'deconv/optim';
import { shapes } from './support/shapes.mjs';
import { showPictures } from './support/show.mjs';

class Autoencoder extends Module {
  encoder: Sequential;
  decoder: Sequential;

  constructor(switches: boolean) {
    super();
    const [first, second] = [new MaxPool2d({ kernelSize: 2 }), new MaxPool2d({ kernelSize: 2 })];
    const undo = (pool: MaxPool2d) => (switches ? new MaxUnpool2d(pool) : new Upsample({ scaleFactor: 2 }));
    const options = { kernelSize: 3, padding: 1 };
    // (3, 32, 32) → (16, 16, 16) → the code, (16, 8, 8): a third as many numbers.
    this.encoder = new Sequential(
      new Conv2d(3, 16, { ...options, seed: 1 }),
      new ReLU(),
      first,
      new Conv2d(16, 16, { ...options, seed: 2 }),
      new ReLU(),
      second,
    );
    // And back: (16, 8, 8) → (16, 16, 16) → (3, 32, 32).
    this.decoder = new Sequential(
      undo(second),
      new ConvTranspose2d(16, 16, { ...options, seed: 3 }),
      new ReLU(),
      undo(first),
      new ConvTranspose2d(16, 3, { ...options, seed: 4 }),
    );
  }

  forward(x: Tensor): Tensor {
    const code = this.encoder.forward(mul(sub(x, 0.5), 4)); // 0 … 1 → −2 … 2
    return add(this.decoder.forward(code), 0.5);
  }
}

const [seen] = await shapes(128, { size: 32, seed: 1 });
const [unseen] = await shapes(32, { size: 32, seed: 2 });

async function train(switches: boolean) {
  const model = new Autoencoder(switches);
  const training = fit(model, {
    data: tensorDataset(seen),
    batch: { batchSize: 8, shuffle: true },
    loss: (net, [x]) => mseLoss(net.forward(x), x),
    optimizer: new Adam(model.parameters(), { lr: 0.01 }),
    epochs: 6,
    evaluate: (net) => -10 * Math.log10(mseLoss(net.forward(unseen), unseen).item()),
    mode: 'max',
  });
  const scores: number[] = [];
  for await (const { metrics } of training) if (metrics) scores.push(metrics['score']);
  const name = switches ? 'with switches   ' : 'without switches';
  console.log(`${name} ${scores.map((score) => score.toFixed(1)).join('  ')} dB`);
  return { scores, psnr: scores[scores.length - 1], output: model.forward(unseen) };
}

console.log('PSNR of pictures not trained on, epoch by epoch:');
export const without = await train(false);
export const withSwitches = await train(true);

for (const [title, pictures] of Object.entries({
  pictures: unseen,
  without: without.output,
  with: withSwitches.output,
}))
  showPictures(title, slice(pictures, { end: [3] }));
