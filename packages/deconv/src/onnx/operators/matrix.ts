/** Matrix products, and the softmaxes. */
import { run as runKernel } from '../../autograd.js';
import * as operation from '../../operations.js';
import { add, mul } from '../../ops/elementwise.js';
import { cast, reshape } from '../../ops/layout.js';
import { matmul } from '../../ops/matmul.js';
import { argMax } from '../../ops/reduce.js';
import { logSoftmax, softmax } from '../../ops/softmax.js';
import { broadcastShapes, sameShape, showShape, sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { isFloat } from '../types.js';
import { chain, tensorOf, throughFloat } from '../values.js';

/** alpha·A·B + beta·C, A and B as they are or transposed; C broadcasts to the product. */
function planGemm(node: NodeContext): Planned {
  const type = node.sameType(0, 1, 2);
  const [a, b] = [node.rank(0, 2), node.rank(1, 2)];
  const [alpha, beta] = [node.number('alpha', 1), node.number('beta', 1)];
  const [transposeA, transposeB] = [node.flag('transA', false), node.flag('transB', false)];
  const [m, k] = transposeA ? [a[1], a[0]] : a;
  const [k2, n] = transposeB ? [b[1], b[0]] : b;
  if (k !== k2)
    node.refuse('inputs', `inner lengths must agree: ${k} of ${showShape(a)}, ${k2} of ${showShape(b)}`);
  const shape = [m, n];
  const withC = node.has(2) && beta !== 0;
  if (node.has(2) && !sameShape(broadcastShapes(node.label, shape, node.shape(2)), shape))
    node.refuse('inputs', `C ${showShape(node.shape(2))} must broadcast to the product ${showShape(shape)}`);
  const attributes = { batch: 1, m, n, k, transposeA, transposeB };
  const float = (x: Tensor) => (isFloat(type) ? x : cast(x, 'float64'));
  return {
    outputs: [{ type, shape }],
    flops: 2 * m * n * k,
    run: ([x, y, c]) => [
      chain(
        runKernel(operation.matmul, [float(x), float(y)], attributes, shape),
        (v) => (alpha === 1 ? v : mul(v, alpha)),
        (v) => {
          if (!withC) return v;
          const term = chain(c, float, (t) => (beta === 1 ? t : mul(t, beta)));
          const output = add(v, term);
          if (term.storage !== c.storage) term.dispose();
          return output;
        },
        (v) => cast(v, x.dtype),
      ),
    ],
  };
}

function planMatMul(node: NodeContext): Planned {
  const type = node.sameType(0, 1);
  const [a, b] = [node.shape(0), node.shape(1)];
  if (a.length === 0 || b.length === 0) node.refuse('inputs', 'operands must have rank ≥ 1');
  const p = a.length === 1 ? [1, ...a] : a;
  const q = b.length === 1 ? [...b, 1] : b;
  const [m, k] = p.slice(-2);
  const [k2, n] = q.slice(-2);
  if (k !== k2)
    node.refuse('inputs', `inner lengths must agree: ${k} of ${showShape(a)}, ${k2} of ${showShape(b)}`);
  const lead = broadcastShapes(node.label, p.slice(0, -2), q.slice(0, -2));
  const shape = [...lead, ...(a.length === 1 ? [] : [m]), ...(b.length === 1 ? [] : [n])];
  const product = isFloat(type)
    ? matmul
    : (x: Tensor, y: Tensor) => throughFloat(x, (v) => matmul(cast(v, 'float64'), cast(y, 'float64')));
  return {
    outputs: [{ type, shape }],
    flops: 2 * sizeOf(lead) * m * n * k,
    run: ([x, y]) => [product(x, y)],
  };
}

/** Before operator set 13 the axes from `axis` on count as one; since then one axis is meant. */
function overAxis(f: (x: Tensor, axis: number) => Tensor): Operator {
  return {
    inputs: [1, 1],
    outputs: 1,
    attributes: ['axis'],
    plan(node) {
      const shape = node.shape(0);
      const outputs = [{ type: node.float(0), shape }];
      if (node.opset >= 13) {
        const axis = node.axis(node.int('axis', -1), shape.length);
        return { outputs, run: ([x]) => [f(x, axis)] };
      }
      const axis = node.axis(node.int('axis', 1), shape.length, 1);
      const matrix = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))];
      return {
        outputs,
        run: ([x]) => [reshape(f(reshape(x, matrix), 1), shape)],
      };
    },
  };
}

/** 1 at the first largest along an axis, else 0. */
function hardmax(x: Tensor, axis: number): Tensor {
  const at = argMax(x, axis).data;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const length = x.shape[axis];
  const values = new Float64Array(x.size);
  for (let i = 0; i < at.length; i++)
    values[(Math.floor(i / inner) * length + at[i]) * inner + (i % inner)] = 1;
  return tensorOf(x.dtype === 'float64' ? 'float64' : 'float32', x.shape, values);
}

export const matrices: Readonly<Record<string, Operator>> = {
  Gemm: { inputs: [2, 3], outputs: 1, attributes: ['alpha', 'beta', 'transA', 'transB'], plan: planGemm },
  MatMul: { inputs: [2, 2], outputs: 1, attributes: [], plan: planMatMul },
  Softmax: overAxis(softmax),
  LogSoftmax: overAxis(logSoftmax),
  Hardmax: overAxis(hardmax),
};
