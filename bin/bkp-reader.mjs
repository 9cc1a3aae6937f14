#!/usr/bin/env node
// Reads vaults of bkp without bkp: one file, no packages, Node.js 24.6 or newer. It was written from docs/format.md and
// shares no code with bkp, so that a fault of one is found by the other. It only reads the vault, and never replaces a
// file. Slower than bkp; for the day on which nothing else is left.

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {basename, dirname, join, resolve} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {parseArgs} from 'node:util';
import {zstdDecompressSync} from 'node:zlib';

const usage = `Usage: node bkp-reader.mjs STORE                          lists the backups in a folder with a vault
       node bkp-reader.mjs STORE NAME[/BACKUP] [--to PLACE]   restores one, the newest unless it is named

  NAME is a collection or a database instance. PLACE must not exist yet.
  A collection of SQLite becomes a database file, one of PostgreSQL a script for psql, a database a folder.

  --csv        tables of SQLite as CSV files in a folder instead
  --table T    only this table of a collection; may be repeated
  --optional   also those files of a database that bkp restores on request only
  --help`;

/** A reason why something cannot be read or written, for the user. */
class Refusal extends Error {}

const refuse = (text) => {
  throw new Refusal(text);
};

// ---------------------------------------------------------------------------------------------------------------------
// BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs), unkeyed, 32 bytes

const iv = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const [chunkStart, chunkEnd, parent, root] = [1, 2, 4, 8];

/** The words of the message in each of the seven rounds: every round permutes those of the round before. */
const schedule = (() => {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
  const rounds = [[...permutation.keys()]];
  while (rounds.length < 7) rounds.push(permutation.map((from) => rounds.at(-1)[from]));
  return Uint8Array.from(rounds.flat());
})();

const state = new Uint32Array(16);
const message = new Uint32Array(16);

function mix(a, b, c, d, x, y) {
  const v = state;
  v[a] += v[b] + x;
  let word = v[d] ^ v[a];
  v[d] = (word >>> 16) | (word << 16);
  v[c] += v[d];
  word = v[b] ^ v[c];
  v[b] = (word >>> 12) | (word << 20);
  v[a] += v[b] + y;
  word = v[d] ^ v[a];
  v[d] = (word >>> 8) | (word << 24);
  v[c] += v[d];
  word = v[b] ^ v[c];
  v[b] = (word >>> 7) | (word << 25);
}

/** Compresses `message` into the chaining value. */
function compress(chaining, counter, length, flags) {
  state.set(chaining);
  state.set(iv.subarray(0, 4), 8);
  state[12] = counter;
  state[13] = Math.floor(counter / 2 ** 32);
  state[14] = length;
  state[15] = flags;
  for (let at = 0; at < 112; at += 16) {
    const word = (i) => message[schedule[at + i]];
    mix(0, 4, 8, 12, word(0), word(1));
    mix(1, 5, 9, 13, word(2), word(3));
    mix(2, 6, 10, 14, word(4), word(5));
    mix(3, 7, 11, 15, word(6), word(7));
    mix(0, 5, 10, 15, word(8), word(9));
    mix(1, 6, 11, 12, word(10), word(11));
    mix(2, 7, 8, 13, word(12), word(13));
    mix(3, 4, 9, 14, word(14), word(15));
  }
  for (let i = 0; i < 8; i++) chaining[i] = state[i] ^ state[i + 8];
}

function blake3(bytes) {
  const block = Buffer.alloc(64);
  const load = (start, end) => {
    block.fill(0);
    block.set(bytes.subarray(start, end));
    for (let i = 0; i < 16; i++) message[i] = block.readUInt32LE(i * 4);
  };
  const hashChunk = (index, lastFlags) => {
    const chaining = iv.slice();
    const [first, end] = [index * 1024, Math.min(bytes.length, index * 1024 + 1024)];
    for (let start = first; start === first || start < end; start += 64) {
      const stop = Math.min(start + 64, end);
      load(start, stop);
      const flags = (start === first ? chunkStart : 0) | (stop === end ? chunkEnd | lastFlags : 0);
      compress(chaining, index, stop - start, flags);
    }
    return chaining;
  };
  const hashParent = (left, right, flags) => {
    message.set(left);
    message.set(right, 8);
    const chaining = iv.slice();
    compress(chaining, 0, 64, parent | flags);
    return chaining;
  };
  const chunks = Math.max(1, Math.ceil(bytes.length / 1024));
  const hashTree = (first, count, flags) => {
    if (count === 1) return hashChunk(first, flags);
    const left = 2 ** Math.floor(Math.log2(count - 1));
    return hashParent(hashTree(first, left, 0), hashTree(first + left, count - left, 0), flags);
  };
  const words = hashTree(0, chunks, root);
  const hash = Buffer.alloc(32);
  for (const [i, value] of words.entries()) hash.writeUInt32LE(value, i * 4);
  return hash;
}

// ---------------------------------------------------------------------------------------------------------------------
// The store: a folder. Keys have `/` between their parts.

class Store {
  constructor(folder) {
    this.root = resolve(folder);
    if (!existsSync(this.root)) refuse(`there is no folder ${folder}`);
  }

  path(key) {
    return join(this.root, ...key.split('/'));
  }

  has(key) {
    return existsSync(this.path(key));
  }

  get(key) {
    return readFileSync(this.path(key));
  }

  /** The bytes from start to before end; a negative start counts from the end of the object. */
  getPart(key, start, end) {
    const file = openSync(this.path(key), 'r');
    try {
      const {size} = fstatSync(file);
      const from = start < 0 ? size + start : start;
      const bytes = Buffer.alloc(Math.max(0, Math.min(end ?? size, size) - from));
      readSync(file, bytes, 0, bytes.length, from);
      return bytes;
    } finally {
      closeSync(file);
    }
  }

