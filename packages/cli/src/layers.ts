/**
 * layers: the words in which a command line names inputs and layers, read into what the library takes.
 *
 *     INPUT   [channels@]size[xsize[xsize]]           3@227x227    55x55    4
 *     LAYER   kind[:name=value[,name=value…]]         conv:out=96,kernel=11,stride=4
 *     value   5   3x5 (one per axis)   0/1 (before/after)   same   [[0,1],[0,1]] (as JSON)
 *
 * With a dialect, names and values are that framework's own and are translated by the library.
 */

import { type Command, Option } from 'commander';
import {
  type ConvGeometry,
  type ConvGeometryOptions,
  type ConvOp,
  type ConvTransposeGeometryOptions,
  convGeometry,
  convTransposeGeometry,
  type DialectName,
  dialectNames,
  dialectOptions,
  fromDialect,
  toDialect,
} from 'deconv';
import { exitCodes, Failure, misuse } from './terminal.js';

/** What goes into the first layer. */
export interface Input {
  /** Undefined when not given. */
  readonly channels: number | undefined;
  readonly size: readonly number[];
}

/** A layer as it was written, its names resolved but nothing checked against an input yet. */
export interface LayerText {
  readonly kind: ConvOp | 'maxPool';
  readonly text: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** A convolution or its transpose, placed on an input. */
export interface Layer {
  readonly op: ConvOp;
  readonly geometry: ConvGeometry;
  /** deconv's options. */
  readonly options: ConvGeometryOptions & ConvTransposeGeometryOptions;
  /** As given, one per axis; 0 where the size was given instead. */
  readonly outputPadding: readonly number[];
  /** What the translation had to say. */
  readonly notes: readonly string[];
}

/** The size of a layer's input, in the direction of the layer. */
export const inputOf = ({ op, geometry }: Layer): readonly number[] =>
  op === 'conv' ? geometry.xSize : geometry.ySize;
/** The size of its output. */
export const outputOf = ({ op, geometry }: Layer): readonly number[] =>
  op === 'conv' ? geometry.ySize : geometry.xSize;

/** The options that `shape` and `explain` share, in the flags' spelling. */
export interface LayerOptions {
  readonly kernel?: string;
  readonly stride?: string;
  readonly padding?: string;
  readonly dilation?: string;
  readonly groups?: string;
  readonly outputPadding?: string;
  readonly out?: string;
  readonly conv?: boolean;
  readonly dialect?: DialectName;
}

/** Adds {@link LayerOptions} to a command. */
export function withLayerOptions(command: Command): Command {
  return command
    .option('-k, --kernel <n>', 'size of the kernel; 3x5 for one per axis')
    .option('-s, --stride <n>', 'distance between windows (default: 1)')
    .option('-p, --padding <n>', 'padding; 0/1 for before/after; same or valid (default: 0)')
    .option('-d, --dilation <n>', 'distance between taps, 1 = dense (default: 1)')
    .option('--output-padding <n>', 'rows that the transposed convolution crops less at the end (default: 0)')
    .option('--groups <n>', 'independent groups of channels (default: 1)')
    .option('--out <n>', 'output channels')
    .option('--conv', 'a convolution; without it, a transposed convolution')
    .addOption(dialectOption());
}

/** `--dialect`, as every command has it. */
export function dialectOption(
  meaning = "options are written in this framework's names and conventions",
): Option {
  return new Option('--dialect <name>', `${meaning}: ${dialectNames.join(', ')}`).argParser((name) => {
    // The library knows the names, and which is nearest to a wrong one.
    dialectOptions(name as DialectName, 'conv');
    return name;
  });
}

/** A value of a framework's option: [2, 2] → [2,2], "same" → 'same'. */
export const shortValue = (value: unknown): string => JSON.stringify(value).replace(/"/g, "'");

/** Text below `--help`: how INPUT and LAYER are written. */
export const layerHelp = `
INPUT is [channels@]size, one size per axis joined by x:  3@227x227  55x55  4
LAYER is kind:name=value,…  with kind conv, convTranspose (or deconv) or maxPool, and names out (o), kernel (k),
stride (s), padding (p), dilation (d), groups (g), outputPadding (op), outputShape.
Values: 5, 3x5 (one per axis), 0/1 (before/after), same, valid, or JSON. With --dialect, the framework's own names.`;

/** Reads INPUT. */
export function parseInput(text: string): Input {
  const match = /^(?:(\d+)@)?(\d+(?:[x×]\d+){0,2})$/i.exec(text);
  const size = match?.[2].split(/[x×]/i).map(Number);
  if (!match || !size || size.some((n) => n < 1) || match[1] === '0') {
    return misuse(
      `cannot read the input '${text}'`,
      'write [channels@]size, for example 3@227x227, 55x55 or 4',
    );
  }
  return { channels: match[1] === undefined ? undefined : Number(match[1]), size };
}

const KINDS: Readonly<Record<string, LayerText['kind']>> = {
  conv: 'conv',
  convtranspose: 'convTranspose',
  deconv: 'convTranspose',
  maxpool: 'maxPool',
  pool: 'maxPool',
};

/** Short names, as they may be written without a dialect. */
const SHORT: Readonly<Record<string, string>> = {
  o: 'out',
  k: 'kernel',
  s: 'stride',
  p: 'padding',
  d: 'dilation',
  g: 'groups',
  op: 'outputPadding',
  kernelSize: 'kernel',
};

/** One value: a number, one per axis, before/after pairs, JSON, true or false, or a word. */
export function parseValue(text: string): unknown {
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return misuse(`'${text}' begins like JSON but is not`);
    }
  }
  if (text === 'true' || text === 'false') return text === 'true';
  const number = /^-?\d+(\.\d+)?$/;
  const pair = /^-?\d+\/-?\d+$/;
  const axes = text.split(/[x×]/i);
  if (axes.every((axis) => number.test(axis) || pair.test(axis))) {
    const read = (axis: string) => (pair.test(axis) ? axis.split('/').map(Number) : Number(axis));
    // One pair alone still means a list of axes: [before, after] for each of them, see pairsForAll.
    return axes.length === 1 && number.test(text) ? Number(text) : axes.map(read);
  }
  return text;
}

