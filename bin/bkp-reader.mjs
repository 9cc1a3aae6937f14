#!/usr/bin/env node
// Reads vaults of bkp without bkp: one file, no packages, Node.js 24.7 or newer. It was written from docs/format.md and
// shares no code with bkp, so that a fault of one is found by the other. It only reads the vault, and never replaces a
// file. Slower than bkp; for the day on which nothing else is left.

import * as crypto from 'node:crypto';
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
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {basename, dirname, join, resolve} from 'node:path';
import {ReadStream} from 'node:tty';
import {parseArgs} from 'node:util';
import * as zlib from 'node:zlib';

// What an older Node lacks is not imported by name: its error would name a module instead of the version to get.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  process.stderr.write(
    `bkp-reader: Node 24.7 or newer is needed, this is ${process.versions.node}; ` +
      'get it from https://nodejs.org, or run it by: npx node@24 bkp-reader.mjs\n',
  );
  process.exit(1);
}
const {DatabaseSync} = await import('node:sqlite');
const {zstdDecompressSync} = zlib;
const {
  argon2Sync,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  hkdfSync,
  timingSafeEqual,
} = crypto;

const usage = `Usage: node bkp-reader.mjs STORE                          lists the backups in a folder with a vault
       node bkp-reader.mjs STORE NAME[/BACKUP] [--to PLACE]   restores one, the newest unless it is named

  NAME is a collection or a database instance. PLACE must not exist yet.
  A collection of SQLite becomes a database file, one of PostgreSQL a script for psql, a database a folder.

  --csv        tables of SQLite as CSV files in a folder instead
  --table T    only this table of a collection; may be repeated
  --optional   also those files of a database that bkp restores on request only

  An encrypted vault needs one of:
  --kit FILE             the recovery kit, as a text file; only its key is used
  --password-file FILE   a file with the password, or with a key
  Without them the password is BKP_PASSWORD, or is in the file BKP_PASSWORD_FILE, or is asked for on the terminal.
  --help`;

/** A reason why something cannot be read or written, for the user. */
class Refusal extends Error {}

const refuse = (text) => {
  throw new Refusal(text);
};

/** Node's message would quote what stands in the text: it may be a key or a row. */
function parseJson(text, what) {
  try {
    return JSON.parse(text);
  } catch {
    return refuse(`${what} is not valid JSON`);
  }
}

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

  size(key) {
    return statSync(this.path(key)).size;
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
// Encrypted vaults: primitives

const tagLength = 16;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const equal = (a, b) => a.length === b.length && timingSafeEqual(a, b);

function mac(key, ...parts) {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** What can be derived in the vault with this id. */
function derivations(vault) {
  const salt = Buffer.from(vault, 'hex');
  const derive = (secret, label, length = 32) =>
    Buffer.from(hkdfSync('sha256', secret, salt, `bkp-1 ${label}`, length));
  return {salt, derive, commit: (secret) => derive(secret, 'commitment')};
}

/** XAES-256-GCM, https://github.com/C2SP/C2SP/blob/main/XAES-256-GCM.md. @returns undefined if it does not open */
function openXaes(key, nonce, sealed, aad) {
  if (sealed.length < tagLength) return undefined;
  const block = (bytes) => createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(bytes);
  const zero = block(Buffer.alloc(16));
  const mask = Buffer.alloc(16);
  for (let i = 0; i < 16; i++) mask[i] = (zero[i] << 1) | ((zero[i + 1] ?? 0) >> 7);
  if (zero[0] >= 0x80) mask[15] ^= 0x87;
  const half = (counter) => {
    const bytes = Buffer.concat([Buffer.of(0, counter, 0x58, 0), nonce.subarray(0, 12)]);
    return block(bytes.map((byte, i) => byte ^ mask[i]));
  };
  const options = {authTagLength: tagLength};
  const cipher = createDecipheriv('aes-256-gcm', Buffer.concat([half(1), half(2)]), nonce.subarray(12), options);
  cipher.setAAD(aad).setAuthTag(sealed.subarray(-tagLength));
  const plain = cipher.update(sealed.subarray(0, -tagLength));
  try {
    cipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/**
 * The secret that X-Wing encapsulated for a seed, draft-connolly-cfrg-xwing-kem.
 * @returns undefined if it was encapsulated for none: it has another length, or a point that gives no secret
 */
function decapsulateXWing(seed, encapsulated) {
  if (encapsulated.length !== 1088 + 32) return undefined;
  const expanded = createHash('shake256', {outputLength: 96}).update(seed).digest();
  // Keys are given to Node as DER: RFC 9935 for ML-KEM-768, RFC 8410 for X25519.
  const secret = (head, raw) =>
    createPrivateKey({key: Buffer.concat([Buffer.from(head, 'hex'), raw]), format: 'der', type: 'pkcs8'});
  const kem = secret('3054020100300b060960864801650304040204428040', expanded.subarray(0, 64));
  const curve = secret('302e020100300506032b656e04220420', expanded.subarray(64));
  const own = createPublicKey(curve).export({format: 'der', type: 'spki'}).subarray(-32);
  const other = encapsulated.subarray(1088);
  const key = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), other]);
  const publicKey = createPublicKey({key, format: 'der', type: 'spki'});
  let curveSecret;
  try {
    curveSecret = diffieHellman({privateKey: curve, publicKey});
  } catch {
    return undefined;
  }
  return createHash('sha3-256')
    .update(decapsulate(kem, encapsulated.subarray(0, 1088)))
    .update(curveSecret)
    .update(other)
    .update(own)
    .update('\\.//^\\')
    .digest();
}

// ---------------------------------------------------------------------------------------------------------------------
// Encrypted vaults: secrets, slots and rings

const keyMark = 'BKP-KEY1-';
const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits
    .match(/.{5}/g)
    .map((five) => base32Alphabet[Number.parseInt(five, 2)])
    .join('');
}

