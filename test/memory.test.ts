/**
 * Memory asks nothing of the user: 100 000 operations inside one synchronous function, results dropped as they come,
 * stay bounded without a call to dispose. Were each result of 4 kB kept, they would be 400 MB.
 */
import { cast, configure, conv1d, convTranspose1d, mul, randn, sum, type Tensor } from 'deconv';
import { describe, expect, it } from 'vitest';

const OPERATIONS = 100_000;
const LENGTH = 1024;

interface Growth {
  /** What the program holds, WebAssembly's memory included. */
  held: number;
  /** What the system has given to the process: later and less exact, since freed memory goes back in the background. */
  resident: number;
}

/** How far memory rises above where it was, at any time during the loop. */
function growth(step: (i: number) => void, operations = OPERATIONS): Growth {
  const measure = () => {
    const { heapUsed, external, rss } = process.memoryUsage();
    return { held: heapUsed + external, resident: rss };
  };
  for (let i = 0; i < 100; i++) step(i);
  const before = measure();
  const most = { ...before };
  for (let i = 0; i <= operations; i++) {
    step(i);
    if (i % 1000 !== 0) continue;
    const now = measure();
    most.held = Math.max(most.held, now.held);
    most.resident = Math.max(most.resident, now.resident);
  }
  return { held: most.held - before.held, resident: most.resident - before.resident };
}

function expectBounded({ held, resident }: Growth): void {
  expect(held).toBeLessThan(200e6);
  expect(resident).toBeLessThan(1e9);
}

describe.each(['wasm', 'reference'] as const)('a synchronous loop of 100 000 operations, %s', (backend) => {
  it.each([false, true])('that move values, requiresGrad %s', async (requiresGrad) => {
    await configure({ backend });
    const x = randn([LENGTH], { dtype: 'float64', requiresGrad });
    let last: Tensor = x;
    const step = () => {
      last = cast(x, 'float32');
    };
    expectBounded(growth(step));
    expect([last.size, last.requiresGrad]).toEqual([LENGTH, requiresGrad]);
  });

  it.each([false, true])('that convolve and go back, requiresGrad %s', async (requiresGrad) => {
    await configure({ backend });
    const x = randn([1, 1, LENGTH], { requiresGrad });
    const [w, back] = [randn([4, 1, 3], { requiresGrad }), randn([1, 4, 3], { requiresGrad })];
    // Four channels, 16 kB a time: more than the bound of either measure, were they kept.
    const step = (i: number) => {
      if (i % 2 === 0) conv1d(x, w);
      else convTranspose1d(x, back);
    };
    expectBounded(growth(step));
  });

  it('in passes of six, there and back', async () => {
    await configure({ backend });
    const x = randn([LENGTH], { requiresGrad: true });
    const step = () => {
      sum(mul(x, x)).backward();
      x.grad = null;
    };
    expectBounded(growth(step, OPERATIONS / 6));
  });

  it('never touch an array that was handed out, nor a part of it', async () => {
    await configure({ backend });
    const x = randn([1, 1, LENGTH]);
    const w = randn([1, 1, 3], { seed: 1 });
    const { data } = conv1d(x, w);
    const part = data.subarray(10, 500);
    const before = Array.from(data);
    for (let i = 0; i < 5000; i++) conv1d(x, convTranspose1d(w, w));
    expect(Array.from(data)).toEqual(before);
    expect(Array.from(part)).toEqual(before.slice(10, 500));
  });
});
