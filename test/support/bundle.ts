/** Bundles a module of the consumer's project as a web application's build would, and tells what went in. */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { consumer, write } from './consumer.js';

export interface Bundle {
  /** Minified code of the entry and of everything it loads at once. */
  readonly code: string;
  /** Bytes of `code`, and of `code` under gzip. */
  readonly size: number;
  readonly gzip: number;
  /** Files of deconv that left code in it, as `ops/conv`. */
  readonly modules: string[];
  /** Other packages that left code in it. */
  readonly packages: string[];
}

/** Bundles `source`, a module that may import deconv. */
export async function bundle(name: string, source: string): Promise<Bundle> {
  write({ [`bundles/${name}.js`]: source });
  const result = (await build({
    root: consumer,
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'esnext',
      modulePreload: false,
      rolldownOptions: { input: join(consumer, `bundles/${name}.js`) },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = result.output.filter((item) => item.type === 'chunk');
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  // What the entry reaches by static imports; chunks behind import() are fetched only when asked for.
  const loaded = new Set(chunks.filter((chunk) => chunk.isEntry));
  for (const chunk of loaded) {
    for (const path of chunk.imports) {
      const next = byName.get(path);
      if (next) loaded.add(next);
    }
  }
  const code = [...loaded].map((chunk) => chunk.code).join('');
  const files = [...loaded].flatMap((chunk) =>
    Object.entries(chunk.modules)
      .filter(([, module]) => module.renderedLength > 0)
      .map(([id]) => id.replaceAll('\\', '/')),
  );
  const modules = files.flatMap((id) => /node_modules\/deconv\/dist\/(.+)\.js$/.exec(id)?.[1] ?? []);
  const names = files.flatMap((id) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []);
  const packages = [...new Set(names)].filter((name) => name !== 'deconv');
  return {
    code,
    size: Buffer.byteLength(code),
    gzip: gzipSync(code).length,
    modules: modules.sort(),
    packages: packages.sort(),
  };
}
