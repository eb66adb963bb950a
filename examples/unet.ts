/**
 * A U-Net of your own (Ronneberger et al. 2015, arXiv:1505.04597): a class with layers as properties and a forward. What
 * is seen on the way down is laid beside what comes back up, so the mask knows both what is there and exactly where.
 * Trained to tell figures from their ground, saved as safetensors (PyTorch reads the file too), loaded into a fresh
 * network.
 *
 * Run it: `npm run example -- unet`
 */
import { cast, concat, equal, greater, mul, reshape, slice, sub, sum, type Tensor } from 'deconv';
import { readSafetensors, writeSafetensors } from 'deconv/io';
import {
  BatchNorm2d,
  bceWithLogits,
  Conv2d,
  ConvTranspose2d,
  fit,
  MaxPool2d,
  Module,
  manualSeed,
  ReLU,
  Sequential,
  tensorDataset,
} from 'deconv/nn';
import { Adam, cosineDecay } from 'deconv/optim';
import { shapes } from './support/shapes.mjs';
import { showClasses, showPictures } from './support/show.mjs';

const block = (inputs: number, outputs: number) =>
  new Sequential(
    new Conv2d(inputs, outputs, { kernelSize: 3, padding: 1, bias: false }),
    new BatchNorm2d(outputs),
    new ReLU(),
  );
const grow = (inputs: number, outputs: number) =>
  new ConvTranspose2d(inputs, outputs, { kernelSize: 2, stride: 2 });

class UNet extends Module {
  pool = new MaxPool2d({ kernelSize: 2 });
  down = [block(3, 8), block(8, 16)];
  bottom = block(16, 32);
  up = [grow(32, 16), grow(16, 8)];
  merge = [block(32, 16), block(16, 8)];
  head = new Conv2d(8, 1, { kernelSize: 1 });

  forward(x: Tensor): Tensor {
    const fine = this.down[0].forward(x); // (8, 32, 32)
    const coarse = this.down[1].forward(this.pool.forward(fine)); // (16, 16, 16)
    const bottom = this.bottom.forward(this.pool.forward(coarse)); // (32, 8, 8)
    const middle = this.merge[0].forward(concat([this.up[0].forward(bottom), coarse], 1));
    return this.head.forward(this.merge[1].forward(concat([this.up[1].forward(middle), fine], 1)));
  }
}

// Pictures, and 1 where there is a figure, 0 for the ground: (N, 1, 32, 32).
async function figures(count: number, seed: number) {
  const [pictures, , classes] = await shapes(count, { size: 32, seed });
  const mask = cast(greater(classes, 0), 'float32');
  return [pictures, reshape(mask, [count, 1, 32, 32])];
}
const [pictures, masks] = await figures(192, 1);
const [unseen, truth] = await figures(48, 2);

/** Intersection over union of what is said to be figure and what is. */
function iou(logits: Tensor): number {
  const said = cast(greater(logits, 0), 'float32');
  const both = sum(mul(said, truth)).item();
  return both / (sum(said).item() + sum(truth).item() - both);
}

manualSeed(1);
const model = new UNet();
const training = fit(model, {
  data: tensorDataset(pictures, masks),
  batch: { batchSize: 12, shuffle: true },
  loss: (net, [x, y]) => bceWithLogits(net.forward(x), y),
  optimizer: new Adam(model.parameters(), { lr: 0.01 }),
  schedule: cosineDecay({ steps: 8 }),
  epochs: 8,
  evaluate: (net) => iou(net.forward(unseen)),
  mode: 'max',
});
export const scores: number[] = [];
for await (const { epoch, meanLoss, metrics } of training) {
  if (metrics === undefined) continue;
  scores.push(metrics['score']);
  console.log(`epoch ${epoch}: loss ${meanLoss.toFixed(3)}, unseen IoU ${metrics['score'].toFixed(3)}`);
}

// As bytes, for a file (writeFile of deconv/io) or a download; and back, running statistics of the normalisation included.
const bytes = writeSafetensors(model.stateDict(), { metadata: { made: 'examples/unet.ts' } });
const again = new UNet();
again.loadStateDict(readSafetensors(bytes));
const [kept, loaded] = [model, again].map((net) => net.eval().forward(unseen));
export const same = sum(sub(1, cast(equal(kept, loaded), 'float32'))).item() === 0;
console.log(`saved as ${bytes.length} bytes; loaded, it says the same to the last bit: ${same}`);

const few = { end: [3] };
showPictures('pictures', slice(unseen, few));
showClasses('masks it draws', slice(reshape(cast(greater(loaded, 0), 'int32'), [48, 32, 32]), few));
