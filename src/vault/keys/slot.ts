import {randomBytes} from 'node:crypto';
import * as v from 'valibot';
import {parsed, parsedJson} from '../../lib/schema.ts';
import type {Key} from '../../stores/index.ts';
import {areSame, commitmentOf, derived} from '../crypto/derive.ts';
import {publicKeyOf, sizes} from '../crypto/x-wing.ts';
import {damaged} from '../format/damage.ts';
import {keysPrefix} from '../format/key.ts';
import {checkedJson, openPart, sealPart, withChecksum} from './sealed-json.ts';
import {
  isKeyCode,
  isUsable,
  type Kdf,
  newKey,
  parseSecret,
  type Secret,
  type SlotName,
  strengthened,
} from './secret.ts';

/** Names an object: no other text may become a part of its key. */
export const slotId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));

/** A slot: what one secret opens. It gives the seed of a key pair, and rings are sealed for the public half. */
const slotSchema = v.object({
  format: v.literal('bkp slot'),
  version: v.literal(1),
  vault: v.string(),
  id: slotId,
  /** Another one than this bkp knows is a slot that it cannot open. */
  kind: v.string(),
  kdf: v.exactOptional(
    v.object({
      name: v.literal('argon2id'),
      memoryKiB: v.number(),
      passes: v.number(),
      parallelism: v.number(),
      salt: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    }),
  ),
  /** Of a slot whose key is kept by something else. */
  wrapped: v.exactOptional(v.record(v.string(), v.string())),
  commitment: v.string(),
  sealed: v.string(),
});
export type Slot = v.InferOutput<typeof slotSchema>;

const bodySchema = v.object({
  seed: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  generation: v.number(),
  root: v.string(),
});

/**
 * What a slot's secret gives.
 * `generation` and `root`: a ring that existed when the slot was made, and its commitment. Every later ring must follow
 * from that one.
 */
const openedSchema = v.object({
  id: v.string(),
  /** 32 bytes in hex digits. */
  seed: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  generation: v.number(),
  root: v.string(),
});
export type OpenedSlot = v.InferOutput<typeof openedSchema>;

/** Opened slots by their vaults, as one process passes them to another. */
export const openedSlots = v.record(v.string(), openedSchema);

export const slotsPrefix = `${keysPrefix}slots/`;

export const isSlotKey = (key: Key): boolean => /^keys\/slots\/[0-9a-f]{32}$/.test(key);

const what = 'slot body';

const boundOf = ({vault, id, kind, kdf, wrapped, commitment}: Omit<Slot, 'sealed' | 'format' | 'version'>) =>
  JSON.stringify({vault, id, kind, kdf: kdf ?? null, ...(wrapped === undefined ? {} : {wrapped}), commitment});

/**
 * @param after the ring that exists now, or the one to come if it is the first
 * @param kdf required for a password
 * @returns `own`: what the slot's key was derived from
 */
export async function makeSlot(
  vault: string,
  secret: Secret,
  kdf: Kdf | undefined,
  after: {generation: number; commitment: string},
): Promise<{slot: Slot; publicKey: Buffer; own: Secret}> {
  const id = randomBytes(16).toString('hex');
  const {own, wrapped} = await ownSecret(secret, {vault, id});
  const slotKey = derived(await strengthened(own, kdf), vault, `slot ${id}`);
  const seed = randomBytes(sizes.seed);
  const common = {
    vault,
    id,
    kind: secret.kind,
    ...(secret.kind === 'password' && kdf !== undefined ? {kdf} : {}),
    ...(wrapped === undefined ? {} : {wrapped}),
    commitment: commitmentOf(slotKey, vault),
  };
  const body = JSON.stringify({seed: seed.toString('hex'), generation: after.generation, root: after.commitment});
  const sealed = sealPart(slotKey, what, vault, Buffer.from(body), boundOf(common));
  return {slot: {format: 'bkp slot', version: 1, ...common, sealed}, publicKey: publicKeyOf(seed), own};
}

/** A keeper's slot has a key of its own. */
async function ownSecret(secret: Secret, slot: SlotName) {
  if (secret.kind === 'password' || secret.kind === 'key') return {own: secret};
  const {secret: own, code} = newKey();
  return {own, wrapped: await secret.wrap(code, slot)};
}

export const encodeSlot = (slot: Slot): Buffer => withChecksum(slot);

/** @throws BkpError `OBJECT_DAMAGED` */
export function parseSlot(bytes: Uint8Array, key: string, vault: string): Slot {
  const slot = parsed<Slot>(slotSchema, checkedJson(bytes, key), (why) => damaged(key, `it is not a slot: ${why}`));
  if (slot.vault !== vault) throw damaged(key, 'it belongs to another vault');
  if (!key.endsWith(`/${slot.id}`)) throw damaged(key, 'it belongs under another name');
  if (slot.kdf !== undefined && !isUsable(slot.kdf)) throw damaged(key, 'it asks for an impossible derivation');
  return slot;
}

/** Opens slots with one secret: passwords with equal parameters are derived once. */
export class SlotOpener {
  readonly #secret: Secret;
  readonly #derived = new Map<string, Promise<Uint8Array>>();

  constructor(secret: Secret) {
    this.#secret = secret;
  }

  /**
   * @returns undefined if the secret is not that of the slot
   * @throws BkpError `OBJECT_DAMAGED` if it is, and the slot does not open
   */
  async open(slot: Slot): Promise<OpenedSlot | undefined> {
    const {vault, id, commitment, sealed} = slot;
    const key = slotsPrefix + id;
    const strong = await this.#strong(slot);
    if (strong === undefined) return undefined;
    const slotKey = derived(strong, vault, `slot ${id}`);
    if (!areSame(commitmentOf(slotKey, vault), commitment)) {
      if (slot.wrapped !== undefined && this.#secret.kind === slot.kind) throw damaged(key, 'it holds another key');
      return undefined;
    }
    const body = openPart(slotKey, what, vault, sealed, boundOf(slot));
    if (body === undefined) throw damaged(key, 'it does not open: it was changed');
    const read = parsedJson(bodySchema, body.toString(), (why) => damaged(key, why));
    return {id, ...read};
  }

  /** @returns undefined if the secret cannot be that of the slot */
  async #strong({vault, id, kind, kdf, wrapped}: Slot): Promise<Uint8Array | undefined> {
    const secret = this.#secret;
    if (secret.kind === 'password') {
      return kind === 'password' && kdf !== undefined ? this.#strengthened(secret, kdf) : undefined;
    }
    // A keeper's slot has a key as well, which the keeper's own tools can print.
    if (secret.kind === 'key') return kind === 'key' || wrapped !== undefined ? secret.bytes : undefined;
    if (kind !== secret.kind || wrapped === undefined) return undefined;
    const code = await secret.unwrap(wrapped, {vault, id});
    if (code === undefined) return undefined;
    const own = isKeyCode(code) ? parseSecret(code) : undefined;
    if (own?.kind !== 'key') throw damaged(slotsPrefix + id, `what ${kind} opens is not a key`);
    return own.bytes;
  }

  #strengthened(secret: Secret & {kind: 'password'}, kdf: Kdf): Promise<Uint8Array> {
    const parameters = JSON.stringify(kdf);
    const known = this.#derived.get(parameters) ?? strengthened(secret, kdf);
    this.#derived.set(parameters, known);
    return known;
  }
}