/** The first key in a text, as its bytes. */
function keyIn(text) {
  const upper = text.toUpperCase();
  const start = upper.indexOf(keyMark);
  if (start < 0) return undefined;
  // People write 0 and 1 for the letters O and I.
  const rest = upper
    .slice(start + keyMark.length)
    .replace(/[-\s]/g, '')
    .replaceAll('0', 'O')
    .replaceAll('1', 'I');
  const code = rest.slice(0, 36);
  if (!/^[A-Z2-7]{36}$/.test(code))
    refuse(`the key is mistyped: after ${keyMark} it has nine groups of four characters`);
  const bits = [...code.slice(0, 32)].map((c) => base32Alphabet.indexOf(c).toString(2).padStart(5, '0')).join('');
  const bytes = Buffer.from(bits.match(/.{8}/g).map((eight) => Number.parseInt(eight, 2)));
  const check = createHash('sha256').update('bkp-1 key').update(bytes).digest();
  // 20 bits are a complete number of characters only of a multiple of 5 bytes.
  if (base32(check.subarray(0, 5)).slice(0, 4) !== code.slice(32)) {
    refuse('the key is mistyped: its last group does not belong to the others');
  }
  return bytes;
}

/** @returns {password: text} or {key: bytes} */
function secretFrom(text) {
  if (text === '') refuse('the password is empty');
  if (text.trim().toUpperCase().startsWith(keyMark)) return {key: keyIn(text)};
  return {password: text.normalize('NFC')};
}

function findSecret(store, {kit, 'password-file': file}) {
  const readText = (path) => readFileSync(path, 'utf8');
  if (kit !== undefined)
    return {key: keyIn(readText(kit)) ?? refuse(`${kit} contains no key: it begins with ${keyMark}`)};
  const {BKP_PASSWORD: password, BKP_PASSWORD_FILE: fileOfEnvironment} = process.env;
  if (file === undefined && password) return secretFrom(password);
  const path = file ?? fileOfEnvironment;
  if (path) {
    const text = readText(path);
    // The page of a recovery kit, or a key alone.
    if (/BKP-KEY1-/i.test(text)) return {key: keyIn(text)};
    return secretFrom(text.replace(/\r?\n$/, ''));
  }
  return secretFrom(askForPassword(store));
}

/** Asks on the terminal, whatever standard input is, and shows nothing of what is typed. */
function askForPassword(store) {
  let terminal;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch {
    const ways = 'the vault is encrypted: give --kit FILE or --password-file FILE, or set BKP_PASSWORD_FILE';
    refuse([ways, ...waysByAge(store)].join('\n'));
  }
  const stream = new ReadStream(openSync('/dev/tty', 'r+'));
  stream.setRawMode(true);
  try {
    writeSync(terminal, 'Password of the vault (or a key): ');
    const typed = [];
    const byte = Buffer.alloc(1);
    while (readSync(terminal, byte, 0, 1, null) === 1) {
      const [code] = byte;
      if (code === 3) refuse('interrupted');
      if (code === 10 || code === 13 || code === 4) break;
      if (code !== 8 && code !== 127) typed.push(code);
      else {
        // The last character, whose bytes after the first begin with the bits 10.
        while (typed.length > 0 && (typed.at(-1) & 0xc0) === 0x80) typed.pop();
        typed.pop();
      }
    }
    return Buffer.from(typed).toString();
  } finally {
    stream.setRawMode(false);
    stream.destroy();
    writeSync(terminal, '\n');
    closeSync(terminal);
  }
}

/** A slot or a ring, from whichever of its two copies is intact. */
function readKeyObject(store, name, check) {
  let fault = 'it is missing';
  for (const key of [`keys/${name}`, `keys/spare/${name}`]) {
    if (!store.has(key)) continue;
    try {
      const {checksum, ...value} = parseJson(store.get(key).toString(), 'it');
      if (checksum !== sha256(JSON.stringify(value))) refuse('its checksum is wrong');
      if (value.version !== 1) refuse('it was written by a newer bkp');
      check(value);
      return value;
    } catch (error) {
      fault = error.message;
    }
  }
  return refuse(`keys/${name} cannot be used: ${fault}`);
}

// The checksum of a slot and a ring is nobody's signature: anyone may have written anything into them.
const areTexts = (...values) => values.every((value) => typeof value === 'string');
const isHex = (value, length) => areTexts(value) && value.length === length && /^[0-9a-f]*$/.test(value);

