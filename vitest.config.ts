import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(`./packages/deconv/src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run on the sources, so that a failing line is a line of TypeScript. What users install (the built and
    // packed files) has its own test, test/packages.test.ts.
    alias: [
      { find: /^deconv$/, replacement: source('index.ts') },
      { find: /^deconv\/(.+)$/, replacement: source('$1/index.ts') },
    ],
  },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
