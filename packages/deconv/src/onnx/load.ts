/** load: from a file or its bytes to a model that runs. */
import { checkOptions, refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { amongBytes, besideFile, readModelFile } from './files.js';
import { readGraph } from './graph.js';
import { initializerValues } from './initializers.js';
import { OnnxModel } from './model.js';
import type { Value } from './node.js';
import { operators } from './operators/index.js';
import { readModelRecord } from './wire.js';

/** Options of {@link loadOnnx}. */
export interface LoadOnnxOptions {
  /** For a model given as bytes that keeps weights in other files: their bytes, by the names the model has for them. */
  readonly externalData?: Readonly<Record<string, Uint8Array>> | undefined;
}

/**
 * Loads an ONNX network: operator sets 7 to 27, the operators of convolutional networks.
 *
 * @param source the bytes of the file, or in Node its path; files with weights beside it are found by path only. Bytes are not copied but
 *   read again when weights are wanted: leave them as they are while the model is in use, or give a copy
 * @throws DeconvError when the file is damaged, or uses what deconv has not: all missing operators are named at once
 * @example
 * ```ts no-run
 * import { loadOnnx } from 'deconv/onnx';
 * const response = await fetch('model.onnx');
 * const model = await loadOnnx(new Uint8Array(await response.arrayBuffer()));
 * console.log(model.inputs[0].shape); // [ 1, 3, 224, 224 ]
 * ```
 */
export async function loadOnnx(
  source: Uint8Array | ArrayBuffer | string,
  options: LoadOnnxOptions = {},
): Promise<OnnxModel> {
  checkOptions('loadOnnx', options, ['externalData']);
  const path = typeof source === 'string' ? source : undefined;
  const bytes =
    typeof source === 'string'
      ? await readModelFile(source)
      : source instanceof ArrayBuffer
        ? new Uint8Array(source)
        : source;
  if (!(bytes instanceof Uint8Array))
    refuse(
      'loadOnnx',
      'source',
      `source must be a Uint8Array, an ArrayBuffer or a path, got ${show(source)}`,
    );
  const record = readModelRecord(bytes);
  if (record.functions > 0)
    refuse(
      'loadOnnx',
      'functions',
      'the model defines functions of its own, which is not supported',
      'inline them with onnx.inliner',
    );
  const graph = readGraph(record, operators);
  const external =
    path === undefined || options.externalData !== undefined
      ? amongBytes(options.externalData)
      : besideFile(path);
  const constants = new Map<string, Value>();
  for (const initializer of record.graph?.initializers ?? []) {
    const holding = path === undefined ? 'kept' : 'ours';
    const { type, shape, values } = await initializerValues(initializer, external, holding);
    constants.set(initializer.name, { type, shape, constant: fromValues(values, shape) });
  }
  return new OnnxModel(graph, constants, record.metadata);
}
