/**
 * The engine in a page: on several threads where the page is isolated from other origins, on one where it is not; the
 * same bits either way as on one thread, and the same numbers as the reference.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from './support/browser.js';

const PAGE = `
import { configure, conv2d, convTranspose2d, randn, sum } from 'deconv';

const x = randn([2, 24, 33, 31], { seed: 1, requiresGrad: true });
const w = randn([24, 20, 4, 4], { seed: 2, requiresGrad: true });
const v = randn([40, 24, 3, 3], { seed: 3 });

const round = () => {
  x.grad = null;
  w.grad = null;
  const y = convTranspose2d(x, w, { stride: 2, padding: 1 });
  const z = conv2d(x.detach(), v, { padding: 1 });
  sum(y).backward();
  return [y, z, x.grad, w.grad].map((t) => Array.from(t.data));
};
const most = (list) => list.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
const largest = (a, b) => most(a.map((list, i) => most(list.map((value, j) => value - b[i][j])) / most(list)));

await configure({ backend: 'reference' });
const exact = round();
const alone = await configure({ backend: 'wasm', threads: 1 });
const one = round();
const shared = await configure({ backend: 'wasm', threads: 3 });
let same = true;
for (let i = 0; i < 12; i++) {
  same &&= JSON.stringify(round()) === JSON.stringify(one);
  await new Promise((resolve) => setTimeout(resolve, 30));
}
globalThis.report = {
  isolated: crossOriginIsolated,
  alone: alone.threads,
  shared: shared.threads,
  same,
  error: largest(one, exact),
};
`;

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deconv-page-'));
  writeFileSync(join(folder, 'main.js'), PAGE);
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>',
  );
  const source = fileURLToPath(new URL('../packages/deconv/src/index.ts', import.meta.url));
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    resolve: { alias: { deconv: source } },
    build: { target: 'esnext' },
  });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

function serve(headers: Readonly<Record<string, string>>): Promise<Server> {
  const server = createServer((request, response) => {
    const name = request.url === '/' ? '/index.html' : (request.url ?? '');
    response.writeHead(200, { ...headers, 'content-type': TYPES[extname(name)] ?? 'text/plain' });
    response.end(readFileSync(join(folder, 'dist', name)));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

describe.each([
  [
    'isolated',
    { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' },
    3,
  ],
  ['ordinary', {}, 1],
] as const)('in an %s page', (name, headers, threads) => {
  it(`works on ${threads} thread${threads === 1 ? '' : 's'}, with the bits of one and the numbers of the reference`, async () => {
    const server = await serve(headers);
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    try {
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const waiting = page.waitForFunction('globalThis.report', undefined, { timeout: 30_000 });
      const report = await waiting.catch((error: unknown) =>
        expect.fail([...errors, String(error)].join('\n')),
      );
      const found = (await report.jsonValue()) as Record<string, number | boolean>;
      expect(found).toMatchObject({ isolated: name === 'isolated', alone: 1, shared: threads, same: true });
      expect(found['error']).toBeLessThan(1e-5);
      expect(errors).toEqual([]);
    } finally {
      await page.close();
      server.close();
    }
  });
});
