/**
 * files: bytes from and to the disk, in Node (or Bun, or Deno; a page has no files and is told so). A file is written
 * beside its target under a name of its own, brought to the disk, and renamed: whatever happens, the target is either the
 * old file or the whole new one, and nothing half-written is left.
 */
import { DeconvError, refuse, show } from '../errors.js';
import { asBytes, reserve } from './bytes.js';

interface Stats {
  readonly size: number;
  readonly mode: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

interface FileHandle {
  read(into: Uint8Array, offset: number, length: number): Promise<{ readonly bytesRead: number }>;
  writeFile(bytes: Uint8Array): Promise<void>;
  chmod(mode: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What is used of `node:fs/promises`; typed here, so that a page needs no types of Node. */
interface FileSystem {
  open(path: string, flags: string): Promise<FileHandle>;
  stat(path: string): Promise<Stats>;
  realpath(path: string): Promise<string>;
  mkdir(path: string, options: { recursive: boolean }): Promise<unknown>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
}

/** What is used of `node:path`. */
interface Paths {
  basename(path: string): string;
  dirname(path: string): string;
  join(...parts: string[]): string;
  resolve(path: string): string;
}

interface Host {
  readonly process?: { getBuiltinModule?(name: string): unknown };
}

/** The most bytes that are read at once: systems refuse 2 GiB. */
const STEP = 2 ** 28;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is not a folder',
  EEXIST: 'a part of its path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file would be longer than the system allows',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links go round in a circle',
};

function modules(op: string): { files: FileSystem; paths: Paths } {
  const builtin = (name: string) => (globalThis as object as Host).process?.getBuiltinModule?.(name);
  const files = builtin('node:fs/promises');
  if (files === undefined) {
    refuse(
      op,
      'path',
      'files can be reached in Node only, not in a page',
      'fetch() bytes, or offer them as a download',
    );
  }
  return { files: files as FileSystem, paths: builtin('node:path') as Paths };
}

function checkPath(op: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    refuse(op, 'path', `path must be the name of a file, got ${show(path)}`);
  }
}

const codeOf = (error: unknown) => (error as { readonly code?: string } | null)?.code ?? '';

function failed(op: string, doing: string, path: string, error: unknown): never {
  if (error instanceof DeconvError) throw error;
  const reason = reasons[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
  refuse(op, 'path', `cannot ${doing} ${path}: ${reason}`);
}

/** Refuses folders, devices and pipes: some never end, and none may be replaced. */
function checkKind(op: string, doing: string, path: string, stats: Stats): void {
  if (!stats.isFile()) {
    refuse(
      op,
      'path',
      `cannot ${doing} ${path}: it is ${stats.isDirectory() ? 'a folder' : 'not a regular file'}`,
    );
  }
}

/**
 * All bytes of a file. Node only.
 *
 * @throws DeconvError when there is no such file or it cannot be read, and in a page
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { readFile, readNpy, writeFile, writeNpy } from 'deconv/io';
 * const path = `${process.env.TMPDIR ?? '/tmp'}/deconv-example-${process.pid}/x.npy`;
 * await writeFile(path, writeNpy(tensor([1, 2])));
 * console.log(readNpy(await readFile(path)).data); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const op = 'readFile';
  checkPath(op, path);
  const { files } = modules(op);
  try {
    const stats = await files.stat(path);
    checkKind(op, 'read', path, stats);
    const file = await files.open(path, 'r');
    try {
      const bytes = reserve(op, 'path', stats.size);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, Math.min(STEP, bytes.length - filled));
        if (bytesRead === 0) refuse(op, 'path', `cannot read ${path}: it became shorter meanwhile`);
        filled += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  } catch (error) {
    failed(op, 'read', path, error);
  }
}

/**
 * Writes a whole file, and makes the folders that it lies in. The bytes are written beside the target, brought to the
 * disk and renamed, so that whoever reads it finds either the old file or the whole new one; when the disk is full, the old
 * one stays as it is. A link is followed: what it points at is replaced, and keeps its permissions. Node only.
 *
 * @throws DeconvError when the file cannot be written, and in a page
 */
export async function writeFile(path: string, bytes: Uint8Array | ArrayBuffer): Promise<void> {
  const op = 'writeFile';
  checkPath(op, path);
  const content = asBytes(op, bytes);
  const { files, paths } = modules(op);
  const unlessMissing = (error: unknown) =>
    codeOf(error) === 'ENOENT' ? undefined : failed(op, 'write', path, error);
  const target = (await files.realpath(path).catch(unlessMissing)) ?? paths.resolve(path);
  const old = await files.stat(target).catch(unlessMissing);
  if (old !== undefined) checkKind(op, 'write', path, old);
  const folder = paths.dirname(target);
  const tag = Math.random().toString(36).slice(2, 12);
  const draft = paths.join(folder, `.${paths.basename(target).slice(0, 100)}.${tag}.part`);
  try {
    await files.mkdir(folder, { recursive: true });
    const file = await files.open(draft, 'wx');
    try {
      if (old !== undefined) await file.chmod(old.mode & 0o777);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await files.rename(draft, target);
  } catch (error) {
    await files.rm(draft, { force: true }).catch(() => undefined);
    failed(op, 'write', path, error);
  }
}
