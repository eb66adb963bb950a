import { describe, expect, it, vi } from 'vitest';
import { log, mean, mul, randn, sum, type Tensor, tensor, zeros } from '../index.js';
import { readSafetensors, writeSafetensors } from '../io/index.js';
import { Adam, clipGradNorm, exponentialDecay, ReduceOnPlateau, Schedule, SGD } from '../optim/index.js';
import {
  type Batch,
  BatchNorm1d,
  Dropout,
  type FitOptions,
  fit,
  Linear,
  loadCheckpoint,
  Module,
  mseLoss,
  type Progress,
  ReLU,
  Sequential,
} from './index.js';

/** A small network with everything that has a state of its own. */
const network = () =>
  new Sequential(
    new Linear(3, 8, { seed: 1 }),
    new BatchNorm1d(8),
    new ReLU(),
    new Dropout(0.3, { seed: 2 }),
    new Linear(8, 1, { seed: 3 }),
  );

/** Five batches of four samples, other ones in each epoch. */
const data = (epoch: number): Batch[] =>
  Array.from({ length: 5 }, (_, i) => [
    randn([4, 3], { seed: 100 * epoch + i }),
    randn([4, 1], { seed: 7000 + i }),
  ]);

const loss = (model: Sequential, [x, y]: Batch) => mseLoss(model.forward(x), y);

type Options = Partial<FitOptions<Sequential>>;
const training = (model: Sequential, options: Options = {}) =>
  fit(model, { data, loss, epochs: 2, optimizer: new Adam(model.parameters(), { lr: 0.02 }), ...options });

async function recordsOf(records: AsyncIterable<Progress>): Promise<Progress[]> {
  const list: Progress[] = [];
  for await (const record of records) list.push(record);
  return list;
}

const valuesOf = (model: Module) =>
  Object.entries(model.stateDict()).map(([name, x]) => [name, Array.from(x.data)]);
const told = (records: readonly Progress[]) => records.map(({ samplesPerSecond: _, ...record }) => record);

/** A place to write checkpoints to, which keeps the last. */
function drawer() {
  let bytes = new Uint8Array();
  return {
    write: (given: Uint8Array) => {
      bytes = new Uint8Array(given);
    },
    get last() {
      return bytes;
    },
  };
}

