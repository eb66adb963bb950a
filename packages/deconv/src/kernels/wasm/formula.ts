/**
 * formula: elementwise functions written as text, compiled to vectors at run time. `x>0 ? x : p*x` is a kernel.
 *
 * The language: numbers, names, + − * /, one comparison, `c ? a : b` (both sides are computed), and functions, some of
 * which are written in it themselves. What occurs twice is computed once. All values are four floats; a comparison gives a
 * mask, good only before `?`. `#1` is an integer, for the functions that look at the bits of a float. A fault in a formula
 * is a fault of the house, and throws.
 *
 * Where the mathematics comes from: eˣ = 2ⁿ·eʳ with r = x − n·ln 2, |r| ≤ ln 2 / 2, by a polynomial (Cephes' expf);
 * ln x = k·ln 2 + ln m with √½ ≤ m < √2 and s = (m − 1)/(m + 1), ln m = 2s + 2s³/3 + … (fdlibm's logf); erfc x = e^(−x²)
 * times a polynomial in 1/(1 + 0.4 x), fitted to 10⁻⁷ for this file. NaN and infinities come out as in float64.
 */
import type { FunctionBuilder, Local, ValueType, VectorName } from './assembler.js';

interface Node {
  readonly op: string;
  readonly value: number;
  readonly args: readonly Node[];
  /** How many other nodes want it. */
  uses: number;
  local: Local | undefined;
}

/** Binary operators by binding strength, loosest first. */
const LEVELS: readonly Readonly<Record<string, VectorName>>[] = [
  { '<': 'f32x4.lt', '>': 'f32x4.gt', '<=': 'f32x4.le', '>=': 'f32x4.ge', '==': 'f32x4.eq' },
  { '+': 'f32x4.add', '-': 'f32x4.sub' },
  { '*': 'f32x4.mul', '/': 'f32x4.div' },
];

const OPERATORS: Readonly<Record<string, VectorName>> = Object.assign({ '?': 'v128.bitselect' }, ...LEVELS);

/** Functions that are one instruction. */
const INSTRUCTIONS: Readonly<Record<string, VectorName>> = {
  abs: 'f32x4.abs',
  ceil: 'f32x4.ceil',
  floor: 'f32x4.floor',
  max: 'f32x4.max',
  min: 'f32x4.min',
  nearest: 'f32x4.nearest',
  neg: 'f32x4.neg',
  sqrt: 'f32x4.sqrt',
  iadd: 'i32x4.add',
  iand: 'v128.and',
  isub: 'i32x4.sub',
  left: 'i32x4.shl',
  right: 'i32x4.shr_s',
  toFloat: 'f32x4.convert_i32x4_s',
  toInteger: 'i32x4.trunc_sat_f32x4_s',
};

