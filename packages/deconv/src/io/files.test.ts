import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readFile, writeFile } from './index.js';

const place = mkdtempSync(join(tmpdir(), 'deconv-io-'));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(place, 'case-'));
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(place, { recursive: true, force: true }));

const bytes = Uint8Array.of(1, 2, 3);
const old = Uint8Array.of(9);

/** Lets the file system of Node fail in one method of an open file, after it has done its part. */
function failing(method: 'writeFile' | 'sync' | 'close', code: string): void {
  const builtin = process.getBuiltinModule;
  const open = async (path: string, flags: string) => {
    const file = await promises.open(path, flags);
    const before = file[method].bind(file) as (given?: Uint8Array) => Promise<void>;
    file[method] = async (given?: unknown) => {
      // A full disk takes the first bytes and then no more.
      await before(given instanceof Uint8Array ? given.subarray(0, 1) : undefined);
      throw Object.assign(new Error(code), { code });
    };
    return file;
  };
  vi.spyOn(process, 'getBuiltinModule').mockImplementation(((name: string) =>
    name === 'node:fs/promises' ? { ...promises, open } : builtin(name)) as typeof process.getBuiltinModule);
}

describe('writeFile', () => {
  it('writes, makes folders, replaces, and leaves nothing beside', async () => {
    const path = join(folder, 'a/b/x.bin');
    await writeFile(path, old);
    await writeFile(path, bytes);
    expect(await readFile(path)).toEqual(bytes);
    await writeFile(path, bytes.buffer);
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['x.bin']);
    await writeFile(path, new Uint8Array());
    expect(await readFile(path)).toEqual(new Uint8Array());
  });

  it.each([
    ['writeFile', 'ENOSPC', 'no space left on the device'],
    ['sync', 'EIO', 'EIO'],
    ['close', 'EDQUOT', 'the quota of the disk is used up'],
  ] as const)('leaves the old file and no debris when %s fails', async (method, code, reason) => {
    const path = join(folder, 'x.bin');
    writeFileSync(path, old);
    failing(method, code);
    await expect(writeFile(path, bytes)).rejects.toThrow(`writeFile: cannot write ${path}: ${reason}`);
    expect([...readFileSync(path)]).toEqual([9]);
    expect(readdirSync(folder)).toEqual(['x.bin']);
  });

  it('writes many at once to one name: one of them stands there whole', async () => {
    const path = join(folder, 'x.bin');
    await Promise.all(Array.from({ length: 8 }, (_, i) => writeFile(path, new Uint8Array(1000).fill(i))));
    const found = await readFile(path);
    expect(found).toEqual(new Uint8Array(1000).fill(found[0]));
    expect(readdirSync(folder)).toEqual(['x.bin']);
  });

  it('refuses folders and what is no path or no bytes', async () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'plain'), old);
    await expect(writeFile(join(folder, 'sub'), bytes)).rejects.toThrow('sub: it is a folder');
    await expect(writeFile(join(folder, 'plain/x'), bytes)).rejects.toThrow(
      'a part of its path is not a folder',
    );
    await expect(writeFile('', bytes)).rejects.toThrow('writeFile: path must be the name of a file, got ""');
    await expect(writeFile('a\0b', bytes)).rejects.toThrow('path must be the name of a file');
    await expect(writeFile(join(folder, 'x'), 'text' as never)).rejects.toThrow('bytes must be a Uint8Array');
    expect(readdirSync(folder).sort()).toEqual(['plain', 'sub']);
  });

  // Links and permissions are not Windows' strength, and /dev/null is not there.
  if (process.platform !== 'win32') {
    it('follows a link, and keeps permissions', async () => {
      const target = join(folder, 'target');
      writeFileSync(target, old);
      chmodSync(target, 0o640);
      symlinkSync('target', join(folder, 'link'));
      await writeFile(join(folder, 'link'), bytes);
      expect([...readFileSync(target)]).toEqual([1, 2, 3]);
      expect(statSync(target).mode & 0o777).toBe(0o640);
      expect(readdirSync(folder).sort()).toEqual(['link', 'target']);
    });

    it('replaces no device', async () => {
      await expect(writeFile('/dev/null', bytes)).rejects.toThrow(
        'cannot write /dev/null: it is not a regular file',
      );
      await expect(readFile('/dev/zero')).rejects.toThrow('cannot read /dev/zero: it is not a regular file');
      expect(existsSync('/dev/null')).toBe(true);
    });
  }
});

describe('readFile', () => {
  it('refuses what is not there', async () => {
    const path = join(folder, 'none');
    await expect(readFile(path)).rejects.toThrow(`readFile: cannot read ${path}: there is no such file`);
    await expect(readFile(folder)).rejects.toThrow(`cannot read ${folder}: it is a folder`);
    await expect(readFile(3 as never)).rejects.toThrow('readFile: path must be the name of a file, got 3');
  });
});

it('in a page, says that there are no files', async () => {
  vi.spyOn(process, 'getBuiltinModule').mockImplementation((() => undefined) as never);
  const message =
    'files can be reached in Node only, not in a page — fetch() bytes, or offer them as a download';
  await expect(readFile('x')).rejects.toThrow(`readFile: ${message}`);
  await expect(writeFile('x', bytes)).rejects.toThrow(`writeFile: ${message}`);
});
