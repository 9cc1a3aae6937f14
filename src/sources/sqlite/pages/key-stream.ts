import type {BaseSegment, Cuts} from '../../source.ts';
import {type FirstKey, firstKeyOf, type KeyCuts, keyCuts, readKeyCuts} from './cuts.ts';
import {KeyChunks} from './key-chunks.ts';
import {KeyOrder} from './key-order.ts';
import type {KeyRun} from './page-files.ts';
import {payloadsIn, recordValues} from './record-values.ts';
import {keyRuns} from './runs.ts';
import {RunsAhead} from './runs-ahead.ts';
import {sampleLeaves, type TreeSample} from './tree-sample.ts';
import {type TreeOptions, TreeStream} from './tree-stream.ts';
import {type KeyLeaves, walkTree} from './walk.ts';

/** The records of a key tree, in chunks that end where the records say so. */
export class KeyStream extends TreeStream<KeyRun> {
  readonly #hashed: 'tail' | 'head';
  readonly #before: KeyCuts | undefined;
  readonly #chunks: KeyChunks;
  readonly #firsts: string[] = [];
  readonly #keys: (FirstKey | null)[] = [];
  #bits = 0;

  constructor(options: TreeOptions) {
    super(options);
    // An index ends with the rowid; a row of a table without rowid begins with its key.
    this.#hashed = options.tree.isIndex ? 'tail' : 'head';
    this.#before = readKeyCuts(options.previous, this.#hashed);
    this.#chunks = new KeyChunks(this.#hashed);
  }

  cuts(): Cuts {
    const {records, bytes} = this.#chunks;
    return keyCuts({hashed: this.#hashed, bits: this.#bits, records, bytes, firsts: this.#firsts, keys: this.#keys});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const before = this.#before?.firsts ?? [];
    const previousOf = new Map(before.map((first, segment) => [first, segment]));
    const {key} = this.options.tree;
    const order = key && new KeyOrder(key);
    for await (const chunk of this.#all()) {
      order?.check(chunk.bytes);
      // The first chunk begins with whatever record is the first one.
      const previous = this.#firsts.length === 0 && before.length > 0 ? 0 : previousOf.get(chunk.first);
      this.#firsts.push(chunk.first);
      this.#keys.push(this.#keyOf(chunk.bytes));
      yield this.segment(chunk, previous);
    }
  }

  /** An index is ordered by all of its values. */
  #keyOf(chunk: Uint8Array): FirstKey | null {
    const {isIndex, key} = this.options.tree;
    if (!isIndex && key === undefined) return null;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const [first] = payloadsIn(bytes);
    return first === undefined ? null : firstKeyOf(recordValues(bytes, first, key?.length ?? Number.MAX_SAFE_INTEGER));
  }

  async *#all() {
    for await (const {extracted} of await this.runs()) {
      this.take(extracted);
      yield* this.#chunks.add(extracted);
    }
    yield* this.#chunks.end();
  }

  protected async open(): Promise<RunsAhead<KeyRun>> {
    const {files, extractor, tree, content} = this.options;
    const leaves = (await walkTree(files, {root: tree.root, kind: 'key'})) as KeyLeaves;
    this.#bits = bitsOf(this.#before, () => sampleLeaves(files, leaves));
    const {pageBytes} = files;
    const runs = keyRuns(leaves, {pageBytes, hashed: this.#hashed, bits: this.#bits, content});
    return new RunsAhead(extractor, runs, this.options);
  }
}

const mebibyte = 1024 * 1024;
/** With other bits all cuts move. They stay until chunks have become this many times too large or too small. */
const tolerance = 8;

/** b: about every 2^b-th record begins a chunk, so that chunks have a mebibyte on average. */
function bitsOf(before: KeyCuts | undefined, sample: () => TreeSample): number {
  // Pages decide only the first time: later it is the same number for the same records.
  const known = before !== undefined && before.records > 0;
  const {records, bytes} = known ? before : sample();
  const recordBytes = records === 0 ? 64 : bytes / records;
  if (known) {
    const chunkBytes = 2 ** before.bits * recordBytes;
    if (chunkBytes >= mebibyte / tolerance && chunkBytes <= mebibyte * tolerance) return before.bits;
  }
  return Math.min(20, Math.max(1, Math.round(Math.log2(mebibyte / recordBytes))));
}
