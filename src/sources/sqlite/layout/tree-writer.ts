import {InnerLevel, type InnerLevelState, type InnerPageWriter} from './inner-levels.ts';
import type {Child, PageFormat} from './inner-page.ts';
import type {LaidOut} from './layout-job.ts';
import {type LayoutMemory, markBytes, type Slot} from './layout-memory.ts';
import {NotRecords} from './not-records.ts';

/** A tree to be written: how many records it has, and where SQLite put its empty root. */
export type LayoutTree = {
  /** Of the table or of the index. */
  name: string;
  kind: 'rowid' | 'key';
  /** Its root page. */
  root: number;
  /** Absent for a part of a tree, whose number of records is not known. */
  records?: number | undefined;
};

/** A tree of which some pieces are laid out, and nothing after them. */
export type TreeWriterState = {records: number; lastRowid?: string; inner: InnerLevelState};

/** Builds the inner pages of a tree over the leaves of its pieces, which come in order. */
export class TreeWriter {
  readonly #tree: LayoutTree;
  readonly #memory: LayoutMemory;
  readonly #inner: InnerLevel;
  #records = 0;
  #lastRowid: bigint | undefined;

  /** @param kept continues what another process began */
  constructor(
    tree: LayoutTree,
    memory: LayoutMemory,
    format: PageFormat,
    {writer, kept}: {writer: InnerPageWriter; kept?: TreeWriterState | undefined},
  ) {
    this.#tree = tree;
    this.#memory = memory;
    this.#inner = new InnerLevel(format, {isTable: tree.kind === 'rowid'}, writer, kept?.inner);
    if (kept === undefined) return;
    this.#records = kept.records;
    if (kept.lastRowid !== undefined) this.#lastRowid = BigInt(kept.lastRowid);
  }

  state(): TreeWriterState {
    const lastRowid = this.#lastRowid;
    return {
      ...{records: this.#records, inner: this.#inner.state()},
      ...(lastRowid === undefined ? {} : {lastRowid: String(lastRowid)}),
    };
  }

  /** @throws NotRecords */
  add(piece: LaidOut, slot: Slot, {isLast}: {isLast: boolean}): void {
    this.#checkOrder(piece);
    this.#records += piece.records;
    if (piece.isRoot) return;
    for (let leaf = 0; leaf < piece.leaves; leaf++) {
      const child = this.#child(slot.marks + leaf * markBytes);
      if (isLast && leaf === piece.leaves - 1) this.#inner.end(child.page, this.#tree.root);
      else this.#inner.add(child);
    }
  }

  /** Checks that all records came. @throws NotRecords */
  end(): void {
    const {records} = this.#tree;
    if (records !== undefined && this.#records !== records)
      throw new NotRecords(`it has ${this.#records} records instead of ${records}`);
  }

  #checkOrder({firstRowid, lastRowid}: LaidOut): void {
    if (this.#tree.kind !== 'rowid') return;
    if (this.#lastRowid !== undefined && firstRowid <= this.#lastRowid) throw new NotRecords('rowids are not in order');
    this.#lastRowid = lastRowid;
  }

  /** @param mark see `layOut` in assembly/pages/lay-out.ts */
  #child(mark: number): Child {
    const {bytes, words} = this.#memory;
    const word = mark / 4;
    const at = words[word + 1]!;
    const overflow = words[word + 3]!;
    const key = bytes.subarray(at, at + words[word + 2]!);
    return {page: words[word]!, key: overflow === 0 ? key : withPointer(key, overflow)};
  }
}

function withPointer(key: Uint8Array, page: number): Uint8Array {
  const cell = Buffer.alloc(key.length + 4);
  cell.set(key);
  cell.writeUInt32BE(page, key.length);
  return cell;
}
