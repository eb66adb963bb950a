/**
 * figures: outlines as signed distances: negative inside, zero on the edge, about the distance to it outside. Each figure
 * lies around the origin within a circle of radius 1.2 or so. Only + − × ÷ √ are used, whose results no machine rounds
 * differently, so that a picture is the same everywhere.
 */

/** Signed distance of (x, y) from an outline. */
export type Figure = (x: number, y: number) => number;

const length = (x: number, y: number): number => Math.sqrt(x * x + y * y);

/** A box with its corners at (±width, ±height). */
const box = (x: number, y: number, width: number, height: number): number =>
  Math.max(Math.abs(x) - width, Math.abs(y) - height);

/** cos 36° and sin 36°: half the angle between the points of a star. */
const COS36 = 0.8090169943749475;
const SIN36 = 0.5877852522924731;

/** Where the notches of the star lie, from its middle. */
const NOTCH = 0.45;

/** Five points. Mirrored into the tenth around the upper one, a star is on one side of the line from point to notch. */
function star(x: number, y: number): number {
  let u = Math.abs(x);
  let v = y;
  for (const side of [1, -1]) {
    const beyond = Math.max(0, side * COS36 * u - SIN36 * v);
    u -= 2 * beyond * side * COS36;
    v += 2 * beyond * SIN36;
  }
  u = Math.abs(u);
  const [alongX, alongY] = [NOTCH * SIN36, NOTCH * COS36 - 1];
  return (alongX * (v - 1) - alongY * u) / length(alongX, alongY);
}

/** The figures by name, in the order of their classes. */
export const FIGURES = {
  disc: (x, y) => length(x, y) - 1,
  rectangle: (x, y) => box(x, y, 0.9, 0.6),
  // The largest of the distances from three sides, each half the radius away from the middle.
  triangle: (x, y) => Math.max(-y, (Math.sqrt(3) * Math.abs(x) + y) / 2) - 0.5,
  // Three bars: the distance from the middle of the nearest.
  stripes: (x, y) => Math.max(box(x, y, 0.78, 0.85), Math.abs(x - 0.6 * Math.round(x / 0.6)) - 0.16),
  ring: (x, y) => Math.abs(length(x, y) - 0.74) - 0.24,
  cross: (x, y) => Math.min(box(x, y, 1, 0.32), box(x, y, 0.32, 1)),
  star,
  crescent: (x, y) => Math.max(length(x, y) - 1, 0.85 - length(x - 0.5, y)),
} as const satisfies Readonly<Record<string, Figure>>;
