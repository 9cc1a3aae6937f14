import {
  backupMicros,
  listDatabaseBackups,
  planRetention,
  type RetentionVerdict,
  timestampText,
} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {ownInstance} from '../places/own-instance.ts';
import type {Workplace} from '../places/workplace.ts';

/** `backup`: `gentle-forest-orchid/2024-08-24T12:34:56.789123Z`. */
export type DatabaseVerdict = {backup: string; goes: boolean; why: string};

/**
 * What the cleanup after the next good BACKUP DATABASE starts from, newest first. Only of the profile's own database: of others
 * that share the store, their profiles say how many stay.
 */
export async function databaseVerdicts(deps: Deps, place: Workplace, vault: Vault): Promise<DatabaseVerdict[]> {
  const instance = await told(deps, () => ownInstance(deps, place, vault));
  if (instance === undefined) return [];
  const {keepLatest} = await deps.settings();
  const {keep, remove} = planRetention(await listDatabaseBackups(vault, {instance: instance.name}), {keepLatest});
  return [...keep.map((one) => verdict(one, false)), ...remove.map((one) => verdict(one, true))].sort((a, b) =>
    a.backup < b.backup ? 1 : -1,
  );
}

const verdict = ({instance, backup, reason}: RetentionVerdict, goes: boolean): DatabaseVerdict => ({
  backup: `${instance}/${timestampText(backupMicros(backup))}`,
  goes,
  why: reason,
});

/** A database that is away is in the way of its own plan, and of no collection's. */
async function told<T>({stderr}: Deps, find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    stderr.write(`bkp: backups of the database are left out: ${error.message}\n`);
    return undefined;
  }
}
