import {randomBytes} from 'node:crypto';
import * as v from 'valibot';
import {parsed, parsedJson} from '../../lib/schema.ts';
import {areSame, commitmentOf, derived} from '../crypto/derive.ts';
import {publicKeyOf, sizes} from '../crypto/x-wing.ts';
import {damaged} from '../format/damage.ts';
import {keysPrefix} from '../format/key.ts';
import {checkedJson, openPart, sealPart, withChecksum} from './sealed-json.ts';
import {isUsable, type Kdf, type Secret, strengthened} from './secret.ts';

/** A slot: what one secret opens. It gives the seed of a key pair, and rings are sealed for the public half. */
const slotSchema = v.object({
  format: v.literal('bkp slot'),
  version: v.literal(1),
  vault: v.string(),
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  kind: v.picklist(['password', 'key']),
  kdf: v.exactOptional(
    v.object({
      name: v.literal('argon2id'),
      memoryKiB: v.number(),
      passes: v.number(),
      parallelism: v.number(),
      salt: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    }),
  ),
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

/** @returns opened slots by their vaults, as another process passed them as JSON; throws if it is something else */
export const parseOpenedSlots = (json: string): Record<string, OpenedSlot> =>
  parsedJson(v.record(v.string(), openedSchema), json, (why) => new Error(why));

export const slotsPrefix = `${keysPrefix}slots/`;

const what = 'slot body';

const boundOf = ({vault, id, kind, kdf, commitment}: Omit<Slot, 'sealed' | 'format' | 'version'>) =>
  JSON.stringify({vault, id, kind, kdf: kdf ?? null, commitment});

/**
 * @param after the ring that exists now, or the one to come if it is the first
 * @param kdf required for a password
 */
export async function makeSlot(
  vault: string,
  secret: Secret,
  kdf: Kdf | undefined,
  after: {generation: number; commitment: string},
): Promise<{slot: Slot; publicKey: Buffer}> {
  const id = randomBytes(16).toString('hex');
  const slotKey = derived(await strengthened(secret, kdf), vault, `slot ${id}`);
  const seed = randomBytes(sizes.seed);
  const common = {
    vault,
    id,
    kind: secret.kind,
    ...(secret.kind === 'password' && kdf !== undefined ? {kdf} : {}),
    commitment: commitmentOf(slotKey, vault),
  };
  const body = JSON.stringify({seed: seed.toString('hex'), generation: after.generation, root: after.commitment});
  const sealed = sealPart(slotKey, what, vault, Buffer.from(body), boundOf(common));
  return {slot: {format: 'bkp slot', version: 1, ...common, sealed}, publicKey: publicKeyOf(seed)};
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
    const {vault, id, kind, kdf, commitment, sealed} = slot;
    if (kind !== this.#secret.kind || (kind === 'password' && kdf === undefined)) return undefined;
    const slotKey = derived(await this.#strengthened(kdf), vault, `slot ${id}`);
    if (!areSame(commitmentOf(slotKey, vault), commitment)) return undefined;
    const key = slotsPrefix + id;
    const body = openPart(slotKey, what, vault, sealed, boundOf(slot));
    if (body === undefined) throw damaged(key, 'it does not open: it was changed');
    const read = parsedJson(bodySchema, body.toString(), (why) => damaged(key, why));
    return {id, ...read};
  }

  #strengthened(kdf: Kdf | undefined): Promise<Uint8Array> {
    const parameters = JSON.stringify(kdf ?? null);
    const known = this.#derived.get(parameters) ?? strengthened(this.#secret, kdf);
    this.#derived.set(parameters, known);
    return known;
  }
}
