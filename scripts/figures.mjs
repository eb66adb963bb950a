/**
 * figures: draws the figures of docs/geometry.md and docs/conventions.md into docs/figures/*.svg. Every number in them
 * is computed by the library, so a figure cannot say what the code does not do.
 *
 *   npm run build && node scripts/figures.mjs
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { convTransposeGeometry, coverageAxes, fromDialect, phasesOfAxis, receptiveField } from 'deconv';

const folder = new URL('../docs/figures/', import.meta.url);
const INK = '#1f2933';
const MUTED = '#6b7785';
const LINE = '#c5ced8';
const PAPER = '#ffffff';
/** One colour per input or per phase: fill and stroke, told apart by lightness too. */
const HUES = [
  ['#cfe0f5', '#2f62a8'],
  ['#ffe0bd', '#b8651b'],
  ['#cdebd8', '#2c7d54'],
  ['#e4d7f2', '#7446a3'],
];
const CELL = 44;

/** Text for XML. @param {unknown} value */
const plain = (value) => String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** @param {number} x @param {number} y @param {unknown} value @param {Record<string, unknown>} [more] */
function text(x, y, value, more = {}) {
  const all = {
    x,
    y,
    'text-anchor': 'middle',
    'dominant-baseline': 'central',
    fill: INK,
    'font-size': 15,
    ...more,
  };
  return `<text ${attributes(all)}>${plain(value)}</text>`;
}

/** @param {Record<string, unknown>} all */
const attributes = (all) =>
  Object.entries(all)
    .map(([name, value]) => `${name}="${value}"`)
    .join(' ');

/** A square with a number in it. @param {number} x @param {number} y @param {unknown} label @param {string[]} [hue] @param {Record<string, unknown>} [more] */
function cell(x, y, label, [fill, stroke] = ['#f3f5f7', LINE], more = {}) {
  const box = { x, y, width: CELL, height: CELL, rx: 4, fill, stroke, 'stroke-width': 1.5, ...more };
  return `<rect ${attributes(box)}/>${text(x + CELL / 2, y + CELL / 2, label)}`;
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {Record<string, unknown>} [more] */
const line = (x1, y1, x2, y2, more = {}) =>
  `<line ${attributes({ x1, y1, x2, y2, stroke: MUTED, 'stroke-width': 1.5, ...more })}/>`;

/** A remark at the left of a row. @param {number} y @param {string} words */
const left = (y, words) => text(16, y, words, { 'text-anchor': 'start', fill: MUTED, 'font-size': 14 });

/** @param {string} name @param {string} title @param {number} width @param {number} height @param {string[]} body */
function save(name, title, width, height, body) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, 'DejaVu Sans', sans-serif"><title>${plain(title)}</title>`;
  const paper = `<rect width="${width}" height="${height}" rx="8" fill="${PAPER}"/>`;
  writeFileSync(new URL(`${name}.svg`, folder), `${head}\n${paper}\n${body.join('\n')}\n</svg>\n`);
  console.log(`docs/figures/${name}.svg`);
}

/** The stamps of a transposed convolution: every input lays the kernel down, stride apart; overlaps add up. */
function stamps() {
  const [x, w, s] = [[2, 1, 3], [1, 2, 3], 2];
  const g = convTransposeGeometry([1, 1, x.length], [1, 1, w.length], { stride: s });
  const out = g.xSize[0];
  const [x0, gap] = [150, CELL + 2];
  const body = [left(46, 'input x'), left(112 + CELL / 2, 'its stamps x[i]·w'), left(330, 'output y')];
  const y = new Array(out).fill(0);
  const rowOf = (i) => 100 + i * (CELL + 14);
  for (const i of x.keys()) {
    const middle = x0 + i * s * gap + CELL / 2;
    body.push(line(middle, 70, middle, rowOf(i), { 'stroke-dasharray': '3 3', stroke: HUES[i][1] }));
  }
  for (const [i, value] of x.entries()) {
    const row = rowOf(i);
    body.push(cell(x0 + i * s * gap, 24, value, HUES[i]));
    for (const [u, tap] of w.entries()) {
      y[i * s + u] += value * tap;
      body.push(cell(x0 + (i * s + u) * gap, row, `${value}·${tap}`, HUES[i]));
    }
  }
  for (let o = 0; o < out; o++) {
    body.push(cell(x0 + o * gap, 308, y[o], ['#ffffff', INK]));
    body.push(text(x0 + o * gap + CELL / 2, 308 + CELL + 14, o, { fill: MUTED, 'font-size': 12 }));
  }
  body.push(
    text(x0 + 7.6 * gap, 46, 'w = 1 2 3, stride 2', { 'text-anchor': 'start', fill: MUTED, 'font-size': 14 }),
  );
  save(
    'stamps',
    'Three inputs stamp a kernel of three taps at stride 2; the overlaps add up to seven outputs',
    640,
    384,
    body,
  );
}

