/**
 * example: runs a recipe of examples/ on any Node that deconv runs on; Node itself reads TypeScript from 22.18 only.
 *
 *   npm run example -- unet        without a name: the list of them
 */
import { readdirSync } from 'node:fs';
import { register } from 'node:module';
import { join } from 'node:path';
import { ensureBuilt, root, say } from './setup.mjs';

const [name] = process.argv.slice(2);
const known = readdirSync(join(root, 'examples'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));

if (name === undefined) {
  console.log(known.join('\n'));
} else if (known.includes(name)) {
  ensureBuilt();
  register('./typescript-hook.mjs', import.meta.url);
  await import(`../examples/${name}.ts`);
} else {
  say(`there is no example '${name}'; there are ${known.join(', ')}`);
  process.exitCode = 2;
}
