import {closeSync, fstatSync, openSync, readSync} from 'node:fs';
import {assert} from '../../../errors/index.ts';
import {ThreadPool} from '../../../lib/thread-pool.ts';
import {leafType} from '../pages/page-types.ts';
import {type DatabaseHeader, readHeader, writePageCount} from './database-header.ts';
import {EarlySync} from './early-sync.ts';
import type {InnerPageWriter} from './inner-levels.ts';
import type {LayoutJob, LayoutResult, LayoutThreadData} from './layout-job.ts';
import {LayoutMemory} from './layout-memory.ts';
import {LeafLayout} from './leaf-layout.ts';
import {NotRecords} from './not-records.ts';
import {PageGaps} from './page-gaps.ts';
import {PageNumbers} from './page-numbers.ts';
import {Piece} from './piece.ts';
import {mapInnerPage, PointerMap} from './pointer-map.ts';
import {Slots} from './slots.ts';
import {type LayoutTree, TreeWriter} from './tree-writer.ts';
import {writeAt} from './write-at.ts';

export type LayoutOptions = {
  /** That fill and write leaves. */
  threads: number;
  /**
   * Records that are laid out on this thread before the others are started, which takes longer than a few pages do.
   * Default 0.
   */
  hereUpToBytes?: number | undefined;
  /** Let the disk work while pages are written, so that the sync at the end is short. Default true. */
  syncEarly?: boolean | undefined;
};

/** Each thread works on one slot and finds the next one ready; a third is filled meanwhile. */
const slotsPerThread = 3;

/**
 * Writes trees into a database file that SQLite created, with their empty roots, and has closed. SQLite must not open
 * the file before `finish` has resolved.
 *
 * - Threads fill leaves and overflow pages and write them; this thread builds the inner pages in the order of the tree.
 * - All take page numbers from one counter, so each page is used once.
 * - Page 1 and all other pages that SQLite wrote stay as they are, except the roots and the header's counts.
 */
export class PageLayout {
  readonly #file: number;
  readonly #header: DatabaseHeader;
  readonly #numbers: PageNumbers;
  readonly #memory: LayoutMemory;
  readonly #slots: Slots;
  readonly #threads: number;
  readonly #threadData: LayoutThreadData;
  /** What may still be laid out on this thread; the others, of which one uses the same memory, start later. */
  #hereBytes: number;
  #here: LeafLayout | undefined;
  #pool: ThreadPool<LayoutJob, LayoutResult> | undefined;
  readonly #pointerMap: PointerMap | undefined;
  readonly #sync: EarlySync | undefined;
  readonly #trees: Promise<void>[] = [];
  /** Trees whose chunks have not all been taken over. */
  #unfinished = 0;
  readonly #roots = new Set<number>();
  #fault: Error | undefined;
  #closed: Promise<void> | undefined;