const refusal = async (call: () => unknown): Promise<string> => {
  try {
    await call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
};

describe('a training', () => {
  it('does what a loop by hand does', async () => {
    const [model, byHand] = [network(), network()];
    const records = await recordsOf(
      training(model, { clip: 0.5, schedule: exponentialDecay({ factor: 0.5 }) }),
    );
    const optimizer = new Adam(byHand.parameters(), { lr: 0.02 });
    const schedule = new Schedule(optimizer, exponentialDecay({ factor: 0.5 }));
    const expected: Partial<Progress>[] = [];
    for (let epoch = 0; epoch < 2; epoch++) {
      let total = 0;
      for (const [i, batch] of data(epoch).entries()) {
        optimizer.zeroGrad();
        const value = loss(byHand, batch);
        value.backward();
        const gradNorm = clipGradNorm(byHand.parameters(), 0.5);
        optimizer.step();
        total += value.item();
        const step = 5 * epoch + i + 1;
        const meanLoss = total / (i + 1);
        expected.push({ epoch, step, loss: value.item(), meanLoss, lr: optimizer.lr, gradNorm });
      }
      schedule.step();
    }
    expect(valuesOf(model)).toEqual(valuesOf(byHand));
    expect(records).toMatchObject(expected);
    expect(records.map(({ steps }) => steps)).toEqual([...Array(4).fill(undefined), ...Array(6).fill(10)]);
    expect(records.every(({ samplesPerSecond }) => samplesPerSecond > 0)).toBe(true);
  });

  it('averages the gradients of several batches, also where the last are fewer', async () => {
    const [model, byHand] = [new Linear(3, 1, { seed: 1 }), new Linear(3, 1, { seed: 1 })];
    const options = { data, epochs: 1, accumulate: 2 };
    const stepLoss = (linear: Linear, [x, y]: Batch) => mseLoss(linear.forward(x), y);
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    const records = await recordsOf(fit(model, { ...options, loss: stepLoss, optimizer }));
    const hand = new SGD(byHand.parameters(), { lr: 0.1 });
    const batches = data(0);
    const losses = [batches.slice(0, 2), batches.slice(2, 4), batches.slice(4)].map((group) => {
      hand.zeroGrad();
      const values = group.map((batch) => {
        const value = mul(stepLoss(byHand, batch), 1 / group.length);
        value.backward();
        return value.item();
      });
      hand.step();
      return values.reduce((a, b) => a + b, 0);
    });
    expect(records.length).toBe(3);
    for (const [i, record] of records.entries()) expect(record.loss).toBeCloseTo(losses[i], 6);
    const [got, wanted] = [model, byHand].map(({ weight }) => Array.from(weight.data));
    for (const [i, value] of wanted.entries()) expect(got[i]).toBeCloseTo(value, 6);
  });

  it('takes an array of batches, asynchronous batches, and a dataset', async () => {
    const run = async (options: Options) => {
      const model = network();
      const records = await recordsOf(training(model, { epochs: 1, ...options }));
      return { steps: records.map(({ steps }) => steps), values: valuesOf(model) };
    };
    const list = await run({ data: data(0) });
    const later = await run({
      data: async function* (epoch) {
        yield* data(epoch);
      },
    });
    expect(later.values).toEqual(list.values);
    expect(list.steps).toEqual(Array(5).fill(5));
    const samples = data(0).flatMap(([x, y]) =>
      Array.from({ length: 4 }, (_, i) => [
        tensor(x.data.slice(3 * i, 3 * i + 3)),
        tensor(y.data.slice(i, i + 1)),
      ]),
    );
    const dataset = { length: samples.length, get: (index: number) => samples[index] };
    expect(await run({ data: dataset, batch: { batchSize: 4 } })).toEqual(list);
    const shuffled = await run({ data: dataset, batch: { batchSize: 8, shuffle: true, dropLast: true } });
    expect(shuffled.steps).toEqual([2, 2]);
  });

  it('gives the loss numbers that depend on seed and step alone', async () => {
    const drawn = async (seed: number) => {
      const numbers: number[] = [];
      const model = network();
      await training(model, {
        seed,
        accumulate: 2,
        loss: (net, batch, { random, epoch, step }) => {
          numbers.push(epoch, step, random(), random());
          return loss(net, batch);
        },
      }).finish();
      return numbers;
    };
    const [first, again, other] = [await drawn(1), await drawn(1), await drawn(2)];
    expect(again).toEqual(first);
    expect(first.filter((x) => !Number.isInteger(x)).length).toBe(20);
    expect(new Set([...first, ...other].filter((x) => !Number.isInteger(x))).size).toBe(40);
  });

  it('steps the schedule after each step, if so told', async () => {
    const model = network();
    const optimizer = new SGD(model.parameters(), { lr: 1e-3 });
    const schedule = new Schedule(optimizer, (step) => 1e-3 / (1 + step));
    const records = await recordsOf(training(model, { optimizer, schedule, scheduleEvery: 'step' }));
    expect(records.map(({ lr }) => lr)).toEqual(records.map((_, i) => 1e-3 / (1 + i)));
  });

  it('leaves modes as they were, and evaluates in evaluation mode without recording', async () => {
    const model = network();
    const [, frozen] = model.children();
    model.eval();
    const seen: boolean[] = [];
    await training(model, {
      epochs: 1,
      loss: (net, batch) => {
        seen.push(net.training, frozen.training);
        frozen.training = false;
        return loss(net, batch);
      },
      evaluate: (net) => {
        seen.push(net.training, net.forward(zeros([1, 3])).requiresGrad);
        return 1;
      },
    }).finish();
    expect(seen).toEqual([true, true, true, false, true, false, true, false, true, false, false, false]);
    expect([model.training, frozen.training]).toEqual([false, false]);
    const other = network();
    other.children()[1].eval();
    const modes: boolean[] = [];
    await training(other, {
      epochs: 1,
      evaluate: () => 1,
      evaluateEvery: 2,
      loss: (net, batch) => {
        modes.push(net.training && !net.children()[1].training);
        return loss(net, batch);
      },
    }).finish();
    expect(modes).toEqual(Array(5).fill(true));
  });

  it('of no epochs makes no step', async () => {
    const outcome = await training(network(), { epochs: 0 }).finish();
    expect(outcome).toEqual({ reason: 'finished', epochs: 0, steps: 0, best: undefined });
  });
});

describe('evaluation', () => {
  const scores = [5, 3, 4, 2.5, 2.6, 2.7, 1];
  const scored = (options: Options = {}) => {
    const model = network();
    const weights: unknown[] = [];
    let i = 0;
    const run = training(model, {
      epochs: 7,
      evaluate: async (net) => {
        weights.push(valuesOf(net));
        return { loss: scores[i], accuracy: -scores[i++] };
      },
      ...options,
    });
    return { model, weights, run };
  };

  it('is made after each epoch, and says which is best', async () => {
    const records = await recordsOf(scored().run);
    const made = records.filter(({ metrics }) => metrics !== undefined);
    expect(made.map(({ step }) => step)).toEqual([5, 10, 15, 20, 25, 30, 35]);
    expect(made.map(({ metrics }) => metrics?.loss)).toEqual(scores);
    expect(made.map(({ best }) => best)).toEqual([true, true, false, true, false, false, true]);
    expect(records.filter(({ best }) => best).length).toBe(4);
  });

  it('stops when nothing gets better, and restores what was best', async () => {
    const { model, weights, run } = scored({ patience: 2, restoreBest: true });
    expect(await run.finish()).toEqual({
      reason: 'patience',
      epochs: 6,
      steps: 30,
      best: { score: 2.5, step: 20 },
    });
    expect(valuesOf(model)).toEqual(weights[3]);
    const other = scored({ patience: 2 });
    await other.run.finish();
    expect(valuesOf(other.model)).toEqual(other.weights[5]);
  });

  it('watches the metric and direction it is told to, and counts only enough', async () => {
    const options: Options = { watch: 'accuracy', mode: 'max', minDelta: 1.2, patience: 5 };
    const records = await recordsOf(scored(options).run);
    const best = records.filter((record) => record.best);
    expect(best.map(({ metrics }) => metrics?.accuracy)).toEqual([-5, -3, -1]);
    const plateau = { metric: [] as unknown[] };
    const schedule = {
      step: (metric?: number) => plateau.metric.push(metric),
      stateDict: () => ({}),
      loadStateDict: () => undefined,
    };
    await scored({ schedule, watch: 'accuracy' }).run.finish();
    expect(plateau.metric).toEqual(scores.map((score) => -score));
  });

  it('goes by the mean loss where there is none, and NaN is never best', async () => {
    const model = network();
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    const schedule = new ReduceOnPlateau(optimizer, {
      patience: 0,
      factor: 0.5,
      threshold: 100,
      mode: 'max',
    });
    const run = training(model, { optimizer, schedule, epochs: 3 });
    const records = await recordsOf(run);
    expect(run.outcome?.best?.score).toBe(Math.min(...[4, 9, 14].map((i) => records[i].meanLoss)));
    expect(optimizer.lr).toBe(0.025);
    const other = training(network(), { evaluate: () => Number.NaN });
    expect((await other.finish()).best).toBeUndefined();
  });
});

describe('stopping', () => {
  it('by a signal, between two steps, with a checkpoint of just that place', async () => {
    const controller = new AbortController();
    const model = network();
    const written: Uint8Array[] = [];
    const run = training(model, {
      signal: controller.signal,
      checkpoint: { write: (bytes) => void written.push(bytes) },
    });
    for await (const { step } of run) if (step === 3) controller.abort();
    expect(run.outcome).toMatchObject({ reason: 'aborted', epochs: 0, steps: 3 });
    expect(written.length).toBe(1);
    const read = network();
    await loadCheckpoint(written[0], { model: read, optimizer: new Adam(read.parameters()) });
    expect(valuesOf(read)).toEqual(valuesOf(model));
    const none = training(network(), { signal: controller.signal });
    expect(await none.finish()).toMatchObject({ reason: 'aborted', steps: 0 });
  });

  it('by leaving the loop', async () => {
    const written: Uint8Array[] = [];
    const closed: number[] = [];
    const run = training(network(), {
      checkpoint: { write: async (bytes) => void written.push(bytes) },
      data: function* (epoch) {
        try {
          yield* data(epoch);
        } finally {
          closed.push(epoch);
        }
      },
    });
    for await (const { step } of run) if (step === 7) break;
    expect(run.outcome).toMatchObject({ reason: 'left', epochs: 1, steps: 7 });
    expect([written.length, closed]).toEqual([2, [0, 1]]);
    expect(await run.next()).toEqual({ done: true, value: undefined });
  });

  it.each(['setImmediate', 'MessageChannel'])('lets timers run meanwhile, by %s', async (by) => {
    // Pages have no setImmediate.
    if (by === 'MessageChannel') vi.stubGlobal('setImmediate', undefined);
    const model = network();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const run = training(model, { epochs: 1e6, signal: controller.signal });
    expect((await run.finish()).reason).toBe('aborted');
    vi.unstubAllGlobals();
  });
});

describe('checkpoints', () => {
  const options: Options = {
    epochs: 3,
    restoreBest: true,
    evaluate: (model) => Math.abs(sum(model.forward(randn([6, 3], { seed: 9 }))).item() - 1),
  };
  const withSchedule = (model: Sequential): Options => {
    const optimizer = new Adam(model.parameters(), { lr: 0.02 });
    return { ...options, optimizer, schedule: exponentialDecay({ factor: 0.7 }), scheduleEvery: 'step' };
  };

  it('of every step go on bit for bit', async () => {
    const whole = network();
    const written: Uint8Array[] = [];
    const records = await recordsOf(
      training(whole, {
        ...withSchedule(whole),
        checkpoint: { write: (bytes) => void written.push(bytes), every: 1 },
      }),
    );
    expect(written.length).toBe(15);
    for (const [i, bytes] of written.entries()) {
      const model = network();
      const run = training(model, { ...withSchedule(model), resume: bytes });
      expect(told(await recordsOf(run)), `after step ${i + 1}`).toEqual(told(records.slice(i + 1)));
      expect(valuesOf(model)).toEqual(valuesOf(whole));
      expect(run.outcome).toMatchObject({ reason: 'finished', epochs: 3, steps: 15 });
    }
  });

  it('remember patience, and that it ran out', async () => {
    const scores = [1, 2, 3, 4];
    const kept = drawer();
    const run = (from?: Uint8Array) => {
      let i = 0;
      return training(network(), {
        epochs: 9,
        patience: 3,
        evaluate: () => scores[i++],
        resume: from,
        checkpoint: { write: kept.write },
      });
    };
    const first = run();
    for await (const { step } of first) if (step === 10) break;
    const second = run(kept.last);
    expect(await second.finish()).toMatchObject({
      reason: 'patience',
      steps: 20,
      best: { score: 1, step: 5 },
    });
    expect(await run(kept.last).finish()).toMatchObject({ reason: 'patience', steps: 20 });
  });

  it('give their best weights, on demand', async () => {
    const kept = drawer();
    const best: unknown[] = [];
    let i = 0;
    const model = network();
    await training(model, {
      epochs: 3,
      restoreBest: true,
      evaluate: (net) => {
        best.push(valuesOf(net));
        return [2, 1, 3][i++];
      },
      checkpoint: { write: kept.write },
    }).finish();
    const read = network();
    await loadCheckpoint(kept.last, { model: read });
    expect(valuesOf(read)).toEqual(best[2]);
    await loadCheckpoint(kept.last, { model: read, best: true });
    expect(valuesOf(read)).toEqual(best[1]);
    expect(valuesOf(model)).toEqual(best[1]);
  });

  it('are refused where they do not fit, and nothing is changed', async () => {
    const kept = drawer();
    await training(network(), {
      checkpoint: { write: kept.write },
    }).finish();
    const model = network();
    const before = valuesOf(model);
    const sgd = new SGD(model.parameters(), { lr: 1 });
    expect(await refusal(() => training(model, { optimizer: sgd, resume: kept.last }).finish())).toContain(
      'the state is not one of SGD: it has an entry "Adam.groups.0.lr"',
    );
    expect(
      await refusal(() => training(model, { schedule: (_, base) => base, resume: kept.last }).finish()),
    ).toContain('2 missing: Schedule.step, Schedule.bases');
    expect(valuesOf(model)).toEqual(before);
    expect(await refusal(() => loadCheckpoint(kept.last, { model: new Linear(3, 1) }))).toContain(
      'the state does not fit this Linear',
    );
    expect(await refusal(() => loadCheckpoint(kept.last, { model, best: true }))).toContain(
      'holds no best weights',
    );
    const short = (epoch: number) => data(epoch).slice(0, 2);
    const middle = drawer();
    for await (const { step } of training(network(), {
      checkpoint: { write: middle.write },
    }))
      if (step === 8) break;
    expect(await refusal(() => training(network(), { data: short, resume: middle.last }).finish())).toBe(
      'fit: epoch 1 has 2 batches, at the checkpoint it had more than 3',
    );
  });

  it('that are none, or injured, are refused', async () => {
    const model = network();
    const plain = writeSafetensors(model.stateDict());
    expect(await refusal(() => training(model, { resume: plain }).finish())).toContain(
      "this safetensors file is no checkpoint: its format is undefined, not 'deconv checkpoint 1'",
    );
    const made = (metadata: Record<string, string>, tensors = {}) =>
      writeSafetensors(tensors, { metadata: { format: 'deconv checkpoint 1', ...metadata } });
    const load = (bytes: Uint8Array) => refusal(() => training(model, { resume: bytes }).finish());
    expect(await load(made({}))).toContain("the checkpoint's calls are not JSON");
    expect(await load(made({ calls: '[1]', notes: '1' }))).toContain('calls must be integers ≥ 0 by name');
    expect(await load(made({ calls: '{"a":-1}', notes: '1' }))).toContain(
      'calls must be integers ≥ 0 by name',
    );
    expect(await load(made({ calls: '{}', notes: '{' }))).toContain("the checkpoint's notes are not JSON");
    expect(await load(made({ calls: '{}', notes: '{}' }))).toContain('does not say where the training stood');
    const position = { epoch: 0, batch: -1, epochSteps: 0, lossSum: 0, step: 0, waited: 0 };
    expect(await load(made({ calls: '{}', notes: JSON.stringify({ position }) }))).toContain('batch');
    expect(await load(made({ calls: '{}', notes: '{}' }, { 'other.x': zeros([1]) }))).toContain(
      'has an entry "other.x", which is no part of one',
    );
    expect(Object.keys(readSafetensors(plain)).length).toBeGreaterThan(0);
  });
});

/** Takes a logarithm: not finite for what is not above 0. */
class Logarithm extends Module {
  forward(x: Tensor): Tensor {
    return log(x);
  }
}

/** x · |x|^½-like root: finite at 0, its slope is not. */
class Root extends Module {
  weight = this.parameter('weight', tensor([1]));
  forward(x: Tensor): Tensor {
    return mul(this.weight, x);
  }
}

describe('what is not finite', () => {
  const single = (model: Sequential, batch: Batch, options: Options = {}) =>
    fit(model, {
      data: [[zeros([1, 2])], batch],
      loss: (net, [x]) => mean(net.forward(x)),
      optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.5 }),
      epochs: 1,
      ...options,
    });

  it('is traced to the module whose output it was first', async () => {
    const inner = new Linear(2, 2, { seed: 1, bias: false });
    inner.weight.assign(
      tensor([
        [1, 0],
        [0, 1],
      ]),
    );
    const model = new Sequential(inner, new BatchNorm1d(2), new Logarithm(), new Linear(2, 1, { seed: 2 }));
    const written: Uint8Array[] = [];
    const before: unknown[] = [];
    const run = fit(model, {
      data: [
        [
          tensor([
            [1, 2],
            [3, 4],
          ]),
        ],
      ],
      loss: (net, [x]) => {
        before.push(valuesOf(net));
        return mean(net.forward(x));
      },
      optimizer: new SGD(model.parameters(), { lr: 0.1 }),
      epochs: 1,
      checkpoint: { write: (bytes) => void written.push(bytes), every: 1 },
    });
    expect(await refusal(() => run.finish())).toBe(
      "fit: the loss is NaN in step 1 (epoch 0): the first output that is not finite is that of '2' (Logarithm): 2 of 4 " +
        'values are not finite, the first NaN — the model is as it was before that step, the last checkpoint is of then ' +
        'or before; a smaller lr, or clip, may help',
    );
    expect(valuesOf(model)).toEqual(before[0]);
    expect(written).toEqual([]);
  });

  it('is traced to the gradient that was first', async () => {
    // The slope of a logarithm at 0⁺ overflows, its value does not.
    const [first, second] = [new Root(), new Root()];
    const model = new Sequential(first, new Logarithm(), second);
    const tiny = tensor([[1e-45]]);
    const scale = (net: Sequential, [x]: Batch) => mul(sum(net.forward(x)), 1e30);
    const run = fit(model, {
      data: [[tiny]],
      loss: scale,
      optimizer: new SGD(model.parameters(), { lr: 0.1 }),
      epochs: 1,
      clip: 1,
    });
    const text = await refusal(() => run.finish());
    expect(text).toContain(
      'fit: a gradient is not finite in step 1 (epoch 0): all outputs are finite; the first',
    );
    expect(text).toContain("gradient that is not is that of '0.weight': 1 of 1 value is not finite");
    expect(second.weight.item()).toBe(1);
  });

  it('is found in the batch, in the parameters, and in the loss itself', async () => {
    const linear = () => new Sequential(new Linear(2, 1, { seed: 1 }));
    const batch = [tensor([[1, Number.POSITIVE_INFINITY]])];
    expect(await refusal(() => single(linear(), batch).finish())).toContain(
      'in step 2 (epoch 0): tensor 0 of the batch is not finite: 1 of 2 values is not finite, the first Infinity',
    );
    const spoilt = linear();
    spoilt.loadStateDict({ '0.weight': tensor([[Number.NaN, 1]]), '0.bias': tensor([0]) });
    expect(await refusal(() => single(spoilt, [zeros([1, 2])]).finish())).toContain(
      "in step 1 (epoch 0): '0.weight' was not finite before the step: 1 of 2 values is not finite, the first NaN",
    );
    const own = single(linear(), [zeros([1, 2])], {
      loss: (net, [x]) => log(mul(mean(net.forward(x)), 0)),
    });
    expect(await refusal(() => own.finish())).toContain(
      'the loss is -Infinity in step 1 (epoch 0): every module’s output is finite: it is the loss function that is not',
    );
  });

  it('leaves the checkpoint of before, and dropout where it was', async () => {
    const written: Uint8Array[] = [];
    const dropout = new Dropout(0.5, { seed: 1 });
    const model = new Sequential(dropout, new Linear(2, 1, { seed: 1 }));
    const run = single(model, [tensor([[Number.NaN, 1]])], {
      checkpoint: { write: (bytes) => void written.push(bytes), every: 1 },
    });
    const state: unknown[] = [];
    const text = await refusal(async () => {
      for await (const _ of run) state.push(valuesOf(model));
    });
    expect(text).toContain('the loss is NaN in step 2');
    expect([valuesOf(model), dropout.calls, run.outcome]).toEqual([state[0], 1, undefined]);
    const read = new Sequential(new Dropout(0.5, { seed: 1 }), new Linear(2, 1, { seed: 1 }));
    await loadCheckpoint(written[0], { model: read });
    expect([written.length, valuesOf(read)]).toEqual([1, state[0]]);
  });
});

