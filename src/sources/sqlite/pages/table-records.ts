import {hashText} from '../../content-sum.ts';
import type {BaseSegment, BaseStream, Cuts, TableContent, Tree} from '../../source.ts';
import type {ContentPlan} from '../schema/content-plan.ts';
import {countError, readingError} from './damage.ts';
import {KeyStream} from './key-stream.ts';
import type {PageExtractor, PageFiles} from './page-files.ts';
import {RowidStream} from './rowid-stream.ts';
import type {TreeStream} from './tree-stream.ts';
import type {TableTree} from './trees.ts';

export type TableRecordsOptions = {
  path: string;
  table: string;
  files: PageFiles;
  extractor: PageExtractor;
  trees: readonly TableTree[];
  /** Cuts by the name of the tree. */
  previous: ReadonlyMap<string, Cuts> | undefined;
  /** Hash the rows. */
  content?: ContentPlan | undefined;
  /** Runs of a tree that are requested ahead of the consumer. */
  ahead: number;
  /** The rows of the table by SQLite's own count; may need a scan. */
  countRows: () => number;
  /** Called when a key has a value that its column would store as another type. @throws BkpError if it may not */
  onOddKey: () => void;
};

/** The records of a table's trees, which are read one after the other. */
export class TableRecords {
  readonly #options: TableRecordsOptions;
  readonly #streams: readonly TreeStream[];
  /** Not if a record is too large, and the rows are taken instead. */
  #isOwnRead = false;

  constructor(options: TableRecordsOptions) {
    this.#options = options;
    const {files, extractor, previous, ahead, trees, content} = options;
    this.#streams = trees.map((tree, at) => {
      // The threads begin with the next tree while the consumer takes what is left of this one.
      const onAllRequested = () => this.#streams[at + 1]?.start();
      const hashed = at === 0 ? content : undefined;
      const own = {files, extractor, tree, previous: previous?.get(tree.name), content: hashed, ahead, onAllRequested};
      return tree.kind === 'rowid' ? new RowidStream(own) : new KeyStream(own);
    });
  }

  /** Undefined until the first tree was read to its end, or if it was not asked for. */
  content(): TableContent | undefined {
    const [own] = this.#streams;
    if (!this.#isOwnRead) return undefined;
    return own?.content && {rows: own.records, hash: hashText(own.content)};
  }

  trees(): (Tree & {records: BaseStream})[] {
    return this.#streams.map((stream) => {
      const {name, kind, fingerprint} = stream.tree;
      const records: BaseStream = {
        cuts: () => stream.cuts(),
        [Symbol.asyncIterator]: () => this.#read(stream),
      };
      return {name, kind, ...(fingerprint === undefined ? {} : {fingerprint}), records};
    });
  }

  async *#read(stream: TreeStream): AsyncGenerator<BaseSegment> {
    let isDone = false;
    try {
      yield* stream;
      if (stream === this.#streams[0]) this.#endOwn(stream);
      if (stream === this.#streams.at(-1)) this.#compareCounts();
      isDone = true;
    } catch (error) {
      throw readingError(error, this.#place(stream));
    } finally {
      // The caller takes no tree of this table any more.
      if (!isDone) await Promise.all(this.#streams.map((one) => one.abandon()));
    }
  }

  #endOwn(own: TreeStream): void {
    if (own.hasOddKey) this.#options.onOddKey();
    this.#isOwnRead = true;
  }

  /** A leaf that was left out, or read twice, shows in the number of records. */
  #compareCounts(): void {
    const [own, ...indexes] = this.#streams;
    const complete = indexes.filter(({tree}) => tree.isComplete);
    for (const index of complete) {
      if (index.records !== own!.records) throw countError(this.#place(index), index.records, own!.records);
    }
    if (complete.length > 0) return;
    const rows = this.#options.countRows();
    if (own!.records !== rows) throw countError(this.#place(own!), own!.records, rows);
  }

  #place({tree}: TreeStream) {
    const {path, table} = this.#options;
    return {path, table, tree};
  }
}
