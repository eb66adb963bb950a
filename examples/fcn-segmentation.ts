/**
 * A fully convolutional network (FCN: Long et al. 2015, arXiv:1411.4038): an encoder that ever halves its maps scores the
 * classes at three depths. The deepest scores know what there is, the shallow ones where; from the deepest up, each is
 * doubled by a transposed convolution that *starts as bilinear interpolation*, and the next is added to it.
 *
 * Run it: `npm run example -- fcn-segmentation`
 */
import { add, argMax, slice, type Tensor } from 'deconv';
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  crossEntropy,
  fit,
  init,
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

const CLASSES = 3; // ground, discs, rectangles

/** Half the height and width, other maps. */
const stage = (inputs: number, outputs: number) =>
  new Sequential(
    new Conv2d(inputs, outputs, { kernelSize: 3, padding: 1, bias: false }),
    new BatchNorm2d(outputs),
    new ReLU(),
    new MaxPool2d({ kernelSize: 2 }),
  );
const score = (channels: number) => new Conv2d(channels, CLASSES, { kernelSize: 1 });

/** Doubles the scores of each class: bilinear interpolation to begin with, whatever training makes of it then. */
function double() {
  const layer = new ConvTranspose2d(CLASSES, CLASSES, { kernelSize: 4, stride: 2, padding: 1, bias: false });
  init.bilinear(layer.weight);
  return layer;
}

class Fcn extends Module {
  stages = [stage(3, 12), stage(12, 24), stage(24, 48)];
  scores = [score(12), score(24), score(48)];
  doubles = [double(), double(), double()];

  forward(x: Tensor): Tensor {
    // (3, 32, 32) → (12, 16, 16) → (24, 8, 8) → (48, 4, 4), each scored: (3, 16, 16), (3, 8, 8), (3, 4, 4).
    let h = x;
    const scores = this.stages.map((layer, depth) => {
      h = layer.forward(h);
      return this.scores[depth].forward(h);
    });
    const coarse = add(this.doubles[2].forward(scores[2]), scores[1]);
    const fine = add(this.doubles[1].forward(coarse), scores[0]);
    return this.doubles[0].forward(fine); // (3, 32, 32)
  }
}

/** Intersection over union, the mean over the classes. */
function meanIou(said: Tensor, truth: Tensor): number {
  const ious = Array.from({ length: CLASSES }, (_, k) => {
    const [a, b] = [said, truth].map(({ data }) => Array.from(data, (value) => Number(value) === k));
    return a.filter((is, i) => is && b[i]).length / a.filter((is, i) => is || b[i]).length;
  });
  return ious.reduce((sum, iou) => sum + iou, 0) / CLASSES;
}

const set = (count: number, seed: number) => shapes(count, { size: 32, classes: CLASSES - 1, seed });
const [pictures, , masks] = await set(192, 1);
const [unseen, , truth] = await set(64, 2);

manualSeed(1);
const model = new Fcn();
const training = fit(model, {
  data: tensorDataset(pictures, masks),
  batch: { batchSize: 16, shuffle: true },
  loss: (net, [x, classes]) => crossEntropy(net.forward(x), classes),
  optimizer: new Adam(model.parameters(), { lr: 0.01 }),
  schedule: cosineDecay({ steps: 10 }),
  epochs: 10,
  evaluate: (net) => meanIou(argMax(net.forward(unseen), 1), truth),
  mode: 'max',
});
export const scores: number[] = [];
for await (const { epoch, meanLoss, metrics } of training) {
  if (metrics === undefined) continue;
  scores.push(metrics['score']);
  console.log(`epoch ${epoch}: loss ${meanLoss.toFixed(3)}, unseen mean IoU ${metrics['score'].toFixed(3)}`);
}

const few = { end: [3] };
showPictures('pictures', slice(unseen, few));
showClasses('what they show', slice(truth, few));
showClasses('what it says', slice(argMax(model.eval().forward(unseen), 1), few));
