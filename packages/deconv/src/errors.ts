/**
 * errors: the one formatter of complaints. Every refusal in deconv says which argument of which function was wrong,
 * which rule it broke, and with which numbers, so that the text alone is enough to mend the call. Nothing here knows
 * what a tensor is.
 */

/** What a refusal is made of; `message` is built from it. */
export interface Complaint {
  /** The public function that refuses, e.g. `'convTranspose2d'`. */
  readonly op: string;
  /** The argument or option at fault, e.g. `'outputPadding'`. */
  readonly argument: string;
  /** The rule with its numbers filled in, e.g. `'outputPadding 3 must be < max(stride 2, dilation 1)'`. */
  readonly rule: string;
  /** What to do instead, when that is known. */
  readonly hint?: string | undefined;
}

/**
 * The error deconv throws for bad input. `op`, `argument`, `rule` and `hint` can be read by programs; `message` joins
 * them for people.
 *
 * @example
 * ```ts
 * import { conv2d, DeconvError, tensor } from 'deconv';
 * try {
 *   conv2d(tensor([1, 2, 3]), tensor([1]));
 * } catch (error) {
 *   if (error instanceof DeconvError) console.log(error.argument, error.rule);
 * }
 * ```
 */
export class DeconvError extends Error {
  override readonly name = 'DeconvError';
  declare readonly op: string;
  declare readonly argument: string;
  declare readonly rule: string;
  declare readonly hint: string | undefined;

  constructor({ op, argument, rule, hint }: Complaint) {
    super(`${op}: ${rule}${hint === undefined ? '' : ` — ${hint}`}`);
    Object.assign(this, { op, argument, rule, hint });
  }
}

/** Throws a {@link DeconvError}; its type `never` lets callers use it in expressions. */
export function refuse(op: string, argument: string, rule: string, hint?: string): never {
  throw new DeconvError({ op, argument, rule, hint });
}

/** A value as it should look in a message: short, with types told apart (`"3"` is not `3`); lists to a depth, as they may hold themselves. */
export function show(value: unknown, depth = 4): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 37)}…` : value);
  if (typeof value === 'number') return Object.is(value, -0) ? '0' : String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function';
  if (Array.isArray(value)) {
    if (depth === 0) return '[…]';
    const shown = value.slice(0, 8).map((entry) => show(entry, depth - 1));
    return `[${shown.join(', ')}${value.length > 8 ? ', …' : ''}]`;
  }
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength} bytes)`;
  if (value !== null && typeof value === 'object') {
    const name = (value as { constructor?: { name?: string } }).constructor?.name;
    return name && name !== 'Object' ? `a ${name}` : `an object with ${show(Object.keys(value))}`;
  }
  return String(value);
}

/**
 * Levenshtein distance: how many single letters must be inserted, deleted or replaced to turn `a` into `b`. One row of
 * the usual table, written over from left to right.
 */
function editDistance(a: string, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const letter of a) {
    let corner = row[0]++;
    for (let j = 1; j < row.length; j++) {
      const replaced = corner + (letter === b[j - 1] ? 0 : 1);
      corner = row[j];
      row[j] = Math.min(corner + 1, row[j - 1] + 1, replaced);
    }
  }
  return row[b.length];
}

/** The known name closest to `name` (case, `_` and `-` do not count), or undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[_\- ]/g, '');
  const wanted = plain(name).slice(0, 64);
  let best: string | undefined;
  let bound = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const against = plain(candidate);
    const distance = against.startsWith(wanted) && wanted.length >= 3 ? 0.5 : editDistance(wanted, against);
    if (distance < bound) {
      best = candidate;
      bound = distance;
    }
  }
  return best;
}

/** Refuses `name` unless it is one of `known`, naming the nearest. */
export function checkName(op: string, argument: string, name: unknown, known: readonly string[]): void {
  if (typeof name === 'string' && known.includes(name)) return;
  const near = typeof name === 'string' ? nearestName(name, known) : undefined;
  refuse(
    op,
    argument,
    `${argument} must be one of ${known.map((k) => `'${k}'`).join(', ')}, got ${show(name)}`,
    near === undefined ? undefined : `did you mean '${near}'?`,
  );
}

/**
 * Refuses an options object that is not one, or that has a key outside `known`: an option that is not understood is
 * never ignored.
 */
export function checkOptions(op: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return;
  if (
    options === null ||
    typeof options !== 'object' ||
    Array.isArray(options) ||
    ArrayBuffer.isView(options)
  ) {
    refuse(op, 'options', `options must be an object, got ${show(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    refuse(
      op,
      key,
      `unknown option '${key}'`,
      near === undefined ? `known options are ${known.join(', ')}` : `did you mean '${near}'?`,
    );
  }
}
