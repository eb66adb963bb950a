/**
 * more: further networks of the kinds that people run, for the same comparison: classifiers whose layers concatenate
 * (DenseNet-121, GoogLeNet), shuffle or go channel by channel (ShuffleNet v2, MobileNet v2) or are plain and heavy (VGG-19); a segmenter with transposed
 * convolutions for upsampling (FCN) and one of volumes (V-Net); a translator of pictures (CycleGAN) and an upscaler
 * (SRResNet). Weights are random.
 *
 * @typedef {import('deconv').Tensor} Tensor
 */
import { add, concat, pad, permute, relu, reshape, slice, tanh } from 'deconv';
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Conv3d,
  ConvTranspose2d,
  ConvTranspose3d,
  Flatten,
  InstanceNorm2d,
  Linear,
  MaxPool2d,
  Module,
  ModuleList,
  PixelShuffle,
  PReLU,
  ReLU,
  ReLU6,
  Sequential,
} from 'deconv/nn';

/** @param {number} from @param {number} to @param {number} k @param {object} [options] */
const conv = (from, to, k, options) =>
  new Conv2d(from, to, { kernelSize: k, padding: (k - 1) / 2, ...options });

/** Blocks of 3×3 convolutions and relu, each with a pool behind it. @param {number[]} counts @param {number[]} widths */
function vggBlocks(counts, widths) {
  let from = 3;
  return counts.flatMap((count, i) => {
    const block = [];
    for (let j = 0; j < count; j++) {
      block.push(conv(from, widths[i], 3), new ReLU());
      from = widths[i];
    }
    return [...block, new MaxPool2d({ kernelSize: 2 })];
  });
}

const vgg19 = () =>
  new Sequential(
    ...vggBlocks([2, 2, 4, 4, 4], [64, 128, 256, 512, 512]),
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(512, 1000),
  );

/** FCN-16s: what VGG-16 sees at strides 16 and 32, brought to the size of the picture. */
class Fcn extends Module {
  early = new Sequential(...vggBlocks([2, 2, 3, 3], [64, 128, 256, 512]));
  late = new Sequential(
    ...[1, 2, 3].flatMap(() => [conv(512, 512, 3), new ReLU()]),
    new MaxPool2d({ kernelSize: 2 }),
    conv(512, 1024, 3),
    new ReLU(),
    conv(1024, 21, 1),
  );
  score = conv(512, 21, 1);
  twice = new ConvTranspose2d(21, 21, { kernelSize: 4, stride: 2, padding: 1 });
  last = new ConvTranspose2d(21, 21, { kernelSize: 32, stride: 16, padding: 8, groups: 21 });

  /** @param {Tensor} x */
  forward(x) {
    const h = this.early.forward(x);
    return this.last.forward(add(this.twice.forward(this.late.forward(h)), this.score.forward(h)));
  }
}

/** Normalisation, relu, 1×1, and again 3×3: 32 channels beside what came. */
class Dense extends Module {
  /** @param {number} from */
  constructor(from) {
    super();
    const first = [new BatchNorm2d(from), new ReLU(), conv(from, 128, 1, { bias: false })];
    const second = [new BatchNorm2d(128), new ReLU(), conv(128, 32, 3, { bias: false })];
    this.body = new Sequential(...first, ...second);
  }

  /** @param {Tensor} x */
  forward(x) {
    return concat([x, this.body.forward(x)], 1);
  }
}

function densenet121() {
  const layers = [];
  let width = 64;
  for (const [stage, count] of [6, 12, 24, 16].entries()) {
    for (let i = 0; i < count; i++, width += 32) layers.push(new Dense(width));
    layers.push(new BatchNorm2d(width), new ReLU());
    if (stage === 3) break;
    layers.push(conv(width, width / 2, 1, { bias: false }), new AvgPool2d({ kernelSize: 2 }));
    width /= 2;
  }
  return new Sequential(
    conv(3, 64, 7, { stride: 2, bias: false }),
    new BatchNorm2d(64),
    new ReLU(),
    new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
    ...layers,
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(width, 1000),
  );
}

