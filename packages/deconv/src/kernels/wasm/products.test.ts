import { expect, it } from 'vitest';
import { type ConvGeometry, convGeometry, convTransposeGeometry } from '../../geometry/conv.js';
import { filledKernel, tilingOf } from '../../geometry/winograd.js';
import * as BASE from './bases.js';
import { COMMAND_WORDS, type Plan } from './commands.js';
import { planDense } from './dense-plan.js';
import { problemOf } from './problem.js';
import { planWinograd } from './winograd-plan.js';

/** Whether memory is fetched that lies at a base. */
const fetches = ({ name, given }: ReturnType<typeof commandsOf>['list'][number], base: number): boolean =>
  name === 'touch' && given[0][0] === base;

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
    for (const command of list) {
      const { name, given } = command;
      if (fetches(command, BASE.packed)) {
        const [begin, [, rows], [, row], [, lines]] = given;
        // Nothing beyond the weight is read.
        expect(begin[1] + (rows - 1) * row + 64 * lines).toBeLessThanOrEqual(plan.packedBytes);
        fetched += rows * lines * 64;
        next = begin;
      } else if (name !== 'touch' && next !== undefined) {
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
  for (const { list } of [small, shared])
    expect(list.filter((command) => fetches(command, BASE.packed))).toEqual([]);
});

it('short planes are fetched before their products, to the last whole line; longer ones are packed instead', () => {
  const [short, long] = [7, 28].map((n) => dense(convGeometry([1, 256, n, n], [512, 256, 1, 1])));
  const fetched = short.list.filter((command) => fetches(command, BASE.input));
  expect(fetched.length).toBeGreaterThan(1);
  for (const { given } of fetched)
    expect(given.slice(0, 4)).toEqual([
      [BASE.input, 0],
      [BASE.zero, 256],
      [BASE.zero, 4 * 49],
      [BASE.zero, 3],
    ]);
  expect(long.list.filter((command) => fetches(command, BASE.input))).toEqual([]);
});

it('a transformed input that threads share is fetched place by place, all of it and nothing else', () => {
  const g = convGeometry([1, 128, 28, 28], [128, 128, 3, 3], { padding: 1 });
  const tiling = tilingOf(g, false) ?? expect.fail('no tiling');
  const { list, plan } = commandsOf((machine) => planWinograd(problemOf(g, false), tiling, g, machine, {}));
  const fetched = list.filter((command) => fetches(command, BASE.shared));
  const places = [...new Set(fetched.map(({ given }) => given[0][1]))].sort((a, b) => a - b);
  expect(places.length).toBe(36);
  const [, , , [, lines]] = fetched[0].given;
  for (const [i, at] of places.entries()) expect(at).toBe(64 * lines * i);
  expect(64 * lines * 36).toBeLessThanOrEqual(plan.sharedBytes);
});
