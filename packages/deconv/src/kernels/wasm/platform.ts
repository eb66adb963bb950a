/**
 * platform: the little that the engine asks of its host beyond the language: WebAssembly, and threads. Typed here by
 * what is used, so that the library needs neither a browser's nor Node's type declarations.
 */

/** The memory object of WebAssembly. */
export interface LinearMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
}

/** An exported function: integers in, nothing out. */
export type Command = (...values: number[]) => void;

/** A table of functions. */
export interface Table {
  grow(by: number): number;
  set(at: number, command: Command): void;
}

interface WebAssemblyHost {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => LinearMemory;
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: { env: { memory: LinearMemory } }) => { readonly exports: Exports };
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

/** What a module of ours exports: its functions, and the table that they are in. */
export type Exports = Readonly<Record<string, Command>> & { readonly table: Table };

/** A module from its bytes. */
export const compile = (bytes: Uint8Array<ArrayBuffer>): object => new (webAssembly().Module)(bytes);

/** An instance of a module over a memory. */
export const instantiate = (module: object, memory: LinearMemory): Exports =>
  new (webAssembly().Instance)(module, { env: { memory } }).exports;

/** What the global object may have. */
interface Host {
  readonly WebAssembly?: WebAssemblyHost;
  readonly performance: { now(): number };
  setTimeout?(then: () => void): void;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly process?: {
    readonly versions?: { readonly node?: string; readonly v8?: string };
    getBuiltinModule?(name: string): unknown;
  };
  /** Node. Arrays made slowly share their buffer with no others. */
  readonly Buffer?: { allocUnsafeSlow(bytes: number): { readonly buffer: ArrayBuffer } };
}

/** The global object, as far as the engine knows it. */
export const host: Host = globalThis as object as Host;

/** WebAssembly. The engine is opened only where a module has been found valid, so here it is there. */
export const webAssembly = (): WebAssemblyHost => host.WebAssembly as WebAssemblyHost;

/** A module that Node brings along; undefined in a page. */
export const nodeModule = <T>(name: string): T | undefined =>
  host.process?.getBuiltinModule?.(`node:${name}`) as T | undefined;

/** A buffer that will be written from end to end at once. Node need not fill it with zeros before, which takes as long. */
export function unfilled(bytes: number): ArrayBuffer {
  return host.Buffer?.allocUnsafeSlow(bytes).buffer ?? new ArrayBuffer(bytes);
}

/** Milliseconds since some moment. */
export const now = (): number => host.performance.now();
