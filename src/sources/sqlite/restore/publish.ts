import {dirname} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {syncFileSync, syncFolderSync} from '../../../lib/files.ts';
import type {SchemaObject, TableName, TableSchema} from '../../source.ts';
import {requireTable} from '../catalog/catalog.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {translated} from '../engine/errors.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {quoteName} from '../engine/quote.ts';
import {objectName} from '../engine/sql-text.ts';
import {definitionOf, fileSettings, type KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {buildConstraintIndex, buildIndex, constraintIndexes} from './build-index.ts';
import {finishTables} from './finish.ts';
import type {Finishing} from './finishing.ts';
import {namesInTheWay, namesOfAll} from './names-in-the-way.ts';
import {placeNewFile, requireNoStrayJournal} from './place-new-file.ts';
import {type StagedLanding, transferLanding} from './transfer-landing.ts';
import {writeFromStaged} from './write-from-staged.ts';

export type PublishPlan = Finishing & {
  /** The database that gets the tables. */
  target: string;
  /** The staging file: complete, checked, without triggers. */
  staged: string;
};

/** How long to wait for the lock of the target while other processes write. */
export const lockTimeoutMs = 30_000;

/** To be called before {@link publishNewFile}, with the file closed: syncing it takes most of the time of both. */
export function syncRestored(staged: string): void {
  sync(staged, syncFileSync);
}

/** The staging file becomes the database: by a link, which never replaces a file that appeared meanwhile. */
export function publishNewFile(connection: Connection, plan: PublishPlan): void {
  const {target, staged, facts} = plan;
  requireNoStrayJournal(target);
  connection.exec(
    `PRAGMA user_version = ${Number(facts.user_version ?? 0)}; ` +
      `PRAGMA application_id = ${Number(facts.application_id ?? 0)}`,
  );
  finishTables(connection, plan);
  // The file stores the mode. Changing it needs exclusive access, so it comes last.
  if (facts.journal_mode === 'wal') connection.exec('PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL');
  connection.close();
  sync(staged, syncFileSync);
  placeNewFile(staged, target, 'its tables were');
  sync(dirname(target), syncFolderSync);
}

/**
 * All tables in one transaction. SQLite copies rows and index entries unchanged (its transfer optimization,
 * https://www.sqlite.org/src/file/src/insert.c, xferOptimization) when both sides have the very same schema and the
 * new one is empty and has no triggers yet; so indexes are created before the rows, and triggers after them.
 * @param landings of the staging file
 * @param release see `writeFromStaged`
 */
export function publishIntoDatabase(
  plan: PublishPlan,
  landings: ReadonlyMap<TableName, StagedLanding>,
  release: () => void,
): void {
  const {target, staged, schemas, objects, facts} = plan;
  withConnection(target, {busyTimeoutMs: lockTimeoutMs}, (connection) => {
    connection.exec('PRAGMA ignore_check_constraints = ON');
    // An empty database (for example, an empty file) can still get the page size and the encoding of the backup.
    if (isEmpty(connection)) {
      connection.exec(fileSettings(facts));
      if (facts.journal_mode === 'wal') connection.exec('PRAGMA main.journal_mode = WAL');
    }
    requireSameEncoding(connection, facts);
    const copy = () => {
      requireFreeNames(connection, schemas, objects);
      createTables(connection, plan, landings);
    };
    writeFromStaged(connection, staged, {write: copy, release});
  });
}

/**
 * Creates the tables with everything that belongs to them, and copies their rows from the attached staging file; within
 * a write transaction.
 */
export function createTables(
  connection: Connection,
  plan: Finishing,
  landings: ReadonlyMap<TableName, StagedLanding>,
): void {
  const copiedIndexes = new Set(plan.copiedIndexes);
  for (const schema of plan.schemas) {
    const {table, indexes} = definitionOf(schema);
    runFromManifest(connection, {what: 'table', table: schema.name}, table);
    const made = requireTable(connection, schema.name);
    const makeIndex = (sql: string) => runFromManifest(connection, {what: 'index', table: schema.name}, sql);
    for (const index of indexes) makeIndex(index);
    const staged = landings.get(schema.name);
    if (staged === undefined) copyRows(connection, made);
    else for (const name of landRows(connection, made, staged, {indexes, makeIndex})) copiedIndexes.delete(name);
  }
  finishTables(connection, {...plan, copiedIndexes});
}

/** @throws BkpError `UNSUPPORTED` */
export function requireSameEncoding(connection: Connection, facts: KeptFacts): void {
  const encoding = String(connection.value('PRAGMA main.encoding'));
  if (isEmpty(connection) || facts.encoding === undefined || facts.encoding === encoding) return;
  throw new BkpError('UNSUPPORTED', `the backup holds text as ${facts.encoding}, and this database as ${encoding}`, {
    cause: 'SQLite copies no table from a database into one of another encoding',
    next: 'restore into a new file with --source, which gets the encoding of the backup',
  });
}

function isEmpty(connection: Connection): boolean {
  return connection.number('SELECT count(*) FROM main.sqlite_schema') === 0;
}

/**
 * Copies rows and index entries unchanged, even if the schema would refuse them today. SQLite gives the rows of
 * a table without a key new rowids unless it has an index: so it gets an index without entries.
 */
function copyRows(connection: Connection, table: Table): void {
  const {name, columns} = table;
  const quoted = quoteName(name);
  const keyless = isKeyless(table);
  const inBoth = (sql: (schema: string) => string) => {
    if (keyless) for (const schema of ['main', 'staged']) connection.exec(sql(schema));
  };
  inBoth((schema) => `CREATE INDEX ${schema}.${keepRowids} ON ${quoted} (${quoteName(columns[0]!.name)}) WHERE 0`);
  if (!transfers(connection, name)) throw new Error(`SQLite does not copy the rows of ${name} unchanged`);
  connection.exec(copyStatement(name));
  inBoth((schema) => `DROP INDEX ${schema}.${keepRowids}`);
  requireAllRows(connection, name);
}

const isKeyless = ({key}: Table) => key.kind === 'rowid' && key.column === undefined;

/** A table that SQLite transfers only without its generated columns. @returns the indexes that were not copied */
function landRows(
  connection: Connection,
  table: Table,
  staged: StagedLanding,
  {indexes, makeIndex}: {indexes: readonly string[]; makeIndex: (sql: string) => void},
): readonly string[] {
  const others = indexes.filter((sql) => !staged.indexes.includes(objectName(sql)));
  for (const sql of others) connection.exec(`DROP INDEX main.${quoteName(objectName(sql))}`);
  transferLanding(connection, table, staged, {
    transfers: (name) => transfers(connection, name),
    copy: (name) => connection.exec(copyStatement(name)),
  });
  const constraints = constraintIndexes(connection, table).filter((name) => !staged.indexes.includes(name));
  for (const name of constraints) buildConstraintIndex(connection, table, name);
  for (const sql of others) buildIndex(connection, sql, makeIndex);
  requireAllRows(connection, table.name, staged.landing.name);
  return [...constraints, ...others.map(objectName)];
}

function requireAllRows(connection: Connection, name: TableName, stagedName = name): void {
  const copied = connection.number(`SELECT count(*) FROM main.${quoteName(name)}`);
  const wanted = connection.number(`SELECT count(*) FROM staged.${quoteName(stagedName)}`);
  if (copied !== wanted) throw new Error(`${copied} of ${wanted} rows of ${name} were copied`);
}

const keepRowids = `${ownPrefix}keep_rowids`;

const copyStatement = (name: TableName) =>
  `INSERT INTO main.${quoteName(name)} SELECT * FROM staged.${quoteName(name)}`;

/**
 * Whether SQLite copies the rows by its transfer optimization, the only way that neither converts nor refuses values.
 * It does if the new table is empty.
 */
function transfers(connection: Connection, name: TableName): boolean {
  const steps = connection.all(`EXPLAIN ${copyStatement(name)}`).map((row) => row.opcode);
  return steps.includes('RowData') || steps.includes('RowCell');
}

/** @throws BkpError `TABLE_EXISTS` naming what is in the way: tables, and names of indexes and triggers */
export function requireFreeNames(
  connection: Connection,
  schemas: readonly TableSchema[],
  objects: readonly SchemaObject[],
): void {
  const taken = namesInTheWay(connection, namesOfAll(schemas, objects)).map((row) =>
    row.type === 'table' ? `/Root/${row.name}` : `${row.type} ${row.name}`,
  );
  if (taken.length === 0) return;
  throw new BkpError('TABLE_EXISTS', `path exist: ${taken.join(', ')}`, {
    next: "restore into another database: the same statement with INTO './restored.db'",
  });
}

function sync(path: string, how: (path: string) => void): void {
  try {
    how(path);
  } catch (error) {
    throw translated(error, path);
  }
}
