/**
 * labels: what a classifier says: the classes with the highest values of its output, with their names. Outputs that are no
 * probabilities are made some by softmax, e^v / Σ e^v, which is said.
 */
import { Failure, grouped, sizes } from '../terminal.js';

/** A class that was found. */
export interface Guess {
  readonly index: number;
  readonly label: string | undefined;
  readonly probability: number;
}

/** The guesses for one picture, and whether softmax made them probabilities. */
export interface Guesses {
  readonly top: readonly Guess[];
  readonly softmax: boolean;
}

const textOf = (entry: unknown): string | undefined => {
  if (typeof entry === 'string') return entry;
  // ["n01440764", "tench"]: the last is for people.
  const last: unknown = Array.isArray(entry) ? entry[entry.length - 1] : undefined;
  return typeof last === 'string' ? last : undefined;
};

/** Names from a text, one to a line, or from JSON: a list, or an object by number. */
export function readLabels(text: string, name: string): string[] {
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  if (!/^[[{]/.test(trimmed)) return trimmed.split(/\r?\n/).map((line) => line.trim());
  let json: unknown;
  try {
    json = JSON.parse(trimmed);
  } catch {
    throw new Failure(`${name} begins like JSON but is not`);
  }
  const entries: unknown[] = Array.isArray(json) ? json : [];
  if (!Array.isArray(json)) {
    for (const [key, value] of Object.entries(json as object)) {
      if (!/^\d{1,6}$/.test(key))
        throw new Failure(`${name} has the key '${key}', which is no number of a class`);
      entries[Number(key)] = value;
    }
  }
  return Array.from(entries, (entry, i) => {
    const label = textOf(entry);
    if (label === undefined) throw new Failure(`${name} has no name for class ${i}`);
    return label;
  });
}

/** How many classes a shape has: [N, K], or with axes of 1 after; undefined where it is no classifier's. */
export function classesOf(
  shape: readonly number[],
): { readonly count: number; readonly classes: number } | undefined {
  const [count, classes, ...rest] = shape.length === 1 ? [1, ...shape] : shape;
  return classes > 1 && rest.every((length) => length === 1) ? { count, classes } : undefined;
}

/** The `most` likely classes for each of a batch. */
export function guessesOf(
  output: string,
  values: ArrayLike<number | bigint>,
  shape: readonly number[],
  most: number,
  labels: readonly string[] | undefined,
): Guesses[] {
  const found = classesOf(shape);
  if (found === undefined)
    throw new Failure(
      `output '${output}' of shape ${sizes(shape)} gives no classes for --top`,
      1,
      'choose another with --outputs',
    );
  const { count, classes } = found;
  if (labels !== undefined && labels.length !== classes)
    throw new Failure(`there are ${grouped(labels.length)} labels for ${grouped(classes)} classes`);
  return Array.from({ length: count }, (_, n) => {
    const row = Array.from({ length: classes }, (_, i) => Number(values[n * classes + i]));
    const sum = row.reduce((a, b) => a + b, 0);
    const softmax = !(row.every((p) => p >= 0) && Math.abs(sum - 1) < 1e-3);
    const peak = Math.max(...row);
    const powers = softmax ? row.map((v) => Math.exp(v - peak)) : row;
    const total = softmax ? powers.reduce((a, b) => a + b, 0) : 1;
    const top = [...powers.keys()].sort((a, b) => powers[b] - powers[a] || a - b).slice(0, most);
    return {
      softmax,
      top: top.map((index) => ({ index, label: labels?.[index], probability: powers[index] / total })),
    };
  });
}
