/** Layers and small networks against PyTorch: states as it saves them, outputs, gradients, buffers, training. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../io/index.js';
import { leakyRelu, relu } from '../ops/elementwise.js';
import { concat } from '../ops/layout.js';
import { maxPool2d } from '../ops/window.js';
import { Adam, SGD } from '../optim/index.js';
import type { Tensor } from '../tensor.js';
import * as nn from './index.js';

const root = new URL('../../../../test/fixtures/nn/', import.meta.url);
const json = (name: string) => JSON.parse(readFileSync(new URL(name, root), 'utf8'));
const tensors = (name: string) => readSafetensors(readFileSync(new URL(name, root)));

/** The tensors whose names begin so, by the rest of their names. */
function under(all: Readonly<Record<string, Tensor>>, prefix: string): Record<string, Tensor> {
  const found = Object.entries(all).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]));
}

/** Within `relative` of the largest value. */
function expectNear(what: string, got: Tensor | null | undefined, wanted: Tensor, relative = 1e-5): void {
  expect(got?.shape, what).toEqual(wanted.shape);
  const [a, b] = [Array.from(got?.data ?? []), Array.from(wanted.data)];
  const largest = Math.max(1e-3, ...b.map(Math.abs));
  const worst = Math.max(...b.map((value, i) => Math.abs(value - a[i])));
  expect(worst / largest, what).toBeLessThan(relative);
}

interface LayerCase {
  readonly name: string;
  readonly layer: string;
  readonly args: readonly unknown[];
  readonly modes: readonly ('eval' | 'train')[];
}

const makers: Readonly<Record<string, unknown>> = nn;

function make(layer: string, args: readonly unknown[]): nn.Module {
  const maker = makers[layer];
  if (typeof maker !== 'function') throw new Error(`no layer ${layer}`);
  const made: unknown = Reflect.construct(maker, args);
  if (!(made instanceof nn.Module)) throw new Error(`${layer} is no module`);
  return made;
}

describe('layers as PyTorch has them', () => {
  const all = tensors('layers.safetensors');
  const cases: readonly LayerCase[] = json('layers.json');

  it.each(cases.flatMap((one) => one.modes.map((mode) => ({ ...one, mode }))))(
    '$name $args, $mode: output, gradients, buffers',
    ({ name, layer, args, mode }) => {
      const module = make(layer, args);
      module.loadStateDict(under(all, `${name}/state/`));
      module.train(mode === 'train');
      const x = all[`${name}/input`].detach();
      x.requiresGrad = true;
      const wanted = under(all, `${name}/${mode}/`);
      const output = module.forward(x);
      expectNear('output', output, wanted['output']);
      output.backward(wanted['gradOutput']);
      expectNear('gradInput', x.grad, wanted['grad/input'], 3e-5);
      const parameters = module.namedParameters();
      expect(parameters.map(([key]) => `grad/${key}`)).toEqual(
        Object.keys(wanted).filter((key) => key.startsWith('grad/') && key !== 'grad/input'),
      );
      for (const [key, parameter] of parameters)
        expectNear(`gradient of ${key}`, parameter.grad, wanted[`grad/${key}`]);
      const after = under(all, `${name}/${mode === 'train' ? 'after' : 'state'}/`);
      for (const [key, buffer] of module.namedBuffers()) expectNear(key, buffer, after[key]);
    },
  );
});

class Block extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly norm1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly norm2: nn.GroupNorm;

  constructor(inputs: number, outputs: number) {
    super();
    this.conv1 = new nn.Conv2d(inputs, outputs, { kernelSize: 3, padding: 1, bias: false });
    this.norm1 = new nn.BatchNorm2d(outputs);
    this.conv2 = new nn.Conv2d(outputs, outputs, { kernelSize: 3, padding: 1 });
    this.norm2 = new nn.GroupNorm(2, outputs);
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.norm1.forward(this.conv1.forward(x)));
    return leakyRelu(this.norm2.forward(this.conv2.forward(y)), 0.1);
  }
}