  names(key) {
    if (!this.has(key)) return [];
    return readdirSync(this.path(key))
      .filter((name) => !name.startsWith('.bkp#') && name !== '.DS_Store')
      .sort();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Sealed objects, indexes and packs

const kinds = {manifest: 1, document: 2, index: 3, packTable: 4};

function unseal(bytes, kind, what) {
  const damaged = () => refuse(`${what} is damaged`);
  if (bytes.length < 48 || bytes.toString('latin1', 0, 4) !== 'BKPS') damaged();
  const end = bytes.length - 32;
  if (!blake3(bytes.subarray(0, end)).equals(bytes.subarray(end))) damaged();
  if (bytes[4] !== 1 || bytes[6] > 1) refuse(`${what} was written by a newer bkp`);
  if (bytes[5] !== kind) damaged();
  const payload = bytes.subarray(16, end);
  const plain = bytes[6] === 0 ? payload : zstdDecompressSync(payload);
  if (plain.length !== Number(bytes.readBigUInt64LE(8))) damaged();
  return plain;
}

/** Entries of a pack, as its table and an index have them. @returns [entries, the position after them] */
function readEntries(bytes, start, count, add) {
  let at = start;
  let offset = 0;
  for (let i = 0; i < count(at); i++) {
    const id = bytes.toString('hex', at, at + 32);
    const stored = bytes.readUInt32LE(at + 32);
    const encoding = bytes[at + 40];
    const base = encoding === 2 ? bytes.toString('hex', at + 41, at + 73) : undefined;
    add(id, {offset, stored, plain: bytes.readUInt32LE(at + 36), encoding, base});
    offset += stored;
    at += encoding === 2 ? 73 : 41;
  }
  return at;
}

class Chunks {
  /** All places of each chunk. */
  #places = new Map();
  #kept = new Map();

  constructor(store) {
    this.store = store;
    const listed = new Set();
    for (const name of store.names('index')) {
      try {
        this.#readIndex(unseal(store.get(`index/${name}`), kinds.index, `index/${name}`), listed);
      } catch (error) {
        warn(`${error.message}; the packs' own tables are read instead`);
      }
    }
    for (const folder of store.names('packs')) {
      for (const pack of store.names(`packs/${folder}`)) if (!listed.has(pack)) this.#readPack(pack);
    }
  }

  #add(pack) {
    return (id, place) => {
      const places = this.#places.get(id);
      if (places === undefined) this.#places.set(id, [{pack, ...place}]);
      else places.push({pack, ...place});
    };
  }

  #readIndex(bytes, listed) {
    for (let at = 0; at < bytes.length; ) {
      const pack = bytes.toString('hex', at, at + 32);
      const entries = bytes.readUInt32LE(at + 40);
      listed.add(pack);
      at = readEntries(bytes, at + 44, () => entries, this.#add(pack));
    }
  }

  #readPack(pack) {
    const key = packKey(pack);
    try {
      const trailer = this.store.getPart(key, -12);
      if (trailer.toString('latin1', 4) !== 'BKPPACK1') refuse(`${key} is damaged`);
      const length = trailer.readUInt32LE(0);
      const table = unseal(this.store.getPart(key, -12 - length).subarray(0, length), kinds.packTable, key);
      let count = 0;
      for (let at = 0; at < table.length; at += table[at + 40] === 2 ? 73 : 41) count++;
      readEntries(table, 0, () => count, this.#add(pack));
    } catch (error) {
      warn(`${key} cannot be used: ${error.message}`);
    }
  }

  /** @returns the plain bytes of the chunk, whose hash is its id */
  read(id) {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    let reason = `chunk ${id} is in no pack`;
    for (const place of this.#places.get(id) ?? []) {
      try {
        const bytes = this.#decode(place);
        if (blake3(bytes).toString('hex') !== id) refuse('its content is damaged');
        this.#keep(id, bytes);
        return bytes;
      } catch (error) {
        reason = `chunk ${id} cannot be read from ${packKey(place.pack)}: ${error.message}`;
      }
    }
    return refuse(reason);
  }

  #decode({pack, offset, stored, plain, encoding, base}) {
    const bytes = this.store.getPart(packKey(pack), offset, offset + stored);
    if (bytes.length !== stored) refuse('the pack is too short');
    return decodeChunk(bytes, {plain, encoding, base: () => this.read(base)});
  }

  /** Bases are used by several chunks, and lists by several streams: the last few are kept. */
  #keep(id, bytes) {
    this.#kept.set(id, bytes);
    if (this.#kept.size > 16) this.#kept.delete(this.#kept.keys().next().value);
  }

  *ids({depth, chunks}) {
    if (depth === 0) yield* chunks;
    else {
      for (const list of this.ids({depth: depth - 1, chunks})) {
        const bytes = this.read(list);
        for (let at = 0; at < bytes.length; at += 32) yield bytes.toString('hex', at, at + 32);
      }
    }
  }

  *stream(recipe) {
    for (const id of this.ids(recipe)) yield this.read(id);
  }
}

const packKey = (pack) => `packs/${pack.slice(0, 2)}/${pack}`;

// ---------------------------------------------------------------------------------------------------------------------
// Stored forms of chunks

const biggest = 16 * 1024 * 1024;

function decodeChunk(bytes, {plain, encoding, base}) {
  const unpack = (frame, dictionary) =>
    zstdDecompressSync(frame, {maxOutputLength: 2 * biggest, ...(dictionary === undefined ? {} : {dictionary})});
  const decode = () => {
    if (encoding === 0) return bytes;
    if (encoding === 1) return unpack(bytes);
    const [width, flags, exponent] = bytes;
    const isOfRecords = width === 0 && flags <= 1 && exponent === 0;
    if (encoding === 2) {
      if (width !== 0) return unpack(bytes, base());
      if (!isOfRecords) refuse('its filter is unknown');
      return joinColumns(unpack(bytes.subarray(3), splitColumns(base(), flags === 0)), flags === 0);
    }
    if (encoding !== 3) refuse('it was written by a newer bkp');
    const filtered = unpack(bytes.subarray(3));
    if (isOfRecords) return joinColumns(filtered, flags === 0);
    if (width < 2 || width > 64 || flags > 7) refuse('its filter is unknown');
    return restoreNumbers(filtered, {width, flags, exponent});
  };
  const decoded = decode();
  if (decoded.length !== plain) refuse('its length is not the recorded one');
  return decoded;
}

