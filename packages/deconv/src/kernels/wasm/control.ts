/**
 * control: places in the control block, all 32-bit words; see threads.ts for who writes them when. Single constants, so that a
 * program contains no names.
 */

/** Number of the stage under way. */
export const epoch = 0;
/** (epoch << 16) + the next item to be taken. */
export const next = 1;
/** Items of the stage. */
export const count = 2;
/** Items that are finished. */
export const done = 3;
/** Address of the command list. */
export const commands = 4;
/** Address of the items: first command, number of commands, then what to add to each base. */
export const items = 5;
/** Bytes of work space of each thread; thread t has the t-th. */
export const stride = 7;
/** Where the bases of the call begin. */
export const bases = 8;
/** The epoch once more, written when everything else about the stage is in place: what helpers look at. It changes for an order too (see `spare`). */
export const go = 20;
/** Kernels on the shelf (see shelf.ts). */
export const kernels = 21;
/** Set by commands whose result is not to be used. */
export const flag = 22;
/** Bytes of an array that a helper is to make, 0 for none; see spares.ts. */
export const spare = 23;
/** The ticket that each thread is working on, −1 between items; thread t has the t-th word from here. */
export const doing = 32;
/** How many of the kernels on the shelf each thread has taken in, −1 until it has come up; as above. */
export const taken = 128;
