/**
 * step: one step of training, from the first gradient to the new values: gradients of one batch or of several, their
 * mean, clipping, the optimiser. A loss or gradient that is not finite is refused before anything has moved.
 */
import { collectedBy, noGrad, recollect } from '../autograd.js';
import { refuse, show } from '../errors.js';
import { sum } from '../ops/reduce.js';
import { clipGradNorm, clipGradValue, scaleGradients } from '../optim/clip.js';
import { showShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { type Counting, countingModules } from './checkpoint.js';
import { streamOf } from './data/random.js';
import { allFinite, whereNotFinite } from './diagnose.js';
import type { Batch, Plan, Progress } from './fit-options.js';
import type { AnyModule } from './module.js';
import type { Position } from './position.js';

const OP = 'fit';

/** Gradients of so many values are looked through; of larger ones the sum is taken, where they lie. */
const SMALL = 4096;

/** Makes the steps of a training. The tensors of a model are the same from step to step; they are listed once. */
export class Stepper<M extends AnyModule> {
  readonly #plan: Plan<M>;
  readonly #parameters: readonly Tensor[];
  readonly #buffers: readonly Tensor[];
  readonly #counting: readonly Counting[];

  constructor(plan: Plan<M>) {
    const { model } = plan;
    this.#plan = plan;
    this.#parameters = model.parameters();
    this.#buffers = model.namedBuffers().map(([, buffer]) => buffer);
    this.#counting = countingModules(model).map(([, module]) => module);
  }

  /** Begins a step: forgets old gradients, remembers what a forward pass changes. */
  begin(position: Position): Step<M> {
    for (const parameter of this.#parameters) recollect(parameter, null);
    const buffers = this.#buffers.map((buffer) => [buffer, buffer.detach()] as const);
    const calls = this.#counting.map((module) => [module, module.calls] as const);
    const restore = () => {
      for (const [buffer, before] of buffers) buffer.assign(before);
      for (const [module, before] of calls) module.calls = before;
    };
    return new Step(this.#plan, this.#parameters, position, {
      restore,
      drop: () => {
        for (const [, before] of buffers) before.letGo();
      },
    });
  }
}

/** What a forward pass changes in a model beside its gradients, as it was before. */
interface Before {
  restore(): void;
  drop(): void;
}

/** One step. */
export class Step<M extends AnyModule> {
  readonly #plan: Plan<M>;
  readonly #parameters: readonly Tensor[];
  readonly #position: Position;
  readonly #before: Before;
  readonly #batches: Batch[] = [];
  #lossSum = 0;

  constructor(plan: Plan<M>, parameters: readonly Tensor[], position: Position, before: Before) {
    this.#plan = plan;
    this.#parameters = parameters;
    this.#position = position;
    this.#before = before;
  }

  /** Batches so far. */
  get batches(): number {
    return this.#batches.length;
  }

  /** Adds the gradients of a batch. */
  add(batch: Batch): void {
    const loss = this.#loss(this.#batches.push(batch) - 1);
    const value = loss.item();
    if (!Number.isFinite(value)) this.#refuse(`the loss is ${value}`);
    this.#lossSum += value;
    loss.backward();
    loss.letGo();
  }

  #loss(which: number): Tensor {
    const { model, loss, seed } = this.#plan;
    const { epoch, step } = this.#position;
    const random = streamOf(seed, step, which);
    const value: unknown = loss(model, this.#batches[which], { epoch, step, random });
    if (!(value instanceof Tensor) || value.size !== 1) {
      const got = value instanceof Tensor ? `one of shape ${showShape(value.shape)}` : show(value);
      refuse(OP, 'loss', `loss must give a tensor of one element, got ${got}`);
    }
    if (!value.requiresGrad)
      refuse(OP, 'loss', 'the loss does not depend on any parameter that requires a gradient');
    return value;
  }

  /** Moves the parameters. */
  finish(): Pick<Progress, 'loss' | 'gradNorm' | 'lr'> {
    const { optimizer, clipNorm, clipValue } = this.#plan;
    const parameters = this.#parameters;
    const count = this.batches;
    if (count > 1) scaleGradients(parameters, 1 / count);
    const gradNorm = clipNorm === undefined ? undefined : clipGradNorm(parameters, clipNorm);
    const suspicious = gradNorm === undefined ? !this.#gradientsSeemFinite() : !Number.isFinite(gradNorm);
    const fine = (gradient: Tensor | null) => gradient === null || allFinite(gradient);
    if (suspicious && !parameters.every((parameter) => fine(collectedBy(parameter))))
      this.#refuse('a gradient is not finite');
    if (clipValue !== undefined) clipGradValue(parameters, clipValue);
    const { lr } = optimizer;
    optimizer.step();
    this.#before.drop();
    return { loss: this.#lossSum / count, gradNorm, lr };
  }

  /** False if a gradient may not be finite: a sum is so only if all of its terms are, but it may overflow even then. */
  #gradientsSeemFinite(): boolean {
    return noGrad(() =>
      this.#parameters.every((parameter) => {
        const gradient = collectedBy(parameter);
        if (gradient === null) return true;
        return gradient.size <= SMALL ? allFinite(gradient) : Number.isFinite(sum(gradient).item());
      }),
    );
  }

  /** Looks for the cause, puts the model back to where it was before the step, and refuses. */
  #refuse(what: string): never {
    const { model, checkpoint } = this.#plan;
    const { step, epoch } = this.#position;
    this.#before.restore();
    const where = whereNotFinite(model, this.#batches, (which) => this.#loss(which));
    this.#before.restore();
    for (const parameter of this.#parameters) recollect(parameter, null);
    const kept = checkpoint === undefined ? '' : ', the last checkpoint is of then or before';
    return refuse(
      OP,
      'loss',
      `${what} in step ${step + 1} (epoch ${epoch}): ${where ?? 'a second look found nothing'}`,
      `the model is as it was before that step${kept}; a smaller lr, or clip, may help`,
    );
  }
}
