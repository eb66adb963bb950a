/**
 * runner: one run after another, each from its files to its results. What the first picture decides (how pixels go in) and
 * the first result (what its values mean as pixels) holds for all.
 */
import { DeconvError, type Tensor } from 'deconv';
import type { TilePlan } from 'deconv/nn';
import type { OnnxModel, OnnxValue } from 'deconv/onnx';
import { STANDARD } from '../files.js';
import { claimedPixels, loadPixels, type Pixels } from '../pictures.js';
import { exitCodes, Failure } from '../terminal.js';
import { inMiB } from '../training/folder.js';
import { isStreamed, writeBands } from '../using/bands.js';
import { loadItem } from './inputs.js';
import type { Item } from './items.js';
import { classesOf, guessesOf } from './labels.js';
import { type PicturePlan, planPictures, type Range } from './pixels-in.js';
import type { Done, RunOptions } from './report.js';
import {
  guessRange,
  pictureShape,
  type Statistics,
  statisticsOf,
  suitingFormat,
  Tally,
  writeOutputs,
} from './results.js';
import type { Targets } from './targets.js';
import { bandsOf } from './tiled.js';

/** Pictures of more pixels go through in tiles, if they can. */
const LARGE = 2 ** 21;
/** Bytes for the pixels and the work on them. */
const DEFAULT_MEMORY = 2 ** 29;

/** Runs from input to output, one after another; what is decided by the first of them holds for all. */
export class Runner {
  /** How pictures go in, by input; made when the first one comes. */
  readonly plans = new Map<string, PicturePlan>();
  /** Values of pixels that come out, by output, and why. */
  readonly ranges = new Map<string, { range: Range | 'each'; why: string }>();
  readonly notes = new Set<string>();
  readonly #labels: readonly string[] | undefined;

  constructor(
    private readonly model: OnnxModel,
    private readonly options: RunOptions,
    private readonly wanted: readonly string[],
    private readonly targets: Targets | undefined,
    labels: readonly string[] | undefined,
  ) {
    this.#labels = labels;
  }

  readonly planOf = (value: OnnxValue): PicturePlan => {
    let plan = this.plans.get(value.name);
    if (plan === undefined) {
      plan = planPictures(value, this.options);
      this.plans.set(value.name, plan);
    }
    return plan;
  };

  /**
   * One run, to its files.
   *
   * @param at told how far it is
   */
  async do(item: Item, index: number, at: (share: number, label: string) => Promise<void>): Promise<Done> {
    const streamed = await this.#stream(item, index, at);
    if (streamed !== undefined) return streamed;
    const loaded = await loadItem(item, this.model.inputs, this.planOf);
    for (const note of loaded.notes) this.notes.add(note);
    const began = performance.now();
    const { tile, maxMemory } = this.options;
    const outputs = await this.model.run(loaded.tensors, {
      outputs: this.wanted,
      ...(tile === undefined && maxMemory === undefined ? {} : { tile, maxMemory }),
    });
    const values = Object.entries(outputs).map(([name, y]) => [name, y, y.data] as const);
    const milliseconds = performance.now() - began;
    try {
      const facts = values.map(([name, y, data]) => ({ name, shape: y.shape, ...statisticsOf(data) }));
      const { top, labels } = { top: this.options.top, labels: this.#labels };
      const classified = values.find(([, y]) => classesOf(y.shape) !== undefined) ?? values[0];
      const guesses =
        top === undefined ? [] : guessesOf(classified[0], classified[2], classified[1].shape, top, labels);
      const written = await this.#write(outputs, facts, index, loaded.picture !== undefined);
      const files = written?.files ?? [];
      return {
        item,
        picture: loaded.picture,
        shape: Object.values(loaded.tensors)[0].shape,
        outputs: facts,
        guesses,
        files,
        cut: written?.cut ?? 0,
        milliseconds,
      };
    } finally {
      for (const x of [...Object.values(loaded.tensors), ...Object.values(outputs)]) x.dispose();
    }
  }

  /**
   * One picture into one picture, tile by tile, as bytes: where --tile or --max-memory says so, or it is large. Undefined
   * where that cannot be, and the run must have everything at once.
   */
  async #stream(
    item: Item,
    index: number,
    at: (share: number, label: string) => Promise<void>,
  ): Promise<Done | undefined> {
    const { targets, model, options, wanted } = this;
    const [path] = item.files.values();
    const [value] = model.inputs;
    const one = item.files.size === 1 && model.inputs.length === 1 && wanted.length === 1;
    if (!one || targets === undefined || options.top !== undefined || path === STANDARD) return undefined;
    const format = targets.format ?? 'png';
    if (format === 'npy' || format === 'npz' || options.outputRange === 'each') return undefined;
    const pixels = await claimedPixels(path);
    if (pixels === undefined) return undefined;
    const stated = options.tile !== undefined || options.maxMemory !== undefined;
    const plan = this.planOf(value);
    const largest = plan.size === undefined ? pixels : plan.size.width * plan.size.height;
    if (!stated && largest < LARGE) return undefined;

    const began = performance.now();
    await at(0, 'reading');
    const resizing = plan.size && { ...plan.size, fit: plan.fit, kernel: plan.resample };
    const picture = await loadPixels(path, item.name, resizing);
    const target = targets.of(index, wanted[0], format);
    const tiles = this.#tilesFor(picture, plan, isStreamed(target), stated);
    const whole = tiles?.outputs[0];
    const shape = whole && pictureShape(whole.shape, plan.layout);
    if (tiles === undefined || shape === undefined || shape.count !== 1) return undefined;

    const tally = new Tally();
    const bands = bandsOf(
      {
        picture,
        plan,
        tiles,
        shape,
        order: plan.order,
        run: async (x) => (await model.run({ [value.name]: x }, { outputs: wanted }))[wanted[0]],
        rangeOf: (first) => this.#rangeOf(wanted[0], first, plan),
        onTile: (done, of) => at(done / of, `tile ${done} of ${of}`),
      },
      tally,
    );
    await writeBands(target, shape, async (onBand) => {
      for await (const band of bands) await onBand(band);
    });
    const { min, max, mean, wrong, share } = tally;
    return {
      item,
      picture: picture.source,
      shape: [],
      outputs: [{ name: wanted[0], shape: whole?.shape ?? [], min, max, mean, wrong }],
      guesses: [],
      files: [{ output: wanted[0], file: target, size: [shape.width, shape.height] }],
      cut: share,
      tiles: tiles.tiles.length,
      milliseconds: performance.now() - began,
    };
  }

