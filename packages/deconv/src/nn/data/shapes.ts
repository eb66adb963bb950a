/**
 * shapes: a data set that is drawn, not downloaded: lit figures over textured grounds, each picture with the class of its
 * main figure and a mask of what is seen where. Enough to train and to compare classifiers, segmenters, autoencoders and
 * upscalers; too varied in colour, size, angle, light and ground to be told by a few pixels.
 */
import { checkOptions, refuse } from '../../errors.js';
import { hostTensor } from '../../tensor.js';
import { drawUniform, type RandomStream } from '../draw.js';
import { readCount } from '../options.js';
import { Canvas, type Colour, colourOf, direction, noise, type Placed, texture } from './canvas.js';
import { checkIndex, type Dataset, type Sample } from './dataset.js';
import { FIGURES } from './figures.js';
import { integer, streamOf } from './random.js';

/** Names of the figures of {@link syntheticShapes}, in the order of their classes. */
export const SHAPE_NAMES = Object.freeze(Object.keys(FIGURES)) as readonly (keyof typeof FIGURES)[];

/** Options of {@link syntheticShapes}. */
export interface SyntheticShapesOptions {
  /** Height and width of the pictures in pixels, at least 16. Default 64. */
  readonly size?: number | undefined;
  /** Another seed is another set: take one for training and one for testing. Integer. Default 0. */
  readonly seed?: number | undefined;
  /** How many kinds of figures there are, 2 … 8: the first of {@link SHAPE_NAMES}. Default 4. */
  readonly classes?: number | undefined;
}

const FEWEST_PIXELS = 16;

/** The largest difference between two colours in any channel. */
const contrast = (a: Colour, b: Colour): number =>
  Math.max(...a.map((value, channel) => Math.abs(value - b[channel])));

/** A colour that stands out from the ground. */
function figureColour(random: RandomStream, ground: Colour): Colour {
  let best: Colour = [0, 0, 0];
  for (let attempt = 0; attempt < 8; attempt++) {
    const colour = colourOf(random(), drawUniform(random, 0.25, 0.9), drawUniform(random, 0.3, 1));
    if (contrast(colour, ground) > contrast(best, ground) || attempt === 0) best = colour;
    if (contrast(best, ground) > 0.35) break;
  }
  return best;
}

/** A figure of a class, somewhere; whole within the picture if `margin` is its radius. */
function place(random: RandomStream, kind: number, radius: number, margin: number, ground: Colour): Placed {
  return {
    figure: FIGURES[SHAPE_NAMES[kind]],
    mark: kind + 1,
    centre: [drawUniform(random, margin, 1 - margin), drawUniform(random, margin, 1 - margin)],
    radius,
    stretch: drawUniform(random, 0.78, 1),
    turn: direction(random),
    colour: figureColour(random, ground),
    shade: drawUniform(random, 0.05, 0.3),
    roughness: drawUniform(random, 0, 0.5),
  };
}

/** The picture, label and mask of one random stream. */
function draw(random: RandomStream, size: number, classes: number): Sample {
  const clouds = noise(random, size, 2 + integer(random, 6));
  const fine = noise(random, size, 8 + integer(random, 8));
  const hue = random();
  const saturation = drawUniform(random, 0.1, 0.7);
  const value = drawUniform(random, 0.25, 0.75);
  const depth = drawUniform(random, 0.08, 0.28);
  const dark = colourOf(hue, saturation, value - depth);
  const bright = colourOf((hue + drawUniform(random, 0, 0.15)) % 1, saturation * 0.8, value + depth);
  const canvas = new Canvas(size, fine);
  canvas.ground(texture(random, size, clouds), dark, bright);

  // Small figures of any class first; the main one lies over them and is at least twice as large.
  const light = direction(random);
  const shift = light.map((along) => -0.035 * along);
  const middle = colourOf(hue, saturation, value);
  const label = integer(random, classes);
  const figures = Array.from({ length: integer(random, 3) }, () =>
    place(random, integer(random, classes), drawUniform(random, 0.07, 0.12), 0.06, middle),
  );
  const radius = drawUniform(random, 0.24, 0.38);
  figures.push(place(random, label, radius, radius, middle));
  for (const figure of figures) {
    canvas.shadow(figure, shift, 0.4);
    canvas.paint(figure, light);
  }
  canvas.finish(random, drawUniform(random, 0, 0.12));
  const { pixels, mask } = canvas;
  return [
    hostTensor(pixels, [3, size, size]),
    hostTensor(Int32Array.of(label), []),
    hostTensor(mask, [size, size]),
  ];
}

/**
 * A set of drawn pictures: discs, rectangles, triangles, stripes and more over textured grounds. Each sample is
 *
 * - the picture, float32 [3, size, size], red, green and blue in 0 … 1;
 * - the class of its main figure, int32 [], 0 … classes − 1;
 * - what is seen at each pixel, int32 [size, size]: 0 for ground, 1 + class for a figure.
 *
 * A sample is drawn when it is asked for, and depends on seed, index, size and classes only; it is the same bit for bit on
 * every machine.
 *
 * @param count how many samples
 * @example
 * ```ts
 * import { SHAPE_NAMES, syntheticShapes } from 'deconv/nn';
 * const train = syntheticShapes(1000, { size: 32, seed: 1 });
 * const [picture, label, mask] = await train.get(0, Math.random);
 * console.log(picture.shape, mask.shape); // [ 3, 32, 32 ] [ 32, 32 ]
 * console.log(SHAPE_NAMES.slice(0, 4), label.item() < 4); // [ 'disc', 'rectangle', 'triangle', 'stripes' ] true
 * ```
 */
export function syntheticShapes(count: number, options: SyntheticShapesOptions = {}): Dataset {
  const op = 'syntheticShapes';
  const length = readCount(op, 'count', count);
  checkOptions(op, options, ['size', 'seed', 'classes']);
  const size = readCount(op, 'size', options.size ?? 64, FEWEST_PIXELS);
  const seed = readCount(op, 'seed', options.seed ?? 0, Number.NEGATIVE_INFINITY);
  const classes = readCount(op, 'classes', options.classes ?? 4, 2);
  if (classes > SHAPE_NAMES.length) {
    refuse(
      op,
      'classes',
      `classes must be at most ${SHAPE_NAMES.length}, got ${classes}`,
      `they are ${SHAPE_NAMES.join(', ')}`,
    );
  }
  return {
    length,
    get(index) {
      checkIndex(op, index, length);
      return draw(streamOf(seed, index), size, classes);
    },
  };
}
