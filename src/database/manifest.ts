import {BkpError} from '../errors/index.ts';
import type {DatabaseMoment} from '../sources/index.ts';
import type {JsonValue, Manifest, Recipe, VaultReader} from '../vault/index.ts';
import {type DatabaseBackupName, databaseManifestKey} from './names.ts';

export const databaseManifestKind = 'database-backup';

/** The body of a manifest of kind {@link databaseManifestKind}; `docs/format.md` describes it. */
export type DatabaseBackupBody = {
  version: 1;
  instance: string;
  backup: DatabaseBackupName;
  /** Microseconds since 1970: the moment that the backup holds, and when its manifest was about to be written. */
  takenAtMicros: number;
  finishedAtMicros: number;
  source: {description: string; dataId: string};
  database: DatabaseMoment;
  files: number;
  /** Plain bytes of all files; `zeroBytes` follow them in restored files and are not stored. */
  bytes: number;
  zeroBytes: number;
  /** How many faults the database's own check found in the source; absent: none, or there is no such check. */
  sourceDamage?: number;
  /** What the taking of this one backup cost: files and bytes that were read, bytes that came into the store. */
  cost: {filesRead: number; bytesRead: number; storedBytes: number; heldMicros: number};
};

/** A backup read from its manifest. `data`: the bytes of all files one after the other; `list`: the file list. */
export type DatabaseBackup = {body: DatabaseBackupBody; data: Recipe; list: Recipe};

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readDatabaseBackup(
  vault: VaultReader,
  instance: string,
  backup: DatabaseBackupName,
): Promise<DatabaseBackup> {
  const key = databaseManifestKey(instance, backup);
  const {kind, streams, body} = await vault.manifest(key);
  const known = body as unknown as DatabaseBackupBody;
  if (kind !== databaseManifestKind || known?.version !== 1) {
    throw new BkpError('STORE_REFUSED', `the manifest ${key} is of a kind that this bkp does not know`, {
      next: 'use the newer bkp that wrote it',
    });
  }
  const [data, list] = streams;
  if (data === undefined || list === undefined || known.instance !== instance || known.backup !== backup) {
    throw new BkpError('OBJECT_DAMAGED', `the manifest ${key} is not that of this backup`, {
      next: 'restore another backup; a manifest must not be copied to another key',
    });
  }
  return {body: known, data, list};
}

export function toDatabaseManifest({body, data, list}: DatabaseBackup): Manifest {
  return {kind: databaseManifestKind, streams: [data, list], body: body as unknown as JsonValue};
}
