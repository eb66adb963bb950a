/**
 * The U-Net and the upscaler of networks.mjs in TensorFlow.js on its plain JavaScript backend, the only one of its
 * backends without native code that trains convolutions. NHWC, as it wants them; weights of its own: what is measured
 * is the time of a step. Speaks as torch-child.py does.
 */
import * as module from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { peakMemory, serve } from '../process.mjs';

// Gradients are registered, for all copies of the library in a process, by files that name each other without '.js'.
// Node has what this takes from version 22.15 on.
module.registerHooks?.({
  resolve(name, context, next) {
    const bare = name.startsWith('.') && !name.endsWith('.js') && context.parentURL?.includes('/tfjs-core/');
    return next(bare ? `${name}.js` : name, context);
  },
});
if (module.registerHooks)
  await import(new URL('register_all_gradients.js', import.meta.resolve('@tensorflow/tfjs-core')).href);

tf.env().set('PROD', true);
await tf.setBackend('cpu');

/** @type {() => number} */
let step;

/** tf.depthToSpace by twos, which has no gradient, in steps that have. @param {any} x */
const shuffle = (x) => {
  const [n, h, w, c] = x.shape;
  const parts = tf.transpose(tf.reshape(x, [n, h, w, 2, 2, c / 4]), [0, 1, 3, 2, 4, 5]);
  return tf.reshape(parts, [n, 2 * h, 2 * w, c / 4]);
};

const weight = (/** @type {number[]} */ shape) => tf.variable(tf.randomNormal(shape, 0, 0.05));

/** @type {Record<string, () => () => any>} */
const networks = {
  unet() {
    const norm = (/** @type {number} */ channels) => {
      const [scale, shift] = [tf.variable(tf.ones([channels])), tf.variable(tf.zeros([channels]))];
      return (/** @type {any} */ x) => {
        const { mean, variance } = tf.moments(x, [0, 1, 2]);
        return tf.relu(tf.batchNorm(x, mean, variance, shift, scale, 1e-5));
      };
    };
    const pair = (/** @type {number} */ from, /** @type {number} */ to) => {
      const [a, b, first, second] = [weight([3, 3, from, to]), weight([3, 3, to, to]), norm(to), norm(to)];
      return (/** @type {any} */ x) => second(tf.conv2d(first(tf.conv2d(x, a, 1, 'same')), b, 1, 'same'));
    };
    const up = (/** @type {number} */ from, /** @type {number} */ to) => {
      const w = weight([2, 2, to, from]);
      return (/** @type {any} */ x) =>
        tf.conv2dTranspose(x, w, [x.shape[0], x.shape[1] * 2, x.shape[2] * 2, to], 2, 'valid');
    };
    const [down1, down2, middle] = [pair(3, 16), pair(16, 32), pair(32, 64)];
    const [up2, join2, up1, join1] = [up(64, 32), pair(64, 32), up(32, 16), pair(32, 16)];
    const head = weight([1, 1, 16, 1]);
    const [x, y] = [tf.randomUniform([4, 128, 128, 3]), tf.randomUniform([4, 128, 128, 1])];
    return () => {
      const a = down1(x);
      const b = down2(tf.maxPool(a, 2, 2, 'valid'));
      const c = middle(tf.maxPool(b, 2, 2, 'valid'));
      const d = join2(tf.concat([up2(c), b], 3));
      const e = join1(tf.concat([up1(d), a], 3));
      return tf.losses.sigmoidCrossEntropy(y, tf.conv2d(e, head, 1, 'same'));
    };
  },
  upscaler() {
    const weights = [
      weight([5, 5, 3, 64]),
      weight([3, 3, 64, 64]),
      weight([3, 3, 64, 32]),
      weight([3, 3, 32, 12]),
    ];
    const [x, y] = [tf.randomUniform([16, 48, 48, 3]), tf.randomUniform([16, 96, 96, 3])];
    return () => {
      let h = /** @type {any} */ (x);
      for (const [i, w] of weights.entries()) {
        h = tf.conv2d(h, w, 1, 'same');
        if (i < 3) h = tf.relu(h);
      }
      return tf.losses.absoluteDifference(y, shuffle(h));
    };
  },
};

/** @type {Record<string, (request: any) => object>} */
const handlers = {
  prepare({ network }) {
    if (!(network in networks && module.registerHooks)) return { missing: true };
    const lossOf = networks[network]();
    const optimizer = tf.train.adam(1e-3);
    step = () => {
      const loss = /** @type {any} */ (optimizer.minimize(lossOf, true));
      const [value] = loss.dataSync();
      loss.dispose();
      return value;
    };
    return {};
  },
  step() {
    const begin = performance.now();
    const loss = step();
    return { ms: performance.now() - begin, loss };
  },
  memory: peakMemory,
};

await serve(`${tf.version_core}, cpu backend`, handlers);
