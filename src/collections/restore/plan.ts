import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Choice, TableName, TableSource, WantedTable} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {type RestoredParts, restoredParts} from './choice.ts';
import {obstacleOf} from './obstacle.ts';

export type RestoreWish = {
  collection: string;
  /** See {@link findBackup}. Absent: the newest backup. */
  point?: string | undefined;
  /** Only these tables. Absent: everything in the backup. */
  tables?: readonly WantedTable[] | undefined;
};

/** What a restore will do: a value, made before anything is written, which the worker executes. */
export type RestorePlan = {
  collection: string;
  backup: BackupName;
  /** When the backup was taken. */
  takenAt: string;
  /** The database that gets the tables. */
  target: string;
  /** Absent: everything in the backup. */
  choice?: Choice;
  tables: readonly PlannedTable[];
  /** Views and virtual tables that come. */
  objects: readonly string[];
  /** Why nothing can be restored to the target. */
  obstacle?: BkpError;
};

export type PlannedTable = {
  /** Its name in the backup. */
  name: TableName;
  /** Rows that its layers hold: those of the table, and no more than this if it has changes after its base. */
  rows: number;
  /** Whether the table has exactly so many rows. */
  isExact: boolean;
};

/**
 * Finds out what a restore would do; nothing is written.
 * @throws BkpError for what is wrong with the request or the backup. What is wrong with the target is the plan's
 *   obstacle, see {@link requirePossible}
 */
export async function planRestore(vault: VaultReader, source: TableSource, wish: RestoreWish): Promise<RestorePlan> {
  const {collection} = wish;
  const live = await requireReadable(vault, collection);
  const backup = await findBackup(vault, {collection, point: wish.point, backups: live.backups});
  try {
    return await planOf(source, await readBackup(vault, collection, backup), wish);
  } catch (error) {
    throw isDamage(error) ? await withReadable(vault, collection, live.backups, error) : error;
  }
}

/** @throws BkpError the obstacle of the plan, `TABLE_EXISTS` for example */
export function requirePossible({obstacle}: RestorePlan): void {
  if (obstacle !== undefined) throw obstacle;
}

async function planOf(source: TableSource, backup: Backup, {collection, tables}: RestoreWish): Promise<RestorePlan> {
  const {body} = backup;
  const schemas = body.tables.map(({schema}) => schema);
  const choice = tables && (await source.choose({schemas, objects: body.objects ?? []}, tables));
  const parts = restoredParts(backup, choice);
  const obstacle = await obstacleOf(source, parts, {collection, backup: body.backup});
  return {
    collection,
    backup: body.backup,
    takenAt: body.takenAt,
    target: source.description,
    ...(choice === undefined ? {} : {choice}),
    tables: parts.tables.map(planned),
    objects: parts.objects.map(({name}) => name),
    ...(obstacle === undefined ? {} : {obstacle}),
  };
}

function planned({backup: {schema, layers}}: RestoredParts['tables'][number]): PlannedTable {
  return {
    name: schema.name,
    rows: layers.reduce((sum, {rows}) => sum + rows, 0),
    isExact: layers.length === 1,
  };
}

/** The same error; its next step is to restore the newest backup that can be read, if there is one. */
async function withReadable(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
  error: BkpError,
): Promise<BkpError> {
  const newest = await newestReadable(backups, (backup) => readBackup(vault, collection, backup));
  if (newest === undefined) return error;
  return new BkpError(error.code, error.message, {
    cause: error.cause,
    next: `the newest backup that can be read: RESTORE ${quoteName(collection)} AT '${newest.body.backup}'`,
    context: error.context,
  });
}
