import {BkpError} from '../../errors/index.ts';
import {probeKey, type Store} from '../../stores/index.ts';
import {commitmentOf} from '../crypto/derive.ts';
import {isDamage} from '../format/damage.ts';
import {headerKey, keysPrefix} from '../format/key.ts';
import {type KeyObjects, listKeyObjects, readCopies} from './key-objects.ts';
import {mostSlots, openRing, parseRing, type Ring, ringKey, type SlotInfo} from './ring.ts';
import type {Secret} from './secret.ts';
import {type OpenedSlot, parseSlot, type Slot, SlotOpener, slotsPrefix} from './slot.ts';

/** The newest ring that this home has seen of a vault: an older one, or another one, is not believed. */
export type RingPin = {generation: number; commitment: string};

export type Unlocked = {ring: Ring; slot: OpenedSlot; objects: KeyObjects};

type Options = {vault: string; pin?: RingPin | undefined};

/**
 * Opens the newest ring of a vault with a secret.
 * @throws BkpError `SECRET_WRONG` | `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` (an older ring than the
 *   pinned one)
 */
export async function unlock(store: Store, secret: Secret, options: Options): Promise<Unlocked> {
  const {vault} = options;
  const {json, objects} = await newestRing(store, options);
  const opened = await openedSlot(
    store,
    secret,
    vault,
    json.slots.map(({id}) => id),
  );
  const {slot, fault} = opened;
  if (slot === undefined) {
    if (fault !== undefined && !isDamage(fault)) throw fault;
    // A secret that opens a slot which the ring no longer names was removed.
    // A store may have any number of others: each try of a password takes a second.
    const others = namesNot(objects, json.slots).slice(0, mostSlots);
    const removed = await openedSlot(store, secret, vault, others);
    if (removed.slot !== undefined) throw slotRemoved(store);
    if (fault !== undefined) throw fault;
    throw wrongSecret(store, secret);
  }
  const ring = openRing(json, slot)!;
  requireSameHistory(store, ring, options.pin);
  return {ring, slot, objects};
}

/**
 * Opens the newest ring with a slot that was opened before.
 * @throws BkpError as {@link unlock}
 */
export async function openWithSlot(store: Store, slot: OpenedSlot, options: Options): Promise<Unlocked> {
  const {json, objects} = await newestRing(store, options);
  const ring = openRing(json, slot);
  if (ring === undefined) throw slotRemoved(store);
  requireSameHistory(store, ring, options.pin);
  return {ring, slot, objects};
}

async function newestRing(store: Store, {vault, pin}: Options) {
  let objects = await listKeyObjects(store);
  let json = await readRing(store, vault, objects);
  if (json === undefined) {
    // Another process may have forgotten keys since the listing, and removed the ring that was the newest.
    const [gone = 0] = objects.generations;
    objects = await listKeyObjects(store);
    json = (objects.generations[0] ?? 0) > gone ? await readRing(store, vault, objects) : undefined;
  }
  if (json === undefined) throw ringMissing(store);
  const newest = json.generation;
  requireNotOlder(store, newest, pin);
  const isPinned = pin?.generation === newest;
  if (isPinned && pin.commitment !== json.commitment) throw otherRing(store, newest);
  return {json, objects};
}

/** @returns the newest one; undefined if there is none */
async function readRing(store: Store, vault: string, {generations: [newest]}: KeyObjects) {
  if (newest === undefined) return undefined;
  return (await readCopies(store, ringKey(newest), (bytes, key) => parseRing(bytes, key, vault)))?.value;
}

const namesNot = ({slots}: KeyObjects, named: readonly {id: string}[]): string[] =>
  slots.map((key) => key.slice(slotsPrefix.length)).filter((id) => !named.some((one) => one.id === id));

async function openedSlot(
  store: Store,
  secret: Secret,
  vault: string,
  ids: readonly string[],
): Promise<{slot?: OpenedSlot; fault?: unknown}> {
  const opener = new SlotOpener(secret);
  let fault: unknown;
  for (const id of ids) {
    let found: Slot | undefined;
    try {
      found = (await readCopies(store, slotsPrefix + id, (bytes, key) => parseSlot(bytes, key, vault)))?.value;
    } catch (error) {
      // Another slot may open.
      if (!isDamage(error)) throw error;
      fault ??= error;
      continue;
    }
    try {
      const slot = found && (await opener.open(found));
      if (slot !== undefined) return {slot};
    } catch (error) {
      // A keeper that does not answer for one slot may do so for another. What it says matters more than damage.
      if (!(error instanceof BkpError)) throw error;
      fault = fault === undefined || (isDamage(fault) && !isDamage(error)) ? error : fault;
    }
  }
  return {fault};
}

