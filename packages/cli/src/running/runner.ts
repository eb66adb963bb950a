/**
 * runner: one run after another, each from its files to its results. What the first picture decides (how pixels go in) and
 * the first result (what its values mean as pixels) holds for all.
 */
import type { Tensor } from 'deconv';
import type { OnnxModel, OnnxValue } from 'deconv/onnx';
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
  writeOutputs,
} from './results.js';
import type { Targets } from './targets.js';

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

  /** One run, to its files. */
  async do(item: Item, index: number): Promise<Done> {
    const loaded = await loadItem(item, this.model.inputs, this.planOf);
    for (const note of loaded.notes) this.notes.add(note);
    const began = performance.now();
    const outputs = await this.model.run(loaded.tensors, { outputs: this.wanted });
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
