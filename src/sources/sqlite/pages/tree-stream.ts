import {type ContentSum, noRows, sumOf} from '../../content-sum.ts';
import type {BaseSegment, BaseStream, Cuts} from '../../source.ts';
import type {ContentPlan} from '../schema/content-plan.ts';
import type {Extracted, KeyRun, PageExtractor, PageFiles, RowidRun} from './page-files.ts';
import type {RunsAhead} from './runs-ahead.ts';
import type {TableTree} from './trees.ts';

export type TreeOptions = {
  files: PageFiles;
  extractor: PageExtractor;
  tree: TableTree;
  /** Of the base before, by any bkp. */
  previous: Cuts | undefined;
  /** Hash the rows: only for a table's own tree. */
  content?: ContentPlan | undefined;
  /** Runs that are requested ahead of the consumer. */
  ahead: number;
  /** Called when all runs have been requested. */
  onAllRequested: () => void;
};

/** The records of one tree in chunks. */
export abstract class TreeStream<Run extends RowidRun | KeyRun = RowidRun | KeyRun> implements BaseStream {
  readonly tree: TableTree;
  protected readonly options: TreeOptions;
  /** Known when the iteration has ended. */
  records = 0;
  /** Likewise; undefined if it was not asked for. */
  content: ContentSum | undefined;
  /** Likewise. See `Extracted`. */
  hasOddKey = false;
  #runs: Promise<RunsAhead<Run>> | undefined;

  constructor(options: TreeOptions) {
    this.options = options;
    this.tree = options.tree;
    this.content = options.content && noRows;
  }

  abstract cuts(): Cuts;

  /** @throws PageFault | TakeRows */
  abstract [Symbol.asyncIterator](): AsyncGenerator<BaseSegment>;

  /** Walks the tree and requests its first runs: ahead of the iteration, which would do the same. */
  start(): void {
    // The iteration meets the error.
    this.runs().catch(() => {});
  }

  /** Releases what was requested and not consumed. */
  async abandon(): Promise<void> {
    const runs = await this.#runs?.catch(() => undefined);
    runs?.abandon();
  }

  protected abstract open(): Promise<RunsAhead<Run>>;

  protected runs(): Promise<RunsAhead<Run>> {
    this.#runs ??= this.open();
    return this.#runs;
  }

  /** To be called for each extraction. */
  protected take({content, hasOddKey}: Extracted): void {
    this.hasOddKey ||= hasOddKey;
    if (content !== undefined) this.content = sumOf(this.content!, content);
  }

  protected segment(chunk: {bytes: Uint8Array; records: number; release: () => void}, previous?: number): BaseSegment {
    const {bytes, records, release} = chunk;
    this.records += records;
    return {bytes, rows: records, release, ...(previous === undefined ? {} : {previous})};
  }
}