/** Reads LAYER. */
export function parseLayer(text: string): LayerText {
  const [, name, rest] = /^([a-z]+)\d*d?(?::(.*))?$/i.exec(text) ?? [];
  const kind =
    name !== undefined && Object.hasOwn(KINDS, name.toLowerCase()) ? KINDS[name.toLowerCase()] : undefined;
  if (kind === undefined) {
    return misuse(
      `cannot read the layer '${text}'`,
      'write kind:name=value,… with kind conv, convTranspose or maxPool, for example conv:kernel=11,stride=4',
    );
  }
  const values: Record<string, unknown> = {};
  // Commas separate, except inside brackets.
  for (const part of rest === undefined || rest === '' ? [] : rest.split(/,(?![^[]*\])/)) {
    const at = part.indexOf('=');
    if (at < 1) return misuse(`cannot read '${part}' of the layer '${text}'`, 'write name=value');
    const key = part.slice(0, at);
    values[Object.hasOwn(SHORT, key) ? SHORT[key] : key] = parseValue(part.slice(at + 1));
  }
  return { kind, text, values };
}

/** The layer that the flags describe, or undefined when they describe none. */
export function layerFromFlags(options: LayerOptions): LayerText | undefined {
  const { kernel, stride, padding, dilation, groups, outputPadding, out, conv } = options;
  const given = { out, kernel, stride, padding, dilation, groups, outputPadding };
  const values = Object.fromEntries(
    Object.entries(given).flatMap(([name, text]) => (text === undefined ? [] : [[name, parseValue(text)]])),
  );
  if (Object.keys(values).length === 0) return undefined;
  const text = Object.entries(given)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    .join(',');
  const kind = conv ? 'conv' : 'convTranspose';
  return { kind, text: `${kind}:${text}`, values };
}

/** The option of a framework that means one of ours: `stride` is `strides` or `window_strides`, `padding` is `pad`. */
function nativeName(name: string, known: readonly string[]): string {
  if (known.includes(name)) return name;
  const plain = (text: string) => text.toLowerCase().replace(/_/g, '').replace(/s$/, '');
  const own = plain(name);
  const alike = known.filter((other) => plain(other) === own);
  const near = known.filter((other) => {
    const theirs = plain(other);
    return theirs.startsWith(own) || theirs.endsWith(own) || (theirs.length >= 3 && own.startsWith(theirs));
  });
  // Only where there is one and only one; else the library refuses the name and says what it knows.
  return alike.length === 1 ? alike[0] : near.length === 1 ? near[0] : name;
}