const isSlot = ({format, vault, id, kind, kdf, wrapped, commitment, sealed}) =>
  format === 'bkp slot' &&
  isHex(vault, 32) &&
  isHex(id, 32) &&
  areTexts(kind, commitment, sealed) &&
  (kind !== 'password' || kdf instanceof Object) &&
  (kind !== 'age' || areTexts(wrapped?.file)) &&
  (kind !== 'kms' || areTexts(wrapped?.key, wrapped?.ciphertext));

const isRing = ({format, vault, generation, commitment, link, slots, body}) =>
  format === 'bkp ring' &&
  isHex(vault, 32) &&
  Number.isSafeInteger(generation) &&
  areTexts(commitment, link, body) &&
  Array.isArray(slots) &&
  slots.length > 0 &&
  slots.length <= 32 &&
  slots.every((one) => isHex(one?.id, 32) && areTexts(one.public, one.encapsulated, one.root));

const openPart = ({derive}, secret, what, sealed, aad) => {
  const bytes = Buffer.from(sealed, 'base64');
  return openXaes(derive(secret, what), bytes.subarray(0, 24), bytes.subarray(24), Buffer.from(`${what}\n${aad}`));
};

function kdfResult({password}, {name, memoryKiB: memory, passes, parallelism, salt}) {
  const isIn = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
  const isUsual = isIn(memory, 19456, 1048576) && isIn(passes, 1, 16) && isIn(parallelism, 1, 16);
  if (name !== 'argon2id' || !isUsual || !/^[0-9a-f]{32}$/.test(salt)) {
    refuse('a slot asks for an impossible derivation');
  }
  const nonce = Buffer.from(salt, 'hex');
  return argon2Sync('argon2id', {message: password, nonce, memory, passes, parallelism, tagLength: 32});
}

/** Opens slots with one secret: equal derivations are done once. */
function slotOpener(tools, secret) {
  const derived = new Map();
  const strengthen = (kdf) => {
    const parameters = JSON.stringify(kdf);
    if (!derived.has(parameters)) derived.set(parameters, kdfResult(secret, kdf));
    return derived.get(parameters);
  };
  /** @returns undefined if the slot is another secret's */
  return ({vault, id, kind, kdf, wrapped, commitment, sealed}) => {
    // The slot of age or of a service has a key as well, which that has encrypted.
    if (secret.key === undefined ? kind !== 'password' : kind !== 'key' && wrapped === undefined) return undefined;
    const slotKey = tools.derive(secret.key ?? strengthen(kdf), `slot ${id}`);
    if (!equal(tools.commit(slotKey), Buffer.from(commitment, 'hex'))) return undefined;
    const aad = JSON.stringify({vault, id, kind, kdf: kdf ?? null, ...(wrapped && {wrapped}), commitment});
    const body = openPart(tools, slotKey, 'slot body', sealed, aad) ?? refuse(`keys/slots/${id} was changed`);
    return {id, ...parseJson(body.toString(), `keys/slots/${id}`)};
  };
}

/** @returns the ring's body; throws if the ring was changed, or does not follow from the one that the slot knows */
function openRing(tools, ring, slot) {
  const {vault, generation, commitment, link, slots} = ring;
  const what = `ring ${generation}`;
  const place = slots.find(({id}) => id === slot.id);
  const shared = decapsulateXWing(Buffer.from(slot.seed, 'hex'), Buffer.from(place.encapsulated, 'base64'));
  const changed = () => refuse(`${what} was changed`);
  const root = (shared && openPart(tools, shared, 'wrap', place.root, `${generation} ${slot.id}`)) ?? changed();
  const aad = JSON.stringify({vault, generation, commitment, link, slots});
  const sealed = openPart(tools, root, 'ring body', ring.body, aad) ?? changed();
  const body = parseJson(sealed, what);
  const own = {root: root.toString('hex'), link, slots: sha256(JSON.stringify(slots))};
  const links = [...body.history, own].map((each) => ({...each, root: Buffer.from(each.root, 'hex')}));
  const forged = () => refuse(`${what} does not follow from the ring that the slot knows: someone else made it`);
  if (links.length !== generation || !equal(tools.commit(root), Buffer.from(commitment, 'hex'))) forged();
  const known = links[slot.generation - 1] ?? forged();
  if (!equal(tools.commit(known.root), Buffer.from(slot.root, 'hex'))) forged();
  for (const [i, each] of links.entries()) {
    const key = tools.derive(links[Math.max(0, i - 1)].root, 'link');
    const wanted = mac(key, u32(i + 1), tools.commit(each.root), Buffer.from(each.slots, 'hex'));
    if (!equal(wanted, Buffer.from(each.link, 'hex'))) forged();
  }
  return body;
}

const ringNames = (store) =>
  [...new Set([...store.names('keys/rings'), ...store.names('keys/spare/rings')])].filter((name) =>
    /^\d{8}$/.test(name),
  );

