import {rmSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import type {
  DatabaseFacts,
  Mark,
  PublishedTable,
  SchemaObject,
  Staging,
  TableName,
  TableSchema,
  Tree,
} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {quoteName} from '../engine/quote.ts';
import {definitionOf, fileSettings, type KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {checkRestored} from './check-restored.ts';
import {buildConstraintIndex, buildIndex, computedBytes, constraintIndexes, Landing} from './landing.ts';
import {type PublishPlan, publishIntoDatabase, publishNewFile} from './publish.ts';

/** Keeps the trees of UNIQUE constraints in memory while rows are loaded; more would raise bkp's peak. */
const loadCacheKib = 40 * 1024;
/**
 * CREATE INDEX sorts in runs of this size. Measured on 9 million keys: 8 to 16 MiB are the fastest; 128 MiB take the
 * same time and five times the memory. Threads of SQLite's (`PRAGMA threads`) took a fifth more CPU in the same time.
 */
const sortCacheKib = 8 * 1024;

/** A computed index may have this many bytes, plus this many times the bytes of the backup's rows. */
const leastIndex = 64 * 1024 * 1024;
const mostGrowth = 16;
/** A computed value may be this long, or four times as long as the largest segment. */
const leastLength = 16 * 1024 * 1024;

function brokenUnique(table: TableName): string {
  return `rows of ${table} came back unchanged, and violate its own UNIQUE or PRIMARY KEY`;
}

export function stagingPath(database: string, id: string): string {
  return join(dirname(database), `${basename(database)}.bkp-stage-${id}`);
}

/** A database file and everything SQLite may have put beside it. */
export function removeDatabase(path: string): void {
  for (const end of ['', '-journal', '-wal', '-shm']) rmSync(path + end, {force: true});
}

/**
 * Tables in a separate file next to the database. No other process uses the file, and after a crash it is
 * removed: so nothing is synced before the end.
 */
export class SqliteStaging implements Staging {
  readonly #target: string;
  readonly #path: string;
  readonly #schemas: readonly TableSchema[];
  readonly #objects: readonly SchemaObject[];
  readonly #facts: KeptFacts;
  readonly #connection: Connection;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #landings: ReadonlyMap<TableName, Landing>;
  /** Bytes of all segments, and of the largest. */
  #loadedBytes = 0;
  #largestBytes = 0;
  /** Indexes that could not be built. */
  readonly #lost = new Set<string>();

  constructor(
    target: string,
    path: string,
    {
      schemas,
      objects,
      facts,
    }: {
      schemas: readonly TableSchema[];
      objects: readonly SchemaObject[];
      facts: DatabaseFacts;
    },
  ) {
    this.#target = target;
    this.#path = path;
    this.#schemas = schemas;
    this.#objects = objects;
    this.#facts = facts as KeptFacts;
    this.#connection = new Connection(path, {create: true});
    try {
      this.#prepare();
      this.#tables = new Map(schemas.map((schema) => [schema.name, makeTable(this.#connection, schema)]));
      this.#landings = new Map(
        [...this.#tables.values()].map((table, id) => [table.name, new Landing(this.#connection, table, id)]),
      );
      this.#connection.exec(`ATTACH ':memory:' AS seg`);
    } catch (error) {
      this.#remove();
      throw error;
    }
  }

  #prepare(): void {
    // The page size and the encoding of the source, because its records are copied unchanged at the end.
    this.#connection.exec(`${fileSettings(this.#facts)}
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA cache_size = -${loadCacheKib};
      PRAGMA ignore_check_constraints = ON;`);
  }

  wanted(): readonly Tree[] {
    return [];
  }

  async loadTree(): Promise<void> {}

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    this.#loadedBytes += segment.byteLength;
    this.#largestBytes = Math.max(this.#largestBytes, segment.byteLength);
    this.#connection.deserialize('seg', segment);
    return this.#landings.get(name)!.load();
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    this.#connection.deserialize('seg', segment);
    return this.#landings.get(name)!.removeKeys();
  }

  async finish(options: {
    check: 'quick' | 'full';
    signal?: AbortSignal | undefined;
    progress?: ((step: string) => void) | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<readonly PublishedTable[]> {
    const connection = this.#connection;
    const {notice = () => {}} = options;
    // Lets cancellation and progress run between long steps.
    const step = async (name: string) => {
      options.progress?.(name);
      await new Promise(setImmediate);
      options.signal?.throwIfAborted();
    };
    // An index that cannot be built is rolled back, which needs a journal.
    connection.exec(`DETACH seg; PRAGMA cache_size = -${sortCacheKib}; PRAGMA journal_mode = MEMORY`);
    for (const schema of this.#schemas) {
      const table = this.#tables.get(schema.name)!;
      const landing = this.#landings.get(schema.name)!;
      await step('Indexes');
      landing.land();
      for (const index of constraintIndexes(connection, table)) {
        await step('Indexes');
        if (!buildConstraintIndex(connection, table, index)) notice(brokenUnique(table.name));
      }
      for (const index of definitionOf(schema).indexes) {
        await step('Indexes');
        this.#buildIndex(schema.name, index, notice);
      }
    }
    await step('Check');
    checkRestored(connection, options.check, notice);
    const counts: PublishedTable[] = [];
    for (const {name} of this.#schemas) {
      await step('Check');
      counts.push({name, rows: connection.number(`SELECT count(*) FROM main.${quoteName(name)}`)});
    }
    return counts;
  }

  /** The rows exist without the index too, so the restore continues and reports it. */
  #buildIndex(table: TableName, sql: string, notice: (text: string) => void): void {
    const make = (text: string) => runFromManifest(this.#connection, {what: 'index', table}, text);
    const leaveOut = (why: string) => {
      this.#lost.add(sql);
      notice(`an index of ${table} is left out, ${why}: ${sql}`);
    };
    try {
      // An expression can compute a gigabyte from a row of few bytes, and sorting writes all of it to disk.
      this.#connection.limitLength(Math.max(leastLength, 4 * this.#largestBytes));
      const bytes = computedBytes(this.#connection, this.#tables.get(table)!, sql);
      if (bytes > leastIndex + mostGrowth * this.#loadedBytes) {
        leaveOut(`it would hold ${bytes} bytes, computed from rows of ${this.#loadedBytes}`);
        return;
      }
      if (!buildIndex(this.#connection, sql, make)) notice(brokenUnique(table));
    } catch (error) {
      const code = resultCode(error);
      if (code !== ResultCode.error && code !== ResultCode.tooBig) throw error;
      leaveOut(`its rows do not let SQLite compute it: ${(error as Error).message}`);
    } finally {
      this.#connection.limitLength(Number.MAX_SAFE_INTEGER);
    }
  }

  async publish(options: {
    resume?: {owner: string; mark: Mark} | undefined;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<void> {
    const plan: PublishPlan = {
      target: this.#target,
      staged: this.#path,
      schemas: this.#publishable(),
      objects: this.#objects,
      facts: this.#facts,
      notice: options.notice ?? (() => {}),
      resume: options.resume,
    };
    if (statSync(this.#target, {throwIfNoEntry: false}) === undefined) publishNewFile(this.#connection, plan);
    else {
      this.#connection.close();
      publishIntoDatabase(plan);
    }
    this.#remove();
  }

  /** The schemas without what could not be built. */
  #publishable(): readonly TableSchema[] {
    if (this.#lost.size === 0) return this.#schemas;
    return this.#schemas.map((schema) => {
      const {indexes} = definitionOf(schema);
      return {...schema, definition: {...schema.definition, indexes: indexes.filter((sql) => !this.#lost.has(sql))}};
    });
  }

  async discard(): Promise<void> {
    this.#remove();
  }

  #remove(): void {
    this.#connection.close();
    removeDatabase(this.#path);
  }
}

/** Without triggers, which are created last so that no row fires them. */
function makeTable(connection: Connection, schema: TableSchema): Table {
  runFromManifest(connection, {what: 'table', table: schema.name}, definitionOf(schema).table);
  const found = findTable(connection, schema.name);
  if (found.kind === 'table') return found.table;
  throw new BkpError('OBJECT_DAMAGED', `the statement for table ${schema.name} creates none that can be loaded`, {
    next: 'restore another backup, and report this',
  });
}
