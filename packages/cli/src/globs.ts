/**
 * globs: names of files from patterns, for shells that do not expand them and for patterns in quotes. Known are `*`, `?`,
 * `[abc]`, `[!a-z]`, `{one,two}` and `**` (folders at any depth; links to folders are not followed). As in a shell, names
 * that begin with a dot are found only by patterns that do, and a name that exists is itself, whatever letters it has.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const SPECIAL = /[*?[{]/;

/** The most patterns that braces may stand for. */
const MOST_BRANCHES = 1000;

/** `a{b,c}d` → `abd`, `acd`. */
function withoutBraces(pattern: string): string[] {
  const [whole, before, inside, after] = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/.exec(pattern) ?? [];
  if (whole === undefined) return [pattern];
  const all = inside.split(',').map((part) => before + part + after);
  const found: string[] = [];
  for (const one of all) {
    found.push(...withoutBraces(one));
    if (found.length > MOST_BRANCHES) return found.slice(0, MOST_BRANCHES);
  }
  return found;
}

/** Does a name fit one part of a pattern? */
function matcher(part: string): RegExp {
  const text = part.replace(/\[!?[^\]]+\]|\*+|\?|[.+^${}()|\\[\]]/g, (token) => {
    if (token[0] === '*') return '.*';
    if (token === '?') return '.';
    if (token.length > 2 && token[0] === '[')
      return `[${token.slice(1, -1).replace(/^!/, '^').replace(/\\/g, '\\\\')}]`;
    return `\\${token}`;
  });
  const hidden = part.startsWith('.') ? '' : '(?!\\.)';
  return new RegExp(`^${hidden}${text}$`, 'su');
}

/** Entries of a folder by name; none where it cannot be read. */
async function entriesOf(folder: string) {
  const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function walk(folder: string, parts: readonly string[], found: Set<string>): Promise<void> {
  const [part, ...rest] = parts;
  const last = rest.length === 0;
  if (!SPECIAL.test(part)) {
    const path = folder === '' && part === '' ? '/' : join(folder, part);
    if (!existsSync(path)) return;
    if (!last) await walk(path, rest, found);
    else if ((await stat(path)).isFile()) found.add(path);
    return;
  }
  if (part === '**') {
    await walk(folder, last ? ['*'] : rest, found);
    for (const entry of await entriesOf(folder)) {
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        await walk(join(folder, entry.name), parts, found);
    }
    return;
  }
  const fits = matcher(part);
  for (const entry of await entriesOf(folder)) {
    if (!fits.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const info = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (last && info?.isFile()) found.add(path);
    if (!last && info?.isDirectory()) await walk(path, rest, found);
  }
}

/** Is this a pattern, and not the name of something that exists? */
export const isPattern = (text: string): boolean => SPECIAL.test(text) && !existsSync(text);

/** Files that a pattern stands for, in the order of their names, each once; none is an empty list. */
export async function expand(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  const plain = process.platform === 'win32' ? pattern.replaceAll('\\', '/') : pattern;
  for (const one of withoutBraces(plain)) await walk('', one.split('/'), found);
  return [...found];
}
