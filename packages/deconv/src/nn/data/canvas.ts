/**
 * canvas: a small picture to paint on: textured grounds, lit figures with soft shadows, and a mask of which figure each
 * pixel shows. Colours are three numbers in [0, 1]; places are fractions of the side, from the upper left corner.
 */
import { drawUniform, type RandomStream } from '../draw.js';
import type { Figure } from './figures.js';
import { integer } from './random.js';

/** Red, green and blue. */
export type Colour = readonly [number, number, number];

/** A figure put somewhere. */
export interface Placed {
  readonly figure: Figure;
  /** What the mask says where it is seen. */
  readonly mark: number;
  readonly centre: readonly [x: number, y: number];
  readonly radius: number;
  /** How much shorter it is in one direction: 1 not at all. */
  readonly stretch: number;
  /** Cosine and sine of the angle that it is turned by. */
  readonly turn: readonly [cos: number, sin: number];
  readonly colour: Colour;
  /** How strongly it is lit from one side, and how strongly it is textured. */
  readonly shade: number;
  readonly roughness: number;
}

/** Cosine and sine of a random angle: a random point of the disc, pushed to its edge. No function of an angle is needed. */
export function direction(random: RandomStream): [cos: number, sin: number] {
  for (;;) {
    const x = drawUniform(random, -1, 1);
    const y = drawUniform(random, -1, 1);
    const square = x * x + y * y;
    if (square > 1e-4 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}

/** Hue 0 … 1 around the circle, saturation, value → red, green, blue: v − v·s·clamp(min(k, 4 − k), 0, 1), k = n + 6h mod 6. */
export function colourOf(hue: number, saturation: number, value: number): Colour {
  const channel = (n: number) => {
    const k = (n + 6 * hue) % 6;
    return value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Smooth noise in 0 … 1: random values on a lattice of `cells` by `cells`, with 3t² − 2t³ between them. */
export function noise(random: RandomStream, size: number, cells: number): Float64Array {
  const side = cells + 2;
  const lattice = Float64Array.from({ length: side * side }, random);
  const cell = new Int32Array(size);
  const weight = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const place = ((i + 0.5) * cells) / size;
    cell[i] = Math.floor(place);
    const t = place - cell[i];
    weight[i] = t * t * (3 - 2 * t);
  }
  const out = new Float64Array(size * size);
  for (let y = 0, at = 0; y < size; y++) {
    const row = cell[y] * side;
    for (let x = 0; x < size; x++, at++) {
      const corner = row + cell[x];
      const upper = lattice[corner] + weight[x] * (lattice[corner + 1] - lattice[corner]);
      const below = corner + side;
      const lower = lattice[below] + weight[x] * (lattice[below + 1] - lattice[below]);
      out[at] = upper + weight[y] * (lower - upper);
    }
  }
  return out;
}

/** A square picture under way. */
export class Canvas {
  readonly size: number;
  /** Red, green and blue, one plane after the other, in 0 … 1 once {@link finish} was called. */
  readonly pixels: Float32Array;
  /** The mark of the figure seen at each pixel; 0 for ground. */
  readonly mask: Int32Array;
  /** Noise that roughens figures. */
  readonly #texture: Float64Array;

  constructor(size: number, texture: Float64Array) {
    this.size = size;
    this.pixels = new Float32Array(3 * size * size);
    this.mask = new Int32Array(size * size);
    this.#texture = texture;
  }

  /** Fills everything: from one colour to the other by a field of 0 … 1. */
  ground(field: Float64Array, from: Colour, to: Colour): void {
    for (let channel = 0; channel < 3; channel++) {
      const start = channel * field.length;
      const span = to[channel] - from[channel];
      for (let i = 0; i < field.length; i++) this.pixels[start + i] = from[channel] + span * field[i];
    }
  }

  /** Calls `draw` with the pixels near a figure: their index, and their place as the figure sees it. */
  #around(
    { centre, radius, stretch, turn }: Placed,
    [shiftX, shiftY]: readonly number[],
    reach: number,
    draw: (at: number, u: number, v: number) => void,
  ): void {
    const { size } = this;
    const [cx, cy] = [centre[0] + shiftX, centre[1] + shiftY];
    const [cos, sin] = [turn[0] / radius, turn[1] / radius];
    const first = (middle: number) => Math.max(0, Math.floor((middle - reach * radius) * size));
    const last = (middle: number) => Math.min(size - 1, Math.ceil((middle + reach * radius) * size));
    const [left, right] = [first(cx), last(cx)];
    for (let y = first(cy); y <= last(cy); y++) {
      const dy = (y + 0.5) / size - cy;
      for (let x = left; x <= right; x++) {
        const dx = (x + 0.5) / size - cx;
        draw(y * size + x, dx * cos + dy * sin, (dy * cos - dx * sin) / stretch);
      }
    }
  }

  /** Darkens what a figure keeps the light from, softly. */
  shadow(placed: Placed, shift: readonly number[], strength: number): void {
    const { figure, stretch } = placed;
    const plane = this.mask.length;
    this.#around(placed, shift, 1.6, (at, u, v) => {
      const cover = strength * Math.min(1, Math.max(0, 0.5 - 2 * stretch * figure(u, v)));
      for (let i = at; i < this.pixels.length; i += plane) this.pixels[i] *= 1 - cover;
    });
  }

  /** Paints a figure, its edge a pixel wide, lit from `light`. */
  paint(placed: Placed, light: readonly number[]): void {
    const { figure, mark, radius, stretch, turn, colour, shade, roughness } = placed;
    const plane = this.mask.length;
    // The light as the figure sees it, and distances in pixels.
    const lightU = light[0] * turn[0] + light[1] * turn[1];
    const lightV = light[1] * turn[0] - light[0] * turn[1];
    const scale = radius * stretch * this.size;
    this.#around(placed, [0, 0], 1.3, (at, u, v) => {
      const distance = scale * figure(u, v);
      if (distance >= 0.5) return;
      const cover = Math.min(1, 0.5 - distance);
      const lit = 1 + shade * (u * lightU + v * stretch * lightV) + roughness * (this.#texture[at] - 0.5);
      for (let channel = 0, i = at; channel < 3; channel++, i += plane) {
        this.pixels[i] += cover * (colour[channel] * lit - this.pixels[i]);
      }
      if (distance < 0) this.mask[at] = mark;
    });
  }

  /** Adds grain, and brings every value into 0 … 1. */
  finish(random: RandomStream, grain: number): void {
    const plane = this.mask.length;
    for (let at = 0; at < plane; at++) {
      const added = grain * (random() - 0.5);
      for (let i = at; i < this.pixels.length; i += plane) {
        this.pixels[i] = Math.min(1, Math.max(0, this.pixels[i] + added));
      }
    }
  }
}

/** A textured ground as a field of 0 … 1: clouds, and on some grounds bands or grain over them. */
export function texture(random: RandomStream, size: number, clouds: Float64Array): Float64Array {
  const field = clouds.slice();
  const kind = integer(random, 4);
  const [cos, sin] = direction(random);
  const bands = drawUniform(random, 3, 9);
  const phase = random();
  if (kind === 1) {
    for (let y = 0, at = 0; y < size; y++) {
      for (let x = 0; x < size; x++, at++) {
        // A wave of straight flanks, bent by the clouds.
        const along = bands * ((x * cos + y * sin) / size + 0.25 * clouds[at]) + phase;
        const wave = 2 * Math.abs(along - Math.floor(along) - 0.5);
        field[at] = 0.5 * clouds[at] + 0.5 * wave;
      }
    }
  } else if (kind === 2) {
    const grain = noise(random, size, Math.ceil(size / 3));
    for (let i = 0; i < field.length; i++) field[i] = 0.55 * clouds[i] + 0.45 * grain[i];
  }
  return field;
}
