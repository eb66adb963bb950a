import { add, randn, type Tensor, tensor } from 'deconv';
import {
  AdaptiveAvgPool2d,
  type AnyModule,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Flatten,
  InstanceNorm2d,
  init,
  Linear,
  MaxPool2d,
  Module,
  PixelShuffle,
  ReLU,
  Sequential,
  Upsample,
} from 'deconv/nn';
import { exportOnnx, readOnnx } from 'deconv/onnx';
import { describe, expect, it } from 'vitest';
import { onnxModel } from '../../../../test/support/onnx.js';
import { columns, shortened } from './columns.js';
import { sightsOf, sightText } from './fields.js';
import { lintNetwork } from './lint.js';
import { inBytes, openShape, short } from './open.js';
import { networkTable, readShapeOption, weightNames } from './tables.js';

const contentsOf = (module: AnyModule, shape: number[], opset = 17) =>
  readOnnx(exportOnnx(module, randn(shape, { seed: 1 }), { opset }));
const lint = async (module: AnyModule, shape: number[], threshold = 1.3) =>
  lintNetwork(await contentsOf(module, shape), threshold);
/** A layer with this kernel for all channels. */
const filled = <L extends { readonly weight: Tensor; readonly bias?: Tensor | undefined }>(
  layer: L,
  kernel: number[],
) => {
  const { weight, bias } = layer;
  weight.assign(
    tensor(
      Float32Array.from({ length: weight.size }, (_, i) => kernel[i % kernel.length]),
      weight.shape,
    ),
  );
  if (bias !== undefined) init.zeros(bias);
  return layer;
};

