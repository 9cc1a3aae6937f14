import {availableParallelism} from 'node:os';
import type {BaseOptions, TableBase, TableContent} from '../../source.ts';
import {TakeRows} from '../../take-rows.ts';
import {translated} from '../engine/errors.ts';
import {quoteName} from '../engine/quote.ts';
import type {Reading} from '../image/image.ts';
import {ContentScan} from '../pages/content-scan.ts';
import {readingError} from '../pages/damage.ts';
import {NearExtractor} from '../pages/near-extractor.ts';
import {PageFault} from '../pages/page-fault.ts';
import type {PageExtractor, PageFiles} from '../pages/page-files.ts';
import {PageReader} from '../pages/page-reader.ts';
import {PageThreads} from '../pages/page-threads.ts';
import {TableRecords} from '../pages/table-records.ts';
import {sampleTree} from '../pages/tree-sample.ts';
import {recordsObstacle, type TableTree, treesOf} from '../pages/trees.ts';
import {noPageVisited} from '../pages/visited-pages.ts';
import {contentPlan} from '../schema/content-plan.ts';
import type {Table} from '../schema/table.ts';

/**
 * Reading takes a fifth of the time of compressing what was read, so half of the cores are more than enough. Beyond
 * four, memory for records on their way costs more than it brings.
 */
const mostThreads = 4;
/** The pages of a smaller database are read before a thread has started. */
const leastBytesForThreads = 4 * 1024 * 1024;
/** A thread works on one run while the next one waits, and one is on its way to the writer. */
const aheadPerThread = 3;

type Records = TableBase & {form: 'records'};

/** The records of a snapshot's tables, from the pages of its files. */
export class PageRecords {
  readonly #reading: Reading;
  readonly #path: string;
  readonly #omitIndexes: boolean;
  readonly #threads = Math.min(mostThreads, Math.max(1, availableParallelism() >> 1));
  #opened: Promise<Opened> | undefined;
  #extractor: PageExtractor | undefined;
  /** A page is visited once, so a table is taken once. */
  readonly #taken = new Map<string, TableRecords>();
  #scan: ContentScan | undefined;

  constructor(reading: Reading, {path, omitIndexes}: {path: string; omitIndexes: boolean}) {
    this.#reading = reading;
    this.#path = path;
    this.#omitIndexes = omitIndexes;
  }

  /**
   * @param options.requireKeys a query of the table; called if its records have such keys, or cannot show it
   * @returns why the table's records cannot be taken, if so: the end of a sentence
   * @throws BkpError `SOURCE_DAMAGED`, and what `requireKeys` throws
   */
  async base(
    table: Table,
    {
      previous,
      withoutIndexes = false,
      requireKeys,
    }: Pick<BaseOptions, 'previous' | 'withoutIndexes'> & {requireKeys: () => void},
  ): Promise<Records | {reason: string}> {
    const all = await this.#trees(table);
    if ('reason' in all) return all;
    const trees = withoutIndexes ? all.slice(0, 1) : all;
    if (this.#taken.has(table.name)) return {reason: 'its records were taken from this snapshot already'};
    const {files} = await this.#files();
    this.#extractor ??= this.#openExtractor(files);
    const content = contentPlan(this.#reading.connection, table);
    if (content === undefined) requireKeys();
    const records = new TableRecords({
      path: this.#path,
      table: table.name,
      files,
      extractor: this.#extractor,
      trees,
      previous,
      ahead: this.#threads * aheadPerThread,
      content,
      countRows: () => this.#reading.connection.number(`SELECT count(*) FROM main.${quoteName(table.name)}`),
      onOddKey: requireKeys,
    });
    this.#taken.set(table.name, records);
    return {form: 'records', trees: records.trees()};
  }

  /** See `Snapshot.content`. */
  async content(table: Table, mostBytes: number): Promise<{content: TableContent; readBytes: number} | undefined> {
    const taken = this.#taken.get(table.name)?.content();
    if (taken !== undefined) return {content: taken, readBytes: 0};
    const {image, connection} = this.#reading;
    const plan = image && contentPlan(connection, table);
    const own = treesOf(connection, table, {omitIndexes: true})[0];
    if (plan === undefined || own === undefined) return undefined;
    const {files} = await this.#files();
    this.#scan ??= new ContentScan(files, this.#threads);
    try {
      const readBytes = sampleTree(files, own).bytes;
      if (readBytes > mostBytes) return undefined;
      return {content: await this.#scan.of(own, plan, readBytes), readBytes};
    } catch (error) {
      if (error instanceof TakeRows) return undefined;
      throw readingError(error, {path: this.#path, table: table.name, tree: own});
    }
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE` when there is not enough memory */
  #openExtractor(files: PageFiles): PageExtractor {
    const isSmall = files.pages * files.pageBytes < leastBytesForThreads;
    try {
      return isSmall ? new NearExtractor(files) : new PageThreads(files, {threads: this.#threads});
    } catch (error) {
      throw translated(error, this.#path);
    }
  }

  /** About the bytes of the table's records, from a few pages; undefined if its rows are to be taken. */
  async estimatedBytes(table: Table): Promise<number | undefined> {
    const trees = await this.#trees(table);
    if ('reason' in trees) return undefined;
    const {files} = await this.#files();
    try {
      return trees.reduce((sum, tree) => sum + sampleTree(files, tree).bytes, 0);
    } catch (error) {
      // It is reported when the tree is read.
      if (error instanceof PageFault) return 0;
      throw error;
    }
  }

  /** The files may be closed after this. */
  async close(): Promise<void> {
    await this.#extractor?.close();
    await this.#scan?.close();
  }

  async #trees(table: Table): Promise<readonly TableTree[] | {reason: string}> {
    const {image, obstacle, connection} = this.#reading;
    if (image === undefined) return {reason: `its pages cannot be read (${messageOf(obstacle)})`};
    const {schemaFormat} = await this.#files();
    const reason = recordsObstacle(table, schemaFormat);
    if (reason !== undefined) return {reason};
    const trees = treesOf(connection, table, {omitIndexes: this.#omitIndexes});
    // An increment would not find rows that are in the wrong place.
    if (!table.withoutRowid || trees[0]?.key !== undefined) return trees;
    return {reason: 'bkp cannot check the order of a key with this collation in this encoding'};
  }

  #files(): Promise<Opened> {
    this.#opened ??= open(this.#reading);
    return this.#opened;
  }
}

type Opened = {files: PageFiles; schemaFormat: number};

/** Reads the header, https://www.sqlite.org/fileformat2.html#the_database_header. */
async function open({image}: Reading): Promise<Opened> {
  const files = {...(await image!.files()), usableBytes: 0, visited: noPageVisited(image!.pages)};
  const first = Buffer.alloc(files.pageBytes);
  new PageReader(files).read(1, first);
  return {files: {...files, usableBytes: files.pageBytes - first[20]!}, schemaFormat: first.readUInt32BE(44)};
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
