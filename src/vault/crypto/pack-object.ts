import {free} from '../../lib/memory.ts';
import type {Key} from '../../stores/index.ts';
import {u32} from './derive.ts';
import {boundTo, frameBytes, frameOf, type SealKeys} from './frame.ts';
import type {SealKey} from './vault-keys.ts';
import {tagBytes, type Xaes} from './xaes.ts';

/**
 * A pack is sealed in segments of this many plain bytes, so that a part of it can be read. A larger segment costs more
 * bytes at the edges of what is read, a smaller one more time.
 */
export const segmentBytes = 32 * 1024;
const sealedSegmentBytes = segmentBytes + tagBytes;

/** The part of a nonce that all segments of a pack share; the rest is the number of the segment. */
const sharedNonceBytes = 20;

/** In front of what a pack's nonce is computed from: no length of another object's message is as large. */
const packMark = Buffer.alloc(8, 0xff);

/** Length of the object of a pack of `plainBytes`. */
export const sealedPackBytes = (plainBytes: number): number =>
  frameBytes + plainBytes + Math.ceil(plainBytes / segmentBytes) * tagBytes;

/**
 * Length of the pack in an object; 0 if no pack has an object of this length. Two lengths never have the same result,
 * so an object that was cut, or that grew, is noticed in a listing.
 */
export function plainPackBytes(sealedBytes: number): number {
  const body = Math.max(0, sealedBytes - frameBytes);
  const lastBytes = body % sealedSegmentBytes;
  return lastBytes > 0 && lastBytes <= tagBytes ? 0 : body - Math.ceil(body / sealedSegmentBytes) * tagBytes;
}

/** The pack's name, which is a part of `bound`, is the hash of its content, so no two packs share a nonce. */
const sharedNonce = (key: SealKey, bound: Buffer) => key.nonceOf(packMark, bound).subarray(0, sharedNonceBytes);

/** Segments that are sealed into one part of an object. */
const segmentsPerPart = 32;

/**
 * The object of a pack, one part after the other. Each part is valid until the next one is taken: an object has no
 * memory of its own as long as it.
 */
export function* sealedParts(keys: SealKeys, vault: string, key: Key, content: Uint8Array): Generator<Buffer> {
  const sealKey = keys.newest;
  const frame = frameOf('pack', sealKey);
  const bound = boundTo(frame, vault, key);
  const nonce = Buffer.concat([sharedNonce(sealKey, bound), u32(0)]);
  const count = Math.ceil(content.length / segmentBytes);
  const part = Buffer.allocUnsafeSlow(frameBytes + Math.min(count, segmentsPerPart) * sealedSegmentBytes);
  part.set(frame);
  let length = frameBytes;
  for (let number = 0; number < count; number++) {
    nonce.writeUInt32BE(number, sharedNonceBytes);
    const plain = content.subarray(number * segmentBytes, (number + 1) * segmentBytes);
    const [ciphertext, tag] = sealKey.aead.seal(nonce, plain, bound);
    part.set(ciphertext, length);
    part.set(tag, length + ciphertext.length);
    length += ciphertext.length + tagBytes;
    free(ciphertext);
    if ((number + 1) % segmentsPerPart > 0) continue;
    yield part.subarray(0, length);
    length = 0;
  }
  if (length > 0) yield part.subarray(0, length);
  free(part);
}

export function sealPack(keys: SealKeys, vault: string, key: Key, content: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafeSlow(sealedPackBytes(content.length));
  let at = 0;
  for (const part of sealedParts(keys, vault, key, content)) {
    sealed.set(part, at);
    at += part.length;
  }
  return sealed;
}

/** The bytes of a pack's object that hold some bytes of the pack; the object may end before the last of them. */
export function sealedRange({start, end}: {start: number; end: number}): {start: number; end: number} {
  const first = Math.floor(start / segmentBytes);
  const last = Math.ceil(end / segmentBytes);
  return {start: frameBytes + first * sealedSegmentBytes, end: frameBytes + last * sealedSegmentBytes};
}

type Opened = {plain: Buffer; isComplete: boolean};

/** Opens parts of one vault's packs. */
export class PackOpener {
  readonly #keys: SealKeys;
  readonly #vault: string;

  constructor(keys: SealKeys, vault: string) {
    this.#keys = keys;
    this.#vault = vault;
  }

  /**
   * @param sealed complete segments, from the one that has the byte `start` of the pack
   * @param end byte of the pack; absent: of all that is sealed there
   * @returns the plain bytes from `start` on, in memory of their own, fewer if the pack ends before. A segment that
   *   does not open becomes zeros: whoever reads a pack compares hashes, and still gets the chunks beside the damaged
   *   ones
   */
  open(key: Key, sealed: Uint8Array, start: number, end = Infinity): Opened {
    return this.#open(key, sealed, {start, end}, (length) => Buffer.allocUnsafeSlow(length));
  }

  /**
   * As {@link PackOpener.open}, into the memory of `sealed`. Other memory would be as large again, and new: the kernel
   * fills it with zeros first, which took a thirtieth of a verification.
   */
  openInPlace(key: Key, sealed: Uint8Array, start: number, end = Infinity): Opened {
    // No segment is written over before it was read: each plain byte is nearer to the beginning than its sealed one.
    return this.#open(key, sealed, {start, end}, (length) => Buffer.from(sealed.buffer, sealed.byteOffset, length));
  }

  #open(
    key: Key,
    sealed: Uint8Array,
    {start, end}: {start: number; end: number},
    memory: (length: number) => Buffer,
  ): Opened {
    const first = Math.floor(start / segmentBytes);
    const count = Math.ceil(sealed.length / sealedSegmentBytes);
    const skip = start % segmentBytes;
    const plainBytes = sealed.length - count * tagBytes - skip;
    const plain = memory(Math.max(0, Math.min(plainBytes, end - start)));
    // A part of a pack does not include its frame, so its key is found by trying.
    const candidates = this.#keys.all.map((sealKey) => this.#candidate(sealKey, key));
    let likely: Candidate | undefined;
    let isComplete = true;
    for (let number = 0; number < count; number++) {
      const segment = sealed.subarray(number * sealedSegmentBytes, (number + 1) * sealedSegmentBytes);
      const at = number * segmentBytes - skip;
      let opened: Buffer | undefined;
      for (const candidate of likely === undefined ? candidates : [likely]) {
        const {aead, bound, nonce} = candidate;
        nonce.writeUInt32BE(first + number, sharedNonceBytes);
        opened = aead.open(nonce, segment, bound);
        if (opened === undefined) continue;
        likely = candidate;
        break;
      }
      if (opened === undefined) {
        plain.subarray(Math.max(0, at), Math.max(0, at + segment.length - tagBytes)).fill(0);
        isComplete = false;
      } else {
        plain.set(opened.subarray(Math.max(0, -at), Math.max(0, plain.length - at)), Math.max(0, at));
        free(opened);
      }
    }
    return {plain, isComplete};
  }

  #candidate(sealKey: SealKey, key: Key): Candidate {
    const bound = boundTo(frameOf('pack', sealKey), this.#vault, key);
    return {aead: sealKey.aead, bound, nonce: Buffer.concat([sharedNonce(sealKey, bound), u32(0)])};
  }
}

/** A key that may be the one of a pack, with what all segments of it share. `nonce` ends with a segment's number. */
type Candidate = {aead: Xaes; bound: Buffer; nonce: Buffer};
