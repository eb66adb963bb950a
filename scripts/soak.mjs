/**
 * soak: the engine under random work for minutes on end, to see what short tests cannot: memory that creeps, results that
 * drift, helpers that get lost. Shapes, weights and lifetimes are drawn at random; a part of the results is held against
 * the float64 loops that define them, a part is kept for a while and looked at again. Not part of `npm test`.
 *
 *   npm run build && node scripts/soak.mjs [--minutes 3] [--threads 2] [--seed 1] [--wide]
 *
 * Prints the resident memory every ten seconds. Ends with code 1 on a wrong result, or when the memory of the last third
 * lies more than a tenth and 50 MB above that of the middle third.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cast, configure, conv2d, convTranspose2d, grad, mul, randn, relu } from 'deconv';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    wide: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
let state = Number(values.seed) | 0;

/** Uniform integers from the seed (a linear congruential generator, high bits). @param {number} from @param {number} to */
function integer(from, to) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return from + Math.floor(((state >>> 0) / 2 ** 32) * (to - from + 1));
}

/** @template T @param {readonly T[]} list */
const pick = (list) => list[integer(0, list.length - 1)];

/** The largest |a − b| of the largest |b|. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
function distance(a, b) {
  let [worst, largest] = [0, 1e-30];
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    if (!(d <= worst)) worst = d;
    largest = Math.max(largest, Math.abs(b[i]));
  }
  return worst / largest;
}

/** One random layer: its output, and with `check` how far it is from its definition. @param {boolean} check */
function layer(check) {
  const large = !check && integer(0, 9) === 0;
  const groups = pick([1, 1, 1, 2]);
  const [ci, co] = [groups * integer(1, large ? 48 : 16), groups * integer(1, large ? 48 : 16)];
  const [h, w] = [integer(2, large ? 200 : 40), integer(2, large ? 200 : 40)];
  const k = pick([1, 2, 3, 4, 5]);
  const options = { stride: pick([1, 1, 2, 3]), padding: integer(0, k - 1), dilation: 1, groups };
  const input = randn([integer(1, 2), ci, h + k, w + k], { seed: integer(1, 1e6) });
  const transposed = integer(0, 1) === 1;
  const shape = transposed ? [ci, co / groups, k, k] : [co, ci / groups, k, k];
  const weight = randn(shape, { seed: integer(1, 1e6), requiresGrad: integer(0, 2) === 0 });
  const run = transposed ? convTranspose2d : conv2d;
  const output = run(input, weight, options);
  if (weight.requiresGrad) grad(output, [weight], { gradOutput: output.detach() });
  if (!check) return { output, off: 0 };
  const exact = run(cast(input, 'float64'), cast(weight.detach(), 'float64'), options);
  return { output, off: distance(output.data, exact.data) };
}

console.log(await configure({ backend: 'wasm', threads: Number(values.threads), wideSimd: values.wide }));
const began = performance.now();
/** @type {number[]} */
const resident = [];
/** @type {{ output: import('deconv').Tensor, sum: number, until: number }[]} */
const kept = [];
let [layers, checked, wrong, worst, told] = [0, 0, 0, 0, 0];
const sumOf = (/** @type {ArrayLike<number>} */ data) =>
  Array.prototype.reduce.call(data, (a, b) => Number(a) + Number(b), 0);

for (let elapsed = 0; elapsed < minutes * 60; elapsed = (performance.now() - began) / 1000) {
  const check = integer(0, 4) === 0;
  const { output, off } = layer(check);
  layers++;
  if (check) checked++;
  worst = Math.max(worst, off);
  if (!(off < 2e-4)) wrong++;
  // Some results live on: as they are, or as arrays in the user's hands; their sum must still be there at the end.
  if (integer(0, 5) === 0 && output.size < 1e5) {
    const copy = relu(mul(output.detach(), 1));
    kept.push({
      output: copy,
      sum: Number(sumOf(relu(mul(output.detach(), 1)).data)),
      until: layers + integer(10, 400),
    });
  }
  for (let i = kept.length - 1; i >= 0; i--) {
    if (kept[i].until > layers) continue;
    if (sumOf(kept[i].output.data) !== kept[i].sum) wrong++;
    kept.splice(i, 1);
  }
  // Long stretches without a turn of the event loop, as in a training step.
  if (layers % 100 === 0) await turn();
  if (elapsed > 10 * (told + 1)) {
    told++;
    const { rss, heapUsed, external } = process.memoryUsage();
    resident.push(rss);
    const mb = (/** @type {number} */ bytes) => `${Math.round(bytes / 1e6)} MB`;
    console.log(
      `${String(told * 10).padStart(4)} s  ${layers} layers, ${checked} checked, worst ${worst.toExponential(1)}, ${wrong} wrong; resident ${mb(rss)}, heap ${mb(heapUsed)}, arrays ${mb(external)}, kept ${kept.length}`,
    );
  }
}

const mean = (/** @type {number[]} */ list) => list.reduce((a, b) => a + b, 0) / list.length;
const third = Math.floor(resident.length / 3);
const [middle, last] = [resident.slice(third, 2 * third), resident.slice(2 * third)].map(mean);
const flat = third === 0 || last < 1.1 * middle + 50e6;
console.log(
  `${layers} layers in ${minutes} min, ${wrong} wrong; resident ${Math.round(middle / 1e6)} MB in the middle third, ${Math.round(last / 1e6)} MB in the last: ${flat ? 'flat' : 'RISING'}`,
);
process.exitCode = wrong === 0 && flat ? 0 : 1;
