import {randomBytes} from 'node:crypto';
import * as v from 'valibot';
import {assert} from '../../errors/index.ts';
import {parsed, parsedJson} from '../../lib/schema.ts';
import type {Key} from '../../stores/index.ts';
import {areSame, commitmentOf, derived, keyBytes, mac, sha256, u32} from '../crypto/derive.ts';
import {idOfKey, type RawKey, type VaultKeys, vaultKeysSchema} from '../crypto/vault-keys.ts';
import {decapsulated, encapsulateFor} from '../crypto/x-wing.ts';
import {damaged} from '../format/damage.ts';
import {keysPrefix} from '../format/key.ts';
import {checkedJson, openPart, sealPart, withChecksum} from './sealed-json.ts';
import {type OpenedSlot, slotId} from './slot.ts';

/** A ring has at most this many slots: each one may cost whoever opens the vault the derivation of a password. */
export const mostSlots = 32;

/** One slot as a ring lists it, outside: the ring's root, sealed for the slot's public key. */
const wrapSchema = v.object({id: slotId, public: v.string(), encapsulated: v.string(), root: v.string()});
type Wrap = v.InferOutput<typeof wrapSchema>;

const ringSchema = v.object({
  format: v.literal('bkp ring'),
  version: v.literal(1),
  vault: v.string(),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  commitment: v.string(),
  link: v.string(),
  slots: v.pipe(v.array(wrapSchema), v.minLength(1), v.maxLength(mostSlots)),
  body: v.string(),
});
type RingJson = v.InferOutput<typeof ringSchema>;

/** A slot as a ring's body lists it. */
const slotInfoSchema = v.object({
  id: v.string(),
  kind: v.string(),
  label: v.string(),
  /** ISO time. */
  created: v.string(),
  /** True for a key that is on paper, apart from the machines that use it. */
  isKit: v.exactOptional(v.boolean()),
  public: v.string(),
  /** Of the derivation of a password, in hex digits. */
  salt: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
});
export type SlotInfo = v.InferOutput<typeof slotInfoSchema>;

/** What is needed of an older ring, to check that the next one follows from it. */
const linkSchema = v.object({root: v.string(), link: v.string(), slots: v.string()});
type Link = v.InferOutput<typeof linkSchema>;

const bodySchema = v.object({
  names: vaultKeysSchema.entries.names,
  data: vaultKeysSchema.entries.data,
  meta: vaultKeysSchema.entries.meta,
  slots: v.array(slotInfoSchema),
  /** Of the rings before this one, from the first on. */
  history: v.array(linkSchema),
  /** ISO time: since then what is under older keys is sealed again, and that has not ended. */
  reencrypting: v.exactOptional(v.string()),
  /** Rings before this one have keys that were forgotten: they are removed. */
  firstRing: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
});
type Body = v.InferOutput<typeof bodySchema>;

/** A ring that was opened, or made. */
export type Ring = {
  keys: VaultKeys;
  slots: readonly SlotInfo[];
  link: Link;
  history: readonly Link[];
  reencrypting?: string | undefined;
  /** Rings before this one are of no use any more. */
  firstRing?: number | undefined;
};

export const ringsPrefix = `${keysPrefix}rings/`;

export const ringKey = (generation: number): Key => ringsPrefix + String(generation).padStart(8, '0');

const parts = {body: 'ring body', wrap: 'wrap', link: 'link'} as const;

/** Proves to whoever knows the root before that this ring follows from it. The first ring's proof is its own root's. */
const linkOf = (before: Uint8Array, vault: string, generation: number, commitment: string, slots: string): string =>
  mac(
    derived(before, vault, parts.link),
    u32(generation),
    Buffer.from(commitment, 'hex'),
    Buffer.from(slots, 'hex'),
  ).toString('hex');

const outside = ({vault, generation, commitment, link, slots}: Omit<RingJson, 'body' | 'format' | 'version'>) =>
  JSON.stringify({vault, generation, commitment, link, slots});

export const newRawKey = (vault: string, nowMs: number): RawKey => {
  const key = randomBytes(keyBytes);
  return {id: idOfKey(key, vault), key: key.toString('hex'), since: new Date(nowMs).toISOString()};
};

export const newRoot = (): Buffer => randomBytes(keyBytes);

type NextRing = {
  vault: string;
  /** 32 random bytes, new in every ring. */
  root: Buffer;
  /** Absent: this is the first. */
  before?: Ring | undefined;
  keys: Pick<VaultKeys, 'names' | 'data' | 'meta'>;
  slots: readonly SlotInfo[];
  reencrypting?: string | undefined;
  firstRing?: number | undefined;
};