describe('refusals', () => {
  const model = network();
  const make = (options: object) => refusal(() => training(model, options as Options));

  it('options', async () => {
    expect(await refusal(() => fit({} as never, {} as never))).toContain('model must be a module');
    expect(await refusal(() => fit(model, undefined as never))).toContain('options are needed');
    expect(await make({ epoch: 3 })).toBe("fit: unknown option 'epoch' — did you mean 'epochs'?");
    expect(await make({ epochs: 1.5 })).toBe('fit: epochs must be an integer ≥ 0, got 1.5');
    expect(await make({ data: [] })).toContain(
      'data must be a dataset, a function from an epoch to its batches',
    );
    expect(await make({ data: data(0).values() })).toContain('what can be gone through once is not enough');
    expect(await make({ data: { length: -1, get: () => [] } })).toContain('dataset');
    expect(await make({ batch: { batchSize: 2 } })).toContain('batch says how a dataset is put together');
    expect(await make({ data: { length: 3, get: () => [] }, batch: { size: 2 } })).toContain(
      "fit: batch: unknown option 'size'",
    );
    expect(await make({ loss: 3 })).toContain('loss must be a function (model, batch) → tensor, got 3');
    expect(await make({ optimizer: {} })).toContain('optimizer must be an optimiser');
    const foreign = new SGD([...model.parameters(), tensor([1], { requiresGrad: true })], { lr: 1 });
    expect(await make({ optimizer: foreign })).toContain(
      'optimizer.parameters[6] is no parameter of the model',
    );
    expect(await make({ schedule: 3 })).toContain('schedule must be a schedule or a rate, got 3');
    expect(await make({ scheduleEvery: 'batch' })).toContain("scheduleEvery must be one of 'epoch', 'step'");
    expect(await make({ clip: -1 })).toContain('clip must be a number ≥ 0, got -1');
    expect(await make({ clip: {} })).toContain('clip must be a number, { norm } or { value }');
    expect(await make({ clip: { norm: 1, value: 1 } })).toContain('{ norm } or { value }');
    expect(await make({ accumulate: 0 })).toContain('accumulate must be an integer ≥ 1, got 0');
    expect(await make({ evaluate: 1 })).toContain('evaluate must be a function (model) → metrics, got 1');
    expect(await make({ evaluateEvery: 3 })).toContain('evaluateEvery needs evaluate');
    expect(await make({ watch: 'x' })).toContain('watch must be the name of a metric that evaluate gives');
    expect(await make({ mode: 'least' })).toContain("mode must be one of 'min', 'max'");
    expect(await make({ patience: 0 })).toContain('patience must be an integer ≥ 1, got 0');
    expect(await make({ restoreBest: 1 })).toContain('restoreBest must be true or false, got 1');
    expect(await make({ checkpoint: {} })).toContain(
      'checkpoint must be { path } with the name of a file, or',
    );
    expect(await make({ checkpoint: { path: 'x', every: 0 } })).toContain(
      'checkpoint.every must be an integer ≥ 1',
    );
    expect(await make({ checkpoint: { file: 'x' } })).toContain("unknown option 'file'");
    expect(await make({ resume: true })).toContain('resume: true needs checkpoint.path');
    expect(await make({ resume: 7 })).toContain(
      'resume must be true, false, the name of a file or its bytes',
    );
    expect(await make({ seed: 0.5 })).toContain('seed must be an integer, got 0.5');
    expect(await make({ signal: {} })).toContain('signal must be an AbortSignal');
  });

  it('what data, loss and evaluate give', async () => {
    const run = (options: object) => refusal(() => training(network(), options as Options).finish());
    expect(await run({ data: () => 5 })).toContain(
      'data(0) must give batches that can be gone through, got 5',
    );
    expect(await run({ data: () => [] })).toBe('fit: epoch 0 has no batches');
    expect(await run({ data: () => [zeros([2])] })).toContain('a batch must be a non-empty array of tensors');
    expect(await run({ loss: () => 3 })).toContain('loss must give a tensor of one element, got 3');
    expect(await run({ loss: () => zeros([2]) })).toContain('got one of shape [2]');
    expect(await run({ loss: () => zeros([]) })).toContain('the loss does not depend on any parameter');
    expect(await run({ evaluate: () => ({}) })).toContain('evaluate must give a number, or numbers by name');
    expect(await run({ evaluate: () => ({ a: 1 }), watch: 'b' })).toBe(
      'fit: watch names "b", evaluate gives a',
    );
    expect(await run({ resume: '/nowhere/at all' })).toContain('there is no such file');
  });
});
