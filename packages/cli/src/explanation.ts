/**
 * explanation: the words of `deconv explain`: a layer's size with the numbers filled in, which tap reaches which place,
 * how often each is reached, the phases of a stride, the unrolled matrix when it is small, and the same layer in other
 * frameworks' words. Reads the geometry that the library has checked; computes nothing but words.
 *
 * The formulas are those of V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
 * arXiv:1603.07285, and so is the matrix.
 */
import { type ConvOp, dialectNames, phases, type Tensor, tensor, toDialect, unrolledMatrix } from 'deconv';
import { type AxisGeometry, axesOf, drawTable } from './axis-table.js';
import { inputOf, type Layer, outputOf, shortValue } from './layers.js';
import { hang, type Paint, paintFor, plural, sizes, table, terminalWidth, wrap } from './terminal.js';

/** The largest matrix in --json. */
const MATRIX_CELLS = 4096;
/** How many phases are listed one by one. */
const LISTED_PHASES = 16;

/** The options that describe a layer completely, for translation into other frameworks. */
export function canonicalOf({ op, geometry: g }: Layer) {
  const padding = g.padBefore.map((before, axis) => [before, g.padAfter[axis]]);
  return {
    op,
    options: { stride: g.stride, padding, dilation: g.dilation, groups: g.groups },
    // What the translation reads beside them.
    sizes: { rank: g.rank, kernelSize: g.kernelSize, inputSize: op === 'conv' ? g.xSize : g.ySize },
  };
}

/**
 * The layer in every framework's words. What has one axis is said of two equal ones where a framework knows only
 * pictures: `onTwoAxes`.
 */
export function inDialects(layer: Layer) {
  const { op, options, sizes: known } = canonicalOf(layer);
  const twice = (list: readonly number[]) => [list[0], list[0]];
  return dialectNames.map((name) => {
    const said = toDialect(name, op, { ...options, ...known });
    if (!('reason' in said) || known.rank !== 1) return { name, said, onTwoAxes: false };
    const doubled = toDialect(name, op, {
      stride: twice(options.stride),
      dilation: twice(options.dilation),
      groups: options.groups,
      padding: [options.padding[0], options.padding[0]],
      rank: 2,
      kernelSize: twice(known.kernelSize),
      inputSize: twice(known.inputSize),
    });
    return { name, said: doubled, onTwoAxes: true };
  });
}

/**
 * The matrix W* of the convolution (windows × places) for one channel, with the number of the tap + 1 where there is a
 * weight and 0 where there is none; undefined when it is large.
 */
export function matrixOf({ geometry: g }: Layer): Tensor | undefined {
  const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
  const cells = product(g.xSize) * product(g.ySize);
  if (cells > MATRIX_CELLS || product(g.xSize) > 256) return undefined;
  const taps = Float32Array.from({ length: product(g.kernelSize) }, (_, i) => i + 1);
  const padding = g.padBefore.map((before, axis): [number, number] => [before, g.padAfter[axis]]);
  return unrolledMatrix(tensor(taps, [1, 1, ...g.kernelSize]), [...g.xSize], {
    stride: g.stride,
    dilation: g.dilation,
    padding,
  });
}

/** Rows of a matrix as numbers. */
export function rowsOf(matrix: Tensor): number[][] {
  const [rows, columns] = matrix.shape;
  return Array.from({ length: rows }, (_, i) =>
    Array.from(matrix.data.subarray(i * columns, (i + 1) * columns), Number),
  );
}

const title = (op: ConvOp) => (op === 'conv' ? 'Convolution' : 'Transposed convolution');

/** One line: what the layer makes of its input's size. */
export function headline(layer: Layer, paint: Paint): string {
  return paint.bold(`${title(layer.op)}   ${sizes(inputOf(layer))} → ${sizes(outputOf(layer))}`);
}

