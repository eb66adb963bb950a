import { describe, expect, it } from 'vitest';
import { ones, randn, tensor, zeros } from '../ops/create.js';
import { add, mul } from '../ops/elementwise.js';
import { sum } from '../ops/reduce.js';
import { Tensor } from '../tensor.js';
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  MaxUnpool2d,
  Module,
  ModuleList,
  ReLU,
  Sequential,
} from './index.js';

class Scale extends Module {
  readonly factor = this.parameter('factor', tensor([2]));
  readonly seen = this.buffer('seen', tensor([0]));
  forward(x: Tensor): Tensor {
    return mul(x, this.factor);
  }
}

class Net extends Module {
  readonly head = new Scale();
  readonly list = [new Scale(), new Scale()];
  readonly tail = new Sequential(new Scale(), this.head);
  forward(x: Tensor): Tensor {
    return this.tail.forward(add(this.head.forward(x), this.list[1].forward(this.list[0].forward(x))));
  }
}

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'not refused';
};

const names = (entries: readonly (readonly [string, unknown])[]) => entries.map(([name]) => name);

describe('what a module is made of', () => {
  it('finds modules in properties and arrays, each once, by the path that comes first', () => {
    const net = new Net();
    expect(names(net.namedChildren())).toEqual(['head', 'list.0', 'list.1', 'tail']);
    expect(net.children()[0]).toBe(net.head);
    expect(names(net.namedModules())).toEqual(['', 'head', 'list.0', 'list.1', 'tail', 'tail.0']);
    expect(net.modules()[1]).toBe(net.head);
    expect(names(net.namedParameters())).toEqual([
      'head.factor',
      'list.0.factor',
      'list.1.factor',
      'tail.0.factor',
    ]);
    expect(names(net.namedBuffers())).toEqual(['head.seen', 'list.0.seen', 'list.1.seen', 'tail.0.seen']);
    expect(net.parameters()[0]).toBe(net.head.factor);
  });

  it('finds modules in arrays of arrays', () => {
    class Stages extends Module {
      readonly stages = [[new Scale()], [new Scale(), 3, new Scale()]];
      forward = (x: Tensor): Tensor => x;
    }
    expect(names(new Stages().namedChildren())).toEqual(['stages.0.0', 'stages.1.0', 'stages.1.2']);
  });

  it('says what it is', () => {
    expect([new Net().type, new Sequential().type, new Conv2d(1, 1, { kernelSize: 1 }).type]).toEqual([
      'Net',
      'Sequential',
      'Conv2d',
    ]);
  });

  it('parameters are leaves that collect gradients, buffers do not', () => {
    const { factor, seen } = new Scale();
    expect([factor.isLeaf, factor.requiresGrad, seen.requiresGrad]).toEqual([true, true, false]);
    const own = tensor([1], { requiresGrad: true });
    class Kept extends Module {
      readonly own = this.parameter('own', own);
      forward = (x: Tensor): Tensor => x;
    }
    expect(new Kept().parameters()[0]).toBe(own);
  });

  it('refuses tensors that collect gradients and were not registered', () => {
    class Forgot extends Module {
      readonly scale = tensor([1], { requiresGrad: true });
      forward = (x: Tensor): Tensor => mul(x, this.scale);
    }
    const text =
      "Forgot: property 'scale' collects gradients but is not registered — scale = this.parameter('scale', values)";
    expect(refusal(() => new Forgot().parameters())).toBe(text);
    expect(refusal(() => new Sequential(new Forgot()).stateDict())).toBe(text);
  });

  it('refuses names that would not come back', () => {
    class Named extends Module {
      constructor(...given: string[]) {
        super();
        for (const name of given) this.parameter(name, tensor([1]));
      }
      forward = (x: Tensor): Tensor => x;
    }
    expect(refusal(() => new Named('a.b'))).toBe(
      'Named: the name of a tensor must be a string without dots, got "a.b"',
    );
    expect(refusal(() => new Named(''))).toContain('must be a string without dots');
    expect(refusal(() => new Named('a', 'a'))).toBe("Named: 'a' is registered already");
  });
});