/** Four views of one input beside each other: 1×1; 3×3; 5×5; the largest of 3×3. */
class Inception extends Module {
  /** @param {number} from @param {number[]} widths */
  constructor(from, [a, b0, b, c0, c, d]) {
    super();
    const unit = (/** @type {[number, number, number]} */ ...all) => [conv(...all), new ReLU()];
    this.views = new ModuleList([
      new Sequential(...unit(from, a, 1)),
      new Sequential(...unit(from, b0, 1), ...unit(b0, b, 3)),
      new Sequential(...unit(from, c0, 1), ...unit(c0, c, 5)),
      new Sequential(new MaxPool2d({ kernelSize: 3, stride: 1, padding: 1 }), ...unit(from, d, 1)),
    ]);
  }

  /** @param {Tensor} x */
  forward(x) {
    return concat(
      [...this.views].map((view) => view.forward(x)),
      1,
    );
  }
}

function googlenet() {
  const pool = () => new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 });
  const widths = [
    [64, 96, 128, 16, 32, 32],
    [128, 128, 192, 32, 96, 64],
    [192, 96, 208, 16, 48, 64],
    [160, 112, 224, 24, 64, 64],
    [128, 128, 256, 24, 64, 64],
    [112, 144, 288, 32, 64, 64],
    [256, 160, 320, 32, 128, 128],
    [256, 160, 320, 32, 128, 128],
    [384, 192, 384, 48, 128, 128],
  ];
  let from = 192;
  const blocks = widths.flatMap((list, i) => {
    const block = new Inception(from, list);
    from = list[0] + list[2] + list[4] + list[5];
    return i === 1 || i === 6 ? [block, pool()] : [block];
  });
  return new Sequential(
    conv(3, 64, 7, { stride: 2 }),
    new ReLU(),
    pool(),
    conv(64, 64, 1),
    new ReLU(),
    conv(64, 192, 3),
    new ReLU(),
    pool(),
    ...blocks,
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(from, 1000),
  );
}

/** Half of the channels go through 1×1, depthwise 3×3, 1×1; at a stride both go. Then the two are interleaved. */
class Shuffle extends Module {
  /** @param {number} from @param {number} to @param {number} stride */
  constructor(from, to, stride) {
    super();
    this.stride = stride;
    const half = to / 2;
    const [own, deep] = [stride === 1 ? half : from, { stride, bias: false }];
    this.branch = new Sequential(
      conv(own, half, 1, { bias: false }),
      new BatchNorm2d(half),
      new ReLU(),
      conv(half, half, 3, { ...deep, groups: half }),
      new BatchNorm2d(half),
      conv(half, half, 1, { bias: false }),
      new BatchNorm2d(half),
      new ReLU(),
    );
    this.other =
      stride === 1
        ? undefined
        : new Sequential(
            conv(from, from, 3, { ...deep, groups: from }),
            new BatchNorm2d(from),
            conv(from, half, 1, { bias: false }),
            new BatchNorm2d(half),
            new ReLU(),
          );
  }

  /** @param {Tensor} x */
  forward(x) {
    const half = x.shape[1] / 2;
    const [a, b] =
      this.other === undefined
        ? [slice(x, { end: [undefined, half] }), this.branch.forward(slice(x, { start: [0, half] }))]
        : [this.other.forward(x), this.branch.forward(x)];
    const both = concat([a, b], 1);
    const [n, c, h, w] = both.shape;
    return reshape(permute(reshape(both, [n, 2, c / 2, h, w]), [0, 2, 1, 3, 4]), [n, c, h, w]);
  }
}

function shufflenet() {
  const blocks = [];
  let from = 24;
  for (const [to, count] of [
    [116, 4],
    [232, 8],
    [464, 4],
  ]) {
    for (let i = 0; i < count; i++) blocks.push(new Shuffle(i === 0 ? from : to, to, i === 0 ? 2 : 1));
    from = to;
  }
  return new Sequential(
    conv(3, 24, 3, { stride: 2, bias: false }),
    new BatchNorm2d(24),
    new ReLU(),
    new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
    ...blocks,
    conv(464, 1024, 1, { bias: false }),
    new BatchNorm2d(1024),
    new ReLU(),
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(1024, 1000),
  );
}

