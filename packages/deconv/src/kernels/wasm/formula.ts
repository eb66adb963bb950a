/**
 * formula: elementwise functions written as text, compiled to vectors at run time. `x>0 ? x : p*x` is a kernel.
 *
 * The language: numbers, names, + − * /, one comparison, `c ? a : b` (both sides are computed), and functions, some of
 * which are written in it themselves, in front of the formula if need be: `twice(t)=2*t; twice(x)+1`. What occurs twice is
 * computed once. All values are four floats; a comparison gives a mask, good only before `?`. `#1` is an integer, for the
 * functions that look at the bits of a float. A fault in a formula is a fault of the house, and throws.
 */

import {
  add,
  type Build,
  type Code,
  countdown,
  i32,
  integers,
  type Local,
  set,
  shuffle,
  splat,
  tee,
  vectors,
  when,
} from './assembler.js';
import { DEFINITIONS, INSTRUCTIONS, LEVELS } from './formula-functions.js';
import * as wasm from './opcodes.js';
import { remembered } from './remembered.js';

interface Node {
  /** What tells it from the other nodes. */
  readonly id: number;
  readonly op: string;
  readonly value: number;
  readonly args: readonly Node[];
  /** How many other nodes want it. */
  uses: number;
}

const TOKENS = /[a-z]\w*|#?\d*\.?\d+(?:e-?\d+)?|[<>=]=|\S/gi;

/** What nodes of numbers are called: what stands in front of their digits. */
const NUMBER = '';
const INTEGER = '#';

