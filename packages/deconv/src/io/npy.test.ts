import { describe, expect, it } from 'vitest';
import { readNpy, writeNpy } from './index.js';

/** A file of this dictionary and so many bytes of values. */
function file(dictionary: string, length = 0, version = 1, claimed = dictionary.length): Uint8Array {
  const head =
    version === 1 ? [claimed & 255, claimed >> 8] : [0, 8, 16, 24].map((by) => (claimed >>> by) & 255);
  const text = Array.from(dictionary, (letter) => letter.charCodeAt(0));
  return Uint8Array.from([
    0x93,
    0x4e,
    0x55,
    0x4d,
    0x50,
    0x59,
    version,
    0,
    ...head,
    ...text,
    ...new Array(length).fill(0),
  ]);
}

const dictionary = (descr: string, shape: string) =>
  `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
const read =
  (descr: string, shape: string, length = 0) =>
  () =>
    readNpy(file(dictionary(descr, shape), length));

describe('refusals of readNpy', () => {
  it.each<[string, () => unknown, string]>([
    ['no bytes', () => readNpy('x' as never), 'bytes must be a Uint8Array or an ArrayBuffer, got "x"'],
    ['nothing', () => readNpy(new Uint8Array()), 'the file ends within its header, after 0 bytes'],
    [
      'another file',
      () => readNpy(new Uint8Array(20)),
      'the file does not begin as an npy file does, with \\x93NUMPY',
    ],
    ['version 4', () => readNpy(file('{}', 0, 4)), 'the file has npy version 4.0, read are 1.0, 2.0 and 3.0'],
    [
      'a header past the end',
      () => readNpy(file('{}', 0, 1, 60)),
      'the file ends within its header, after 12 bytes',
    ],
    [
      'a header of 4 GB',
      () => readNpy(file('{}', 0, 2, 0xffffffff)),
      'should be 4294967295 bytes long, more than 65536',
    ],
    [
      'no dictionary',
      () => readNpy(file('hello')),
      'has "hello" at character 0, where it is no array of numbers',
    ],
    ['an unknown key', () => readNpy(file("{'x': 1}")), 'has "\'x\': 1}" at character 1'],
    ['a key twice', () => readNpy(file("{'descr': 'x', 'descr': 'y'}")), 'has "descr" twice'],
    ['no shape', () => readNpy(file("{'descr': '<f4', 'fortran_order': False}")), 'has no "shape"'],
    ['something after it', () => readNpy(file(`${dictionary("'<f4'", '()')}x`, 4)), 'has "}x" at character'],
    [
      'a record',
      read("[('a', '<f4')]", '()', 4),
      "has \"[('a', '<f4'\" at character 10, where it is no array of numbers",
    ],
    ['no comma', () => readNpy(file("{'descr': '<f4' 'shape': ()}")), 'at character 16'],
    ['Python objects', read("'|O'", '(2,)', 16), 'has the element type "|O", read are f8, f4, f2'],
    ['complex numbers', read("'<c8'", '(1,)', 8), 'has the element type "<c8"'],
    ['text', read("'<U4'", '(1,)', 16), 'convert it with astype(numpy.float32) before saving'],
    ['raw bytes, as bfloat16 is saved', read("'<V2'", '(1,)', 2), 'has the element type "<V2"'],
    ['no byte order', read("'|f4'", '(1,)', 4), 'has the element type "|f4"'],
    ['a shape that is a number', read("'<f4'", '(3)', 12), 'has the shape "(3)"'],
    ['a shape with a hole', read("'<f4'", '(1,,2)', 8), 'has the shape "(1,,2)"'],
    ['a shape of commas', read("'<f4'", '(,)'), 'has the shape "(,)"'],
    ['a negative axis', read("'<f4'", '(-1,)'), 'at character'],
    ['an axis of 10^20', read("'<f4'", '(100000000000000000000,)'), 'has the shape'],
    [
      'a shape that overflows',
      read("'<f4'", '(4294967296, 4294967296)'),
      'shape [4294967296, 4294967296], more than 4294967295 elements',
    ],
    [
      'one that overflows beside 0',
      read("'<f4'", '(0, 4503599627370496, 4503599627370496)'),
      'more than 4294967295 elements',
    ],
    ['65 axes', read("'<f4'", `(${'1, '.repeat(65)})`, 4), 'the file has 65 axes, more than 64'],
    ['too few values', read("'<f4'", '(3,)', 11), 'should be 79 bytes long, got 78 — is it whole?'],
    [
      'too many',
      read("'<f4'", '(3,)', 13),
      'should be 79 bytes long, got 80 — only one array per file is read',
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(/^readNpy: /);
  });

  it('an integer that int32 cannot hold', () => {
    const bytes = file(dictionary("'>i8'", '(2,)'), 16);
    bytes[bytes.length - 6] = 1;
    expect(() => readNpy(bytes)).toThrow(
      'readNpy: the file is int64 and has the value 1099511627776, which int32 cannot hold',
    );
  });
});

describe('headers as others write them', () => {
  it.each([
    ["{'shape':(2L,3L),'descr':\"<i2\",'fortran_order':True}", [2, 3], [1, 3, 5, 2, 4, 6]],
    ["{ 'descr' : '<i2' , 'fortran_order' : False , 'shape' : ( 6 , ) , }   \n", [6], [1, 2, 3, 4, 5, 6]],
  ])('%s', (text, shape, values) => {
    const bytes = file(text, 12);
    for (let i = 0; i < 6; i++) bytes[bytes.length - 12 + 2 * i] = i + 1;
    const x = readNpy(bytes);
    expect([x.shape, [...x.data]]).toEqual([shape, values]);
  });
});

it('writeNpy refuses what is no tensor', () => {
  expect(() => writeNpy([1] as never)).toThrow('writeNpy: tensor must be a tensor, got [1]');
});
