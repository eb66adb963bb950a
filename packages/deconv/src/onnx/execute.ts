/**
 * execute: runs the steps of a plan. The state of a run is an array of slots; nothing else is written to, so runs may
 * overlap. A value is given up right after its last use; constants and the caller's inputs stay. Operators that only rename
 * (Reshape, Identity) share storages, which are free when the last value that holds them is given up.
 *
 * Steps are synchronous. Now and then the event loop gets a turn, so that a page stays alive and a signal can abort.
 */
import { noGrad } from '../autograd.js';
import { scoped, type Tensor } from '../tensor.js';
import { labelled, nodeLabel } from './node.js';
import { checkMade, type Plan, type Step } from './plan.js';
import { copyOf } from './values.js';

/** What stops a run: an AbortSignal, as far as it is used. */
export interface Signal {
  readonly aborted: boolean;
  throwIfAborted(): void;
}

/** Milliseconds of work between turns of the event loop. */
const TURN = 30;

interface Host {
  setImmediate?(then: () => void): unknown;
  setTimeout(then: () => void, after: number): unknown;
  performance: { now(): number };
}

const host = globalThis as object as Host;

/** Lets the event loop do what waits. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    if (host.setImmediate !== undefined) host.setImmediate(resolve);
    else host.setTimeout(resolve, 0);
  });
}

/** Runs one step; a refusal from below gets the name of the node. */
function runStep(step: Step, state: readonly (Tensor | undefined)[]): readonly Tensor[] {
  const inputs = step.inputs.map((slot) => state[slot] as Tensor);
  const label = nodeLabel(step.node.op, step.node.name);
  const made = labelled(label, () => noGrad(() => scoped(() => step.run(inputs))));
  checkMade(step, made);
  // What is passed on as it is must be given up twice, so it needs two holders.
  return made.map((x) => (inputs.includes(x) ? x.share() : x));
}

/**
 * The outputs of a plan, in its order. Each has values of its own.
 *
 * @throws what `signal` says when it is aborted
 */
export async function execute(
  plan: Plan,
  inputs: ReadonlyMap<string, Tensor>,
  signal: Signal | undefined,
): Promise<Tensor[]> {
  const state: (Tensor | undefined)[] = [...plan.fixed];
  for (const [name, slot] of plan.inputs) state[slot] = inputs.get(name);
  const given = new Set(plan.inputs.values());
  let turn = host.performance.now();
  try {
    for (const step of plan.steps) {
      if (host.performance.now() - turn > TURN) {
        await breathe();
        turn = host.performance.now();
      }
      signal?.throwIfAborted();
      const made = runStep(step, state);
      for (const [i, slot] of step.outputs.entries()) {
        if (slot >= 0) state[slot] = made[i];
      }
      for (const slot of step.dead) {
        if (!given.has(slot)) state[slot]?.dispose();
        state[slot] = undefined;
      }
    }
  } catch (error) {
    for (const [slot, x] of state.entries())
      if (x !== undefined && plan.fixed[slot] === undefined && !given.has(slot)) x.dispose();
    throw error;
  }
  // A constant or an input that comes out is copied: what comes out is the caller's, who may write to it.
  const theirs = new Set([...plan.fixed, ...inputs.values()].map((x) => x?.storage));
  return plan.outputs.map(({ slot }) => {
    const x = state[slot] as Tensor;
    return theirs.has(x.storage) ? noGrad(() => copyOf(x)) : x;
  });
}