describe('modes', () => {
  it('train and eval reach everything below and come back for chaining', () => {
    const net = new Net();
    expect(net.eval()).toBe(net);
    expect(net.modules().map(({ training }) => training)).toEqual(new Array(6).fill(false));
    net.list[0].train();
    expect(net.list.map(({ training }) => training)).toEqual([true, false]);
    expect(net.train().tail.training).toBe(true);
    expect(refusal(() => net.train('yes' as never))).toBe('train: on must be true or false, got "yes"');
  });

  it('a frozen layer passes gradients on and collects none', () => {
    const net = new Sequential(new Linear(3, 4), new Linear(4, 2));
    const [first, last] = net.children();
    last.freeze();
    sum(net.forward(ones([1, 3]))).backward();
    expect(first.parameters().every(({ grad }) => grad !== null)).toBe(true);
    expect(last.parameters().every(({ grad, requiresGrad }) => grad === null && !requiresGrad)).toBe(true);
    expect(names(net.namedParameters())).toHaveLength(4);
    last.unfreeze();
    sum(net.forward(ones([1, 3]))).backward();
    expect(last.parameters().every(({ grad }) => grad !== null)).toBe(true);
  });

  it('freezes what is still to be made, but never buffers', () => {
    const net = new Sequential(new Conv2d(undefined, 2, { kernelSize: 1 }), new BatchNorm2d(2));
    net.freeze().build([1, 3, 4, 4]);
    expect(net.parameters().map(({ requiresGrad }) => requiresGrad)).toEqual([false, false, false, false]);
    net.unfreeze();
    expect(net.parameters().map(({ requiresGrad }) => requiresGrad)).toEqual([true, true, true, true]);
    expect(net.namedBuffers().map(([, { requiresGrad }]) => requiresGrad)).toEqual([false, false, false]);
  });
});

describe('state', () => {
  it('has all parameters and buffers, shared ones under each name, and does not change later', () => {
    const net = new Net();
    const state = net.stateDict();
    expect(Object.keys(state)).toEqual(['head.factor', 'head.seen', 'list.0.factor', 'list.0.seen', 'list.1.factor', 'list.1.seen', 'tail.0.factor', 'tail.0.seen', 'tail.1.factor', 'tail.1.seen']); // biome-ignore format: a word list
    expect(Object.getPrototypeOf(state)).toBeNull();
    net.head.factor.assign(tensor([7]));
    expect([state['head.factor'].item(), state['head.factor'].requiresGrad]).toEqual([2, false]);
    expect(net.stateDict()['tail.1.factor'].item()).toBe(7);
  });

  it('is loaded into the same tensors, and cast to their type', () => {
    const layer = new Linear(2, 1);
    const { weight } = layer;
    const report = layer.loadStateDict({ weight: tensor([[1, 2]], { dtype: 'float64' }), bias: tensor([3]) });
    expect(report).toEqual({ missing: [], unexpected: [], misshaped: [] });
    expect(layer.weight).toBe(weight);
    expect([weight.dtype, weight.requiresGrad, weight.toArray()]).toEqual(['float32', true, [[1, 2]]]);
    expect(layer.forward(tensor([[10, 20]])).item()).toBe(53);
  });

  it('a later change of what was loaded from does not show', () => {
    const source = tensor([[1, 2]]);
    const layer = new Linear(2, 1, { bias: false });
    layer.loadStateDict({ weight: source });
    source.assign(tensor([[5, 5]]));
    source.dispose();
    expect(layer.weight.toArray()).toEqual([[1, 2]]);
  });

  const misfit = () => ({ '0.weight': zeros([2, 2]), '2.weight': zeros([1]), '1.bias': zeros([1]) });
  const net = () => new Sequential(new Linear(3, 2), new Linear(2, 1));

  it('that does not fit is refused with all there is to say, and nothing is changed', () => {
    const model = net();
    const before = model.stateDict();
    expect(refusal(() => model.loadStateDict(misfit()))).toBe(
      'loadStateDict: the state does not fit this Sequential: 2 missing: 0.bias, 1.weight; 1 unexpected: 2.weight; 1 of another shape: 0.weight must be [2, 3], got [2, 2] — { strict: false } loads what fits',
    );
    for (const [name, value] of Object.entries(model.stateDict()))
      expect(value.data).toEqual(before[name].data);
  });

  it('that does not fit is loaded as far as it does, if so asked', () => {
    const model = net();
    const report = model.loadStateDict(misfit(), { strict: false });
    expect(report).toEqual({
      missing: ['0.bias', '1.weight'],
      unexpected: ['2.weight'],
      misshaped: [{ name: '0.weight', expected: [2, 3], got: [2, 2] }],
    });
    expect(model.stateDict()['1.bias'].item()).toBe(0);
    expect(model.stateDict()['0.weight'].data.some((value) => value !== 0)).toBe(true);
  });

  it('of a wrapped network is told apart from another network', () => {
    const state = Object.fromEntries(
      Object.entries(net().stateDict()).map(([name, value]) => [`module.${name}`, value]),
    );
    expect(refusal(() => net().loadStateDict(state))).toContain("— take 'module.' off the names");
  });

  it('that is none', () => {
    expect(refusal(() => net().loadStateDict(null as never))).toBe(
      'loadStateDict: state must be tensors by name, got null',
    );
    expect(refusal(() => net().loadStateDict({ a: 1 } as never))).toBe(
      'loadStateDict: state["a"] must be a tensor, got 1',
    );
    expect(refusal(() => net().loadStateDict({}, { strict: 1 } as never))).toBe(
      'loadStateDict: strict must be true or false, got 1',
    );
    expect(refusal(() => net().loadStateDict({}, { strikt: true } as never))).toContain(
      "did you mean 'strict'?",
    );
  });
});

