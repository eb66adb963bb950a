/**
 * networks: three networks and one training step of each, in deconv. The same stand in torch-child.py, under the same
 * parameter names, and start from the same weights.
 *
 * @typedef {object} Trained
 * @property {import('deconv/nn').Module} model everything that is trained
 * @property {(data: import('deconv').Tensor[]) => number} step one step on one batch; the loss before it
 */
import { concat, tanh, tensor } from 'deconv';
import {
  BatchNorm2d,
  bceWithLogits,
  Conv2d,
  ConvTranspose2d,
  LeakyReLU,
  l1Loss,
  MaxPool2d,
  Module,
  PixelShuffle,
  ReLU,
  Sequential,
} from 'deconv/nn';
import { Adam } from 'deconv/optim';

const three = { kernelSize: 3, padding: 1 };
const halve = { kernelSize: 4, stride: 2, padding: 1, bias: false };

/** Two convolutions, each with normalisation and ReLU. @param {number} from @param {number} to */
const pair = (from, to) =>
  new Sequential(
    new Conv2d(from, to, three),
    new BatchNorm2d(to),
    new ReLU(),
    new Conv2d(to, to, three),
    new BatchNorm2d(to),
    new ReLU(),
  );

class UNet extends Module {
  down1 = pair(3, 16);
  down2 = pair(16, 32);
  middle = pair(32, 64);
  up2 = new ConvTranspose2d(64, 32, { kernelSize: 2, stride: 2 });
  join2 = pair(64, 32);
  up1 = new ConvTranspose2d(32, 16, { kernelSize: 2, stride: 2 });
  join1 = pair(32, 16);
  head = new Conv2d(16, 1, { kernelSize: 1 });
  pool = new MaxPool2d({ kernelSize: 2 });

  /** @param {import('deconv').Tensor} x */
  forward(x) {
    const a = this.down1.forward(x);
    const b = this.down2.forward(this.pool.forward(a));
    const c = this.middle.forward(this.pool.forward(b));
    const d = this.join2.forward(concat([this.up2.forward(c), b], 1));
    const e = this.join1.forward(concat([this.up1.forward(d), a], 1));
    return this.head.forward(e);
  }
}

class Generator extends Module {
  layers = new Sequential(
    new ConvTranspose2d(100, 512, { kernelSize: 4, bias: false }),
    new BatchNorm2d(512),
    new ReLU(),
    new ConvTranspose2d(512, 256, halve),
    new BatchNorm2d(256),
    new ReLU(),
    new ConvTranspose2d(256, 128, halve),
    new BatchNorm2d(128),
    new ReLU(),
    new ConvTranspose2d(128, 64, halve),
    new BatchNorm2d(64),
    new ReLU(),
    new ConvTranspose2d(64, 3, halve),
  );

  /** @param {import('deconv').Tensor} z */
  forward(z) {
    return tanh(this.layers.forward(z));
  }
}

const discriminator = () =>
  new Sequential(
    new Conv2d(3, 64, halve),
    new LeakyReLU(0.2),
    new Conv2d(64, 128, halve),
    new BatchNorm2d(128),
    new LeakyReLU(0.2),
    new Conv2d(128, 256, halve),
    new BatchNorm2d(256),
    new LeakyReLU(0.2),
    new Conv2d(256, 512, halve),
    new BatchNorm2d(512),
    new LeakyReLU(0.2),
    new Conv2d(512, 1, { kernelSize: 4, bias: false }),
  );

class Gan extends Module {
  generator = new Generator();
  discriminator = discriminator();

  /** @param {import('deconv').Tensor} z */
  forward(z) {
    return this.discriminator.forward(this.generator.forward(z));
  }
}

class Upscaler extends Module {
  layers = new Sequential(
    new Conv2d(3, 64, { kernelSize: 5, padding: 2 }),
    new ReLU(),
    new Conv2d(64, 64, three),
    new ReLU(),
    new Conv2d(64, 32, three),
    new ReLU(),
    new Conv2d(32, 12, three),
  );
  shuffle = new PixelShuffle(2);

  /** @param {import('deconv').Tensor} x */
  forward(x) {
    return this.shuffle.forward(this.layers.forward(x));
  }
}

/** @param {import('deconv/nn').Module} model @param {(model: any, data: import('deconv').Tensor[]) => import('deconv').Tensor} lossOf */
function simple(model, lossOf) {
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  return {
    model,
    step(/** @type {import('deconv').Tensor[]} */ data) {
      optimizer.zeroGrad();
      const loss = lossOf(model, data);
      loss.backward();
      optimizer.step();
      return loss.item();
    },
  };
}

/** Shapes of the batch, and the training, by name. @type {Record<string, { title: string, data: number[][], make(): Trained }>} */
export const networks = {
  dcgan: {
    title: 'DCGAN 64×64, batch 16: generator and discriminator',
    data: [
      [16, 100, 1, 1],
      [16, 3, 64, 64],
    ],
    make() {
      const model = new Gan();
      const [g, d] = [model.generator, model.discriminator];
      const options = { lr: 2e-4, betas: /** @type {[number, number]} */ ([0.5, 0.999]) };
      const [ofG, ofD] = [new Adam(g.parameters(), options), new Adam(d.parameters(), options)];
      const label = (/** @type {number} */ value) => tensor(new Float32Array(16).fill(value), [16, 1, 1, 1]);
      return {
        model,
        step([z, real]) {
          ofD.zeroGrad();
          const fake = g.forward(z);
          const lossReal = bceWithLogits(d.forward(real), label(1));
          lossReal.backward();
          bceWithLogits(d.forward(fake.detach()), label(0)).backward();
          ofD.step();
          ofG.zeroGrad();
          const loss = bceWithLogits(d.forward(fake), label(1));
          loss.backward();
          ofG.step();
          return loss.item();
        },
      };
    },
  },
  unet: {
    title: 'U-Net 3→16→32→64 at 128×128, batch 4',
    data: [
      [4, 3, 128, 128],
      [4, 1, 128, 128],
    ],
    make: () => simple(new UNet(), (model, [x, y]) => bceWithLogits(model.forward(x), y)),
  },
  upscaler: {
    title: 'Upscaler ×2, 48×48 patches, batch 16',
    data: [
      [16, 3, 48, 48],
      [16, 3, 96, 96],
    ],
    make: () => simple(new Upscaler(), (model, [x, y]) => l1Loss(model.forward(x), y)),
  },
};