/** The newest ring that can be read. An older one serves for what is older than the newest. */
function readRing(store, id) {
  for (const name of ringNames(store).sort().reverse()) {
    try {
      return readKeyObject(store, `rings/${name}`, (ring) => {
        const {vault, generation} = ring;
        if (!isRing(ring)) refuse('it is not a ring');
        if (id !== undefined && vault !== id) refuse('it belongs to another vault');
        if (generation !== Number(name)) refuse('it belongs under another name');
      });
    } catch (error) {
      warn(error.message);
    }
  }
  return refuse(
    'the keys of the encrypted vault are missing: nothing in it can be read without the objects below keys/',
  );
}

/** @param id the vault's, as bkp.json has it; undefined if that is lost */
function unlock(store, id, secret) {
  const ring = readRing(store, id);
  const {vault, slots} = ring;
  const tools = derivations(vault);
  const open = slotOpener(tools, secret);
  let fault;
  for (const {id: slotId} of slots) {
    try {
      const slot = open(
        readKeyObject(store, `slots/${slotId}`, (found) => {
          if (!isSlot(found)) refuse('it is not a slot');
          if (found.vault !== vault || found.id !== slotId) refuse('it belongs elsewhere');
        }),
      );
      if (slot !== undefined) return new SealedStore(store, tools, openRing(tools, ring, slot));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      fault = error.message;
    }
  }
  const wrong = `this ${secret.key === undefined ? 'password' : 'key'} opens no slot of the vault`;
  return refuse(fault ?? [wrong, ...waysByKeepers(store)].join('\n'));
}

/** What makes a key of each slot that age or AWS KMS opens: their own programs, which this file does not contain. */
function waysByKeepers(store) {
  const ways = [];
  for (const id of store.names('keys/slots')) {
    const slot = readable(() => readKeyObject(store, `slots/${id}`, () => {}));
    const way = isSlot(slot ?? {}) && slot.id === id ? wayBy[slot.kind] : undefined;
    if (way === undefined) continue;
    const file = shellQuoted(join(store.root, 'keys', 'slots', id));
    const print = (member) => `  node -p 'JSON.parse(fs.readFileSync(process.argv[1])).wrapped.${member}' ${file}`;
    ways.push(`slot ${id.slice(0, 8)} opens with ${way(slot, print)}`);
  }
  return ways;
}

const wayBy = {
  age: (_, print) => `age; this makes a file for --password-file:\n${print('file')} | age -d -i IDENTITY > key.txt`,
  kms: ({id, vault, wrapped: {key}}, print) =>
    [
      `the AWS KMS key ${key}; this makes a file for --password-file:`,
      `${print('ciphertext')} | base64 -d > slot.bin`,
      `  aws kms decrypt --key-id ${shellQuoted(key)}${regionOption(key)} --ciphertext-blob fileb://slot.bin \\`,
      `    --encryption-context bkp-vault=${vault},bkp-slot=${id} \\`,
      '    --query Plaintext --output text | base64 -d > key.txt',
    ].join('\n'),
};

const regionOption = (key) => (key.startsWith('arn:') ? ` --region ${shellQuoted(key.split(':')[3])}` : '');