describe('parameters that are made at the first call', () => {
  const open = () =>
    new Sequential(
      new Conv2d(undefined, 4, { kernelSize: 3, seed: 3 }),
      new ReLU(),
      new ConvTranspose2d(undefined, 2, { kernelSize: 2, seed: 4 }),
    );

  it('cannot be listed before', () => {
    const text =
      'Conv2d: 0.weight is not made yet: its shape [4, ?, 3, 3] is open until the first call — call build(inputShape) or load a state first';
    expect(refusal(() => open().parameters())).toBe(text);
    expect(refusal(() => open().stateDict())).toBe(text);
    expect(refusal(() => new Linear(undefined, 3).weight)).toContain(
      'weight is not made yet: its shape [3, ?]',
    );
  });

  it('are the same whoever makes them: the first call, build, or the number of channels', () => {
    const [called, built] = [open(), open()];
    called.forward(zeros([1, 3, 6, 6]));
    expect(built.build([2, 3, 9, 9])).toBe(built);
    const told = new Sequential(
      new Conv2d(3, 4, { kernelSize: 3, seed: 3 }),
      new ReLU(),
      new ConvTranspose2d(4, 2, { kernelSize: 2, seed: 4 }),
    );
    const state = told.stateDict();
    for (const net of [called, built]) {
      expect(names(net.namedParameters())).toEqual(Object.keys(state));
      for (const [name, value] of net.namedParameters()) expect(value.data).toEqual(state[name].data);
    }
  });

  it('may be loaded before, and survive it', () => {
    const net = open();
    const wide = {
      '0.weight': ones([4, 5, 3, 3]),
      '0.bias': ones([4]),
      '2.weight': ones([4, 2, 2, 2]),
      '2.bias': ones([2]),
    };
    expect(refusal(() => net.loadStateDict({ ...wide, '0.weight': ones([3, 5, 3, 3]) }))).toContain(
      '0.weight must be [4, ?, 3, 3], got [3, 5, 3, 3]',
    );
    net.loadStateDict(wide);
    expect(net.forward(zeros([1, 5, 6, 6])).shape).toEqual([1, 2, 5, 5]);
    for (const parameter of net.parameters()) expect(parameter.data.every((value) => value === 1)).toBe(true);
    expect(refusal(() => net.forward(zeros([1, 3, 6, 6])))).toContain('conv2d');
  });

  it('those not loaded are made beside those that are', () => {
    const layer = new Conv2d(undefined, 2, { kernelSize: 1 });
    expect(layer.loadStateDict({ weight: ones([2, 3, 1, 1]) }, { strict: false }).missing).toEqual(['bias']);
    expect(refusal(() => layer.parameters())).toContain('bias is not made yet');
    layer.forward(zeros([1, 3, 4, 4]));
    expect(layer.weight.data).toEqual(new Float32Array(6).fill(1));
    expect(layer.parameters()).toHaveLength(2);
  });
});