/** Functions written in the language: parameters, and the value. */
const DEFINITIONS: Readonly<Record<string, readonly [parameters: string, body: string]>> = {
  // 0, or NaN where t is.
  none: ['t', 'min(abs(t),0)'],
  sign: ['t', 't>0 ? 1 : t<0 ? -1 : t'],
  power2: ['i', 'left(iadd(i,#127),#23)'],
  // v·2ⁿ in two steps: 2ⁿ alone may be too large or too small for a float.
  scaled: ['v,i', 'v*power2(right(i,#1))*power2(isub(i,right(i,#1)))'],
  // Beyond these ends eˣ is 0 or infinite.
  ends: ['t', 'min(max(t,-104),89)'],
  twos: ['t', 'nearest(ends(t)*1.442695041)'],
  rest: ['t', 'ends(t)-twos(t)*.693359375+twos(t)*2.12194440e-4'],
  // eʳ − 1
  small: [
    'r',
    'poly(r,1.9875691500e-4,1.3981999507e-3,8.3334519073e-3,4.1665795894e-2,1.6666665459e-1,5.0000001201e-1)*r*r+r',
  ],
  exp: ['t', 'scaled(small(rest(t))+1,toInteger(twos(t)))'],
  expm1: ['t', 'scaled(small(rest(t)),toInteger(twos(t)))+(scaled(1,toInteger(twos(t)))-1)'],
  // Numbers below 2⁻¹²⁶ have no full mantissa: times 2²⁵ first. √½ = 0x3f3504f3.
  normal: ['t', 't<1.17549435e-38 ? t*33554432 : t'],
  bits: ['t', 'iadd(normal(t),#4913933)'],
  twosOf: ['t', 'toFloat(isub(right(bits(t),#23),#127))-(t<1.17549435e-38 ? 25 : 0)'],
  fraction: ['t', 'iadd(iand(bits(t),#8388607),#1060439283)-1'],
  ratio: ['m', 'm/(2+m)'],
  series: ['m,z', '.5*m*m+z*poly(z,.24279078841,.28498786688,.40000972152,.66666662693)'],
  lnOf: ['t,k,m', 'k*.69313812256+(m-(.5*m*m-(ratio(m)*series(m,ratio(m)*ratio(m))+k*9.0580006145e-6)))'],
  log: ['t', 't>0 ? (t<1/0 ? lnOf(t,twosOf(t),fraction(t)) : t) : t==0 ? -1/0 : 0/0'],
  // u = 1 + y is rounded; what is lost is made good.
  log1pOf: ['y,u', 'log(u)+(y-(u-1))/u'],
  softplus: ['t', 'max(t,0)+log1pOf(exp(-abs(t)),1+exp(-abs(t)))'],
  sigmoid: ['t', '1/(1+exp(-t))'],
  tanhOf: ['t,u', 't<0 ? u/(u+2) : -u/(u+2)'],
  tanh: ['t', 'tanhOf(t,expm1(-2*abs(t)))'],
  sech2Of: ['e', '4*e/((1+e)*(1+e))'],
  // 1 − tanh²
  sech2: ['t', 'sech2Of(exp(-2*abs(t)))'],
  // tanh(softplus t) = w/(w + 2), w = eᵗ(eᵗ + 2), and 1 − its square.
  mishOf: ['e', 'e*(e+2)'],
  mishW: ['t', 'mishOf(exp(min(t,30)))'],
  mishTanh: ['t', 'mishW(t)/(mishW(t)+2)'],
  mishSech2: ['t', '4*(mishW(t)+1)/((mishW(t)+2)*(mishW(t)+2))'],
  erfcx: ['u', 'u*poly(u,.06807757,-.36630958,.63081053,-.31907629,.37605825,.15100281,.23432133,.22511529)'],
  // For t ≥ 0.
  erfc: ['t', 'exp(-(t*t))*erfcx(1/(1+.4*t))'],
  erf: [
    't',
    'abs(t)<.5 ? t*poly(t*t,.00471798,-.02675718,.11282823,-.37612609,1.12837917) : sign(t)*(1-erfc(abs(t)))',
  ],
  // Normal density and distribution.
  density: ['t', '.3989422804*exp(-.5*t*t)'],
  tail: ['t', '.5*erfc(.7071067812*abs(t))'],
  normalOf: ['t', 't<0 ? tail(t) : 1-tail(t)'],
};

const TOKENS = /[A-Za-z]\w*|#\d+|\d*\.?\d+(?:e-?\d+)?|[<>=]=|\S/g;

/** The nodes of one formula. */
class Formula {
  readonly #nodes = new Map<string, Node>();
  readonly #numbers = new Map<Node, number>();
  readonly root: Node;

  constructor(text: string, names: readonly string[]) {
    this.root = this.#parse(text, new Map(names.map((name) => [name, this.node(name)])));
  }

  get nodes(): IterableIterator<Node> {
    return this.#nodes.values();
  }

