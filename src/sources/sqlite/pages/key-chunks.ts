import {createHash} from 'node:crypto';
import {TakeRows} from '../../take-rows.ts';
import {varintAt, varintEnd} from './big-endian.ts';
import type {Extracted} from './page-files.ts';
import {HeldRecords, keyRecordEnd} from './records.ts';

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
  *add(extracted: Extracted): Generator<KeyChunk> {
    const {bytes, records, lastQualifies, lastAt, release} = extracted;
    if (records === 0) {
      release();
      return;
    }
    if (this.#undecided !== undefined) yield this.#take(this.#undecided.at, this.#undecided.records);
    this.#undecided = undefined;
    // The chunk's first byte and record here; `before`: the part of the chunk that is held already.
    let [start, first, before] = [0, 0, this.#held.bytes.length];
    const mayBeTooLarge = before + bytes.length > mostBytes || bytes.length > mostRecordBytes;
    for (const {at, end, record, isMark} of mayBeTooLarge ? everyRecord(extracted) : markedRecords(extracted)) {
      // A mark at 0 is only known to qualify.
      const mayBegin = isMark && (at > 0 || !this.#lastQualifies);
      if (!mayBegin && before + end - start <= mostBytes) continue;
      const count = this.#held.records + record - first;
      if (count < (this.#isFirst ? 1 : 2)) continue;
      if (at === lastAt) this.#undecided = {at: before + at - start, records: count};
      else {
        yield this.#chunk(bytes.subarray(start, at), record - first);
        [start, first, before] = [at, record, 0];
      }
    }
    this.#held.add(bytes.subarray(start), records - first);
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
    const {bytes, release} = this.#held.take(length, records);
    this.#isFirst = false;
    this.bytes += length;
    this.records += records;
    return {bytes, records, first: identityOf(bytes, this.#hashed), release};
  }
}

/** A record before which a chunk may end: its bytes, and how many records are before it. */
type Candidate = {at: number; end: number; record: number; isMark: boolean};

/** Few of the records. No record makes a chunk too large, so it does not matter where these ones end. */
function* markedRecords({marks = new Uint32Array()}: Extracted): Generator<Candidate> {
  for (let mark = 0; mark < marks.length; mark += 2) {
    yield {at: marks[mark]!, end: marks[mark]!, record: marks[mark + 1]!, isMark: true};
  }
}

/** @throws TakeRows */
function* everyRecord({bytes, marks = new Uint32Array()}: Extracted): Generator<Candidate> {
  let mark = 0;
  for (let [at, record] = [0, 0]; at < bytes.length; record++) {
    const end = keyRecordEnd(bytes, at);
    if (end - at > mostRecordBytes) throw new TakeRows('a key has more than 1 MiB');
    const isMark = marks[mark] === at;
    if (isMark) mark += 2;
    yield {at, end, record, isMark};
    at = end;
  }
}

/** 8 bytes of a hash of the first record: of its payload, of which 64 bytes hold the key of a table without rowid. */
function identityOf(bytes: Uint8Array, hashed: 'tail' | 'head'): string {
  const payload = varintAt(bytes, 0);
  const length = hashed === 'head' ? Math.min(64, payload) : payload;
  const first = bytes.subarray(varintEnd, varintEnd + length);
  return createHash('sha256').update(first).digest('hex').slice(0, 16);
}