  /** @throws Error of the file system */
  static async open(path: string, options: LayoutOptions): Promise<PageLayout> {
    const file = openSync(path, 'r+');
    try {
      const header = readHeader(file);
      assert(fstatSync(file).size === header.pages * header.pageSize, 'the file has the pages that its header names');
      return new PageLayout(file, header, options);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  private constructor(
    file: number,
    header: DatabaseHeader,
    {threads, hereUpToBytes = 0, syncEarly = true}: LayoutOptions,
  ) {
    const {pageSize, usableBytes, hasMaps} = header;
    this.#file = file;
    this.#header = header;
    const gaps = new PageGaps(header);
    const counter = new SharedArrayBuffer(4);
    new Uint32Array(counter)[0] = header.pages;
    this.#numbers = new PageNumbers(counter, gaps);
    this.#memory = new LayoutMemory({pageSize, threads, slots: slotsPerThread * threads + 1});
    this.#slots = new Slots(this.#memory.slots);
    this.#pointerMap = hasMaps ? new PointerMap(file, header, gaps) : undefined;
    this.#threads = threads;
    this.#hereBytes = hereUpToBytes;
    this.#threadData = {
      ...{file, pageSize, usableBytes, hasMaps, counter},
      ...{memory: this.#memory.memory, areas: this.#memory.areas, areasTaken: new SharedArrayBuffer(4)},
    };
    this.#sync = syncEarly ? new EarlySync(file, (error) => this.#fail(error)) : undefined;
  }

  /**
   * Resolves when all chunks have been taken over, so that the next tree can follow while threads work.
   * @param chunks the tree's records in order; a chunk's memory is read only until the next one is asked for
   * @throws NotRecords or an error of the file system, maybe about an earlier tree
   */
  async addTree(tree: LayoutTree, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    const writer = new TreeWriter(tree, this.#memory, this.#header, this.#innerPages);
    let placed: Promise<void> = Promise.resolve();
    // A fault wakes what waits for a slot, here too.
    const then = (step: () => Promise<void> | void) => {
      placed = placed.then(step);
      placed.catch((error: Error) => {
        // Callers learn of it while they add a later tree.
        if (error instanceof NotRecords) error.tree ??= tree.name;
        this.#fail(error);
      });
    };
    this.#unfinished++;
    try {
      this.#assertEmptyRoot(tree);
      for await (const {piece, isLast} of this.#pieces(tree, chunks)) {
        const result = this.#layOut(tree, piece, isLast);
        then(async () => this.#place(writer, piece, await result, isLast));
      }
      if (this.#fault !== undefined) throw this.#fault;
      then(() => writer.end());
    } catch (error) {
      if (error instanceof NotRecords) error.tree ??= tree.name;
      this.#fail(error as Error);
      throw this.#fault;
    } finally {
      this.#trees.push(placed);
      this.#unfinished--;
    }
  }

  /** The chunks in slots. A piece is complete when it is known whether another one follows. */
  async *#pieces(
    {kind}: LayoutTree,
    chunks: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<{piece: Piece; isLast: boolean}> {
    let pending: Piece | undefined;
    for await (const chunk of chunks) {
      if (chunk.length === 0) continue;
      if (pending === undefined || kind === 'rowid' || !pending.isOneRecord) {
        const next: Piece = new Piece(this.#memory, await this.#slots.take(), {isFirst: pending === undefined});
        if (pending !== undefined) yield {piece: pending, isLast: false};
        pending = next;
      }
      pending.append(chunk);
    }
    if (pending !== undefined) yield {piece: pending, isLast: true};
  }

  /**
   * Waits for all trees, and writes what is left: inner pages, pointer maps, the header.
   * @returns the pages that the file has now
   * @throws NotRecords or an error of the file system
   */
  async finish(): Promise<{pages: number}> {
    assert(this.#unfinished === 0, 'all trees have been added');
    await Promise.allSettled(this.#trees);
    await this.#sync?.stop();
    if (this.#fault !== undefined) throw this.#fault;
    this.#pointerMap?.finish();
    const pages = this.#numbers.last;
    const {pageSize} = this.#header;
    assert(fstatSync(this.#file).size === pages * pageSize, 'the last page was written');
    writePageCount(this.#file, pages);
    return {pages};
  }

  /** Ends the threads and closes the file. Safe to call at any time, and more than once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#fail(new Error('the layout was closed'));
    // Only then may another file get the number of this one.
    await this.#pool?.terminate();
    await Promise.allSettled(this.#trees);
    await this.#sync?.stop();
    closeSync(this.#file);
  }

  #layOut(tree: LayoutTree, piece: Piece, isLast: boolean): Promise<LayoutResult> {
    const {at, marks} = piece.slot;
    const result = this.#run({
      ...{isTable: tree.kind === 'rowid', at, bytes: piece.bytes, marks, isLast},
      root: piece.isFirst && isLast ? tree.root : undefined,
    });
    // After a fault of the piece before, nothing waits for it.
    result.catch(() => {});
    return result;
  }

  async #run(job: LayoutJob): Promise<LayoutResult> {
    // After `close`, the descriptor may belong to another file.
    if (this.#fault !== undefined) throw this.#fault;
    this.#hereBytes -= job.bytes;
    if (this.#pool === undefined && this.#hereBytes >= 0) {
      this.#here ??= new LeafLayout(this.#threadData, 0);
      return this.#here.layOut(job);
    }
    this.#pool ??= new ThreadPool('layout-thread', import.meta.url, {
      threads: this.#threads,
      workerData: this.#threadData,
    });
    return this.#pool.run(job);
  }

  #place(writer: TreeWriter, piece: Piece, result: LayoutResult, isLast: boolean): void {
    if (this.#fault !== undefined) throw this.#fault;
    if ('notRecords' in result) throw new NotRecords(result.notRecords);
    if ('failed' in result) throw Object.assign(new Error(result.failed.message), result.failed);
    if (result.overflow !== undefined) this.#pointerMap?.setAll(result.overflow);
    writer.add(result, piece.slot, {isLast});
    this.#slots.release(piece.slot);
  }

  #fail(fault: Error): void {
    this.#fault ??= fault;
    this.#slots.fail(this.#fault);
  }

  readonly #innerPages: InnerPageWriter = {
    takePage: () => this.#numbers.take(1).at(0),
    writePage: (number, bytes) => {
      writeAt(this.#file, bytes, (number - 1) * this.#header.pageSize);
      if (this.#pointerMap !== undefined) mapInnerPage(this.#pointerMap, number, bytes, this.#header.usableBytes);
    },
  };

  #assertEmptyRoot({name, kind, root}: LayoutTree): void {
    assert(root > 1 && root <= this.#header.pages && !this.#roots.has(root), `${name} has a root of its own`);
    this.#roots.add(root);
    const page = Buffer.alloc(5);
    readSync(this.#file, page, 0, page.length, (root - 1) * this.#header.pageSize);
    assert(page[0] === leafType[kind] && page.readUInt16BE(3) === 0, `the root of ${name} is empty`);
  }
}
