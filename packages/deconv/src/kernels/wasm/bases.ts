/** bases: what the addresses in a command are relative to, by number; single constants, so that a program contains no names. */
export const zero = 0;
export const input = 1;
export const packed = 2;
export const output = 3;
export const work = 4;
export const tables = 5;
export const weight = 6;
export const bias = 7;
export const scale = 8;
export const shared = 9;
export const residual = 10;
export const second = 11;