/** A number for every axis. */
function perAxis(what: string, value: unknown, rank: number): number[] {
  const list = Array.isArray(value) ? value : new Array(rank).fill(value);
  if (list.length !== rank || list.some((entry) => !Number.isInteger(entry) || entry < 1)) {
    return misuse(
      `${what} must be a whole number ≥ 1, or one for each of the ${rank} axes, got ${JSON.stringify(value)}`,
    );
  }
  return list as number[];
}

/** `0/1` alone stands for every axis: [[0, 1]] → [[0, 1], [0, 1]]. */
function pairsForAll(value: unknown, rank: number): unknown {
  return Array.isArray(value) && value.length === 1 && Array.isArray(value[0])
    ? new Array(rank).fill(value[0])
    : value;
}

/** Puts a layer on an input: translates, checks, and works out the sizes. */
export function placeLayer(layer: LayerText, input: Input, dialect: DialectName | undefined): Layer {
  if (layer.kind === 'maxPool') return misuse(`'${layer.text}' has no weight to be explained`);
  const op = layer.kind;
  const rank = input.size.length;
  const { out, kernel, ...rest } = layer.values;
  let kernelSize = kernel === undefined ? undefined : perAxis('kernel', kernel, rank);
  let options: ConvGeometryOptions & ConvTransposeGeometryOptions;
  let notes: readonly string[] = [];
  if (dialect === undefined) {
    const padding = pairsForAll(rest['padding'], rank);
    options = (padding === undefined ? rest : { ...rest, padding }) as typeof options;
    // Geometries read the options that they know; the translator is who refuses the others, naming the nearest.
    toDialect('torch', op, { rank, ...options });
  } else {
    const known = Object.keys(dialectOptions(dialect, op));
    const native = Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [nativeName(name, known), pairsForAll(value, rank)]),
    );
    const own = native['kernel_size'];
    if (own !== undefined) kernelSize = perAxis('kernel_size', own, rank);
    const sized = { inputSize: [...input.size], ...(kernelSize === undefined ? {} : { kernelSize }) };
    const translated = fromDialect(dialect, op, { rank, ...sized, ...native });
    options = translated.options;
    notes = translated.notes;
  }
  if (kernelSize === undefined)
    return misuse(`${layer.text} needs a kernel size`, 'for example --kernel 3, or kernel=3 in a layer');
  const groups = typeof options.groups === 'number' && options.groups >= 1 ? options.groups : 1;
  const channels = input.channels ?? groups;
  const outChannels = out === undefined ? (input.channels ?? groups) : perAxis('out', out, 1)[0];
  if (outChannels % groups !== 0) misuse(`out ${outChannels} must divide by groups ${groups}`);
  const inputShape = [1, channels, ...input.size];
  const geometry =
    op === 'conv'
      ? convGeometry(
          inputShape,
          [outChannels, Math.max(1, Math.floor(channels / groups)), ...kernelSize],
          options,
          'conv',
        )
      : convTransposeGeometry(
          inputShape,
          [channels, outChannels / groups, ...kernelSize],
          options,
          'convTranspose',
        );
  const extra = options.outputPadding ?? 0;
  const outputPadding = typeof extra === 'number' ? new Array<number>(rank).fill(extra) : extra;
  return { op, geometry, options, outputPadding, notes };
}

/**
 * Puts a maxPool on an input. Its windows fall like those of a convolution of every channel by itself, only that its
 * stride is its kernel unless given.
 */
export function placePool(layer: LayerText, input: Input): Layer {
  const { kernel, stride, padding, dilation, ...rest } = layer.values;
  for (const name of Object.keys(rest)) {
    misuse(`unknown option '${name}' of maxPool`, 'its options are kernel, stride, padding and dilation');
  }
  const channels = input.channels ?? 1;
  const values = { kernel, stride: stride ?? kernel, padding, dilation, groups: channels, out: channels };
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  return placeLayer({ ...layer, kind: 'conv', values: given }, { ...input, channels }, undefined);
}

/** One of two ways to describe a layer, not both. */
export function onlyLayer(text: string | undefined, options: LayerOptions): LayerText {
  const flags = layerFromFlags(options);
  if (text !== undefined && flags !== undefined)
    misuse('describe the layer either by LAYER or by options, not by both');
  if (text !== undefined) return parseLayer(text);
  if (flags !== undefined) return flags;
  throw new Failure('no layer is given', exitCodes.usage, 'for example --kernel 3 --stride 2');
}
