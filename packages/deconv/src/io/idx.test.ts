import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readIdx } from './index.js';

const labels = [0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9];
const bytes = (...values: number[]) => Uint8Array.from(values);

/** A gzip file with these flags and this between header and packed bytes. */
function gzip(flags: number, between: readonly number[]): Uint8Array {
  const plain = gzipSync(bytes(...labels));
  return bytes(...plain.subarray(0, 3), flags, ...plain.subarray(4, 10), ...between, ...plain.subarray(10));
}

describe('readIdx', () => {
  it('rank 0, and no values', () => {
    expect(readIdx(bytes(0, 0, 8, 0, 5)).toArray()).toBe(5);
    expect(readIdx(bytes(0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 9)).shape).toEqual([0, 9]);
  });

  it.each([
    ['plainly', gzip(0, [])],
    ['with a name', gzip(8, [65, 66, 0])],
    ['with everything', gzip(31, [2, 0, 9, 9, 65, 0, 66, 0, 1, 2])],
  ])('gzip %s, whatever the file is called', (_, packed) => {
    expect(readIdx(packed).toArray()).toEqual([7, 8, 9]);
  });

  it.each<[string, Uint8Array, string]>([
    ['nothing', bytes(), 'the file has 0 bytes, it needs a whole header'],
    ['half a header', bytes(0, 0, 8, 3, 0, 0, 0, 1), 'the file has 8 bytes, it needs a whole header'],
    [
      'another file',
      bytes(1, 2, 3, 4),
      'an IDX file begins with 00 00, a type 08, 09, 0b … 0e and a rank, got 01 02 03 04',
    ],
    ['an unknown type', bytes(0, 0, 0x0a, 1), 'got 00 00 0a 01'],
    [
      'too few values',
      bytes(...labels.slice(0, -1)),
      'the file has 10 bytes, it needs 11 for [3] — is it whole?',
    ],
    ['too many', bytes(...labels, 1), 'the file has 12 bytes, it needs 11 for [3]'],
    ['2^96 values', bytes(0, 0, 8, 3, ...new Array(12).fill(255)), 'more than 4294967295 elements'],
    ['255 axes', bytes(0, 0, 8, 255, ...new Array(1021).fill(1)), 'the file has 255 axes, more than 64'],
    [
      'gzip cut off in its header',
      gzip(0, []).subarray(0, 12),
      'begins as gzip does but has no whole gzip header',
    ],
    [
      'gzip with an endless name',
      gzip(8, []).map((byte, i) => (i > 9 && byte === 0 ? 1 : byte)),
      'no whole gzip header',
    ],
    ['gzip of another method', gzip(0, []).map((byte, i) => (i === 2 ? 7 : byte)), 'no whole gzip header'],
    ['gzip damaged', gzip(0, []).map((byte, i) => (i === 18 ? byte ^ 64 : byte)), 'readIdx: the file '],
    [
      'gzip with another checksum',
      gzip(0, []).map((byte, i, all) => (i === all.length - 8 ? byte ^ 1 : byte)),
      'does not have the checksum',
    ],
    [
      'gzip of two parts',
      bytes(...gzip(0, []), ...gzipSync(bytes(1))),
      'it was damaged, or is of several parts',
    ],
    [
      'gzip of more',
      new Uint8Array(gzipSync(bytes(...labels, ...new Array(40).fill(1)))),
      'unpacks to more than the 11 bytes that it states',
    ],
    [
      'gzip of less',
      new Uint8Array(gzipSync(bytes(...labels.slice(0, -1)))),
      'unpacks to only 10 of 11 bytes',
    ],
  ])('refuses %s', (_, file, message) => {
    expect(() => readIdx(file)).toThrow(message);
    expect(() => readIdx(file)).toThrow(/^readIdx: /);
  });

  it('keeps to maxBytes', () => {
    expect(() => readIdx(gzip(0, []), { maxBytes: 10 })).toThrow(
      'the file unpacks to 11 bytes, 10 are allowed',
    );
    expect(() => readIdx(gzip(0, []), { limit: 10 } as never)).toThrow("unknown option 'limit'");
  });
});
