import {BkpError} from '../../../errors/index.ts';
import {forEachConcurrent} from '../../../lib/async.ts';
import type {
  MergedTable,
  MergeMode,
  PublishedTable,
  Staging,
  StoredTree,
  TableContent,
  TableName,
  TableSchema,
  Tree,
} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import {requireNoRefusal, withEventTrigger} from '../catalog/event-triggers.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {contentOf} from '../segments/content.ts';
import {buildOne, inTwoSteps, prepareToBuild, setSortMemory, validation} from './build.ts';
import {type Check, isOfDomain} from './checks.ts';
import {endSessions, isContinuable, recordDone} from './continued.ts';
import {LeftOut} from './left-out.ts';
import {Loaders} from './loaders.ts';
import {removeStaged} from './made.ts';
import {compareTables, mergeTables} from './merge.ts';
import {requireFreeNames, requireNeeded, requireVisible} from './obstacles.ts';
import {publishTables, type TableStatement} from './publish.ts';
import {StagedTables, type StagedTablesInput, stagingPrefix} from './staged-tables.ts';
import {inOrder, isPrimaryKey, type StoredTable} from './stored.ts';
import {stagedName, stagedOid} from './table-load.ts';

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
/** The rows do not allow the unique index to which the key refers. */
const lacksIndex = (error: unknown): error is BkpError =>
  error instanceof BkpError && error.context.sqlState === '42830';

/** Opens another connection to the same database. */
export type Reconnect = () => Promise<Connection>;

type Opened = {
  connection: Connection;
  staged: StagedTables;
  loaders: Loaders;
  completed: ReadonlySet<TableName>;
};

type CreationInput = Omit<StagedTablesInput, 'published'> & {
  published: ReadonlyMap<TableName, TableSchema>;
  connections: number;
};

/**
 * Tables in schemas of their own until they are published, so that no application sees them. Several are
 * loaded at the same time, each in one transaction on one connection, which then builds its indexes.
 */
export class PostgresStaging implements Staging {
  readonly #connection: Connection;
  readonly #reconnect: Reconnect;
  readonly #staged: StagedTables;
  readonly #loaders: Loaders;
  readonly #mode: MergeMode | undefined;
  readonly #plan: string | undefined;
  /** Tables of which all rows, constraints and indexes are there. */
  readonly #built: Set<TableName>;
  /** Of which another staging had loaded and built everything. */
  readonly #completed: ReadonlySet<TableName>;
  /** Foreign keys of and to tables that get their rows last. */
  readonly #waiting: TableStatement[] = [];
  /** Foreign keys that not all rows of the backup meet; `add` is the statement that would create it. */
  readonly #broken: BrokenKey[] = [];
  #isPublished = false;
  /** Another staging is to continue this one. */
  #isLeft = false;

  private constructor(
    reconnect: Reconnect,
    {connection, staged, loaders, mode, plan, completed}: Opened & Pick<StagedTablesInput, 'mode' | 'plan'>,
  ) {
    this.#connection = connection;
    this.#reconnect = reconnect;
    this.#staged = staged;
    this.#loaders = loaders;
    this.#mode = mode;
    this.#plan = plan;
    this.#completed = completed;
    this.#built = new Set(completed);
  }

