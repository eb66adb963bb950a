/**
 * inflate: DEFLATE (RFC 1951) unpacked within bounds, by the library fflate. How much must come out is read from the
 * beginning of what comes out; that much is allocated, nothing more is unpacked, and a file that claims more than its
 * packed bytes can be is refused before. So neither a false claim nor a bomb costs memory.
 */
import { Inflate } from 'fflate';
import { checkOptions, refuse, show } from '../errors.js';
import { reserve } from './bytes.js';

/** How many bytes are unpacked at a time: 16 KiB become at most 16 MiB. */
const STEP = 2 ** 14;

/** A byte of DEFLATE stands for at most 1032: a run of 258 in two bits. */
const MOST_PER_BYTE = 1032;

/** Packed bytes that may go by with nothing coming out: more than the longest block that waits to be whole. */
const MOST_SILENT = 2 ** 18;

/** The most bytes that packed data may unpack to, unless the caller says otherwise. */
const MAX_UNPACKED = 2 ** 30;

/** Options of readers that unpack. */
export interface UnpackOptions {
  /** The most bytes that packed data may unpack to. Default 2³⁰, one GiB. */
  readonly maxBytes?: number | undefined;
}

/** The limit out of the options. */
export function checkMaxBytes(op: string, options: UnpackOptions): number {
  checkOptions(op, options, ['maxBytes']);
  const { maxBytes = MAX_UNPACKED } = options;
  if (!Number.isInteger(maxBytes) || maxBytes < 0) {
    refuse(op, 'maxBytes', `maxBytes must be an integer ≥ 0, got ${show(maxBytes)}`);
  }
  return maxBytes;
}

/** Bounds of {@link inflate}. */
export interface InflateBounds {
  /** How long the whole is, told from its beginning; undefined when that is too short to tell. */
  readonly lengthOf: (head: Uint8Array) => number | undefined;
  /** The most bytes that may be unpacked. */
  readonly maxBytes: number;
}

/**
 * Unpacks `packed`, as long as `lengthOf` says; what follows the end of the packed stream is not looked at.
 *
 * @param what the file, as messages call it
 */
export function inflate(
  op: string,
  what: string,
  packed: Uint8Array,
  { lengthOf, maxBytes }: InflateBounds,
): Uint8Array<ArrayBuffer> {
  let fresh: Uint8Array = new Uint8Array(0);
  const stream = new Inflate((chunk) => {
    fresh = chunk;
  });
  // All that has come out while its length is not known; then a place for the whole.
  let out = new Uint8Array(0);
  let length: number | undefined;
  let filled = 0;
  let silent = 0;
  for (let at = 0; at < packed.length && filled !== length && silent < MOST_SILENT; at += STEP) {
    try {
      stream.push(packed.subarray(at, at + STEP), false);
    } catch (error) {
      refuse(op, 'bytes', `${what} cannot be unpacked: ${error instanceof Error ? error.message : error}`);
    }
    silent = fresh.length === 0 ? silent + STEP : 0;
    if (length === undefined) {
      const head = new Uint8Array(filled + fresh.length);
      head.set(out);
      head.set(fresh, filled);
      out = head;
      length = lengthOf(head);
      if (length !== undefined) {
        checkLength(op, what, length, packed.length, maxBytes);
        out = reserve(op, 'bytes', length);
        out.set(head.subarray(0, length));
      }
    } else {
      out.set(fresh.subarray(0, length - filled), filled);
    }
    filled += fresh.length;
    if (length !== undefined && filled > length) {
      refuse(op, 'bytes', `${what} unpacks to more than the ${length} bytes that it states`);
    }
  }
  if (filled !== length) {
    const wanted = length === undefined ? '' : ` of ${length}`;
    refuse(op, 'bytes', `${what} unpacks to only ${filled}${wanted} bytes`, 'is it whole?');
  }
  return out;
}

function checkLength(op: string, what: string, length: number, packed: number, maxBytes: number): void {
  if (length > maxBytes) {
    const rule = `${what} unpacks to ${length} bytes, ${maxBytes} are allowed`;
    refuse(op, 'maxBytes', rule, 'raise maxBytes if the file can be trusted');
  }
  if (length > packed * MOST_PER_BYTE) {
    refuse(op, 'bytes', `${what} cannot unpack to ${length} bytes: it has ${packed} packed ones`);
  }
}
