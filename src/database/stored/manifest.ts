import * as v from 'valibot';
import {type ManifestShape, readManifest, writtenManifest} from '../../backups/index.ts';
import {count, text} from '../../lib/schema.ts';
import {type DatabaseMoment, type Origin, originSchema, productNames} from '../../sources/index.ts';
import type {Manifest, Recipe, VaultReader} from '../../vault/index.ts';
import {type DatabaseBackupName, databaseManifestKey, isDatabaseBackupName} from './names.ts';

export const databaseManifestKind = 'database-backup';

/** The body of a manifest of kind {@link databaseManifestKind}; `docs/format.md` describes it. */
export type DatabaseBackupBody = {
  version: 1;
  instance: string;
  backup: DatabaseBackupName;
  /** Microseconds since 1970: when the database was frozen, and just before the manifest was written. */
  takenAtMicros: number;
  finishedAtMicros: number;
  source: {description: string; dataId: string; origin?: Origin};
  database: DatabaseMoment;
  files: number;
  /** Plain bytes of all files. `zeroBytes` follow them in the restored files, and are not stored. */
  bytes: number;
  zeroBytes: number;
  /** How many faults the database's own check found in the source. Absent: none, or there is no such check. */
  sourceDamage?: number | undefined;
  /** What this one backup cost: files and bytes that were read, bytes that it added to the store. */
  cost: {filesRead: number; bytesRead: number; storedBytes: number; heldMicros: number};
};

const bodySchema = v.object({
  version: v.literal(1),
  instance: text,
  backup: v.custom<DatabaseBackupName>(
    (value) => typeof value === 'string' && isDatabaseBackupName(value),
    'Invalid name',
  ),
  takenAtMicros: count,
  finishedAtMicros: count,
  source: v.object({description: text, dataId: text, origin: v.exactOptional(originSchema)}),
  database: v.object({
    product: v.picklist(productNames),
    version: text,
    tables: v.array(v.object({name: text, rows: v.exactOptional(count)})),
    leftOut: v.exactOptional(v.array(text)),
  }),
  files: count,
  bytes: count,
  zeroBytes: count,
  sourceDamage: v.exactOptional(count),
  cost: v.object({filesRead: count, bytesRead: count, storedBytes: count, heldMicros: count}),
});

/** A backup read from its manifest. `data`: the bytes of all files one after the other; `list`: the file list. */
export type DatabaseBackup = {body: DatabaseBackupBody; data: Recipe; list: Recipe};

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
export async function readDatabaseBackup(
  vault: VaultReader,
  instance: string,
  backup: DatabaseBackupName,
): Promise<DatabaseBackup> {
  const {body, streams} = await readManifest(vault, databaseManifestKey(instance, backup), shape({instance, backup}));
  return {body, data: streams[0]!, list: streams[1]!};
}

/** @throws BkpError `INTERNAL` for one that {@link readDatabaseBackup} would refuse */
export function toDatabaseManifest({body, data, list}: DatabaseBackup): Manifest {
  return writtenManifest(body.backup, {body, streams: [data, list]}, shape(body));
}

const shape = ({
  instance,
  backup,
}: Pick<DatabaseBackupBody, 'instance' | 'backup'>): ManifestShape<DatabaseBackupBody> => ({
  kind: databaseManifestKind,
  schema: bodySchema,
  fault: (body, streams) => {
    if (body.instance !== instance) return `it is of instance ${body.instance}`;
    if (body.backup !== backup) return `it is of backup ${body.backup}`;
    return streams.length < 2 ? 'it does not have both streams' : undefined;
  },
});
