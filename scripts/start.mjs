/**
 * start: `npm start`. Sets up whatever is missing, then projects a picture's feature maps back to image space: the
 * bundled one, or with `npm start -- photo.jpg [options]` the caller's own, found from the folder npm was called in.
 */
import { join, relative } from 'node:path';
import { ensureBuilt, root, run, say } from './setup.mjs';

const own = process.argv.slice(2);
const here = process.env.INIT_CWD ?? process.cwd();
const args = own.length > 0 ? own : [join(root, 'assets/sample.png'), '-o', join(root, 'out/sample.png')];

ensureBuilt();
const shown = own.length > 0 ? own : args.map((arg) => relative(here, arg) || arg);
say(`deconv project ${shown.join(' ')}`);
process.exit(
  run(process.execPath, [join(root, 'packages/cli/dist/main.js'), 'project', ...args], { cwd: here }),
);
