import { describe, expect, it } from 'vitest';
import { ones, tensor, zeros } from '../index.js';
import { readSafetensors, safetensorsMetadata, writeSafetensors } from './index.js';

/** A file of this header, as text or as what JSON makes of it, with so many bytes of values. */
function file(header: unknown, length = 0, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const read = (header: unknown, length?: number, claimed?: bigint) => () =>
  readSafetensors(file(header, length, claimed));

describe('what is written', () => {
  it('is read again: types, shapes, order, values', () => {
    const tensors = {
      bytes: tensor(new Uint8Array([1, 2, 255])),
      double: tensor(new Float64Array([0.1, -0, Number.NaN])),
      rank0: tensor(2.5),
      'block.0.weight "ä"': tensor([[1, 2]]),
      int: tensor(new Int32Array([-5])),
      empty: zeros([0, 3]),
    };
    const back = readSafetensors(writeSafetensors(tensors, { metadata: { a: 'é\n"', b: '' } }));
    expect(Object.keys(back)).toEqual(Object.keys(tensors));
    for (const [name, x] of Object.entries(tensors)) {
      expect(back[name]).toMatchObject({ dtype: x.dtype, shape: x.shape });
      expect(back[name].data).toEqual(x.data);
    }
    expect(Object.getPrototypeOf(back)).toBeNull();
  });

  it('is, byte by byte, what the format says', () => {
    const bytes = writeSafetensors(
      { b: tensor(new Uint8Array([7])), w: tensor([1]) },
      { metadata: { k: 'v' } },
    );
    const header =
      '{"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},' +
      '"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const padded = header.padEnd(8 * Math.ceil(header.length / 8));
    expect([...bytes.subarray(0, 8)]).toEqual([padded.length, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + padded.length))).toBe(padded);
    // 1 as a little-endian float32, then the byte.
    expect([...bytes.subarray(8 + padded.length)]).toEqual([0, 0, 0x80, 0x3f, 7]);
  });

  it('stores floating-point values as the type wanted, integers as they are', () => {
    const tensors = { w: tensor([0.1, 70000]), i: tensor(new Int32Array([1])) };
    const { w, i } = readSafetensors(writeSafetensors(tensors, { dtype: 'bfloat16' }));
    expect([...w.data]).toEqual([0.10009765625, 70144]);
    expect(i.dtype).toBe('int32');
    const wide = readSafetensors(writeSafetensors({ w: tensor([0.5]) }, { dtype: 'float64' })).w;
    expect(wide.dtype).toBe('float64');
    expect(() => writeSafetensors(tensors, { dtype: 'float16' })).toThrow(
      'writeSafetensors: tensor "w" has the value 70000, which is too large for float16',
    );
  });

  it('may be nothing', () => {
    expect(Object.keys(readSafetensors(writeSafetensors({})))).toEqual([]);
    expect(Object.keys(safetensorsMetadata(writeSafetensors({})))).toEqual([]);
  });
});

describe('refusals of writeSafetensors', () => {
  const w = ones([1]);
  it.each([
    [[w], {}, 'tensors must be an object of tensors by name, got [a Tensor]'],
    [w, {}, 'tensors must be an object of tensors by name, got a Tensor'],
    [{ w: 3 }, {}, 'tensors["w"] must be a tensor, got 3'],
    [{ '': w }, {}, 'a tensor cannot be named ""'],
    [JSON.parse('{"__proto__": 1}'), {}, 'a tensor cannot be named "__proto__"'],
    [
      { __metadata__: w },
      {},
      "a tensor cannot be named '__metadata__' — texts are written with the option metadata",
    ],
    [{ 'a\ud800': w }, {}, 'the name "a\\ud800" has half a character in it'],
    [{ w }, { metadata: { a: 1 } }, 'metadata["a"] must be text, got 1'],
    [{ w }, { metadata: 'text' }, 'metadata must be an object of texts, got "text"'],
    [
      { w },
      { dtype: 'half' },
      "dtype must be one of 'float64', 'float32', 'float16', 'bfloat16', got \"half\"",
    ],
    [{ w }, { type: 'float16' }, "unknown option 'type' — did you mean 'dtype'?"],
  ])('%#', (tensors, options, message) => {
    expect(() => writeSafetensors(tensors as never, options as never)).toThrow(
      `writeSafetensors: ${message}`,
    );
  });
});

