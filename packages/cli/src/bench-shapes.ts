/**
 * bench-shapes: what `deconv bench` measures: ten transposed convolutions out of well-known networks, and the
 * convolutions that stand beside them. Useful work counts each multiplication and each addition once, 2·n·g·(ci/g)·
 * (co/g)·k² per position of the smaller side: of the input of a transposed convolution, of the output of a convolution.
 */

/** One layer over two axes. */
export interface BenchShape {
  readonly name: string;
  readonly op: 'convTranspose' | 'conv';
  /** Pictures. */
  readonly n: number;
  /** Channels in and out. */
  readonly ci: number;
  readonly co: number;
  /** Rows and columns of the input. */
  readonly h: number;
  readonly w: number;
  readonly k: number;
  readonly s: number;
  readonly p: number;
  readonly outputPadding: number;
  readonly d: number;
  readonly g: number;
}

type Row = readonly [
  name: string,
  n: number,
  ci: number,
  co: number,
  hw: number,
  k: number,
  s: number,
  p: number,
  outputPadding: number,
  d: number,
  g: number,
];

const TRANSPOSED: readonly Row[] = [
  ['alexnet-project 96->3 k11 s4 55->227', 1, 96, 3, 55, 11, 4, 0, 0, 1, 1],
  ['dcgan1 512->256 k4 s2 p1 8->16 b16', 16, 512, 256, 8, 4, 2, 1, 0, 1, 1],
  ['dcgan3 128->64 k4 s2 p1 32->64 b4', 4, 128, 64, 32, 4, 2, 1, 0, 1, 1],
  ['dcgan-rgb 64->3 k4 s2 p1 64->128 b4', 4, 64, 3, 64, 4, 2, 1, 0, 1, 1],
  ['unet 256->128 k2 s2 64->128', 1, 256, 128, 64, 2, 2, 0, 0, 1, 1],
  ['cyclegan 128->64 k3 s2 p1 op1 128->256', 1, 128, 64, 128, 3, 2, 1, 1, 1, 1],
  ['fsrcnn 56->1 k9 s3 p4 op2 128->384', 1, 56, 1, 128, 9, 3, 4, 2, 1, 1],
  ['fcn-bilinear dw 21 k16 s8 p4 34->272', 1, 21, 21, 34, 16, 8, 4, 0, 1, 21],
  ['same 64->64 k3 s1 p1 128', 1, 64, 64, 128, 3, 1, 1, 0, 1, 1],
  ['dilated 64->64 k3 s1 d2 p2 128', 1, 64, 64, 128, 3, 1, 2, 0, 2, 1],
];

const CONVS: readonly Row[] = [
  ['alexnet1 3->96 k11 s4 227->55', 1, 3, 96, 227, 11, 4, 0, 0, 1, 1],
  ['vgg 128->128 k3 p1 112', 1, 128, 128, 112, 3, 1, 1, 0, 1, 1],
  ['resnet 64->128 k3 s2 p1 56->28 b4', 4, 64, 128, 56, 3, 2, 1, 0, 1, 1],
  ['resnet 512->512 k3 p1 7 b4', 4, 512, 512, 7, 3, 1, 1, 0, 1, 1],
  ['pointwise 256->64 k1 56 b4', 4, 256, 64, 56, 1, 1, 0, 0, 1, 1],
  ['mobilenet dw 144 k3 p1 56', 1, 144, 144, 56, 3, 1, 1, 0, 1, 144],
  ['to-rgb 64->3 k7 p3 256', 1, 64, 3, 256, 7, 1, 3, 0, 1, 1],
];

const read =
  (op: BenchShape['op']) =>
  ([name, n, ci, co, hw, k, s, p, outputPadding, d, g]: Row): BenchShape => ({
    name,
    op,
    n,
    ci,
    co,
    h: hw,
    w: hw,
    k,
    s,
    p,
    outputPadding,
    d,
    g,
  });

/** All of them. */
export const BENCH_SHAPES: readonly BenchShape[] = [
  ...TRANSPOSED.map(read('convTranspose')),
  ...CONVS.map(read('conv')),
];

/** Floating-point operations of one pass that are of use. */
export function flopsOf({ op, n, ci, co, h, w, k, s, p, d, g }: BenchShape): number {
  const out = (length: number) => Math.floor((length + 2 * p - d * (k - 1) - 1) / s) + 1;
  const positions = op === 'conv' ? out(h) * out(w) : h * w;
  return (2 * n * positions * ci * co * k * k) / g;
}
