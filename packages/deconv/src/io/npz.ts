/**
 * npz: several npy files in one zip archive, as `numpy.savez` and `numpy.savez_compressed` write them. Names lose and gain
 * their ending `.npy` here. Everything an archive states is checked: checksums, lengths, names that stand twice.
 */
import { checkOptions, refuse, show } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { asBytes, checkEntryName, checkTensors } from './bytes.js';
import { crc32 } from './checksum.js';
import { checkMaxBytes, inflate, type UnpackOptions } from './inflate.js';
import { npyLayout, readArray, writeArray } from './npy.js';
import { readZip, writeZip } from './zip.js';

const ENDING = '.npy';

/**
 * The tensors of an npz file, by name: what `numpy.savez` and `numpy.savez_compressed` write. Number types become those of
 * tensors as {@link readNpy} says.
 *
 * @param bytes the whole file
 * @returns an object without prototype, in the order of the archive
 * @throws DeconvError for a malformed or damaged archive or array, for entries that are no arrays, and where the packed
 *   arrays together unpack to more than `maxBytes`
 * @example
 * ```ts
 * import { ones, zeros } from 'deconv';
 * import { readNpz, writeNpz } from 'deconv/io';
 * const bytes = writeNpz({ mean: zeros([3]), scale: ones([3]) }, { compress: true });
 * console.log(Object.keys(readNpz(bytes))); // [ 'mean', 'scale' ]
 * ```
 */
export function readNpz(
  bytes: Uint8Array | ArrayBuffer,
  options: UnpackOptions = {},
): Record<string, Tensor> {
  const op = 'readNpz';
  let maxBytes = checkMaxBytes(op, options);
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const { name: path, packed, deflated, length, checksum } of readZip(op, asBytes(op, bytes))) {
    const what = `entry ${show(path)}`;
    if (!path.endsWith(ENDING))
      refuse(op, 'bytes', `${what} is no array: its name does not end in ${ENDING}`);
    const name = path.slice(0, -ENDING.length);
    checkEntryName(op, 'bytes', name);
    if (name in tensors) refuse(op, 'bytes', `${what} is twice in the archive`);
    let file = packed;
    if (deflated) {
      const lengthOf = (head: Uint8Array) => npyLayout(op, what, head)?.length;
      file = inflate(op, what, packed, { lengthOf, maxBytes });
      maxBytes -= file.length;
    }
    if (file.length !== length || crc32(file) !== checksum) {
      refuse(
        op,
        'bytes',
        `${what} does not have the length or the checksum that the archive states`,
        'it was damaged',
      );
    }
    tensors[name] = readArray(op, what, file);
  }
  return tensors;
}

/** Options of {@link writeNpz}. */
export interface NpzOptions {
  /** Pack the arrays, as `numpy.savez_compressed` does. Default false. */
  readonly compress?: boolean | undefined;
}

/**
 * An npz file of tensors by name, for `numpy.load`.
 *
 * @throws DeconvError when the file would be longer than 4 GiB
 * @example
 * ```ts
 * import { arange } from 'deconv';
 * import { readNpz, writeNpz } from 'deconv/io';
 * console.log(readNpz(writeNpz({ a: arange(3) })).a.data); // Float32Array(3) [ 0, 1, 2 ]
 * ```
 */
export function writeNpz(
  tensors: Readonly<Record<string, Tensor>>,
  options: NpzOptions = {},
): Uint8Array<ArrayBuffer> {
  const op = 'writeNpz';
  checkOptions(op, options, ['compress']);
  const { compress = false } = options;
  if (typeof compress !== 'boolean') {
    refuse(op, 'compress', `compress must be true or false, got ${show(compress)}`);
  }
  const files = checkTensors(op, tensors).map(([name, tensor]) => {
    if (name.length > 20_000)
      refuse(op, 'tensors', `the name ${show(name)} has ${name.length} letters, more than 20000`);
    return [`${name}${ENDING}`, writeArray(op, `tensor ${show(name)}`, tensor)] as const;
  });
  return writeZip(op, files, compress);
}
