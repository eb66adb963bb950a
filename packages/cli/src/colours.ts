/**
 * colours: numbers as colours, for data that is not a picture. A diverging scale for signed values (0 is dark, so that
 * silence looks silent on a dark panel) and an ascending one for counts.
 */
type Rgb = readonly [number, number, number];

function ramp(stops: readonly Rgb[], t: number): [number, number, number] {
  const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  const mix = (c: number) => Math.round(stops[i][c] + (stops[i + 1][c] - stops[i][c]) * (at - i));
  return [mix(0), mix(1), mix(2)];
}

const SIGNED: readonly Rgb[] = [
  [190, 228, 255],
  [64, 146, 214],
  [26, 62, 98],
  [24, 27, 33],
  [104, 58, 22],
  [226, 134, 54],
  [255, 232, 196],
];

const COUNTS: readonly Rgb[] = [
  [62, 40, 108],
  [112, 42, 122],
  [168, 54, 104],
  [226, 98, 74],
  [247, 168, 90],
  [252, 238, 180],
];

/**
 * A signed value scaled to 0…255 with 0 in the middle: blue below, dark at 0, orange above. The root of the magnitude
 * is shown, for most of a feature map lies close to 0.
 */
export function signedColour(level: number): [number, number, number] {
  const value = (level - 128) / 127;
  return ramp(SIGNED, (1 + Math.sign(value) * Math.sqrt(Math.abs(value))) / 2);
}

/** A count between the smallest and the largest: dark violet to light yellow. 0, where nothing reaches, is black. */
export function countColour(count: number, most: number): [number, number, number] {
  if (count === 0) return [0, 0, 0];
  return ramp(COUNTS, most <= 1 ? 1 : (count - 1) / (most - 1));
}