class UNet extends nn.Module {
  readonly down = new nn.ModuleList([new Block(1, 4), new Block(4, 8)]);
  readonly middle = new Block(8, 8);
  readonly up = new nn.ModuleList([
    new nn.ConvTranspose2d(8, 8, { kernelSize: 2, stride: 2 }),
    new nn.ConvTranspose2d(8, 4, { kernelSize: 2, stride: 2 }),
  ]);
  // An array is named as a ModuleList is.
  readonly merge = [new Block(16, 8), new Block(8, 4)];
  readonly head = new nn.Sequential(
    new nn.Conv2d(4, 4, { kernelSize: 1 }),
    new nn.PReLU(),
    new nn.Dropout(0.5),
    new nn.Conv2d(4, 2, { kernelSize: 1 }),
  );

  forward(x: Tensor): Tensor {
    const skips: Tensor[] = [];
    let y = x;
    for (const block of this.down) {
      y = block.forward(y);
      skips.unshift(y);
      y = maxPool2d(y, { kernelSize: 2 }).output;
    }
    y = this.middle.forward(y);
    for (const [i, up] of [...this.up].entries())
      y = this.merge[i].forward(concat([up.forward(y), skips[i]], 1));
    return this.head.forward(y);
  }
}

describe('networks as PyTorch has them', () => {
  const all = tensors('networks.safetensors');
  const known = json('networks.json');

  it('a U-Net: names, output and gradients from its state', () => {
    const net = new UNet();
    expect(Object.keys(net.stateDict())).toEqual(known.unet.keys);
    const state = under(all, 'unet/state/');
    for (const [key, value] of Object.entries(net.stateDict())) expect(value.shape).toEqual(state[key].shape);
    net.loadStateDict(state);
    const output = net.eval().forward(all['unet/input']);
    expectNear('output', output, all['unet/output']);
    nn.mseLoss(output, all['unet/target']).backward();
    for (const [key, parameter] of net.namedParameters())
      expectNear(key, parameter.grad, all[`unet/grad/${key}`], 3e-5);
  });

  it.each([
    ['sgd', (p: Tensor[]) => new SGD(p, { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 })],
    ['adam', (p: Tensor[]) => new Adam(p, { lr: 0.01 })],
  ] as const)('20 steps with %s: losses and the state after them', (name, optimiser) => {
    const net = new nn.Sequential(
      new nn.Conv2d(2, 6, { kernelSize: 3, stride: 2, padding: 1 }),
      new nn.BatchNorm2d(6),
      new nn.ReLU(),
      new nn.ConvTranspose2d(6, 2, { kernelSize: 4, stride: 2, padding: 1 }),
    );
    net.loadStateDict(under(all, 'train/state/'));
    const steps = optimiser(net.parameters());
    const losses = known[name].losses.map((_: number, step: number) => {
      steps.zeroGrad();
      const loss = nn.mseLoss(net.forward(all[`train/input/${step % 2}`]), all[`train/target/${step % 2}`]);
      loss.backward();
      steps.step();
      return loss.item();
    });
    for (const [step, loss] of known[name].losses.entries())
      expect(Math.abs(losses[step] / loss - 1), `step ${step}`).toBeLessThan(1e-5);
    const after = under(all, `${name}/after/`);
    // The bias before a batch normalisation has no gradient but rounding, of which Adam makes steps.
    for (const [key, value] of Object.entries(net.stateDict()))
      if (key !== '0.bias' && key !== '1.running_mean') expectNear(key, value, after[key], 1e-4);
  });

  it('structural similarity and its gradient', () => {
    const x = all['ssim/x'].detach();
    x.requiresGrad = true;
    expectNear('ssim', nn.ssim(x, all['ssim/y'], { reduction: 'none' }), all['ssim/values']);
    nn.ssimLoss(x, all['ssim/y']).backward();
    expectNear('gradient', x.grad, all['ssim/grad']);
  });
});
