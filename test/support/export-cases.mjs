/**
 * Modules to export to ONNX, with the shapes they are exported for and others that they must run on: every layer, and
 * networks whose forward does more than call them. bench/verify-export.mjs runs the files by ONNX Runtime, the tests by
 * deconv itself.
 */
import * as d from 'deconv';
import * as nn from 'deconv/nn';

/**
 * @typedef {object} ExportCase
 * @property {string} name
 * @property {() => nn.AnyModule} make
 * @property {readonly (readonly number[])[]} shapes of the inputs it is exported for
 * @property {readonly (readonly (readonly number[])[])[]} [others] shapes of inputs that it must run on too
 * @property {import('deconv/onnx').ExportOnnxOptions} [options]
 * @property {readonly string[] | undefined} [ops] operators of the file, in order
 * @property {number} [tolerance] of the largest value; default 1e-5
 */

/** A module made of a function. */
class Fn extends nn.Module {
  /** @type {(...inputs: d.Tensor[]) => any} */
  f;

  /** @param {(...inputs: d.Tensor[]) => any} f */
  constructor(f) {
    super();
    this.f = f;
  }

  /** @override @param {d.Tensor[]} inputs @returns {any} */
  forward(...inputs) {
    return this.f(...inputs);
  }
}

/** Statistics and factors that are not 0 and 1. @template {nn.AnyModule} M @param {M} module @returns {M} */
function stirred(module) {
  const next = d.randomStream(5);
  for (const [name, x] of [...module.namedParameters(), ...module.namedBuffers()]) {
    if (x.dtype !== 'float32' || !/norm|mean|var|^(weight|bias)$|\d+\.(weight|bias)/.test(name)) continue;
    if (x.rank !== 1) continue;
    const values = Float32Array.from({ length: x.size }, () => next() + (name.includes('var') ? 0.5 : -0.3));
    x.assign(d.tensor(values, x.shape));
  }
  return module;
}

class Residual extends nn.Module {
  conv1 = new nn.Conv2d(6, 6, { kernelSize: 3, padding: 1, seed: 1, bias: false });
  norm1 = new nn.BatchNorm2d(6);
  conv2 = new nn.Conv2d(6, 6, { kernelSize: 3, padding: 1, seed: 2 });
  norm2 = new nn.BatchNorm2d(6);

  /** @override @param {d.Tensor} x */
  forward(x) {
    const y = d.relu(this.norm1.forward(this.conv1.forward(x)));
    return d.relu(d.add(x, this.norm2.forward(this.conv2.forward(y))));
  }
}

class UNet extends nn.Module {
  down1 = new nn.Conv2d(3, 8, { kernelSize: 3, padding: 1, seed: 1, activation: 'relu' });
  down2 = new nn.Conv2d(8, 16, { kernelSize: 3, padding: 1, seed: 2, activation: 'relu' });
  pool = new nn.MaxPool2d({ kernelSize: 2 });
  up = new nn.ConvTranspose2d(16, 8, { kernelSize: 2, stride: 2, seed: 3 });
  out = new nn.Conv2d(16, 1, { kernelSize: 1, seed: 4 });

  /** @override @param {d.Tensor} x */
  forward(x) {
    const skip = this.down1.forward(x);
    const low = this.down2.forward(this.pool.forward(skip));
    const joined = d.concat([this.up.forward(low), skip], 1);
    return d.sigmoid(this.out.forward(joined));
  }
}

class Vae extends nn.Module {
  encode = new nn.Sequential(
    new nn.Conv2d(1, 8, { kernelSize: 3, stride: 2, padding: 1, seed: 1 }),
    new nn.LeakyReLU(0.2),
    new nn.Flatten(),
  );
  mean = new nn.Linear(128, 4, { seed: 2 });
  logVariance = new nn.Linear(128, 4, { seed: 3 });
  decode = new nn.Sequential(
    new nn.Linear(4, 128, { seed: 4 }),
    new nn.Unflatten(1, [8, 4, 4]),
    new nn.ConvTranspose2d(8, 1, { kernelSize: 4, stride: 2, padding: 1, seed: 5 }),
    new nn.Sigmoid(),
  );

