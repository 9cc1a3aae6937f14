import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {fingerprintOf, openWithSlot, removeUnusedRings, type VaultKeys} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {openVaultAt} from '../places/workplace.ts';
import {changeOpenedKeys, type OpenedKeys} from './open-keys.ts';
import {shownIdLength} from './slots.ts';

/** A key that new objects do not get any more. */
export type OlderKey = {
  id: string;
  seals: 'packs' | 'other objects';
  since: string;
  /** Objects that need it, and one of them. */
  objects: number;
  example?: string;
  isForgotten: boolean;
};

export type Forgotten = {
  keys: readonly OlderKey[];
  /** Objects of which nobody can say which key they need; then no key is forgotten. */
  unclear: readonly {key: string; detail: string}[];
  fingerprint: string;
  generation: number;
  /** False: the rings that have the keys are still in the store. */
  isComplete: boolean;
};

type Options = {
  /** Ids of keys, or their beginnings. None: all that nothing needs. */
  names: readonly string[];
  /** Change nothing. */
  isTrial: boolean;
};

/**
 * Forgets older keys that nothing in the store needs.
 * @throws BkpError `PRECONDITION` if a named key is needed | `BAD_REQUEST` if there is no such key | `VAULT_LOCKED`
 */
export async function forgetOldKeys(deps: Deps, opened: OpenedKeys, {names, isTrial}: Options): Promise<Forgotten> {
  const {place, store, unlocked, vault: vaultId} = opened;
  const older = olderKeysOf(unlocked.ring.keys);
  const wanted = names.map((name) => keyNamed(older, name));
  requireNoReencryption(unlocked.ring);
  // What a process left that ended after the ring.
  let isComplete = isTrial || (await removeUnusedRings(store, unlocked));
  let {keys} = unlocked.ring;
  const vault = await openVaultAt(deps, {...place, vault: vaultId}, {create: false, signal: deps.signal});
  const forgotten = new Set<string>();
  try {
    const found = await vault.forgetKeys({
      purpose: 'bkp vault key forget',
      signal: deps.signal,
      progress: (done, total) => deps.showProgress?.(`looked at ${done} of ${formatCount(total, 'object')}`),
      forget: async (unneeded, generation) => {
        const chosen = names.length === 0 ? unneeded : wanted.filter((id) => unneeded.includes(id));
        if (isTrial) for (const id of chosen) forgotten.add(id);
        if (isTrial || chosen.length === 0 || chosen.length < wanted.length) return true;
        const now = await openWithSlot(store, unlocked.slot, {vault: vaultId});
        if (now.ring.keys.generation !== generation) return false;
        requireNoReencryption(now.ring);
        const changed = await changeOpenedKeys(deps, {...opened, unlocked: now}, {forget: chosen}).catch(unlessBusy);
        if (changed === undefined) return false;
        for (const id of chosen) forgotten.add(id);
        isComplete = changed.isComplete;
        keys = changed.ring.keys;
        return true;
      },
    });
    const needed = wanted.find((id) => !found.unneeded.includes(id));
    if (needed !== undefined) throw keyNeeded(needed, found.needed.get(needed), found.unclear);
    const infos = older.map(({id, seals, since}): OlderKey => {
      const {objects, example} = found.needed.get(id) ?? {objects: 0};
      const isForgotten = forgotten.has(id);
      return {id, seals, since, objects, ...(example === undefined ? {} : {example}), isForgotten};
    });
    const {unclear} = found;
    return {keys: infos, unclear, fingerprint: fingerprintOf(keys), generation: keys.generation, isComplete};
  } finally {
    deps.showProgress?.(undefined);
    vault.close();
  }
}

function olderKeysOf({data, meta}: Pick<VaultKeys, 'data' | 'meta'>) {
  const older = (all: VaultKeys['data'], seals: OlderKey['seals']) =>
    all.slice(0, -1).map(({id, since}) => ({id, seals, since}));
  return [...older(data, 'packs'), ...older(meta, 'other objects')];
}

function keyNamed(keys: readonly {id: string}[], name: string): string {
  const found = keys.filter(({id}) => name.length >= shownIdLength && id.startsWith(name.toLowerCase()));
  const [key] = found;
  if (key !== undefined && found.length === 1) return key.id;
  throw new BkpError('BAD_REQUEST', `the vault has no older key ${name}`, {
    cause: 'the keys that are in use cannot be forgotten',
    next: 'bkp vault key forget --dry-run lists the older ones',
  });
}

/** It is changed by another process: everything is looked at again. */
function unlessBusy(error: unknown): undefined {
  if (error instanceof BkpError && error.code === 'BUSY') return undefined;
  throw error;
}

function requireNoReencryption({reencrypting}: {reencrypting?: string | undefined}): void {
  if (reencrypting === undefined) return;
  throw new BkpError('PRECONDITION', `the re-encryption that began ${reencrypting} has not ended`, {
    cause: 'until then, objects are sealed with the older keys',
    next: 'end it: bkp vault key rotate --reencrypt --wait',
  });
}

function keyNeeded(
  id: string,
  needed: {objects: number; example: string} | undefined,
  unclear: readonly {detail: string}[],
): BkpError {
  if (needed === undefined) {
    return new BkpError('PRECONDITION', `whether key ${id} is needed is unknown: objects are damaged`, {
      details: unclear.map(({detail}) => detail),
      next: 'VERIFY the backups, heal them or drop what is lost; then bkp collection cleanup, and the command again',
    });
  }
  return new BkpError('PRECONDITION', `key ${id} is needed by ${formatCount(needed.objects, 'object')}`, {
    cause: `one of them is ${needed.example}`,
    next: 'seal them with the newest key first: bkp vault key rotate --reencrypt --wait',
  });
}
