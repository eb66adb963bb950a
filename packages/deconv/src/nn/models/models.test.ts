/** The ready models: what a fresh one gives, how far it sees, that it learns, and what its file may not be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSafetensors, safetensorsMetadata, writeSafetensors } from '../../io/safetensors.js';
import { rand, tensor, zeros } from '../../ops/create.js';
import { abs, sub } from '../../ops/elementwise.js';
import { slice } from '../../ops/layout.js';
import { max } from '../../ops/reduce.js';
import { upsample } from '../../ops/upsample.js';
import { Adam } from '../../optim/index.js';
import type { Tensor } from '../../tensor.js';
import { crossEntropy, Linear, manualSeed, mseLoss } from '../index.js';
import {
  type AnyPictureModel,
  autoencoder,
  denoiser,
  loadModel,
  type PictureModel,
  saveModel,
  segmenter,
  upscaler,
} from './index.js';

const small: readonly (readonly [string, () => AnyPictureModel])[] = [
  ['upscaler ×2', () => upscaler({ channels: 6, blocks: 1, seed: 1 })],
  ['upscaler ×3', () => upscaler({ scale: 3, channels: 5, blocks: 2, seed: 2 })],
  ['denoiser', () => denoiser({ channels: 6, blocks: 1, seed: 3 })],
  ['autoencoder, stride', () => autoencoder({ channels: 4, levels: 2, code: 3, seed: 4 })],
  ['autoencoder, pool', () => autoencoder({ channels: 4, levels: 2, code: 3, down: 'pool', seed: 5 })],
  ['segmenter', () => segmenter({ classes: 3, channels: 4, levels: 2, seed: 6 })],
];

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'not refused';
};

const largest = (x: Tensor) => max(abs(x)).item();

/** No layer as it began: what starts as zero would hide what lies before it. */
function shaken<M extends PictureModel>(model: M): M {
  for (const [i, parameter] of model.parameters().entries()) {
    const values = rand(parameter.shape, { seed: 100 + i });
    parameter.assign(sub(values, 0.5).detach());
  }
  return model;
}

describe('fresh models', () => {
  it.each([2, 3, 4])('an upscaler by %i is bicubic interpolation', (scale) => {
    const model = upscaler({ scale, channels: 8, blocks: 2 });
    const x = rand([2, 3, 7, 5], { seed: 1 });
    expect(largest(sub(model.forward(x), upsample(x, { scaleFactor: scale, mode: 'cubic' })))).toBe(0);
  });

  it('a denoiser changes nothing', () => {
    const x = rand([1, 3, 7, 10], { seed: 1 });
    expect(largest(sub(denoiser({ channels: 8, blocks: 1 }).forward(x), x))).toBe(0);
  });

  it('are the same for the same seed, and others for another', () => {
    for (const make of [
      (seed: number) => upscaler({ channels: 4, blocks: 1, seed }),
      (seed: number) => segmenter({ classes: 2, channels: 4, levels: 1, seed }),
      (seed: number) => autoencoder({ channels: 4, levels: 1, down: 'pool', seed }),
    ]) {
      const [a, b, c] = [make(7), make(7), make(8)].map((model) =>
        model.parameters().map((p) => [...p.data]),
      );
      expect(a).toEqual(b);
      expect(a).not.toEqual(c);
    }
  });
});

