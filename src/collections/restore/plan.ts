import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Choice, MergeMode, TableName, TableSource, WantedTable} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {type RestoredParts, restoredParts} from './choice.ts';
import {mergeObstacle, obstacleOf} from './obstacle.ts';

export type RestoreWish = {
  collection: string;
  /** See {@link findBackup}. Absent: the newest backup. */
  point?: string | undefined;
  /** Only these tables. Absent: everything in the backup. */
  tables?: readonly WantedTable[] | undefined;
  /** Change the rows of tables that exist. Absent: create the tables. */
  mode?: MergeMode | undefined;
  /** Restore what is not damaged. Default false. */
  partial?: boolean | undefined;
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
  /** Absent: the tables are created. */
  mode?: MergeMode;
  /** What is damaged is left out, and named at the end. */
  partial?: true;
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

async function planOf(
  source: TableSource,
  backup: Backup,
  {collection, tables, mode, partial = false}: RestoreWish,
): Promise<RestorePlan> {
  const {body} = backup;
  const schemas = body.tables.map(({schema}) => schema);
  const choice = tables && (await source.choose({schemas, objects: body.objects ?? []}, tables));
  const parts = restoredParts(backup, choice);
  if (mode !== undefined) requireTablesOnly(choice);
  const obstacle =
    mode === undefined
      ? await obstacleOf(source, parts, {collection, backup: body.backup})
      : await mergeObstacle(source, parts, {collection, backup: body.backup});
  return {
    collection,
    backup: body.backup,
    takenAt: body.takenAt,
    target: source.description,
    ...(choice === undefined ? {} : {choice}),
    ...(mode === undefined ? {} : {mode}),
    ...(partial ? {partial} : {}),
    tables: parts.tables.map(planned),
    objects: mode === undefined ? parts.objects.map(({name}) => name) : [],
    ...(obstacle === undefined ? {} : {obstacle}),
  };
}

/** @throws BkpError `BAD_REQUEST` */
function requireTablesOnly(choice: Choice | undefined): void {
  const renamed = choice?.tables.find(({as}) => as !== undefined);
  if (renamed !== undefined) {
    throw new BkpError('BAD_REQUEST', `MODE changes ${renamed.name} itself, so it cannot come AS ${renamed.as?.name}`, {
      next: 'leave out AS to change the table, or MODE to restore it under another name',
    });
  }
  const [object] = choice?.objects ?? [];
  if (object === undefined) return;
  throw new BkpError('BAD_REQUEST', `${object} is a view or a virtual table, and MODE changes the rows of tables`, {
    next: 'leave it out, or restore it without MODE',
  });
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