describe('lint', () => {
  const up = (kernelSize: number, stride: number, more = {}) =>
    new ConvTranspose2d(4, 4, { kernelSize, stride, seed: 1, ...more });

  it.each([
    ['an even kernel', filled(up(4, 2), [1, 1, 3, 3, 1, 1, 3, 3]), 'even', '4 taps in every phase', []],
    ['an odd one', up(3, 2), 'checkerboard', /^1 to 4 taps by phase; on a flat input its phases differ by \d\.\d\d : 1$/, ['kernel 4×4 at stride 2×2, padding 1×1: as many taps everywhere; train again', 'or resize by 2×2 and a convolution instead']],
    ['an odd one that is evened out', filled(up(3, 2), [1, 2, 1, 2, 4, 2, 1, 2, 1]), 'evened', '1 to 4 taps by phase, which these weights even out', []],
    ['an even one that is not', filled(up(2, 2), [1, 2, 1, 2]), 'checkerboard', '1 tap in every phase; on a flat input its phases differ by 2.00 : 1', ['the coverage is even, the weights are not: start them even (init.bilinear in deconv/nn) and train again, or longer', 'or resize by 2×2 and a convolution instead']],
    ['a kernel shorter than the stride', up(2, 3), 'holes', 'no tap reaches 5 of its 9 phases: they show the bias alone', ['kernel 3×3 at stride 3×3, padding 0×0: as many taps everywhere; train again', 'or resize by 3×3 and a convolution instead']],
    ['a stride that a kernel cannot halve', up(5, 4, { padding: 1 }), 'checkerboard', /taps by phase/, ['kernel 8×8 at stride 4×4, padding 2×2: as many taps everywhere; train again', 'or resize by 4×4 and a convolution instead']],
    ['ones, averaged', filled(up(3, 2, { overlap: 'average' }), [1]), 'evened', '1 to 4 taps by phase, which these weights even out; divided by its coverage', []],
    ['ones, summed', filled(up(3, 2), [1]), 'checkerboard', '1 to 4 taps by phase; on a flat input its phases differ by 4.00 : 1', expect.anything()],
  ])('%s', async (_, layer, verdict, finding, advice) => {
    const [row] = await lint(new Sequential(layer), [1, 4, 6, 6]);
    expect(row).toMatchObject({ node: '0', kind: 'convTranspose', verdict });
    expect(row.finding).toMatch(finding);
    expect(row.advice).toEqual(advice);
  }); // biome-ignore format: a table

  it('leaves strides of 1 alone', async () => {
    expect(
      await lint(new Sequential(up(3, 1), new Conv2d(4, 4, { kernelSize: 3, stride: 2 })), [1, 4, 6, 6]),
    ).toEqual([]);
  });

  it('looks through functions at the convolution before a pixel shuffle', async () => {
    const shuffled = (conv: Conv2d) =>
      lint(new Sequential(conv, new ReLU(), new PixelShuffle(2)), [1, 3, 6, 6]);
    const conv = new Conv2d(3, 64, { kernelSize: 3, seed: 1 });
    expect((await shuffled(conv))[0]).toMatchObject({
      kind: 'pixelShuffle',
      node: 'depth_to_space',
      verdict: 'even',
    });
    const uneven = filled(new Conv2d(3, 4, { kernelSize: 1 }), [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3]);
    const [row] = await shuffled(uneven);
    expect(row.verdict).toBe('checkerboard');
    expect([row.flat, row.noise].map((value) => value.toFixed(6))).toEqual(['3.000000', '3.000000']);
    expect(row.advice[0]).toContain('init.icnr');
    const [alone] = await lint(new Sequential(new PixelShuffle(2)), [1, 4, 3, 3]);
    expect(alone).toMatchObject({
      verdict: 'unknown',
      finding: expect.stringContaining('cannot be measured'),
    });
  });

  it('knows that resizing before a convolution is even', async () => {
    const resized = (up: Upsample) =>
      lint(new Sequential(up, new Conv2d(3, 3, { kernelSize: 3 })), [1, 3, 6, 6]);
    expect((await resized(new Upsample(2)))[0]).toMatchObject({
      kind: 'resize',
      verdict: 'even',
      stride: [2, 2],
    });
    const bytes = onnxModel({
      nodes: [
        { op: 'Resize', inputs: ['x', '', 's'], outputs: ['y'], attributes: { mode: 'nearest' } },
        { op: 'Conv', inputs: ['y', 'w'], outputs: ['z'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: [1, 1, 4, 4] }],
      outputs: ['z'],
      initializers: { s: { dims: [4], values: [1, 1, 1.5, 2] }, w: { dims: [1, 1, 1, 1], values: [1] } },
    });
    const [row] = lintNetwork(await readOnnx(bytes), 1.3);
    expect(row).toMatchObject({ verdict: 'checkerboard', advice: ["a whole factor, or mode 'linear'"] });
  });

  it('says so where weights are computed', async () => {
    const bytes = onnxModel({
      nodes: [{ op: 'ConvTranspose', inputs: ['x', 'w'], outputs: ['y'], attributes: { kernel_shape: [3, 3], strides: [2, 2] } }],
      inputs: [{ name: 'x', type: 'float32', shape: [1, 1, 4, 4] }, { name: 'w', type: 'float32', shape: [1, 1, 3, 3] }],
      outputs: ['y'],
    }); // biome-ignore format: a model
    expect(lintNetwork(await readOnnx(bytes), 1.3)[0]).toMatchObject({ verdict: 'unknown' });
  });

  it('goes by the threshold', async () => {
    const layer = () => filled(up(2, 2), [1, 1.2, 1, 1.2]);
    expect((await lint(new Sequential(layer()), [1, 4, 4, 4]))[0].verdict).toBe('even');
    expect((await lint(new Sequential(layer()), [1, 4, 4, 4], 1.1))[0].verdict).toBe('checkerboard');
  });
});

describe('what is seen', () => {
  const seenBy = async (module: AnyModule, shape: number[]) => {
    const contents = await contentsOf(module, shape);
    const { rows } = await networkTable(
      {
        kind: 'network',
        path: '',
        bytes: 0,
        contents,
        source: exportOnnx(module, randn(shape)),
        model: undefined,
      },
      {},
    );
    return rows.map(({ sees }) => sightText(sees));
  };

  it('widens with windows, strides and resizing', async () => {
    const net = new Sequential(
      new Conv2d(1, 1, { kernelSize: 11, stride: 4 }),
      new MaxPool2d({ kernelSize: 3, stride: 2 }),
      new Conv2d(1, 4, { kernelSize: 5, padding: 2 }),
      new PixelShuffle(2),
      new Conv2d(1, 1, { kernelSize: [3, 1] }),
    );
    // AlexNet's first three: 11, 19, 51. A shuffled pixel is half a step of 8: three of them see at most one step more.
    expect(await seenBy(net, [1, 1, 99, 99])).toEqual(['11', '19', '51', '51', '59 × 51']);
  });

  it('is all of it behind a global pooling, and nothing that is claimed behind a reshape', async () => {
    const all = new Sequential(
      new Conv2d(1, 2, { kernelSize: 3 }),
      new AdaptiveAvgPool2d(1),
      new Flatten(),
      new Linear(2, 2),
    );
    expect(await seenBy(all, [1, 1, 8, 8])).toEqual(['3', 'all', 'all', 'all']);
    expect(await seenBy(new Sequential(new InstanceNorm2d(1), new ReLU()), [1, 1, 8, 8])).toEqual([
      'all',
      'all',
    ]);
  });

  it('is the wider of two ways', async () => {
    class Residual extends Module {
      wide = new Conv2d(1, 1, { kernelSize: 5, padding: 2 });
      forward(x: Tensor): Tensor {
        return add(x, this.wide.forward(x));
      }
    }
    expect(await seenBy(new Residual(), [1, 1, 8, 8])).toEqual(['5', '5']);
  });

  it('needs no shapes but of resizing', async () => {
    const contents = await contentsOf(
      new Sequential(new Upsample(2), new Conv2d(1, 1, { kernelSize: 3 })),
      [1, 1, 8, 8],
    );
    const sights = sightsOf(contents, new Map([['input', [1, 1, 8, 8]]]));
    expect([...sights.values()].map(sightText)).toEqual(['1', '', '']);
  });
});

describe('tables', () => {
  it('count weights once, and no settings', async () => {
    const conv = new Conv2d(2, 2, { kernelSize: 1 });
    const net = new Sequential(conv, new ReLU(), conv, new BatchNorm2d(2), new Upsample(2));
    const names = weightNames(await contentsOf(net, [1, 2, 4, 4]));
    expect(names.map((list) => list.length)).toEqual([2, 0, 0, 4, 0]);
  });

  it('read shapes', () => {
    expect(readShapeOption('y=2x3', readShapeOption('1x3x8x8'))).toEqual({ '': [1, 3, 8, 8], y: [2, 3] });
    for (const text of ['', 'x=', '3x', 'axb']) expect(() => readShapeOption(text)).toThrow('must be like');
  });

  it('fit a terminal', () => {
    const rows = [
      ['node', 'operator', 'empty'],
      ['/decoder/decoder.0/ConvTranspose', 'ConvTranspose', ''],
    ];
    expect(columns(rows, 'lll', 40).split('\n')).toEqual([
      '  node                     operator',
      '  /decoder…/ConvTranspose  ConvTranspose',
    ]);
    expect(shortened('abcdefghij', 5)).toBe('ab…ij');
    expect(shortened('abc', 5)).toBe('abc');
  });

  it('write numbers as people do', () => {
    expect([short(999), short(1000), short(999_600), short(2_345_678)]).toEqual([
      '999',
      '1 k',
      '1 M',
      '2.35 M',
    ]);
    expect([inBytes(12), inBytes(1234), inBytes(56_789_000)]).toEqual(['12 bytes', '1.2 kB', '57 MB']);
    expect([openShape(['N', -1, 3]), openShape(undefined)]).toEqual(['[N, ?, 3]', 'any shape']);
  });
});
