import {closeSync, fstatSync, openSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import type {TableContent, TableName} from '../../source.ts';
import {TakeRows} from '../../take-rows.ts';
import {ContentScan} from '../pages/content-scan.ts';
import {readingError} from '../pages/damage.ts';
import type {PageFiles} from '../pages/page-files.ts';
import {PageReader} from '../pages/page-reader.ts';
import {type TableTree, treesOf} from '../pages/trees.ts';
import {noPageVisited} from '../pages/visited-pages.ts';
import {type ContentPlan, contentPlan} from '../schema/content-plan.ts';
import type {Table} from '../schema/table.ts';
import type {StagingFile} from './staging-file.ts';

const mostThreads = 4;

type Planned = {name: TableName; tree: TableTree; plan: ContentPlan; bytes: number};

/** The content of restored tables, read from the pages of their file, whichever way the rows came there. */
export class RestoredContent {
  readonly #file: StagingFile;
  readonly #planned: readonly Planned[];
  readonly #pageBytes: number;
  readonly #signal: AbortSignal | undefined;
  #scan: ContentScan | undefined;
  #reading: Promise<ReadonlyMap<TableName, TableContent>> | undefined;

  /** @param tables with their approximate sizes */
  constructor(
    file: StagingFile,
    tables: readonly {name: TableName; table: Table; bytes: number}[],
    signal: AbortSignal | undefined,
  ) {
    this.#file = file;
    this.#signal = signal;
    this.#pageBytes = file.connection.number('PRAGMA main.page_size');
    this.#planned = tables.flatMap(({name, table, bytes}) => {
      const plan = contentPlan(file.connection, table);
      const [tree] = treesOf(file.connection, table, {omitIndexes: true});
      return plan === undefined || tree === undefined ? [] : [{name, tree, plan, bytes}];
    });
  }

  /** Begins to read, with the file's connection closed: other connections may only read meanwhile. */
  begin(): void {
    if (this.hasBegun) return;
    this.#reading = this.#planned.length === 0 ? Promise.resolve(new Map()) : this.#read();
    // Whoever asks for the result gets the error.
    this.#reading.catch(() => {});
  }

  get hasBegun(): boolean {
    return this.#reading !== undefined;
  }

  /**
   * @returns without tables that have a record above 8 MiB
   * @throws BkpError `SOURCE_DAMAGED`
   */
  result(): Promise<ReadonlyMap<TableName, TableContent>> {
    this.begin();
    return this.#reading!;
  }

  /** Resolves when nothing is read any more, whether it was read or not. */
  async ended(): Promise<void> {
    await this.#reading?.catch(() => {});
  }

  /** As {@link ended}, soon. */
  async stop(): Promise<void> {
    await this.#scan?.close();
    await this.ended();
  }

  async #read(): Promise<ReadonlyMap<TableName, TableContent>> {
    const {path} = this.#file;
    // Closing the descriptor would drop the locks of an open connection.
    this.#file.close();
    const found = new Map<TableName, TableContent>();
    const descriptor = openSync(path, 'r');
    const threads = Math.min(mostThreads, availableParallelism());
    const scan = new ContentScan(filesOf(descriptor, this.#pageBytes), threads);
    this.#scan = scan;
    try {
      for (const {name, tree, plan, bytes} of this.#planned) {
        this.#signal?.throwIfAborted();
        try {
          found.set(name, await scan.of(tree, plan, bytes));
        } catch (error) {
          if (!(error instanceof TakeRows)) throw readingError(error, {path, table: name, tree});
        }
      }
      return found;
    } finally {
      await scan.close();
      closeSync(descriptor);
    }
  }
}

/** https://www.sqlite.org/fileformat2.html#the_database_header: byte 20 has the bytes reserved in each page. */
function filesOf(file: number, pageBytes: number): PageFiles {
  const pages = Math.floor(fstatSync(file).size / pageBytes);
  const files = {file, pageBytes, usableBytes: pageBytes, pages, visited: noPageVisited(pages)};
  const first = Buffer.alloc(pageBytes);
  new PageReader(files).read(1, first);
  return {...files, usableBytes: pageBytes - first[20]!};
}
