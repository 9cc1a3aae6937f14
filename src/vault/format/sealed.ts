import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {damaged} from './damage.ts';
import {hash, idBytes} from './hash.ts';
import {compress, decompress} from './zstd.ts';

/** Kinds of sealed objects. The number is in the frame, so that one kind is never mistaken for another. */
export const sealedKinds = {manifest: 1, document: 2, index: 3, packTable: 4} as const;
export type SealedKind = keyof typeof sealedKinds;

/** The first bytes of every sealed object. */
export const sealedMagic = 'BKPS';
/** The first bytes of every object of an encrypted vault, except its header and those below `keys/`. */
export const encryptedMagic = 'BKPE';
const magic = Buffer.from(sealedMagic);
const frameVersion = 1;
const headerBytes = 16;
const encodings = {plain: 0, zstd: 1} as const;

/** Tables and manifests are small compared with the data, so their size matters more than the time. */
const sealLevel = 3;

/** Far more than any sealed payload: a larger length is damage, and must not cause an allocation. */
const maxPayloadBytes = 1024 * 1024 * 1024;

/** Magic number of a frame that zstd skips; its length and content follow. RFC 8878, 3.1.2. */
const skippableMagic = 0x184d2a50;

/**
 * Wraps a payload in the frame of docs/format.md.
 * @param salt hex digits that distinguish the object, and so its name, from others with the same payload
 * @param fill how many zeros follow the salt, by the length of the object without them. Default: none
 */
export async function seal(
  kind: SealedKind,
  payload: Uint8Array,
  salt?: string,
  fill: (sizeBytes: number) => number = () => 0,
): Promise<Buffer> {
  const frame = await compress(payload, {level: sealLevel});
  const packed = salt === undefined ? frame : Buffer.concat([frame, salted(salt, frame.length)]);
  const smaller = salt !== undefined || packed.length < payload.length;
  const body = smaller ? packed : payload;
  const bytes = Buffer.alloc(headerBytes + body.length + idBytes);
  magic.copy(bytes);
  bytes.set([frameVersion, sealedKinds[kind], smaller ? encodings.zstd : encodings.plain, 0], 4);
  bytes.writeBigUInt64LE(BigInt(payload.length), 8);
  bytes.set(body, headerBytes);
  hash(bytes.subarray(0, -idBytes)).copy(bytes, bytes.length - idBytes);
  return bytes;

  function salted(text: string, packedBytes: number): Buffer {
    const content = Buffer.from(text, 'hex');
    const sizeBytes = headerBytes + packedBytes + skippableBytes + content.length + idBytes;
    return skippable(Buffer.concat([content, Buffer.alloc(fill(sizeBytes))]));
  }
}

const skippableBytes = 8;

function skippable(content: Buffer): Buffer {
  const head = Buffer.alloc(skippableBytes);
  head.writeUInt32LE(skippableMagic, 0);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

/**
 * The payload of a sealed object.
 * @param key only for the message
 * @throws BkpError `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer frame, or an encrypted one)
 */
export async function unseal(kind: SealedKind, sealed: Uint8Array, key: Key): Promise<Uint8Array> {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  if (bytes.length < headerBytes + idBytes) throw damaged(key, 'it is too short');
  if (!bytes.subarray(0, 4).equals(magic)) throw damaged(key, 'it does not begin like an object of bkp');
  if (!hash(bytes.subarray(0, -idBytes)).equals(bytes.subarray(-idBytes))) throw damaged(key, 'its checksum is wrong');
  // The bytes are as they were written, so unknown values are those of a newer version.
  if (bytes[4] !== frameVersion) throw newer(key, `frame version ${bytes[4]}`);
  if (bytes[5] !== sealedKinds[kind]) throw damaged(key, `it is not a ${kind}`);
  const plainBytes = bytes.readBigUInt64LE(8);
  if (plainBytes > maxPayloadBytes) throw damaged(key, 'its length is impossible');
  const body = bytes.subarray(headerBytes, -idBytes);
  const payload = await decodeBody(bytes[6]!, body, Number(plainBytes), key);
  if (payload.length !== Number(plainBytes)) throw damaged(key, 'its length is wrong');
  return payload;
}

async function decodeBody(encoding: number, body: Buffer, plainBytes: number, key: Key): Promise<Uint8Array> {
  switch (encoding) {
    case encodings.plain:
      return body;
    case encodings.zstd:
      try {
        return await decompress(body, plainBytes);
      } catch (error) {
        throw damaged(key, 'it does not decompress', error);
      }
    default:
      throw newer(key, `encoding ${encoding}`);
  }
}

function newer(key: Key, what: string): BkpError {
  return new BkpError('STORE_REFUSED', `${key} was written by a newer bkp (${what})`, {
    next: 'install the newest bkp',
    context: {key},
  });
}
