/**
 * jobs: the four things that can be learnt from pictures: for each its model, what is prepared of a picture once, how a
 * sample is cut from it, the loss, and how good a result is.
 *
 *     upscale      small picture → picture; the mean absolute difference
 *     denoise      picture + Gaussian noise → picture; the mean absolute difference
 *     autoencode   picture → itself; the mean absolute difference
 *     segment      picture → class of each pixel; the mean cross-entropy over pixels that have a class
 */
import { mean, mul, randomStream, type Tensor, tensor } from 'deconv';
import {
  type AnyPictureModel,
  autoencoder,
  crossEntropy,
  denoiser,
  l1Loss,
  type RandomStream,
  type Sample,
  segmenter,
  type Task,
  upscaler,
} from 'deconv/nn';
import type { Pixels } from '../pictures.js';
import { type Example, UNKNOWN_CLASS } from './folder.js';
import { cropPixels, cutTo, DEGRADATIONS, scaleDown } from './scale-down.js';

/** What a training is told beside its data; kept in the checkpoint. */
export interface JobOptions {
  readonly task: Task;
  readonly scale: number;
  readonly channels: number;
  /** Residual blocks, or levels that halve the picture. */
  readonly depth: number;
  /** Side of an input patch in pixels. */
  readonly patch: number;
  /** Standard deviations of the noise, in 255ths: from, to. */
  readonly noise: readonly [number, number];
  readonly classes: number;
  readonly code: number;
  readonly down: 'stride' | 'pool';
  readonly seed: number;
}

/** A picture made ready to cut samples from. */
export interface Prepared {
  readonly name: string;
  readonly truth: Pixels;
  /** What the model may be given: one of these, as large as the truth or `scale` times smaller. */
  readonly inputs: readonly Pixels[];
  readonly mask?: Uint8Array;
}

/** A picture to look at a model with. */
export interface View {
  readonly name: string;
  readonly truth: Pixels;
  readonly input: Pixels;
  readonly mask?: Uint8Array;
}

/** One thing to be learnt. */
export interface Job {
  readonly options: JobOptions;
  /** A fresh model. */
  make(): AnyPictureModel;
  /** Shortest side of a picture that a sample can be cut from. */
  readonly least: number;
  /** Bytes held per pixel of a picture. */
  readonly bytesPerPixel: number;
  /** Why an example cannot be trained on, or nothing. */
  reject(example: Example): string | undefined;
  prepare(example: Example): Prepared;
  sample(prepared: Prepared, random: RandomStream): Sample;
  loss(model: AnyPictureModel, batch: readonly Tensor[]): Tensor;
  view(prepared: Prepared): View;
}

/** Longest side of the middle that is looked at of each held-back picture. */
const VIEW_SIDE = 256;
/** Noise of the pictures that are looked at, in 255ths. */
export const VIEW_NOISE = 25;

const integer = (random: RandomStream, count: number) => Math.floor(random() * count);

/** A square window of bytes as numbers in 0 … 1, mirrored and turned as told: (3, side, side). */
function patchOf(picture: Pixels, left: number, top: number, side: number, turn: readonly boolean[]): Tensor {
  const values = new Float32Array(3 * side * side);
  each(side, turn, (to, x, y) => {
    const from = ((top + y) * picture.width + left + x) * 3;
    for (let c = 0; c < 3; c++) values[c * side * side + to] = picture.data[from + c] / 255;
  });
  return tensor(values, [3, side, side]);
}

/** Goes through a window: where a value goes, and where it comes from when the window is mirrored or transposed. */
function each(
  side: number,
  [flipX, flipY, swap]: readonly boolean[],
  visit: (to: number, x: number, y: number) => void,
): void {
  for (let row = 0, to = 0; row < side; row++) {
    for (let column = 0; column < side; column++, to++) {
      const x = flipX ? side - 1 - column : column;
      const y = flipY ? side - 1 - row : row;
      if (swap) visit(to, y, x);
      else visit(to, x, y);
    }
  }
}

/** Which ways to mirror and transpose: all eight of a square's, or left and right only. */
const drawTurn = (random: RandomStream, all: boolean) => {
  const [a, b, c] = [random() < 0.5, random() < 0.5, random() < 0.5];
  return all ? [a, b, c] : [a, false, false];
};

/** Adds Gaussian noise of this standard deviation (Box and Muller), two numbers at a time. */
function addNoise(values: Float32Array, deviation: number, random: RandomStream): void {
  for (let i = 0; i < values.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    values[i] += radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] += radius * Math.sin(angle);
  }
}

/** The middle of a picture, at most `side` long, its sides multiples of `multiple`. */
function middleOf(picture: Pixels, side: number, multiple: number) {
  const [width, height] = [picture.width, picture.height].map((n) => {
    const most = Math.min(n, side);
    return most - (most % multiple);
  });
  const [left, top] = [(picture.width - width) >> 1, (picture.height - height) >> 1];
  return { left, top, width, height, pixels: cropPixels(picture, left, top, width, height) };
}

/** Says of pictures that no patch of this side can be cut from that they are too small. */
export const tooSmall = (side: number) => (example: Example) =>
  Math.min(example.width, example.height) < side
    ? `${example.width} × ${example.height} pixels are fewer than a patch of ${side} × ${side}`
    : undefined;

const difference = (model: AnyPictureModel, [input, target]: readonly Tensor[]) =>
  l1Loss(model.forward(input), target);