  /** The noise is an input. @override @param {d.Tensor} x @param {d.Tensor} noise @returns {any} */
  forward(x, noise) {
    const code = this.encode.forward(x);
    const [mean, logVariance] = [this.mean.forward(code), this.logVariance.forward(code)];
    const z = d.add(mean, d.mul(noise, d.exp(d.mul(logVariance, 0.5))));
    return { picture: this.decode.forward(z), mean, logVariance };
  }
}

/** Attention over the pixels of a picture, one head. */
class Attention extends nn.Module {
  qkv = new nn.Conv2d(8, 24, { kernelSize: 1, seed: 1 });
  norm = new nn.GroupNorm(2, 8);

  /** @override @param {d.Tensor} x */
  forward(x) {
    const [n, c, h, w] = x.shape;
    const all = d.reshape(this.qkv.forward(this.norm.forward(x)), [n, 3, c, h * w]);
    const part = (/** @type {number} */ i) =>
      d.reshape(d.slice(all, { start: [0, i], end: [undefined, i + 1] }), [n, c, -1]);
    const scores = d.softmax(d.mul(d.matmul(d.transpose(part(0)), part(1)), 1 / Math.sqrt(c)), -1);
    const mixed = d.matmul(part(2), d.transpose(scores));
    return d.add(x, d.reshape(mixed, [n, c, h, w]));
  }
}

/** @param {string} name @param {() => nn.AnyModule} make @param {number[]} shape @param {Partial<ExportCase>} [more] @returns {ExportCase} */
const one = (name, make, shape, more = {}) => ({ name, make, shapes: [shape], ...more });

/** As one, and with an open batch, or open sizes too. @param {string} name @param {() => nn.AnyModule} make @param {number[]} shape @param {Partial<ExportCase>} [more] @returns {ExportCase[]} */
const open = (name, make, shape, more = {}) => [
  one(name, make, shape, more),
  one(`${name}, any batch`, make, shape, {
    ...more,
    ops: undefined,
    options: { ...more.options, dynamic: 'batch' },
    others: [[[shape[0] + 4, ...shape.slice(1)]]],
  }),
];
/** @param {string} name @param {() => nn.AnyModule} make @param {number[]} shape @param {Partial<ExportCase>} [more] @returns {ExportCase[]} */
const sized = (name, make, shape, { others = [], ...more } = {}) => [
  ...open(name, make, shape, more),
  one(`${name}, any size`, make, shape, {
    ...more,
    ops: undefined,
    options: { ...more.options, dynamic: 'size' },
    others: [[[shape[0] + 1, shape[1], ...shape.slice(2).map((n, i) => n * (2 + i))]], ...others],
  }),
];

/** @param {string} name @param {(x: d.Tensor) => any} f @param {number[]} [shape] @param {Partial<ExportCase>} [more] */
const fn = (name, f, shape = [2, 3, 4, 6], more = {}) => sized(name, () => new Fn(f), shape, more);
/** @param {string} name @param {(x: d.Tensor) => any} f @param {number[]} [shape] @param {Partial<ExportCase>} [more] */
const fixed = (name, f, shape = [2, 3, 4, 6], more = {}) => open(name, () => new Fn(f), shape, more);