/** What padding and outputPadding leave of the full result, and how 'same' of two frameworks differs by one row. */
function crops() {
  const n = 3;
  const kernel = 3;
  const full = convTransposeGeometry([1, 1, n], [1, 1, kernel], { stride: 2 }).xSize[0];
  const rows = [
    [
      "Keras, padding='same'",
      fromDialect('keras', 'convTranspose', { rank: 1, kernel_size: kernel, strides: 2, padding: 'same' })
        .options,
    ],
    ['PyTorch, padding=1, output_padding=1', { stride: 2, padding: 1, outputPadding: 1 }],
  ];
  const [x0, gap] = [310, CELL + 2];
  const body = [left(52, 'uncropped')];
  const values = Array.from({ length: full }, (_, o) => String.fromCharCode(97 + o));
  for (const [o, label] of values.entries()) body.push(cell(x0 + o * gap, 30, label));
  for (const [index, [name, options]] of rows.entries()) {
    const y = 108 + index * 72;
    const g = convTransposeGeometry([1, 1, n], [1, 1, kernel], options);
    body.push(left(y + CELL / 2, name));
    for (let o = 0; o < full; o++) {
      const kept = o >= g.padBefore[0] && o < g.padBefore[0] + g.xSize[0];
      if (kept) body.push(cell(x0 + o * gap, y, values[o], HUES[index]));
      else {
        body.push(cell(x0 + o * gap, y, '', ['#ffffff', LINE], { 'stroke-dasharray': '4 3' }));
        body.push(line(x0 + o * gap + 12, y + 12, x0 + (o + 1) * gap - 14, y + CELL - 12, { stroke: MUTED }));
        body.push(line(x0 + o * gap + 12, y + CELL - 12, x0 + (o + 1) * gap - 14, y + 12, { stroke: MUTED }));
      }
    }
  }
  body.push(
    text(16, 250, 'Six rows each, but not the same six: every value one place apart.', {
      'text-anchor': 'start',
      fill: MUTED,
      'font-size': 14,
    }),
  );
  save(
    'crops',
    'The same six-row output size, cropped from a to f by Keras and from b to g by PyTorch',
    660,
    276,
    body,
  );
}

/** Coverage along one axis: uneven where the stride does not divide the kernel. */
function coverage() {
  const shown = 40;
  const body = [];
  const cases = [
    [11, 'kernelSize 11, stride 4: 3 3 3 2 inside, a checkerboard'],
    [8, 'kernelSize 8, stride 4: 2 2 2 2 inside, even'],
  ];
  for (const [index, [k, words]] of cases.entries()) {
    const counts = coverageAxes(convTransposeGeometry([1, 1, 20], [1, 1, k], { stride: 4 }))[0];
    const base = 140 + index * 160;
    body.push(text(24, base - 98, words, { 'text-anchor': 'start', 'font-size': 15 }));
    for (let o = 0; o < shown; o++) {
      const high = counts[o] * 24;
      const [fill, stroke] = HUES[(counts[o] + 2) % 3];
      body.push(
        `<rect ${attributes({ x: 24 + o * 15, y: base - high, width: 13, height: high, fill, stroke, rx: 2 })}/>`,
      );
      body.push(text(30.5 + o * 15, base + 12, counts[o], { 'font-size': 10, fill: MUTED }));
    }
    body.push(line(20, base, 24 + shown * 15, base));
  }
  save(
    'coverage',
    'How many taps reach each output: uneven for kernel 11 at stride 4, even for kernel 8',
    648,
    330,
    body,
  );
}

