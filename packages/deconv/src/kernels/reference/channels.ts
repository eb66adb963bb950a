/** Sums and linear maps with one number per channel, by their definitions. */
import type { Channels, LocalResponse } from '../../backend.js';

type Values = ArrayLike<number>;

/** Calls `visit(position, channel)` for every element of (outer, channels, inner). */
function eachOfChannels({ outer, channels, inner }: Channels, visit: (at: number, k: number) => void): void {
  for (let o = 0, at = 0; o < outer; o++) {
    for (let k = 0; k < channels; k++) {
      for (let i = 0; i < inner; i++) visit(at++, k);
    }
  }
}

/** (x, m, f, t[, y, n, g]) → (x − m)·f + t [+ (y − n)·g] */
export function channelAffine(
  [x, m, f, t, y, n, g]: readonly Values[],
  c: Channels & { relu?: boolean },
): Float64Array {
  const out = new Float64Array(c.outer * c.channels * c.inner);
  eachOfChannels(c, (at, k) => {
    out[at] = (x[at] - m[k]) * f[k] + t[k];
    if (y !== undefined) out[at] += (y[at] - n[k]) * g[k];
    if (c.relu) out[at] = Math.max(out[at], 0);
  });
  return out;
}

/** (x, m, y, n) → Σ (x − m)·(y − n) of each channel */
export function channelDot([x, m, y, n]: readonly Values[], c: Channels): Float64Array {
  const out = new Float64Array(c.channels);
  eachOfChannels(c, (at, k) => {
    out[k] += (x[at] - m[k]) * (y[at] - n[k]);
  });
  return out;
}

/** (x) → x / (bias + alpha/size · Σ x²)^beta */
export function channelResponse([x]: readonly Values[], c: Channels & LocalResponse): Float64Array {
  const out = new Float64Array(c.outer * c.channels * c.inner);
  eachOfChannels(c, (at, k) => {
    let sum = 0;
    for (let from = Math.max(0, k - c.before); from < Math.min(c.channels, k - c.before + c.size); from++)
      sum += x[at + (from - k) * c.inner] ** 2;
    out[at] = x[at] / (c.bias + (c.alpha / c.size) * sum) ** c.beta;
  });
  return out;
}