  /** How a picture is cut; undefined where it cannot be and need not. */
  #tilesFor(picture: Pixels, plan: PicturePlan, streamed: boolean, stated: boolean): TilePlan | undefined {
    const { width, height } = picture;
    const { tile, maxMemory = DEFAULT_MEMORY } = this.options;
    const channels = plan.order === 'grey' ? 1 : 3;
    const shape = plan.layout === 'nchw' ? [1, channels, height, width] : [1, height, width, channels];
    // The pixels are there all the time, of files that are not streamed those of the result as well. Of the rest a tile gets
    // half: its values are copied in and out, and a band of the result is packed while the next is made.
    const held = 3 * width * height * (streamed ? 1 : 3);
    const room = maxMemory - held;
    if (room < maxMemory / 4) {
      throw new Failure(
        `${inMiB(held)} for the pixels leave too little of --max-memory ${inMiB(maxMemory)}`,
        exitCodes.failed,
        streamed ? 'raise --max-memory' : 'raise --max-memory, or write a .png',
      );
    }
    try {
      return this.model.planTiles(
        { [plan.input]: shape },
        { outputs: this.wanted, maxMemory: room / 2, ...(tile === undefined ? {} : { tile }) },
      );
    } catch (error) {
      if (stated || !(error instanceof DeconvError)) throw error;
      return undefined;
    }
  }

  /** Which values of an output are black and white; decided by the first that comes. */
  #rangeOf(name: string, first: Tensor, plan: PicturePlan): Range {
    let chosen = this.ranges.get(name);
    if (chosen === undefined) {
      chosen = this.#rangeFor(first, statisticsOf(first.data), plan);
      this.ranges.set(name, chosen);
    }
    return chosen.range === 'each' ? [0, 1] : chosen.range;
  }

  async #write(
    outputs: Readonly<Record<string, Tensor>>,
    facts: readonly (Statistics & { name: string })[],
    index: number,
    fromPicture: boolean,
  ) {
    if (this.targets === undefined) return undefined;
    const [plan] = this.plans.values();
    const out = {
      order: plan?.order ?? 'rgb',
      layout: this.options.layout ?? plan?.layout ?? 'nchw',
    } as const;
    const format = this.targets.format ?? suitingFormat(Object.values(outputs), out, fromPicture);
    const rangeOf = (name: string) => {
      const known = this.ranges.get(name);
      if (known !== undefined) return known.range;
      const chosen = this.#rangeFor(
        outputs[name],
        facts.find((one) => one.name === name) as Statistics,
        plan,
      );
      if (pictureShape(outputs[name].shape, out.layout)) this.ranges.set(name, chosen);
      return chosen.range;
    };
    return writeOutputs(outputs, index, this.targets, format, out, rangeOf);
  }

  /** Which values are black and white in pictures. */
  #rangeFor(
    y: Tensor,
    statistics: Statistics,
    plan: PicturePlan | undefined,
  ): { range: Range | 'each'; why: string } {
    const stated = this.options.outputRange;
    if (stated !== undefined) return { range: stated, why: 'stated' };
    if (y.dtype === 'uint8') return { range: [0, 255], why: 'it is uint8' };
    const normalised =
      plan !== undefined &&
      [...plan.mean, ...plan.std].some((x, i, { length }) => x !== (i < length / 2 ? 0 : 1));
    if (plan !== undefined && !normalised && !plan.bytes) return { range: plan.range, why: 'as the input' };
    const { min, max } = statistics;
    const seen = `${Number(min.toPrecision(3))} … ${Number(max.toPrecision(3))}`;
    return {
      range: guessRange(statistics),
      why: `guessed from values of ${seen}; --output-range says otherwise`,
    };
  }
}
