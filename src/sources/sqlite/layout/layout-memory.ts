const mebibyte = 1024 * 1024;
const wasmPage = 64 * 1024;

/** A backup has no larger chunk: more than 4 MiB only if it is a single record, which has at most 8 MiB. */
export const mostChunkBytes = 9 * mebibyte;
/** A chunk of one record is laid out together with the next chunk. */
const mostPieceBytes = 2 * mostChunkBytes;
/** The worst case is an index of records that barely need an overflow page: six times their bytes. */
const mostGrowth = 8;
/** WebAssembly may look at some bytes beyond the end of what it reads. */
const slack = 64;
/** See `layOut` in assembly/pages/lay-out.ts. */
export const markBytes = 16;

/** Addresses in the memory that all threads share. */
export type ThreadArea = {out: number; outEnd: number; links: number};

/** Room for a piece of a tree, and for the marks of its leaves. */
export type Slot = {at: number; bytes: number; marks: number};

/**
 * The memory of all layout threads: the main thread copies chunks into slots, a thread turns the records in a slot into
 * pages. Little of it is ever touched, and what is not touched takes up no memory.
 */
export class LayoutMemory {
  readonly memory: WebAssembly.Memory;
  readonly areas: readonly ThreadArea[];
  readonly slots: readonly Slot[];
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;

  constructor({pageSize, threads, slots}: {pageSize: number; threads: number; slots: number}) {
    // WebAssembly keeps its constants at the beginning.
    let end = wasmPage;
    const take = (bytes: number) => {
      const at = end;
      end = roundUp(end + bytes);
      return at;
    };
    const outBytes = mostGrowth * mostPieceBytes;
    const mostPages = Math.ceil(outBytes / pageSize);
    this.areas = Array.from({length: threads}, () => {
      const out = take(outBytes);
      return {out, outEnd: out + outBytes, links: take(4 * mostPages)};
    });
    this.slots = Array.from({length: slots}, () => ({
      at: take(mostPieceBytes + slack),
      bytes: mostPieceBytes,
      marks: take(markBytes * mostPages),
    }));
    const pages = end / wasmPage;
    this.memory = new WebAssembly.Memory({initial: pages, maximum: pages, shared: true});
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
  }
}

function roundUp(address: number): number {
  return Math.ceil(address / wasmPage) * wasmPage;
}
