/**
 * zip: the archive around the arrays of an npz file (PKWARE's APPNOTE): entries stored or deflated, with the 64-bit sizes
 * that NumPy writes. The directory at the end is what counts. Refused: archives of several disks, encrypted entries,
 * other packings, and entries that share bytes, of which a small file could make much.
 */
import { zipSync } from 'fflate';
import { refuse, show } from '../errors.js';
import { decodeText, viewOf } from './bytes.js';

const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;

/** In 32 bits: see the 64-bit field. */
const ELSEWHERE = 0xffffffff;

/** One file in an archive. */
export interface ZipEntry {
  readonly name: string;
  /** The bytes in the archive: the file itself, or deflated. */
  readonly packed: Uint8Array;
  readonly deflated: boolean;
  /** Length and CRC-32 of the file itself, as the directory states them. */
  readonly length: number;
  readonly checksum: number;
}

/** The entries of an archive, in the order of its directory, and no two that share bytes. */
export function readZip(op: string, bytes: Uint8Array): ZipEntry[] {
  const view = viewOf(bytes);
  const broken = (why: string): never => refuse(op, 'bytes', `the archive is broken: ${why}`, 'is it whole?');
  /** A 64-bit number; whatever is too large for a place in the file is refused where it is used. */
  const long = (at: number) => Number(view.getBigUint64(at, true));

  const { count, start, end } = findDirectory(view, broken, long);
  const spans: { readonly name: string; readonly begin: number; readonly end: number }[] = [];
  const entries: ZipEntry[] = [];
  let at = start;
  for (let index = 0; index < count; index++) {
    if (at + 46 > end || view.getUint32(at, true) !== DIRECTORY_ENTRY) {
      broken(`its directory states ${count} entries and has ${index}`);
    }
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > end) broken(`entry ${index} of its directory is cut off`);
    const name = decodeText(op, 'the name of an entry', bytes.subarray(at + 46, nameEnd));
    const what = `entry ${show(name)}`;
    if (flags & 0x2041) refuse(op, 'bytes', `${what} is encrypted`);
    if (method !== 0 && method !== 8) {
      refuse(op, 'bytes', `${what} is packed by method ${method}, read are 0 (stored) and 8 (deflated)`);
    }

    // Unpacked length, packed length and place; each moves to the 64-bit field when 32 bits are too few.
    const numbers = [24, 20, 42].map((offset) => view.getUint32(at + offset, true));
    for (let field = nameEnd; field + 4 <= extraEnd; ) {
      const fieldEnd = field + 4 + view.getUint16(field + 2, true);
      if (fieldEnd > extraEnd) break;
      if (view.getUint16(field, true) === 1) {
        let value = field + 4;
        for (const [i, number] of numbers.entries()) {
          if (number !== ELSEWHERE || value + 8 > fieldEnd) continue;
          numbers[i] = long(value);
          value += 8;
        }
      }
      field = fieldEnd;
    }
    const [length, packedLength, place] = numbers;
    if (place + 30 > start || view.getUint32(place, true) !== LOCAL_ENTRY) {
      broken(`${what} should begin at byte ${place}`);
    }
    const begin = place + 30 + view.getUint16(place + 26, true) + view.getUint16(place + 28, true);
    if (begin + packedLength > start) broken(`${what} of ${packedLength} bytes at ${begin} does not fit`);
    if (method === 0 && length !== packedLength)
      broken(`${what} is stored, but in ${packedLength} of ${length} bytes`);
    spans.push({ name, begin: place, end: begin + packedLength });
    entries.push({
      name,
      packed: bytes.subarray(begin, begin + packedLength),
      deflated: method === 8,
      length,
      checksum: view.getUint32(at + 16, true),
    });
    at = next;
  }
  spans.sort((a, b) => a.begin - b.begin);
  for (const [i, span] of spans.entries()) {
    if (i > 0 && span.begin < spans[i - 1].end) {
      broken(`entries ${show(spans[i - 1].name)} and ${show(span.name)} share bytes`);
    }
  }
  return entries;
}

/** How many entries the directory has, and where it lies. */
function findDirectory(
  view: DataView,
  broken: (why: string) => never,
  long: (at: number) => number,
): { readonly count: number; readonly start: number; readonly end: number } {
  // The last record may be followed by a comment of up to 65,535 bytes; its length must be right.
  let last = view.byteLength - 22;
  const lowest = Math.max(0, last - 0xffff);
  const isLast = () =>
    view.getUint32(last, true) === END && last + 22 + view.getUint16(last + 20, true) === view.byteLength;
  while (last >= lowest && !isLast()) last--;
  if (last < lowest) broken('it has no directory at its end');
  let count = view.getUint16(last + 10, true);
  let size = view.getUint32(last + 12, true);
  let start = view.getUint32(last + 16, true);
  let disks = view.getUint16(last + 4, true);
  let end = last;
  if (last >= 20 && view.getUint32(last - 20, true) === END_64_LOCATOR) {
    const record = long(last - 12);
    if (record + 56 > last - 20 || view.getUint32(record, true) !== END_64) {
      broken(`its 64-bit directory should be described at byte ${record}`);
    }
    disks = view.getUint32(record + 16, true);
    count = long(record + 32);
    size = long(record + 40);
    start = long(record + 48);
    end = record;
  }
  if (disks !== 0) broken('it is one of several disks');
  if (start + size > end) broken(`its directory of ${size} bytes at ${start} does not fit`);
  return { count, start, end: start + size };
}

/** An archive of files by name, all dated to the first day of 1980, so that equal contents give equal bytes. */
export function writeZip(
  op: string,
  files: readonly (readonly [name: string, bytes: Uint8Array])[],
  compress: boolean,
): Uint8Array<ArrayBuffer> {
  const total = files.reduce((sum, [name, bytes]) => sum + bytes.length + 3 * name.length + 128, 22);
  if (total >= ELSEWHERE || files.length >= 0xffff) {
    refuse(
      op,
      'tensors',
      `${files.length} arrays of ${total} bytes are more than a 32-bit archive holds`,
      'use writeSafetensors',
    );
  }
  const level = compress ? 6 : 0;
  // Local time on both sides: the archive has no time zone.
  return zipSync(Object.fromEntries(files), {
    level,
    mtime: new Date(1980, 0, 1),
  }) as Uint8Array<ArrayBuffer>;
}
