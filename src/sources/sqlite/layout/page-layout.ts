import {closeSync, fstatSync, openSync, readSync} from 'node:fs';
import {assert} from '../../../errors/index.ts';
import {ThreadPool} from '../../../lib/thread-pool.ts';
import {leafType} from '../pages/page-types.ts';
import {type DatabaseHeader, readHeader, writePageCount} from './database-header.ts';
import {EarlySync, syncPages} from './early-sync.ts';
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
import {type LayoutTree, TreeWriter, type TreeWriterState} from './tree-writer.ts';
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
  /** Another process can continue from here. Absent: none is to. */
  checkpoints?: Checkpoints | undefined;
};

/** When and how a layout notes how far it is. */
export type Checkpoints = {
  /** Bytes of chunks between two of them. */
  everyBytes: number;
  /** Called when all pages of the state are on the disk. The layout fails if this does. */
  save: (state: LayoutState) => Promise<void>;
};

/**
 * What is complete in a file: its first `pages` pages, without the header's counts and the roots of trees that are not
 * done. Everything after them may be anything.
 */
export type LayoutState = {
  pages: number;
  /** Names of the trees that are complete. */
  done: readonly string[];
  /** The tree that has been begun. */
  tree?: TreeState;
};

/** `chunks`, `bytes`: how many of the tree's chunks are laid out, and how long they are. */
export type TreeState = TreeWriterState & {name: string; chunks: number; bytes: number};

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
  readonly #checkpoints: Checkpoints | undefined;
  /** Bytes of chunks since the last checkpoint. */
  #uncheckedBytes = 0;
  readonly #done: string[] = [];
  #saving: Promise<void> | undefined;
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
    {threads, hereUpToBytes = 0, syncEarly = true, checkpoints}: LayoutOptions,
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
    // With pointer maps, pages that are complete are written again.
    this.#checkpoints = hasMaps ? undefined : checkpoints;
    this.#sync = syncEarly ? new EarlySync(file, (error) => this.#fail(error)) : undefined;
  }

  /**
   * Resolves when all chunks have been taken over, so that the next tree can follow while threads work.
   * @param chunks the tree's records in order; a chunk's memory is read only until the next one is asked for
   * @param kept a checkpoint of this tree; `chunks` are those after it
   * @throws NotRecords or an error of the file system, maybe about an earlier tree
   */
  async addTree(tree: LayoutTree, chunks: AsyncIterable<Uint8Array>, kept?: TreeState): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#isCheckpointDue()) await this.#checkpoint();
    const writer = new TreeWriter(tree, this.#memory, this.#header, {writer: this.#innerPages, kept});
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
      for await (const {piece, isLast, ...taken} of this.#pieces(tree, chunks, kept)) {
        const result = this.#layOut(tree, piece, isLast);
        then(async () => this.#place(writer, piece, await result, isLast));
        this.#uncheckedBytes += piece.bytes;
        if (isLast || !this.#isCheckpointDue()) continue;
        await placed;
        await this.#checkpoint(() => ({name: tree.name, ...taken, ...writer.state()}));
      }
      if (this.#fault !== undefined) throw this.#fault;
      then(() => {
        writer.end();
        this.#done.push(tree.name);
      });
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
    kept: TreeState | undefined,
  ): AsyncGenerator<{piece: Piece; isLast: boolean; chunks: number; bytes: number}> {
    let pending: Piece | undefined;
    // Up to the end of the pending piece.
    let taken = {chunks: kept?.chunks ?? 0, bytes: kept?.bytes ?? 0};
    for await (const chunk of chunks) {
      if (chunk.length > 0) {
        if (pending === undefined || kind === 'rowid' || !pending.isOneRecord) {
          const isFirst = pending === undefined && kept === undefined;
          const next: Piece = new Piece(this.#memory, await this.#slots.take(), {isFirst});
          if (pending !== undefined) yield {piece: pending, isLast: false, ...taken};
          pending = next;
        }
        pending.append(chunk);
      }
      taken = {chunks: taken.chunks + 1, bytes: taken.bytes + chunk.length};
    }
    if (pending !== undefined) yield {piece: pending, isLast: true, ...taken};
  }

  #isCheckpointDue(): boolean {
    const {everyBytes} = this.#checkpoints ?? {};
    return everyBytes !== undefined && this.#uncheckedBytes >= everyBytes && this.#saving === undefined;
  }

  /**
   * Notes how far the layout is. Nothing is being laid out meanwhile, or the state would have pages of later pieces;
   * the disk works while the layout continues.
   */
  async #checkpoint(tree?: () => TreeState): Promise<void> {
    await Promise.all(this.#trees);
    const state: LayoutState = {
      pages: this.#numbers.last,
      done: [...this.#done],
      ...(tree === undefined ? {} : {tree: tree()}),
    };
    this.#uncheckedBytes = 0;
    this.#saving = this.#save(state)
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#saving = undefined;
      });
  }

  async #save(state: LayoutState): Promise<void> {
    await syncPages(this.#file);
    await this.#checkpoints!.save(state);
  }

  /**
   * Waits for all trees, and writes what is left: inner pages, pointer maps, the header.
   * @returns the pages that the file has now
   * @throws NotRecords or an error of the file system
   */
  async finish(): Promise<{pages: number}> {
    assert(this.#unfinished === 0, 'all trees have been added');
    await Promise.allSettled(this.#trees);
    await this.#saving;
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
    await this.#pool?.end();
    await Promise.allSettled(this.#trees);
    await this.#saving;
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