  node(op: string, args: readonly Node[] = [], value = 0): Node {
    const key = `${op}|${Object.is(value, -0) ? '-0' : value}|${args.map((arg) => this.#numbers.get(arg))}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const made = { op, args, value, uses: 0, local: undefined };
    for (const arg of args) arg.uses++;
    this.#numbers.set(made, this.#nodes.size);
    this.#nodes.set(key, made);
    return made;
  }

  #parse(text: string, scope: ReadonlyMap<string, Node>): Node {
    const tokens = text.match(TOKENS) ?? [];
    let at = 0;
    const next = (wanted: string) => tokens[at] === wanted && at++ >= 0;
    const expect = (wanted: string) => {
      if (!next(wanted)) throw new Error(`formula: ${wanted} expected at token ${at} of ${text}`);
    };
    const choice = (): Node => {
      const condition = binary(0);
      if (!next('?')) return condition;
      const a = choice();
      expect(':');
      return this.node('?', [a, choice(), condition]);
    };
    const binary = (level: number): Node => {
      if (level === LEVELS.length) return unary();
      let a = binary(level + 1);
      while (tokens[at] in LEVELS[level]) {
        const op = tokens[at++];
        const b = binary(level + 1);
        // 1/3 and 0/0 are numbers already.
        a =
          op === '/' && a.op === '1' && b.op === '1'
            ? this.node('1', [], a.value / b.value)
            : this.node(op, [a, b]);
      }
      return a;
    };
    const unary = (): Node => {
      if (!next('-')) return primary();
      const a = unary();
      return a.op === '1' ? this.node('1', [], -a.value) : this.node('neg', [a]);
    };
    const primary = (): Node => {
      if (next('(')) {
        const inner = choice();
        expect(')');
        return inner;
      }
      const word = tokens[at++] ?? '';
      if (word.startsWith('#')) return this.node('#', [], Number(word.slice(1)));
      if (/^[\d.]/.test(word)) return this.node('1', [], Number(word));
      const known = scope.get(word);
      if (known !== undefined) return known;
      expect('(');
      const args: Node[] = [];
      do args.push(choice());
      while (next(','));
      expect(')');
      return this.#call(word, args);
    };
    const root = choice();
    if (at < tokens.length) throw new Error(`formula: cannot read ${tokens[at]} in ${text}`);
    return root;
  }

  #call(name: string, args: readonly Node[]): Node {
    if (name in INSTRUCTIONS) return this.node(name, args);
    if (name === 'poly') {
      // Horner's rule, highest power first.
      const [x, first, ...coefficients] = args;
      return coefficients.reduce((sum, c) => this.node('+', [this.node('*', [sum, x]), c]), first);
    }
    const definition = DEFINITIONS[name];
    if (definition === undefined) throw new Error(`formula: no function ${name}`);
    const [parameters, body] = definition;
    return this.#parse(body, new Map(parameters.split(',').map((parameter, i) => [parameter, args[i]])));
  }
}

/** Parameters of the function that {@link buildFormula} builds for so many inputs. */
export const formulaParameters = (inputs: number): ValueType[] => [
  ...new Array<ValueType>(4 + 2 * inputs).fill('i32'),
  'f32',
  'f32',
];

/**
 * out, outRow, n1, n; per input: at, row; p, q. For n1 rows of n floats: out = the formula of the inputs, `names` in their
 * order, and of the numbers p and q. The rows of an input are `row` bytes apart; one whose letter in `pattern` is 0 has one
 * value per row. Writes nothing beyond a row, so `out` may be one of the inputs; reads up to three floats beyond.
 */
export function buildFormula(
  f: FunctionBuilder,
  parameters: readonly Local[],
  text: string,
  names: readonly string[],
  pattern: string,
): void {
  const formula = new Formula(text, [...names, 'p', 'q']);
  const [out, outRow, n1, n] = parameters;
  const inputs = names.map((name, i) => ({
    node: formula.node(name),
    at: parameters[4 + 2 * i],
    row: parameters[5 + 2 * i],
    each: pattern[i] === '1',
    pointer: f.local('i32'),
  }));
  const [to, left] = [f.local('i32'), f.local('i32')];
  const last = f.local('v128');
  const ready = new Set<Node>();
  // What does not change from element to element.
  for (const node of formula.nodes) {
    if (node.args.length > 0 || node.uses === 0) continue;
    node.local = f.local('v128');
    if (node.op === '#') f.integers(node.value).set(node.local);
    if (node.op === '1') f.splat(node.value).set(node.local);
    if (node.op === 'p' || node.op === 'q')
      f.get(parameters[parameters.length - (node.op === 'p' ? 2 : 1)])
        .op('f32x4.splat')
        .set(node.local);
    ready.add(node);
  }
  for (const { node } of inputs) {
    node.local ??= f.local('v128');
    ready.add(node);
  }
  const fixed = new Set(ready);
  const emit = (node: Node): void => {
    if (node.local !== undefined && ready.has(node)) {
      f.get(node.local);
      return;
    }
    const { op, args } = node;
    // Shifts take a plain integer.
    const shift = op === 'left' || op === 'right';
    for (const arg of shift ? args.slice(0, 1) : args) emit(arg);
    if (shift) f.i32(args[1].value);
    f.op(INSTRUCTIONS[op] ?? OPERATORS[op]);
    if (node.uses < 2) return;
    node.local ??= f.local('v128');
    f.tee(node.local);
    ready.add(node);
  };
  const body = () => {
    for (const { node, each, pointer } of inputs)
      if (each)
        f.get(pointer)
          .access('v128.load')
          .set(node.local as Local);
    ready.clear();
    for (const node of fixed) ready.add(node);
    emit(formula.root);
  };
  f.countdown(n1, 1, () => {
    f.get(out).set(to).get(n).set(left);
    for (const { node, each, at, pointer } of inputs) {
      if (each) f.get(at).set(pointer);
      else
        f.get(at)
          .access('v128.load32_splat')
          .set(node.local as Local);
    }
    f.countdown(left, 4, () => {
      f.get(to);
      body();
      f.access('v128.store').add(to, 16);
      for (const { each, pointer } of inputs) if (each) f.add(pointer, 16);
    });
    f.get(left).if(() => {
      body();
      f.set(last).get(left).i32(2).op('i32.and');
      f.if(() =>
        f.get(to).get(last).storeHalf(0).add(to, 8).get(last).get(last).shuffle([2, 3, 2, 3]).set(last),
      );
      f.get(left).i32(1).op('i32.and');
      f.if(() => f.get(to).get(last).storeLane(0));
    });
    f.add(out, outRow);
    for (const { at, row } of inputs) f.add(at, row);
  });
}