/** Which taps make which outputs: the phases. */
function phasesFigure() {
  const [n, k, s] = [4, 3, 2];
  const g = convTransposeGeometry([1, 1, n], [1, 1, k], { stride: s, padding: 1 });
  const out = g.xSize[0];
  const list = phasesOfAxis(n, k, s, 1, 1, out);
  const [x0, gap] = [150, 62];
  const body = [left(46, 'input x'), left(226, 'output y')];
  const middle = (o) => x0 + o * gap + CELL / 2;
  for (let i = 0; i < n; i++) body.push(cell(x0 + i * s * gap, 24, `x${i}`));
  for (const [index, phase] of list.entries()) {
    for (let m = 0; m < phase.count; m++) {
      const o = phase.first + m * s;
      for (const [t, u] of phase.taps.entries()) {
        const i = m + phase.offsets[t];
        if (i < 0 || i >= n) continue;
        const [a, b] = [x0 + i * s * gap + CELL / 2, middle(o)];
        body.push(line(a, 24 + CELL + 2, b, 202, { stroke: HUES[index][1] }));
        body.push(
          `<rect ${attributes({ x: (a + b) / 2 - 13, y: 124, width: 26, height: 20, rx: 4, fill: PAPER })}/>`,
        );
        body.push(text((a + b) / 2, 134, `w${u}`, { 'font-size': 13, fill: HUES[index][1] }));
      }
      body.push(cell(x0 + o * gap, 204, `y${o}`, HUES[index]));
    }
  }
  const tell = (phase) =>
    `outputs ${phase.first}, ${phase.first + s}, …: ${phase.taps.map((u) => `w${u}`).join(' and ')}`;
  body.push(
    text(x0, 278, `${tell(list[0])}   ·   ${tell(list[1])}`, {
      'text-anchor': 'start',
      fill: MUTED,
      'font-size': 14,
    }),
  );
  save(
    'phases',
    'kernelSize 3, stride 2, padding 1: even outputs use the middle tap, odd ones the outer two',
    620,
    300,
    body,
  );
}

/** The field of one output through three layers. */
function field() {
  const layers = [
    { type: 'conv', kernelSize: 3, stride: 2, padding: 1, name: 'conv, kernel 3, stride 2, padding 1' },
    { type: 'conv', kernelSize: 3, padding: 1, name: 'conv, kernel 3, padding 1' },
  ];
  const n = 11;
  const { steps } = receptiveField(layers, { inputSize: [n] });
  const output = 2;
  const whole = steps[1].axes[0];
  const seen = (axis, o) => [axis.start + o * axis.jump.numerator, axis.end + o * axis.jump.numerator];
  // What the output sees of the layer below it, and of the input.
  const below = receptiveField(layers.slice(1), { inputSize: steps[0].outputSize }).axes[0];
  const spans = [seen(whole, output), seen(below, output), [output, output]];
  const sizes = [n, steps[0].outputSize[0], steps[1].outputSize[0]];
  const steplength = [1, 2, 2];
  const [x0, gap] = [150, CELL + 2];
  const body = [];
  const names = ['input', 'after layer 0', 'after layer 1'];
  const rowY = [262, 146, 30];
  const at = (level, i) => x0 + i * steplength[level] * gap;
  for (const level of [0, 1]) {
    for (const side of [0, 1]) {
      const from = at(level + 1, spans[level + 1][side]) + side * CELL;
      const to = at(level, spans[level][side]) + side * CELL;
      body.push(
        line(from, rowY[level + 1] + CELL, to, rowY[level], {
          stroke: HUES[0][1],
          'stroke-dasharray': '4 3',
        }),
      );
    }
  }
  for (const level of [0, 1, 2]) {
    body.push(left(rowY[level] + CELL / 2, names[level]));
    for (let i = 0; i < sizes[level]; i++) {
      const inside = i >= spans[level][0] && i <= spans[level][1];
      body.push(cell(at(level, i), rowY[level], i, inside ? HUES[0] : undefined));
    }
  }
  const words = `output ${output} sees inputs ${spans[0][0]} to ${spans[0][1]}: size ${whole.size}; the next one sees ${whole.jump.numerator} further`;
  body.push(text(x0, 334, words, { 'text-anchor': 'start', fill: MUTED, 'font-size': 14 }));
  save('receptive-field', `One output of two layers sees ${whole.size} inputs`, 690, 358, body);
}

mkdirSync(folder, { recursive: true });
stamps();
crops();
coverage();
phasesFigure();
field();
