/** What NumPy wrote is read, number by number, and what is written is byte for byte what NumPy writes. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type DType, full, type Tensor, tensor } from '../index.js';
import { crc32 } from './checksum.js';
import { decode, encode } from './elements.js';
import { readIdx, readNpy, readNpz, readSafetensors, safetensorsMetadata, writeNpy } from './index.js';

type Value = number | string;
interface Stored {
  readonly bytes: string;
  readonly dtype: string;
  readonly shape: number[];
  readonly values: Value[];
}
interface Named {
  readonly bytes: string;
  readonly values: Record<string, { readonly shape: number[]; readonly values: Value[] }>;
}
interface Fixture {
  readonly files: Record<string, Stored>;
  readonly archives: Record<string, Named>;
  readonly safetensors: Named;
  readonly tables: Record<'float16' | 'bfloat16', number>;
  readonly rounding: {
    readonly doubles: Value[];
    readonly float16: number[];
    readonly singles: Value[];
    readonly bfloat16: number[];
  };
}

const file = new URL('../../../../test/fixtures/io.json', import.meta.url);
const fixture: Fixture = JSON.parse(readFileSync(file, 'utf8'));
const bytesOf = (stored: { readonly bytes: string }) => new Uint8Array(Buffer.from(stored.bytes, 'base64'));
const numbers = (values: Value[]) =>
  values.map((value) => (typeof value === 'number' ? value : Number(value.replace('inf', 'Infinity'))));

/** The number type that a tensor of NumPy's type has. */
function typeOf(name: string): DType {
  if (name === 'float64') return 'float64';
  if (name.startsWith('float')) return 'float32';
  return name === 'uint8' || name === 'bool' ? 'uint8' : 'int32';
}

function agrees(x: Tensor, expected: { readonly shape: number[]; readonly values: Value[] }): void {
  expect(x.shape).toEqual(expected.shape);
  expect([...x.data]).toEqual(numbers(expected.values));
}

describe('what NumPy wrote', () => {
  for (const [name, stored] of Object.entries(fixture.files)) {
    it(`${name}: ${stored.dtype} [${stored.shape}]`, () => {
      const x = name.includes('.idx') ? readIdx(bytesOf(stored)) : readNpy(bytesOf(stored));
      expect(x.dtype).toBe(typeOf(stored.dtype));
      agrees(x, stored);
    });
  }

  it.each(Object.keys(fixture.archives))('an archive, %s', (name) => {
    const tensors = readNpz(bytesOf(fixture.archives[name]));
    const { values } = fixture.archives[name];
    expect(Object.keys(tensors)).toEqual(Object.keys(values));
    for (const [key, expected] of Object.entries(values)) agrees(tensors[key], expected);
  });

  it('safetensors of every number type', () => {
    const tensors = readSafetensors(bytesOf(fixture.safetensors));
    const { values } = fixture.safetensors;
    expect(Object.keys(tensors)).toEqual(Object.keys(values));
    for (const [key, expected] of Object.entries(values)) agrees(tensors[key], expected);
    const types = Object.fromEntries(Object.entries(tensors).map(([key, x]) => [key, x.dtype]));
    expect(types).toMatchObject({
      F64: 'float64',
      half: 'float32',
      I64: 'int32',
      BOOL: 'uint8',
      U8: 'uint8',
    });
    expect({ ...safetensorsMetadata(bytesOf(fixture.safetensors)) }).toEqual({ format: 'np' });
  });

  it('from an ArrayBuffer, a Buffer at an odd place, and shared memory', () => {
    const bytes = bytesOf(fixture.files['<f8.npy']);
    const odd = Buffer.alloc(bytes.length + 1);
    odd.set(bytes, 1);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    for (const given of [bytes.buffer, odd.subarray(1), shared])
      agrees(readNpy(given), fixture.files['<f8.npy']);
    const safe = bytesOf(fixture.safetensors);
    const sharedSafe = new Uint8Array(new SharedArrayBuffer(safe.length));
    sharedSafe.set(safe);
    expect(readSafetensors(sharedSafe).F32.data).toEqual(readSafetensors(safe).F32.data);
  });

  it('is copied: the bytes may be used for something else afterwards', () => {
    const bytes = bytesOf(fixture.files['<u1.npy']);
    const x = readNpy(bytes);
    bytes.fill(99);
    agrees(x, fixture.files['<u1.npy']);
  });
});

describe('writeNpy', () => {
  it.each(['<f8', '<f4', '<i4', '<u1', 'scalar', 'empty', 'vector', 'bytes'])(
    '%s: the same bytes as NumPy',
    (name) => {
      const { bytes, shape, values, dtype } = fixture.files[`${name}.npy`];
      const x = tensor(new Float64Array(numbers(values)), shape, { dtype: typeOf(dtype) });
      expect(Buffer.from(writeNpy(x)).toString('base64')).toBe(bytes);
    },
  );

  it('many axes, whose header takes more room', () => {
    const shape = new Array<number>(40).fill(1);
    const written = writeNpy(full(shape, 3));
    expect(written.length % 64).toBe(4);
    agrees(readNpy(written), { shape, values: [3] });
  });
});

describe('small floats', () => {
  it.each(['float16', 'bfloat16'] as const)('%s: all 65,536 values', (element) => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const values = decode('op', 'x', element, new Uint8Array(patterns.buffer), true);
    const numbers = Float32Array.from(values, (value) => (Number.isNaN(value) ? 0 : value));
    expect(crc32(new Uint8Array(numbers.buffer))).toBe(fixture.tables[element]);
    // And back again: each finite value has one pattern.
    const back = new Uint16Array(encode('op', 'x', values, element).buffer);
    const other = patterns.findIndex((bits, i) => back[i] !== bits && !Number.isNaN(values[i]));
    expect(other).toBe(-1);
    expect(back[patterns.length - 1]).toBe(element === 'float16' ? 0x7e00 : 0x7fc0);
  });

  it('are rounded to nearest even, float64 to float16 without a stop at float32', () => {
    const { doubles, float16, singles, bfloat16 } = fixture.rounding;
    // 65519 rounds to the largest float16; NumPy's row has it too.
    const halves = encode('op', 'x', new Float64Array(numbers(doubles)), 'float16');
    expect([...new Uint16Array(halves.buffer)]).toEqual(float16);
    const upper = encode('op', 'x', new Float32Array(numbers(singles)), 'bfloat16');
    expect([...new Uint16Array(upper.buffer)]).toEqual(bfloat16);
  });

  it.each([
    ['float16', 65520],
    ['bfloat16', 3.4e38],
    ['float32', 3.5e38],
  ] as const)('%s has no room for %d', (element, value) => {
    const values = new Float64Array([1, Number.POSITIVE_INFINITY, value]);
    expect(() => encode('op', "tensor 'w'", values, element)).toThrow(
      `tensor 'w' has the value ${value}, which is too large for ${element}`,
    );
  });
});