/** 1×1 to six times the channels, depthwise 3×3, 1×1 back; around a shortcut if sizes allow. */
class Inverted extends Module {
  /** @param {number} from @param {number} to @param {number} stride @param {number} times */
  constructor(from, to, stride, times) {
    super();
    const wide = from * times;
    const widen = [conv(from, wide, 1, { bias: false }), new BatchNorm2d(wide), new ReLU6()];
    this.body = new Sequential(
      ...(times > 1 ? widen : []),
      conv(wide, wide, 3, { stride, groups: wide, bias: false }),
      new BatchNorm2d(wide),
      new ReLU6(),
      conv(wide, to, 1, { bias: false }),
      new BatchNorm2d(to),
    );
    this.around = stride === 1 && from === to;
  }

  /** @param {Tensor} x */
  forward(x) {
    const y = this.body.forward(x);
    return this.around ? add(x, y) : y;
  }
}

function mobilenet() {
  const stages = [
    [16, 1, 1, 1],
    [24, 2, 2, 6],
    [32, 3, 2, 6],
    [64, 4, 2, 6],
    [96, 3, 1, 6],
    [160, 3, 2, 6],
    [320, 1, 1, 6],
  ];
  let from = 32;
  const blocks = stages.flatMap(([to, count, stride, times]) =>
    Array.from({ length: count }, (_, i) => {
      const block = new Inverted(from, to, i === 0 ? stride : 1, times);
      from = to;
      return block;
    }),
  );
  return new Sequential(
    conv(3, 32, 3, { stride: 2, bias: false }),
    new BatchNorm2d(32),
    new ReLU6(),
    ...blocks,
    conv(320, 1280, 1, { bias: false }),
    new BatchNorm2d(1280),
    new ReLU6(),
    new AdaptiveAvgPool2d(1),
    new Flatten(),
    new Linear(1280, 1000),
  );
}

/** The picture continued by its mirror image. @param {Tensor} x @param {number} by */
const mirrored = (x, by) =>
  pad(
    x,
    [
      [0, 0],
      [0, 0],
      [by, by],
      [by, by],
    ],
    { mode: 'reflect' },
  );

/** Two 3×3 convolutions around a shortcut, mirrored at the edges. */
class MirroredBlock extends Module {
  first = new Conv2d(256, 256, { kernelSize: 3 });
  norm = new InstanceNorm2d(256);
  second = new Conv2d(256, 256, { kernelSize: 3 });
  lastNorm = new InstanceNorm2d(256);

  /** @param {Tensor} x */
  forward(x) {
    const h = relu(this.norm.forward(this.first.forward(mirrored(x, 1))));
    return add(x, this.lastNorm.forward(this.second.forward(mirrored(h, 1))));
  }
}

class CycleGan extends Module {
  first = new Sequential(new Conv2d(3, 64, { kernelSize: 7 }), new InstanceNorm2d(64), new ReLU());
  body = new Sequential(
    ...[64, 128].flatMap((c) => [conv(c, 2 * c, 3, { stride: 2 }), new InstanceNorm2d(2 * c), new ReLU()]),
    ...Array.from({ length: 9 }, () => new MirroredBlock()),
    ...[256, 128].flatMap((c) => [
      new ConvTranspose2d(c, c / 2, { kernelSize: 3, stride: 2, padding: 1, outputPadding: 1 }),
      new InstanceNorm2d(c / 2),
      new ReLU(),
    ]),
  );
  last = new Conv2d(64, 3, { kernelSize: 7 });

  /** @param {Tensor} x */
  forward(x) {
    return tanh(this.last.forward(mirrored(this.body.forward(this.first.forward(mirrored(x, 3))), 3)));
  }
}

/** Two 3×3 convolutions around a shortcut. */
class Residual extends Module {
  body = new Sequential(
    conv(64, 64, 3, { bias: false }),
    new BatchNorm2d(64),
    new PReLU(),
    conv(64, 64, 3, { bias: false }),
    new BatchNorm2d(64),
  );

  /** @param {Tensor} x */
  forward(x) {
    return add(x, this.body.forward(x));
  }
}