  /**
   * Creates the empty tables, or takes over those of an interrupted staging with the same plan.
   * @param input.published only the schemas that are not published as they are
   * @param input.connections how many load tables at the same time, besides the one that creates and publishes them
   */
  static async create(
    reconnect: Reconnect,
    {published, connections, ...input}: CreationInput,
  ): Promise<PostgresStaging> {
    const {schemas, mode, plan, id} = input;
    const connection = await reconnect();
    let loaders: Loaders | undefined;
    try {
      const targets = schemas.map((schema) => published.get(schema.name) ?? schema);
      const staged = new StagedTables(connection, {...input, published: targets});
      if (mode === undefined) await requireFreeNames(connection, staged.targets);
      else await requireVisible(connection, [...staged.tables.keys()]);
      await requireNeeded(connection, [...staged.tables.values()], mode);
      await requireNoRefusal(connection, staged.firstSchema);
      loaders = await Loaders.open(reconnect, connections);
      const left = await staged.findLeft();
      if (left === undefined) await discardStaging(connection, id);
      await connection.transaction('BEGIN', () => (left === undefined ? staged.create() : staged.takeOver(left)));
      const completed = new Set(left?.done.keys());
      return new PostgresStaging(reconnect, {connection, staged, loaders, mode, plan, completed});
    } catch (error) {
      const named = await withEventTrigger(connection, error).catch(() => error);
      await loaders?.close(connection);
      await connection.close();
      throw named;
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

  completed(): ReadonlySet<TableName> {
    return this.#completed;
  }

  get concurrency(): number {
    return this.#loaders.count;
  }

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    const load = this.#staged.loads.get(name)!;
    return this.#loaders.inTransaction(load, (connection) => load.load(connection, segment));
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    const load = this.#staged.loads.get(name)!;
    return this.#loaders.inTransaction(load, (connection) => load.removeKeys(connection, segment));
  }

  complete(name: TableName, signal?: AbortSignal): Promise<void> {
    return this.#naming(() => this.#complete(name, signal));
  }

  async #complete(name: TableName, signal?: AbortSignal): Promise<void> {
    const load = this.#staged.loads.get(name)!;
    const {table, remaining} = load;
    const keysOnly = this.#mode !== undefined;
    const statements = keysOnly ? remaining.filter(isPrimaryKey) : [...remaining, ...table.indexes];
    await this.#loaders.end(load, async (connection) => {
      // A table with checks that wait for the end of the transaction cannot be changed.
      await connection.run('SET CONSTRAINTS ALL IMMEDIATE');
      await prepareToBuild(connection);
      await this.#staged.closeRests(connection, name);
      await setSortMemory(connection, load.name);
      for (const {sql} of inOrder([table], () => statements)) {
        signal?.throwIfAborted();
        await this.#staged.build(connection, name, sql);
      }
      signal?.throwIfAborted();
      await this.#staged.analyze(connection, name);
      const content = load.content.content();
      if (this.#plan !== undefined) await recordDone(connection, this.#staged.firstSchema, {name, content});
    });
    this.#built.add(name);
  }

  async finish(options: Parameters<Staging['finish']>[0]): Promise<readonly PublishedTable[]> {
    const {signal, progress, contentOf: wanted = new Set<TableName>()} = options;
    progress?.('Indexes');
    const left = [...this.#staged.tables.keys()].filter((name) => !this.#built.has(name));
    await forEachConcurrent(left, this.concurrency, (name) => this.complete(name, signal));
    if (this.#mode === undefined) {
      await this.#addChecks(signal);
      progress?.('References');
      await this.#addReferences(signal);
    }
    progress?.('Check');
    const published: PublishedTable[] = [];
    for (const [name, table] of this.#staged.tables) {
      signal?.throwIfAborted();
      await this.#staged.setSequences(table);
      const content = await this.#contentOf(table, options.check);
      published.push(wanted.has(name) ? {name, rows: content.rows, content} : {name, rows: content.rows});
    }
    return published;
  }

  async #addChecks(signal: AbortSignal | undefined): Promise<void> {
    const addAll = async (checks: readonly Check[]) => {
      signal?.throwIfAborted();
      const add = async (connection: Connection) => {
        await prepareToBuild(connection);
        await this.#staged.addChecks(connection, checks);
      };
      await this.#loaders.use((connection) => connection.transaction('BEGIN', () => add(connection)));
    };
    const checks = await this.#staged.checks();
    const isOfTable = ([first]: readonly Check[]) => !isOfDomain(first!);
    await forEachConcurrent(checks.filter(isOfTable), this.concurrency, addAll);
    // Each locks all tables that have the domain.
    for (const ofDomain of checks.filter((group) => !isOfTable(group))) await addAll(ofDomain);
  }

  async #addReferences(signal: AbortSignal | undefined): Promise<void> {
    const validations: (() => Promise<unknown>)[] = [];
    const orBroken = async (key: Omit<BrokenKey, 'error'>, work: () => Promise<void>): Promise<boolean> => {
      try {
        await work();
        return true;
      } catch (error) {
        if (lacksIndex(error)) this.#broken.push({...key, constraint: undefined, error});
        else if (isForeignKeyFault(error)) this.#broken.push({...key, error});
        else throw error;
        return false;
      }
    };
    for (const {table, sql, isLate} of this.#staged.inside()) {
      signal?.throwIfAborted();
      if (isLate) {
        this.#waiting.push({table, sql});
        continue;
      }
      const steps = inTwoSteps(table, sql);
      const key = {table, sql, constraint: steps?.constraint};
      const isAdded = await orBroken(key, () => buildOne(this.#connection, this.#staged.staged(steps?.add ?? sql)));
      if (steps === undefined || !isAdded) continue;
      const validate = validation(stagedName(table, this.#staged.moves), steps.constraint);
      validations.push(() => orBroken(key, () => this.#loaders.use((connection) => buildOne(connection, validate))));
    }
    await forEachConcurrent(validations, this.concurrency, async (validate) => {
      signal?.throwIfAborted();
      await validate();
    });
  }

  async publish({resume, signal, notice, missing}: Parameters<Staging['publish']>[0]): Promise<void> {
    signal?.throwIfAborted();
    for (const text of this.#staged.told) notice?.(text);
    const leftOut = new LeftOut(notice);
    const options = {...this.#staged.publishing(leftOut, this.#waiting), resume, missing};
    await this.#naming(() => publishTables(this.#connection, options));
    this.#isPublished = true;
    leftOut.end();
    this.#tellBroken(leftOut);
  }

  #tellBroken(leftOut: LeftOut): void {
    const tables = [...this.#staged.tables.values()];
    for (const {table, sql, constraint, error} of this.#broken) {
      const {name, schema, table: own} = this.#staged.targets[tables.indexOf(table)]!;
      if (constraint === undefined) leftOut.tell(name, sql, error);
      else leftOut.unchecked(name, `${validation(qualified(schema, own), constraint)};`, {error});
    }
    this.#staged.tellBrokenChecks(leftOut);
  }

  async merge(options: Parameters<Staging['merge']>[0]): Promise<readonly MergedTable[]> {
    const request = await this.#merging();
    return this.#naming(() => mergeTables(this.#connection, request, options));
  }

  async compare({examples}: {examples: number}): Promise<readonly MergedTable[]> {
    return compareTables(this.#connection, await this.#merging(), examples);
  }

  async #merging() {
    const tables = [];
    for (const stored of this.#staged.tables.values()) {
      const {name} = this.#staged.loads.get(stored.name)!;
      tables.push({stored, staged: {oid: await stagedOid(this.#connection, name), name}});
    }
    return {tables, mode: this.#mode ?? ('replace' as const), searchPath: this.#staged.searchPath};
  }

  /** Names the event trigger that refused, if one did. */
  async #naming<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw await withEventTrigger(this.#connection, error).catch(() => error);
    }
  }

  async leave(): Promise<boolean> {
    if (this.#plan === undefined) return false;
    const isKept = await isContinuable(this.#connection, this.#staged.prefix).catch(() => false);
    if (!isKept) return false;
    this.#isLeft = true;
    await this.discard();
    return true;
  }

  async discard(): Promise<void> {
    if (!this.#isPublished && !this.#isLeft) {
      await this.#connection.run('ROLLBACK').catch(() => {});
      await this.#loaders.close(this.#connection);
      await removeStaged(this.#connection, this.#staged.prefix).catch(() => this.#discardOtherwise());
    }
    await this.#loaders.close(this.#connection);
    await this.#connection.close();
  }

  /** The connection may be what failed. */
  async #discardOtherwise(): Promise<void> {
    const other = await this.#reconnect().catch(() => undefined);
    if (other === undefined) return;
    await removeStaged(other, this.#staged.prefix).catch(() => {});
    await other.close();
  }

  /**
   * The server reports how many rows it took and which ones it removed again, so the sum of both is what the table
   * contains; with `full`, every row is read back.
   */
  async #contentOf(table: StoredTable, check: 'quick' | 'full'): Promise<TableContent> {
    const load = this.#staged.loads.get(table.name)!;
    if (check === 'quick') return load.content.content();
    const {columns} = await load.columns(this.#connection);
    const query = `SELECT ${columnList(columns)} FROM ${onlyOf(table.kind)}${load.name}`;
    return this.#connection.transaction('BEGIN READ ONLY', async () => {
      await fixSettings(this.#connection, {lockTimeoutSeconds: 30});
      return contentOf(this.#connection, query);
    });
  }
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
