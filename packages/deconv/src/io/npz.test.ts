import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ones, randn, tensor, zeros } from '../index.js';
import { crc32 } from './checksum.js';
import { readNpz, writeNpy, writeNpz } from './index.js';

/** What of an archive of one entry is to be wrong. */
interface Entry {
  readonly name?: string;
  readonly content?: Uint8Array;
  readonly packed?: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  readonly length?: number;
  readonly checksum?: number;
  /** Where the directory says that the entry begins. */
  readonly place?: number;
}

const array = writeNpy(tensor([1, 2, 3]));

/** An archive made by hand. */
function archive(
  entries: readonly Entry[],
  end: { count?: number; start?: number; comment?: string } = {},
): Uint8Array {
  const local: Uint8Array[] = [];
  const directory: number[] = [];
  let begin = 0;
  const short = (value: number) => [value & 255, (value >>> 8) & 255];
  const long = (value: number) => [...short(value), ...short(value >>> 16)];
  const letters = (text: string) => [...new TextEncoder().encode(text)];
  for (const { name = 'a.npy', content = array, method = 0, flags = 0, ...given } of entries) {
    const packed = given.packed ?? (method === 8 ? deflateRawSync(content) : content);
    const shared = [
      ...[...short(20), ...short(flags), ...short(method), ...long(0x00210000)],
      ...[...long(given.checksum ?? crc32(content)), ...long(packed.length)],
      ...[...long(given.length ?? content.length), ...short(letters(name).length), ...short(0)],
    ];
    const place = long(given.place ?? begin);
    const head = Uint8Array.from([...long(0x04034b50), ...shared, ...letters(name)]);
    local.push(head, packed);
    begin += head.length + packed.length;
    directory.push(...long(0x02014b50), ...short(20), ...shared, ...new Array(10).fill(0), ...place);
    directory.push(...letters(name));
  }
  const comment = letters(end.comment ?? '');
  const count = short(end.count ?? entries.length);
  const last = [...long(0x06054b50), 0, 0, 0, 0, ...count, ...count, ...long(directory.length)];
  last.push(...long(end.start ?? begin), ...short(comment.length), ...comment);
  return new Uint8Array(Buffer.concat([...local, Uint8Array.from(directory), Uint8Array.from(last)]));
}

describe('what is written', () => {
  it.each([false, true])('is read again, packed: %s', (compress) => {
    const tensors = {
      '7': tensor(new Uint8Array([1, 2])),
      'a/b ä': randn([3, 4], { dtype: 'float64' }),
      empty: zeros([2, 0]),
      rank0: tensor(new Int32Array([-3]), []),
      large: zeros([300, 400]),
    };
    const bytes = writeNpz(tensors, { compress });
    const back = readNpz(bytes);
    expect(Object.keys(back)).toEqual(Object.keys(tensors));
    for (const [name, x] of Object.entries(tensors)) {
      expect(back[name]).toMatchObject({ dtype: x.dtype, shape: x.shape });
      expect(back[name].data).toEqual(x.data);
    }
    expect(Object.getPrototypeOf(back)).toBeNull();
    expect(bytes.length < 5000).toBe(compress);
    expect(writeNpz(tensors, { compress })).toEqual(bytes);
  });

  it('may be nothing', () => expect(Object.keys(readNpz(writeNpz({})))).toEqual([]));

  it.each([
    [{ a: 1 }, {}, 'tensors["a"] must be a tensor, got 1'],
    [{}, { compress: 1 }, 'compress must be true or false, got 1'],
    [{}, { level: 9 }, "unknown option 'level' — known options are compress"],
    [{ ['x'.repeat(20_001)]: ones([1]) }, {}, 'has 20001 letters, more than 20000'],
  ])('is refused, %#', (tensors, options, message) => {
    expect(() => writeNpz(tensors as never, options as never)).toThrow(message);
  });
});

