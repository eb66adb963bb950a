/**
 * browser: `npm run bench:browser`. The same measurements in a page of headless Chromium, which is served with the
 * headers that make it cross-origin isolated, so that everyone has threads.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suites } from './cases.mjs';
import { readOptions } from './options.mjs';
import { flops } from './problem.mjs';
import { disagreements, finish, showHead, showSuite } from './report.mjs';
import { ensurePeers, machine, resultFile, save, versionOf } from './setup.mjs';

const peers = ['ort-web', 'tfjs-wasm'];
const known = ['forward', 'conv', 'backward', 'conv-backward', 'ranks', 'tiny'];
const usage = `npm run bench:browser -- [options]
  --only LIST    suites: ${known.join(', ')} (forward,conv)
  --peers LIST   peers: ${peers.join(', ')}
  --runs N, --quick, --json FILE   as in npm run bench`;

const options = readOptions(usage, peers, known, ['forward', 'conv']);
ensurePeers();

const here = fileURLToPath(new URL('.', import.meta.url));
const pageFolder = join(here, '.page');
const { build } = await import('vite');
await build({
  root: join(here, 'page'),
  configFile: false,
  logLevel: 'error',
  build: { outDir: pageFolder, emptyOutDir: true, target: 'esnext', minify: false },
});

const folders = {
  '/ort/': join(here, 'node_modules/onnxruntime-web/dist'),
  '/tfjs/': join(here, 'node_modules/@tensorflow/tfjs-backend-wasm/dist'),
  '/': pageFolder,
};
/** @type {Record<string, string>} */
const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

const server = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start)) ?? [
    '/',
    pageFolder,
  ];
  const inside = normalize(`/${path.slice(prefix.length)}`);
  const file = join(folder, inside === '/' ? 'index.html' : inside);
  const isolated = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
  try {
    const body = await readFile(file);
    response.writeHead(200, {
      ...isolated,
      'Content-Type': types[extname(file)] ?? 'application/octet-stream',
    });
    response.end(body);
  } catch {
    response.writeHead(404, isolated).end();
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

const { ensureBrowser, findBrowser } = await import('../scripts/browser.mjs');
await ensureBrowser();
const { chromium } = await import('playwright-core');
const browser = await chromium.launch({
  executablePath: await findBrowser(),
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
const page = await browser.newPage();
page.on('pageerror', (error) => console.error(`bench: in the page: ${error.message}`));
await page.goto(`http://127.0.0.1:${port}/`);
await page.waitForFunction('globalThis.bench !== undefined');

/** Calls a function of the page's half. @param {string} name @param {unknown} argument @returns {Promise<any>} */
const ask = (name, argument) => page.evaluate(`bench.${name}(${JSON.stringify(argument)})`);

const { isolated, contenders } = await ask('open', options.peers);
if (!isolated) throw new Error('bench: the page is not cross-origin isolated');
const results = {
  engine: `Chromium ${browser.version()}`,
  machine: machine(),
  protocol: options.protocol,
  contenders: contenders.map((/** @type {{ name: string, detail: string }} */ { name, detail }) => ({
    name,
    version: versionOf(name),
    detail,
  })),
  suites: /** @type {import('./report.mjs').SuiteResult[]} */ ([]),
};
console.log(showHead(results));

for (const name of options.suites) {
  const { title, unit, problems, ...suite } = suites[name];
  const rows = [];
  for (const problem of problems) {
    const entries = await ask('race', { problem, suite, protocol: options.protocol });
    rows.push({ name: problem.name, flops: flops(problem, suite.task), entries });
  }
  results.suites.push(finish({ name, title, unit, rows }));
  console.log(showSuite(results.suites.at(-1)));
}
await browser.close();
server.close();

const major = results.engine.split(' ')[1].split('.')[0];
const file = options.json ?? resultFile(`chromium-${major}`, results.machine.cpu);
save(file, results);
console.log(`Wrote ${relative(process.cwd(), file)}`);
const wrong = disagreements(results);
for (const line of wrong) console.error(`bench: ${line}`);
process.exit(wrong.length === 0 ? 0 : 1);
