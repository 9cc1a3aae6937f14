import {createHash} from 'node:crypto';
import {BkpError} from '../../../errors/index.ts';
import {forEachConcurrent} from '../../../lib/async.ts';
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
import {columnList} from '../catalog/columns.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified, unquoted} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {LookingFunctions} from '../schema/looking-functions.ts';
import {type Moves, movedKeys, moveKey, rewrite} from '../schema/rewrite.ts';
import {contentOf} from '../segments/content.ts';
import {buildOne, inTwoSteps, prepareToBuild, referredBy, setSortMemory, validation} from './build.ts';
import {type Continued, continueStaging, endSessions, isContinuable, recordDone, recordPlan} from './continued.ts';
import {keepLate} from './late-rows.ts';
import {createLater, recordLater, runOrLeave} from './later.ts';
import {LeftOut} from './left-out.ts';
import {Loaders} from './loaders.ts';
import {lookingChecksOf} from './looking-parts.ts';
import {recordMade, removeStaged} from './made.ts';
import {compareTables, mergeTables} from './merge.ts';
import {requireFreeNames, requireNeeded} from './obstacles.ts';
import {type Limits, type PublishOptions, publishInTransaction, publishTables, type TableStatement} from './publish.ts';
import {createShared, neededShared, setSequence} from './shared.ts';
import {
  creationOf,
  inOrder,
  isBeforeTables,
  isPrimaryKey,
  isTableOf,
  pairOf,
  type SharedObject,
  type StoredTable,
  searchPathOf,
  sharedObjects,
  storedAfter,
  storedTables,
} from './stored.ts';
import {stagedName, stagedOid, TableLoad} from './table-load.ts';

/** The schemas of one staging begin with this. */
export function stagingPrefix(id: string): string {
  return `_bkp_stage_${createHash('sha256').update(id).digest('hex').slice(0, 12)}_`;
}

type BrokenKey = {
  table: StoredTable;
  sql: string;
  /** The key exists, and holds for new rows only. */
  constraint: string | undefined;
  error: BkpError;
};

/** Rows of the source refer to nothing where they were written without its triggers, as by replication. */
const isForeignKeyFault = (error: unknown): error is BkpError =>
  error instanceof BkpError && error.context.sqlState === '23503';

/** Opens another connection to the same database. */
export type Reconnect = () => Promise<Connection>;

/**
 * Tables in schemas of their own until they are published, so that no application sees them. Several are
 * loaded at the same time, each in one transaction on one connection, which then builds its indexes.
 */
export class PostgresStaging implements Staging {
  readonly #connection: Connection;
  readonly #reconnect: Reconnect;
  readonly #tables: ReadonlyMap<TableName, StoredTable>;
  /** Under the names under which they are published. */
  readonly #targets: readonly StoredTable[];
  readonly #after: readonly SharedObject[];
  readonly #prefix: string;
  readonly #mode: MergeMode | undefined;
  readonly #moves: Moves;
  readonly #loads: ReadonlyMap<TableName, TableLoad>;
  readonly #loaders: Loaders;
  /** Those that what is created with the tables may call. */
  #looking: LookingFunctions | undefined;
  readonly #searchPath: string | undefined;
  /** Tables of which all rows, constraints and indexes are there. */
  readonly #built = new Set<TableName>();
  /** Foreign keys of and to tables that get their rows last. */
  readonly #waiting: TableStatement[] = [];
  /** Foreign keys that not all rows of the backup meet; `add` is the statement that would create it. */
  readonly #broken: BrokenKey[] = [];
  /** Notices of the time before anybody listens. */
  readonly #told: string[] = [];
  /** Of which another staging had loaded and built everything. */
  readonly #completed = new Set<TableName>();
  readonly #plan: string | undefined;
  #isPublished = false;
  /** Another staging is to continue this one. */
  #isLeft = false;

