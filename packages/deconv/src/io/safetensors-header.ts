/**
 * safetensors-header: the JSON at the head of a safetensors file, read strictly:
 *
 *     { "__metadata__": { text: text, … }, name: { "dtype": text, "shape": [n, …], "data_offsets": [begin, end] }, … }
 *
 * Only this is understood, so that nesting cannot be deep, and a name that stands twice is seen (JSON.parse would take
 * the last and say nothing).
 */
import { refuse, show } from '../errors.js';
import { checkEntryName, MAX_RANK } from './bytes.js';

/** What the header says of a tensor; only its form has been checked. */
export interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes begin and end, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** The header as it stands. */
export interface Header {
  readonly metadata: ReadonlyMap<string, string>;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** Reads the grammar above; `text` begins with the opening brace and may end in spaces. */
export function parseHeader(op: string, text: string): Header {
  let at = 0;

  const fail = (wanted: string): never =>
    refuse(
      op,
      'bytes',
      `the header has ${show(text.slice(at, at + 12))} at character ${at}, expected ${wanted}`,
    );

  /** Steps over white space, and tells what comes then. */
  const peek = (): string => {
    while (at < text.length && ' \t\n\r'.includes(text[at])) at++;
    return text[at] ?? '';
  };

  const take = (mark: string): void => {
    if (peek() !== mark) fail(`'${mark}'`);
    at++;
  };

  const readText = (): string => {
    if (peek() !== '"') fail('text in quotes');
    let end = at;
    // A quote ends the text unless an odd number of backslashes stands before it.
    for (let escaped = true; escaped; ) {
      end = text.indexOf('"', end + 1);
      if (end < 0) fail('text that ends');
      let before = end;
      while (text[before - 1] === '\\') before--;
      escaped = (end - before) % 2 === 1;
    }
    try {
      const value: string = JSON.parse(text.slice(at, end + 1));
      at = end + 1;
      return value;
    } catch {
      return fail('text without control characters');
    }
  };

  const readNumber = (): number => {
    peek();
    let end = at;
    while (text[end] >= '0' && text[end] <= '9') end++;
    const value = Number(text.slice(at, end));
    if (end === at || !Number.isSafeInteger(value) || end - at > 16) {
      fail(`an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    at = end;
    return value;
  };

  /** What stands between two marks, with commas. */
  const readList = (open: string, close: string, readItem: () => void): void => {
    take(open);
    if (peek() !== close) {
      readItem();
      while (peek() === ',') {
        at++;
        readItem();
      }
    }
    take(close);
  };

  const readNumbers = (most: number): number[] => {
    const numbers: number[] = [];
    readList('[', ']', () => {
      if (numbers.length === most) fail(`at most ${most} numbers in this list`);
      numbers.push(readNumber());
    });
    return numbers;
  };

  /** An object whose keys are all different. */
  const readObject = (what: string, known: { has(key: string): boolean }, readValue: (key: string) => void) =>
    readList('{', '}', () => {
      const key = readText();
      if (known.has(key)) refuse(op, 'bytes', `the header has ${show(key)} twice in ${what}`);
      take(':');
      readValue(key);
    });

  const readEntry = (name: string): Entry => {
    const found = new Map<string, string | number[]>();
    readObject(`tensor ${show(name)}`, found, (key) => {
      if (key === 'dtype') found.set(key, readText());
      else if (key === 'shape') found.set(key, readNumbers(MAX_RANK));
      else if (key === 'data_offsets') found.set(key, readNumbers(2));
      else
        refuse(
          op,
          'bytes',
          `tensor ${show(name)} has ${show(key)} in the header, which the format does not know`,
        );
    });
    const dtype = found.get('dtype');
    const shape = found.get('shape');
    const offsets = found.get('data_offsets');
    if (
      typeof dtype !== 'string' ||
      !Array.isArray(shape) ||
      !Array.isArray(offsets) ||
      offsets.length !== 2
    ) {
      refuse(op, 'bytes', `tensor ${show(name)} needs dtype, shape and two data_offsets in the header`);
    }
    return { dtype, shape, begin: offsets[0] as number, end: offsets[1] as number };
  };

  let metadata: Map<string, string> | undefined;
  const entries = new Map<string, Entry>();
  const seen = { has: (key: string) => (key === '__metadata__' ? metadata !== undefined : entries.has(key)) };
  readObject('the file', seen, (name) => {
    if (name !== '__metadata__') {
      checkEntryName(op, 'bytes', name);
      entries.set(name, readEntry(name));
      return;
    }
    const texts = new Map<string, string>();
    metadata = texts;
    readObject('__metadata__', texts, (key) => {
      checkEntryName(op, 'bytes', key);
      texts.set(key, readText());
    });
  });
  if (peek() !== '') fail('the end of the header');
  return { metadata: metadata ?? new Map(), entries };
}
