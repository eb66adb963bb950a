/**
 * main: the page's half of `npm run bench:browser`. It opens the contenders and runs one problem whenever it is asked,
 * by the same protocol as in Node.
 */
import * as deconv from '../contenders/deconv.mjs';
import * as ort from '../contenders/ort.mjs';
import * as tfjs from '../contenders/tfjs.mjs';
import { race } from '../protocol.mjs';

const threads = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;

/** @type {Record<string, () => Promise<import('../protocol.mjs').Contender>>} */
const openers = {
  deconv: () => deconv.open({ threads }),
  'ort-web': () => ort.openWeb({ threads, files: '/ort/' }),
  'tfjs-wasm': () => tfjs.openWasm({ threads, files: '/tfjs/' }),
};

/** @type {import('../protocol.mjs').Contender[]} */
const contenders = [];

Object.assign(globalThis, {
  bench: {
    /** @param {string[]} peers */
    async open(peers) {
      for (const name of ['deconv', ...peers]) contenders.push(await openers[name]());
      return {
        isolated: globalThis.crossOriginIsolated,
        contenders: contenders.map(({ name, detail }) => ({ name, detail })),
      };
    },
    /** @param {{ problem: import('../problem.mjs').Problem, suite: Parameters<typeof race>[2], protocol: import('../protocol.mjs').Protocol }} asked */
    race: ({ problem, suite, protocol }) => race(contenders, problem, suite, protocol),
  },
});