function upscaleJob(options: JobOptions): Job {
  const { scale, patch, channels, depth, seed } = options;
  return {
    options,
    make: () => upscaler({ scale, channels, blocks: depth, seed }),
    least: patch * scale,
    bytesPerPixel: 3 + (3 * DEGRADATIONS.length) / scale ** 2,
    reject: tooSmall(patch * scale),
    prepare: (example) => {
      const truth = cutTo(example, scale);
      return { name: example.name, truth, inputs: DEGRADATIONS.map((how) => scaleDown(truth, scale, how)) };
    },
    sample: ({ truth, inputs }, random) => {
      const input = inputs[integer(random, inputs.length)];
      const left = integer(random, input.width - patch + 1);
      const top = integer(random, input.height - patch + 1);
      const turn = drawTurn(random, true);
      return [
        patchOf(input, left, top, patch, turn),
        patchOf(truth, left * scale, top * scale, patch * scale, turn),
      ];
    },
    loss: difference,
    view: ({ name, truth }) => {
      const { pixels } = middleOf(truth, VIEW_SIDE, scale);
      return { name, truth: pixels, input: scaleDown(pixels, scale, 'bicubic') };
    },
  };
}

/** A window cut from the only input, which is the truth itself. */
function ownPatch({ truth }: Prepared, patch: number, random: RandomStream, all: boolean): Tensor {
  const left = integer(random, truth.width - patch + 1);
  const top = integer(random, truth.height - patch + 1);
  return patchOf(truth, left, top, patch, drawTurn(random, all));
}

const asIs = (example: Example): Prepared => ({ name: example.name, truth: example, inputs: [example] });

function denoiseJob(options: JobOptions): Job {
  const { patch, channels, depth, seed, noise } = options;
  return {
    options,
    make: () => denoiser({ channels, blocks: depth, seed }),
    least: patch,
    bytesPerPixel: 3,
    reject: tooSmall(patch),
    prepare: asIs,
    sample: (prepared, random) => {
      const target = ownPatch(prepared, patch, random, true);
      const values = Float32Array.from(target.data);
      addNoise(values, (noise[0] + (noise[1] - noise[0]) * random()) / 255, random);
      return [tensor(values, target.shape), target];
    },
    loss: difference,
    view: ({ name, truth }) => {
      const { pixels } = middleOf(truth, VIEW_SIDE, 2);
      const values = Float32Array.from(pixels.data);
      addNoise(values, VIEW_NOISE, randomStream(pixels.data.length));
      const data = new Uint8Array(Uint8ClampedArray.from(values).buffer);
      return { name, truth: pixels, input: { ...pixels, data } };
    },
  };
}

function autoencodeJob(options: JobOptions): Job {
  const { patch, channels, depth, code, down, seed } = options;
  return {
    options,
    make: () => autoencoder({ channels, levels: depth, code, down, seed }),
    least: patch,
    bytesPerPixel: 3,
    reject: tooSmall(patch),
    prepare: asIs,
    sample: (prepared, random) => {
      const target = ownPatch(prepared, patch, random, true);
      return [target, target];
    },
    loss: difference,
    view: ({ name, truth }) => {
      const { pixels } = middleOf(truth, VIEW_SIDE, 2 ** depth);
      return { name, truth: pixels, input: pixels };
    },
  };
}

function segmentJob(options: JobOptions): Job {
  const { patch, channels, depth, classes, seed } = options;
  return {
    options,
    make: () => segmenter({ classes, channels, levels: depth, seed }),
    least: patch,
    bytesPerPixel: 4,
    reject: (example) => {
      const wrong = example.mask?.find((value) => value !== UNKNOWN_CLASS && value >= classes);
      if (wrong !== undefined) return `its mask has the class ${wrong}, there are ${classes}, from 0`;
      return tooSmall(patch)(example);
    },
    prepare: (example) => ({ ...asIs(example), mask: example.mask ?? new Uint8Array() }),
    sample: ({ truth, mask = new Uint8Array() }, random) => {
      const left = integer(random, truth.width - patch + 1);
      const top = integer(random, truth.height - patch + 1);
      // What stands upright in pictures stays so.
      const turn = drawTurn(random, false);
      const classOf = new Int32Array(patch * patch);
      const counts = new Float32Array(patch * patch);
      each(patch, turn, (to, x, y) => {
        const value = mask[(top + y) * truth.width + left + x];
        if (value === UNKNOWN_CLASS) return;
        classOf[to] = value;
        counts[to] = 1;
      });
      const known = counts.reduce((a, b) => a + b, 0);
      // The mean over known pixels, written as a mean over all.
      if (known > 0) for (let i = 0; i < counts.length; i++) counts[i] *= counts.length / known;
      return [
        patchOf(truth, left, top, patch, turn),
        tensor(classOf, [patch, patch]),
        tensor(counts, [patch, patch]),
      ];
    },
    loss: (model, [input, classOf, counts]) =>
      mean(mul(crossEntropy(model.forward(input), classOf, { reduction: 'none' }), counts)),
    view: ({ name, truth, mask = new Uint8Array() }) => {
      const { pixels, left, top, width, height } = middleOf(truth, 2 * VIEW_SIDE, 1);
      const part = new Uint8Array(width * height);
      for (let y = 0; y < height; y++) {
        const from = (top + y) * truth.width + left;
        part.set(mask.subarray(from, from + width), y * width);
      }
      return { name, truth: pixels, input: pixels, mask: part };
    },
  };
}

/** The job of these options. */
export function jobOf(options: JobOptions): Job {
  switch (options.task) {
    case 'upscale':
      return upscaleJob(options);
    case 'denoise':
      return denoiseJob(options);
    case 'autoencode':
      return autoencodeJob(options);
    case 'segment':
      return segmentJob(options);
  }
}
