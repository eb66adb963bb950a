/**
 * show: pictures as text, side by side, so that a recipe can be watched. In a terminal with colours one character is two
 * pixels, one above the other; elsewhere brightness becomes a letter. Pictures are (N, C, H, W) with values in 0 … 1, C
 * 1 or 3; classes are whole numbers (N, H, W).
 */

/** @typedef {import('deconv').Tensor} Tensor */

const RAMP = ' .:-=+*#%@';
/** @type {readonly (readonly [number, number, number])[]} */
const PALETTE = [[40, 40, 48], [240, 96, 72], [88, 184, 248], [248, 208, 72], [120, 216, 120]]; // biome-ignore format: colours
const inColour = () => process.stdout.isTTY === true && process.stdout.getColorDepth() > 4;

/** @typedef {(picture: number, y: number, x: number) => readonly [number, number, number]} Pixel */

/** @param {string} title @param {number} pictures @param {number} height @param {number} width @param {Pixel} pixel */
function print(title, pictures, height, width, pixel) {
  const colour = inColour();
  /** @param {number} i @param {number} y @param {number} x */
  const cell = (i, y, x) => {
    const [above, below] = [pixel(i, y, x), pixel(i, Math.min(y + 1, height - 1), x)];
    if (colour) return `\x1b[38;2;${above.join(';')};48;2;${below.join(';')}m▀`;
    const light =
      (0.3 * (above[0] + below[0]) + 0.59 * (above[1] + below[1]) + 0.11 * (above[2] + below[2])) / 2;
    return RAMP[Math.min(RAMP.length - 1, Math.floor((light / 256) * RAMP.length))];
  };
  const lines = Array.from({ length: Math.ceil(height / 2) }, (_, row) =>
    Array.from({ length: pictures }, (_, i) => {
      const cells = Array.from({ length: width }, (_, x) => cell(i, 2 * row, x)).join('');
      return colour ? `${cells}\x1b[0m` : cells;
    }).join('  '),
  );
  console.log(`${title}\n${lines.join('\n')}`);
}

/**
 * Prints pictures in a row.
 *
 * @param {string} title
 * @param {Tensor} pictures (N, 1 or 3, H, W), 0 … 1
 * @param {number} [most] how many of them
 */
export function showPictures(title, pictures, most = 4) {
  const [count, channels, height, width] = pictures.shape;
  const { data } = pictures;
  print(title, Math.min(count, most), height, width, (i, y, x) => {
    const at = (/** @type {number} */ c) => ((i * channels + (c % channels)) * height + y) * width + x;
    const byte = (/** @type {number} */ c) => Math.round(255 * Math.min(1, Math.max(0, Number(data[at(c)]))));
    return [byte(0), byte(1), byte(2)];
  });
}

/**
 * Prints maps of classes in a row, each class in a colour of its own.
 *
 * @param {string} title
 * @param {Tensor} classes (N, H, W)
 * @param {number} [most] how many of them
 */
export function showClasses(title, classes, most = 4) {
  const [count, height, width] = classes.shape;
  const { data } = classes;
  print(
    title,
    Math.min(count, most),
    height,
    width,
    (i, y, x) => PALETTE[Number(data[(i * height + y) * width + x]) % 5],
  );
}
