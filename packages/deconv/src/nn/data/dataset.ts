/**
 * dataset: what training draws its samples from: something with a length that gives the sample at an index, at once or
 * later. A sample is a list of tensors without batch axis, mostly [input, target].
 */
import { refuse, show } from '../../errors.js';
import { type Shape, showShape, sizeOf } from '../../shape.js';
import { hostTensor, Tensor } from '../../tensor.js';
import type { RandomStream } from '../draw.js';

/** Tensors that belong together, without batch axis: [input, target], say. */
export type Sample = readonly Tensor[];

/** Samples by index. Anything of this form is one. */
export interface Dataset {
  /** How many samples there are. */
  readonly length: number;
  /**
   * The sample at `index`, 0 … length − 1.
   *
   * @param random numbers for augmentation; {@link batches} gives each sample of each epoch its own, the same in every run
   */
  get(index: number, random: RandomStream): Sample | Promise<Sample>;
}

/** Refuses what is no dataset. */
export function checkDataset(op: string, dataset: unknown): asserts dataset is Dataset {
  const { length, get } = (dataset ?? {}) as Partial<Dataset>;
  if (typeof get !== 'function' || !Number.isInteger(length) || (length as number) < 0) {
    refuse(op, 'dataset', `dataset must have a length and get(index, random), got ${show(dataset)}`);
  }
}

/** Refuses what is no sample. */
export function checkSample(op: string, sample: unknown, where: string): asserts sample is Sample {
  if (!Array.isArray(sample) || sample.length === 0 || !sample.every((x) => x instanceof Tensor)) {
    refuse(op, 'dataset', `${where} must be a non-empty array of tensors, got ${show(sample)}`);
  }
}

/** Refuses an index outside of the dataset. */
export function checkIndex(op: string, index: unknown, length: number): void {
  if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= length) {
    refuse(op, 'index', `index must be an integer in [0, ${length - 1}], got ${show(index)}`);
  }
}

/** One tensor of all samples as the dataset keeps it. */
function column(tensor: Tensor, shape: Shape): (index: number) => Tensor {
  const { data } = tensor;
  const size = sizeOf(shape);
  return (index) => hostTensor(data.subarray(index * size, (index + 1) * size), shape);
}

/**
 * A dataset of tensors that hold all samples: the first axis counts the samples, which must be as many in each tensor.
 * Nothing is copied.
 *
 * @param tensors [N, …] each
 * @returns samples of [tensors₀[i], tensors₁[i], …]
 * @example
 * ```ts
 * import { arange, reshape } from 'deconv';
 * import { batches, tensorDataset } from 'deconv/nn';
 * const inputs = reshape(arange(8), [4, 2]);
 * const targets = arange(4, { dtype: 'int32' });
 * for await (const [x, t] of batches(tensorDataset(inputs, targets), { batchSize: 3 })) {
 *   console.log(x.shape, t.data); // [ 3, 2 ] Int32Array(3) [ 0, 1, 2 ] [ 1, 2 ] Int32Array(1) [ 3 ]
 * }
 * ```
 */
export function tensorDataset(...tensors: readonly Tensor[]): Dataset {
  const op = 'tensorDataset';
  if (tensors.length === 0) refuse(op, 'tensors', 'tensorDataset needs at least one tensor');
  for (const [i, x] of tensors.entries()) {
    if (!(x instanceof Tensor)) refuse(op, 'tensors', `tensors[${i}] must be a tensor, got ${show(x)}`);
    if (x.rank === 0 || x.shape[0] !== tensors[0].shape[0]) {
      const rule = 'all tensors must have as many samples along their first axis';
      refuse(
        op,
        'tensors',
        `${rule}, got ${tensors.map((y) => (y instanceof Tensor ? showShape(y.shape) : show(y))).join(' and ')}`,
      );
    }
  }
  const [length] = tensors[0].shape;
  const columns = tensors.map((x) => column(x, Object.freeze(x.shape.slice(1))));
  return {
    length,
    get(index) {
      checkIndex(op, index, length);
      return columns.map((at) => at(index));
    },
  };
}

/** Makes one sample out of another; {@link mapDataset} applies it. */
export type SampleMap = (sample: Sample, random: RandomStream, index: number) => Sample | Promise<Sample>;

/**
 * A dataset whose samples are made from those of another when they are asked for: for augmentation, decoding, scaling.
 *
 * @param map gets the sample, random numbers of its own, and the index
 * @example
 * ```ts
 * import { arange, mul } from 'deconv';
 * import { mapDataset, tensorDataset } from 'deconv/nn';
 * const doubled = mapDataset(tensorDataset(arange(3)), ([x]) => [mul(x, 2)]);
 * const [x] = await doubled.get(2, Math.random);
 * console.log(x.item()); // 4
 * ```
 */
export function mapDataset(dataset: Dataset, map: SampleMap): Dataset {
  const op = 'mapDataset';
  checkDataset(op, dataset);
  if (typeof map !== 'function') refuse(op, 'map', `map must be a function, got ${show(map)}`);
  const apply = (sample: Sample, random: RandomStream, index: number) => {
    checkSample(op, sample, `sample ${index}`);
    return map(sample, random, index);
  };
  return {
    get length() {
      return dataset.length;
    },
    get(index, random) {
      const sample = dataset.get(index, random);
      // Without a promise nothing is put off.
      return sample instanceof Promise
        ? sample.then((made) => apply(made, random, index))
        : apply(sample, random, index);
    },
  };
}