describe.each(small)('%s', (_name, make) => {
  it('takes pictures of any size', () => {
    const model = shaken(make().eval());
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 11 }), fc.integer({ min: 1, max: 11 }), (h, w) => {
        const y = model.forward(rand([1, 3, h, w], { seed: h * w }));
        expect(y.shape).toEqual([1, 3, h * model.scale, w * model.scale]);
      }),
      { numRuns: 12 },
    );
    expect(refusal(() => model.forward(zeros([1, 1, 8, 8])))).toContain(
      'input must be RGB pictures (N, 3, H, W), got [1, 1, 8, 8]',
    );
  });

  it('sees as far as it says, and no further', () => {
    const model = shaken(make().eval());
    const side = 2 * Math.ceil((model.reach + 2) / model.multiple) * model.multiple + model.multiple;
    const middle = Math.floor(side / 2 / model.multiple) * model.multiple;
    const x = rand([1, 3, side, side], { seed: 9 });
    const before = model.forward(x);
    const changed = Float32Array.from(x.data);
    for (let c = 0; c < 3; c++) changed[(c * side + middle) * side + middle] += 1;
    const difference = sub(model.forward(tensor(changed, x.shape)), before);
    let far = 0;
    for (const [i, value] of difference.data.entries()) {
      if (Math.abs(Number(value)) < 1e-7) continue;
      const column = Math.floor((i % (side * model.scale)) / model.scale);
      far = Math.max(far, Math.abs(column - middle));
    }
    expect(far).toBeGreaterThan(0);
    expect(far).toBeLessThanOrEqual(model.reach);
  });

  it('gives for a part with its surroundings what it gives for the whole', () => {
    const model = shaken(make().eval());
    const { multiple, reach, scale } = model;
    const around = Math.ceil(reach / multiple) * multiple;
    const [part, at] = [2 * multiple, 2 * around];
    const side = 4 * around + part;
    const x = rand([1, 3, side, side], { seed: 10 });
    const cut = slice(x, { start: [0, 0, at - around, 0], end: [1, 3, at + part + around, side] });
    const rows = (y: Tensor, from: number) =>
      slice(y, { start: [0, 0, from * scale], end: [1, undefined, (from + part) * scale] });
    const whole = rows(model.forward(x), at);
    const own = rows(model.forward(cut), around);
    expect(largest(sub(own, whole))).toBeLessThan(1e-5 * largest(whole));
  });

  it('learns', () => {
    const model = make();
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    const x = rand([2, 3, 8, 8], { seed: 11 });
    const side = 8 * model.scale;
    const target = rand([2, 3, side, side], { seed: 12 });
    const classes = tensor(
      Int32Array.from({ length: 128 }, (_, i) => i % 3),
      [2, 8, 8],
    );
    const loss = () =>
      model.task === 'segment' ? crossEntropy(model.forward(x), classes) : mseLoss(model.forward(x), target);
    const first = loss().item();
    for (let step = 0; step < 25; step++) {
      optimizer.zeroGrad();
      loss().backward();
      if (step === 1) for (const [name, p] of model.namedParameters()) expect(p.grad, name).not.toBeNull();
      optimizer.step();
    }
    expect(loss().item()).toBeLessThan(0.97 * first);
  });

  it('comes back from its file as it was', () => {
    const model = shaken(make());
    model.notes = { names: ['a', 'ü'], gain: 1.25 };
    const bytes = saveModel(model);
    const again = loadModel(bytes);
    expect([again.task, again.type, again.options, again.notes]).toEqual([
      model.task,
      model.type,
      model.options,
      model.notes,
    ]);
    const x = rand([1, 3, 9, 9], { seed: 13 });
    expect(again.apply(x).data).toEqual(model.apply(x).data);
    expect(saveModel(again)).toEqual(bytes);
    // Any reader of safetensors finds the weights by the names of the modules.
    expect(Object.keys(readSafetensors(bytes))).toEqual(Object.keys(model.stateDict()));
  });

  it('holds what it gives to 0 … 1, and records nothing', () => {
    const model = shaken(make());
    const y = model.apply(rand([1, 3, 8, 8], { seed: 14 }));
    expect(y.requiresGrad).toBe(false);
    // In evaluation mode, whatever mode it is in, and in that mode again afterwards.
    expect(model.modules().every(({ training }) => training)).toBe(true);
    expect(model.eval().apply(rand([1, 3, 8, 8], { seed: 14 })).data).toEqual(y.data);
    expect(model.modules().some(({ training }) => training)).toBe(false);
    const most = model.task === 'segment' ? 2 : 1;
    for (const value of y.data) expect(Number(value) >= 0 && Number(value) <= most).toBe(true);
  });
});

describe('the halves of an autoencoder', () => {
  it('are the whole', () => {
    const model = autoencoder({ channels: 4, levels: 2, code: 5, down: 'pool', seed: 1 });
    const x = rand([1, 3, 12, 8], { seed: 1 });
    const code = model.encode(x);
    expect(code.shape).toEqual([1, 5, 3, 2]);
    expect(model.decode(code).data).toEqual(model.forward(x).data);
    expect(refusal(() => model.encode(zeros([1, 3, 12, 9])))).toContain(
      'height 12 and width 9 must be multiples of 2^levels = 4',
    );
  });
});

