import type {Mutant} from './mutant.ts';

const frame = 'src/vault/crypto/frame.ts';
const xaes = 'src/vault/crypto/xaes.ts';
const small = 'src/vault/crypto/small-object.ts';
const pack = 'src/vault/crypto/pack-object.ts';
const slot = 'src/vault/keys/slot.ts';
const ring = 'src/vault/keys/ring.ts';
const unlock = 'src/vault/keys/unlock.ts';

const vectors = 'test/vault/crypto/vectors.test.ts';
const seals = 'test/vault/crypto/unusual-seals.test.ts';
const ranges = 'test/vault/crypto/pack-ranges.test.ts';
const sealedVault = 'test/vault/crypto/encrypted-vault.test.ts';
const keys = 'test/vault/keys/keys.test.ts';
const misplaced = 'test/vault/keys/misplaced.test.ts';

const nonces = 'equal messages have equal bytes, any other one has another nonce, and opens only where it belongs';
const otherProgram: Mutant['killedBy'] = [
  'test/long/reader-encrypted.test.ts',
  'everything in vault-1 is read if it is encrypted',
];
const elsewhere: Mutant['killedBy'] = [
  misplaced,
  'a slot or a ring of another vault, or under another name, is named as such',
];
const forged: Mutant['killedBy'] = [keys, 'are refused when someone who knows the public keys made the ring'];

