import {hostname} from 'node:os';
import type {Storage} from '../../collections/index.ts';
import {describeStore, type StoreAddress} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {systemClock} from '../../lib/clock.ts';
import type {Store} from '../../stores/index.ts';
import {
  createKeys,
  fingerprintOf,
  newKey,
  type OpenedSlot,
  openWithSlot,
  type RingPin,
  type Secret,
  secretMissing,
  type Unlocked,
  unlock,
  type VaultEncryption,
  type VaultKeys,
} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {knownRing, rememberRing} from './known-vaults.ts';
import {isSecretConfigured, secretFor, secretInsteadOf, withOrigin} from './secrets.ts';

/** A store, and which of the profile's two it is or replaces. */
type Place = {store: StoreAddress; storage: Storage};

/** What a COPY is about to open or make. */
export type CopyTarget = {
  /** Whether the vault that is copied from is. */
  isEncrypted: boolean;
  /** One of the profile's two stores, about which its settings speak; else the statement has its address. */
  isOwn: boolean;
};

/** What the settings say about one of the profile's stores. */
async function modeOf(deps: Deps, {storage}: Pick<Place, 'storage'>): Promise<'auto' | 'required' | 'off'> {
  const {clusterEncryption, s3Encryption} = await deps.settings();
  return storage === 's3' ? s3Encryption : clusterEncryption;
}

/** Opens the keys of the vault in the store with the secret of the settings, or the one that is typed. */
export async function unlockAt(deps: Deps, place: Place, {store, vault}: {store: Store; vault: string}) {
  const question = {question: `password of the vault in ${store.description}`};
  const secret = await secretFor(deps, question);
  if (secret === undefined) throw secretMissing(store);
  const pin = pinAt(deps, place, vault);
  const unlocked = await unlock(store, secret, {vault, pin}).catch(async (error: unknown) => {
    const other = secret.kind === 'kms' ? await secretInsteadOf(deps, error, question) : undefined;
    if (other === undefined) throw await withOrigin(deps, error);
    return unlock(store, other, {vault, pin});
  });
  if (pin === undefined) warnOfUnknownMaker(deps, unlocked);
  rememberKeys(deps, place, {vault, slot: unlocked.slot, keys: unlocked.ring.keys});
  return unlocked;
}

/**
 * Anyone can seal a slot, and with it a vault, for a public key, and many may encrypt with a KMS key. A later exchange
 * would be noticed.
 */
function warnOfUnknownMaker(deps: Deps, {ring, slot}: Unlocked): void {
  const kind = ring.slots.find(({id}) => id === slot.id)?.kind;
  if (kind !== 'age' && kind !== 'kms') return;
  deps.warn(
    `this machine opens the vault for the first time, and ${kind === 'age' ? 'age' : 'KMS'} cannot tell who made ` +
      `it: compare its ring, ${fingerprintOf(ring.keys)}, with bkp vault key list on another machine`,
  );
}

/**
 * The newest ring that this home has seen there.
 * @throws BkpError `STORE_REFUSED` if it has seen another vault
 */
function pinAt(deps: Deps, place: Place, vault: string): RingPin | undefined {
  const pinned = knownRing(deps.home, place.store);
  if (pinned !== undefined && pinned.vault !== vault) throw otherVault(place, pinned.vault, vault);
  return pinned?.ring;
}

type Opened = {vault: string; slot: OpenedSlot; keys: VaultKeys};

export function rememberKeys(deps: Deps, {store}: Pick<Place, 'store'>, {vault, slot, keys}: Opened): void {
  deps.keyChain?.slots.set(vault, slot);
  const {generation, commitment} = keys;
  rememberRing(deps.home, store, {vault, ring: {generation, commitment}});
}

export type HowToOpen = {
  encrypt?: boolean | undefined;
  isSource?: boolean | undefined;
  copy?: CopyTarget | undefined;
};

/**
 * How the vault at a place is opened or made.
 * @param options.encrypt whether one that is made is encrypted; default: what the settings say
 * @param options.isSource it is only copied from: the copy is new, and in an encrypted vault if a password is set
 * @param options.copy it is copied to
 * @param options.take is given the keys when they are known
 */
export async function encryptionAt(
  deps: Deps,
  place: Place,
  {encrypt, isSource, copy, take}: HowToOpen & {take: (keys: VaultKeys) => void},
): Promise<VaultEncryption> {
  const mode = await modeOf(deps, place);
  const isConfigured = await isSecretConfigured(deps);
  const remember = (opened: Opened) => {
    rememberKeys(deps, place, opened);
    take(opened.keys);
    return opened.keys;
  };
  const open = async (store: Store, vault: string) => {
    const slot = deps.keyChain?.slots.get(vault);
    if (slot !== undefined) {
      const {ring} = await openWithSlot(store, slot, {vault, pin: pinAt(deps, place, vault)});
      return remember({vault, slot, keys: ring.keys});
    }
    const unlocked = await unlockAt(deps, place, {store, vault});
    take(unlocked.ring.keys);
    return unlocked.ring.keys;
  };
  const maySay = copy === undefined || copy.isOwn;
  const hasSecret = isConfigured || deps.keyChain?.typed !== undefined || copy?.isEncrypted === true;
  const isWanted = mode === 'required' || (!(mode === 'off' && maySay) && hasSecret);
  let secretOfNew: Promise<Secret> | undefined;
  const newSecret = (store: Store) => {
    secretOfNew ??= requireNewSecret(deps, store);
    return secretOfNew;
  };
  return {
    isWanted: encrypt ?? isWanted,
    unlock: open,
    prepare: async (store) => requireAnswer(await newSecret(store)),
    create: async (store, vault, header) => {
      const secret = await newSecret(store);
      const {ring, slot} = await createKeys(keyTools(deps, store, header), vault, {secret, label: hostname()});
      return remember({vault, slot, keys: ring.keys});
    },
    madePlain: (store) => mentionPlain(deps, store),
    allowPlain: (vault) => {
      requireNeverEncrypted(deps, place, vault);
      if (copy?.isEncrypted && !(copy.isOwn && mode === 'off')) throw plainCopy(place, copy);
      if (isSource && mode !== 'required') return;
      if (mode === 'off' || (mode === 'auto' && !isConfigured)) return;
      throw notEncrypted(place, mode);
    },
  };
}

