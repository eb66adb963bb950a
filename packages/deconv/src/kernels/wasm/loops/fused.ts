/** fused: the convolutions with everything that networks leave to them: see fusion.ts. */
import type { FusedConvAttributes } from '../../../backend.js';
import { sizeOf } from '../../../shape.js';
import type { Storage } from '../../../tensor.js';
import { activate } from '../activations.js';
import type { Build } from '../assembler.js';
import { NetworkFusion } from '../fusion.js';
import { convolve, FORWARD, INPUT_GRAD, isLone, type Reading } from './conv.js';
import type { Ground, Loop, WasmFunction } from './ground.js';

/** The formula of a function of one argument. */
function formulaOf(own: WasmFunction): string {
  const [text] = own.wasm as readonly string[];
  return text;
}

/** One that plain convolutions have a way of their own for; its activation, if it is none of theirs, comes in a pass of its own. */
function computeLone(
  ground: Ground,
  inputs: readonly Storage[],
  attributes: FusedConvAttributes,
): Storage | undefined {
  const { geometry: g, activation } = attributes;
  const slopes = activation?.fn === 'prelu' ? inputs[inputs.length - 1] : undefined;
  if (activation?.fn !== 'own' && slopes === undefined)
    return convolve(ground, INPUT_GRAD, inputs, attributes);
  const given = slopes === undefined ? inputs : inputs.slice(0, -1);
  const output = convolve(ground, INPUT_GRAD, given, { ...attributes, activation: undefined });
  if (output === undefined) return undefined;
  const taps = sizeOf(g.xSize);
  const at = ground.at(output);
  for (let n = 0; n < g.batch; n++) {
    const rows = [at + 4 * n * g.xChannels * taps, 4 * taps] as const;
    const apply = (text: string, names: string, pattern: string, ...more: (readonly [number, number])[]) =>
      ground.kernels.apply(text, names, pattern, rows, g.xChannels, taps, [rows, ...more]);
    if (slopes !== undefined) apply('x>0 ? x : w*x', 'xw', '10', [ground.at(slopes), 4]);
    if (activation?.fn === 'own') apply(formulaOf(activation.own), 'x', '1');
  }
  return output;
}

function compute(
  ground: Ground,
  op: Reading,
  inputs: readonly Storage[],
  attributes: FusedConvAttributes,
): Storage | undefined {
  const { geometry, activation, residual, before } = attributes;
  if (!residual && before === undefined && isLone(op, geometry))
    return computeLone(ground, inputs, attributes);
  const fusion = new NetworkFusion(attributes);
  if (activation?.fn !== 'own') return convolve(ground, op, inputs, attributes, fusion);
  const { own } = activation;
  const { name } = own;
  // Definitions stay in front.
  const build: Build = (...given) =>
    activate(formulaOf(own).replace(/[^;]+$/, 'own(x)=$&;own(x+b)'))(...given);
  if (!ground.engine.has(name, build)) return undefined;
  return convolve(ground, op, inputs, { ...attributes, activation: { fn: name, parameters: [] } }, fusion);
}

/** (x, w, bias?, slopes or residual?, more channels of x?) → y */
export const convForward: Loop<FusedConvAttributes> = (ground, inputs, attributes) =>
  compute(ground, FORWARD, inputs, attributes);

/** (y, w, bias?, slopes or residual?) → x */
export const convInputGrad: Loop<FusedConvAttributes> = (ground, inputs, attributes) =>
  compute(ground, INPUT_GRAD, inputs, attributes);
