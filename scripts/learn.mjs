/**
 * learn: how well the ready models learn, measured: the segmenter by its mean intersection over union, the autoencoder
 * against principal components with as many numbers in the code. Both on the drawn set, 64 × 64, on pictures that were
 * not trained on. Not part of `npm test`, which trains for seconds only; minutes each.
 *
 *   npm run learn -- [segment] [autoencode] [--steps n] [--batch 8] [--lr x] [--threads n] [--wide]
 *
 * of the autoencoder also [--code 16] [--levels 3] [--channels 32]; of the segmenter [--channels 16] [--levels 3].
 *
 * Ends with code 1 where the segmenter stays below 0.9, or where a PCA is better than the autoencoder.
 */
import { parseArgs } from 'node:util';
import { clamp, configure, noGrad, reshape } from 'deconv';
import {
  autoencoder,
  batches,
  crossEntropy,
  fit,
  mapDataset,
  mseLoss,
  randomFlip,
  segmenter,
  syntheticShapes,
} from 'deconv/nn';
import { Adam, cosineDecay, warmup } from 'deconv/optim';
import { blocksOf, principalPart } from './learn/pca.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '2000' },
    batch: { type: 'string', default: '8' },
    lr: { type: 'string', default: '0.002' },
    code: { type: 'string', default: '16' },
    levels: { type: 'string' },
    channels: { type: 'string' },
    threads: { type: 'string' },
    wide: { type: 'boolean', default: false },
  },
});
const number = (/** @type {string | undefined} */ text) => (text === undefined ? undefined : Number(text));
const [steps, batchSize, lr, code] = [values.steps, values.batch, values.lr, values.code].map(Number);
const [levels, channels] = [values.levels, values.channels].map(number);
const tasks = positionals.length > 0 ? positionals : ['segment', 'autoencode'];
await configure({ wideSimd: values.wide, threads: number(values.threads) });

const [SIDE, CLASSES] = [64, 4];
/** Every picture that is trained on is new. */
const seen = syntheticShapes(steps * batchSize, { seed: 1, size: SIDE, classes: CLASSES });
const heldOut = syntheticShapes(256, { seed: 2, size: SIDE, classes: CLASSES });
/** How many pictures the principal components are those of. */
const PCA_PICTURES = 2048;

/** All pictures of a set as one tensor each: pictures, labels, masks. @param {import('deconv/nn').Dataset} dataset */
async function whole(dataset) {
  for await (const batch of batches(dataset, { batchSize: dataset.length })) return batch;
  throw new Error('an empty set');
}

/**
 * Trains, and says how it goes.
 *
 * @param {import('deconv/nn').AnyPictureModel} model
 * @param {(batch: import('deconv/nn').Batch) => import('deconv').Tensor} loss
 */
async function train(model, loss) {
  const weights = model.parameters().reduce((sum, { size }) => sum + size, 0);
  console.log(`${model.type} ${JSON.stringify(model.options)}: ${weights.toLocaleString('en')} weights`);
  const began = performance.now();
  const training = fit(model, {
    data: mapDataset(seen, randomFlip({ vertical: true })),
    batch: { batchSize },
    loss: (_, batch) => loss(batch),
    optimizer: new Adam(model.parameters(), { lr, betas: [0.9, 0.99] }),
    schedule: warmup({ steps: 50 }, cosineDecay({ steps: Math.max(1, steps - 50), floor: lr / 100 })),
    scheduleEvery: 'step',
    clip: 10,
    epochs: 1,
  });
  const every = Math.ceil(steps / 10);
  let sum = 0;
  for await (const { step, loss } of training) {
    sum += loss;
    if (step % every !== 0) continue;
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(`  step ${step}: loss ${(sum / every).toFixed(5)}, ${seconds} s`);
    sum = 0;
  }
}

/** Intersection over union of each class. @param {ArrayLike<number>} truth @param {ArrayLike<number>} said */
function ious(truth, said) {
  const counts = Array.from({ length: CLASSES + 1 }, () => ({ both: 0, any: 0 }));
  for (let i = 0; i < truth.length; i++) {
    counts[truth[i]].any++;
    if (said[i] === truth[i]) counts[said[i]].both++;
    else counts[said[i]].any++;
  }
  return counts.map(({ both, any }) => both / any);
}

async function segment() {
  const model = segmenter({ classes: CLASSES + 1, channels, levels, seed: 1 });
  await train(model, ([x, , mask]) => crossEntropy(model.forward(x), mask));
  const [pictures, , masks] = await whole(heldOut);
  const each = ious(masks.data, model.apply(pictures).data);
  const mean = each.reduce((a, b) => a + b, 0) / each.length;
  console.log(`  held-out IoU ${each.map((x) => x.toFixed(3)).join(' ')}; mean ${mean.toFixed(4)}`);
  return mean >= 0.9;
}

async function autoencode() {
  const model = autoencoder({ code, levels, channels, seed: 1 });
  await train(model, ([x]) => mseLoss(model.forward(x), x));
  const [pictures] = await whole(syntheticShapes(PCA_PICTURES, { seed: 1, size: SIDE, classes: CLASSES }));
  const [unseen] = await whole(heldOut);
  const all = 3 * SIDE ** 2;
  const numbers = code * (SIDE / model.multiple) ** 2;
  const { there, back } = blocksOf(model.multiple);
  const flat = (/** @type {import('deconv').Tensor} */ x) => reshape(x, [x.shape[0], all]);
  const blockwise = back(principalPart(there(pictures), there(unseen), code), unseen.shape);
  const global = principalPart(flat(pictures), flat(unseen), numbers);
  const results = {
    autoencoder: model.apply(unseen),
    [`PCA of blocks of ${model.multiple} × ${model.multiple}`]: blockwise,
    'PCA of whole pictures': reshape(global, unseen.shape),
  };
  console.log(`  held-out MSE, pictures of ${all} numbers from codes of ${numbers}:`);
  const errors = Object.entries(results).map(([name, y]) => {
    const error = noGrad(() => mseLoss(clamp(y, { min: 0, max: 1 }), unseen).item());
    console.log(`    ${name.padEnd(24)} ${error.toFixed(6)}  ${(-10 * Math.log10(error)).toFixed(2)} dB`);
    return error;
  });
  return errors[0] < Math.min(...errors.slice(1));
}

const measures = { segment, autoencode };
for (const task of tasks) {
  if (!(await measures[/** @type {keyof typeof measures} */ (task)]())) process.exitCode = 1;
}
