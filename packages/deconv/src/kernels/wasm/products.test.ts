import { expect, it } from 'vitest';
import { type ConvGeometry, convGeometry, convTransposeGeometry } from '../../geometry/conv.js';
import { filledKernel, tilingOf } from '../../geometry/winograd.js';
import * as BASE from './bases.js';
import { COMMAND_WORDS, type Plan } from './commands.js';
import { planDense } from './dense-plan.js';
import { problemOf } from './problem.js';
import { planWinograd } from './winograd-plan.js';

/** The commands of a plan: their names, and their arguments with the bases that these count from. */
function commandsOf(make: (machine: Parameters<typeof planDense>[3]) => Plan) {
  const names: string[] = [];
  const commands = (name: string) => {
    if (!names.includes(name)) names.push(name);
    return names.indexOf(name);
  };
  const plan = make({ tile: { mr: 6, nr: 8, relaxed: false }, commands, threads: 2 });
  const list = Array.from({ length: plan.commands.length / COMMAND_WORDS }, (_, i) => {
    const [number, ...words] = plan.commands.subarray(i * COMMAND_WORDS, (i + 1) * COMMAND_WORDS);
    const given = words.flatMap((base, at) => (at % 2 === 0 ? [[base, words[at + 1]] as const] : []));
    return { name: names[number], given };
  });
  return { plan, list };
}

const dense = (g: ConvGeometry) =>
  commandsOf((machine) => planDense(problemOf(g, false), g.batch, g.groups, machine, {}));

function winograd(g: ConvGeometry) {
  const tiling = tilingOf(g, true) ?? expect.fail('no tiling');
  const filled = { ...g, kernelSize: filledKernel(g, true, tiling) };
  return commandsOf((machine) => planWinograd(problemOf(filled, true), tiling, g, machine, {}));
}

const layers = {
  '1 × 1 of 4 MiB': dense(convGeometry([1, 512, 7, 7], [2048, 512, 1, 1])),
  '3 × 3 of 9 MiB': dense(convGeometry([1, 512, 9, 9], [512, 512, 3, 3], { stride: 2 })),
  "32 MiB in Winograd's form": winograd(
    convTransposeGeometry([16, 512, 8, 8], [512, 256, 4, 4], { stride: 2, padding: 1 }),
  ),
};

it.each(Object.entries(layers))(
  '%s is fetched ahead of its products, each block once per pass',
  (_, layer) => {
    const { list, plan } = layer;
    let fetched = 0;
    let next: readonly [base: number, at: number] | undefined;
    for (const { name, given } of list) {
      if (name === 'touch') {
        const [begin, [, rows], [, row], [, lines]] = given;
        expect(begin[0]).toBe(BASE.packed);
        // Nothing beyond the weight is read.
        expect(begin[1] + (rows - 1) * row + 64 * lines).toBeLessThanOrEqual(plan.packedBytes);
        fetched += rows * lines * 64;
        next = begin;
      } else if (next !== undefined) {
        // The product that comes next is the one with these panels.
        expect([name.slice(0, 4), given[0]]).toEqual([expect.stringMatching(/gemm|half|wide/), next]);
        next = undefined;
      }
    }
    expect(fetched / plan.packedBytes).toBeGreaterThan(0.9);
    expect(fetched / plan.packedBytes).toBeLessThanOrEqual(1);
  },
);

it('what the caches keep is not: small weights, and those that many pictures share', () => {
  const small = dense(convGeometry([1, 256, 14, 14], [256, 256, 1, 1]));
  const shared = dense(convGeometry([16, 512, 7, 7], [2048, 512, 1, 1]));
  for (const { list } of [small, shared]) expect(list.filter(({ name }) => name === 'touch')).toEqual([]);
});
