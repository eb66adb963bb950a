/** leb128: the integers of variable length of which WebAssembly's binary format consists. */

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const low = value % 128;
  return value < 128 ? [low] : [low + 128, ...unsigned(Math.floor(value / 128))];
}

/** Signed LEB128 of a 32-bit integer. */
export function signed(value: number): number[] {
  const low = value & 127;
  // The last byte's bit 6 is the sign.
  return value >= -64 && value < 64 ? [low] : [low + 128, ...signed(value >> 7)];
}