const layers = {
  conv: [
    ...sized(
      'Conv1d',
      () => new nn.Conv1d(3, 4, { kernelSize: 3, stride: 2, padding: 1, seed: 1 }),
      [2, 3, 9],
    ),
    ...sized('Conv2d', () => new nn.Conv2d(4, 6, { kernelSize: [3, 2], padding: [[1, 0], [0, 2]], dilation: [1, 2], groups: 2, seed: 1 }), [2, 4, 8, 9], { ops: ['Conv'] }), // biome-ignore format: a table
    ...sized('Conv2d without bias, fused', () => new nn.Conv2d(2, 3, { kernelSize: 3, bias: false, activation: { name: 'leakyRelu', slope: 0.2 }, seed: 1 }), [1, 2, 6, 6], { ops: ['Conv', 'LeakyRelu'] }), // biome-ignore format: a table
    ...sized("Conv2d 'same', stride 2", () => new nn.Conv2d(2, 3, { kernelSize: 3, stride: 2, padding: 'same', seed: 1 }), [1, 2, 6, 7], { others: [[[1, 2, 9, 11]]] }), // biome-ignore format: a table
    ...sized(
      "Conv2d 'same', dilated",
      () => new nn.Conv2d(2, 3, { kernelSize: 4, dilation: 2, padding: 'same', seed: 1 }),
      [1, 2, 8, 7],
    ),
    ...open(
      "Conv2d 'same', stride and dilation",
      () => new nn.Conv2d(2, 3, { kernelSize: 3, stride: 2, dilation: 2, padding: 'same', seed: 1 }),
      [1, 2, 8, 7],
    ),
    ...sized('Conv2d negative padding', () => new nn.Conv2d(2, 3, { kernelSize: 3, padding: [[-1, 2], [1, -2]], seed: 1 }), [1, 2, 8, 9]), // biome-ignore format: a table
    ...['reflect', 'replicate', 'circular'].flatMap((paddingMode) => sized(`Conv2d ${paddingMode}`, () => new nn.Conv2d(2, 3, { kernelSize: 5, padding: 2, paddingMode: /** @type {'reflect'} */ (paddingMode), seed: 1 }), [1, 2, 6, 7])), // biome-ignore format: a table
    ...open(
      'Conv2d NHWC',
      () => new nn.Conv2d(2, 3, { kernelSize: 3, dataFormat: 'NHWC', seed: 1 }),
      [1, 6, 5, 2],
    ),
    ...sized(
      'Conv3d',
      () => new nn.Conv3d(2, 3, { kernelSize: 2, stride: [1, 2, 1], seed: 1 }),
      [1, 2, 4, 5, 6],
    ),
    ...sized(
      'depthwise',
      () => new nn.Conv2d(4, 4, { kernelSize: 3, groups: 4, padding: 1, seed: 1 }),
      [1, 4, 5, 6],
    ),
    ...sized('Conv2d clamp', () => new nn.Conv2d(2, 3, { kernelSize: 1, activation: { name: 'clamp', min: -0.1, max: 0.2 }, seed: 1 }), [1, 2, 4, 4], { ops: ['Conv', 'Clip'] }), // biome-ignore format: a table
  ],
  convTranspose: [
    ...sized(
      'ConvTranspose1d',
      () => new nn.ConvTranspose1d(3, 2, { kernelSize: 4, stride: 2, padding: 1, seed: 1 }),
      [2, 3, 5],
    ),
    ...sized('ConvTranspose2d', () => new nn.ConvTranspose2d(4, 6, { kernelSize: 4, stride: 2, padding: 1, groups: 2, seed: 1 }), [2, 4, 5, 6], { ops: ['ConvTranspose'] }), // biome-ignore format: a table
    ...sized(
      'ConvTranspose2d outputPadding',
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, padding: 1, outputPadding: 1, seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized(
      'ConvTranspose2d outputPadding alone',
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 2, stride: 3, outputPadding: [1, 2], seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized(
      'ConvTranspose2d outputPadding ≥ stride',
      () =>
        new nn.ConvTranspose2d(2, 3, {
          kernelSize: 3,
          stride: 1,
          dilation: 3,
          outputPadding: 2,
          padding: 1,
          seed: 1,
        }),
      [1, 2, 4, 5],
    ),
    ...sized(
      'ConvTranspose2d outputPadding ≥ stride, no padding',
      () =>
        new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 1, dilation: 3, outputPadding: 2, seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized('ConvTranspose2d dilated', () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, dilation: [2, 3], padding: [[0, 1], [2, 1]], seed: 1 }), [1, 2, 4, 5]), // biome-ignore format: a table
    ...sized(
      "ConvTranspose2d 'same'",
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, padding: 'same', seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized(
      "ConvTranspose2d 'same', kernel < stride",
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 2, stride: 3, padding: 'same', seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized('ConvTranspose2d negative padding', () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, padding: [[-1, 1], [0, -2]], activation: 'relu', seed: 1 }), [1, 2, 4, 5]), // biome-ignore format: a table
    ...open(
      'ConvTranspose2d outputShape',
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, outputShape: [10, 11], seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized('ConvTranspose2d average', () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, padding: 1, outputPadding: 1, overlap: 'average', activation: 'tanh', seed: 1 }), [1, 2, 4, 5]), // biome-ignore format: a table
    ...sized(
      'ConvTranspose2d average with holes',
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 2, stride: 3, overlap: 'average', seed: 1 }),
      [1, 2, 4, 5],
    ),
    ...sized('ConvTranspose2d average, extended', () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, stride: 2, padding: [[-1, 0], [0, -2]], overlap: 'average', seed: 1 }), [1, 2, 4, 5]), // biome-ignore format: a table
    ...open(
      'ConvTranspose2d NHWC',
      () => new nn.ConvTranspose2d(2, 3, { kernelSize: 3, dataFormat: 'NHWC', seed: 1 }),
      [1, 6, 5, 2],
    ),
    ...sized(
      'ConvTranspose3d',
      () => new nn.ConvTranspose3d(2, 3, { kernelSize: 2, stride: 2, seed: 1 }),
      [1, 2, 2, 3, 3],
    ),
  ],
  pool: [
    ...sized('MaxPool1d', () => new nn.MaxPool1d({ kernelSize: 3, stride: 2 }), [2, 3, 9]),
    ...sized('MaxPool2d', () => new nn.MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }), [2, 3, 9, 8], {
      ops: ['MaxPool'],
    }),
    ...sized('MaxPool2d ceil', () => new nn.MaxPool2d({ kernelSize: 3, stride: 2, ceilMode: true }), [2, 3, 8, 10], { others: [[[1, 3, 7, 9]], [[1, 3, 5, 11]]] }), // biome-ignore format: a table
    ...sized(
      'MaxPool2d dilated',
      () => new nn.MaxPool2d({ kernelSize: 2, stride: 1, dilation: 2 }),
      [2, 3, 8, 7],
    ),
    ...sized('MaxPool3d', () => new nn.MaxPool3d({ kernelSize: 2 }), [1, 2, 4, 4, 6]),
    ...sized('AvgPool1d', () => new nn.AvgPool1d({ kernelSize: 3, padding: 1 }), [2, 3, 9]),
    ...sized('AvgPool2d', () => new nn.AvgPool2d({ kernelSize: 3, stride: 2, padding: 1 }), [2, 3, 9, 8]),
    ...sized(
      'AvgPool2d without padding',
      () => new nn.AvgPool2d({ kernelSize: 3, stride: 2, padding: 1, countIncludePad: false }),
      [2, 3, 9, 8],
    ),
    ...sized('AvgPool2d ceil', () => new nn.AvgPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }), [2, 3, 8, 10], { others: [[[1, 3, 7, 9]], [[1, 3, 5, 11]]] }), // biome-ignore format: a table
    ...sized('AvgPool2d ceil without padding', () => new nn.AvgPool2d({ kernelSize: 2, stride: 2, ceilMode: true, countIncludePad: false }), [2, 3, 8, 10], { others: [[[1, 3, 7, 9]]] }), // biome-ignore format: a table
    ...sized(
      'AvgPool2d dilated',
      () => new nn.AvgPool2d({ kernelSize: 2, dilation: 2, stride: 1 }),
      [2, 3, 9, 8],
      { options: { opset: 19 } },
    ),
    ...sized('AvgPool3d', () => new nn.AvgPool3d({ kernelSize: 2 }), [1, 2, 4, 4, 6]),
    ...sized('AdaptiveAvgPool2d 1', () => new nn.AdaptiveAvgPool2d(1), [2, 3, 6, 5], {
      ops: ['GlobalAveragePool'],
    }),
    ...open('AdaptiveAvgPool2d that divides', () => new nn.AdaptiveAvgPool2d([2, null]), [2, 3, 6, 5], {
      ops: ['AveragePool'],
    }),
    ...open('AdaptiveAvgPool1d', () => new nn.AdaptiveAvgPool1d(4), [2, 3, 7]),
    ...open('AdaptiveAvgPool2d', () => new nn.AdaptiveAvgPool2d([4, 3]), [2, 3, 7, 5]),
    ...open('AdaptiveAvgPool3d', () => new nn.AdaptiveAvgPool3d([2, 3, 4]), [1, 2, 3, 4, 5]),
    ...sized('MaxUnpool2d', () => { const pool = new nn.MaxPool2d({ kernelSize: 2 }); return new nn.Sequential(pool, new nn.MaxUnpool2d(pool)); }, [2, 3, 4, 6], { ops: ['MaxPool', 'MaxUnpool'] }), // biome-ignore format: a table
    ...sized('MaxUnpool2d with a rest', () => { const pool = new nn.MaxPool2d({ kernelSize: 2 }); return new nn.Sequential(pool, new nn.MaxUnpool2d(pool)); }, [2, 3, 5, 7], { others: [[[1, 3, 8, 9]]] }), // biome-ignore format: a table
    ...sized('MaxUnpool2d of 3 by 2', () => { const pool = new nn.MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }); return new nn.Sequential(pool, new nn.MaxUnpool2d(pool)); }, [2, 3, 5, 8]), // biome-ignore format: a table
    ...sized('MaxUnpool1d', () => { const pool = new nn.MaxPool1d({ kernelSize: 2 }); return new nn.Sequential(pool, new nn.MaxUnpool1d(pool)); }, [2, 3, 6]), // biome-ignore format: a table
    ...sized('MaxUnpool3d', () => { const pool = new nn.MaxPool3d({ kernelSize: 2 }); return new nn.Sequential(pool, new nn.MaxUnpool3d(pool)); }, [2, 3, 4, 4, 6]), // biome-ignore format: a table
    ...fn('positions of maxima', (x) => { const { output, indices } = d.maxPool2d(x, { kernelSize: 2 }); return [output, indices]; }), // biome-ignore format: a table
  ],
  norm: [
    ...sized('BatchNorm2d', () => stirred(new nn.BatchNorm2d(3)), [2, 3, 4, 5], {
      ops: ['BatchNormalization'],
    }),
    ...sized(
      'BatchNorm2d bare',
      () => stirred(new nn.BatchNorm2d(3, { affine: false, eps: 0.01 })),
      [2, 3, 4, 5],
    ),
    ...open('BatchNorm1d', () => stirred(new nn.BatchNorm1d(3)), [4, 3]),
    ...sized('BatchNorm1d of lines', () => stirred(new nn.BatchNorm1d(3)), [4, 3, 5]),
    ...sized('BatchNorm3d', () => stirred(new nn.BatchNorm3d(3)), [2, 3, 2, 3, 2]),
    ...sized(
      'BatchNorm2d by the batch',
      () => stirred(new nn.BatchNorm2d(3, { trackRunningStats: false })),
      [2, 3, 4, 5],
    ),
    ...sized(
      'BatchNorm2d by the batch, opset 18',
      () => stirred(new nn.BatchNorm2d(3, { trackRunningStats: false })),
      [2, 3, 4, 5],
      { options: { opset: 18 } },
    ),
    ...sized('InstanceNorm2d', () => new nn.InstanceNorm2d(3), [2, 3, 4, 5], {
      ops: ['InstanceNormalization'],
    }),
    ...sized('InstanceNorm1d', () => stirred(new nn.InstanceNorm1d(3, { affine: true })), [2, 3, 6]),
    ...sized(
      'InstanceNorm3d tracked',
      () => stirred(new nn.InstanceNorm3d(3, { affine: true, trackRunningStats: true })),
      [2, 3, 2, 3, 4],
    ),
    ...sized('GroupNorm', () => stirred(new nn.GroupNorm(2, 4)), [2, 4, 4, 5]),
    ...sized('GroupNorm opset 21', () => stirred(new nn.GroupNorm(2, 4)), [2, 4, 4, 5], {
      options: { opset: 21 },
      ops: ['GroupNormalization'],
    }),
    ...sized('GroupNorm bare', () => new nn.GroupNorm(2, 4, { affine: false }), [2, 4, 4, 5]),
    ...open('GroupNorm of vectors', () => stirred(new nn.GroupNorm(2, 6)), [3, 6]),
    ...open('LayerNorm', () => stirred(new nn.LayerNorm(5)), [2, 3, 5], { ops: ['LayerNormalization'] }),
    ...open('LayerNorm of two axes', () => new nn.LayerNorm([4, 5], { eps: 0.01 }), [2, 3, 4, 5]),
    ...open('LayerNorm bare', () => new nn.LayerNorm([5], { affine: false }), [2, 3, 4, 5]),
  ],
  other: [
    ...open('Linear', () => new nn.Linear(6, 4, { seed: 1 }), [3, 6], { ops: ['Gemm'] }),
    ...open('Linear of more axes', () => new nn.Linear(6, 4, { seed: 1 }), [3, 2, 6]),
    ...open('Linear without bias', () => new nn.Linear(6, 4, { seed: 1, bias: false }), [3, 6]),
    ...open('Flatten', () => new nn.Flatten(), [2, 3, 4, 5], { ops: ['Reshape'] }),
    ...sized('Flatten any size', () => new nn.Flatten(2), [2, 3, 4, 5]),
    ...open('Unflatten', () => new nn.Unflatten(1, [2, -1]), [2, 6, 5]),
    ...sized('PixelShuffle', () => new nn.PixelShuffle(2), [2, 8, 3, 4], { ops: ['DepthToSpace'] }),
    ...sized('PixelUnshuffle', () => new nn.PixelUnshuffle(2), [2, 3, 4, 6]),
    ...sized('Upsample nearest', () => new nn.Upsample(2), [2, 3, 4, 5], { ops: ['Resize'] }),
    ...open('Upsample nearest by 1.5', () => new nn.Upsample({ scaleFactor: [1.5, 2.3] }), [2, 3, 5, 7]),
    ...open('Upsample nearest to a size', () => new nn.Upsample({ size: [7, 11] }), [2, 3, 5, 7]),
    ...sized('Upsample bilinear', () => new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' }), [2, 3, 4, 5]),
    ...sized(
      'Upsample bilinear by 1.7',
      () => new nn.Upsample({ scaleFactor: 1.7, mode: 'bilinear' }),
      [2, 3, 4, 5],
    ),
    ...open(
      'Upsample bilinear to a size',
      () => new nn.Upsample({ size: [9, 3], mode: 'bilinear' }),
      [2, 3, 4, 5],
    ),
    ...open('Upsample to one pixel', () => new nn.Upsample({ size: 1, mode: 'bilinear' }), [2, 3, 4, 5]),
    ...sized(
      'Upsample bilinear, corners',
      () => new nn.Upsample({ scaleFactor: [2, 3], mode: 'bilinear', alignCorners: true }),
      [2, 3, 4, 5],
    ),
    ...open(
      'Upsample bilinear, corners, to a size',
      () => new nn.Upsample({ size: [7, 1], mode: 'bilinear', alignCorners: true }),
      [2, 3, 4, 5],
    ),
    ...sized('Upsample linear', () => new nn.Upsample({ scaleFactor: 2, mode: 'linear' }), [2, 3, 5]),
    ...sized(
      'Upsample trilinear',
      () => new nn.Upsample({ scaleFactor: 2, mode: 'trilinear' }),
      [1, 2, 2, 3, 4],
    ),
    ...sized('Upsample nearest 1d', () => new nn.Upsample(3), [2, 3, 5]),
    ...sized('Upsample nearest 3d', () => new nn.Upsample(2), [1, 2, 2, 3, 4]),
    ...sized('Upsample bicubic', () => new nn.Upsample({ scaleFactor: 2, mode: 'bicubic' }), [2, 3, 4, 5]),
    ...open(
      'Upsample bicubic, corners',
      () => new nn.Upsample({ size: [9, 11], mode: 'bicubic', alignCorners: true }),
      [2, 3, 4, 5],
    ),
    ...open(
      'Dropout',
      () => new nn.Sequential(new nn.Linear(4, 4, { seed: 1 }), new nn.Dropout(0.5)),
      [2, 4],
    ),
    ...open('Identity', () => new nn.Identity(), [2, 4], { ops: ['Identity'] }),
    ...sized('PReLU', () => new nn.PReLU(), [2, 3, 4, 5]),
    ...sized('PReLU per channel', () => stirred(new nn.PReLU(3)), [2, 3, 4, 5]),
    ...open('ModuleList', () => {
      class Heads extends nn.Module {
        heads = new nn.ModuleList([new nn.Linear(4, 2, { seed: 1 }), new nn.Linear(4, 3, { seed: 2 })]);
        /** @override @param {d.Tensor} x @returns {any} */
        forward(x) {
          return [...this.heads].map((head) => /** @type {nn.Linear} */ (head).forward(x));
        }
      }
      return new Heads();
    }, [2, 4]), // biome-ignore format: a table
  ],
  activation: Object.entries({
    ELU: new nn.ELU(0.7),
    GELU: new nn.GELU(),
    'GELU tanh': new nn.GELU({ approximate: 'tanh' }),
    HardSigmoid: new nn.HardSigmoid(),
    'HardSigmoid 0.2': new nn.HardSigmoid({ alpha: 0.2, beta: 0.4 }),
    HardSwish: new nn.HardSwish(),
    LeakyReLU: new nn.LeakyReLU(0.3),
    LogSoftmax: new nn.LogSoftmax(1),
    Mish: new nn.Mish(),
    ReLU: new nn.ReLU(),
    ReLU6: new nn.ReLU6(),
    SELU: new nn.SELU(),
    Sigmoid: new nn.Sigmoid(),
    SiLU: new nn.SiLU(),
    Softmax: new nn.Softmax(),
    'Softmax of channels': new nn.Softmax(1),
    Softplus: new nn.Softplus(),
    Softsign: new nn.Softsign(),
    Tanh: new nn.Tanh(),
  }).flatMap(([name, layer]) => [
    ...sized(name, () => layer, [2, 3, 4, 5]),
    ...(/GELU|Mish/.test(name)
      ? open(`${name}, opset 20`, () => layer, [2, 3, 4, 5], { options: { opset: 20 } })
      : []),
  ]),
};

