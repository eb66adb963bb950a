/**
 * open: a model file of any kind, told by its first bytes and not by its name: an ONNX network; a model that deconv train
 * has written (safetensors with its architecture), which is looked at as the network it exports to; or bare weights.
 */
import { DeconvError, type Tensor, zeros } from 'deconv';
import { readSafetensors, safetensorsMetadata } from 'deconv/io';
import { type AnyPictureModel, loadModel } from 'deconv/nn';
import { exportOnnx, type OnnxContents, readOnnx } from 'deconv/onnx';
import { readBytes, STANDARD } from '../files.js';
import { exitCodes, Failure } from '../terminal.js';

/** A network: its nodes and weights, and where to load it from. */
export interface NetworkFile {
  readonly kind: 'network';
  readonly path: string;
  /** Length of the file itself. */
  readonly bytes: number;
  readonly contents: OnnxContents;
  /** For `loadOnnx`: a path where weights may lie beside the file, else bytes. */
  readonly source: string | Uint8Array;
  /** The model in a safetensors file; undefined for ONNX. */
  readonly model: AnyPictureModel | undefined;
}

/** Tensors by name, without a network. */
export interface WeightsFile {
  readonly kind: 'weights';
  readonly path: string;
  readonly bytes: number;
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

export type ModelFile = NetworkFile | WeightsFile;

/** A safetensors file begins with the length of its header, 64 bits, and a brace. */
const isSafetensors = (bytes: Uint8Array) =>
  bytes.length > 8 && bytes[8] === 0x7b && bytes[7] === 0 && bytes[6] === 0;

/** Runs `body`; what the library refuses in it is the file's fault, and not that of the options. */
export async function blaming<T>(path: string, body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    const name = path === STANDARD ? 'stdin' : path;
    throw new Failure(`${name}: ${error.rule}`, exitCodes.failed, error.hint);
  }
}

/** A model as ONNX for pictures of any size, as far as it takes any. */
export function exported(model: AnyPictureModel, opset?: number): Uint8Array {
  const side = 4 * model.multiple;
  return exportOnnx(model, zeros([1, 3, side, side]), {
    dynamic: 'size',
    multiple: model.multiple,
    inputNames: ['picture'],
    opset,
  });
}

/** Reads a model file; `-` is stdin. */
export async function openModel(path: string): Promise<ModelFile> {
  const bytes = await readBytes(path);
  return blaming(path, async (): Promise<ModelFile> => {
    const facts = { path, bytes: bytes.length };
    if (!isSafetensors(bytes)) {
      const source = path === STANDARD ? bytes : path;
      return { kind: 'network', ...facts, source, contents: await readOnnx(source), model: undefined };
    }
    const metadata = safetensorsMetadata(bytes);
    if (metadata['task'] === undefined || metadata['options'] === undefined)
      return { kind: 'weights', ...facts, tensors: readSafetensors(bytes), metadata };
    const model = loadModel(bytes);
    const source = exported(model);
    return { kind: 'network', ...facts, source, contents: await readOnnx(source), model };
  });
}

/** Lengths as people write them: 1.4 MB. */
export function inBytes(length: number): string {
  if (length < 1000) return `${length} bytes`;
  const unit = length < 1e6 ? 1e3 : length < 1e9 ? 1e6 : 1e9;
  const value = length / unit;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${{ 1e3: 'kB', 1e6: 'MB', 1e9: 'GB' }[unit]}`;
}

/** 1234567 → "1.23 M". */
export function short(n: number): string {
  const units = ['', ' k', ' M', ' G', ' T', ' P'];
  let [unit, value] = [0, n];
  while (value >= 999.5 && unit + 1 < units.length) [unit, value] = [unit + 1, value / 1000];
  return `${unit === 0 ? value : Number(value.toPrecision(3))}${units[unit]}`;
}

/** What a network file is, in a few words. */
export function describeFile({ contents, model, bytes }: NetworkFile): string {
  const { opset, producer } = contents;
  const by = producer === '' ? '' : `, written by ${producer}`;
  const what = model === undefined ? `ONNX, operator set ${opset}${by}` : `deconv model for '${model.task}'`;
  return `${what}, ${inBytes(bytes)}`;
}

/** `[ batch, 3, ?, ? ]` as people write it. */
export const openShape = (shape: readonly (number | string)[] | undefined): string =>
  shape === undefined ? 'any shape' : `[${shape.map((n) => (n === -1 ? '?' : n)).join(', ')}]`;
