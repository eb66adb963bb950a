/**
 * batches: the samples of a dataset, put together for training. The order of an epoch and the random numbers of each of its
 * samples depend on seed and epoch alone, so that a run that is stopped and resumed goes on as if nothing had been.
 */
import { checkOptions, refuse } from '../../errors.js';
import { fromValues } from '../../ops/input.js';
import { sameShape, showShape } from '../../shape.js';
import { allocate, type Tensor } from '../../tensor.js';
import { readCount, readFlag } from '../options.js';
import { checkDataset, checkSample, type Dataset, type Sample } from './dataset.js';
import { permutation, streamOf } from './random.js';

/** Options of {@link batches}. */
export interface BatchOptions {
  /** Samples per batch. Default 32. */
  readonly batchSize?: number | undefined;
  /** Take the samples in random order, another one in each epoch. Default false. */
  readonly shuffle?: boolean | undefined;
  /** Where the random numbers start. Integer. Default 0. */
  readonly seed?: number | undefined;
  /** Which time through the data this is; changes the order and the augmentation. Integer ≥ 0. Default 0. */
  readonly epoch?: number | undefined;
  /** How many batches to prepare while one is in use, where samples come as promises. Integer ≥ 0. Default 1. */
  readonly prefetch?: number | undefined;
  /** Leave out a last batch that is smaller than the others. Default false. */
  readonly dropLast?: boolean | undefined;
}

const OP = 'batches';

/** Streams of an epoch: one for its order, one for each sample. */
const ORDER = 0;
const SAMPLE = 1;

/** The tensors of several samples, along a new first axis. */
async function stack(samples: readonly Sample[], indices: Uint32Array): Promise<Tensor[]> {
  const [first] = samples;
  const stacked: Tensor[] = [];
  for (const [part, { dtype, shape, size }] of first.entries()) {
    const values = allocate(dtype, size * samples.length);
    for (const [i, sample] of samples.entries()) {
      const x = sample[part];
      if (sample.length !== first.length || x.dtype !== dtype || !sameShape(x.shape, shape)) {
        const form = (parts: Sample) => parts.map((y) => `${y.dtype} ${showShape(y.shape)}`).join(', ');
        refuse(
          OP,
          'dataset',
          `samples ${indices[0]} and ${indices[i]} do not go together: ${form(first)}; and ${form(sample)}`,
          'crop or resize them in mapDataset',
        );
      }
      values.set(await x.read(), i * size);
    }
    stacked.push(fromValues(values, [samples.length, ...shape]));
  }
  return stacked;
}

/**
 * Goes through a dataset once, batch by batch. What comes can be gone through several times, and is the same each time;
 * for the next epoch call `batches` again with another `epoch`, as the `data` of `fit` does.
 *
 * Order and augmentation depend on `seed` and `epoch` only: not on the batch size, on how much is prefetched, or on what
 * was drawn before.
 *
 * @returns tensors [batch, …], as many as a sample has
 * @throws DeconvError for an empty dataset; while it is gone through, for samples of different shapes
 * @example
 * ```ts
 * import { arange } from 'deconv';
 * import { batches, tensorDataset } from 'deconv/nn';
 * const numbers = tensorDataset(arange(5));
 * const seen: number[] = [];
 * for await (const [x] of batches(numbers, { batchSize: 2, shuffle: true, seed: 3 })) seen.push(...x.data);
 * console.log(seen.sort()); // [ 0, 1, 2, 3, 4 ]
 * ```
 */
export function batches(dataset: Dataset, options: BatchOptions = {}): AsyncIterable<Tensor[]> {
  checkDataset(OP, dataset);
  checkOptions(OP, options, ['batchSize', 'shuffle', 'seed', 'epoch', 'prefetch', 'dropLast']);
  const batchSize = readCount(OP, 'batchSize', options.batchSize ?? 32);
  const shuffle = readFlag(OP, 'shuffle', options.shuffle ?? false);
  const seed = readCount(OP, 'seed', options.seed ?? 0, Number.NEGATIVE_INFINITY);
  const epoch = readCount(OP, 'epoch', options.epoch ?? 0, 0);
  const prefetch = readCount(OP, 'prefetch', options.prefetch ?? 1, 0);
  const dropLast = readFlag(OP, 'dropLast', options.dropLast ?? false);
  const { length } = dataset;
  const count = dropLast ? Math.floor(length / batchSize) : Math.ceil(length / batchSize);
  if (length === 0) refuse(OP, 'dataset', 'the dataset is empty: it has no samples');
  if (count === 0) {
    refuse(
      OP,
      'dropLast',
      `the dataset has ${length} samples, fewer than batchSize ${batchSize}, and dropLast leaves none`,
    );
  }

  const load = async (order: Uint32Array): Promise<Tensor[]> => {
    const samples = Array.from(order, async (index) => {
      const sample: unknown = await dataset.get(index, streamOf(seed, epoch, SAMPLE, index));
      checkSample(OP, sample, `sample ${index}`);
      return sample;
    });
    return stack(await Promise.all(samples), order);
  };

  return {
    async *[Symbol.asyncIterator]() {
      const order = shuffle
        ? permutation(streamOf(seed, epoch, ORDER), length)
        : Uint32Array.from({ length }, (_, i) => i);
      const underway: Promise<Tensor[]>[] = [];
      for (let next = 0, done = 0; done < count; done++) {
        for (; next < count && next <= done + prefetch; next++) {
          const batch = load(order.subarray(next * batchSize, (next + 1) * batchSize));
          // Whoever waits for this batch is told of its failure; one that nobody waits for is no failure.
          batch.catch(() => undefined);
          underway.push(batch);
        }
        yield (await underway.shift()) as Tensor[];
      }
    },
  };
}