const operations = [
  ...fn('arithmetic', (x) => d.div(d.sub(d.mul(d.add(x, 1), x), 0.5), d.add(d.abs(x), 2))),
  ...fn('extrema', (x) => d.maximum(d.minimum(x, 0.3), d.neg(x))),
  ...fn('powers', (x) => d.add(d.pow(d.abs(x), 1.5), d.pow(d.add(d.abs(x), 0.1), x))),
  ...fn('functions', (x) =>
    d.add(d.add(d.sin(x), d.cos(x)), d.add(d.erf(x), d.add(d.sqrt(d.abs(x)), d.square(x)))),
  ),
  ...fn('exp and log', (x) => d.log(d.add(d.exp(x), d.reciprocal(d.add(d.square(x), 1))))),
  ...fn('steps', (x) => d.add(d.floor(d.mul(x, 3)), d.add(d.ceil(x), d.sign(x)))),
  ...fn('clamp', (x) => [
    d.clamp(x, { min: 0.1 }),
    d.clamp(x, { max: 0.1 }),
    d.clamp(x, { min: -1, max: 0 }),
  ]),
  ...fn('where', (x) => d.where(d.greater(x, 0.1), d.mul(x, 2), -1)),
  ...fn('where by numbers', (x) => d.where(d.sub(d.greaterEqual(x, 0), d.equal(x, 0.5)), x, d.neg(x))),
  ...fn('comparison as numbers', (x) => d.mul(d.greater(x, 0), x)),
  ...fn('sum', (x) => [d.sum(x, 1), d.sum(x, { axis: [2, 3], keepDims: true }), d.sum(x, -1)]),
  ...fn('mean, max, min', (x) => [d.mean(x, [2, 3]), d.max(x, 1), d.min(x, { axis: -1, keepDims: true })]),
  ...fn('mean, max, min, opset 18', (x) => [d.mean(x, [2, 3]), d.max(x, 1), d.min(x, -1)], [2, 3, 4, 6], {
    options: { opset: 18 },
  }),
  ...fixed('all of it', (x) => [d.sum(x), d.mean(x), d.max(x)]),
  ...fixed('variance', (x) => d.variance(x, { axis: [2, 3] })),
  ...fn('argMax', (x) => d.argMax(x, 1)),
  ...fn('permute', (x) => d.permute(x, [0, 2, 3, 1])),
  ...fn('slice', (x) => d.slice(x, { start: [undefined, 1, -2], end: [undefined, 3], step: [1, 1, 1, 2] })),
  ...fn('flip', (x) => d.flip(x, [2, 3])),
  ...fn('backwards', (x) =>
    d.slice(x, { start: [undefined, undefined, -1], end: [undefined, undefined, 0], step: [1, 1, -1] }),
  ),
  ...fn('slice by size', (x) => d.slice(x, { end: [x.shape[0], 2, x.shape[2] / 2] })),
  ...fn('concat', (x) => d.concat([x, d.neg(x), x], -1)),
  ...fn('take', (x) => d.take(x, [2, 0, -1], 1)),
  ...fn('pad', (x) => d.pad(x, [[1, 2], [0, -1]], { value: 0.5 })), // biome-ignore format: a table
  ...fn('pad reflect', (x) => d.pad(x, [[1, 2], [3, 0]], { mode: 'reflect' })), // biome-ignore format: a table
  ...fn('pad circular', (x) => d.pad(x, [[1, 2], [3, 0]], { mode: 'circular' })), // biome-ignore format: a table
  ...fn('expand', (x) => d.expand(d.mean(x, { axis: [2, 3], keepDims: true }), x.shape)),
  ...fn('reshape', (x) => d.reshape(x, [x.shape[0], -1, x.shape[3]])),
  ...fn('reshape all', (x) => d.reshape(x, [x.shape[2], x.shape[0], x.shape[3], x.shape[1]])),
  ...fn('reshape and back', (x) => d.add(d.reshape(d.relu(d.reshape(x, [-1])), x.shape), 1)),
  ...fn('matmul', (x) => d.matmul(x, d.transpose(x))),
  ...fixed('matmul with a constant', (x) => d.matmul(x, d.tensor([1, 2, 3, 4, 5, 6]))),
  ...fn('cast', (x) => d.cast(d.cast(d.mul(x, 10), 'int32'), 'float32')),
  ...fn('a constant of the size of the input', (x) => d.add(x, d.full(x.shape, 0.25))),
  ...fixed('a constant', (x) => d.mul(x, d.tensor([[[1]], [[-1]], [[2]]]))),
  ...fn('unfold', (x) => d.unfold(x, { kernelSize: [2, 3], stride: [1, 2], padding: [1, 0] })),
  ...fixed('unfold and fold', (x) => d.fold(d.unfold(x, { kernelSize: 3, stride: 2, padding: 1 }), { kernelSize: 3, stride: 2, padding: 1, outputSize: x.shape.slice(2) })), // biome-ignore format: a table
  ...fn('unfold and fold, opset 18', (x) => d.fold(d.unfold(x, { kernelSize: 3, stride: 2, padding: 1 }), { kernelSize: 3, stride: 2, padding: 1, outputSize: x.shape.slice(2) }), [2, 3, 4, 6], { options: { opset: 18 }, others: [[[1, 3, 7, 10]]] }), // biome-ignore format: a table
  ...fn('upsampled to another tensor', (x) => d.add(x, d.upsample(d.avgPool2d(x, { kernelSize: 2 }), { size: x.shape.slice(2), mode: 'bilinear' })), [2, 3, 4, 6]), // biome-ignore format: a table
  ...fn('the input itself', (x) => [x, x, d.relu(x)]),
];

