/** deconv, through its public surface. */
import { inputShape, outputShape, weightShape } from '../problem.mjs';

/** What the library is given; nothing has to be arranged. @param {unknown} _problem @param {import('../problem.mjs').Data} data */
export const arrange = (_problem, data) => data;

/**
 * @param {{ threads: number, wide?: boolean, settings?: boolean }} options settings: false leaves everything as it is found
 * @returns {Promise<import('../protocol.mjs').Contender>}
 */
export async function open({ threads, wide = false, settings = true }) {
  const deconv = await import('deconv');
  const inForce = settings ? await deconv.configure({ backend: 'wasm', threads, wideSimd: wide }) : undefined;
  const detail =
    inForce &&
    `${inForce.threads} threads, tile ${inForce.tile}${inForce.wideSimd ? ' (256-bit vectors)' : ''}, ${inForce.peak?.toFixed(0)} GF/s per thread when probed`;
  return {
    name: 'deconv',
    detail,
    async prepare(problem, data, task) {
      const { kind, size, s, p, op, d, g } = problem;
      const operation = deconv[/** @type {'conv2d'} */ (`${kind}${size.length}d`)];
      const shared = { stride: s, padding: p, dilation: d, groups: g };
      const options = kind === 'conv' ? shared : { ...shared, outputPadding: op };
      const requiresGrad = task === 'backward';
      const x = deconv.tensor(data.x, inputShape(problem), { requiresGrad });
      const w = deconv.tensor(data.w, weightShape(problem), { requiresGrad });
      let call = () => [operation(x, w, options)];
      if (task === 'backward') {
        const y = operation(x, w, options);
        const gradOutput = deconv.tensor(data.g, outputShape(problem));
        call = () => deconv.grad(y, [x, w], { gradOutput, retainGraph: true });
      }
      return {
        async run(times) {
          let alone = 0;
          const begin = performance.now();
          for (let i = 0; i < times; i++) {
            const called = performance.now();
            const outputs = call();
            alone += performance.now() - called;
            for (const output of outputs) output.data;
          }
          return { ms: (performance.now() - begin) / times, alone: alone / times };
        },
        result: async () => call().map((output) => /** @type {Float32Array} */ (output.data)),
      };
    },
  };
}