describe('refusals of readSafetensors', () => {
  it.each<[string, () => unknown, string]>([
    ['text', () => readSafetensors('x' as never), 'bytes must be a Uint8Array or an ArrayBuffer, got "x"'],
    ['nothing', () => readSafetensors(new Uint8Array()), 'begins with 8 bytes of header length, got 0 bytes'],
    [
      'a header past the end',
      read({}, 0, 3n),
      'the header should be 3 bytes long, the file has 2 more — is this',
    ],
    [
      'a header of 2^60',
      read({}, 0, 2n ** 60n),
      'should be 1152921504606846976 bytes long, more than 100000000',
    ],
    ['no JSON', read('{"a'), 'the header has "\\"a" at character 1, expected text that ends'],
    ['an array', read('[]'), 'the header has "[]" at character 0, expected \'{\''],
    [
      'no UTF-8',
      () => readSafetensors(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff)),
      'the header is not UTF-8 text',
    ],
    ['a bare line feed in text', read('{"a\n":1}'), 'expected text without control characters'],
    ['a wrong escape', read('{"a\\x":1}'), 'expected text without control characters'],
    [
      'something after the end',
      read('{} x'),
      'the header has "x" at character 3, expected the end of the header',
    ],
    ['deep nesting', read('['.repeat(200_000)), "expected '{'"],
    ['deep nesting inside', read(`{"a":${'['.repeat(200_000)}`), "expected '{'"],
    [
      'many axes',
      read({ a: entry(0, 4, new Array(65).fill(1)) }, 4),
      'expected at most 64 numbers in this list',
    ],
    ['a fraction', read('{"a":{"shape":[1.5]}}'), 'the header has ".5]}}" at character 16, expected \']\''],
    ['a negative axis', read('{"a":{"shape":[-1]}}'), 'expected an integer from 0 to 9007199254740991'],
    [
      'an axis of 10^30',
      read(`{"a":{"shape":[1${'0'.repeat(30)}]}}`),
      'expected an integer from 0 to 9007199254740991',
    ],
    [
      'a key too many',
      read({ a: { ...entry(0, 0), x: 1 } }),
      'tensor "a" has "x" in the header, which the format does not know',
    ],
    [
      'a key too few',
      read({ a: { dtype: 'F32', shape: [] } }),
      'tensor "a" needs dtype, shape and two data_offsets',
    ],
    [
      'one offset',
      read('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}}'),
      'tensor "a" needs dtype, shape and two data_offsets',
    ],
    ['three offsets', read('{"a":{"data_offsets":[0,1,2]}}'), 'expected at most 2 numbers in this list'],
    [
      'a key twice',
      read('{"a":{"dtype":"F32","dtype":"F64"}}'),
      'the header has "dtype" twice in tensor "a"',
    ],
    [
      'a name twice',
      read(`{"a":${JSON.stringify(entry(0, 4))},"\\u0061":${JSON.stringify(entry(0, 4))}}`, 4),
      'the header has "a" twice in the file',
    ],
    [
      'metadata twice',
      read('{"__metadata__":{},"__metadata__":{}}'),
      'the header has "__metadata__" twice in the file',
    ],
    ['metadata that is no text', read({ __metadata__: { a: 1 } }), 'expected text in quotes'],
    [
      '__proto__',
      read(`{"__proto__":${JSON.stringify(entry(0, 4))}}`, 4),
      'a tensor cannot be named "__proto__"',
    ],
    [
      '__proto__ in metadata',
      read('{"__metadata__":{"__proto__":"x"}}'),
      'a tensor cannot be named "__proto__"',
    ],
    [
      'an unknown type',
      read({ a: entry(0, 8, [1], 'C64') }, 8),
      'tensor "a" has number type "C64", read are F64, F32,',
    ],
    [
      'an offset past the end',
      read({ a: entry(0, 8) }, 4),
      'tensor "a" lies at bytes 0 … 8, the file has 4 bytes of values',
    ],
    ['an offset of 2^50', read({ a: entry(2 ** 50, 2 ** 50 + 4) }, 4), 'the file has 4 bytes of values'],
    ['an end before its beginning', read({ a: entry(4, 0, [1]) }, 4), 'tensor "a" lies at bytes 4 … 0'],
    [
      'a wrong size',
      read({ a: entry(0, 4, [2]) }, 4),
      'tensor "a" F32 [2] needs 8 bytes, the header gives it 4',
    ],
    [
      'a shape that overflows',
      read({ a: entry(0, 0, [2 ** 31, 2 ** 31, 4]) }),
      'shape [2147483648, 2147483648, 4], more than 4294967295 elements',
    ],
    [
      'one that overflows beside 0',
      read({ a: entry(0, 0, [2 ** 52, 2 ** 52, 0]) }),
      'more than 4294967295 elements',
    ],
    [
      'an overlap',
      read({ a: entry(0, 8), b: entry(4, 12) }, 12),
      'tensor "b" at byte 4 overlaps another tensor: values go on at byte 8',
    ],
    [
      'the same place',
      read({ a: entry(0, 4), b: entry(0, 4) }, 4),
      'tensor "b" at byte 0 overlaps another tensor',
    ],
    [
      'a gap',
      read({ a: entry(0, 4), b: entry(8, 12) }, 12),
      'tensor "b" at byte 8 leaves a gap before it: values go on at byte 4',
    ],
    ['bytes left over', read({ a: entry(0, 4) }, 5), 'the tensors fill 4 bytes of values, the file has 5'],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(/^readSafetensors: /);
  });

  it.each([
    ['I64', -(2n ** 31n) - 1n, 'int64'],
    ['I64', 2n ** 31n, 'int64'],
    ['I64', 2n ** 62n, 'int64'],
    ['U64', 2n ** 64n - 1n, 'uint64'],
    ['U64', 2n ** 31n, 'uint64'],
    ['U64', 2n ** 32n, 'uint64'],
  ])('%s %d, naming tensor and value', (dtype, value, element) => {
    const bytes = file({ steps: entry(0, 16, [2], dtype) }, 16);
    new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt.asUintN(64, value), true);
    expect(() => readSafetensors(bytes)).toThrow(
      `readSafetensors: tensor "steps" is ${element} and has the value ${value}, which int32 cannot hold`,
    );
  });

  it('uint32 beyond int32', () => {
    const bytes = file({ a: entry(0, 4, [1], 'U32') }, 4);
    bytes.fill(0xff, bytes.length - 4);
    expect(() => readSafetensors(bytes)).toThrow('tensor "a" is uint32 and has the value 4294967295');
  });
});

describe('what is allowed', () => {
  it('white space, any order of keys, empty tensors between others, values in another order than names', () => {
    const text =
      ' {\n"b" : { "data_offsets" : [ 4 , 8 ] , "shape" : [ ] , "dtype" : "F32" } ,' +
      '"e":{"dtype":"F64","shape":[0],"data_offsets":[4,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ';
    const { a, b, e } = readSafetensors(file(text, 8));
    expect([a.shape, b.shape, e.shape]).toEqual([[1], [], [0]]);
  });

  it('metadata of a file whose values are not there', () => {
    const text = { __metadata__: { 'a"\\': 'ü' }, w: entry(0, 400) };
    expect({ ...safetensorsMetadata(file(text)) }).toEqual({ 'a"\\': 'ü' });
  });

  it('names that objects have by themselves', () => {
    const back = readSafetensors(writeSafetensors({ constructor: tensor([1]) }));
    expect(Object.entries(back).map(([name, x]) => [name, ...x.data])).toEqual([['constructor', 1]]);
  });
});