/** Seals a ring for the public keys of its slots. */
export function sealRing(next: NextRing): {ring: Ring; bytes: Buffer} {
  const {vault, root, before, keys, slots} = next;
  assert(slots.length > 0 && slots.length <= mostSlots, 'a ring has 1 to 32 slots');
  const generation = (before?.keys.generation ?? 0) + 1;
  const commitment = commitmentOf(root, vault);
  const wraps = slots.map(({id, public: publicKey}): Wrap => {
    const {encapsulated, shared} = encapsulateFor(Buffer.from(publicKey, 'base64'));
    return {
      id,
      public: publicKey,
      encapsulated: encapsulated.toString('base64'),
      root: sealPart(shared, parts.wrap, vault, root, `${generation} ${id}`),
    };
  });
  const slotsHash = sha256(JSON.stringify(wraps));
  const beforeRoot = before === undefined ? root : Buffer.from(before.link.root, 'hex');
  const link: Link = {
    root: root.toString('hex'),
    link: linkOf(beforeRoot, vault, generation, commitment, slotsHash),
    slots: slotsHash,
  };
  const history = before === undefined ? [] : [...before.history, before.link];
  const common = {vault, generation, commitment, link: link.link, slots: wraps};
  const {names, data, meta} = keys;
  const notes = notesOf(next);
  const body: Body = {names, data, meta, slots: [...slots], history, ...notes};
  const ring: RingJson = {
    format: 'bkp ring',
    version: 1,
    ...common,
    body: sealPart(root, parts.body, vault, Buffer.from(JSON.stringify(body)), outside(common)),
  };
  const opened = {vault, generation, commitment, names, data, meta, slots: slots.map(({id}) => id)};
  return {ring: {keys: opened, slots, link, history, ...notes}, bytes: withChecksum(ring)};
}

/** The optional members that are there. */
const notesOf = ({reencrypting, firstRing}: Pick<Ring, 'reencrypting' | 'firstRing'>) => ({
  ...(reencrypting === undefined ? {} : {reencrypting}),
  ...(firstRing === undefined ? {} : {firstRing}),
});

/** @throws BkpError `OBJECT_DAMAGED` */
export function parseRing(bytes: Uint8Array, key: Key, vault: string | undefined): RingJson {
  const ring = parsed<RingJson>(ringSchema, checkedJson(bytes, key), (why) => damaged(key, `it is not a ring: ${why}`));
  if (vault !== undefined && ring.vault !== vault) throw damaged(key, 'it belongs to another vault');
  if (!key.endsWith(`/${String(ring.generation).padStart(8, '0')}`))
    throw damaged(key, 'it belongs under another name');
  return ring;
}

/**
 * @returns undefined if the ring has no place for this slot: it was removed
 * @throws BkpError `OBJECT_DAMAGED` if the ring was changed, or made by someone who did not know the one before
 */
export function openRing(json: RingJson, slot: OpenedSlot): Ring | undefined {
  const {vault, generation, commitment, link, slots, body} = json;
  const key = ringKey(generation);
  const wrap = slots.find(({id}) => id === slot.id);
  if (wrap === undefined) return undefined;
  const shared = decapsulated(Buffer.from(slot.seed, 'hex'), Buffer.from(wrap.encapsulated, 'base64'));
  const root = shared && openPart(shared, parts.wrap, vault, wrap.root, `${generation} ${slot.id}`);
  if (root === undefined || !areSame(commitmentOf(root, vault), commitment)) {
    throw damaged(key, 'the part for this slot does not open: it was changed');
  }
  const plain = openPart(root, parts.body, vault, body, outside(json));
  if (plain === undefined) throw damaged(key, 'it does not open: it was changed');
  const opened = parsedJson<Body>(bodySchema, plain.toString(), (why) => damaged(key, why));
  const {names, data, meta, slots: infos, history} = opened;
  const own: Link = {root: root.toString('hex'), link, slots: sha256(JSON.stringify(slots))};
  requireChain(vault, [...history, own], slot, key);
  const keys = {vault, generation, commitment, names, data, meta, slots: slots.map(({id}) => id)};
  return {keys, slots: infos, link: own, history, ...notesOf(opened)};
}

/**
 * Anyone can seal a ring for the public keys that a ring shows. So a slot believes a ring only if it follows, link by
 * link, from the one that the slot knows.
 */
function requireChain(vault: string, links: readonly Link[], slot: OpenedSlot, key: Key): void {
  const forged = () =>
    damaged(
      key,
      'it does not follow from the ring that this slot knows: someone else made it',
      undefined,
      'restore all objects below keys/ from a copy of the store, and remove this one; ask who may write to the store',
    );
  const known = links[slot.generation - 1];
  if (known === undefined || !areSame(commitmentOf(Buffer.from(known.root, 'hex'), vault), slot.root)) throw forged();
  for (const [at, {root, link, slots}] of links.entries()) {
    const commitment = commitmentOf(Buffer.from(root, 'hex'), vault);
    const before = Buffer.from(links[Math.max(0, at - 1)]!.root, 'hex');
    if (!areSame(link, linkOf(before, vault, at + 1, commitment, slots))) throw forged();
  }
}
