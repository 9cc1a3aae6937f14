import {createHash} from 'node:crypto';
import {BkpError} from '../../../errors/index.ts';
import type {
  DatabaseFacts,
  MergedTable,
  MergeMode,
  PublishedTable,
  SchemaObject,
  Staging,
  StoredTree,
  TableContent,
  TableName,
  TableSchema,
  Tree,
} from '../../source.ts';
import {columnList, columnsOf, sameKey, type TableColumns} from '../catalog/columns.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent, quoteText} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {type Moves, moveKey, rewrite} from '../schema/rewrite.ts';
import {contentOf, RunningContent} from '../segments/content.ts';
import {readRows} from '../segments/read-rows.ts';
import {compareTables, mergeTables} from './merge.ts';
import {requireFreeNames} from './obstacles.ts';
import {publishTables} from './publish.ts';
import {createShared, neededShared, setSequence} from './shared.ts';
import {inOrder, pairOf, type StoredTable, sharedObjects, sqlOf, storedTables, storedViews} from './stored.ts';

/** The schemas of one staging begin with this. */
export function stagingPrefix(id: string): string {
  return `_bkp_stage_${createHash('sha256').update(id).digest('hex').slice(0, 12)}_`;
}

/** Opens another connection to the same database. */
export type Reconnect = () => Promise<Connection>;

type Loading = {
  table: StoredTable;
  /** Of the table in its staging schema. */
  columns: TableColumns;
  name: string;
  /** Deltas have begun: the primary key exists. */
  isKeyed: boolean;
  /** The rows of a transaction that created or emptied the table need no later freezing. */
  isFrozen: boolean;
  /** What was loaded, without what was removed again. */
  content: RunningContent;
};

const segmentBytes = 1024 * 1024;

/**
 * Tables in schemas of their own until they are published, so that no application sees them. Each table is loaded in
 * one transaction.
 */
export class PostgresStaging implements Staging {
  readonly #connection: Connection;
  readonly #reconnect: Reconnect;
  readonly #tables: ReadonlyMap<TableName, StoredTable>;
  /** Under the names under which they are published. */
  readonly #targets: readonly StoredTable[];
  readonly #views: ReturnType<typeof storedViews>;
  readonly #prefix: string;
  readonly #mode: MergeMode | undefined;
  readonly #moves: Moves;
  readonly #loading = new Map<TableName, Loading>();
  #open: Loading | undefined;
  #isPublished = false;