class SrResNet extends Module {
  first = new Sequential(conv(3, 64, 9), new PReLU());
  body = new Sequential(
    ...Array.from({ length: 16 }, () => new Residual()),
    conv(64, 64, 3, { bias: false }),
    new BatchNorm2d(64),
  );
  up = new Sequential(
    ...[1, 2].flatMap(() => [conv(64, 256, 3), new PixelShuffle(2), new PReLU()]),
    conv(64, 3, 9),
  );

  /** @param {Tensor} x */
  forward(x) {
    const h = this.first.forward(x);
    return this.up.forward(add(h, this.body.forward(h)));
  }
}

/** 5×5×5 convolutions, each with its slope, around a shortcut. */
class Volume extends Module {
  /** @param {number} from @param {number} to @param {number} count */
  constructor(from, to, count) {
    super();
    const layers = Array.from({ length: count }, (_, i) => [
      new Conv3d(i === 0 ? from : to, to, { kernelSize: 5, padding: 2 }),
      new PReLU(to),
    ]);
    this.body = new Sequential(...layers.flat());
    this.shortcut = from === to ? undefined : new Conv3d(from, to, { kernelSize: 1 });
  }

  /** @param {Tensor} x */
  forward(x) {
    return add(this.body.forward(x), this.shortcut?.forward(x) ?? x);
  }
}

class VNet extends Module {
  left = new ModuleList([new Volume(1, 16, 1), new Volume(32, 32, 2), new Volume(64, 64, 3)]);
  down = new ModuleList(
    [16, 32, 64].map(
      (c) => new Sequential(new Conv3d(c, 2 * c, { kernelSize: 2, stride: 2 }), new PReLU(2 * c)),
    ),
  );
  middle = new Volume(128, 128, 3);
  up = new ModuleList(
    [128, 64, 32].map(
      (c) => new Sequential(new ConvTranspose3d(c, c / 2, { kernelSize: 2, stride: 2 }), new PReLU(c / 2)),
    ),
  );
  right = new ModuleList([new Volume(128, 64, 3), new Volume(64, 32, 2), new Volume(32, 16, 1)]);
  head = new Conv3d(16, 2, { kernelSize: 1 });

  /** @param {Tensor} x */
  forward(x) {
    /** @type {Tensor[]} */
    const skips = [];
    let h = x;
    const [down, up, right] = [[...this.down], [...this.up], [...this.right]];
    for (const [i, level] of [...this.left].entries()) {
      skips.push(level.forward(h));
      h = down[i].forward(skips[i]);
    }
    h = this.middle.forward(h);
    for (const [i, level] of up.entries()) {
      h = right[i].forward(concat([level.forward(h), /** @type {Tensor} */ (skips.pop())], 1));
    }
    return this.head.forward(h);
  }
}

/** The networks, as in networks.mjs. @type {Record<string, { title: string, input: number[], make(): Module }>} */
export const more = {
  vgg19: {
    title: 'VGG-19 without its first two large products, 224×224',
    input: [1, 3, 224, 224],
    make: vgg19,
  },
  densenet121: { title: 'DenseNet-121, 224×224', input: [1, 3, 224, 224], make: densenet121 },
  googlenet: { title: 'GoogLeNet, 224×224', input: [1, 3, 224, 224], make: googlenet },
  shufflenet: { title: 'ShuffleNet v2 ×1, 224×224', input: [1, 3, 224, 224], make: shufflenet },
  mobilenet: { title: 'MobileNet v2, 224×224', input: [1, 3, 224, 224], make: mobilenet },
  fcn: { title: 'FCN-16s on VGG-16, 256×256', input: [1, 3, 256, 256], make: () => new Fcn() },
  cyclegan: { title: 'CycleGAN generator, 256×256', input: [1, 3, 256, 256], make: () => new CycleGan() },
  srresnet: { title: 'SRResNet ×4, 96×96', input: [1, 3, 96, 96], make: () => new SrResNet() },
  vnet: { title: 'V-Net 16…128, 32×64×64', input: [1, 1, 32, 64, 64], make: () => new VNet() },
};
