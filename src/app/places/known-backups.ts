import {createHash} from 'node:crypto';
import {readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import * as v from 'valibot';
import {goneText} from '../../backups/index.ts';
import {describeStore, makeInHome, type StoreAddress} from '../../config/index.ts';
import {parsedJson, text} from '../../lib/schema.ts';
import type {BackupMemory, KnownBackup} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';

/** The newest backups that this home has opened or made in an encrypted vault: one file for each store. */
const knownBackupsSchema = v.object({
  vault: text,
  /** By folder, which has the name of the collection or of the instance. */
  newest: v.record(text, v.object({backup: text, removed: v.array(text)})),
});
type KnownBackups = v.InferOutput<typeof knownBackupsSchema>;

const fileOf = ({home}: Pick<Deps, 'home'>, store: StoreAddress) =>
  join(home.vaultsDir, `${createHash('sha256').update(describeStore(store)).digest('hex').slice(0, 32)}-backups.json`);

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
  try {
    const known = parsedJson<KnownBackups>(knownBackupsSchema, readFileSync(fileOf(deps, store), 'utf8'), (why) => {
      return new Error(why);
    });
    return known.vault === vault ? known.newest : {};
  } catch {
    return {};
  }
}

/** Ignores a home that cannot be written: the store can still be used, only the later warning is lost. */
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
  const file = fileOf(deps, store);
  const fresh = `${file}.${process.pid}`;
  try {
    makeInHome(deps.home, deps.home.vaultsDir);
    writeFileSync(fresh, `${JSON.stringify({vault, newest} satisfies KnownBackups)}\n`, {mode: 0o600});
    renameSync(fresh, file);
  } catch {
    rmSync(fresh, {force: true});
  }
}
