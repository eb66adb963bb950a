/**
 * shelves: the training pictures in memory, and the batches of an epoch. All of them stay decoded if the memory that is
 * allowed holds them; otherwise they are dealt to shelves of half that size, and an epoch goes from shelf to shelf in an
 * order of its own, the next being read while one is in use. What comes depends on the seed and the epoch alone.
 */
import { randomStream, type Tensor } from 'deconv';
import { batches, type Dataset } from 'deconv/nn';
import { Failure } from '../terminal.js';
import { loadExamples, type Skipped, type Source } from './folder.js';
import type { Job, Prepared } from './jobs.js';

/** How a training is dealt out. */
export interface ShelfOptions {
  readonly batch: number;
  readonly seed: number;
  /** Bytes that decoded pictures may take. */
  readonly memory: number;
}

/** Crops of one picture in an epoch, at most. */
const MOST_CROPS = 64;
/** Batches of an epoch, at least. */
const LEAST_BATCHES = 8;

/** Deals indices to shelves none of which is larger than `room`, unless by a single picture. */
export function deal(sizes: readonly number[], room: number): number[][] {
  const shelves: number[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const [i, size] of sizes.entries()) {
    if (filled + size > room) {
      shelves.push([]);
      filled = 0;
    }
    shelves[shelves.length - 1].push(i);
    filled += size;
  }
  return shelves;
}

/** The training pictures. */
export class Shelves {
  readonly #source: Source;
  readonly #job: Job;
  readonly #options: ShelfOptions;
  readonly #shelves: readonly (readonly number[])[];
  readonly #crops: number;
  readonly #skipped = new Map<string, Skipped>();
  #kept: Promise<readonly Prepared[]> | undefined;
  /** Bytes that all pictures take together, by their headers. */
  readonly bytes: number;

  private constructor(
    source: Source,
    job: Job,
    options: ShelfOptions,
    shelves: readonly (readonly number[])[],
    bytes: number,
  ) {
    this.#source = source;
    this.#job = job;
    this.#options = options;
    this.#shelves = shelves;
    this.bytes = bytes;
    const pictures = shelves.reduce((sum, shelf) => sum + shelf.length, 0);
    this.#crops = Math.min(MOST_CROPS, Math.max(1, Math.ceil((LEAST_BATCHES * options.batch) / pictures)));
  }

  /** Reads the headers of the pictures and deals them out. */
  static async open(
    source: Source,
    indices: readonly number[],
    job: Job,
    options: ShelfOptions,
  ): Promise<Shelves> {
    const sizes: number[] = [];
    for (const index of indices) sizes.push((await source.pixels(index)) * job.bytesPerPixel);
    const bytes = sizes.reduce((a, b) => a + b, 0);
    // Shuffled, so that what lies together in the folder does not come together.
    const order = shuffled(indices.length, randomStream(options.seed));
    const dealt =
      bytes <= options.memory
        ? [[...indices]]
        : deal(
            order.map((i) => sizes[i]),
            options.memory / 2,
          ).map((shelf) => shelf.map((i) => indices[order[i]]));
    return new Shelves(source, job, options, dealt, bytes);
  }

  /** How many shelves there are: 1 if all pictures stay in memory. */
  get count(): number {
    return this.#shelves.length;
  }

  /** What could not be used, as far as it was read. */
  get skipped(): readonly Skipped[] {
    return [...this.#skipped.values()];
  }

  /** Reads the first shelf, or all there is; refuses if nothing of it can be used. */
  async fill(onLoaded: (done: number, of: number) => Promise<void> | void): Promise<number> {
    const [first] = this.#shelves;
    const prepared = await this.#load(0, (done) => onLoaded(done, first.length));
    if (prepared.length === 0) {
      const [skipped] = this.skipped;
      throw new Failure(`no picture can be used: ${skipped.name}: ${skipped.reason}`);
    }
    return prepared.length;
  }

  #load(shelf: number, onLoaded?: (done: number) => Promise<void> | void): Promise<readonly Prepared[]> {
    if (this.#shelves.length === 1 && this.#kept !== undefined) return this.#kept;
    const loaded = loadExamples(this.#source, this.#shelves[shelf], this.#job.reject, onLoaded).then(
      ({ examples, skipped }) => {
        for (const entry of skipped) this.#skipped.set(entry.name, entry);
        return examples.map(({ example }) => this.#job.prepare(example));
      },
    );
    if (this.#shelves.length === 1) this.#kept = loaded;
    // Whoever waits for it is told.
    loaded.catch(() => undefined);
    return loaded;
  }

  /** Batches of one epoch, if all is in memory. */
  async stepsPerEpoch(): Promise<number> {
    let steps = 0;
    for (let shelf = 0; shelf < this.count; shelf++) {
      steps += Math.floor(this.#indexOf(await this.#load(shelf)).length / this.#options.batch);
    }
    return Math.max(1, steps);
  }

  /** Which picture each sample of a shelf is cut from: larger ones come more often. */
  #indexOf(pictures: readonly Prepared[]): Int32Array {
    const area = this.#job.least ** 2;
    return Int32Array.from(
      pictures.flatMap(({ truth }, i) => {
        const crops = Math.ceil((truth.width * truth.height) / area);
        return new Array<number>(Math.min(MOST_CROPS, Math.max(this.#crops, crops))).fill(i);
      }),
    );
  }

  /** The batches of an epoch. */
  async *batches(epoch: number): AsyncGenerator<Tensor[], void, undefined> {
    const { batch: batchSize, seed } = this.#options;
    const order = shuffled(this.count, randomStream(seed + 31 * (epoch + 1)));
    let next = this.#load(order[0]);
    for (const [i, shelf] of order.entries()) {
      const pictures = await next;
      if (i + 1 < order.length) next = this.#load(order[i + 1]);
      const index = this.#indexOf(pictures);
      if (index.length === 0) continue;
      const samples: Dataset = {
        length: index.length,
        get: (at, random) => this.#job.sample(pictures[index[at]], random),
      };
      yield* batches(samples, {
        batchSize,
        shuffle: true,
        seed: seed + 7919 * shelf,
        epoch,
        dropLast: index.length >= batchSize,
      });
    }
  }
}

/** 0 … count − 1 in random order (Fisher and Yates). */
function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
