/**
 * Files damaged at random: each reader refuses with a DeconvError or returns tensors that are whole. Nothing else may be
 * thrown, and nothing may take long or much.
 */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arange, DeconvError, randn, Tensor, tensor } from '../index.js';
import { sizeOf } from '../shape.js';
import {
  readIdx,
  readNpy,
  readNpz,
  readSafetensors,
  safetensorsMetadata,
  writeNpy,
  writeNpz,
  writeSafetensors,
} from './index.js';

const tensors = {
  a: randn([2, 3]),
  'b.c': tensor(new Int32Array([1, -2])),
  d: arange(300, { dtype: 'float64' }),
};
const idx = Uint8Array.from([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]);

const subjects: Record<
  string,
  { file: Uint8Array; read: (bytes: Uint8Array) => Tensor | Record<string, unknown> }
> = {
  safetensors: { file: writeSafetensors(tensors, { metadata: { k: 'v' } }), read: readSafetensors },
  'safetensors metadata': {
    file: writeSafetensors(tensors, { metadata: { k: 'v' } }),
    read: safetensorsMetadata,
  },
  npy: { file: writeNpy(tensors.a), read: readNpy },
  'npz, stored': { file: writeNpz(tensors), read: readNpz },
  'npz, packed': { file: writeNpz(tensors, { compress: true }), read: readNpz },
  idx: { file: idx, read: readIdx },
  'idx, packed': { file: new Uint8Array(gzipSync(idx)), read: readIdx },
};

/** One injury: where (as a part of the length), what kind, and with which bytes. */
const injury = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom('flip', 'set', 'cut', 'insert', 'remove', 'repeat', 'long'),
  byte: fc.integer({ min: 0, max: 255 }),
  length: fc.integer({ min: 1, max: 24 }),
});
type Injury = typeof injury extends fc.Arbitrary<infer T> ? T : never;

function injure(bytes: Uint8Array, { at, kind, byte, length }: Injury): Uint8Array {
  const place = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
  const out = bytes.slice();
  const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 'flip':
      out[place] ^= 1 << (byte & 7);
      return out;
    case 'set':
      out.fill(byte, place, place + length);
      return out;
    case 'long':
      // A length of many bits, where a length may lie.
      out.fill(0xff, place, place + 8);
      out[place + 7] = byte;
      return out;
    case 'cut':
      return head;
    case 'insert':
      return Uint8Array.from([...head, ...new Array(length).fill(byte), ...tail]);
    case 'remove':
      return Uint8Array.from([...head, ...tail.subarray(length)]);
    default:
      return Uint8Array.from([...head, ...tail.subarray(0, length), ...tail]);
  }
}

describe.each(Object.entries(subjects))('%s, injured', (_, { file, read }) => {
  it('is refused, or read as something whole', () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.array(injury, { minLength: 1, maxLength: 3 }), (injuries) => {
        const bytes = injuries.reduce(
          (before, hurt) => (before.length === 0 ? before : injure(before, hurt)),
          file,
        );
        try {
          const result = read(bytes);
          for (const value of result instanceof Tensor ? [result] : Object.values(result)) {
            if (value instanceof Tensor) expect(value.data.length).toBe(sizeOf(value.shape));
            else expect(typeof value).toBe('string');
          }
        } catch (error) {
          expect(error).toBeInstanceOf(DeconvError);
          refused++;
        }
      }),
      { numRuns: 1500, seed: 11 },
    );
    // Most injuries are noticed; a test that refuses nothing would test nothing.
    expect(refused).toBeGreaterThan(300);
  });
});

it('cut at every length, nothing is read as less than the whole', () => {
  for (const [name, { file, read }] of Object.entries(subjects)) {
    const short = Array.from({ length: file.length }, (_, length) => length);
    const accepted = short.filter((length) => {
      try {
        read(file.slice(0, length));
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(DeconvError);
        return false;
      }
    });
    // Metadata needs the header alone; all that is cut off after it is not missed.
    if (name === 'safetensors metadata') expect(accepted.length).toBeGreaterThan(0);
    else expect({ name, accepted }).toEqual({ name, accepted: [] });
  }
});
