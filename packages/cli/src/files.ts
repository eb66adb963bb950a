/**
 * files: bytes in and out. Reads a file or stdin up to a limit; writes beside the target under a temporary name and
 * renames, so that a target is either the old file or the whole new one. Whatever was begun is removed when the command
 * fails or is stopped by Ctrl-C.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { whenStopped } from './interrupt.js';
import { Failure, grouped, misuse } from './terminal.js';

/** The name for stdin as an input and stdout as an output. */
export const STANDARD = '-';

/** The most bytes that are read as one file. */
export const MAX_BYTES = 512 * 2 ** 20;

/** What went wrong with a path, in words. */
export function pathFailure(error: unknown, path: string, doing: string): Failure {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: doing === 'read' ? 'there is no such file' : 'its folder cannot be made',
    ENOTDIR: 'a part of its path is not a folder',
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
  const reason = (code && reasons[code]) ?? (error instanceof Error ? error.message : String(error));
  return new Failure(`cannot ${doing} ${path}: ${reason}`);
}

/** All bytes of a file, or of stdin for `-`. Refuses folders, nothing at all, and more than {@link MAX_BYTES}. */
export async function readBytes(path: string): Promise<Uint8Array> {
  const name = path === STANDARD ? 'stdin' : path;
  if (path === STANDARD && process.stdin.isTTY) {
    misuse('stdin is a terminal', 'pipe a picture into it: deconv project - < picture.png');
  }
  const tooLong = () =>
    new Failure(`${name} is longer than ${grouped(MAX_BYTES / 2 ** 20)} MiB, the most that is read`);
  if (path !== STANDARD) {
    const info = await stat(path).catch((error: unknown) => {
      throw pathFailure(error, path, 'read');
    });
    if (info.isDirectory()) throw new Failure(`cannot read ${path}: it is a folder`);
    if (info.size > MAX_BYTES) throw tooLong();
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of path === STANDARD ? process.stdin : createReadStream(path)) {
      length += (chunk as Uint8Array).length;
      if (length > MAX_BYTES) throw tooLong();
      chunks.push(chunk as Uint8Array);
    }
  } catch (error) {
    throw error instanceof Failure ? error : pathFailure(error, name, 'read');
  }
  if (length === 0) throw new Failure(`${name} is empty (0 bytes)`);
  return Buffer.concat(chunks);
}

/** Refuses a target that cannot or must not be written, before any work is done for it. */
export async function checkTarget(target: string, source: string): Promise<void> {
  if (target === STANDARD) {
    if (process.stdout.isTTY)
      misuse('a picture cannot be shown on a terminal', 'redirect it: … -o - > picture.png');
    return;
  }
  // Missing folders are made when the file is written; what is there of its path must be a folder.
  for (let folder = dirname(resolve(target)); ; folder = dirname(folder)) {
    const info = await stat(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw pathFailure(error, target, 'write');
    });
    if (info === undefined) continue;
    if (!info.isDirectory()) throw new Failure(`cannot write ${target}: ${folder} is not a folder`);
    break;
  }
  const there = await stat(target).catch(() => undefined);
  if (there === undefined) return;
  if (there.isDirectory()) throw new Failure(`cannot write ${target}: it is a folder`);
  if (source === STANDARD) return;
  const input = await stat(source).catch(() => undefined);
  if (input && input.ino === there.ino && input.dev === there.dev) {
    misuse(`${target} is the input itself, which is never overwritten`, 'give another name with -o');
  }
}

/** Writes a whole file, and the folders that it lies in, or stdout for `-`. A link is followed: what it points at is replaced. */
export function writeBytes(target: string, bytes: Uint8Array): Promise<void> {
  return writeParts(target, (write) => write(bytes));
}

/** As {@link writeBytes}, part by part: what `make` hands to `write` is the file. */
export async function writeParts(
  target: string,
  make: (write: (part: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  if (target === STANDARD) {
    await make(
      (part) =>
        new Promise<void>((done, failed) => {
          process.stdout.write(part, (error) => (error ? failed(error) : done()));
        }),
    );
    return;
  }
  const path = await realpath(target).catch(() => resolve(target));
  const draft = join(
    dirname(path),
    `.${basename(path).slice(0, 100)}.${randomBytes(6).toString('hex')}.part`,
  );
  const forget = whenStopped(() => rmSync(draft, { force: true }));
  const failed = (error: unknown) => pathFailure(error, target, 'write');
  const attempt = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      throw failed(error);
    });
  try {
    await attempt(mkdir(dirname(path), { recursive: true }));
    const file = await attempt(open(draft, 'wx'));
    try {
      await make((part) => attempt(file.writeFile(part)));
    } finally {
      await file.close();
    }
    await attempt(rename(draft, path));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    forget();
  }
}
