/**
 * networks: whole networks as deconv/nn modules, exported to ONNX for everybody: a classifier (ResNet-50), a segmenter
 * (U-Net), a generator (DCGAN), an upscaler (FSRCNN) and a vocoder (HiFi-GAN, configuration V3). Weights are random.
 *
 * @typedef {import('deconv').Tensor} Tensor
 */
import { add, concat, leakyRelu, mul, relu, tanh } from 'deconv';
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  ConvTranspose1d,
  ConvTranspose2d,
  Flatten,
  Linear,
  MaxPool2d,
  Module,
  ModuleList,
  PReLU,
  ReLU,
  Sequential,
  Tanh,
} from 'deconv/nn';

/** Convolution without bias and its normalisation. @param {number} from @param {number} to @param {number} k @param {number} [stride] */
const normed = (from, to, k, stride = 1) => [
  new Conv2d(from, to, { kernelSize: k, stride, padding: (k - 1) / 2, bias: false }),
  new BatchNorm2d(to),
];

/** 1×1, 3×3, 1×1 around a shortcut. */
class Bottleneck extends Module {
  /** @param {number} from @param {number} width @param {number} stride */
  constructor(from, width, stride) {
    super();
    const to = 4 * width;
    this.body = new Sequential(
      ...normed(from, width, 1),
      new ReLU(),
      ...normed(width, width, 3, stride),
      new ReLU(),
      ...normed(width, to, 1),
    );
    this.shortcut = from === to && stride === 1 ? undefined : new Sequential(...normed(from, to, 1, stride));
  }

  /** @param {Tensor} x */
  forward(x) {
    return relu(add(this.body.forward(x), this.shortcut?.forward(x) ?? x));
  }
}

function resnet50() {
  const blocks = [];
  let from = 64;
  for (const [stage, count] of [3, 4, 6, 3].entries()) {
    for (let i = 0; i < count; i++) {
      const width = 64 * 2 ** stage;
      blocks.push(new Bottleneck(from, width, i === 0 && stage > 0 ? 2 : 1));
      from = 4 * width;
    }
  }
  return new Sequential(
    new Conv2d(3, 64, { kernelSize: 7, stride: 2, padding: 3, bias: false }),
    new BatchNorm2d(64),
    new ReLU(),
    new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
    ...blocks,
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(from, 1000),
  );
}

/** @param {number} from @param {number} to */
const pair = (from, to) =>
  new Sequential(...normed(from, to, 3), new ReLU(), ...normed(to, to, 3), new ReLU());

class UNet extends Module {
  down = new ModuleList([pair(3, 16), pair(16, 32), pair(32, 64), pair(64, 128)]);
  middle = pair(128, 256);
  up = new ModuleList(
    [256, 128, 64, 32].map((from) => new ConvTranspose2d(from, from / 2, { kernelSize: 2, stride: 2 })),
  );
  join = new ModuleList([256, 128, 64, 32].map((from) => pair(from, from / 2)));
  head = new Conv2d(16, 2, { kernelSize: 1 });
  pool = new MaxPool2d({ kernelSize: 2 });

  /** @param {Tensor} x */
  forward(x) {
    /** @type {Tensor[]} */
    const skips = [];
    let h = x;
    for (const level of this.down) {
      skips.push(level.forward(h));
      h = this.pool.forward(skips[skips.length - 1]);
    }
    h = this.middle.forward(h);
    for (const [i, up] of [...this.up].entries()) {
      h = [...this.join][i].forward(concat([up.forward(h), /** @type {Tensor} */ (skips.pop())], 1));
    }
    return this.head.forward(h);
  }
}

function dcgan() {
  const widths = [512, 256, 128, 64];
  const layers = widths
    .slice(1)
    .flatMap((to, i) => [
      new ConvTranspose2d(widths[i], to, { kernelSize: 4, stride: 2, padding: 1, bias: false }),
      new BatchNorm2d(to),
      new ReLU(),
    ]);
  return new Sequential(
    new ConvTranspose2d(100, 512, { kernelSize: 4, bias: false }),
    new BatchNorm2d(512),
    new ReLU(),
    ...layers,
    new ConvTranspose2d(64, 3, { kernelSize: 4, stride: 2, padding: 1, bias: false }),
    new Tanh(),
  );
}

function fsrcnn() {
  const body = Array.from({ length: 4 }, () => [
    new Conv2d(12, 12, { kernelSize: 3, padding: 1 }),
    new PReLU(12),
  ]);
  return new Sequential(
    new Conv2d(1, 56, { kernelSize: 5, padding: 2 }),
    new PReLU(56),
    new Conv2d(56, 12, { kernelSize: 1 }),
    new PReLU(12),
    ...body.flat(),
    new Conv2d(12, 56, { kernelSize: 1 }),
    new PReLU(56),
    new ConvTranspose2d(56, 1, { kernelSize: 9, stride: 2, padding: 4, outputPadding: 1 }),
  );
}

/** Dilated convolutions of one kernel size, each around a shortcut. */
class Resonances extends Module {
  /** @param {number} channels @param {number} k @param {number[]} dilations */
  constructor(channels, k, dilations) {
    super();
    this.convs = new ModuleList(
      dilations.map(
        (d) => new Conv1d(channels, channels, { kernelSize: k, dilation: d, padding: (d * (k - 1)) / 2 }),
      ),
    );
  }

  /** @param {Tensor} x */
  forward(x) {
    let h = x;
    for (const conv of this.convs) h = add(conv.forward(leakyRelu(h, 0.1)), h);
    return h;
  }
}

class HifiGan extends Module {
  first = new Conv1d(80, 256, { kernelSize: 7, padding: 3 });
  ups = new ModuleList(
    [
      [256, 8],
      [128, 8],
      [64, 4],
    ].map(
      ([from, s]) => new ConvTranspose1d(from, from / 2, { kernelSize: 2 * s, stride: s, padding: s / 2 }),
    ),
  );
  blocks = new ModuleList(
    [128, 64, 32].flatMap((channels) => [
      new Resonances(channels, 3, [1, 2]),
      new Resonances(channels, 5, [2, 6]),
      new Resonances(channels, 7, [3, 12]),
    ]),
  );
  last = new Conv1d(32, 1, { kernelSize: 7, padding: 3 });

  /** @param {Tensor} mel */
  forward(mel) {
    const blocks = [...this.blocks];
    let h = this.first.forward(mel);
    for (const [i, up] of [...this.ups].entries()) {
      h = up.forward(leakyRelu(h, 0.1));
      const [a, b, c] = blocks.slice(3 * i, 3 * i + 3).map((block) => block.forward(h));
      h = mul(add(add(a, b), c), 1 / 3);
    }
    return tanh(this.last.forward(leakyRelu(h, 0.01)));
  }
}

/** The networks, and the shape of what they are given, by name. @type {Record<string, { title: string, input: number[], make(): Module }>} */
export const networks = {
  resnet50: { title: 'ResNet-50, 224×224', input: [1, 3, 224, 224], make: resnet50 },
  unet: { title: 'U-Net 16…256, 512×512', input: [1, 3, 512, 512], make: () => new UNet() },
  dcgan: { title: 'DCGAN generator, 64×64, batch 16', input: [16, 100, 1, 1], make: dcgan },
  fsrcnn: { title: 'FSRCNN ×2, 640×360 to 720p', input: [1, 1, 360, 640], make: fsrcnn },
  hifigan: { title: 'HiFi-GAN V3, 200 frames', input: [1, 80, 200], make: () => new HifiGan() },
};
