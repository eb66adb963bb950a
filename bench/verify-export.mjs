/**
 * verify-export: `npm run verify:export`. Every layer, operation and network of test/support/export-cases.mjs as an ONNX
 * file, run by onnxruntime-node: does it take the file, and does it compute what deconv computes, for the shapes that the
 * file was made for and for others? Exit code 1 if not.
 */
import { parseArgs } from 'node:util';
import { noGrad, Tensor } from 'deconv';
import { exportOnnx } from 'deconv/onnx';
import { exportCases, inputFor } from '../test/support/export-cases.mjs';
import { ensurePeers } from './setup.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run verify:export -- [options]
  --only TEXT  the cases that have it in their name
  --verbose    a line for every case`);
  process.exit(0);
}
ensurePeers();
const { default: ort } = await import('onnxruntime-node');

/** The largest difference, as a share of the largest value. @param {ArrayLike<number | bigint>} got @param {ArrayLike<number>} wanted */
function differenceOf(got, wanted) {
  let [largest, difference] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const distance = Math.abs(Number(got[i]) - wanted[i]);
    largest = Math.max(largest, Math.abs(wanted[i]));
    difference = distance <= difference ? difference : distance;
  }
  return difference === 0 ? 0 : difference / largest;
}

/** What a module returns, as a list. @param {unknown} output @returns {Tensor[]} */
const listed = (output) =>
  output instanceof Tensor ? [output] : Object.values(/** @type {object} */ (output));

/** @param {import('../test/support/export-cases.mjs').ExportCase} example @returns {Promise<number>} the largest difference */
async function verify({ make, shapes, others = [], options, tolerance = 1e-5 }) {
  const module = make();
  const file = exportOnnx(module, shapes.map((shape) => inputFor(shape, 1)), options); // biome-ignore format: a call
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  module.eval();
  let worst = 0;
  for (const all of [shapes, ...others]) {
    const inputs = all.map((shape, i) => inputFor(shape, 2 + i));
    const wanted = listed(noGrad(() => Reflect.apply(module.forward, module, inputs)));
    const feeds = Object.fromEntries(
      inputs.map(({ data, shape }, i) => [
        session.inputNames[i],
        new ort.Tensor('float32', data, [...shape]),
      ]),
    );
    const made = await session.run(feeds);
    for (const [i, { shape, data }] of wanted.entries()) {
      const got = made[session.outputNames[i]];
      if (got.dims.join() !== shape.join())
        throw new Error(`output ${i} has shape [${got.dims}] instead of [${shape}]`);
      const difference = differenceOf(got.data, data);
      if (!(difference <= tolerance))
        throw new Error(`output ${i} for [${all[0]}] differs by ${difference.toExponential(1)}`);
      worst = Math.max(worst, difference);
    }
  }
  await session.release();
  return worst;
}

let [worst, worstName, count, wrong] = [0, '', 0, 0];
for (const example of exportCases) {
  if (!example.name.includes(values.only)) continue;
  count++;
  try {
    const difference = await verify(example);
    if (values.verbose) console.log(`${example.name}: ${difference.toExponential(1)}`);
    if (difference > worst) [worst, worstName] = [difference, example.name];
  } catch (error) {
    wrong++;
    console.log(`WRONG ${example.name}: ${error instanceof Error ? error.message : error}`);
  }
}
console.log(
  `${count} exported files run by onnxruntime-node ${ort.env.versions.common ?? ''}: ${count - wrong} agree, ${wrong} do not; largest difference ${worst.toExponential(1)} of the largest value (${worstName})`,
);
process.exitCode = wrong > 0 || count === 0 ? 1 : 0;