describe('summary', () => {
  const pool = new MaxPool2d({ kernelSize: 2 });
  const net = new Sequential(
    new Conv2d(undefined, 4, { kernelSize: 3, padding: 1 }),
    new BatchNorm2d(4),
    new ReLU(),
    pool,
    new MaxUnpool2d(pool),
    new Flatten(),
    new Dropout(0.5),
    new Linear(undefined, 10, { bias: false }),
  );

  it('lists each layer with its shape, numbers and operations', () => {
    const { rows, outputShape, parameters, trainable, flops } = net.summary([2, 3, 6, 4]);
    expect(rows.map(({ name, type, parameters }) => [name, type, parameters])).toEqual([['0', 'Conv2d', 112], ['1', 'BatchNorm2d', 8], ['2', 'ReLU', 0], ['3', 'MaxPool2d', 0], ['4', 'MaxUnpool2d', 0], ['5', 'Flatten', 0], ['6', 'Dropout', 0], ['7', 'Linear', 960]]); // biome-ignore format: a table
    expect(rows.map((row) => row.outputShape)).toEqual([[2, 4, 6, 4], [2, 4, 6, 4], [2, 4, 6, 4], [2, 4, 3, 2], [2, 4, 6, 4], [2, 96], [2, 96], [2, 10]]); // biome-ignore format: a table
    expect([outputShape, parameters, trainable]).toEqual([[2, 10], 1080, 1080]);
    // 2 · outputs · inputs per output: 2·(2·4·24)·(3·9), and 2·20·96.
    expect(rows.map((row) => row.flops)).toEqual([10368, 0, 0, 0, 0, 0, 0, 3840]);
    expect(flops).toBe(14208);
  });

  it('counts a transposed convolution by its inputs', () => {
    const up = new ConvTranspose2d(4, 6, { kernelSize: 3, stride: 2, groups: 2 });
    expect(up.summary([1, 4, 5, 5]).flops).toBe(2 * 4 * 25 * 3 * 9);
    const down = new Conv2d(4, 6, { kernelSize: 3, stride: 2, groups: 2 });
    expect(down.summary([1, 4, 5, 5]).flops).toBe(2 * 6 * 4 * 2 * 9);
  });

  it('reads as a table', () => {
    const shared = new Linear(2, 2);
    const twice = new Sequential(shared, new ReLU(), shared).freeze();
    expect(String(twice.summary([1, 2]))).toBe(
      [
        'layer     output  parameters  flops',
        '0 Linear  [1, 2]           6      8',
        '1 ReLU    [1, 2]           0      0',
        '0 Linear  [1, 2]           0      8',
        'total     [1, 2]           6     16',
        '6 of the parameters are frozen',
      ].join('\n'),
    );
  });

  it('changes nothing', () => {
    const dropout = new Dropout(0.5, { seed: 1 });
    const norm = new BatchNorm2d(4).eval();
    const own = new Sequential(new Conv2d(undefined, 4, { kernelSize: 1 }), norm, dropout, pool);
    dropout.forward(ones([3]));
    const before = norm.stateDict();
    own.summary([1, 2, 4, 4]);
    expect(() => own.parameters()).toThrow('not made yet');
    expect(own.modules().map(({ training }) => training)).toEqual([true, true, false, true, true]);
    expect(dropout.calls).toBe(1);
    for (const [name, value] of Object.entries(norm.stateDict()))
      expect(value.data).toEqual(before[name].data);
    expect(own.modules().some((module) => Object.hasOwn(module, 'forward'))).toBe(false);
    expect(refusal(() => new MaxUnpool2d(pool).forward(zeros([1, 4, 2, 2])))).toContain(
      'its pooling was not called yet',
    );
  });

  it('puts things back even where the network fails', () => {
    const broken = new Sequential(
      new Conv2d(undefined, 4, { kernelSize: 9 }),
      new Conv2d(3, 1, { kernelSize: 1 }),
    );
    expect(() => broken.summary([1, 2, 9, 9])).toThrow('conv2d');
    expect([broken.training, Object.hasOwn(broken, 'forward')]).toEqual([true, false]);
    expect(() => broken.parameters()).toThrow('not made yet');
  });

  it('takes several inputs, results that are no tensor, and forward as a property', () => {
    class Two extends Module<{ value: Tensor; note: string }> {
      readonly scale = new Scale();
      forward = (a: Tensor, b: Tensor) => ({ value: add(this.scale.forward(a), b), note: 'sum' });
    }
    const two = new Two();
    const { forward } = two;
    expect(two.summary([[2, 3], [3]]).outputShape).toEqual([2, 3]);
    expect(two.forward).toBe(forward);
    expect(refusal(() => two.summary(3 as never))).toBe(
      'summary: inputShape must be an array of axis lengths, got 3',
    );
    expect(refusal(() => two.summary([1.5]))).toBe(
      'summary: inputShape axis 0 must be an integer ≥ 0, got 1.5',
    );
  });
});

