/**
 * inputs: the files of one run as tensors. What a file is, its first bytes tell: an array (.npy), named arrays (.npz), or a
 * picture. Arrays go in as they are; only a missing batch axis and whole numbers for a network of floats are mended, and
 * said. Pictures go in by their plan (pixels-in.ts).
 */
import { cast, DeconvError, reshape, type Tensor } from 'deconv';
import { readNpy, readNpz } from 'deconv/io';
import type { OnnxValue } from 'deconv/onnx';
import { readBytes, STANDARD } from '../files.js';
import { sniff } from '../pictures.js';
import { type Item, unusable } from './items.js';
import { loadPlanned, type PicturePlan, pixelTensor } from './pixels-in.js';

/** What a run begins with. */
export interface Loaded {
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Size of the picture that went in, before it was brought to a size; undefined where none did. */
  readonly picture: { readonly width: number; readonly height: number } | undefined;
  /** What was mended, once for all files of a kind. */
  readonly notes: readonly string[];
}

/** Makes the plan for pictures of an input when the first one comes. */
export type PlanOf = (input: OnnxValue) => PicturePlan;

const NPY = '\x93NUMPY';
const startsWith = (bytes: Uint8Array, text: string) =>
  Buffer.from(bytes.subarray(0, text.length)).toString('latin1') === text;

/** Reads arrays; what the reader refuses is the file's fault. */
function reading<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof DeconvError) throw unusable(name, `cannot be read: ${error.rule}`, error.hint);
    throw error;
  }
}

const isFloat = (dtype: string) => dtype === 'float32' || dtype === 'float64';

/** An array made to fit an input: a batch axis where only that is missing, whole numbers as floats. */
function mend(x: Tensor, value: OnnxValue, name: string, notes: string[]): Tensor {
  let y = x;
  if (isFloat(value.dtype) && !isFloat(y.dtype)) {
    notes.push(`'${value.name}': ${y.dtype} values go in as they are, as ${value.dtype}`);
    y = cast(y, value.dtype);
  } else if (!isFloat(value.dtype) && isFloat(y.dtype))
    throw unusable(name, `holds ${y.dtype}, input '${value.name}' takes ${value.dtype}`);
  if (y.shape.length === value.shape.length - 1) {
    notes.push(`'${value.name}': arrays of ${y.shape.length} axes go in as a batch of one`);
    y = reshape(y, [1, ...y.shape]);
  }
  return y;
}

/** Loads one file for one input, or for all that it names. */
async function load(
  input: string,
  path: string,
  inputs: readonly OnnxValue[],
  planOf: PlanOf,
  notes: string[],
) {
  const name = path === STANDARD ? 'stdin' : path;
  const bytes = await readBytes(path);
  const found: Record<string, Tensor> = {};
  if (startsWith(bytes, 'PK')) {
    const arrays = reading(name, () => readNpz(bytes));
    const names = Object.keys(arrays);
    for (const value of inputs.filter((one) => input === '' || one.name === input)) {
      // A file for one input may hold its one array under any name.
      const key = input !== '' && names.length === 1 ? names[0] : value.name;
      if (Object.hasOwn(arrays, key)) found[value.name] = mend(arrays[key], value, name, notes);
      else if (input !== '') throw unusable(name, `holds no array '${key}', but ${names.join(', ')}`);
    }
    const unknown = names.filter((key) => !inputs.some((value) => value.name === key));
    if (input === '' && unknown.length > 0)
      throw unusable(
        name,
        `holds '${unknown[0]}', which is no input of the network`,
        `its inputs are ${inputs.map((value) => value.name).join(', ')}`,
      );
    return { found, picture: undefined };
  }
  const value = input === '' ? inputs[0] : inputs.find((one) => one.name === input);
  if (value === undefined) throw unusable(name, 'is for no input');
  if (startsWith(bytes, NPY)) {
    found[value.name] = mend(
      reading(name, () => readNpy(bytes)),
      value,
      name,
      notes,
    );
    return { found, picture: undefined };
  }
  if (sniff(bytes) === undefined && /\.np[yz]$/i.test(path)) throw unusable(name, 'is no NumPy file');
  const plan = planOf(value);
  const { data, width, height, source } = await loadPlanned(bytes, name, plan);
  found[value.name] = pixelTensor(data, width, height, plan);
  return { found, picture: { width: source.width, height: source.height } };
}

/** All inputs of one run. */
export async function loadItem(item: Item, inputs: readonly OnnxValue[], planOf: PlanOf): Promise<Loaded> {
  const tensors: Record<string, Tensor> = {};
  const notes: string[] = [];
  let picture: Loaded['picture'];
  for (const [input, path] of item.files) {
    const open = inputs.filter(({ name }) => !item.files.has(name));
    const part = await load(input, path, input === '' ? open : inputs, planOf, notes);
    Object.assign(tensors, part.found);
    picture ??= part.picture;
  }
  const missing = inputs.filter(({ name }) => tensors[name] === undefined);
  if (missing.length > 0) throw unusable(item.name, `gives no '${missing[0].name}'`);
  return { tensors, picture, notes };
}
