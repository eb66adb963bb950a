/** emit: the contract of the operators: each writes the nodes of one step and binds what it makes. */
import type { Step } from './program.js';
import type { TraceName } from './recorder.js';
import type { Writer } from './writer.js';

/** Writes the nodes of one step. */
export type Emit<K extends TraceName> = (w: Writer, step: Step<K>) => void;

/** Operations that can be exported, by name. */
export type Emitters = { readonly [K in TraceName]?: Emit<K> };

/** An emitter of one output that has a name at once. */
export const gives =
  <K extends TraceName>(make: (w: Writer, step: Step<K>) => string): Emit<K> =>
  (w, step) =>
    w.bind(step.outputs[0], make(w, step));

/** The same, whose nodes are written only if something asks for the result: another step may do without. */
export const givesLater =
  <K extends TraceName>(make: (w: Writer, step: Step<K>) => string): Emit<K> =>
  (w, step) =>
    w.bind(step.outputs[0], () => make(w, step));

/** Name of the module that a parameter belongs to: `up1` of `up1.weight`; nodes are called by it. */
export function labelOf(w: Writer, step: Pick<Step, 'inputs'>, parameter: number): string | undefined {
  const value = step.inputs[parameter];
  const name = value && w.parameter(value);
  return name?.includes('.') ? name.slice(0, name.lastIndexOf('.')) : undefined;
}