  private constructor(
    connection: Connection,
    reconnect: Reconnect,
    {
      id,
      tables,
      targets,
      objects,
      mode,
    }: {
      id: string;
      tables: readonly StoredTable[];
      targets: readonly StoredTable[];
      objects: readonly SchemaObject[];
      mode: MergeMode | undefined;
    },
  ) {
    this.#reconnect = reconnect;
    this.#connection = connection;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#mode = mode;
    this.#targets = targets;
    this.#views = storedViews(objects);
    this.#prefix = stagingPrefix(id);
    const schemas = [...new Set(tables.flatMap(({relations}) => relations.map((relation) => pairOf(relation)[0])))];
    this.#moves = new Map(
      tables.flatMap(({relations}) =>
        relations.map((relation) => {
          const [schema, name] = pairOf(relation);
          return [moveKey(schema, name), `${this.#prefix}${schemas.indexOf(schema)}`] as const;
        }),
      ),
    );
  }

  /** Creates the empty tables. */
  static async create(
    reconnect: Reconnect,
    schemas: readonly TableSchema[],
    {
      id,
      database,
      objects,
      published,
      mode,
    }: {
      id: string;
      database: DatabaseFacts;
      objects: readonly SchemaObject[];
      published: ReadonlyMap<TableName, TableSchema>;
      mode: MergeMode | undefined;
    },
  ): Promise<PostgresStaging> {
    const connection = await reconnect();
    try {
      const tables = storedTables(schemas);
      const targets = storedTables(schemas.map((schema) => published.get(schema.name) ?? schema));
      const views = storedViews(objects);
      const shared = neededShared(sharedObjects(database), [...targets, ...views]);
      if (mode === undefined) await requireFreeNames(connection, targets);
      const staging = new PostgresStaging(connection, reconnect, {id, tables, targets, objects, mode});
      await discardStaging(connection, id);
      await connection.transaction('BEGIN', async () => {
        await fixSettings(connection, {lockTimeoutSeconds: 30});
        await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
        // The living tables have what they need.
        if (mode === undefined) await createShared(connection, shared);
        await connection.run([...new Set(staging.#moves.values())].map((name) => `CREATE SCHEMA ${name}`).join('; '));
        for (const {sql} of inOrder(tables, ({create}) => create)) await connection.run(staging.#staged(sql));
      });
      return staging;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  wanted(): readonly Tree[] {
    return [];
  }

  async loadTree(table: TableName, _tree: StoredTree, _chunks: AsyncIterable<Uint8Array>): Promise<void> {
    throw new BkpError('UNSUPPORTED', `table ${table} is stored as records of SQLite`, {
      next: 'restore it with --source sqlite::path=FILE',
    });
  }

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    const loading = await this.#begin(name);
    const freeze = loading.isFrozen && loading.table.kind !== 'partitioned' ? ' WITH (FREEZE)' : '';
    const list = columnList(loading.columns.columns);
    const rows = await this.#connection.copyIn(`COPY ${loading.name} (${list}) FROM STDIN${freeze}`, once(segment));
    loading.content.add(segment);
    return rows;
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    const loading = await this.#begin(name);
    const {key} = loading.columns;
    const table = loading.name;
    if (!loading.isKeyed) {
      const primary = loading.table.constraints.filter(isPrimaryKey);
      for (const statement of primary) await this.#connection.run(this.#staged(sqlOf(statement)));
      loading.isKeyed = true;
      loading.isFrozen = false;
      loading.columns = await columnsOf(this.#connection, await this.#oidOf(loading.table));
    }
    const keys = loading.columns.key.length === 0 ? key : loading.columns.key;
    const columns = keys.map(({name: part}, at) => `${quoteIdent(part)} AS k${at}`).join(', ');
    await this.#connection.run(
      `DROP TABLE IF EXISTS pg_temp.bkp_keys;
        CREATE TEMP TABLE bkp_keys AS SELECT ${columns} FROM ${table} WHERE false`,
    );
    const rows = await this.#connection.copyIn('COPY pg_temp.bkp_keys FROM STDIN', once(segment));
    await this.#connection.run('ANALYZE pg_temp.bkp_keys');
    const only = onlyOf(loading.table.kind);
    const removed = `DELETE FROM ${only}${table} t USING pg_temp.bkp_keys d WHERE ${sameKey(keys)}
      RETURNING ${columnList(loading.columns.columns, 't.')}`;
    for await (const {bytes, release} of readRows(this.#connection, removed, {segmentBytes})) {
      loading.content.remove(bytes);
      release();
    }
    return rows;
  }

  async finish(options: Parameters<Staging['finish']>[0]): Promise<readonly PublishedTable[]> {
    const {signal, progress, contentOf: wanted = new Set<TableName>()} = options;
    await this.#end();
    const published: PublishedTable[] = [];
    const keys = (table: StoredTable) => this.#remaining(table).filter((sql) => isPrimaryKey(sql));
    const steps =
      this.#mode !== undefined
        ? [['Indexes', keys] as const]
        : ([
            ['Indexes', (table: StoredTable) => [...this.#remaining(table), ...table.indexes]],
            ['References', (table: StoredTable) => table.references.filter((sql) => this.#isInside(sql))],
          ] as const);
    for (const [phase, statementsOf] of steps) {
      progress?.(phase);
      for (const {sql} of inOrder([...this.#tables.values()], statementsOf)) {
        signal?.throwIfAborted();
        await this.#connection.transaction('BEGIN', async () => {
          await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
          await this.#connection.run("SET LOCAL client_min_messages = error; SET LOCAL maintenance_work_mem = '256MB'");
          await this.#connection.run(this.#staged(sql));
        });
      }
    }
    progress?.('Check');
    for (const [name, table] of this.#tables) {
      signal?.throwIfAborted();
      const staged = this.#nameOf(table);
      await this.#setSequences(table);
      await this.#connection.run(`ANALYZE ${staged}`);
      const only = onlyOf(table.kind);
      const rows = Number(await this.#connection.value(`SELECT count(*) FROM ${only}${staged}`));
      const content = wanted.has(name) ? await this.#contentOf(table, options.check) : undefined;
      published.push(content === undefined ? {name, rows} : {name, rows, content});
    }
    return published;
  }

  async publish({resume, signal, notice}: Parameters<Staging['publish']>[0]): Promise<void> {
    signal?.throwIfAborted();
    await publishTables(this.#connection, {
      tables: [...this.#tables.values()],
      targets: this.#targets,
      views: this.#views,
      moves: this.#moves,
      outside: (table) => table.references.filter((sql) => !this.#isInside(sql)),
      resume,
      notice,
    });
    this.#isPublished = true;
  }

  async merge(options: Parameters<Staging['merge']>[0]): Promise<readonly MergedTable[]> {
    return mergeTables(this.#connection, await this.#merging(), options);
  }

  async compare({examples}: {examples: number}): Promise<readonly MergedTable[]> {
    return compareTables(this.#connection, await this.#merging(), examples);
  }

  async #merging() {
    const tables = [];
    for (const stored of this.#tables.values()) {
      tables.push({stored, staged: {oid: await this.#oidOf(stored), name: this.#nameOf(stored)}});
    }
    return {tables, mode: this.#mode ?? ('replace' as const)};
  }

  async discard(): Promise<void> {
    if (!this.#isPublished) {
      await this.#connection.run('ROLLBACK').catch(() => {});
      await dropSchemas(this.#connection, this.#prefix).catch(() => this.#discardOtherwise());
    }
    await this.#connection.close();
  }

  /** The connection may be what failed. */
  async #discardOtherwise(): Promise<void> {
    const other = await this.#reconnect().catch(() => undefined);
    if (other === undefined) return;
    await dropSchemas(other, this.#prefix).catch(() => {});
    await other.close();
  }

  /** The table's transaction is open when this returns. */
  async #begin(name: TableName): Promise<Loading> {
    if (this.#open?.table.name === name) return this.#open;
    await this.#end();
    const table = this.#tables.get(name)!;
    await this.#connection.run('BEGIN');
    await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
    await this.#connection.run('SET LOCAL client_min_messages = error');
    const known = this.#loading.get(name);
    const loading = known ?? {
      table,
      columns: await this.#orderedColumns(table),
      name: this.#nameOf(table),
      isKeyed: false,
      isFrozen: true,
      content: new RunningContent(),
    };
    if (known === undefined) await this.#connection.run(`TRUNCATE ${onlyOf(table.kind)}${loading.name}`);
    else loading.isFrozen = false;
    this.#loading.set(name, loading);
    this.#open = loading;
    return loading;
  }

  /**
   * The server reports how many rows it took and which ones it removed again, so the sum of both is what the table
   * contains; with `full`, every row is read back.
   */
  async #contentOf(table: StoredTable, check: 'quick' | 'full'): Promise<TableContent> {
    const loaded = this.#loading.get(table.name);
    if (check === 'quick') return (loaded?.content ?? new RunningContent()).content();
    const {columns} = loaded?.columns ?? (await this.#orderedColumns(table));
    const query = `SELECT ${columnList(columns)} FROM ${onlyOf(table.kind)}${this.#nameOf(table)}`;
    return this.#connection.transaction('BEGIN READ ONLY', async () => {
      await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
      return contentOf(this.#connection, query);
    });
  }

  async #end(): Promise<void> {
    if (this.#open === undefined) return;
    await this.#connection.run('COMMIT');
    this.#open = undefined;
  }

  /** The columns in the order of the segments: those of the key, which the table does not have yet, first. */
  async #orderedColumns(table: StoredTable): Promise<TableColumns> {
    const found = await columnsOf(this.#connection, await this.#oidOf(table));
    const key = keyNames(table);
    const first = key.map((name) => found.columns.find((column) => column.name === name)!);
    const others = found.columns.filter(({name}) => !key.includes(name));
    return {key: found.key, columns: [...first, ...others]};
  }

  async #oidOf(table: StoredTable): Promise<number> {
    return Number(await this.#connection.value(`SELECT ${quoteText(this.#nameOf(table))}::regclass::oid`));
  }

  #nameOf({schema, table}: StoredTable): string {
    return `${this.#moves.get(moveKey(schema, table))}.${quoteIdent(table)}`;
  }

  /** Constraints that no delta needed. */
  #remaining(table: StoredTable): readonly string[] {
    const isKeyed = this.#loading.get(table.name)?.isKeyed ?? false;
    return table.constraints.filter((sql) => !(isKeyed && isPrimaryKey(sql)));
  }

  /** Whether a foreign key refers to a table of this restore. */
  #isInside(sql: string): boolean {
    const target = /\bREFERENCES ((?:"(?:[^"]|"")*"|[^."\s]+)\.(?:"(?:[^"]|"")*"|[^."\s(]+))/u.exec(sql)?.[1];
    return target !== undefined && rewrite(target, this.#moves) !== target;
  }

  async #setSequences(table: StoredTable): Promise<void> {
    for (const value of table.sequences) {
      const [schema, name] = JSON.parse(value) as [string, string];
      await setSequence(this.#connection, value, this.#moves.get(moveKey(schema, name))!);
    }
  }

  #staged(sql: string): string {
    return rewrite(sql, this.#moves);
  }
}

const isPrimaryKey = (sql: string) => /\bPRIMARY KEY\b/u.test(sql);

/** Drops what a staging with this id left. */
export async function discardStaging(connection: Connection, id: string): Promise<void> {
  await dropSchemas(connection, stagingPrefix(id));
}

async function dropSchemas(connection: Connection, prefix: string): Promise<void> {
  const rows = await connection.rows('SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1)', [prefix]);
  for (const [name] of rows) {
    await connection.run(
      `SET client_min_messages = error; DROP SCHEMA ${quoteIdent(name!)} CASCADE; RESET client_min_messages`,
    );
  }
}

/** The columns of the primary key, as the table's constraint names them. */
function keyNames({constraints}: StoredTable): readonly string[] {
  const list = constraints.map((sql) => /\bPRIMARY KEY \(((?:"(?:[^"]|"")*"|[^)"])*)\)/u.exec(sql)?.[1]).find(Boolean);
  return (list?.match(/"(?:[^"]|"")*"|[^,\s"]+/gu) ?? []).map((name) =>
    name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name,
  );
}

async function* once(segment: Uint8Array): AsyncGenerator<Uint8Array> {
  yield segment;
}
