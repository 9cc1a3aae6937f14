import {BkpError} from '../../../errors/index.ts';
import {type Column, columnList, columnsOf, sameKey, type TableColumns} from '../catalog/columns.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords, sqlStateOf} from '../connection/errors.ts';
import {quoteIdent, unquoted} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {type Moves, moveKey, rewrite} from '../schema/rewrite.ts';
import {RunningContent} from '../segments/content.ts';
import {readRows} from '../segments/read-rows.ts';
import type {LateRows} from './late-rows.ts';
import {withReplicaIdentity} from './replica-identity.ts';
import {isPrimaryKey, type StoredTable, sqlOf} from './stored.ts';

const segmentBytes = 1024 * 1024;

/** The rows of one table in its staging schema, which come in one transaction after the other, on any connection. */
export class TableLoad {
  readonly table: StoredTable;
  /** Where the rows are in the staging schema. */
  name: string;
  /** The rows wait in a table of their own until they can be read; {@link name} is its name. */
  late: LateRows | undefined;
  /** What functions need that rows call when they come; absent: an empty one. As a statement writes it. */
  searchPath: string | undefined;
  /** Tables that it needs, as for a column with the row type of another one, and that need it. */
  apart: ReadonlySet<TableLoad> = new Set();
  /** What was loaded, without what was removed again. */
  readonly content = new RunningContent();
  readonly #moves: Moves;
  #columns: TableColumns | undefined;
  /** Deltas have begun: the primary key exists. */
  #isKeyed = false;
  /** The rows of a transaction that created or emptied the table need no later freezing. */
  #isFrozen = true;
  #isBegun = false;

  constructor(table: StoredTable, moves: Moves) {
    this.table = table;
    this.name = stagedName(table, moves);
    this.#moves = moves;
  }