/**
 * Whether a secret opens one slot, for a check.
 * @throws BkpError as a keeper does | `OBJECT_DAMAGED`
 */
export async function opensSlot(store: Store, secret: Secret, slot: {vault: string; id: string}): Promise<boolean> {
  const parse = (bytes: Uint8Array, key: string) => parseSlot(bytes, key, slot.vault);
  const found = await readCopies(store, slotsPrefix + slot.id, parse);
  return found !== undefined && (await new SlotOpener(secret).open(found.value)) !== undefined;
}

/** Which of a ring's slots a secret opens; one that is damaged counts as one that it does not. */
export async function slotOpenedBy(
  store: Store,
  secret: Secret,
  {keys, slots}: Pick<Ring, 'keys' | 'slots'>,
): Promise<SlotInfo | undefined> {
  const ids = slots.map(({id}) => id);
  const {slot} = await openedSlot(store, secret, keys.vault, ids);
  return slots.find(({id}) => id === slot?.id);
}

/** @throws BkpError `STORE_REFUSED` */
function requireNotOlder(store: Store, newest: number, pin: RingPin | undefined): void {
  if (pin === undefined || newest >= pin.generation) return;
  throw new BkpError('STORE_REFUSED', `the keys of the vault in ${store.description} are older than before`, {
    cause: `ring ${newest} is the newest, but this machine has seen ring ${pin.generation}: the store was rolled back`,
    next: 'restore the newest objects below keys/ from a copy of the store, or ask whoever manages it what happened',
  });
}

/**
 * Each ring holds the roots of those before it, which nobody else knows. A slot for a public key, and all rings that
 * follow from it, can be made by anyone; only this shows that they are not the ones of before.
 * @throws BkpError `STORE_REFUSED`
 */
function requireSameHistory(store: Store, {keys, history, link}: Ring, pin: RingPin | undefined): void {
  if (pin === undefined) return;
  const root = [...history, link][pin.generation - 1]?.root;
  const isKnown = root !== undefined && commitmentOf(Buffer.from(root, 'hex'), keys.vault) === pin.commitment;
  if (!isKnown) throw otherRing(store, pin.generation);
}

function otherRing(store: Store, generation: number): BkpError {
  return new BkpError('STORE_REFUSED', `the keys of the vault in ${store.description} are others than before`, {
    cause: `ring ${generation} is not the one that this machine has seen: two people changed keys, or it was replaced`,
    next: 'restore the objects below keys/ from a copy of the store, or ask whoever manages it what happened',
  });
}

export function ringMissing(store: Store): BkpError {
  return new BkpError('OBJECT_MISSING', `the keys of the encrypted vault in ${store.description} are missing`, {
    cause: 'there is no ring below keys/rings/ or keys/spare/rings/',
    next: 'bring them back, because no backup opens without: bkp vault key import FILE, or from a copy of the store',
  });
}

/** The error for an encrypted vault when nothing says where its secret is. @param isNew it would be made now */
export function secretMissing(store: Store, {isNew = false} = {}): BkpError {
  const what = isNew
    ? `a vault in ${store.description} would be encrypted, and no password is set`
    : `the vault in ${store.description} is encrypted, and no password is set`;
  return new BkpError('SECRET_MISSING', what, {
    next: 'set BKP_PASSWORD_COMMAND, BKP_PASSWORD_FILE, BKP_AGE_IDENTITY_FILE or BKP_KMS_KEY; on a terminal bkp asks',
  });
}

/** Whether a vault's creation ended before its keys were made: nothing else is in the store. */
export async function isWithoutKeys(store: Store): Promise<boolean> {
  if ((await listKeyObjects(store)).generations.length > 0) return false;
  for await (const {key} of store.list('')) {
    if (key !== headerKey && key !== probeKey && !key.startsWith(keysPrefix)) return false;
  }
  return true;
}

function wrongSecret(store: Store, {kind}: Secret): BkpError {
  if (kind === 'age') {
    return new BkpError('SECRET_WRONG', `this age identity opens no slot of the vault in ${store.description}`, {
      next: 'use another identity, a password or a kit; bkp vault key add --age RECIPIENT adds a slot for this one',
    });
  }
  if (kind === 'kms') {
    return new BkpError('SECRET_WRONG', `this KMS key opens no slot of the vault in ${store.description}`, {
      next: 'use another key, a password or a kit; bkp vault key add --kms KEY adds a slot for this one',
    });
  }
  return new BkpError('SECRET_WRONG', `this ${kind} opens no slot of the vault in ${store.description}`, {
    next: 'try another password, or the key of the recovery kit; nothing was changed',
  });
}

function slotRemoved(store: Store): BkpError {
  return new BkpError('SECRET_WRONG', `this secret was removed from the vault in ${store.description}`, {
    next: 'use another password, or the key of the recovery kit',
  });
}
