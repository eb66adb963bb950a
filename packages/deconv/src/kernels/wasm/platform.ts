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
  Instance: new (
    module: object,
    imports: { env: { memory: LinearMemory } },
  ) => { readonly exports: Readonly<Record<string, Command>> };
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

/** The table that every module of ours exports beside its functions. */
export const tableOf = (exports: object): Table => (exports as { table: Table }).table;

/** An instance of a module over a memory. */
export function instantiate(bytes: Uint8Array<ArrayBuffer>, memory: LinearMemory) {
  const { Module, Instance } = webAssembly();
  return new Instance(new Module(bytes), { env: { memory } }).exports;
}

/** What the global object may have. */
interface Host {
  readonly WebAssembly?: WebAssemblyHost;
  readonly crossOriginIsolated?: boolean;
  readonly process?: {
    readonly versions?: { readonly node?: string; readonly v8?: string };
    getBuiltinModule?(name: string): unknown;
  };
}

/** The global object, as far as the engine knows it. */
export const host: Host = globalThis as object as Host;

/** WebAssembly, or an error that says it is missing. */
export function webAssembly(): WebAssemblyHost {
  if (host.WebAssembly === undefined) throw new Error('deconv: this JavaScript engine has no WebAssembly');
  return host.WebAssembly;
}

interface NodeBuffers {
  allocUnsafeSlow(bytes: number): { readonly buffer: ArrayBuffer };
}

/** A buffer that will be written from end to end at once. Node need not fill it with zeros before, which takes as long. */
export function unfilled(bytes: number): ArrayBuffer {
  const { Buffer } = globalThis as { Buffer?: NodeBuffers };
  if (host.process?.versions?.node === undefined || Buffer === undefined) return new ArrayBuffer(bytes);
  const { buffer } = Buffer.allocUnsafeSlow(bytes);
  return buffer.byteLength === bytes ? buffer : new ArrayBuffer(bytes);
}

/** Milliseconds since some moment. */
export const now = (): number =>
  (globalThis as { performance?: { now(): number } }).performance?.now() ?? Date.now();
