/**
 * The operator tests of the ONNX standard, and networks with weights that are known, on the library as users have it.
 *
 * The standard's tests are not part of the repository. They are looked for in ONNX_TESTS, then in `conformance/` of a
 * folder beside the repository. Where they are not, this file says so, and tests the networks alone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor } from 'deconv';
import { loadOnnx } from 'deconv/onnx';
import { describe, expect, it } from 'vitest';
import { initializerValues } from '../packages/deconv/src/onnx/initializers.js';
import { readTensorRecord } from '../packages/deconv/src/onnx/wire.js';
import { root } from '../scripts/setup.mjs';

function findFolder(): string | undefined {
  const beside = join(root, '..');
  const candidates = [
    process.env.ONNX_TESTS ?? '',
    ...readdirSync(beside).map((name) => join(beside, name, 'conformance')),
  ];
  return candidates.find((folder) => existsSync(join(folder, 'onnx-node')));
}

const folder = findFolder();
if (folder === undefined) {
  console.warn(
    'The operator tests of the ONNX standard are not here, so NONE of them runs: set ONNX_TESTS to a folder with onnx-node/.',
  );
}

/** A tensor in a .pb file. */
async function stored(path: string) {
  const record = readTensorRecord(readFileSync(path));
  const { type, shape, values } = await initializerValues(record, () => new Uint8Array(), 'lent');
  return { name: record.name, type, shape, values };
}

function expectClose(
  name: string,
  got: Tensor,
  shape: readonly number[],
  values: ArrayLike<number>,
  relative: number,
) {
  expect(got.shape, `${name} shape`).toEqual(shape);
  const { data } = got;
  let largest = 0;
  for (let i = 0; i < values.length; i++)
    if (Number.isFinite(values[i])) largest = Math.max(largest, Math.abs(values[i]));
  const bad = Array.from(values).findIndex((value, i) => {
    if (Object.is(value, data[i]) || value === data[i]) return false;
    return !(Math.abs(value - data[i]) <= relative * Math.max(largest, 1e-30));
  });
  expect(bad < 0 ? 'all close' : `${name}[${bad}] is ${data[bad]}, should be ${values[bad]}`).toBe(
    'all close',
  );
}

describe.skipIf(folder === undefined)('the operator tests of the standard', () => {
  const tests = folder === undefined ? [] : readdirSync(join(folder, 'onnx-node')).sort();
  it.each(tests)('%s', async (test) => {
    const at = join(folder as string, 'onnx-node', test);
    const data = join(at, 'test_data_set_0');
    const model = await loadOnnx(join(at, 'model.onnx'));
    const files = readdirSync(data);
    const read = (kind: string, count: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => stored(join(data, `${kind}_${i}.pb`))));
    const inputs = await read('input', files.filter((file) => file.startsWith('input')).length);
    const outputs = await read('output', files.filter((file) => file.startsWith('output')).length);
    const made = await model.run(
      Object.fromEntries(
        model.inputs.map(({ name }, i) => [name, { data: inputs[i].values, dims: inputs[i].shape }]),
      ),
    );
    // Expected values of this one are typed in with four digits.
    const tolerance = test === 'test_averagepool_2d_ceil_last_window_starts_on_pad' ? 1e-3 : 1e-5;
    for (const [i, { name }] of model.outputs.entries())
      expectClose(name, made[name], outputs[i].shape, outputs[i].values, tolerance);
  });
});

if (folder !== undefined) {
  describe('networks of the standard', () => {
    it.each(readdirSync(join(folder, 'onnx-light')).filter((file) => file.endsWith('.onnx')))(
      '%s',
      async (file) => {
        const model = await loadOnnx(join(folder, 'onnx-light', file));
        const [{ name, shape }] = model.inputs;
        const dims = shape.map((length) => (typeof length === 'number' && length > 0 ? length : 1));
        const size = dims.reduce((a, b) => a * b, 1);
        const x = Float32Array.from({ length: size }, (_, i) => i / size);
        const expected = await stored(join(folder, 'onnx-light', file.replace('.onnx', '_output_0.pb')));
        const made = await model.run({ [name]: { data: x, dims } });
        expectClose(file, made[model.outputs[0].name], expected.shape, expected.values, 1e-4);
      },
    );
  });
}

/** Values and shape of a .npy file of float32. */
function npy(path: URL) {
  const bytes = readFileSync(path);
  const length = bytes.readUInt16LE(8);
  const header = bytes.subarray(10, 10 + length).toString('latin1');
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((n) => n.trim() !== '')
    .map(Number);
  return { values: new Float32Array(Uint8Array.from(bytes.subarray(10 + length)).buffer), shape };
}

describe('networks that PyTorch ran', () => {
  it.each(['dcgan', 'fsrcnn', 'vae'])('%s', async (name) => {
    const file = (part: string) => new URL(`fixtures/onnx/${name}/${part}`, import.meta.url);
    const model = await loadOnnx(readFileSync(file('model.onnx')));
    const [input, output] = [npy(file('input.npy')), npy(file('output.npy'))];
    const made = await model.run({ [model.inputs[0].name]: tensor(input.values, input.shape) });
    expectClose(name, made[model.outputs[0].name], output.shape, output.values, 1e-4);
  });
});
