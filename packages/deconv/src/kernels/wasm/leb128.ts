/**
 * leb128: the integers of variable length of which WebAssembly's binary format consists: seven bits a byte, the lowest first, the last
 * byte being below 128.
 */

/** Of an integer from 0 to 2³¹ − 1; or, where `least` is −64, of any of 32 bits, bit 6 of the last byte being its sign. */
export function leb128(value: number, least: 0 | -64 = 0): number[] {
  const low = value & 127;
  return value >= least && value < least + 128 ? [low] : [low | 128, ...leb128(value >> 7, least)];
}
