/**
 * files: a model's file and those that lie beside it. Only in Node; the modules are asked for when they are needed, so
 * that a page can load a model from bytes without them.
 *
 * A model may keep its weights in other files. It is not trusted with paths: these must be relative, stay inside the
 * model's folder, and not leave it by a link.
 */
import { refuse } from '../errors.js';
import type { ReadExternal } from './initializers.js';

interface FileHandle {
  stat(): Promise<{ readonly size: number }>;
  read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

interface FileSystem {
  readFile(path: string): Promise<Uint8Array>;
  realpath(path: string): Promise<string>;
  open(path: string): Promise<FileHandle>;
}

interface Paths {
  readonly sep: string;
  dirname(path: string): string;
  isAbsolute(path: string): boolean;
  join(...parts: readonly string[]): string;
}

interface Host {
  readonly process?: { getBuiltinModule?(name: string): unknown };
}

function builtin(name: string): unknown {
  const { process } = globalThis as object as Host;
  return (
    process?.getBuiltinModule?.(name) ??
    refuse(
      'loadOnnx',
      'source',
      'a path can be read in Node only',
      'in a page, fetch the file and give its bytes',
    )
  );
}

const files = () => builtin('node:fs/promises') as FileSystem;
const paths = () => builtin('node:path') as Paths;

const because = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The bytes of a model file. */
export async function readModelFile(path: string): Promise<Uint8Array> {
  const fs = files();
  try {
    return await fs.readFile(path);
  } catch (error) {
    return refuse('loadOnnx', 'source', `'${path}' cannot be read: ${because(error)}`);
  }
}

/** Refuses a location that is not plainly inside the model's folder. */
function checkLocation(location: string): void {
  const parts = location.split(/[\\/]/);
  const inside = location !== '' && !location.includes('\0') && !parts.includes('..');
  if (!inside || paths().isAbsolute(location) || /^[A-Za-z]:/.test(location) || /^[\\/]/.test(location)) {
    refuse(
      'loadOnnx',
      'external_data',
      `values lie at '${location}': only files inside the model's folder are read`,
    );
  }
}

/** Reads parts of files beside the model at `path`. */
export function besideFile(path: string): ReadExternal {
  return async (location, offset, length) => {
    checkLocation(location);
    const [fs, { dirname, join, sep }] = [files(), paths()];
    let handle: FileHandle;
    try {
      const folder = await fs.realpath(dirname(path));
      const file = await fs.realpath(join(folder, location));
      const root = folder.endsWith(sep) ? folder : folder + sep;
      if (!file.startsWith(root))
        refuse('loadOnnx', 'external_data', `'${location}' is a link out of the model's folder`);
      handle = await fs.open(file);
    } catch (error) {
      if (error instanceof Error && error.name === 'DeconvError') throw error;
      return refuse('loadOnnx', 'external_data', `'${location}' cannot be read: ${because(error)}`);
    }
    try {
      const { size } = await handle.stat();
      const wanted = length ?? size - offset;
      checkRange(location, size, offset, wanted);
      const bytes = new Uint8Array(wanted);
      for (let at = 0; at < wanted; ) {
        const { bytesRead } = await handle.read(bytes, at, wanted - at, offset + at);
        if (bytesRead === 0) refuse('loadOnnx', 'external_data', `'${location}' ended while it was read`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  };
}

function checkRange(location: string, size: number, offset: number, length: number): void {
  if (length >= 0 && offset + length <= size) return;
  refuse(
    'loadOnnx',
    'external_data',
    `'${location}' has ${size} bytes, the model wants ${length} from ${offset}`,
  );
}

/** Parts of files whose bytes were given, by their location in the model. */
export function amongBytes(given: Readonly<Record<string, Uint8Array>> | undefined): ReadExternal {
  return (location, offset, length) => {
    const bytes = given !== undefined && Object.hasOwn(given, location) ? given[location] : undefined;
    if (!(bytes instanceof Uint8Array)) {
      return refuse(
        'loadOnnx',
        'externalData',
        `the model keeps values in another file, '${location}'`,
        `load it by path, or give its bytes: loadOnnx(bytes, { externalData: { '${location}': bytes } })`,
      );
    }
    const wanted = length ?? bytes.length - offset;
    checkRange(location, bytes.length, offset, wanted);
    return new Uint8Array(bytes.subarray(offset, offset + wanted));
  };
}