function restoreNumbers(planes, {width, flags, exponent}) {
  const count = Math.floor(planes.length / width);
  const bytes = Buffer.alloc(planes.length);
  for (let byte = 0; byte < width; byte++) {
    for (let i = 0; i < count; i++) bytes[i * width + byte] = planes[byte * count + i];
  }
  planes.copy(bytes, count * width, count * width);
  if (flags & 1) {
    const [read, write, bits] =
      width === 8
        ? [(at) => bytes.readBigUInt64LE(at), (value, at) => bytes.writeBigUInt64LE(value, at), 64]
        : [(at) => BigInt(bytes.readUInt32LE(at)), (value, at) => bytes.writeUInt32LE(Number(value), at), 32];
    let last = 0n;
    for (let at = 0; at < count * width; at += width) {
      const v = read(at);
      last = BigInt.asUintN(bits, last + ((v >> 1n) ^ -(v & 1n)));
      write(last, at);
    }
  }
  if (flags & 2) {
    const power = Number(`1e${exponent}`);
    const inverse = Number(`1e-${exponent}`);
    for (let at = 0; at < count * 8; at += 8) {
      const v = bytes.readBigInt64LE(at);
      if (v === -(2n ** 63n)) bytes.writeBigUInt64LE(0x7ff8000000000000n, at);
      else bytes.writeDoubleLE(flags & 4 ? Number(v) * inverse : Number(v) / power, at);
    }
  }
  return bytes;
}

/** SQLite's varint. @returns [value, the position after it]; the value is a bigint of 64 bits, unsigned */
function readVarint(bytes, start) {
  let value = 0;
  for (let at = start; at < start + 4; at++) {
    value = value * 128 + (bytes[at] & 0x7f);
    if (bytes[at] < 0x80) return [BigInt(value), at + 1];
  }
  let long = BigInt(value);
  for (let at = start + 4; at < start + 8; at++) {
    long = (long << 7n) | BigInt(bytes[at] & 0x7f);
    if (bytes[at] < 0x80) return [long, at + 1];
  }
  return [(long << 8n) | BigInt(bytes[start + 8]), start + 9];
}

