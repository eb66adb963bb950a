/**
 * gzip: one packed file (RFC 1952), as data sets are published: a header that may carry names and comments, the packed
 * bytes, and at the end a checksum and the length. Recognised by its first two bytes, whatever the file is called.
 */
import { refuse } from '../errors.js';
import { viewOf } from './bytes.js';
import { crc32 } from './checksum.js';
import { type InflateBounds, inflate } from './inflate.js';

/** Flags of the header: what stands between its ten bytes and the packed ones. */
const CHECKSUM = 2;
const EXTRA = 4;
const NAME = 8;
const COMMENT = 16;

/** True when the bytes begin as a gzip file does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacks a gzip file of one member, within bounds, and checks it. */
export function gunzip(
  op: string,
  what: string,
  bytes: Uint8Array,
  bounds: InflateBounds,
): Uint8Array<ArrayBuffer> {
  const trailer = bytes.length - 8;
  const view = viewOf(bytes);
  let at = 10;
  const flags = bytes[3];
  if (flags & EXTRA && at + 2 <= trailer) at += 2 + view.getUint16(at, true);
  for (const text of [NAME, COMMENT]) {
    if (!(flags & text)) continue;
    const end = bytes.indexOf(0, at);
    at = end < 0 ? bytes.length : end + 1;
  }
  if (flags & CHECKSUM) at += 2;
  if (at > trailer || bytes[2] !== 8 || flags > 31) {
    refuse(op, 'bytes', `${what} begins as gzip does but has no whole gzip header`);
  }
  const out = inflate(op, what, bytes.subarray(at, trailer), bounds);
  if (crc32(out) !== view.getUint32(trailer, true) || out.length !== view.getUint32(trailer + 4, true)) {
    refuse(
      op,
      'bytes',
      `${what} does not have the checksum that it states`,
      'it was damaged, or is of several parts',
    );
  }
  return out;
}