/** The whole explanation, line by line. */
export function chapters(layer: Layer): string[] {
  const { op, geometry: g, notes } = layer;
  const paint = paintFor(process.stdout);
  const axes = axesOf(g, layer.outputPadding);
  // Axes that are alike are explained once.
  const kinds = axes.filter((axis, i) => axes.findIndex((other) => sameAxis(other, axis)) === i);
  const nameOf = (axis: AxisGeometry) =>
    axes.length === 1 ? '' : kinds.length === 1 ? ', along either axis' : `, axis ${axes.indexOf(axis)}`;
  const lines = [
    headline(layer, paint),
    describeOptions(layer),
    ...notes.flatMap((note) => hang(`${paint.yellow('note')}  `, 6, note)),
  ];
  let number = 0;
  const chapter = (name: string, body: string[]) => {
    number++;
    lines.push(
      '',
      `${paint.cyan(`${number}`)}  ${paint.bold(name)}`,
      ...body.map((line) => (line === '' ? '' : `   ${line}`)),
    );
  };
  for (const axis of kinds) chapter(`Size${nameOf(axis)}`, sizeChapter(op, axis, paint));
  for (const axis of kinds) chapter(`Which tap reaches what${nameOf(axis)}`, tapChapter(op, axis, paint));
  if (axes.length === 2) chapter('Coverage of the plane', planeChapter(axes, paint));
  if (op === 'convTranspose') {
    for (const axis of kinds)
      chapter(`Phases${nameOf(axis)}`, phaseChapter(layer, axes.indexOf(axis), paint));
  }
  chapter('As a matrix', matrixChapter(layer, paint));
  chapter('In other words', dialectChapter(layer, paint));
  return lines;
}

function sameAxis(a: AxisGeometry, b: AxisGeometry): boolean {
  const key = ({ coverage: _, ...numbers }: AxisGeometry) => Object.values(numbers).join();
  return key(a) === key(b);
}

function describeOptions({ geometry: g, outputPadding }: Layer): string {
  const each = (list: readonly number[]) => (list.every((v) => v === list[0]) ? `${list[0]}` : sizes(list));
  const pads = g.padBefore.map((before, axis) => {
    const after = g.padAfter[axis] + outputPadding[axis];
    return before === after ? `${before}` : `${before} before, ${after} after`;
  });
  const padding = pads.every((pad) => pad === pads[0]) ? pads[0] : pads.join(' × ');
  const parts = [
    `kernelSize ${each(g.kernelSize)}`,
    `stride ${each(g.stride)}`,
    `padding ${padding}`,
    `dilation ${each(g.dilation)}`,
  ];
  if (outputPadding.some((extra) => extra > 0)) parts.push(`outputPadding ${each(outputPadding)}`);
  if (g.groups > 1) parts.push(`groups ${g.groups}`);
  return parts.join('   ');
}

/** A number as a term: (−1) in brackets. */
const term = (n: number) => (n < 0 ? `(−${-n})` : `${n}`);

/** The formula with its numbers, the same worked out further, and the result. */
export function arithmetic(op: ConvOp, axis: AxisGeometry): string[] {
  const { windows, places, k, s, d, before, after, outputPadding } = axis;
  if (op === 'conv') {
    return [
      `floor((${places} + ${term(before)} + ${term(after)} − ${d}·(${k} − 1) − 1) / ${s}) + 1`,
      `= floor(${places + before + after - d * (k - 1) - 1} / ${s}) + 1`,
      `= ${windows}`,
    ];
  }
  return [
    `(${windows} − 1)·${s} − ${term(before)} − ${term(after)} + ${d}·(${k} − 1) + 1 + ${outputPadding}`,
    `= ${(windows - 1) * s} − ${term(before + after)} + ${d * (k - 1) + 1} + ${outputPadding}`,
    `= ${places}`,
  ];
}

function sizeChapter(op: ConvOp, axis: AxisGeometry, paint: Paint): string[] {
  const { windows, places, k, s, d, before, after, outputPadding } = axis;
  const extent = d * (k - 1) + 1;
  const [numbers, shorter, result] = arithmetic(op, axis);
  const spread =
    d === 1
      ? `a kernel of ${k} spans ${extent}`
      : `${k} taps, ${d} apart, span ${d}·(${k} − 1) + 1 = ${extent}`;
  const rows: string[][] = [];
  if (op === 'conv') {
    const room = places + before + after - extent;
    const left = room % s;
    rows.push([
      `${places + before + after}`,
      `rows to read: ${places} of the input${before + after === 0 ? '' : `, ${term(before)} of padding before, ${term(after)} after`}`,
    ]);
    rows.push([`− ${extent}`, `${spread}: so much room the first window takes, and ${room} is left`]);
    rows.push([
      `/ ${s}`,
      `each further window starts ${s} later: ${Math.floor(room / s)} fit${Math.floor(room / s) === 1 ? 's' : ''}${left > 0 ? `, and the last ${plural(left, 'row')} are read by none` : ', exactly'}`,
    ]);
    rows.push(['+ 1', 'the first window']);
    return [
      `output = floor((input + before + after − dilation·(kernelSize − 1) − 1) / stride) + 1`,
      `       = ${numbers}`,
      `       ${shorter} ${paint.bold(result)}`,
      '',
      ...table(rows, 'rl', '').split('\n'),
    ];
  }
  rows.push([
    `${(windows - 1) * s}`,
    `${plural(windows, 'input')}, each written ${s} after the one before: the last starts at (${windows} − 1)·${s}`,
  ]);
  rows.push([`+ ${extent}`, `${spread}: so far the last input reaches`]);
  if (before !== 0)
    rows.push([
      `− ${term(before)}`,
      before > 0
        ? `padding crops the first ${before === 1 ? 'row' : plural(before, 'row')} of the output`
        : `negative padding adds ${plural(-before, 'row')} before`,
    ]);
  if (after !== 0)
    rows.push([
      `− ${term(after)}`,
      after > 0
        ? `padding crops the last ${after === 1 ? 'row' : plural(after, 'row')} of the output`
        : `negative padding adds ${plural(-after, 'row')} after`,
    ]);
  if (before === 0 && after === 0)
    rows.push(['− 0', 'no padding: nothing is cropped (padding makes a transposed convolution smaller)']);
  if (outputPadding > 0)
    rows.push([
      `+ ${outputPadding}`,
      `outputPadding crops ${plural(outputPadding, 'row')} less at the end, past the last tap if need be`,
    ]);
  return [
    `output = (input − 1)·stride − before − after + dilation·(kernelSize − 1) + 1 + outputPadding`,
    `       = ${numbers}`,
    `       ${shorter} ${paint.bold(result)}`,
    '',
    ...table(rows, 'rl', '').split('\n'),
  ];
}

