/** The part of WebAssembly that bkp uses; TypeScript declares it only together with the rest of a browser. */
declare namespace WebAssembly {
  type ImportValue = Memory | ((...parameters: number[]) => unknown);

  /** Can be sent to threads. */
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): {module: string; name: string; kind: string}[];
  }

  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, ImportValue>>);
    readonly exports: object;
  }

  /** Sizes are pages of 64 KiB. A shared one can be sent to threads. */
  class Memory {
    constructor(size: {initial: number; maximum: number; shared: true});
    readonly buffer: SharedArrayBuffer;
    grow(pages: number): number;
  }
}
