/**
 * opcodes: the instructions and value types that the kernels need, under their names in the specification, as numbers: so a program
 * contains those that it uses, and none of the names. Those of vectors, which have the prefix byte 0xfd, count on from 0x100. Loads and
 * stores, which have immediates, are functions that give their code.
 */
import { leb128 } from './leb128.js';

/** One of these, or a byte; or several, one after the other. */
export type Code = number | readonly Code[];

/* Value types. */
export const i32 = 0x7f;
export const f32 = 0x7d;
export const f64 = 0x7c;
export const v128 = 0x7b;

/* Plain instructions without immediates. */
export const drop = 0x1a;
export const select = 0x1b;
export const i32Eqz = 0x45;
export const i32Eq = 0x46;
export const i32Ne = 0x47;
export const i32LtS = 0x48;
export const i32LtU = 0x49;
export const i32GtS = 0x4a;
export const i32GeS = 0x4e;
export const i32GeU = 0x4f;
export const f32Eq = 0x5b;
export const f32Le = 0x5f;
export const i32Add = 0x6a;
export const i32Sub = 0x6b;
export const i32Mul = 0x6c;
export const i32And = 0x71;
export const i32Shl = 0x74;
export const i32ShrU = 0x76;
export const f32Add = 0x92;
export const f32Sub = 0x93;
export const f32Mul = 0x94;
export const f32Min = 0x96;
export const f32Max = 0x97;
export const f64Add = 0xa0;
export const f64Mul = 0xa2;
export const f32DemoteF64 = 0xb6;
export const f64PromoteF32 = 0xbb;
export const f32ReinterpretI32 = 0xbe;

/* Vector instructions without immediates, and the shuffle. */
export const i8x16Shuffle = 0x10d;
export const f32x4Splat = 0x113;
export const i32x4Splat = 0x111;
export const f64x2Splat = 0x114;
export const f32x4Eq = 0x141;
export const f32x4Ne = 0x142;
export const f32x4Lt = 0x143;
export const f32x4Gt = 0x144;
export const f32x4Le = 0x145;
export const f32x4Ge = 0x146;
export const v128And = 0x14e;
export const v128Andnot = 0x14f;
export const v128Or = 0x150;
export const v128Bitselect = 0x152;
export const f32x4DemoteF64x2Zero = 0x15e;
export const f64x2PromoteLowF32x4 = 0x15f;
export const f32x4Ceil = 0x167;
export const f32x4Floor = 0x168;
export const i32x4AllTrue = 0x1a3;
export const i32x4Shl = 0x1ab;
export const i32x4ShrS = 0x1ac;
export const i32x4Add = 0x1ae;
export const i32x4Sub = 0x1b1;
export const f32x4Abs = 0x1e0;
export const f32x4Neg = 0x1e1;
export const f32x4Sqrt = 0x1e3;
export const f32x4Add = 0x1e4;
export const f32x4Sub = 0x1e5;
export const f32x4Mul = 0x1e6;
export const f32x4Div = 0x1e7;
export const f32x4Min = 0x1e8;
export const f32x4Max = 0x1e9;
export const f32x4Pmin = 0x1ea;
export const f32x4Pmax = 0x1eb;
export const f64x2Add = 0x1f0;
export const f64x2Mul = 0x1f2;
export const f32x4ConvertI32x4S = 0x1fa;
export const f32x4RelaxedMadd = 0x205;

/* Loads and stores, at the address on the stack plus `offset` bytes; more than 4 bytes of alignment is not promised. */
const access = (opcode: Code, offset: number): Code => [opcode, 2, leb128(offset)];
export const i32Load = (offset = 0): Code => access(0x28, offset);
export const f32Load = (offset = 0): Code => access(0x2a, offset);
export const f64Load = (offset = 0): Code => access(0x2b, offset);
export const i32Store = (offset = 0): Code => access(0x36, offset);
export const f32Store = (offset = 0): Code => access(0x38, offset);
export const f64Store = (offset = 0): Code => access(0x39, offset);
export const v128Load = (offset = 0): Code => access(0x100, offset);
export const v128Load32Splat = (offset = 0): Code => access(0x109, offset);
export const v128Store = (offset = 0): Code => access(0x10b, offset);
export const i32AtomicLoad = (offset = 0): Code => access([0xfe, 0x10], offset);
export const i32AtomicStore = (offset = 0): Code => access([0xfe, 0x17], offset);
export const i32AtomicRmwAdd = (offset = 0): Code => access([0xfe, 0x1e], offset);
/** Stores one float of the vector on the stack. */
export const v128Store32Lane = (lane: number, offset = 0): Code => [access(0x15a, offset), lane];
/** Stores one 64-bit half of the vector on the stack. */
export const v128Store64Lane = (half: number): Code => [access(0x15b, 0), half];