describe('containers', () => {
  it('Sequential: length, at, iteration; refuses what is no module', () => {
    const [a, b] = [new ReLU(), new Scale()];
    const net = new Sequential(a, b);
    expect([net.length, net.at(-1), [...net]]).toEqual([2, b, [a, b]]);
    expect(new Sequential().forward(ones([2])).toArray()).toEqual([1, 1]);
    expect(refusal(() => new Sequential(a, 3 as never))).toBe(
      'Sequential: argument 1 must be a module, got 3',
    );
  });

  it('ModuleList: named by position, extended, never called', () => {
    const list = new ModuleList([new Scale()]);
    list.push(new Scale());
    expect([list.length, names(list.namedParameters()), [...list].length]).toEqual([
      2,
      ['0.factor', '1.factor'],
      2,
    ]);
    expect(list.at(-1)).toBe([...list][1]);
    expect(refusal(() => list.forward())).toBe(
      'ModuleList: a ModuleList cannot be called — call its modules, or use a Sequential',
    );
    expect(refusal(() => new ModuleList([1] as never))).toBe(
      'ModuleList: argument 0 must be a module, got 1',
    );
    expect(refusal(() => new ModuleList(1 as never))).toBe(
      'ModuleList: modules must be an array of modules, got 1',
    );
  });

  it('what passes through a Sequential is let go, parameters and what was given stay', () => {
    class Constant extends Module {
      readonly start = this.parameter('start', ones([1, 2]));
      forward(): Tensor {
        return this.start;
      }
    }
    let passing: Tensor | undefined;
    class Tap extends Module {
      forward(x: Tensor): Tensor {
        passing = x;
        return mul(x, 1);
      }
    }
    const net = new Sequential(new Constant(), new Scale(), new Tap());
    const x = randn([1, 2]);
    for (let call = 0; call < 2; call++) expect(net.forward(x).toArray()).toEqual([[2, 2]]);
    expect(x.data).toHaveLength(2);
    expect(refusal(() => passing?.data)).toContain('keep x.detach() of what passes through');
    expect(passing).toBeInstanceOf(Tensor);
  });
});