describe('options', () => {
  it.each([
    [() => upscaler({ scale: 1 }), 'scale must be an integer ≥ 2, got 1'],
    [() => upscaler({ scale: 9 }), 'scale must be at most 8, got 9'],
    [() => upscaler({ channels: 1e6 }), 'channels must be at most 4096, got 1000000'],
    [() => denoiser({ blocks: 0 }), 'blocks must be an integer ≥ 1, got 0'],
    [() => denoiser({ chanels: 3 } as never), "unknown option 'chanels' — did you mean 'channels'?"],
    [
      () => autoencoder({ down: 'strided' as never }),
      "down must be one of 'stride', 'pool', got \"strided\"",
    ],
    [() => autoencoder({ levels: 7 }), 'levels must be at most 6, got 7'],
    [() => segmenter({} as never), 'classes is required'],
    [() => segmenter({ classes: 300 }), 'classes must be at most 256, got 300'],
  ])('%# are refused', (call, words) => expect(refusal(call)).toContain(words));
});

describe('files that are no models', () => {
  const bytes = saveModel(upscaler({ channels: 4, blocks: 1, seed: 1 }));
  const metadata = safetensorsMetadata(bytes);
  const weights = readSafetensors(bytes);
  const changed = (texts: Record<string, string>, tensors = weights) =>
    writeSafetensors(tensors, { metadata: { ...metadata, ...texts } });
  const options = (more: object) => ({
    options: JSON.stringify({ scale: 2, channels: 4, blocks: 1, ...more }),
  });

  it.each([
    [writeSafetensors(weights), 'its format is not stated'],
    [
      changed({ format: 'deconv model 2' }),
      'the model is of format 2, this version of deconv reads format 1',
    ],
    [changed({ format: 'deconv checkpoint 1' }), 'it is a checkpoint of a training'],
    [changed({ task: 'constructor' }), 'the model\'s task is "constructor", known are upscale, denoise'],
    [changed({ normalisation: '{"mean":0}' }), 'the model computes with'],
    [changed({ options: 'null' }), "the model's options must be a JSON object"],
    [changed({ notes: '[' }), "the model's notes must be a JSON object"],
    [changed({ scale: '3' }), 'scale "3" must be 2'],
    [changed(options({ blocks: 2 })), '4 missing: blocks.1.0.weight'],
    [changed(options({ channels: 4096 })), 'head.weight must be [4096, ?, 3, 3], got [4, 3, 3, 3]'],
    [changed(options({ channels: -1 })), 'channels must be an integer ≥ 1, got -1'],
    [changed(options({ extra: 1 })), "unknown option 'extra'"],
    [changed({}, { ...weights, 'head.weight': zeros([4, 2, 3, 3]) }), 'the file does not hold the model'],
    [changed({}, { ...weights, 'tail.bias': tensor([0, Number.NaN, 0]) }), "'tail.bias' is NaN at element 1"],
    [changed({}, { ...weights, more: zeros([1]) }), '1 unexpected: more'],
  ])('%# are refused', (file, words) => expect(refusal(() => loadModel(file))).toContain(words));

  it('may be cut or spoilt anywhere without harm', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
        const file = cut ? bytes.slice(0, at) : bytes.map((byte, i) => (i === at ? value : byte));
        try {
          loadModel(file);
        } catch (error) {
          expect((error as Error).name).toBe('DeconvError');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are not written either', () => {
    expect(refusal(() => saveModel(new Linear(1, 1) as never))).toContain('model must be one of');
    const model = upscaler({ channels: 4, blocks: 1 });
    model.notes = { big: 1n };
    expect(refusal(() => saveModel(model))).toContain('model.notes must be an object that JSON can hold');
  });

  it('does not move the seeds of layers made after loading', () => {
    const next = () => new Linear(1, 1).weight.item();
    manualSeed(3);
    const expected = next();
    manualSeed(3);
    loadModel(bytes);
    expect(next()).toBe(expected);
  });
});