function tapChapter(op: ConvOp, axis: AxisGeometry, paint: Paint): string[] {
  const words =
    op === 'conv'
      ? { rows: 'output', columns: 'input', outside: 'zeros of the padding' }
      : { rows: 'input', columns: 'output', outside: 'computed nowhere, cropped by the padding' };
  const width = Math.min(terminalWidth(), 120) - 3;
  const drawn = drawTable(axis, words, paint, width);
  const least = Math.min(...axis.coverage);
  const most = Math.max(...axis.coverage);
  const text: string[] =
    op === 'conv'
      ? [
          'Each row is one output: the sum of the inputs above its taps, each times its weight.',
          `Coverage counts how often an input is read${least === 0 ? '; 0 is never' : ''}.`,
        ]
      : [
          'Each row is one input: it is written once per tap, times that weight; what meets in a column is added.',
          `Coverage counts how many products meet in an output${least === 0 ? '; where it is 0 nothing is written and the output is 0' : ''}.`,
          evenness(axis, least, most),
        ];
  return [...drawn, '', ...wrap(text.join(' '), '', Math.min(terminalWidth(), 100) - 3).split('\n')];
}

/** Why coverage is or is not even. */
function evenness({ k, s, d }: AxisGeometry, least: number, most: number): string {
  if (s === 1)
    return least === most ? '' : 'Stride 1: inside all are equal, towards the borders fewer inputs reach.';
  if (d === 1 && k % s === 0) {
    return `${k} is a multiple of the stride ${s}: away from the borders every output sums ${k / s} product${k === s ? '' : 's'}.`;
  }
  if (d === 1) {
    return `${k} is not a multiple of the stride ${s}: neighbours sum ${Math.floor(k / s)} and ${Math.ceil(k / s)} products by turns, which shows as a checkerboard; overlap 'average' divides by the coverage.`;
  }
  return '';
}

/** The product of the axes' coverages as a grid of numbers. */
function planeChapter([down, across]: AxisGeometry[], paint: Paint): string[] {
  const cell = `${Math.max(...down.coverage) * Math.max(...across.coverage)}`.length + 1;
  const columns = Math.min(across.places, Math.floor((Math.min(terminalWidth(), 100) - 3) / cell));
  const rows = Math.min(down.places, 12);
  const lines = Array.from({ length: rows }, (_, y) =>
    Array.from({ length: columns }, (_, x) => `${down.coverage[y] * across.coverage[x]}`.padStart(cell)).join(
      '',
    ),
  ).map((line) => paint.cyan(line));
  if (rows < down.places || columns < across.places) {
    lines.push(
      paint.dim(
        `(${rows} of ${plural(down.places, 'row')}, ${columns} of ${plural(across.places, 'column')})`,
      ),
    );
  }
  return [
    ...lines,
    '',
    'The axes work alone: the coverage of a place is the product of its row’s and its column’s.',
  ];
}

