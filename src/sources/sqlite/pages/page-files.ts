import type {ContentSum} from '../../content-sum.ts';
import type {ContentPlan} from '../schema/content-plan.ts';

/**
 * The files of a database at one point in time, and what is read from them. All of it can be sent to a thread: the
 * descriptors are numbers. Only their owner closes them, after the threads have ended and the transaction too, because
 * closing a file drops every lock that this process has on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
export type PageFiles = {
  /** Descriptor of the database file. */
  file: number;
  /** Descriptor of the write-ahead log; needed if `frames` names any frame. */
  wal?: number | undefined;
  /** Uint32 by page number, `pages + 1` of them: the page's frame in the log, from 1; 0: the page is in the file. */
  frames?: SharedArrayBuffer | undefined;
  pageBytes: number;
  /** `pageBytes` without the bytes that are reserved at the end of each page. */
  usableBytes: number;
  pages: number;
  /** See `visited-pages.ts`. */
  visited: SharedArrayBuffer;
};

/** A record of a run: a cell of a leaf; the number of its cells stands for the separator after the leaf. */
export type Position = {leaf: number; cell: number};

/** Neighbouring leaves of a rowid tree, of which the records with rowids in (after, upTo] are taken. */
export type RowidRun = {
  kind: 'rowid';
  leaves: Uint32Array;
  /**
   * One more than the leaves: the rowids of leaf i are > bounds[i] and <= bounds[i + 1], else the tree is damaged.
   * -2^63 before the tree's first leaf, where it does not exclude itself; 2^63 - 1 after its last one.
   */
  bounds: BigInt64Array;
  /** Undefined: no lower limit. */
  after: bigint | undefined;
  upTo: bigint;
  /** Hash the rows. */
  content?: ContentPlan | undefined;
  from?: Position | undefined;
};

/** Neighbouring leaves of a key tree with the record after each of them, which is in an inner page. */
export type KeyRun = {
  kind: 'key';
  leaves: Uint32Array;
  /** The inner page of the record after leaf i; 0: none, because leaf i is the tree's last one. */
  separatorPages: Uint32Array;
  /** Its cell in that page. */
  separatorCells: Uint16Array;
  /**
   * The bytes of a payload that decide whether a chunk may begin with it. `tail`: the last 4, which hold most of the
   * rowid in an index. `head`: the first 64, which hold the key of a table without rowid.
   */
  hashed: 'tail' | 'head';
  /** 2^b - 1: a record qualifies if the low b bits of its hash are 0. */
  mask: number;
  /** Hash the rows: only for a table without rowid. */
  content?: ContentPlan | undefined;
  from?: Position | undefined;
};

/** Records of a run in tree order, in the form of docs/format.md. */
export type Extracted = {
  /**
   * Shared memory, valid until `release`. At most 4 MiB, or one larger record: the bytes end before the record that
   * would bring them beyond 4 MiB.
   */
  bytes: Uint8Array;
  records: number;
  /** Set when the limit was reached: the run continues with this record. */
  next?: Position | undefined;
  /**
   * Key runs: where a chunk may begin, ascending, in pairs: the offset of a record, and how many records are before it.
   * They are the records that qualify while the record before, in these bytes, does not; so 0 is in it if the first one
   * qualifies.
   */
  marks?: Uint32Array | undefined;
  /** Key runs: whether the last record qualifies; undefined if there is none. */
  lastQualifies?: boolean | undefined;
  /** Key runs: the offset of the last record; undefined if there is none. */
  lastAt?: number | undefined;
  /** Of the records here; undefined if the run has no plan of it. */
  content?: ContentSum | undefined;
  /** Whether a key has a value that its column would store as another type; false if the run has no plan. */
  hasOddKey: boolean;
  /** To be called once, when the bytes are no longer needed: their memory is used again. */
  release(): void;
};

/** What `page-threads.ts` implements. */
export interface PageExtractor {
  /**
   * Runs are begun in the order of the calls. Of those that were begun, only so many may be unreleased at a time, and
   * later ones wait. A run with `from` never waits, so a caller may ask for the rest of a run before it releases
   * anything.
   * @throws PageFault when a page is damaged
   * @throws TakeRows when a record is larger than 8 MiB
   */
  extract(run: RowidRun | KeyRun): Promise<Extracted>;
  /** Ends the threads; the files may be closed after it. Calls that were not answered are rejected. */
  close(): Promise<void>;
}
