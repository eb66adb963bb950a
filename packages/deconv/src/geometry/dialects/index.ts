/**
 * dialects: the registry of frameworks, and the two functions that translate. Every dialect describes the same two
 * operations in its own words; `fromDialect` gives deconv's options for theirs, `toDialect` theirs for deconv's. What is
 * translated gives the same numbers, not only the same shapes; docs/conventions.md has the table.
 *
 * Refuses unknown dialects, operations and options, naming the nearest, and values outside their range.
 */
import { checkName, checkOptions } from '../../errors.js';
import { CANONICAL_OPTIONS, COMMON_OPTIONS, explicit, makeReading, weightMapping } from './common.js';
import { jax } from './jax.js';
import { keras } from './keras.js';
import { numpyMl } from './numpy-ml.js';
import { onnx } from './onnx.js';
import { tfjs } from './tfjs.js';
import { tinynet } from './tinynet.js';
import { torch } from './torch.js';
import type {
  CanonicalLayer,
  ConvOp,
  Dialect,
  DialectName,
  DialectOptions,
  FromDialect,
  ToDialect,
} from './types.js';
import { webnn } from './webnn.js';

export type {
  CanonicalLayer,
  ConvOp,
  DialectName,
  DialectOptions,
  FromDialect,
  ToDialect,
  ToDialectFound,
  ToDialectNone,
  WeightMapping,
} from './types.js';

const registry: readonly Dialect[] = [torch, keras, onnx, jax, tfjs, webnn, numpyMl, tinynet];

/** The names that `fromDialect` and `toDialect` know. */
export const dialectNames: readonly DialectName[] = Object.freeze(registry.map((dialect) => dialect.name));

const OPS: readonly ConvOp[] = ['conv', 'convTranspose'];

function find(where: string, name: unknown, op: unknown): Dialect {
  checkName(where, 'dialect', name, dialectNames);
  checkName(where, 'op', op, OPS);
  return registry.find((dialect) => dialect.name === name) as Dialect;
}

/**
 * The options that a dialect knows for an operation, each with its meaning in a few words: the framework's own, then
 * `rank`, `inputSize` and `kernelSize`, which stand for what the framework reads off its tensors.
 *
 * @example
 * ```ts
 * import { dialectOptions } from 'deconv';
 * console.log(Object.keys(dialectOptions('tinynet', 'conv'))); // [ 'stride', 'dilation', 'padding', 'rank', … ]
 * ```
 */
export function dialectOptions(dialect: DialectName, op: ConvOp): Readonly<Record<string, string>> {
  return { ...find('dialectOptions', dialect, op).options[op], ...COMMON_OPTIONS };
}

/**
 * deconv's options for a layer described in another framework's words.
 *
 * @param dialect 'torch' | 'keras' | 'onnx' | 'jax' | 'tfjs' | 'webnn' | 'numpy-ml' | 'tinynet'
 * @param op 'conv' or 'convTranspose'
 * @param options the framework's own option names and values; `rank`, `inputSize` and `kernelSize` where it needs to know
 * @returns canonical `options`; `dataFormat`; `weightLayout`, `weightPermutation` and `weightFlip`, which bring their weight
 *   into deconv's layout (permute first, then reverse the spatial axes if `weightFlip`); `notes` in words
 * @throws DeconvError on unknown names (naming the nearest) and values out of range
 * @example
 * ```ts
 * import { convTransposeGeometry, fromDialect } from 'deconv';
 * const layer = fromDialect('keras', 'convTranspose', { kernel_size: [3, 3], strides: [2, 2], padding: 'same' });
 * console.log(layer.options.padding); // [ [ 0, 1 ], [ 0, 1 ] ]
 * console.log(layer.weightLayout, layer.weightPermutation); // HWOI [ 3, 2, 0, 1 ]
 * console.log(convTransposeGeometry([1, 8, 5, 5], [8, 4, 3, 3], layer.options).xSize); // [ 10, 10 ]
 * ```
 */
export function fromDialect(dialect: DialectName, op: ConvOp, options: DialectOptions = {}): FromDialect {
  const known = find('fromDialect', dialect, op);
  const where = `fromDialect '${dialect}' ${op}`;
  checkOptions(where, options, [...Object.keys(known.options[op]), ...Object.keys(COMMON_OPTIONS)]);
  const read = makeReading(where, known, op, options);
  const heard = known.from(read);
  return Object.freeze({
    options: Object.freeze(heard.options),
    dataFormat: heard.dataFormat,
    ...weightMapping(op, read.rank, heard.layout, heard.flip ?? false, 'from'),
    notes: Object.freeze([...(heard.notes ?? [])]),
  });
}

/**
 * Another framework's options for a layer described in deconv's, or the reason why that framework has none.
 *
 * @param dialect as in {@link fromDialect}
 * @param op 'conv' or 'convTranspose'
 * @param options canonical options, with `rank`, `inputSize` and `kernelSize` where the translation depends on them
 * @returns `{ options, dataFormat, weightLayout, weightPermutation, weightFlip, notes }`, the permutation leading from
 *   deconv's weight to theirs; or `{ reason }`
 * @throws DeconvError on unknown names and on options that deconv itself would refuse
 * @example
 * ```ts
 * import { toDialect } from 'deconv';
 * const same = { kernelSize: [3, 3], stride: 2, padding: [[0, 1], [0, 1]] };
 * const keras = toDialect('keras', 'convTranspose', same);
 * console.log('reason' in keras ? keras.reason : keras.options.padding); // same
 * const torch = toDialect('torch', 'convTranspose', same);
 * console.log('reason' in torch ? torch.reason : torch.options.padding); // PyTorch crops both sides alike …
 * ```
 */
export function toDialect(
  dialect: DialectName,
  op: ConvOp,
  options: CanonicalLayer | DialectOptions = {},
): ToDialect {
  const known = find('toDialect', dialect, op);
  const where = `toDialect '${dialect}' ${op}`;
  checkOptions(where, options, [...CANONICAL_OPTIONS[op], ...Object.keys(COMMON_OPTIONS)]);
  const it = explicit(where, op, options as DialectOptions);
  const said = 'reason' in it ? it : known.to(it);
  if ('reason' in it || 'reason' in said)
    return Object.freeze({ reason: (said as { reason: string }).reason });
  return Object.freeze({
    options: Object.freeze({ ...said.options }),
    dataFormat: said.dataFormat,
    ...weightMapping(op, it.rank, said.layout, said.flip ?? false, 'to'),
    notes: Object.freeze([...(said.notes ?? [])]),
  });
}