  /** Constraints that no delta needed. */
  get remaining(): readonly string[] {
    return this.table.constraints.filter((sql) => !(this.#isKeyed && this.late === undefined && isPrimaryKey(sql)));
  }

  async begin(connection: Connection): Promise<void> {
    await connection.run('BEGIN');
    await fixSettings(connection, {lockTimeoutSeconds: 30});
    await connection.run('SET LOCAL client_min_messages = error');
    if (this.#isBegun) this.#isFrozen = false;
    else await connection.run(`TRUNCATE ${onlyOf(this.table.kind)}${this.name}`);
    this.#isBegun = true;
  }

  /** @returns the rows in the segment */
  async load(connection: Connection, segment: Uint8Array): Promise<number> {
    const freeze = this.#isFrozen && this.table.kind !== 'partitioned' ? ' WITH (FREEZE)' : '';
    const list = columnList((await this.columns(connection)).columns);
    // A table may have no columns, and a list of columns may not be empty.
    const into = list === '' ? this.name : `${this.name} (${list})`;
    const copy = () => connection.copyIn(`COPY ${into} FROM STDIN${freeze}`, once(segment));
    const rows = await onPath(connection, this.searchPath, copy).catch((error: unknown) => {
      throw unfit(this.table, error);
    });
    this.content.add(segment);
    return rows;
  }

  /** @returns the keys in the segment */
  async removeKeys(connection: Connection, segment: Uint8Array): Promise<number> {
    await this.#createKey(connection);
    const {key, columns} = await this.columns(connection);
    const list = key.map(({name}, at) => `${quoteIdent(name)} AS k${at}`).join(', ');
    await connection.run(
      `DROP TABLE IF EXISTS pg_temp.bkp_keys;
        CREATE TEMP TABLE bkp_keys AS SELECT ${list} FROM ${this.name} WHERE false`,
    );
    const rows = await connection.copyIn('COPY pg_temp.bkp_keys FROM STDIN', once(segment));
    await connection.run('ANALYZE pg_temp.bkp_keys');
    const removed = `DELETE FROM ${onlyOf(this.table.kind)}${this.name} t USING pg_temp.bkp_keys d
      WHERE ${sameKey(key)} RETURNING ${columnList(columns, 't.')}`;
    await withReplicaIdentity(connection, this.name, async () => {
      for await (const {bytes, release} of readRows(connection, removed, {segmentBytes})) {
        this.content.remove(bytes);
        release();
      }
    });
    return rows;
  }

  /**
   * The columns in the order of the segments. The table may have another one: a table that inherits is created with
   * the columns of its parents first, also with those that its parents got later than it got its own.
   */
  async columns(connection: Connection): Promise<TableColumns> {
    if (this.#columns !== undefined) return this.#columns;
    const found = await columnsOf(connection, await stagedOid(connection, this.name));
    const columns = inStoredOrder(this.table, found.columns);
    if (columns.length < found.columns.length) throw await joined(connection, this.table, {columns, found});
    this.#columns = {...found, columns};
    return this.#columns;
  }

  /** From now on, the rows go into another table. */
  keepIn(late: LateRows): void {
    this.late = late;
    this.name = late.name;
  }

  /** Runs what creates the primary key. @throws BkpError `PRECONDITION` if rows have the same one */
  async withKey(create: () => Promise<void>): Promise<void> {
    await create().catch((error: unknown) => {
      throw repeatedKey(this.table, error);
    });
  }

  async #createKey(connection: Connection): Promise<void> {
    if (this.#isKeyed) return;
    if (this.late === undefined) {
      for (const statement of this.table.constraints.filter(isPrimaryKey)) {
        await this.withKey(() => connection.run(rewrite(sqlOf(statement), this.#moves)));
      }
    } else {
      const key = keyNames(this.table).map(quoteIdent).join(', ');
      await connection.run(`ALTER TABLE ${this.name} ADD PRIMARY KEY (${key})`);
    }
    this.#isKeyed = true;
    this.#isFrozen = false;
    this.#columns = undefined;
  }
}

/** In a transaction, which an error ends. Values are only written as text with an empty path. */
async function onPath<T>(connection: Connection, path: string | undefined, work: () => Promise<T>): Promise<T> {
  if (path === undefined) return work();
  await connection.run(`SET LOCAL search_path = ${path}`);
  const result = await work();
  await connection.run("SET LOCAL search_path = ''");
  return result;
}

/** Types that exist in the target stay as they are, and may not take the values of the backup. */
function unfit({name}: StoredTable, error: unknown): unknown {
  if (!(error instanceof BkpError) || error.code !== 'SOURCE_REFUSED') return error;
  return new BkpError('PRECONDITION', `rows of ${name} do not fit what the target has: ${serverWords(error)}`, {
    cause: `types and functions that exist in the target stay as they are; ${String(error.cause)}`,
    next:
      'restore into an empty database with --source, or make the types of the target take these values: ' +
      'for a domain, ALTER DOMAIN … DROP CONSTRAINT … before the restore',
    context: {...error.context, table: name},
  });
}

/** The backup has no two rows of one key: what decides that they are equal is the target's. */
function repeatedKey({name}: StoredTable, error: unknown): unknown {
  if (sqlStateOf(error) !== '23505') return error;
  const {cause, context} = error as BkpError;
  return new BkpError('PRECONDITION', `rows of ${name} have the same primary key in the target: ${String(cause)}`, {
    cause: 'a collation or a type of the key compares otherwise there; what exists in the target stays as it is',
    next: 'restore into an empty database with --source, on a server whose collations are those of the backup',
    context: {...context, table: name},
  });
}

export function stagedName({schema, table}: StoredTable, moves: Moves): string {
  return `${moves.get(moveKey(schema, table))}.${quoteIdent(table)}`;
}

export async function stagedOid(connection: Connection, name: string): Promise<number> {
  return (await stagedOids(connection, [name]))[0]!;
}

/** In the same order. */
export async function stagedOids(connection: Connection, names: readonly string[]): Promise<readonly number[]> {
  const rows = await connection.rows(
    `SELECT name::regclass::oid FROM pg_catalog.json_array_elements_text($1::pg_catalog.json)
      WITH ORDINALITY AS staged (name, at) ORDER BY at`,
    [JSON.stringify(names)],
  );
  return rows.map(([oid]) => Number(oid));
}

/** The server has added columns to what the restore has created, of which the backup knows nothing. */
async function joined(
  connection: Connection,
  {name}: StoredTable,
  {columns, found}: {columns: readonly Column[]; found: TableColumns},
): Promise<BkpError> {
  const others = found.columns.filter((column) => !columns.includes(column)).map((column) => column.name);
  const triggers = await connection.rows(
    "SELECT quote_ident(evtname) FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY evtname",
  );
  const named = triggers.map(([trigger]) => `ALTER EVENT TRIGGER ${trigger} DISABLE;`).join(' ');
  return new BkpError('PRECONDITION', `${name} has columns in the target that the backup does not have`, {
    cause: `an event trigger of the target may add ${others.join(', ')} to new tables; nothing was restored`,
    next: named === '' ? 'restore into another database' : `${named} then restore again, and enable it`,
    context: {table: name},
  });
}

/** @returns fewer than `columns` if there are others */
function inStoredOrder(table: StoredTable, columns: readonly Column[]): readonly Column[] {
  const byName = new Map(columns.map((column) => [column.name, column]));
  // Versions that did not write the order had the columns of the key first, which the table may not have yet.
  const stored = storedColumns(table);
  const key = keyNames(table);
  const names =
    table.columns === undefined ? [...key, ...[...byName.keys()].filter((name) => !key.includes(name))] : stored;
  const found = names.flatMap((name) => byName.get(name) ?? []);
  if (found.length === names.length) return found;
  throw new BkpError(
    'OBJECT_DAMAGED',
    `the rows of ${table.name} in the backup have other columns than its statement`,
    {
      next: 'restore another backup',
      context: {table: table.name},
    },
  );
}

/** Columns whose values the backup has, also generated ones of the key. Old versions named the key only. */
export const storedColumns = (table: StoredTable): readonly string[] =>
  table.columns?.map((column) => column.slice(0, column.indexOf('\0'))) ?? keyNames(table);

/** The columns of the primary key, as the table's constraint names them. */
function keyNames({key, constraints}: StoredTable): readonly string[] {
  if (key !== undefined) return key;
  const list = constraints.map((sql) => /\bPRIMARY KEY \(((?:"(?:[^"]|"")*"|[^)"])*)\)/u.exec(sql)?.[1]).find(Boolean);
  const names = list?.replace(/ WITHOUT OVERLAPS$/u, '').match(/"(?:[^"]|"")*"|[^,\s"]+/gu);
  return (names ?? []).map(unquoted);
}

async function* once(segment: Uint8Array): AsyncGenerator<Uint8Array> {
  yield segment;
}
