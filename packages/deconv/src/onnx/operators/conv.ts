/**
 * Conv, ConvTranspose and Col2Im. What auto_pad, pads, output_shape and output_padding mean is said in one place, the
 * dialect 'onnx' of geometry; here its options meet the shapes.
 */
import { run as runKernel } from '../../autograd.js';
import type { ConvAttributes, FusedConvAttributes, OwnActivation } from '../../backend.js';
import { hardSwish, silu } from '../../functions.js';
import {
  type ConvGeometry,
  convGeometry,
  convTransposeGeometry,
  flopsOf,
  xShapeOf,
  yShapeOf,
} from '../../geometry/conv.js';
import { fromDialect } from '../../geometry/dialects/index.js';
import * as operation from '../../operations.js';
import { type ActivationOption, readActivation } from '../../ops/activation.js';
import { sameShape, sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { windowOf } from './window.js';

const AUTO_PAD = ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'] as const;
const ATTRIBUTES = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'];

/** The shape of the input, with the channels that another one adds to it. */
function inputShape(node: NodeContext): readonly number[] {
  const [batch, channels, ...space] = node.rank(0, 3, 5);
  const more = node.fused.joined ? node.shape(4)[1] : 0;
  return [batch, channels + more, ...space];
}

/** Attributes in the words of the dialect, and the sizes that it may need. */
function readAttributes(node: NodeContext): Record<string, unknown> {
  const [x, w] = [inputShape(node), node.shape(1)];
  if (w.length !== x.length)
    node.refuse('inputs', `the weight must have rank ${x.length} like the input, it has ${w.length}`);
  const kernel = w.slice(2);
  const said = node.ints('kernel_shape');
  if (said !== undefined && said.join() !== kernel.join())
    node.refuse(
      'kernel_shape',
      `kernel_shape [${said.join(', ')}] is not that of the weight, [${kernel.join(', ')}]`,
    );
  const options: Record<string, unknown> = {
    rank: kernel.length,
    inputSize: x.slice(2),
    kernelSize: kernel,
    auto_pad: node.choice('auto_pad', AUTO_PAD, 'NOTSET'),
    group: node.int('group', 1),
  };
  for (const name of ['dilations', 'strides', 'pads', 'output_padding', 'output_shape']) {
    const list = node.ints(name);
    if (list !== undefined && list.length > 0) options[name] = list;
  }
  // Pads next to auto_pad are ignored by the runtimes if they are zeros, as some exporters write them.
  if (options.auto_pad !== 'NOTSET' && node.ints('pads')?.every((pad) => pad === 0)) delete options.pads;
  const { pads: extra } = node.fused;
  if (extra !== undefined) {
    const own = (options.pads as readonly number[] | undefined) ?? extra.map(() => 0);
    options.pads = extra.map((amount, i) => amount + own[i]);
  }
  return options;
}

function checkBias(node: NodeContext, channels: number): void {
  node.sameType(0, 1, 2);
  if (node.has(2) && (node.shape(2).length !== 1 || node.shape(2)[0] !== channels))
    node.refuse('inputs', `the bias must have shape [${channels}], got [${node.shape(2).join(', ')}]`);
}

/** Functions that no option of a convolution names. */
const OWN: Readonly<Partial<Record<string, OwnActivation>>> = {
  silu: { fn: 'own', parameters: [], own: silu },
  hardSwish: { fn: 'own', parameters: [], own: hardSwish },
};

/** Runs a kernel. */
type Kernel<Attributes> = (inputs: readonly Tensor[], attributes: Attributes) => Tensor;

/** @param plain by the kernel that plain convolutions have @param fused by the one that takes more */
function planned(
  node: NodeContext,
  geometry: ConvGeometry,
  shape: readonly number[],
  plain: Kernel<ConvAttributes>,
  fused: Kernel<FusedConvAttributes>,
): Planned {
  const { activation, slopes, residual = false, joined } = node.fused;
  const before = readActivation(node.label, node.fused.before);
  const split = joined ? node.shape(0)[1] : undefined;
  const own = activation && OWN[activation.name];
  if (residual && (node.type(3) !== node.type(0) || !sameShape(node.shape(3), shape))) {
    node.refuse('inputs', 'what is added to the outputs must be like them');
  }
  const common = { geometry, average: false, bias: node.has(2) } as const;
  const named = () => readActivation(node.label, activation as ActivationOption | undefined);
  let convolve: (inputs: readonly Tensor[]) => Tensor;
  if (slopes || residual || joined || before !== undefined || own !== undefined) {
    const function_ = slopes ? ({ fn: 'prelu', parameters: [] } as const) : (own ?? named());
    const attributes = { ...common, activation: function_, residual, split, before };
    convolve = (given) => fused(given, attributes);
  } else {
    const attributes = { ...common, activation: named() };
    convolve = (given) => plain(given, attributes);
  }
  return {
    outputs: [{ type: node.float(0), shape }],
    // Inputs that are left out, as a bias before a shortcut, are not there.
    run: (inputs) => [convolve(inputs.filter((input) => input !== undefined))],
    flops: flopsOf(geometry),
  };
}

function planConv(node: NodeContext): Planned {
  const { options } = fromDialect('onnx', 'conv', readAttributes(node));
  const geometry = convGeometry(inputShape(node), node.shape(1), options, node.label);
  checkBias(node, geometry.yChannels);
  const shape = yShapeOf(geometry);
  return planned(
    node,
    geometry,
    shape,
    (inputs, attributes) => runKernel(operation.convForward, inputs, attributes, shape),
    (inputs, attributes) => runKernel(operation.convForwardFused, inputs, attributes, shape),
  );
}

function planConvTranspose(node: NodeContext): Planned {
  const { options } = fromDialect('onnx', 'convTranspose', readAttributes(node));
  const geometry = convTransposeGeometry(node.shape(0), node.shape(1), options, node.label);
  checkBias(node, geometry.xChannels);
  const shape = xShapeOf(geometry);
  return planned(
    node,
    geometry,
    shape,
    (inputs, attributes) => runKernel(operation.convInputGrad, inputs, attributes, shape),
    (inputs, attributes) => runKernel(operation.convInputGradFused, inputs, attributes, shape),
  );
}

/** Columns (N, C·|block|, windows) laid back on an image, overlaps added. */
function planCol2Im(node: NodeContext): Planned {
  const [batch, rows, columns] = node.rank(0, 3);
  const [image, block] = [node.known(1), node.known(2)];
  const rank = image.length;
  const taps = sizeOf(block);
  if (rank < 1 || rank > 3 || block.length !== rank)
    node.refuse(
      'inputs',
      `image_shape and block_shape must have 1 to 3 entries each, got ${rank} and ${block.length}`,
    );
  if (taps < 1 || rows % taps !== 0)
    node.refuse('inputs', `${rows} rows do not divide by the block's ${taps} elements`);
  const { geometry } = windowOf(node, [batch, rows / taps, ...image], { kernel: block });
  if (sizeOf(geometry.outputSize) !== columns)
    node.refuse('inputs', `${columns} columns where ${geometry.outputSize.join('×')} windows lie`);
  const shape = [batch, rows / taps, ...image];
  return {
    outputs: [{ type: node.float(0), shape }],
    run: ([x]) => [runKernel(operation.fold, [x], geometry, shape)],
  };
}

export const convolutions: Readonly<Record<string, Operator>> = {
  Conv: { inputs: [2, 3], outputs: 1, attributes: ATTRIBUTES, plan: planConv },
  ConvTranspose: {
    inputs: [2, 3],
    outputs: 1,
    attributes: [...ATTRIBUTES, 'output_padding', 'output_shape'],
    plan: planConvTranspose,
  },
  Col2Im: { inputs: [3, 3], outputs: 1, attributes: ['dilations', 'pads', 'strides'], plan: planCol2Im },
};