function phaseChapter({ geometry: g }: Layer, axis: number, paint: Paint): string[] {
  const s = g.stride[axis];
  if (s === 1) return ['Stride 1 has one phase: every output uses all taps.'];
  const own = axisPhases(g, axis);
  const rows = own.slice(0, LISTED_PHASES).map((phase) => {
    const place = phase.residue === 0 ? `${s}m` : `${s}m + ${phase.residue}`;
    const sum = phase.taps.map((u, i) => {
      const offset = phase.offsets[i];
      const from = offset === 0 ? 'm' : offset > 0 ? `m + ${offset}` : `m − ${-offset}`;
      return `input[${from}]·w${u}`;
    });
    return [`output[${place}]`, `= ${sum.length === 0 ? '0, for no tap reaches it' : sum.join(' + ')}`];
  });
  const lines = table(rows, 'll', '').split('\n');
  if (own.length > LISTED_PHASES) lines.push(paint.dim(`(${LISTED_PHASES} of ${own.length} phases)`));
  return [
    ...wrap(
      `Tap u reaches output q only if q + padding − u·dilation is a multiple of the stride ${s}. So the outputs fall into ${s} phases, each a small dense convolution with its own part of the kernel; no zero is ever multiplied. Inputs that do not exist count as 0.`,
      '',
      Math.min(terminalWidth(), 100) - 3,
    ).split('\n'),
    '',
    ...lines,
  ];
}

/** The phases of one axis, out of those of all. */
function axisPhases(g: Layer['geometry'], axis: number) {
  return phases(g)
    .filter((phase) => phase.residue.every((r, other) => other === axis || r === 0))
    .map((phase) => phase.axes[axis]);
}

function matrixChapter(layer: Layer, paint: Paint): string[] {
  const { op, geometry: g } = layer;
  const [windows, places] = [g.ySize.reduce((a, b) => a * b, 1), g.xSize.reduce((a, b) => a * b, 1)];
  const meaning =
    op === 'conv'
      ? `With images written as columns, the convolution is y = W*·x, W* of ${windows} × ${places}; its transpose W*ᵀ is the transposed convolution that leads back from ${sizes(g.ySize)} to ${sizes(g.xSize)} (the sizes come back, the values do not).`
      : `With images written as columns, the convolution from ${sizes(g.xSize)} to ${sizes(g.ySize)} is y = W*·x, W* of ${windows} × ${places}. This layer multiplies by its transpose: output = W*ᵀ·input. That is all that “transposed” means.`;
  const text = wrap(meaning, '', Math.min(terminalWidth(), 100) - 3).split('\n');
  if (g.rank === 1) return [...text, '', 'W* is the table of chapter 2, with 0 for every dot.'];
  const matrix = matrixOf(layer);
  const letters = (tap: number) => tapName(tap, g.kernelSize);
  const cell = letters(g.kernelSize.reduce((a, b) => a * b, 1) - 1).length + 1;
  if (matrix === undefined || places * cell > Math.max(terminalWidth(), 100) - 3 || windows > 32) {
    return [...text, '', paint.dim('(too large to be written out here; --json has it up to 4096 numbers)')];
  }
  const lines = rowsOf(matrix).map((row) =>
    row
      .map((value) => (value === 0 ? paint.dim('·'.padStart(cell)) : letters(value - 1).padStart(cell)))
      .join(''),
  );
  return [...text, '', ...lines];
}

/** w12 for row 1, column 2 of the kernel. */
function tapName(tap: number, kernelSize: readonly number[]): string {
  const indices: number[] = [];
  for (let axis = kernelSize.length - 1; axis >= 0; axis--) {
    indices.unshift(tap % kernelSize[axis]);
    tap = Math.floor(tap / kernelSize[axis]);
  }
  return `w${indices.join(kernelSize.some((k) => k > 10) ? ',' : '')}`;
}

function dialectChapter(layer: Layer, paint: Paint): string[] {
  const width = Math.min(terminalWidth(), 100) - 3;
  const name = (text: string) => paint.cyan(text.padEnd(10));
  const indent = ' '.repeat(10);
  return inDialects(layer).flatMap(({ name: dialect, said, onTwoAxes }) => {
    if ('reason' in said) return hang(name(dialect), 10, `cannot say it: ${said.reason}`, width, paint.dim);
    const options = Object.entries(said.options).map(([key, value]) => `${key}=${shortValue(value)}`);
    const weight = `${onTwoAxes ? 'on two equal axes; ' : ''}weight ${said.weightLayout}${said.weightFlip ? ', reversed in space' : ''}`;
    return [
      ...hang(name(dialect), 10, `${options.join(', ')}; ${weight}`, width),
      ...said.notes.flatMap((note) => hang(indent, 10, note, width, paint.dim)),
    ];
  });
}