describe('archives', () => {
  it('with a comment, which holds what looks like an end, and stored and packed entries', () => {
    const bytes = archive([{ name: 'a.npy' }, { name: 'b.npy', method: 8 }], {
      comment: 'PK\u0005\u0006 and more of it than 22',
    });
    const { a, b } = readNpz(bytes);
    expect([a.toArray(), b.toArray()]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it.each<[string, () => Uint8Array, string]>([
    ['nothing', () => new Uint8Array(), 'the archive is broken: it has no directory at its end'],
    ['no archive', () => new Uint8Array(70_000), 'it has no directory at its end'],
    ['half of one', () => archive([{}]).subarray(0, 120), 'it has no directory at its end'],
    [
      'more entries than there are',
      () => archive([{}], { count: 9 }),
      'its directory states 9 entries and has 1',
    ],
    ['a directory elsewhere', () => archive([{}], { start: 2 ** 31 }), 'at 2147483648 does not fit'],
    ['a name twice', () => archive([{}, {}]), 'entry "a.npy" is twice in the archive'],
    [
      'shared bytes',
      () => archive([{}, { name: 'b.npy', place: 0 }]),
      'entries "a.npy" and "b.npy" share bytes',
    ],
    ['an entry elsewhere', () => archive([{ place: 7 }]), 'entry "a.npy" should begin at byte 7'],
    [
      'an entry far away',
      () => archive([{ place: 0xfffffff0 }]),
      'entry "a.npy" should begin at byte 4294967280',
    ],
    [
      'a stored entry of another length',
      () => archive([{ length: 5 }]),
      'entry "a.npy" is stored, but in 140 of 5 bytes',
    ],
    [
      'a wrong checksum',
      () => archive([{ checksum: 1 }]),
      'entry "a.npy" does not have the length or the checksum',
    ],
    [
      'a wrong length',
      () => archive([{ method: 8, length: 5 }]),
      'entry "a.npy" does not have the length or the checksum',
    ],
    ['encryption', () => archive([{ flags: 1 }]), 'entry "a.npy" is encrypted'],
    [
      'another packing',
      () => archive([{ method: 12 }]),
      'is packed by method 12, read are 0 (stored) and 8 (deflated)',
    ],
    [
      'a file that is no array',
      () => archive([{ name: 'x.txt' }]),
      'entry "x.txt" is no array: its name does not end in .npy',
    ],
    ['__proto__', () => archive([{ name: '__proto__.npy' }]), 'a tensor cannot be named "__proto__"'],
    ['no name', () => archive([{ name: '.npy' }]), 'a tensor cannot be named ""'],
    [
      'an empty entry',
      () => archive([{ content: new Uint8Array() }]),
      'entry "a.npy" ends within its header, after 0 bytes',
    ],
    [
      'an empty packed entry',
      () => archive([{ method: 8, packed: new Uint8Array() }]),
      'unpacks to only 0 bytes',
    ],
    [
      'damaged packing',
      () => archive([{ method: 8, packed: new Uint8Array(50).fill(0xff) }]),
      'cannot be unpacked: invalid block type',
    ],
    [
      'packing cut off',
      () => archive([{ method: 8, packed: deflateRawSync(array).subarray(0, -4) }]),
      'of 140 bytes — is it whole?',
    ],
  ])('are refused: %s', (_, make, message) => {
    const bytes = make();
    expect(() => readNpz(bytes)).toThrow(message);
    expect(() => readNpz(bytes)).toThrow(/^readNpz: /);
  });

  it('with 64-bit sizes that lie are refused', () => {
    const bytes = archive([{}]);
    const tail = new Uint8Array(56 + 20);
    const view = new DataView(tail.buffer);
    view.setUint32(0, 0x06064b50, true);
    view.setBigUint64(32, 2n ** 60n, true);
    view.setBigUint64(40, 2n ** 60n, true);
    view.setUint32(56, 0x07064b50, true);
    view.setBigUint64(64, BigInt(bytes.length - 22), true);
    const made = new Uint8Array([...bytes.subarray(0, -22), ...tail, ...bytes.subarray(-22)]);
    expect(() => readNpz(made)).toThrow('its directory of 1152921504606847000 bytes at 0 does not fit');
    new DataView(made.buffer).setBigUint64(made.length - 34, 2n ** 63n, true);
    expect(() => readNpz(made)).toThrow(
      'its 64-bit directory should be described at byte 9223372036854776000',
    );
  });
});

describe('bombs', () => {
  /** 2^28 zeros, in a quarter of a megabyte. */
  const zip = (claim: string, length = 2 ** 28) => {
    const content = new Uint8Array(length);
    content.set(writeNpy(tensor([1])).subarray(0, 128));
    const text = `{'descr': '|u1', 'fortran_order': False, 'shape': ${claim}, }`.padEnd(117);
    content.set(new TextEncoder().encode(`${text}\n`), 10);
    return archive([{ method: 8, packed: deflateRawSync(content), length, checksum: 0 }]);
  };

  it('that state little are stopped when more comes out', () => {
    // Made before: what making it takes is not what reading it takes.
    const bomb = zip('(10,)');
    const before = process.memoryUsage().arrayBuffers;
    expect(() => readNpz(bomb)).toThrow('entry "a.npy" unpacks to more than the 138 bytes that it states');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 27);
  });

  it('that state much are stopped by maxBytes', () => {
    expect(() => readNpz(zip(`(${2 ** 31},)`, 2 ** 20))).toThrow(
      'entry "a.npy" unpacks to 2147483776 bytes, 1073741824 are allowed — raise maxBytes if the file can be trusted',
    );
    const two = writeNpz({ a: zeros([1000]), b: zeros([1000]) }, { compress: true });
    expect(() => readNpz(two, { maxBytes: 8000 })).toThrow(
      'entry "b.npy" unpacks to 4128 bytes, 3872 are allowed',
    );
    expect(readNpz(two, { maxBytes: 8256 }).b.size).toBe(1000);
  });

  it('that state more than their packed bytes can be are refused before', () => {
    expect(() => readNpz(zip(`(${2 ** 29},)`, 2 ** 16))).toThrow(
      /cannot unpack to 536871040 bytes: it has \d+ packed ones/,
    );
  });

  it('of packed bytes after the end do not take long', () => {
    // Were all of them kept, every step would copy what is there so far: minutes.
    const packed = new Uint8Array(2 ** 27);
    packed.set(deflateRawSync(array.subarray(0, 130)));
    const bytes = archive([{ method: 8, packed }]);
    expect(() => readNpz(bytes)).toThrow('unpacks to only 130 of 140 bytes');
  }, 20_000);

  it.each([-1, 1.5, '9'])('maxBytes %j is refused', (maxBytes) => {
    expect(() => readNpz(archive([{}]), { maxBytes: maxBytes as number })).toThrow(
      'maxBytes must be an integer ≥ 0',
    );
  });
});