  private constructor(
    connection: Connection,
    reconnect: Reconnect,
    {
      id,
      tables,
      targets,
      objects,
      mode,
      plan,
      loaders,
      searchPath,
    }: {
      id: string;
      tables: readonly StoredTable[];
      targets: readonly StoredTable[];
      objects: readonly SchemaObject[];
      mode: MergeMode | undefined;
      plan: string | undefined;
      loaders: Loaders;
      searchPath: string | undefined;
    },
  ) {
    this.#plan = plan;
    this.#searchPath = searchPath;
    this.#loaders = loaders;
    this.#reconnect = reconnect;
    this.#connection = connection;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#mode = mode;
    this.#targets = targets;
    this.#after = storedAfter(objects);
    this.#prefix = stagingPrefix(id);
    const schemas = [...new Set(tables.flatMap(({relations}) => relations.map((relation) => pairOf(relation)[0])))];
    this.#moves = new Map(
      tables.flatMap((table) =>
        table.relations.flatMap((relation) => {
          const [schema, name] = pairOf(relation);
          const moved = `${this.#prefix}${schemas.indexOf(schema)}`;
          return movedKeys(schema, name, {isTable: isTableOf(table, relation)}).map((key) => [key, moved] as const);
        }),
      ),
    );
    this.#loads = new Map(tables.map((table) => [table.name, new TableLoad(table, this.#moves)]));
  }

  /** Creates the empty tables, or takes over those of an interrupted staging with the same plan. */
  static async create(
    reconnect: Reconnect,
    schemas: readonly TableSchema[],
    {
      id,
      database,
      objects,
      published,
      mode,
      plan,
      connections,
    }: {
      id: string;
      database: DatabaseFacts;
      objects: readonly SchemaObject[];
      published: ReadonlyMap<TableName, TableSchema>;
      mode: MergeMode | undefined;
      plan: string | undefined;
      /** How many load tables at the same time, besides the one that creates and publishes them. */
      connections: number;
    },
  ): Promise<PostgresStaging> {
    const connection = await reconnect();
    let loaders: Loaders | undefined;
    try {
      const tables = storedTables(schemas);
      const targets = storedTables(schemas.map((schema) => published.get(schema.name) ?? schema));
      const shared = sharedOf({database, targets, objects});
      if (mode === undefined) {
        await requireFreeNames(connection, targets);
        await requireNeeded(connection, tables);
      }
      loaders = await Loaders.open(reconnect, connections);
      const staging = new PostgresStaging(connection, reconnect, {
        ...{id, tables, targets, objects, mode, plan, loaders},
        searchPath: searchPathOf(database),
      });
      const continued = await staging.#findLeft();
      if (continued === undefined) await discardStaging(connection, id);
      await connection.transaction('BEGIN', () =>
        continued === undefined ? staging.#createTables(shared) : staging.#continue(continued),
      );
      return staging;
    } catch (error) {
      await loaders?.close(connection);
      await connection.close();
      throw error;
    }
  }

  /**
   * Creates and publishes everything without rows, in a transaction that the caller rolls back.
   * @param what.targets the same tables under the names that they get, in the same order
   * @throws BkpError what the restore would fail with
   */
  static async rehearse(
    connection: Connection,
    what: {
      stored: readonly TableSchema[];
      targets: readonly TableSchema[];
      objects: readonly SchemaObject[];
      database: DatabaseFacts;
    },
    {limits, notice}: {limits: Limits; notice: (text: string) => void},
  ): Promise<void> {
    const [tables, targets] = [storedTables(what.stored), storedTables(what.targets)];
    const {objects, database} = what;
    const shared = sharedOf({database, targets, objects});
    // Of this session alone: another dry run may be under way.
    const id = `dry run ${connection.pid}`;
    const [mode, plan, loaders] = [undefined, undefined, Loaders.none()];
    const reconnect = () => Promise.resolve(connection);
    const staging = new PostgresStaging(connection, reconnect, {
      ...{id, tables, targets, objects, mode, plan, loaders},
      searchPath: searchPathOf(database),
    });
    await staging.#createTables(shared, limits);
    await prepareToBuild(connection, limits);
    const run = ({sql}: TableStatement) => connection.run(staging.#staged(sql));
    for (const [name, {table}] of staging.#loads) {
      const statements = inOrder([table], ({constraints, indexes}) => [...constraints, ...indexes]);
      for (const {sql} of statements) await staging.#build(connection, name, sql);
    }
    for (const one of staging.#inside()) {
      if (staging.#isLate(one.table, one.sql)) staging.#waiting.push(one);
      else await run(one);
    }
    for (const table of tables) await staging.#setSequences(table);
    for (const text of staging.#told) notice(text);
    const leftOut = new LeftOut(notice);
    await publishInTransaction(connection, staging.#publishing(leftOut), limits);
    leftOut.end();
    const filled = staging.#after.filter(({isFilled}) => isFilled).map(({schema, name}) => `${schema}.${name}`);
    if (filled.length > 0) notice(`the restore refreshes ${filled.join(', ')}, which a dry run does not try`);
  }

  async #createTables(
    shared: readonly SharedObject[],
    limits: Partial<Limits> & Pick<Limits, 'lockTimeoutSeconds'> = {lockTimeoutSeconds: 30},
  ): Promise<void> {
    const connection = this.#connection;
    await fixSettings(connection, limits);
    await connection.run('SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error');
    const leftOut = new LeftOut((text) => this.#told.push(text));
    const present = new Set<string>();
    const drops: string[] = [];
    const createObjects = async (objects: readonly SharedObject[]) =>
      drops.push(...(await createShared(connection, objects, {leftOut, moves: this.#moves, present})));
    // The living tables have what they need.
    if (this.#mode === undefined) await createObjects(shared.filter(isBeforeTables));
    const schemas = new Set([this.#firstSchema, ...this.#moves.values()]);
    await connection.run([...schemas].map((name) => `CREATE SCHEMA ${name}`).join('; '));
    const tables = [...this.#tables.values()];
    await createLater(connection, this.#firstSchema);
    await this.#readLooking();
    const creation = creationOf(tables, shared);
    const create = async () => {
      for (const one of creation) {
        if ('type' in one) await createObjects([one]);
        else await connection.run(this.#staged(one.sql));
      }
      // Functions may have come among the tables.
      if (creation.some((one) => 'type' in one)) await this.#readLooking();
      await this.#looking?.readDepends(connection);
      await this.#dropLookingChecks();
      await this.#keepLate();
    };
    await (this.#looking === undefined ? create() : this.#looking.withoutExpanding(connection, create));
    leftOut.end();
    await recordMade(connection, this.#firstSchema, drops);
    if (this.#plan !== undefined) await recordPlan(connection, this.#firstSchema, {plan: this.#plan, told: this.#told});
  }

  async #readLooking(): Promise<void> {
    const tables = [...this.#targets, ...this.#tables.values()].map(({table}) => table);
    // A function has its arguments behind its name.
    const others = this.#after.map(({name}) => unquoted(/^"(?:[^"]|"")*"|^[^(]*/u.exec(name)![0]));
    this.#looking = await LookingFunctions.read(this.#connection, [...tables, ...others]);
  }

  /** They come back when all tables have their names and rows. Those of living tables are checked by these. */
  async #dropLookingChecks(): Promise<void> {
    if (this.#looking === undefined) return;
    const staged = [];
    for (const [name, load] of this.#loads) staged.push({name, oid: await stagedOid(this.#connection, load.name)});
    const checks = await lookingChecksOf(this.#connection, this.#looking, staged);
    for (const {drop} of checks) await this.#connection.run(drop);
    if (this.#mode !== undefined) return;
    const names = new Map(
      [...this.#tables.values()].flatMap((table) =>
        table.relations.flatMap((relation) => {
          const [schema, name] = pairOf(relation);
          const isTable = isTableOf(table, relation);
          const keys = movedKeys(this.#moves.get(moveKey(schema, name))!, name, {isTable});
          return keys.map((key) => [key, moveKey(schema, name)] as const);
        }),
      ),
    );
    for (const {table, add} of checks) {
      await recordLater(this.#connection, this.#firstSchema, {name: table, sql: rewrite(add, new Map(), names)});
    }
  }

  async #findLeft(): Promise<Continued | undefined> {
    if (this.#plan === undefined) return undefined;
    const names = new Map(
      [...this.#loads].map(([name, load], at) => {
        return [name, {staged: load.name, keep: this.#lateName(at), only: onlyOf(load.table.kind)}] as const;
      }),
    );
    return continueStaging(this.#connection, {prefix: this.#prefix, plan: this.#plan, names});
  }

  async #continue({told, done}: Continued): Promise<void> {
    await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
    this.#told.push(...told);
    await this.#readLooking();
    await this.#looking?.readDepends(this.#connection);
    await this.#keepLate();
    for (const [name, {rows, hash}] of done) {
      this.#loads.get(name)!.content.addMeasured({rows, sum: hash});
      this.#built.add(name);
      this.#completed.add(name);
    }
  }

  #lateName(at: number): string {
    return `${this.#firstSchema}._bkp_rows_${at}`;
  }

  async #keepLate(): Promise<void> {
    const connection = this.#connection;
    // A merge finds all names, those of the living tables.
    if (this.#mode !== undefined) return;
    for (const [at, load] of [...this.#loads.values()].entries()) {
      const late = await keepLate(connection, {table: load.name, keep: this.#lateName(at)}, this.#looking);
      if (late !== undefined) load.keepIn(late);
    }
  }

  /** It exists also if there are no tables. */
  get #firstSchema(): string {
    return `${this.#prefix}0`;
  }

  wanted(): readonly Tree[] {
    return [];
  }

  async loadTree(table: TableName, _tree: StoredTree, _chunks: AsyncIterable<Uint8Array>): Promise<void> {
    throw new BkpError('UNSUPPORTED', `table ${table} is stored as records of SQLite`, {
      next: 'restore it with --source sqlite::path=FILE',
    });
  }

  completed(): ReadonlySet<TableName> {
    return this.#completed;
  }

  get concurrency(): number {
    return this.#loaders.count;
  }

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    const load = this.#loads.get(name)!;
    return this.#loaders.inTransaction(load, (connection) => load.load(connection, segment));
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    const load = this.#loads.get(name)!;
    return this.#loaders.inTransaction(load, (connection) => load.removeKeys(connection, segment));
  }

  async complete(name: TableName, signal?: AbortSignal): Promise<void> {
    const load = this.#loads.get(name)!;
    const {table, remaining} = load;
    const keysOnly = this.#mode !== undefined;
    const statements = keysOnly ? remaining.filter(isPrimaryKey) : [...remaining, ...table.indexes];
    await this.#loaders.end(load, async (connection) => {
      // A table with checks that wait for the end of the transaction cannot be changed.
      await connection.run('SET CONSTRAINTS ALL IMMEDIATE');
      await prepareToBuild(connection);
      await setSortMemory(connection, load.name);
      for (const {sql} of inOrder([table], () => statements)) {
        signal?.throwIfAborted();
        await this.#build(connection, name, sql);
      }
      signal?.throwIfAborted();
      const isAnalyzed = await runOrLeave(connection, `ANALYZE ${load.name}`);
      if (!isAnalyzed) await recordLater(connection, this.#firstSchema, {name, sql: `ANALYZE ${name}`});
      const content = load.content.content();
      if (this.#plan !== undefined) await recordDone(connection, this.#firstSchema, {name, content});
    });
    this.#built.add(name);
  }

  /** What calls a function that looks at other tables, which have no names yet, is built at the end. */
  async #build(connection: Connection, name: TableName, sql: string): Promise<void> {
    if (this.#mode !== undefined || isPrimaryKey(sql)) return connection.run(this.#staged(sql));
    if (this.#looking?.areNamedIn(sql) !== true && (await runOrLeave(connection, this.#staged(sql)))) return;
    await recordLater(connection, this.#firstSchema, {name, sql});
  }

  async finish(options: Parameters<Staging['finish']>[0]): Promise<readonly PublishedTable[]> {
    const {signal, progress, contentOf: wanted = new Set<TableName>()} = options;
    progress?.('Indexes');
    const left = [...this.#tables.keys()].filter((name) => !this.#built.has(name));
    await forEachConcurrent(left, this.concurrency, (name) => this.complete(name, signal));
    if (this.#mode === undefined) {
      progress?.('References');
      await this.#addReferences(signal);
    }
    progress?.('Check');
    const published: PublishedTable[] = [];
    for (const [name, table] of this.#tables) {
      signal?.throwIfAborted();
      await this.#setSequences(table);
      const content = await this.#contentOf(table, options.check);
      published.push(wanted.has(name) ? {name, rows: content.rows, content} : {name, rows: content.rows});
    }
    return published;
  }

  async #addReferences(signal: AbortSignal | undefined): Promise<void> {
    const validations: (() => Promise<void>)[] = [];
    const orBroken = async (key: Omit<BrokenKey, 'error'>, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        if (!isForeignKeyFault(error)) throw error;
        this.#broken.push({...key, error});
      }
    };
    for (const {table, sql} of this.#inside()) {
      signal?.throwIfAborted();
      if (this.#isLate(table, sql)) {
        this.#waiting.push({table, sql});
        continue;
      }
      const steps = inTwoSteps(table, sql);
      const key = {table, sql, constraint: steps?.constraint};
      await orBroken(key, () => buildOne(this.#connection, this.#staged(steps?.add ?? sql)));
      if (steps === undefined) continue;
      const validate = validation(stagedName(table, this.#moves), steps.constraint);
      validations.push(() => orBroken(key, () => this.#loaders.use((connection) => buildOne(connection, validate))));
    }
    await forEachConcurrent(validations, this.concurrency, async (validate) => {
      signal?.throwIfAborted();
      await validate();
    });
  }

  async publish({resume, signal, notice, missing}: Parameters<Staging['publish']>[0]): Promise<void> {
    signal?.throwIfAborted();
    for (const text of this.#told) notice?.(text);
    const leftOut = new LeftOut(notice);
    await publishTables(this.#connection, {...this.#publishing(leftOut), resume, missing});
    this.#isPublished = true;
    leftOut.end();
    this.#tellBroken(leftOut);
  }

  #publishing(leftOut: LeftOut): PublishOptions {
    const late = [...this.#loads].flatMap(([name, load]) =>
      load.late === undefined ? [] : [[name, load.late] as const],
    );
    return {
      tables: [...this.#tables.values()],
      targets: this.#targets,
      after: this.#after,
      moves: this.#moves,
      schema: this.#firstSchema,
      outside: (table) => table.references.filter((sql) => !this.#isInside(sql)),
      late: new Map(late),
      waiting: this.#waiting,
      searchPath: this.#searchPath,
      leftOut,
    };
  }

  #tellBroken(leftOut: LeftOut): void {
    const tables = [...this.#tables.values()];
    for (const {table, sql, constraint, error} of this.#broken) {
      const {name, schema, table: own} = this.#targets[tables.indexOf(table)]!;
      if (constraint === undefined) leftOut.tell(name, sql, error);
      else leftOut.unchecked(name, `${validation(qualified(schema, own), constraint)};`, error);
    }
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
      const {name} = this.#loads.get(stored.name)!;
      tables.push({stored, staged: {oid: await stagedOid(this.#connection, name), name}});
    }
    return {tables, mode: this.#mode ?? ('replace' as const)};
  }

  async leave(): Promise<boolean> {
    if (this.#plan === undefined) return false;
    const isKept = await isContinuable(this.#connection, this.#prefix).catch(() => false);
    if (!isKept) return false;
    this.#isLeft = true;
    await this.discard();
    return true;
  }

  async discard(): Promise<void> {
    if (!this.#isPublished && !this.#isLeft) {
      await this.#connection.run('ROLLBACK').catch(() => {});
      await this.#loaders.close(this.#connection);
      await removeStaged(this.#connection, this.#prefix).catch(() => this.#discardOtherwise());
    }
    await this.#loaders.close(this.#connection);
    await this.#connection.close();
  }

  /** The connection may be what failed. */
  async #discardOtherwise(): Promise<void> {
    const other = await this.#reconnect().catch(() => undefined);
    if (other === undefined) return;
    await removeStaged(other, this.#prefix).catch(() => {});
    await other.close();
  }

  /**
   * The server reports how many rows it took and which ones it removed again, so the sum of both is what the table
   * contains; with `full`, every row is read back.
   */
  async #contentOf(table: StoredTable, check: 'quick' | 'full'): Promise<TableContent> {
    const load = this.#loads.get(table.name)!;
    if (check === 'quick') return load.content.content();
    const {columns} = await load.columns(this.#connection);
    const query = `SELECT ${columnList(columns)} FROM ${onlyOf(table.kind)}${load.name}`;
    return this.#connection.transaction('BEGIN READ ONLY', async () => {
      await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
      return contentOf(this.#connection, query);
    });
  }

  /** The foreign keys between tables of this restore. */
  #inside(): readonly TableStatement[] {
    return inOrder([...this.#tables.values()], ({references}) => references.filter((sql) => this.#isInside(sql)));
  }

  /** Whether a foreign key refers to a table of this restore. */
  #isInside(sql: string): boolean {
    const found = referredBy(sql);
    return found !== undefined && this.#moves.has(moveKey(found.schema, found.table));
  }

  /** Whether a foreign key is one of or to a table that gets its rows last. */
  #isLate({name}: StoredTable, sql: string): boolean {
    if (this.#loads.get(name)!.late !== undefined) return true;
    const found = referredBy(sql);
    return [...this.#loads.values()].some(
      ({late, table}) => late !== undefined && table.schema === found?.schema && table.table === found.table,
    );
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

/** What must exist before the tables. */
function sharedOf(of: {
  database: DatabaseFacts;
  targets: readonly StoredTable[];
  objects: readonly SchemaObject[];
}): readonly SharedObject[] {
  const {database, targets, objects} = of;
  // Partitions and statistics may be in other schemas than their table.
  const own = targets.flatMap(({relations}) => relations.map((relation) => pairOf(relation)[0]));
  const schemas = [...targets, ...storedAfter(objects)].map(({schema}) => schema);
  return neededShared(sharedObjects(database), [...own, ...schemas]);
}

/**
 * Drops what a staging with this id left, whose process has ended.
 * @returns whether something is kept, which is so with `unlessContinuable` only
 */
export async function discardStaging(
  connection: Connection,
  id: string,
  {unlessContinuable = false}: {unlessContinuable?: boolean} = {},
): Promise<boolean> {
  const prefix = stagingPrefix(id);
  await endSessions(connection, prefix);
  if (unlessContinuable && (await isContinuable(connection, prefix))) return true;
  await removeStaged(connection, prefix);
  return false;
}
