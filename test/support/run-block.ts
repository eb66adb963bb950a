/**
 * Runs and compiles the code blocks of the documents. A `console.log(…); // text` claims that just this is printed
 * there; white space does not count, and `…` in the text stands for anything.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import ts from 'typescript';
import { root } from '../../scripts/setup.mjs';
import type { Block } from './blocks.js';

/** Lies inside the repository, so that `deconv` means the sources here as it does in the tests; git ignores it. */
const folder = join(root, 'test/.blocks');

const slug = (block: Block) => `${block.file.replace(/[^\w]+/g, '-')}-${block.line}.${block.language}`;

/** A place that prints, and what its comment says is printed; undefined when it says nothing. */
export interface Claim {
  readonly line: number;
  readonly expected: string | undefined;
  /** What was printed there, one entry per call. */
  readonly printed: string[];
}

/** Finds every `console.log(…)`, in order, with the comment that follows its statement on the same line. */
function findPrints(
  source: ts.SourceFile,
): { node: ts.Expression; line: number; expected: string | undefined }[] {
  const found: ReturnType<typeof findPrints> = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.getText(source) === 'console.log') {
      const end = ts.isExpressionStatement(node.parent) ? node.parent.end : node.end;
      const [comment] = ts.getTrailingCommentRanges(source.text, end) ?? [];
      const text = comment && source.text.slice(comment.pos, comment.end).replace(/^\/\/|^\/\*|\*\/$/g, '');
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
      found.push({ node: node.expression, line, expected: text?.trim() });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Runs a block as a module of its own and gives what each of its `console.log` printed, as Node prints it. */
export async function runBlock(block: Block): Promise<Claim[]> {
  const path = join(folder, slug(block));
  const source = ts.createSourceFile(path, block.code, ts.ScriptTarget.Latest, true);
  const prints = findPrints(source);
  const claims = prints.map(({ line, expected }) => ({
    line: block.line + line,
    expected,
    printed: [] as string[],
  }));
  let code = block.code;
  for (const [index, { node }] of [...prints.entries()].reverse()) {
    code = `${code.slice(0, node.getStart(source))}deconvPrints[${index}]${code.slice(node.end)}`;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, code);
  const sinks = claims.map(
    ({ printed }) =>
      (...values: unknown[]) =>
        void printed.push(format(...values)),
  );
  Object.assign(globalThis, { deconvPrints: sinks });
  await import(/* @vite-ignore */ path);
  return claims;
}

/** True when what was printed is what the comment says. */
export function agrees(expected: string, printed: readonly string[]): boolean {
  const squeeze = (text: string) => text.replace(/\s+/g, ' ').trim();
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = squeeze(expected).split('…').map(literal).join('.*');
  return new RegExp(`^${pattern}$`).test(squeeze(printed.join(' ')));
}

/**
 * What the compiler says of the blocks, as `file:line: message`; nothing when all are right. They are held to the
 * project's own strictness with a page's types in reach, except that a block may leave names unused and JavaScript
 * need not declare types.
 */
export function compileBlocks(blocks: readonly Block[]): string[] {
  const config = ts.readConfigFile(join(root, 'tsconfig.test.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  options.lib = [...(options.lib ?? []), 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'];
  options.noUnusedLocals = false;
  options.noUnusedParameters = false;
  options.moduleDetection = ts.ModuleDetectionKind.Force;
  const byPath = new Map(blocks.map((block) => [join(folder, slug(block)).replaceAll('\\', '/'), block]));
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (path) => byPath.get(path)?.code ?? readFile(path);
  host.fileExists = (path) => byPath.has(path) || fileExists(path);
  host.getSourceFile = (path, version, ...rest) => {
    const block = byPath.get(path);
    return block
      ? ts.createSourceFile(path, block.code, version, true)
      : getSourceFile(path, version, ...rest);
  };
  const program = ts.createProgram([...byPath.keys()], options, host);
  const complaints: string[] = [];
  for (const [path, block] of byPath) {
    const file = program.getSourceFile(path);
    for (const { start, code, messageText } of ts.getPreEmitDiagnostics(program, file)) {
      if (block.language === 'js' && code >= 7000 && code < 8000) continue;
      const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0;
      complaints.push(
        `${block.file}:${block.line + line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
      );
    }
  }
  return complaints;
}
