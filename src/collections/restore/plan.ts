import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {
  BackupParts,
  Choice,
  MergeMode,
  TableName,
  TableSource,
  TargetFindings,
  WantedTable,
} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {requireReadable} from '../stored/folder.ts';
import {type Backup, expectedRows, readBackup, takenAtText} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {type RestoredParts, restoredParts} from './choice.ts';
import {mergeObstacle, obstacleOf} from './obstacle.ts';
import {bytesOf, detailsOf, incomingOf, type PlanDetails, recipesOf} from './plan-details.ts';
import {withTables} from './with-tables.ts';

export type RestoreWish = {
  collection: string;
  /** See {@link findBackup}. Absent: the newest backup. */
  point?: string | undefined;
  /** Only these tables. Absent: everything in the backup. */
  tables?: readonly WantedTable[] | undefined;
  /** The schema that gets them. Absent: the one that each had. */
  schema?: string | undefined;
  /** Change the rows of tables that exist. Absent: create the tables. */
  mode?: MergeMode | undefined;
  /** Restore what is not damaged. Default false. */
  partial?: boolean | undefined;
  /** What the user named after INTO, as a statement has it, for the statements that the plan proposes. */
  into?: string | undefined;
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
  /** Plain bytes of rows, keys and index entries that are loaded. */
  bytes: number;
  /** See {@link TargetFindings}. */
  space?: TargetFindings['space'];
  /** Why nothing can be restored to the target. */
  obstacle?: BkpError;
  /** Absent unless requested. */
  details?: PlanDetails;
};

export type PlannedTable = {
  /** Its name in the backup, and in the target. */
  name: TableName;
  as: TableName;
  /** At most so many, unless they are exact. */
  rows: number;
  isExact: boolean;
  bytes: number;
  /** What comes with it, in words: `2 indexes, 1 trigger`. */
  brings: string;
};

/**
 * Finds out what a restore would do; nothing is written.
 * @param options.details for people who decide: looks up every chunk, and rehearses the schema. Default false
 * @throws BkpError for what is wrong with the request or the backup; with details also `OBJECT_MISSING` |
 *   `OBJECT_DAMAGED` for a known loss. What is wrong with the target is the plan's obstacle, see
 *   {@link requirePossible}
 */
export async function planRestore(
  vault: VaultReader,
  source: TableSource,
  wish: RestoreWish,
  options: {details?: boolean} = {},
): Promise<RestorePlan> {
  const {collection} = wish;
  const live = await requireReadable(vault, collection);
  const backup = await findBackup(vault, {collection, point: wish.point, backups: live.backups});
  try {
    const read = await readBackup(vault, collection, backup);
    const {plan: first, parts} = await planOf(source, read, wish);
    if (options.details !== true) return first;
    const {details, parts: coming, obstacle} = await detailsOf({vault, source}, {...first, parts, backup: read});
    const plan = {...(obstacle === undefined ? {} : {obstacle}), ...first};
    if (details.missing.length === 0) return {...plan, details};
    const names = new Set(coming.tables.map(({chosen}) => chosen.name));
    const tables = plan.tables.filter(({name}) => names.has(name));
    const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
    return {...plan, tables, objects: coming.objects.map(({name}) => name), bytes, details};
  } catch (error) {
    if (error instanceof BkpError && error.code === 'TABLE_NOT_FOUND') {
      throw await withTables({vault, source}, wish, live.backups, error);
    }
    throw isDamage(error) ? await withReadable({vault, source}, collection, live.backups, error) : error;
  }
}

/** @throws BkpError the obstacle of the plan, `TABLE_EXISTS` for example */
export function requirePossible({obstacle}: Pick<RestorePlan, 'obstacle'>): void {
  if (obstacle !== undefined) throw obstacle;
}

async function planOf(
  source: TableSource,
  backup: Backup,
  {collection, tables: wanted, schema, mode, partial = false, into}: RestoreWish,
): Promise<{plan: RestorePlan; parts: RestoredParts}> {
  const {body} = backup;
  const schemas = body.tables.map(({schema}) => schema);
  if (mode !== undefined) requireMode(source, mode);
  const all = {schemas, objects: body.objects ?? []};
  const isAll = wanted === undefined && schema === undefined;
  const choice = isAll ? undefined : await source.choose(all, wanted ?? namesIn(all), {schema});
  const parts = restoredParts(backup, choice);
  if (mode !== undefined) requireTablesOnly(choice);
  const incoming = incomingOf(backup, parts);
  const findings = await source.survey(incoming, {rehearse: false, mode});
  const of = {collection, backup: body.backup, isChosen: choice !== undefined, into};
  const found = await (mode === undefined ? obstacleOf : mergeObstacle)(source, parts, of);
  const obstacle = findings.refusal ?? found ?? findings.obstacle;
  const plan: RestorePlan = {
    collection,
    backup: body.backup,
    takenAt: takenAtText(body),
    target: source.description,
    ...(choice === undefined ? {} : {choice}),
    ...(mode === undefined ? {} : {mode}),
    ...(partial ? {partial} : {}),
    tables: parts.tables.map((table) => planned(backup, table, findings)),
    objects: mode === undefined ? parts.objects.map(({name}) => name) : [],
    bytes: incoming.bytes,
    ...(findings.space === undefined ? {} : {space: findings.space}),
    ...(obstacle === undefined ? {} : {obstacle}),
  };
  return {plan, parts};
}

function planned(
  backup: Backup,
  {backup: table, chosen}: RestoredParts['tables'][number],
  findings: TargetFindings,
): PlannedTable {
  const {schema, layers} = table;
  const as = chosen.as?.name ?? schema.name;
  const exact = expectedRows(table);
  return {
    name: schema.name,
    as,
    rows: exact ?? layers.reduce((sum, {rows}) => sum + rows, 0),
    isExact: exact !== undefined,
    bytes: bytesOf(backup, table),
    brings: findings.brings.get(as) ?? '',
  };
}

/** Two objects of PostgreSQL, such as default privileges of two roles, can have one name. */
function namesIn({schemas, objects}: BackupParts): readonly WantedTable[] {
  return [...new Set([...schemas, ...objects].map(({name}) => name))].map((name) => ({name}));
}

/** @throws BkpError `UNSUPPORTED` */
function requireMode({abilities}: TableSource, mode: MergeMode): void {
  if (abilities.modes.includes(mode)) return;
  const {title} = abilities;
  throw new BkpError('UNSUPPORTED', `MODE='${mode}' does not change tables of ${title}`, {
    next: 'restore the tables beside the living ones, and copy rows from there with SQL',
  });
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

/** The same error; its next step is to restore the newest backup that lacks nothing, if there is one. */
async function withReadable(
  {vault, source}: {vault: VaultReader; source: TableSource},
  collection: string,
  backups: readonly BackupName[],
  error: BkpError,
): Promise<BkpError> {
  const survey = await vault.survey();
  const newest = await newestReadable(backups, async (name) => {
    const backup = await readBackup(vault, collection, name);
    const fault = await survey.faultOf(await recipesOf(source, backup, restoredParts(backup, undefined)));
    if (fault !== undefined) throw fault;
    return backup;
  });
  if (newest === undefined) return error;
  return new BkpError(error.code, error.message, {
    cause: error.cause,
    next:
      'the newest backup of which nothing is known to be damaged: ' +
      `RESTORE ${quoteName(collection)} AT '${newest.body.backup}'`,
    context: error.context,
  });
}
