import {rmSync} from 'node:fs';
import * as v from 'valibot';
import {goneText} from '../../backups/index.ts';
import {describeStore, type StoreAddress} from '../../config/index.ts';
import {text} from '../../lib/schema.ts';
import type {BackupMemory, KnownBackup} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {readNote, storeNote, writeNote} from './home-notes.ts';

/** The newest backups that this home has opened or made in an encrypted vault: one file for each store. */
const knownBackupsSchema = v.object({
  vault: text,
  /** By folder, which has the name of the collection or of the instance. */
  newest: v.record(text, v.object({backup: text, removed: v.array(text)})),
});
type KnownBackups = v.InferOutput<typeof knownBackupsSchema>;

const fileOf = ({home}: Pick<Deps, 'home'>, store: StoreAddress) => storeNote(home, store, '-backups.json');

export function backupMemory(deps: Deps, store: StoreAddress): BackupMemory {
  return {
    load: (vault) => new Map(Object.entries(read(deps, store, vault))),
    save: (vault, changed) => save(deps, store, {vault, changed}),
    onGone: (gone) => deps.warn(goneText(describeStore(store), gone)),
  };
}

export function forgetBackups(deps: Pick<Deps, 'home'>, store: StoreAddress): void {
  rmSync(fileOf(deps, store), {force: true});
}

/** A file that cannot be read says nothing, and neither does one about another vault. */
function read(deps: Pick<Deps, 'home'>, store: StoreAddress, vault: string): KnownBackups['newest'] {
  const known = readNote<KnownBackups>(knownBackupsSchema, fileOf(deps, store));
  return known?.vault === vault ? known.newest : {};
}

function save(
  deps: Pick<Deps, 'home'>,
  store: StoreAddress,
  {vault, changed}: {vault: string; changed: ReadonlyMap<string, KnownBackup | undefined>},
): void {
  const newest = read(deps, store, vault);
  for (const [folder, known] of changed) {
    // Another process may have seen a newer one.
    if (known === undefined) delete newest[folder];
    else if (known.backup >= (newest[folder]?.backup ?? '')) newest[folder] = {...known, removed: [...known.removed]};
  }
  writeNote(deps.home, fileOf(deps, store), {vault, newest} satisfies KnownBackups);
}