const shellQuoted = (word) => (/^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const readable = (read) => {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Encrypted vaults: what is in the store

const frameLength = 16;
const segmentLength = 32768;
const namedFolder = '.backups/collections';

function padded(n) {
  if (n <= 256) return 256;
  const e = Math.floor(Math.log2(n));
  const step = 2 ** (e - Math.floor(Math.log2(e)) - 1);
  return Math.ceil(n / step) * step;
}

/** The store of an encrypted vault, with the keys and the bytes of one without encryption. */
class SealedStore {
  constructor(store, {salt, derive}, {names, data, meta}) {
    this.store = store;
    this.salt = salt;
    const ready = ({key}) => {
      const secret = Buffer.from(key, 'hex');
      const [id, encrypt] = [derive(secret, 'key id', 8), derive(secret, 'encrypt')];
      return {id, encrypt, nonce: derive(secret, 'nonce')};
    };
    this.data = data.map(ready).reverse();
    this.meta = meta.map(ready).reverse();
    const nameKey = Buffer.from(names, 'hex');
    this.nameCheck = derive(nameKey, 'name check');
    this.nameEncrypt = derive(nameKey, 'name encrypt');
  }

  has(key) {
    return this.store.has(this.#stored(key));
  }

  get(key) {
    const bytes = this.store.get(this.#stored(key));
    if (bytes.toString('latin1', 0, 4) !== 'BKPE') refuse(`${key} is not encrypted, but its vault is`);
    const frame = bytes.subarray(0, frameLength);
    if (frame[4] !== 1) refuse(`${key} was written by a newer bkp`);
    const changed = () => refuse(`${key} does not open: it was changed, or belongs elsewhere`);
    const {encrypt, nonce: nonceKey} = this.meta.find(({id}) => id.equals(frame.subarray(8))) ?? changed();
    const bound = Buffer.concat([frame, this.salt, Buffer.from(key)]);
    const nonce = bytes.subarray(16, 40);
    const plain = (frame[5] === 1 ? openXaes(encrypt, nonce, bytes.subarray(40), bound) : undefined) ?? changed();
    const boundLength = Buffer.alloc(8);
    boundLength.writeBigUInt64LE(BigInt(bound.length));
    if (!equal(mac(nonceKey, boundLength, bound, plain).subarray(0, 24), nonce)) changed();
    const length = Number(plain.readBigUInt64LE());
    if (padded(8 + length) !== plain.length) changed();
    return plain.subarray(8, 8 + length);
  }

  /** Of a pack; everything else is read completely. */
  getPart(key, start, end) {
    const body = this.store.size(key) - frameLength;
    const size = body - tagLength * Math.ceil(body / (segmentLength + tagLength));
    const from = start < 0 ? size + start : start;
    const to = Math.min(end ?? size, size);
    if (from < 0 || from >= to) return Buffer.alloc(0);
    const segments = [];
    const first = Math.floor(from / segmentLength);
    for (let i = first; i * segmentLength < to; i++) segments.push(this.#segment(key, i));
    return Buffer.concat(segments).subarray(from - first * segmentLength, to - first * segmentLength);
  }

  #segment(key, number) {
    const at = frameLength + number * (segmentLength + tagLength);
    const sealed = this.store.getPart(key, at, at + segmentLength + tagLength);
    for (const {id, encrypt, nonce} of this.data) {
      const frame = Buffer.concat([Buffer.from('BKPE'), Buffer.of(1, 2, 0, 0), id]);
      const bound = Buffer.concat([frame, this.salt, Buffer.from(key)]);
      const shared = mac(nonce, Buffer.alloc(8, 0xff), bound).subarray(0, 20);
      const plain = openXaes(encrypt, Buffer.concat([shared, u32(number)]), sealed, bound);
      if (plain !== undefined) return plain;
    }
    return refuse('it does not open: it was changed');
  }

  names(key) {
    if (key !== namedFolder) return this.store.names(this.#stored(key));
    const names = [];
    for (const first of this.store.names(namedFolder)) {
      const rest = this.store.names(`${namedFolder}/${first}`).filter((part) => part.startsWith('~~'));
      names.push(this.#shownName(first), ...rest.map((part) => this.#shownName(first + part.slice(2))));
    }
    // A folder may have another spelling of a name: base64url has several for the same bytes.
    return [...new Set(names.filter((name) => name !== undefined))].sort();
  }

  #stored(key) {
    if (!key.startsWith(`${namedFolder}/`)) return key;
    const [name, ...rest] = key.slice(namedFolder.length + 1).split('/');
    const plain = Buffer.alloc(32 * Math.ceil((name.length + 1) / 32));
    plain.write(name, 'latin1');
    const check = mac(this.nameCheck, plain).subarray(0, 16);
    const text = `~${Buffer.concat([check, this.#cryptName(check, plain)]).toString('base64url')}`;
    const hidden = text.length <= 200 ? text : `${text.slice(0, 200)}/~~${text.slice(200)}`;
    return [namedFolder, hidden, ...rest].join('/');
  }

  #shownName(text) {
    const bytes = Buffer.from(text.slice(1), 'base64url');
    if (!text.startsWith('~') || bytes.length < 48) return undefined;
    const check = bytes.subarray(0, 16);
    const plain = this.#cryptName(check, bytes.subarray(16));
    if (!equal(mac(this.nameCheck, plain).subarray(0, 16), check)) return undefined;
    return plain.toString('latin1', 0, plain.indexOf(0));
  }

  #cryptName(check, bytes) {
    return createCipheriv('aes-256-ctr', this.nameEncrypt, check).update(bytes);
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

const readJson = (store, key, kind) => parseJson(unseal(store.get(key), kind, key).toString(), key);
const decodeName = (part) => decodeURIComponent(part.replace(/%(?![0-9A-F]{2})/g, '%25'));

/** @returns whether a manifest of this lease is no backup */
function isVoid(store, folder, lease) {
  const key = `${folder}/verdict/${lease}`;
  return lease !== undefined && (store.has(`${key}-removed`) || (store.has(key) && saysVoid(store, key)));
}

/** A verdict that is damaged, or says anything else, hides no backup. */
function saysVoid(store, key) {
  try {
    return store.get(key).toString() === 'void';
  } catch {
    return false;
  }
}

/** @returns why a manifest is not the one of its place, which would restore another backup */
function faultOfPlace({kind, body}, owner, backup) {
  const isCollection = owner.kind === 'collection';
  if (kind !== `${owner.kind}-backup`) return `it is a manifest of kind ${kind}`;
  const name = isCollection ? body.collection?.name : body.instance;
  if (owner.name !== undefined && name !== owner.name) {
    return `it is of ${isCollection ? 'collection' : 'instance'} ${name}`;
  }
  return body.backup === backup ? undefined : `it is of backup ${body.backup}`;
}

function faultOfPin({kind, body}, owner, {backup, generation}) {
  if (kind !== 'pin') return `it is a manifest of kind ${kind}`;
  if (body.backup !== backup || body.generation !== Number(generation)) return 'it is of another pin';
  return faultOfPlace(body.of, owner, backup);
}

/** @param owner the collection or the instance: its kind and, if it is certain, its name */
function backupsBelow(store, folder, owner, isBackup) {
  const backups = new Map();
  const consider = (name, key, faultOf, unwrap) => {
    try {
      const manifest = readJson(store, key, kinds.manifest);
      const fault = faultOf(manifest);
      if (fault !== undefined) refuse(`${key} is damaged: ${fault}`);
      if (!isVoid(store, dirname(key), manifest.lease)) backups.set(name, {name, key, manifest: unwrap(manifest)});
    } catch (error) {
      backups.set(name, {name, key, fault: error.message});
    }
  };
  for (const name of store.names(folder).filter(isBackup)) {
    const key = `${folder}/${name}/manifest`;
    const faultOf = (manifest) => faultOfPlace(manifest, owner, name);
    if (store.has(key)) consider(name, key, faultOf, (manifest) => manifest);
  }
  // A pin is a second manifest: it serves if the first is gone or damaged.
  for (const name of store.names(`${folder}/pins`)) {
    if (backups.has(name) && backups.get(name).fault === undefined) continue;
    const newest = store.names(`${folder}/pins/${name}`).at(-1);
    const key = `${folder}/pins/${name}/${newest}/manifest`;
    if (newest === undefined || !store.has(key)) continue;
    const faultOf = (pin) => faultOfPin(pin, owner, {backup: name, generation: newest});
    consider(name, key, faultOf, (pin) => ({...pin, kind: pin.body.of.kind, body: pin.body.of.body}));
  }
  return [...backups.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * In an encrypted vault, the newest backup that it says it had, if that is gone and nothing says that it was removed.
 * docs/format.md, "Backups that are gone".
 */
function goneBelow(store, folder, backups) {
  if (!(store instanceof SealedStore)) return undefined;
  const opens = (key) => {
    try {
      readJson(store, key, kinds.document);
      return true;
    } catch {
      return false;
    }
  };
  // The others were the newest ones before; they may be gone for good reasons.
  const name = store.names(`${folder}/newest`).at(-1);
  if (name === undefined || backups.some((backup) => backup.name === name)) return undefined;
  if (backups.some((backup) => backup.name > name && backup.fault === undefined)) return undefined;
  if (!opens(`${folder}/newest/${name}`)) return undefined;
  const explains = (removed) => removed.replace(/-[0-9a-f]{32}$/, '') >= name && opens(`${folder}/removed/${removed}`);
  if (store.names(`${folder}/removed`).some(explains)) return undefined;
  const verdicts = store.names(`${folder}/${name}/verdict`).map((one) => `${folder}/${name}/verdict/${one}`);
  return verdicts.some((key) => saysVoid(store, key)) ? undefined : name;
}

function openVault(folder, options) {
  const store = new Store(folder);
  let header;
  if (store.has('bkp.json')) {
    try {
      header = JSON.parse(store.get('bkp.json').toString());
    } catch {
      warn('bkp.json is damaged; nothing that a restore needs is in it');
    }
  } else if (!store.has('packs') && !store.has('keys')) refuse(`${folder} contains no vault of bkp`);
  const {id, encryption} = header ?? {};
  // The header proves nothing: where there are keys, nothing is believed that they do not open.
  if (encryption === 'bkp-1' || ringNames(store).length > 0) return unlock(store, id, findSecret(store, options));
  if (encryption !== undefined && encryption !== 'none') {
    refuse(`the vault has an encryption that this reader does not know: ${encryption}`);
  }
  if (options.kit !== undefined || options['password-file'] !== undefined) {
    refuse('the vault is not encrypted: if it should be, someone replaced it; if not, leave the secret out');
  }
  return store;
}

function contentsOf(store) {
  const found = [];
  for (const part of store.names('.backups/collections')) {
    const folder = `.backups/collections/${part}`;
    // Part of a long name is cut off: then only the definition has it, and the place proves nothing.
    const isCut = part.includes('~');
    let name = decodeName(part);
    const newest = store.names(`${folder}/definition`).at(-1);
    if (newest !== undefined) {
      const key = `${folder}/definition/${newest}`;
      try {
        const definition = readJson(store, key, kinds.document);
        if (isCut) name = definition.name;
        else if (definition.name !== name) warn(`${key} is damaged: it is of collection ${definition.name}`);
      } catch (error) {
        warn(error.message);
      }
    }
    const owner = {kind: 'collection', name: isCut ? undefined : name};
    const backups = backupsBelow(store, folder, owner, (name) => /^\d{14}Z_(?:full|incremental)$/.test(name));
    found.push({kind: 'collection', name, backups, gone: goneBelow(store, folder, backups)});
  }
  for (const part of store.names('backup')) {
    const folder = `backup/${part}`;
    const owner = {kind: 'database', name: decodeName(part)};
    const backups = backupsBelow(store, folder, owner, (name) => /^\d{8}T\d{6}\.\d{6}Z$/.test(name));
    found.push({...owner, backups, gone: goneBelow(store, folder, backups)});
  }
  return found.filter(({backups, gone}) => backups.length > 0 || gone !== undefined);
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
  const hasCounters = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get() !== undefined;
  // The rows that were inserted have made one, also where the backup has none.
  if (hasCounters) db.prepare('DELETE FROM sqlite_sequence WHERE name = ?').run(name);
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

/** Rows are loaded after the primary keys: deltas remove rows by them, and they order the columns of older backups. */
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
  const all = JSON.parse(body.source.database.shared);
  // Rows need not meet a check of a domain that is not valid for all values.
  const checks = all.filter(({type, sql}) => type === 'CHECK CONSTRAINT' && sql.startsWith('ALTER DOMAIN '));
  const shared = all.filter((object) => !checks.includes(object));
  const createShared = ({schema, name, sql, value}) => {
    run([sql.replace(/^CREATE SCHEMA (?!IF NOT EXISTS)/, 'CREATE SCHEMA IF NOT EXISTS ')]);
    if (value !== undefined) sequences.push(JSON.stringify([schema, name, ...JSON.parse(value).slice(2)]));
  };
  for (const object of shared.filter(({position}) => position === undefined)) createShared(object);
  write('BEGIN;\n');
  // What needs tables itself has a place among their statements.
  const names = new Set(tables.map(({schema}) => schema.name));
  const among = shared.filter(({position, by = []}) => position !== undefined && by.some((name) => names.has(name)));
  const created = [
    ...tables.flatMap(({schema}) =>
      schema.definition.create.map((text) => ({at: Number.parseInt(text, 10), create: () => run([sqlOf(text)])})),
    ),
    ...among.map((object) => ({at: object.position, create: () => createShared(object)})),
  ];
  for (const {create} of created.sort((a, b) => a.at - b.at)) create();
  run(inOrder('constraints').filter(isKey));
  for (const {schema, layers} of tables) {
    const {definition} = schema;
    const name = `${ident(definition.schema)}.${ident(definition.table)}`;
    const only = definition.kind === 'partitioned' ? name : `ONLY ${name}`;
    const {list, keys, sameKey} = columnsOf(definition, name, write);
    // What a table computes is in its rows, which are put together beside it: the table may compute other values.
    const isComputed = (definition.computed ?? []).length > 0;
    const place = isComputed ? 'pg_temp.bkp_rows' : only;
    const into = `${isComputed ? place : name}${list === '' ? '' : ` (${list})`}`;
    const copy = (into, segments) => {
      for (const bytes of segmentsOf(chunks, streams, segments)) {
        write(`COPY ${into} FROM STDIN;\n`);
        write(bytes);
        write('\\.\n');
      }
    };
    if (isComputed) write(`CREATE TEMP TABLE bkp_rows AS SELECT ${list} FROM ${name} WHERE false;\n`);
    for (const layer of layers) {
      if (layer.kind === 'delta') {
        write(`CREATE TEMP TABLE bkp_keys AS SELECT ${keys} FROM ${name} WHERE false;\n`);
        copy('bkp_keys', layer.keyData);
        write(`SET search_path = pg_catalog, public;
DELETE FROM ${place} AS t USING bkp_keys AS k WHERE ${sameKey};
SET search_path = ''; DROP TABLE pg_temp.bkp_keys;
`);
        copy(into, layer.rowData);
      } else copy(into, layer.data);
    }
    if (isComputed) run(fromRows({definition, name, only, list}));
    say(`table ${schema.name}`);
  }
  for (const sequence of sequences) {
    const [schema, name, last, isCalled] = JSON.parse(sequence);
    const where = literal(`${ident(schema)}.${ident(name)}`);
    write(`SELECT pg_catalog.setval(${where}::regclass, ${BigInt(last)}, ${isCalled === true});\n`);
  }
  run(checks.map(({sql}) => sql));
  run(inOrder('constraints').filter((sql) => !isKey(sql)));
  run(inOrder('indexes'));
  run(inOrder('references'));
  write('COMMIT;\n');
  const objects = body.objects ?? [];
  run(objects.filter(({definition}) => definition.type !== 'ACL').map(({definition}) => definition.sql));
  write(`-- Triggers, policies and grants: what names a role that does not exist here fails alone.
\\set ON_ERROR_STOP off
`);
  run(inOrder('finish'));
  run(objects.filter(({definition}) => definition.type === 'ACL').map(({definition}) => definition.sql));
  closeSync(file);
  say('run it in an empty database: psql -X -d NAME -f FILE');
}

/**
 * The columns in the order of the rows. A table that inherits may be created with another order. Backups of older
 * versions do not say it: psql asks the table then.
 */
function columnsOf({columns, key = []}, name, write) {
  if (columns === undefined) {
    write(askForColumns(name));
    return {list: ':columns', keys: ':key_columns', sameKey: ':same_key'};
  }
  return {
    list: columns.map((column) => ident(column.split('\0')[0])).join(', '),
    keys: key.map(ident).join(', '),
    sameKey: key.map((column) => `t.${ident(column)} = k.${ident(column)}`).join(' AND '),
  };
}

/** From the rows with the values of the backup: the table computes its columns, and a warning says if they differ. */
function fromRows({definition, name, only, list}) {
  const names = definition.columns.map((column) => column.split('\0')[0]);
  const plain = names.filter((column) => !definition.computed.includes(column)).map(ident);
  const into = plain.length === 0 ? name : `${name} (${plain.join(', ')})`;
  const sum = `pg_catalog.sum(pg_catalog.hashtextextended(ROW(${list})::text COLLATE "C", 0)::numeric)`;
  const differs = `(SELECT ${sum} FROM ${only}) IS DISTINCT FROM (SELECT ${sum} FROM pg_temp.bkp_rows)`;
  const warning = literal(`${name} computes other values than it had in the backup`);
  return [
    `INSERT INTO ${into} OVERRIDING SYSTEM VALUE SELECT ${plain.join(', ')} FROM pg_temp.bkp_rows`,
    `DO ${literal(`BEGIN IF ${differs} THEN RAISE WARNING USING MESSAGE = ${warning}; END IF; END`)}`,
    'DROP TABLE pg_temp.bkp_rows',
  ];
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
    .map((line) => parseJson(line, 'a line of the list of files'));
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
  const {product, version} = manifest.body.database;
  if (product !== 'questdb') return;
  // The control files of its tables are in the checkpoint only. A server that finds this file recovers them.
  if (files.some(({path}) => path.startsWith('.checkpoint/'))) closeSync(openNew(join(folder, '_restore')));
  say(`the root of a QuestDB ${version}: start a server of the same major version on it`);
}

// ---------------------------------------------------------------------------------------------------------------------
// The command

const say = (text) => console.error(text);
const warn = (text) => console.error(`bkp-reader: ${text}`);

let scratchFolder;
const scratch = () => scratchFolder;

const openNew = (path) => openSync(path, 'wx');

/** SQLite applies a log or a journal of another database to the one that gets its name. */
function requireNoLeftJournal(path) {
  for (const left of [`${path}-wal`, `${path}-journal`]) {
    const found = statSync(left, {throwIfNoEntry: false});
    if (found === undefined || found.size === 0) continue;
    refuse(`${left} exists without its database, and would change the restored one: mv '${left}' '${left}.old'`);
  }
}

/** Writes below a temporary name beside the place, which appears complete or not at all. */
function produce(place, body) {
  const path = resolve(place);
  if (existsSync(path)) refuse(`${place} exists already, and nothing is replaced: name another place with --to`);
  requireNoLeftJournal(path);
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
      requireNoLeftJournal(path);
      // A link never replaces a file that appeared meanwhile.
      linkSync(made, path);
    }
  } finally {
    rmSync(scratchFolder, {recursive: true, force: true});
  }
  say(`restored to ${place}`);
}

function list(store, folder, given) {
  const found = contentsOf(store);
  if (found.length === 0) return say('the vault contains no backups');
  for (const {kind, name, backups, gone} of found) {
    console.log(`${kind} ${name}`);
    for (const backup of backups) console.log(`  ${backup.name}  ${backup.fault ?? summary(backup.manifest)}`);
    if (gone !== undefined) console.log(`  ${gone}  is gone: the vault says that it was the newest backup`);
  }
  const [{name, newest} = {}] = found.flatMap(({name, backups}) => {
    const newest = backups.findLast(({fault}) => fault === undefined);
    return newest === undefined ? [] : [{name, newest}];
  });
  if (name === undefined) return;
  const secret = ['kit', 'password-file'].flatMap((option) =>
    given[option] === undefined ? [] : ` --${option} '${given[option]}'`,
  );
  say(`\nTo restore one:\n  node ${basename(process.argv[1])} '${folder}' '${name}/${newest.name}'${secret}`);
}

function summary({body}) {
  if (body.files !== undefined) return `${body.database.product}, ${body.files} files, ${body.bytes} bytes`;
  return `${body.tables.length} table${body.tables.length === 1 ? '' : 's'}: ${body.tables.map(({schema}) => schema.name).join(', ')}`;
}

const namesIn = (named) => named.map(({name}) => name).join(', ');

function find(store, wanted) {
  const found = contentsOf(store);
  const whole = found.find(({name}) => name === wanted);
  const slash = wanted.lastIndexOf('/');
  const {backups, gone} =
    whole ??
    found.find(({name}) => name === wanted.slice(0, slash)) ??
    refuse(`the vault contains no collection or database ${wanted}: it has ${namesIn(found) || 'none'}`);
  const name = whole === undefined ? wanted.slice(slash + 1) : undefined;
  if (name === undefined && gone !== undefined) {
    const left = backups.length === 0 ? 'none is left' : `name one that is left: ${wanted}/${backups.at(-1).name}`;
    refuse(`the newest backup ${wanted}/${gone} is gone, and nothing says that it was removed; ${left}`);
  }
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
    kit: {type: 'string'},
    'password-file': {type: 'string'},
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
  const store = openVault(positionals[0], values);
  if (positionals.length === 1) list(store, positionals[0], values);
  else restore(store, positionals[1], values);
}

try {
  main();
} catch (error) {
  if (!(error instanceof Refusal) && error?.code === undefined) throw error;
  warn(error.message);
  process.exitCode = 1;
}