function varint(value) {
  const v = BigInt.asUintN(64, value);
  const isLong = v >= 1n << 56n;
  // The ninth byte of a long one has eight bits.
  const bytes = isLong ? [Number(v & 0xffn)] : [Number(v & 0x7fn)];
  for (let rest = isLong ? v >> 8n : v >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
  while (isLong && bytes.length < 9) bytes.unshift(0x80);
  return Buffer.from(bytes);
}

const signed = (value) => BigInt.asIntN(64, value);
const zigzag = (difference) => {
  const d = signed(difference);
  return BigInt.asUintN(64, (d << 1n) ^ (d >> 63n));
};
const unzigzag = (value) => (value >> 1n) ^ -(value & 1n);

const integerSizes = [0, 1, 2, 3, 4, 6, 8];
const valueSize = (type) => (type >= 12 ? (type - 12) >> 1 : type === 7 ? 8 : (integerSizes[type] ?? 0));
const isInteger = (type) => type >= 1 && type <= 6;

function readInteger(bytes, at, size) {
  if (size <= 6) return BigInt(bytes.readIntBE(at, size));
  return bytes.readBigInt64BE(at);
}

const padding = Buffer.alloc(16);

/** Records from their columns. */
function joinColumns(bytes, withRowids) {
  let at = 8;
  const [records, columns] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  if (columns > 126) refuse('its columns are damaged');
  const number = () => {
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const rowidLength = number();
  const typeLengths = Array.from({length: columns}, number);
  const valueLengths = Array.from({length: columns}, number);
  const part = (length) => {
    const taken = bytes.subarray(at, at + length);
    if (taken.length !== length) refuse('its columns are damaged');
    at += length + 16;
    return {bytes: taken, at: 0, last: 0n};
  };
  const counts = part(records).bytes;
  const rowids = part(rowidLength);
  const types = typeLengths.map(part);
  const values = valueLengths.map((length) => ({
    ...part(length & 0x7fffffff),
    isDifferences: length >>> 31 === 1,
  }));
  const next = (stream) => {
    const [value, after] = readVarint(stream.bytes, stream.at);
    stream.at = after;
    return value;
  };
  const pieces = [];
  for (let record = 0; record < records; record++) {
    const header = [];
    const body = [];
    for (let column = 0; column < counts[record]; column++) {
      const type = next(types[column]);
      header.push(varint(type));
      const size = valueSize(Number(type));
      const stream = values[column];
      if (stream.isDifferences && isInteger(Number(type))) {
        stream.last = signed(stream.last + unzigzag(next(stream)));
        const whole = Buffer.alloc(8);
        whole.writeBigInt64BE(stream.last);
        body.push(whole.subarray(8 - size));
      } else {
        body.push(stream.bytes.subarray(stream.at, stream.at + size));
        stream.at += size;
      }
    }
    const headerBytes = Buffer.concat(header);
    const payload = Buffer.concat([varint(BigInt(headerBytes.length + 1)), headerBytes, ...body]);
    pieces.push(varint(BigInt(payload.length)));
    if (withRowids) {
      rowids.last = signed(rowids.last + unzigzag(next(rowids)));
      pieces.push(varint(rowids.last));
    }
    pieces.push(payload);
  }
  return Buffer.concat(pieces);
}

/** The columns of records, byte for byte as bkp arranges them: they are the dictionary of a difference. */
function splitColumns(bytes, withRowids) {
  const counts = [];
  const rowids = [];
  const columns = [];
  let lastRowid = 0n;
  for (const {rowid, payload} of recordsIn(bytes, withRowids)) {
    const {types} = recordTypes(payload);
    if (withRowids) {
      rowids.push(varint(zigzag(rowid - lastRowid)));
      lastRowid = rowid;
    }
    let at = Number(readVarint(payload, 0)[0]);
    types.forEach((type, i) => {
      columns[i] ??= {types: [], values: []};
      columns[i].types.push(type);
      columns[i].values.push(payload.subarray(at, at + valueSize(Number(type))));
      at += valueSize(Number(type));
    });
    counts.push(types.length);
  }
  const arranged = columns.map(({types, values}) => ({types: types.map(varint), ...arrangeValues(types, values)}));
  const length = (parts) => parts.reduce((sum, part) => sum + part.length, 0);
  const header = [counts.length, columns.length, length(rowids)];
  header.push(...arranged.map(({types}) => length(types)));
  header.push(...arranged.map(({values, isDifferences}) => length(values) + (isDifferences ? 2 ** 31 : 0)));
  const head = Buffer.alloc(header.length * 4);
  for (const [i, value] of header.entries()) head.writeUInt32LE(value, i * 4);
  const streams = [[Buffer.from(counts)], rowids, ...arranged.map(({types}) => types)];
  streams.push(...arranged.map(({values}) => values));
  return Buffer.concat([head, ...streams.flatMap((parts) => [...parts, padding])]);
}

function arrangeValues(types, values) {
  let last = 0n;
  let [long, short] = [0, 0];
  const differences = values.map((value, i) => {
    if (!isInteger(Number(types[i]))) return value;
    const number = readInteger(value, 0, value.length);
    const difference = varint(zigzag(number - last));
    last = number;
    if (i < 512) [long, short] = [long + value.length, short + difference.length];
    return difference;
  });
  const isDifferences = 4 * short < 3 * long;
  return {values: isDifferences ? differences : values, isDifferences};
}

// ---------------------------------------------------------------------------------------------------------------------
// SQLite's records, https://www.sqlite.org/fileformat2.html#record_format

function* recordsIn(bytes, withRowids) {
  for (let at = 0; at < bytes.length; ) {
    const [length, afterLength] = readVarint(bytes, at);
    const [rowid, start] = withRowids ? readVarint(bytes, afterLength) : [0n, afterLength];
    at = start + Number(length);
    if (at > bytes.length) refuse('a record is longer than its chunk');
    yield {rowid: signed(rowid), payload: bytes.subarray(start, at)};
  }
}

function recordTypes(payload) {
  const [headerLength, start] = readVarint(payload, 0);
  const types = [];
  for (let at = start; at < Number(headerLength); ) {
    const [type, after] = readVarint(payload, at);
    types.push(type);
    at = after;
  }
  return {types, start: Number(headerLength)};
}

/** @returns a value for each column; a text is {text: bytes}, because not every text is valid Unicode */
function valuesOf(payload) {
  const {types, start} = recordTypes(payload);
  let at = start;
  return types.map((wide) => {
    const type = Number(wide);
    const size = valueSize(type);
    const from = at;
    at += size;
    if (type === 0) return null;
    if (isInteger(type)) return readInteger(payload, from, size);
    if (type === 7) return payload.readDoubleBE(from);
    if (type === 8 || type === 9) return BigInt(type - 8);
    if (type < 12) return refuse('a record has a value of an unknown type');
    const bytes = payload.subarray(from, at);
    return type % 2 === 0 ? bytes : {text: bytes};
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// What a vault contains

const readJson = (store, key, kind) => JSON.parse(unseal(store.get(key), kind, key).toString());
const decodeName = (part) => decodeURIComponent(part.replace(/%(?![0-9A-F]{2})/g, '%25'));

/** @returns whether the manifest of this lease is a backup */
function isVoid(store, folder, lease) {
  const key = `${folder}/verdict/${lease}`;
  return lease !== undefined && store.has(key) && store.get(key).toString().trim() === 'void';
}

function backupsBelow(store, folder, isBackup) {
  const backups = new Map();
  const consider = (name, key, unwrap) => {
    try {
      const manifest = unwrap(readJson(store, key, kinds.manifest));
      if (!isVoid(store, dirname(key), manifest.lease)) backups.set(name, {name, key, manifest});
    } catch (error) {
      backups.set(name, {name, key, fault: error.message});
    }
  };
  for (const name of store.names(folder).filter(isBackup)) {
    const key = `${folder}/${name}/manifest`;
    if (store.has(key)) consider(name, key, (manifest) => manifest);
  }
  // A pin is a second manifest: it serves if the first is gone or damaged.
  for (const name of store.names(`${folder}/pins`)) {
    if (backups.has(name) && backups.get(name).fault === undefined) continue;
    const newest = store.names(`${folder}/pins/${name}`).at(-1);
    const key = `${folder}/pins/${name}/${newest}/manifest`;
    if (newest === undefined || !store.has(key)) continue;
    consider(name, key, (pin) => ({...pin, kind: pin.body.of.kind, body: pin.body.of.body}));
  }
  return [...backups.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function openVault(folder) {
  const store = new Store(folder);
  if (store.has('bkp.json')) {
    let header;
    try {
      header = JSON.parse(store.get('bkp.json').toString());
    } catch {
      warn('bkp.json is damaged; nothing that a restore needs is in it');
    }
    if (header !== undefined && header.encryption !== 'none') {
      refuse(`the vault has an encryption that this reader does not know: ${header.encryption}`);
    }
  } else if (!store.has('packs')) refuse(`${folder} contains no vault of bkp`);
  return store;
}

function contentsOf(store) {
  const found = [];
  for (const part of store.names('.backups/collections')) {
    const folder = `.backups/collections/${part}`;
    let name = decodeName(part);
    const newest = store.names(`${folder}/definition`).at(-1);
    if (newest !== undefined) {
      try {
        name = readJson(store, `${folder}/definition/${newest}`, kinds.document).name;
      } catch (error) {
        warn(error.message);
      }
    }
    const backups = backupsBelow(store, folder, (name) => /^\d{14}Z_(?:full|incremental)$/.test(name));
    found.push({kind: 'collection', name, backups});
  }
  for (const part of store.names('backup')) {
    const backups = backupsBelow(store, `backup/${part}`, (name) => /^\d{8}T\d{6}\.\d{6}Z$/.test(name));
    found.push({kind: 'database', name: decodeName(part), backups});
  }
  return found.filter(({backups}) => backups.length > 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// Collections of SQLite

const quote = (name) => `"${name.replaceAll('"', '""')}"`;

/** A new database file with what the backup has. */
function restoreSqlite(chunks, {manifest, tables, path}) {
  const {body} = manifest;
  const db = new DatabaseSync(path, {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  db.enableDefensive?.(false);
  const facts = body.source.database ?? {};
  const encoding = /^UTF-16(?:le|be)$/.test(facts.encoding ?? '') ? facts.encoding : 'UTF-8';
  db.exec(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = ${Number(facts.page_size ?? 4096)};
    PRAGMA auto_vacuum = ${Number(facts.auto_vacuum ?? 0)}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    PRAGMA ignore_check_constraints = ON;`);
  try {
    for (const {schema, layers, content} of tables) {
      db.exec(schema.definition.table);
      const table = describeTable(db, schema.name);
      for (const layer of layers) loadLayer(chunks, {db, table, streams: manifest.streams, layer});
      const {rows} = db.prepare(`SELECT count(*) AS rows FROM ${quote(schema.name)}`).get();
      const wanted = content?.rows ?? (layers.length === 1 ? layers[0].rows : undefined);
      if (wanted !== undefined && rows !== wanted) {
        refuse(`table ${schema.name} has ${rows} rows after its restore, and ${wanted} in the backup`);
      }
      say(`table ${schema.name}: ${rows} rows`);
    }
    for (const {schema} of tables) finishTable(db, schema);
    for (const object of body.objects ?? []) makeObject(db, object);
    for (const {schema} of tables) {
      for (const sql of schema.definition.triggers) attempt(db, sql, `a trigger of ${schema.name}`);
    }
    db.exec(`PRAGMA user_version = ${Number(facts.user_version ?? 0)};
      PRAGMA application_id = ${Number(facts.application_id ?? 0)}`);
    const [{quick_check: check}] = db.prepare('PRAGMA quick_check').all();
    if (check !== 'ok') warn(`SQLite's quick_check of the restored file says: ${check}`);
    if (facts.journal_mode === 'wal') db.exec('PRAGMA journal_mode = DELETE; PRAGMA journal_mode = WAL');
  } finally {
    db.close();
  }
}

/** What the application alone provides (a function, a collation) cannot be made here: it is named and left out. */
function attempt(db, sql, what) {
  try {
    db.exec(sql);
  } catch (error) {
    warn(`${what} was left out (${error.message}): ${sql}`);
  }
}

function finishTable(db, {name, definition}) {
  for (const sql of definition.indexes) attempt(db, sql, `an index of ${name}`);
  for (const sql of definition.omittedIndexes ?? []) warn(`an index of ${name} is not in the backup: ${sql}`);
  const rows = definition.sequenceRows ?? (definition.sequence === null ? [] : [`integer:${definition.sequence}`]);
  if (rows.length === 0) return;
  db.prepare('DELETE FROM sqlite_sequence WHERE name = ?').run(name);
  for (const row of rows) {
    const [, type, value] = /^(\w+):(.*)$/.exec(row);
    const expression = {null: 'NULL', text: `CAST(x'${value}' AS TEXT)`, blob: `x'${value}'`}[type] ?? value;
    db.prepare(`INSERT INTO sqlite_sequence (name, seq) VALUES (?, ${expression})`).run(name);
  }
}

function makeObject(db, {name, definition: {kind, sql, triggers = []}}) {
  if (kind === 'view') attempt(db, sql, `the view ${name}`);
  else {
    db.exec('PRAGMA writable_schema = ON');
    db.prepare(`INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)`).run(
      name,
      name,
      sql,
    );
    db.exec('PRAGMA writable_schema = RESET');
    const isOverTable = /^CREATE\s+VIRTUAL\s+TABLE.*\bfts[45]\b.*\bcontent\s*=\s*(?!['"]['"])/is.test(sql);
    if (isOverTable)
      attempt(db, `INSERT INTO ${quote(name)} (${quote(name)}) VALUES ('rebuild')`, `the text of ${name}`);
  }
  for (const trigger of triggers) attempt(db, trigger, `a trigger of ${name}`);
}

/** The columns of the table's records in their order, and those that an insert may name. */
function describeTable(db, name) {
  const columns = db.prepare('SELECT * FROM pragma_table_xinfo(?)').all(name);
  const {wr: withoutRowid} = db
    .prepare(`SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?`)
    .get(name);
  const keyIndex = db.prepare(`SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'`).get(name)?.name;
  const key = columns.filter(({pk}) => pk > 0).sort((a, b) => a.pk - b.pk);
  const taken = new Set(columns.map((column) => column.name.toLowerCase()));
  const alias = ['rowid', '_rowid_', 'oid'].find((word) => !taken.has(word));
  const isStored = ({hidden}) => hidden !== 2;
  let recorded = columns.filter(isStored);
  if (withoutRowid) {
    const order = db.prepare('SELECT cid FROM pragma_index_xinfo(?) ORDER BY seqno').all(keyIndex);
    recorded = order.map(({cid}) => columns.find((column) => column.cid === cid)).filter(isStored);
  }
  const rowidColumn = !withoutRowid && keyIndex === undefined ? key[0]?.name : undefined;
  return {name, recorded, withoutRowid: withoutRowid === 1, rowidColumn, alias, key: key.map(({name}) => name)};
}

function loadLayer(chunks, {db, table, streams, layer}) {
  if (layer.kind === 'delta') {
    for (const bytes of segmentsOf(chunks, streams, layer.keyData)) removeKeys(db, table, bytes);
    for (const bytes of segmentsOf(chunks, streams, layer.rowData)) insertRows(db, table, bytes);
  } else if (layer.form === 'records') {
    const [tree] = layer.trees;
    const insert = recordInserter(db, table);
    db.exec('BEGIN');
    for (const bytes of chunks.stream(streams[tree.data.stream])) {
      for (const record of recordsIn(bytes, tree.kind === 'rowid')) insert(record);
    }
    db.exec('COMMIT');
  } else for (const bytes of segmentsOf(chunks, streams, layer.data)) insertRows(db, table, bytes);
}

function* segmentsOf(chunks, streams, {stream, segments, wide = {}}) {
  const ids = chunks.ids(streams[stream]);
  for (let segment = 0; segment < segments; segment++) {
    const parts = [];
    for (let left = wide[segment] ?? 1; left > 0; left--) parts.push(chunks.read(ids.next().value));
    yield parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
}

/** A record may be shorter than its table: the columns that it lacks were added later, and get their defaults. */
function recordInserter(db, table) {
  const statements = new Map();
  return ({rowid, payload}) => {
    const values = valuesOf(payload);
    const names = [];
    const marks = [];
    const bound = [];
    table.recorded.slice(0, values.length).forEach((column, i) => {
      if (column.hidden === 3) return;
      const value = column.name === table.rowidColumn ? rowid : values[i];
      names.push(quote(column.name));
      // As bytes, because a text in SQLite need not be valid Unicode.
      marks.push(value?.text === undefined ? '?' : 'CAST(? AS TEXT)');
      bound.push(value?.text ?? value);
    });
    if (!table.withoutRowid && table.rowidColumn === undefined && table.alias !== undefined) {
      names.unshift(table.alias);
      marks.unshift('?');
      bound.unshift(rowid);
    }
    const sql = `INSERT INTO ${quote(table.name)} (${names.join()}) VALUES (${marks.join()})`;
    if (!statements.has(sql)) statements.set(sql, db.prepare(sql));
    statements.get(sql).run(...bound);
  };
}

/** A segment is a small database with one table. */
function withSegment(db, bytes, body) {
  const path = join(scratch(), 'segment.db');
  writeFileSync(path, bytes);
  db.prepare('ATTACH ? AS segment').run(path);
  try {
    body();
  } finally {
    db.exec('DETACH segment');
  }
}

function insertRows(db, table, bytes) {
  withSegment(db, bytes, () => {
    const present = db.prepare(`SELECT name FROM pragma_table_info('rows', 'segment')`).all();
    const known = new Map(table.recorded.map((column) => [column.name, column]));
    // A column that is not the table's is its rowid. Generated columns are computed again.
    const names = present.map(({name}) => name).filter((name) => known.get(name)?.hidden !== 3);
    const list = names.map((name) => (known.has(name) ? quote(name) : table.alias));
    const from = names.map((name) => `r.${quote(name)}`);
    db.exec(`INSERT INTO main.${quote(table.name)} (${list}) SELECT ${from} FROM segment.rows AS r`);
  });
}

function removeKeys(db, table, bytes) {
  withSegment(db, bytes, () => {
    const columns = table.key.length === 0 ? [table.alias] : table.key.map(quote);
    const same = columns.map((column, i) => `${column} IS (SELECT k${i} FROM segment.keys WHERE rowid = ?1)`);
    const remove = db.prepare(`DELETE FROM main.${quote(table.name)} WHERE ${same.join(' AND ')}`);
    const {last} = db.prepare('SELECT max(rowid) AS last FROM segment.keys').get();
    db.exec('BEGIN');
    for (let row = 1; row <= (last ?? 0); row++) remove.run(row);
    db.exec('COMMIT');
  });
}

/** NULL is an empty field, an empty text is "", a blob is hexadecimal after \\x. */
function exportCsv(path, names, folder) {
  const db = new DatabaseSync(path, {readOnly: true});
  const isPlain = (text) => text !== '' && !/[",\r\n]/.test(text);
  const field = (value) => {
    if (value === null) return '';
    const text = value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : String(value);
    return isPlain(text) ? text : `"${text.replaceAll('"', '""')}"`;
  };
  for (const name of names) {
    const statement = db.prepare(`SELECT * FROM ${quote(name)}`);
    statement.setReadBigInts(true);
    const file = openNew(join(folder, `${encodeURIComponent(name)}.csv`));
    const header = statement.columns().map((column) => field(column.name));
    writeSync(file, `${header.join()}\r\n`);
    for (const row of statement.iterate()) writeSync(file, `${Object.values(row).map(field).join()}\r\n`);
    fsyncSync(file);
    closeSync(file);
  }
  db.close();
}

// ---------------------------------------------------------------------------------------------------------------------
// Collections of PostgreSQL: a script for psql, to be run in an empty database

const ident = (name) => quote(name);
const literal = (text) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
const sqlOf = (statement) => statement.slice(statement.indexOf('\t') + 1);

/**
 * Rows are loaded after the primary keys, because those say in which order the columns of a row are. psql asks the
 * new table for them, so no statement of the backup has to be parsed here.
 */
function writeScript(chunks, {manifest, tables, path}) {
  const {body, streams} = manifest;
  const file = openNew(path);
  const write = (text) => writeSync(file, text);
  const inOrder = (step) =>
    tables
      .flatMap(({schema}) => schema.definition[step])
      .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
      .map(sqlOf);
  const isKey = (sql) => /\bPRIMARY KEY\b/.test(sql);
  const run = (statements) => {
    for (const sql of statements.filter(Boolean)) write(`${sql.replace(/;?\s*$/, ';')}\n`);
  };
  const encoding = body.source.database.encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8';
  write(`-- Collection ${body.collection.name}, backup ${body.backup}, written by bkp-reader.
\\set ON_ERROR_STOP on
\\set QUIET on
SET client_encoding = '${encoding}'; SET standard_conforming_strings = on; SET check_function_bodies = off;
SET client_min_messages = warning; SET row_security = off; SET search_path = ''; SET default_tablespace = '';
SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET lc_monetary = 'C';
SET xmloption = content;
`);
  const sequences = tables.flatMap(({schema}) => schema.definition.sequences);
  for (const {schema, name, sql, value} of JSON.parse(body.source.database.shared)) {
    run([sql.replace(/^CREATE SCHEMA (?!IF NOT EXISTS)/, 'CREATE SCHEMA IF NOT EXISTS ')]);
    if (value !== undefined) sequences.push(JSON.stringify([schema, name, ...JSON.parse(value).slice(2)]));
  }
  write('BEGIN;\n');
  run(inOrder('create'));
  run(inOrder('constraints').filter(isKey));
  for (const {schema, layers} of tables) {
    const {definition} = schema;
    const name = `${ident(definition.schema)}.${ident(definition.table)}`;
    const only = definition.kind === 'partitioned' ? name : `ONLY ${name}`;
    write(askForColumns(name));
    const copy = (into, segments) => {
      for (const bytes of segmentsOf(chunks, streams, segments)) {
        write(`COPY ${into} FROM STDIN;\n`);
        write(bytes);
        write('\\.\n');
      }
    };
    for (const layer of layers) {
      if (layer.kind === 'delta') {
        write(`CREATE TEMP TABLE bkp_keys AS SELECT :key_columns FROM ${name} WHERE false;\n`);
        copy('bkp_keys', layer.keyData);
        write(`SET search_path = pg_catalog, public;
DELETE FROM ${only} AS t USING bkp_keys AS k WHERE :same_key;
SET search_path = ''; DROP TABLE pg_temp.bkp_keys;
`);
        copy(`${name} (:columns)`, layer.rowData);
      } else copy(`${name} (:columns)`, layer.data);
    }
    say(`table ${schema.name}`);
  }
  for (const sequence of sequences) {
    const [schema, name, last, isCalled] = JSON.parse(sequence);
    const where = literal(`${ident(schema)}.${ident(name)}`);
    write(`SELECT pg_catalog.setval(${where}::regclass, ${BigInt(last)}, ${isCalled === true});\n`);
  }
  run(inOrder('constraints').filter((sql) => !isKey(sql)));
  run(inOrder('indexes'));
  run(inOrder('references'));
  write('COMMIT;\n');
  run((body.objects ?? []).map(({definition}) => definition.sql));
  write(`-- Triggers, policies and grants: what names a role that does not exist here fails alone.
\\set ON_ERROR_STOP off
`);
  run(inOrder('finish'));
  closeSync(file);
  say('run it in an empty database: psql -X -d NAME -f FILE');
}

/** The columns of rows: those of the key in its order, then the others. Generated ones are computed by the table. */
const askForColumns = (name) => `SELECT string_agg(quote_ident(attname), ', ' ORDER BY at, attnum) AS columns,
  coalesce(string_agg(quote_ident(attname), ', ' ORDER BY at) FILTER (WHERE at IS NOT NULL), '') AS key_columns,
  coalesce(string_agg(format('t.%1$I = k.%1$I', attname), ' AND ') FILTER (WHERE at IS NOT NULL), '') AS same_key
FROM pg_catalog.pg_attribute
LEFT JOIN (SELECT number, at FROM pg_catalog.pg_index
  CROSS JOIN unnest(indkey::int2[]) WITH ORDINALITY AS k (number, at)
  WHERE indrelid = ${literal(name)}::regclass AND indisprimary AND at <= indnkeyatts) AS key ON number = attnum
WHERE attrelid = ${literal(name)}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' \\gset
`;

// ---------------------------------------------------------------------------------------------------------------------
// Whole databases

function restoreFiles(chunks, {manifest, folder, withOptional}) {
  const list = Buffer.concat([...chunks.stream(manifest.streams[1])]).toString();
  const files = list
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const isOdd = (part) => ['', '.', '..'].includes(part) || /[\\\0]/.test(part);
  const odd = files.find(({path}) => /^[A-Za-z]:/.test(path) || path.split('/').some(isOdd));
  if (odd !== undefined) refuse(`the list of files is damaged: it has the path ${JSON.stringify(odd.path)}`);
  const ids = chunks.ids(manifest.streams[0]);
  let written = 0;
  for (const {path, size, block, zeros = 0, optional} of files) {
    const isWanted = withOptional || optional !== true;
    const place = join(folder, ...path.split('/'));
    if (isWanted) mkdirSync(dirname(place), {recursive: true});
    const file = isWanted ? openNew(place) : undefined;
    for (let left = size; left > 0; left -= block) {
      const {value: id, done} = ids.next();
      if (done) refuse('the backup has fewer chunks than its files need');
      if (file === undefined) continue;
      const bytes = chunks.read(id);
      if (bytes.length !== Math.min(block, left)) refuse(`a chunk of ${path} has another length than its file needs`);
      writeSync(file, bytes);
    }
    if (file === undefined) continue;
    if (zeros > 0) ftruncateSync(file, size + zeros);
    fsyncSync(file);
    closeSync(file);
    written++;
  }
  if (ids.next().done !== true) refuse('the backup has more chunks than its files need');
  say(`${written} files`);
}

// ---------------------------------------------------------------------------------------------------------------------
// The command

const say = (text) => console.error(text);
const warn = (text) => console.error(`bkp-reader: ${text}`);

let scratchFolder;
const scratch = () => scratchFolder;

const openNew = (path) => openSync(path, 'wx');

/** Writes below a temporary name beside the place, which appears complete or not at all. */
function produce(place, body) {
  const path = resolve(place);
  if (existsSync(path)) refuse(`${place} exists already, and nothing is replaced: name another place with --to`);
  mkdirSync(dirname(path), {recursive: true});
  scratchFolder = mkdtempSync(join(dirname(path), '.bkp-reader-'));
  try {
    const made = join(scratchFolder, basename(path));
    body(made);
    const isFolder = readdirSync(scratchFolder, {withFileTypes: true})
      .find(({name}) => name === basename(path))
      .isDirectory();
    if (isFolder) renameSync(made, path);
    else {
      const file = openSync(made, 'r');
      fsyncSync(file);
      closeSync(file);
      // A link never replaces a file that appeared meanwhile.
      linkSync(made, path);
    }
  } finally {
    rmSync(scratchFolder, {recursive: true, force: true});
  }
  say(`restored to ${place}`);
}

function list(store, folder) {
  const found = contentsOf(store);
  if (found.length === 0) return say('the vault contains no backups');
  for (const {kind, name, backups} of found) {
    console.log(`${kind} ${name}`);
    for (const backup of backups) console.log(`  ${backup.name}  ${backup.fault ?? summary(backup.manifest)}`);
  }
  const [{name, backups}] = found;
  say(`\nTo restore one: node ${basename(process.argv[1])} '${folder}' '${name}/${backups.at(-1).name}'`);
}

function summary({body}) {
  if (body.files !== undefined) return `${body.database.product}, ${body.files} files, ${body.bytes} bytes`;
  return `${body.tables.length} tables: ${body.tables.map(({schema}) => schema.name).join(', ')}`;
}

const namesIn = (named) => named.map(({name}) => name).join(', ');

function find(store, wanted) {
  const found = contentsOf(store);
  const whole = found.find(({name}) => name === wanted);
  const slash = wanted.lastIndexOf('/');
  const {backups} =
    whole ??
    found.find(({name}) => name === wanted.slice(0, slash)) ??
    refuse(`the vault contains no collection or database ${wanted}: it has ${namesIn(found) || 'none'}`);
  const name = whole === undefined ? wanted.slice(slash + 1) : undefined;
  const backup = name === undefined ? backups.at(-1) : backups.find((each) => each.name === name);
  if (backup === undefined) refuse(`there is no backup ${name}: there are ${namesIn(backups)}`);
  if (backup.fault !== undefined) refuse(backup.fault);
  return backup;
}

function restore(store, wanted, options) {
  const backup = find(store, wanted);
  const {manifest} = backup;
  const name = `${wanted.split('/')[0]}-${backup.name}`;
  say(`reading ${backup.key}`);
  const chunks = new Chunks(store);
  if (manifest.kind === 'database-backup') {
    return produce(options.to ?? name, (folder) => {
      mkdirSync(folder);
      restoreFiles(chunks, {manifest, folder, withOptional: options.optional === true});
    });
  }
  if (manifest.kind !== 'collection-backup' || manifest.body.version > 3) {
    refuse(`${backup.key} was written by a newer bkp than this reader knows`);
  }
  const tables = chooseTables(manifest.body.tables, options.table);
  for (const excepted of manifest.body.excepted ?? []) say(`not in the backup: ${excepted}`);
  if (manifest.body.source.database?.product === 'postgres') {
    if (options.csv === true) refuse('a collection of PostgreSQL becomes a script for psql, not CSV');
    return produce(options.to ?? `${name}.sql`, (path) => writeScript(chunks, {manifest, tables, path}));
  }
  if (options.csv !== true) {
    return produce(options.to ?? `${name}.db`, (path) => restoreSqlite(chunks, {manifest, tables, path}));
  }
  return produce(options.to ?? name, (folder) => {
    mkdirSync(folder);
    const path = join(scratch(), 'all.db');
    restoreSqlite(chunks, {manifest, tables, path});
    exportCsv(
      path,
      tables.map(({schema}) => schema.name),
      folder,
    );
  });
}

function chooseTables(tables, wanted = []) {
  if (wanted.length === 0) return tables;
  return wanted.map(
    (name) =>
      tables.find(({schema}) => schema.name.toLowerCase() === name.toLowerCase()) ??
      refuse(`the backup has no table ${name}: it has ${tables.map(({schema}) => schema.name).join(', ')}`),
  );
}

function main() {
  const options = {
    to: {type: 'string'},
    csv: {type: 'boolean'},
    table: {type: 'string', multiple: true},
    optional: {type: 'boolean'},
    help: {type: 'boolean', short: 'h'},
  };
  let parsed;
  try {
    parsed = parseArgs({options, allowPositionals: true});
  } catch (error) {
    refuse(`${error.message}\n\n${usage}`);
  }
  const {values, positionals} = parsed;
  if (values.help === true) return console.log(usage);
  if (positionals.length < 1 || positionals.length > 2) refuse(`what should be read?\n\n${usage}`);
  const store = openVault(positionals[0]);
  if (positionals.length === 1) list(store, positionals[0]);
  else restore(store, positionals[1], values);
}

try {
  main();
} catch (error) {
  if (!(error instanceof Refusal) && error?.code === undefined) throw error;
  warn(error.message);
  process.exitCode = 1;
}