/** Said once, when the vault is made. A store that cannot be asked, or does not say, is left to doctor. */
async function mentionPlain(deps: Deps, store: Store): Promise<void> {
  const command = await store.howToEncrypt?.();
  if (command === undefined) return;
  deps.warn(
    `neither ${store.description} nor bkp encrypts the backups in the new vault: whoever gets the disks of the ` +
      `server can read them. For an encrypted vault: bkp vault create --encrypt in an empty store; ` +
      `for the bucket: ${command}`,
  );
}

/** Between the look for a ring and its put there is one request. */
const settleMs = 2000;

/** What keys are made and changed with. In a store that ignores conditions, a change waits for others. */
export function keyTools(deps: Deps, store: Store, {conditionalWrites}: {conditionalWrites: boolean}) {
  const ignoresConditions = !conditionalWrites || store.refusesConditions?.() === true;
  const settle = ignoresConditions ? () => systemClock.sleep(settleMs) : undefined;
  return {store, nowMs: deps.nowMicros() / 1000, settle};
}

async function requireNewSecret(deps: Deps, store: Store): Promise<Secret> {
  const secret = await secretFor(deps, {question: `new password for the vault in ${store.description}`, isNew: true});
  if (secret === undefined) throw secretMissing(store, {isNew: true});
  return secret;
}

/**
 * A service that refuses to make a slot is noticed before anything is written.
 * @throws BkpError as the keeper does
 */
async function requireAnswer(secret: Secret): Promise<void> {
  const none = '0'.repeat(32);
  if (secret.kind === 'kms') await secret.wrap(newKey().code, {vault: none, id: none});
}

/** The store was emptied and filled by someone else, or belongs to another vault. */
function otherVault({store}: Pick<Place, 'store'>, before: string, now: string): BkpError {
  return new BkpError('STORE_REFUSED', `${describeStore(store)} holds another encrypted vault than before`, {
    cause: `it was ${before}, it is ${now}`,
    next: 'if it was replaced on purpose, forget the one before: bkp store forget',
    context: {replaced: 'vault'},
  });
}

/** @throws BkpError `STORE_REFUSED` if an encrypted vault was in the place of this one */
export function requireNeverEncrypted(deps: Deps, place: Pick<Place, 'store'>, vault: string): void {
  const pinned = knownRing(deps.home, place.store);
  if (pinned !== undefined) throw downgraded(place, pinned.vault, vault);
}

function downgraded({store}: Pick<Place, 'store'>, before: string, now: string): BkpError {
  return new BkpError('STORE_REFUSED', `the vault in ${describeStore(store)} is not encrypted, but was before`, {
    cause: before === now ? 'its header was replaced' : `vault ${before} was replaced by ${now}`,
    next: 'ask whoever manages the store; if it was replaced on purpose: bkp store forget',
    context: {replaced: 'vault'},
  });
}

function plainCopy({store, storage}: Place, {isOwn}: CopyTarget): BkpError {
  const plain = isOwn
    ? `if the copy may be plain: bkp config set vault.${storage}.encryption off`
    : 'if the copy may be plain, make this store one of the profile, with vault.cluster.encryption or ' +
      "vault.s3.encryption off, and copy TO 'cluster' or TO 's3'";
  return new BkpError('STORE_REFUSED', `the vault in ${describeStore(store)} is not encrypted`, {
    cause: 'the backups are, and their copy would be plain',
    next: `name an empty store, in which COPY makes an encrypted vault; ${plain}`,
  });
}

function notEncrypted({store, storage}: Place, mode: 'auto' | 'required'): BkpError {
  const setting = `vault.${storage}.encryption`;
  const isRequired = mode === 'required';
  // COPY opens this vault to read it unless encryption is required.
  const before = isRequired ? `bkp config set ${setting} auto, then ` : '';
  return new BkpError('STORE_REFUSED', `the vault in ${describeStore(store)} is not encrypted`, {
    cause: `${isRequired ? `${setting} is required` : 'a password is set'}, so bkp writes nothing in plain`,
    next:
      `copy its collections into an empty store, which is then encrypted: ${before}` +
      `bkp sql "COPY BACKUP COLLECTION … TO '…'"; or use this one as it is: bkp config set ${setting} off`,
  });
}
