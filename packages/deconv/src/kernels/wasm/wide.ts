/** wide: vectors of 256 bits, where the host has been asked for them. A program that never asks goes without this file. */
import { host, nodeModule } from './platform.js';

/**
 * Asks V8 for what it has beyond the standard, by flags of the process; only Node can set them. Fused multiply–add needs
 * one before V8 11.4, where relaxed SIMD came in; fusing vectors to 256 bits has one that works from V8 13 on. Older
 * engines do not know it, and would complain. True when vectors may be fused.
 */
export function setWide(): boolean {
  const v8 = nodeModule<{ setFlagsFromString(flag: string): void }>('v8');
  if (v8 === undefined) return false;
  const [major = 0, minor = 0] = (host.process?.versions?.v8 ?? '').split('.').map(Number);
  if (major === 11 && minor < 4) v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  if (major < 13) return false;
  v8.setFlagsFromString('--experimental-wasm-revectorize');
  return true;
}