/** The nodes of a formula, by what tells them apart; what finds or adds one; and the one that is its value. */
function nodesOf(formula: string, names: readonly string[]) {
  const nodes = new Map<string, Node>();
  const definitions = new Map<string, (args: readonly Node[]) => Node>();
  const texts = `${DEFINITIONS}${formula}`.split(';');
  const value = texts.pop() ?? '';
  for (const definition of texts) {
    const [, name, parameters, body] = definition.match(/(\w+)\((.+?)\)=(.+)/) ?? [];
    definitions.set(name, (args) =>
      parse(body, new Map(parameters.split(',').map((own, i) => [own, args[i]]))),
    );
  }
  const root = parse(value, new Map(names.map((name) => [name, node(name)])));
  root.uses++;
  return [nodes, node, root] as const;

  function node(op: string, args: readonly Node[] = [], value = 0): Node {
    const key = `${op}|${Object.is(value, -0) ? '-0' : value}|${args.map((arg) => arg.id)}`;
    return remembered(nodes, key, () => {
      for (const arg of args) arg.uses++;
      return { id: nodes.size, op, args, value, uses: 0 };
    });
  }

  function parse(text: string, scope: ReadonlyMap<string, Node>): Node {
    const tokens = text.match(TOKENS) ?? [];
    let at = 0;
    const next = (wanted: string | undefined) => tokens[at] === wanted && at++ >= 0;
    const expect = (wanted: string | undefined) => {
      if (!next(wanted)) throw new Error(`formula: ${wanted ?? 'end'} expected in ${text}`);
    };
    const choice = (): Node => {
      const condition = binary(0);
      if (!next('?')) return condition;
      const a = choice();
      expect(':');
      return node('?', [a, choice(), condition]);
    };
    const binary = (level: number): Node => {
      if (level === LEVELS.length) return primary();
      let a = binary(level + 1);
      while (tokens[at] in LEVELS[level]) {
        const op = tokens[at++];
        const b = binary(level + 1);
        // 1/3 and 0/0 are numbers already.
        a =
          op === '/' && a.op === NUMBER && b.op === NUMBER
            ? node(NUMBER, [], a.value / b.value)
            : node(op, [a, b]);
      }
      return a;
    };
    const primary = (): Node => {
      if (next('-')) {
        const a = primary();
        return a.op === NUMBER ? node(NUMBER, [], -a.value) : node('neg', [a]);
      }
      if (next('(')) {
        const inner = choice();
        expect(')');
        return inner;
      }
      const word = tokens[at++] ?? '';
      const [, kind, digits] = word.match(/^(#?)([\d.].*)/) ?? [];
      if (digits !== undefined) return node(kind, [], Number(digits));
      const known = scope.get(word);
      if (known !== undefined) return known;
      expect('(');
      const args: Node[] = [];
      do args.push(choice());
      while (next(','));
      expect(')');
      return call(word, args);
    };
    const whole = choice();
    expect(undefined);
    return whole;
  }

  function call(name: string, args: readonly Node[]): Node {
    if (name in INSTRUCTIONS) return node(name, args);
    if (name === 'poly') {
      // Estrin's scheme: neighbours joined, then neighbours of those: less waiting than in Horner's.
      let [power, ...terms] = args;
      for (terms.reverse(); terms.length > 1; power = node('*', [power, power])) {
        terms = terms.flatMap((term, i) => {
          if (i % 2 === 1) return [];
          return i + 1 in terms ? node('+', [term, node('*', [terms[i + 1], power])]) : term;
        });
      }
      return terms[0];
    }
    const definition = definitions.get(name);
    if (definition === undefined) throw new Error(`formula: no function ${name}`);
    return definition(args);
  }
}

/**
 * out, outRow, n1, n; per input: at, row; p, q. For n1 rows of n floats: out = the formula of the inputs, `names` in their
 * order, and of the numbers p and q. The rows of an input are `row` bytes apart; one whose letter in `pattern` is 0 has one
 * value per row. Writes nothing beyond a row, so `out` may be one of the inputs; reads up to three floats beyond.
 */
export const buildFormula =
  (text: string, names: string, pattern: string): Build =>
  (locals, parameters) => {
    const [nodes, node, root] = nodesOf(text, [...names, 'p', 'q']);
    const [out, outRow, n1, n] = parameters;
    const [p, q] = parameters.slice(-2);
    const pointers = locals(names.length);
    const [to, left] = locals(2);
    const [last] = locals(1, wasm.v128);
    const kept = new Map<Node, Local>();
    const localOf = (node: Node) => remembered(kept, node, () => locals(1, wasm.v128)[0]);
    const constants = [...nodes.values()].map((node) => {
      const { op, value, args, uses } = node;
      if (args.length > 0 || uses === 0) return [];
      const local = localOf(node);
      const codes: Readonly<Record<string, Code>> = {
        [INTEGER]: integers(value),
        [NUMBER]: splat(value),
        p: [p, wasm.f32x4Splat],
        q: [q, wasm.f32x4Splat],
      };
      return op in codes ? set(local, codes[op]) : [];
    });
    const inputs = pointers.map((pointer, i) => {
      const [at, row] = parameters.slice(4 + 2 * i);
      return [localOf(node(names[i])), pointer, at, row, pattern[i] === '1'] as const;
    });
    // What does not change from element to element.
    const fixed = [...kept.keys()];
    // Short formulas would spend as much on the loop as on themselves.
    const light = nodes.size - fixed.length < 8;
    const body = (offset = 0) => {
      const ready = new Set(fixed);
      const emit = (node: Node): Code => {
        const { op, args, uses } = node;
        if (ready.has(node)) return localOf(node);
        // Shifts take a plain integer.
        const operands =
          op === 'left' || op === 'right' ? [emit(args[0]), i32(args[1].value)] : args.map(emit);
        const code = [operands, INSTRUCTIONS[op]];
        if (uses < 2) return code;
        ready.add(node);
        return [code, tee(localOf(node))];
      };
      return [
        inputs.map(([local, pointer, , , each]) => (each ? set(local, pointer, wasm.v128Load(offset)) : [])),
        emit(root),
      ];
    };
    return [
      constants,
      countdown(
        n1,
        1,
        [set(to, out), set(left, n)],
        inputs.map(([local, pointer, at, , each]) =>
          each ? set(pointer, at) : set(local, at, wasm.v128Load32Splat()),
        ),
        vectors(
          left,
          [to, ...pointers.filter((_, i) => pattern[i] === '1')],
          (offset) => [to, body(offset), wasm.v128Store(offset)],
          light ? [4, 1] : [1],
        ),
        when(left, [
          set(last, body()),
          when(
            [left, i32(2), wasm.i32And],
            [[to, last, wasm.v128Store64Lane(0), add(to, 8)], set(last, last, last, shuffle(2, 3, 2, 3))],
          ),
          when([left, i32(1), wasm.i32And], [to, last, wasm.v128Store32Lane(0)]),
        ]),
        add(out, outRow),
        inputs.map(([, , at, row]) => add(at, row)),
      ),
    ];
  };
