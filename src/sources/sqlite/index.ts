import {accessSync, constants, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {eachInTurn} from '../../lib/async.ts';
import {formatCount} from '../../lib/figures.ts';
import {type Processes, systemProcesses} from '../../lib/processes.ts';
import {type Origin, originOf} from '../origin.ts';
import type {
  BackupParts,
  Choice,
  DatabaseFacts,
  Incoming,
  Mark,
  MergeMode,
  SchemaObject,
  Snapshot,
  SnapshotOptions,
  SourceCheck,
  Staging,
  StoredBase,
  TableFacts,
  TableName,
  TableSchema,
  TableSource,
  TargetFindings,
  WantedTable,
} from '../source.ts';
import {findTable, tableNames} from './catalog/catalog.ts';
import {chooseTables} from './choice/choose.ts';
import {surveyTarget} from './choice/survey.ts';
import {Connection, withConnection} from './engine/connection.ts';
import {otherNames} from './engine/other-names.ts';
import {pairsOfSchemas, swappedNames} from './merge/pairs.ts';
import {leftBehind} from './restore/left-behind.ts';
import {MergeStaging} from './restore/merge-staging.ts';
import {isFileThere, requireFreeName} from './restore/place-new-file.ts';
import {requireFreeNames, requireSameEncoding} from './restore/publish.ts';
import {treesToLoad} from './restore/stage-table.ts';
import {SqliteStaging, type StagingInput} from './restore/staging.ts';
import type {Continuing} from './restore/staging-notes.ts';
import {leftStagings, readRecord, removeStaging, stagingPath} from './restore/staging-record.ts';
import {requireOwnNames} from './restore/swap.ts';
import {nothingExists, readExisting} from './schema/existing.ts';
import {trackingObstacle} from './schema/obstacles.ts';
import {withoutIndexes} from './schema/schema.ts';
import {openSnapshot} from './snapshot/snapshot.ts';
import {brokenTracking, removeBrokenTracking} from './tracking/broken.ts';
import {dropMarks} from './tracking/drop-marks.ts';
import {identityOf} from './tracking/identity.ts';
import {mayBlock} from './tracking/may-block.ts';
import {listTracking} from './tracking/tracking.ts';

export type SqliteOptions = {
  /** Finds out whether the process of an interrupted restore has ended. Default: the system. */
  processes?: Processes;
  /** A restore notes how far it is after so many bytes. Default 128 MiB. */
  checkpointBytes?: number;
};

/** A disk takes these in about a second; a restore that is interrupted loads at most so many again. */
const usualCheckpointBytes = 128 * 1024 * 1024;

/** An SQLite database file. Every call opens and closes the file; only a snapshot and a staging keep it open. */
export class SqliteSource implements TableSource {
  readonly description: string;
  readonly abilities = {title: 'SQLite', beside: 'file', modes: ['merge', 'replace']} as const;
  readonly #path: string;
  readonly #options: Required<SqliteOptions>;

  constructor(path: string, {processes = systemProcesses, checkpointBytes = usualCheckpointBytes}: SqliteOptions = {}) {
    this.#path = path;
    this.#options = {processes, checkpointBytes};
    this.description = `sqlite::path=${path}`;
  }

  async identity(): Promise<string | undefined> {
    return this.#absent() ? undefined : withConnection(this.#path, {}, identityOf);
  }

  async origin(): Promise<Origin | undefined> {
    return originOf(this.#path);
  }

  async describe(tables: readonly TableName[] | 'all'): Promise<readonly TableFacts[]> {
    if (tables !== 'all' && this.#absent()) {
      return tables.map((name) => ({name, state: 'absent', reason: `there is no database at ${this.#path}`}));
    }
    return this.#connected((connection) =>
      eachInTurn(tables === 'all' ? tableNames(connection) : tables, (name) =>
        factsOf(connection, name, tables !== 'all'),
      ),
    );
  }

  async leftBehind(tables: readonly TableName[] | 'all', except?: readonly string[]): Promise<readonly string[]> {
    return this.#absent() ? [] : this.#connected((connection) => leftBehind(connection, tables, except));
  }

  async mayBlock(type: 'full' | 'incremental'): Promise<boolean> {
    return mayBlock(this.#path, type);
  }

  async snapshot(options: SnapshotOptions): Promise<Snapshot> {
    return openSnapshot(this.#path, options);
  }

  async acknowledge(owner: string, mark: Mark): Promise<void> {
    withConnection(this.#path, {}, (connection) => connection.write(() => dropMarks(connection, owner, mark)));
  }

  async untrack(owner: string): Promise<void> {
    if (this.#absent()) return;
    withConnection(this.#path, {}, (connection) => {
      // A database that was never tracked is not written to.
      if (listTracking(connection).some((entry) => entry.owner === owner) || brokenTracking(connection).length > 0)
        connection.write(() => dropMarks(connection, owner));
    });
  }

  async tracking(): Promise<readonly {owner: string; tables: readonly TableName[]; logRows: number}[]> {
    return this.#absent() ? [] : withConnection(this.#path, {}, listTracking);
  }

  async brokenTracking(): Promise<readonly {table: TableName; detail: string}[]> {
    return this.#absent() ? [] : withConnection(this.#path, {}, brokenTracking);
  }

  async removeBrokenTracking(): Promise<void> {
    if ((await this.brokenTracking()).length === 0) return;
    withConnection(this.#path, {}, (connection) => connection.write(() => removeBrokenTracking(connection)));
  }

  async choose(
    parts: BackupParts,
    wanted: readonly WantedTable[],
    {schema}: {schema?: string | undefined} = {},
  ): Promise<Choice> {
    if (schema !== undefined) {
      throw new BkpError('UNSUPPORTED', 'an SQLite database has no schemas to restore into', {
        next: "write INTO './restored.db' for another database, or TABLE … AS … for other names",
      });
    }
    const existing = this.#absent() ? nothingExists : withConnection(this.#path, {}, readExisting);
    return chooseTables(parts, wanted, existing);
  }

  async survey(
    incoming: Incoming,
    {rehearse, mode}: {rehearse: boolean; mode?: MergeMode | undefined},
  ): Promise<TargetFindings> {
    requireSqlite(incoming.database);
    const {schemas, database} = incoming;
    if (mode !== undefined) {
      const obstacle = () => void this.#pairs(schemas, {database, mode});
      return surveyTarget(this.#path, incoming, {rehearse: false, obstacle});
    }
    const obstacle = () => this.#requirePossible(incoming, database);
    return surveyTarget(this.#path, incoming, {rehearse, obstacle});
  }

  async treesToLoad(
    schemas: readonly TableSchema[],
    bases: ReadonlyMap<TableName, StoredBase>,
  ): Promise<ReadonlyMap<TableName, ReadonlySet<string>>> {
    return treesToLoad(schemas, bases);
  }

  #pairs(schemas: readonly TableSchema[], {database, mode}: {database: DatabaseFacts; mode: MergeMode}) {
    return withConnection(this.#path, {}, (connection) => {
      requireSameEncoding(connection, database);
      const pairs = pairsOfSchemas(connection, schemas, mode);
      const swapped = swappedNames(pairs);
      requireOwnNames(
        connection,
        schemas.filter(({name}) => swapped.has(name)),
      );
      return pairs;
    });
  }

  #requirePossible({schemas, objects}: BackupParts, database: DatabaseFacts): void {
    if (this.#absent()) {
      requireFolder(this.#path);
      requireFreeName(this.#path);
      return;
    }
    withConnection(this.#path, {}, (connection) => {
      requireFreeNames(connection, schemas, objects);
      requireSameEncoding(connection, database);
    });
  }

  async stage(
    schemas: readonly TableSchema[],
    options: {
      id: string;
      database: DatabaseFacts;
      objects?: readonly SchemaObject[];
      bases?: ReadonlyMap<TableName, StoredBase>;
      published?: ReadonlyMap<TableName, TableSchema>;
      mode?: MergeMode | undefined;
      plan?: string | undefined;
    },
  ): Promise<Staging> {
    const {objects = [], bases = new Map(), published = new Map(), mode} = options;
    requireSqlite(options.database);
    if (mode !== undefined) return this.#stageForMerge(schemas, {...options, bases, mode});
    const asPublished = schemas.map((schema) => published.get(schema.name) ?? schema);
    this.#requirePossible({schemas: asPublished, objects}, options.database);
    return this.#begin(options.id, {
      ...{schemas, objects, facts: options.database, bases, published},
      continuing: this.#continuing(options.plan),
    });
  }

  #continuing(plan: string | undefined): Continuing | undefined {
    const {processes, checkpointBytes} = this.#options;
    return plan === undefined ? undefined : {plan, processes, everyBytes: checkpointBytes};
  }

  /** Continues the staging of an ended process if it is of the same plan; the space of others is needed. */
  async #begin(
    id: string,
    input: StagingInput,
    make = (path: string) => new SqliteStaging(this.#path, path, input),
  ): Promise<SqliteStaging> {
    await this.discardStaging(id);
    const staging = make(stagingPath(this.#path, id));
    if (input.continuing === undefined) return staging;
    try {
      const left = leftStagings(this.#path, input.continuing.processes);
      for (const {staged, record} of left) if (await staging.continue(staged, record)) break;
      for (const {staged} of left) removeStaging(staged);
      return staging;
    } catch (error) {
      await staging.discard();
      throw error;
    }
  }

  async #stageForMerge(
    schemas: readonly TableSchema[],
    {
      id,
      database,
      bases,
      mode,
      plan,
    }: {
      id: string;
      database: DatabaseFacts;
      bases: ReadonlyMap<TableName, StoredBase>;
      mode: MergeMode;
      plan?: string | undefined;
    },
  ): Promise<Staging> {
    const swapped = swappedNames(this.#pairs(schemas, {database, mode}));
    const input = {
      schemas: schemas.map((schema) => (swapped.has(schema.name) ? schema : withoutIndexes(schema))),
      ...{objects: [], facts: database, bases, published: new Map(), continuing: this.#continuing(plan)},
    };
    return this.#begin(id, input, (path) => new MergeStaging(this.#path, path, input, {mode, swapped}));
  }

  async discardStaging(id: string, {unlessContinuable = false}: {unlessContinuable?: boolean} = {}): Promise<boolean> {
    const staged = stagingPath(this.#path, id);
    if (unlessContinuable && readRecord(staged) !== undefined) return true;
    removeStaging(staged);
    return false;
  }

  async inspect(): Promise<readonly SourceCheck[]> {
    return withConnection(this.#path, {}, (connection) => {
      const mode = String(connection.value('PRAGMA main.journal_mode'));
      const tables = tableNames(connection).map((name) => factsOf(connection, name, false));
      const unsupported = tables.filter((table) => table.state === 'unsupported').map((table) => table.name);
      const fullOnly = tables
        .filter((table) => table.state === 'present' && table.fullOnly !== undefined)
        .map((table) => table.name);
      const writable = mayWrite(this.#path);
      const names = otherNames(this.#path);
      return [
        {what: 'database', ok: true, detail: `${this.#path}, ${formatCount(tables.length, 'table')}`},
        ...(names === undefined ? [] : [{what: 'names', ok: true, detail: names}]),
        mode === 'wal'
          ? {what: 'journal mode', ok: true, detail: 'WAL: writers continue while a backup reads'}
          : {
              what: 'journal mode',
              ok: true,
              detail: `${mode}: writers wait while a backup reads`,
              next: `sqlite3 '${this.#path}' 'PRAGMA journal_mode = WAL' lets them continue`,
            },
        writable
          ? {what: 'writable', ok: true, detail: 'change tracking and restores are possible'}
          : {
              what: 'writable',
              ok: true,
              detail: 'read-only: full backups are possible, increments and restores are not',
            },
        ...(unsupported.length === 0
          ? []
          : [{what: 'left out', ok: true, detail: `${unsupported.join(', ')} cannot be in a collection`}]),
        ...(fullOnly.length === 0
          ? []
          : [
              {
                what: 'taken whole',
                ok: true,
                detail: `${fullOnly.join(', ')}: changes cannot be tracked, so each increment takes all rows`,
              },
            ]),
      ];
    });
  }

  async close(): Promise<void> {
    // Nothing is kept open.
  }

  /** For what gives way to other work: no transaction is open meanwhile. */
  async #connected<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = new Connection(this.#path, {});
    try {
      return await body(connection);
    } finally {
      connection.close();
    }
  }

  #absent(): boolean {
    return !isFileThere(this.#path);
  }
}

/** @param named a user named the table explicitly, perhaps without knowing that it is a shadow table */
function factsOf(connection: Connection, name: TableName, named: boolean): TableFacts {
  const found = findTable(connection, name);
  if (found.kind !== 'table')
    return found.kind === 'absent'
      ? {name: found.name, state: 'absent'}
      : {name: found.name, state: 'unsupported', reason: found.reason};
  const {shadowOf} = found.table;
  if (named && shadowOf !== undefined) {
    const remedy = 'only a collection of the whole DATABASE holds those';
    const reason = `${name} holds the rows of virtual table ${shadowOf}; ${remedy}`;
    return {name: found.table.name, state: 'unsupported', reason};
  }
  return {
    name: found.table.name,
    state: 'present',
    fullOnly: trackingObstacle(found.table),
    partOf: shadowOf,
  };
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function requireFolder(path: string): void {
  if (statSync(dirname(path), {throwIfNoEntry: false})?.isDirectory()) return;
  throw new BkpError('SOURCE_UNAVAILABLE', `the folder of ${path} does not exist`, {
    next: `mkdir -p '${dirname(path)}'`,
  });
}

/** @throws BkpError `UNSUPPORTED` for a backup of another database system */
function requireSqlite(facts: DatabaseFacts): void {
  if (facts.product !== 'postgres') return;
  throw new BkpError(
    'UNSUPPORTED',
    'the backup is of a PostgreSQL database, and cannot be restored into an SQLite file',
    {
      next: 'restore it into an empty database: bkp --source postgres://host/scratch sql --wait "RESTORE …"',
    },
  );
}