const networks = [
  ...sized('residual', () => stirred(new Residual()), [1, 6, 8, 8]),
  ...sized('U-Net', () => new UNet(), [1, 3, 16, 16]),
  ...sized('attention', () => stirred(new Attention()), [1, 8, 4, 6]),
  {
    name: 'VAE, any batch',
    make: () => new Vae(),
    shapes: [[2, 1, 8, 8], [2, 4]],
    others: [[[5, 1, 8, 8], [5, 4]]],
    options: { dynamic: /** @type {const} */ ('batch'), inputNames: ['picture in', 'noise'] },
  }, // biome-ignore format: a table
  ...sized(
    'two layers with one weight',
    () => {
      const conv = new nn.Conv2d(3, 3, { kernelSize: 3, padding: 1, seed: 1 });
      return new nn.Sequential(conv, new nn.ReLU(), conv);
    },
    [1, 3, 5, 6],
    { ops: ['Conv', 'Relu', 'Conv'] },
  ),
  ...sized('generator', () => stirred(new nn.Sequential(
    new nn.ConvTranspose2d(8, 16, { kernelSize: 4, seed: 1 }), new nn.BatchNorm2d(16), new nn.ReLU(),
    new nn.ConvTranspose2d(16, 8, { kernelSize: 4, stride: 2, padding: 1, bias: false, seed: 2 }), new nn.BatchNorm2d(8), new nn.ReLU(),
    new nn.ConvTranspose2d(8, 3, { kernelSize: 4, stride: 2, padding: 1, seed: 3 }), new nn.Tanh(),
  )), [2, 8, 1, 1]), // biome-ignore format: a table
];

/** @type {readonly ExportCase[]} */
export const exportCases = [...Object.values(layers).flat(), ...operations, ...networks];

/** Values for an input: of both signs, none twice. @param {readonly number[]} shape @param {number} seed */
export function inputFor(shape, seed) {
  return d.randn([...shape], { seed });
}
