import {createHash} from 'node:crypto';
import {TakeRows} from '../../take-rows.ts';
import {varintAt, varintEnd} from './big-endian.ts';
import type {Extracted} from './page-files.ts';
import {HeldRecords, keyRecordEnd, releaseOf} from './records.ts';

/** A chunk, with what identifies its first record. */
export type KeyChunk = {bytes: Uint8Array; records: number; first: string; release: () => void};

const mebibyte = 1024 * 1024;
/** A chunk ends before the record that would bring it beyond this size; only the tree's last record may do that. */
const mostBytes = 3 * mebibyte;
/** With larger records a chunk of two, which is the least, could be larger than chunks may be. */
const mostRecordBytes = mebibyte;

/**
 * Makes chunks from the records of a key tree, cut where the records themselves say so: a record begins a chunk if it
 * qualifies (`KeyRun.mask`) and the record before does not. A change moves no cut but those beside it, and no key is
 * compared, so collations do not matter.
 *
 * Each chunk but the first one has two records at least, because a restore puts the first record of a chunk between
 * two leaves, and no leaf is empty. So the tree's last record begins no chunk.
 */
export class KeyChunks {
  readonly #hashed: 'tail' | 'head';
  /** The chunk that is not complete. */
  readonly #held = new HeldRecords();
  #isFirst = true;
  /** Whether the last record of the extraction before qualifies. */
  #lastQualifies = false;
  /** A chunk may begin with the last held record, if it is not the tree's last: where it begins. */
  #undecided: {at: number; records: number} | undefined;
  bytes = 0;
  records = 0;

  constructor(hashed: 'tail' | 'head') {
    this.#hashed = hashed;
  }

  /** @throws TakeRows */
  *add({bytes, records, marks, lastQualifies, lastAt, release}: Extracted): Generator<KeyChunk> {
    if (records === 0) {
      release();
      return;
    }
    if (this.#undecided !== undefined) yield this.#take(this.#undecided.at, this.#undecided.records);
    this.#undecided = undefined;
    let [start, chunkRecords, mark] = [0, 0, 0];
    // The part of the chunk that is held already.
    let before = this.#held.bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const end = keyRecordEnd(bytes, at);
      if (end - at > mostRecordBytes) throw new TakeRows('a key has more than 1 MiB');
      let isCut = before + end - start > mostBytes;
      if (marks?.[mark] === at) {
        mark++;
        // A mark at 0 is only known to qualify.
        if (at > 0 || !this.#lastQualifies) isCut = true;
      }
      const count = this.#held.records + chunkRecords;
      if (isCut && count >= (this.#isFirst ? 1 : 2)) {
        if (at === lastAt) this.#undecided = {at: before + at - start, records: count};
        else {
          yield this.#chunk(bytes.subarray(start, at), chunkRecords);
          [start, chunkRecords, before] = [at, 0, 0];
        }
      }
      chunkRecords++;
      at = end;
    }
    this.#held.add(bytes.subarray(start), chunkRecords);
    this.#lastQualifies = lastQualifies ?? false;
    release();
  }

  /** The last chunk. */
  *end(): Generator<KeyChunk> {
    const {bytes, records} = this.#held;
    if (records > 0) yield this.#take(bytes.length, records);
  }

  /** What is held, and these records. */
  #chunk(bytes: Uint8Array, records: number): KeyChunk {
    this.#held.add(bytes, records);
    return this.#take(this.#held.bytes.length, this.#held.records);
  }

  #take(length: number, records: number): KeyChunk {
    const bytes = this.#held.take(length, records);
    this.#isFirst = false;
    this.bytes += length;
    this.records += records;
    return {bytes, records, first: identityOf(bytes, this.#hashed), release: releaseOf(bytes)};
  }
}

/** 8 bytes of a hash of the first record: of its payload, of which 64 bytes hold the key of a table without rowid. */
function identityOf(bytes: Uint8Array, hashed: 'tail' | 'head'): string {
  const payload = varintAt(bytes, 0);
  const length = hashed === 'head' ? Math.min(64, payload) : payload;
  const first = bytes.subarray(varintEnd, varintEnd + length);
  return createHash('sha256').update(first).digest('hex').slice(0, 16);
}