/** What seals are made of, and which slots, rings and objects are believed. */
export const keyMutants: readonly Mutant[] = [
  {
    name: 'seal: it is not bound to the vault',
    file: frame,
    from: "Buffer.concat([frame, Buffer.from(vault, 'hex'), Buffer.from(key)])",
    to: 'Buffer.concat([frame, Buffer.from(key)])',
    killedBy: otherProgram,
  },
  {
    name: 'seal: it is not bound to the key of the object',
    file: frame,
    from: "Buffer.concat([frame, Buffer.from(vault, 'hex'), Buffer.from(key)])",
    to: "Buffer.concat([frame, Buffer.from(vault, 'hex')])",
    killedBy: [keys, nonces],
  },
  {
    name: 'seal: it is not bound to the beginning of the object',
    file: frame,
    from: "Buffer.concat([frame, Buffer.from(vault, 'hex'), Buffer.from(key)])",
    to: "Buffer.concat([Buffer.from(vault, 'hex'), Buffer.from(key)])",
    killedBy: otherProgram,
  },
  {
    name: 'seal: an object in plain is taken for one with a strange frame',
    file: frame,
    from: 'frame.length < frameBytes || !frame.subarray(0, 4).equals(magic)',
    to: 'frame.length < 0',
    killedBy: [seals, 'an object that begins as none that bkp seals is said to be not encrypted, however long it is'],
  },
  {
    name: 'seal: whatever the frame says, it is believed',
    file: frame,
    from: 'if (!frameOf(kind, found).equals(frame)) throw',
    to: 'if (frame.length === 0) throw',
    killedBy: [seals, 'an object whose frame has another kind is damaged, whoever sealed it'],
  },
  {
    name: 'seal: opening does not compare what it is bound to',
    file: xaes,
    from: '    cipher.setAAD(aad);\n    cipher.setAuthTag',
    to: '    cipher.setAuthTag',
    killedBy: [vectors, 'XAES-256-GCM gives the published result for key 3'],
  },
  {
    name: 'seal: opening does not compare the tag',
    file: xaes,
    from: '      cipher.final();\n      return plain;',
    to: '      return plain;',
    killedBy: [vectors, 'bytes that were changed, cut, or belong to another nonce do not open'],
  },
  {
    name: 'seal: a shorter tag is compared as far as it goes',
    file: xaes,
    from: '    if (end < 0) return undefined;\n',
    to: '',
    killedBy: ['test/vault/crypto/short-tags.test.ts', 'a message that ends after 0 bytes of its tag does not open'],
  },
  {
    name: 'seal: the nonce does not depend on the content',
    file: small,
    from: 'sealKey.nonceOf(boundBytes, bound, plain)',
    to: 'sealKey.nonceOf(boundBytes, bound)',
    killedBy: [keys, nonces],
  },
  {
    name: 'seal: the nonce does not depend on the place',
    file: small,
    from: 'sealKey.nonceOf(boundBytes, bound, plain)',
    to: 'sealKey.nonceOf(plain)',
    killedBy: [keys, nonces],
  },
  {
    name: 'seal: any nonce is taken',
    file: small,
    from: 'plain === undefined || !nonceOf(sealKey, bound, plain).equals(nonce)',
    to: 'plain === undefined',
    killedBy: [
      seals,
      'an object with another nonce than that of its message is damaged: it could open under a second key',
    ],
  },
  {
    name: 'seal: all segments of a pack have one nonce',
    file: pack,
    from: '    nonce.writeUInt32BE(number, sharedNonceBytes);\n    const plain',
    to: '    const plain',
    killedBy: [sealedVault, 'what a backup wrote is read by the next opening, verified, and collected'],
  },
  {
    name: 'seal: all packs have one nonce',
    file: pack,
    from: 'key.nonceOf(packMark, bound)',
    to: 'key.nonceOf(packMark)',
    killedBy: otherProgram,
  },
  {
    name: 'seal: a part of a pack that was written over is not read again with newer keys',
    file: 'src/vault/crypto/sealed-store.ts',
    from: 'if (!opened.isComplete && (await renewed()))',
    to: 'if (false)',
    killedBy: [ranges, 'a part that was sealed after a rotation is read with the newest keys'],
  },
  {
    name: 'seal: the nonce of a pack may be that of another object',
    file: pack,
    from: 'Buffer.alloc(8, 0xff)',
    to: 'Buffer.alloc(8, 0)',
    killedBy: otherProgram,
  },
  {
    name: 'seal: a pack may have any name',
    file: 'src/vault/crypto/sealed-store.ts',
    from: "      assert(hasPackId(body, packOfKey(key)), 'a pack is named by its hash');\n",
    to: '',
    killedBy: [
      sealedVault,
      'a pack under another name than that of its bytes is not sealed: its nonce comes from the name',
    ],
  },
  {
    name: 'names: a folder that is not the hidden name of a collection is shown as one',
    file: 'src/vault/crypto/hidden-names.ts',
    from: 'return this.hide(shown) === key ? shown : undefined;',
    to: 'return shown;',
    killedBy: [
      sealedVault,
      'a folder whose name is another spelling of a hidden one is nobody’s: a backup is not listed twice',
    ],
  },
  {
    name: 'keys: the vault is no salt of what is derived',
    file: 'src/vault/crypto/derive.ts',
    from: "Buffer.from(vault, 'hex'), `bkp-1",
    to: 'Buffer.alloc(0), `bkp-1',
    killedBy: [vectors, 'a key is derived with the vault as salt and the label as info'],
  },
  {
    name: 'keys: the parts of slots and rings share one key',
    file: 'src/vault/keys/sealed-json.ts',
    from: '): Buffer | undefined {\n',
    to: "): Buffer | undefined {\n  what = 'part';\n",
    killedBy: [keys, 'open with their secret, and with no other one'],
  },
  {
    name: 'keys: damage to a slot or a ring is not told from a wrong secret',
    file: 'src/vault/keys/sealed-json.ts',
    from: 'if (checksum !== sha256(JSON.stringify(value))) throw',
    to: 'if (checksum === undefined) throw',
    killedBy: [keys, 'are called damaged, and never the secret wrong, if a byte changes in both copies'],
  },
  {
    name: 'slot: its commitment is not compared',
    file: slot,
    from: 'if (!areSame(commitmentOf(slotKey, vault), commitment)) {',
    to: 'if (commitment.length === 0) {',
    killedBy: [keys, 'open with their secret, and with no other one'],
  },
  {
    name: 'slot: it is not bound to its derivation',
    file: slot,
    from: 'kdf: kdf ?? null, ',
    to: '',
    killedBy: otherProgram,
  },
  {
    name: 'slot: it is not bound to what a keeper wrapped',
    file: slot,
    from: '...(wrapped === undefined ? {} : {wrapped}), commitment})',
    to: 'commitment})',
    killedBy: [
      misplaced,
      'a slot in which what a keeper wrapped was exchanged is damaged, even if it gives the same key',
    ],
  },
  {
    name: 'slot: one of another vault is taken',
    file: slot,
    from: 'if (slot.vault !== vault) throw',
    to: 'if (slot.vault === undefined) throw',
    killedBy: elsewhere,
  },
  {
    name: 'slot: one under another name is taken',
    file: slot,
    from: 'if (!key.endsWith(',
    to: 'if (key === (',
    killedBy: elsewhere,
  },
  {
    name: 'ring: its commitment is not compared',
    file: ring,
    from: 'root === undefined || !areSame(commitmentOf(root, vault), commitment)',
    to: 'root === undefined',
    killedBy: [misplaced, 'a ring whose commitment is not that of its root is refused: it could open with two roots'],
  },
  {
    name: 'ring: it need not follow from the one before',
    file: ring,
    from: '  requireChain(vault, [...history, own], slot, key);\n',
    to: '',
    killedBy: forged,
  },
  {
    name: 'ring: the one that the slot knows need not be among those before',
    file: ring,
    from: "areSame(commitmentOf(Buffer.from(known.root, 'hex'), vault), slot.root)",
    to: 'areSame(slot.root, slot.root)',
    killedBy: forged,
  },
  {
    name: 'ring: its link is not compared',
    file: ring,
    from: 'if (!areSame(link, linkOf(before, vault, at + 1, commitment, slots))) throw forged();',
    to: 'void [before, commitment, link, slots, at];',
    killedBy: [misplaced, 'a ring that knows the roots before it, and whose link is not theirs, is refused'],
  },
  {
    name: 'ring: one of another vault is taken',
    file: ring,
    from: 'if (vault !== undefined && ring.vault !== vault) throw',
    to: 'if (ring.vault === undefined) throw',
    killedBy: elsewhere,
  },
  {
    name: 'ring: one under another name is taken',
    file: ring,
    from: 'if (!key.endsWith(',
    to: 'if (key === (',
    killedBy: elsewhere,
  },
  {
    name: 'ring: any number of slots is tried',
    file: ring,
    from: ', v.maxLength(mostSlots)',
    to: '',
    killedBy: [keys, 'of a ring with a thousand slots are refused before one of them is tried'],
  },
  {
    name: 'pin: older keys are not told from others',
    file: unlock,
    from: '  requireNotOlder(store, newest, pin);\n',
    to: '  void requireNotOlder;\n',
    killedBy: [keys, 'are refused when they are older than the ring that was seen, or another one'],
  },
  {
    name: 'pin: a ring that was replaced is taken for damaged',
    file: unlock,
    from: 'if (isPinned && pin.commitment !== json.commitment) throw',
    to: 'if (isPinned && json.commitment === undefined) throw',
    killedBy: [keys, 'are refused as others, and not as damaged, when one that does not open replaced their ring'],
  },
  {
    name: 'pin: newer keys need not follow from those that were seen',
    file: unlock,
    from: '  if (!isKnown) throw otherRing',
    to: '  if (isKnown === undefined) throw otherRing',
    killedBy: [keys, 'are refused when they are newer and do not follow from the ring that was seen'],
  },
];
