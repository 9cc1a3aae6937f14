import {existsSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import * as v from 'valibot';
import {type DirectoryAddress, describeStore, type Home, type StoreAddress} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {count, text} from '../../lib/schema.ts';
import {headerKey, type RingPin} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {readNote, storeNote, writeNote} from './home-notes.ts';
import {unmountedAbove} from './mounts.ts';

/**
 * The stores that held a vault when bkp last used them, one file per store in the home. An unmounted disk looks
 * like an empty folder, and a bucket of another account like a new one. So bkp never treats a store that once
 * held a vault as new.
 */
const knownVaultSchema = v.object({
  store: text,
  vault: text,
  /** The newest ring of an encrypted vault: an older one, or a vault without encryption, is refused. */
  ring: v.exactOptional(v.object({generation: count, commitment: text})),
});
type KnownVault = v.InferOutput<typeof knownVaultSchema>;

const fileOf = (home: Home, store: StoreAddress) => storeNote(home, store, '.json');

/** @returns id of the vault; undefined if the store held none or the file cannot be read */
export const knownVault = (home: Home, store: StoreAddress): string | undefined => known(home, store)?.vault;

/** @returns the encrypted vault that the store held, and its newest ring */
export function knownRing(home: Home, store: StoreAddress): {vault: string; ring: RingPin} | undefined {
  const {vault, ring} = known(home, store) ?? {};
  return vault === undefined || ring === undefined ? undefined : {vault, ring};
}

function known(home: Home, store: StoreAddress): KnownVault | undefined {
  const found = readNote<KnownVault>(knownVaultSchema, fileOf(home, store));
  return found?.store === describeStore(store) ? found : undefined;
}

/** Ignores a home that cannot be written: the store can still be used, only the later warning is lost. */
export function rememberVault(home: Home, store: StoreAddress, vault: string): void {
  if (knownVault(home, store) !== vault) remember(home, store, {vault});
}

/** The same of an encrypted vault that was opened or made. An older ring never replaces a newer one. */
export function rememberRing(home: Home, store: StoreAddress, opened: {vault: string; ring: RingPin}): void {
  const before = knownRing(home, store);
  const isNewer = before === undefined || before.ring.generation < opened.ring.generation;
  if (isNewer) remember(home, store, opened);
}

function remember(home: Home, store: StoreAddress, opened: Omit<KnownVault, 'store'>): void {
  writeNote(home, fileOf(home, store), {store: describeStore(store), ...opened} satisfies KnownVault);
}

export function forgetVault(home: Home, store: StoreAddress): void {
  rmSync(fileOf(home, store), {force: true});
}

/**
 * The reason why a store without a vault is not a new one.
 * @returns undefined if it may be new
 */
export function whyAway({home}: Pick<Deps, 'home'>, store: StoreAddress): BkpError | undefined {
  const known = knownVault(home, store);
  if (known !== undefined) return vaultGone(store, known);
  return store.kind === 'directory' && !existsSync(join(store.root, headerKey)) ? notMounted(store) : undefined;
}

function vaultGone(store: StoreAddress, vault: string): BkpError {
  const isFolder = store.kind === 'directory';
  const where = isFolder ? 'is its disk mounted?' : 'is it the right bucket and root?';
  return new BkpError('STORE_UNAVAILABLE', `there is no vault in ${describeStore(store)}, but there was one before`, {
    cause: `vault ${vault} was in it when bkp last used it`,
    next: `${where} If the vault is permanently lost, forget it: bkp ${chosen(store)} store forget`,
    context: {missing: 'vault'},
  });
}

/** The option that names the store, independent of the profile. */
const chosen = (store: StoreAddress) => (store.kind === 'directory' ? `--cluster '${store.root}'` : '--store s3');

function notMounted({root}: DirectoryAddress): BkpError | undefined {
  const point = unmountedAbove(root);
  if (point === undefined) return undefined;
  return new BkpError('STORE_UNAVAILABLE', `nothing is mounted at ${point}, where the cluster directory ${root} is`, {
    cause: `/etc/fstab lists ${point} as a mount point`,
    next: `mount ${point} (or choose another folder: --cluster DIR, bkp config set cluster DIR)`,
  });
}
