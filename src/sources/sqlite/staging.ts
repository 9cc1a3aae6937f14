import {rmSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import type {DatabaseFacts, Mark, PublishedTable, Staging, TableName, TableSchema} from '../source.ts';
import {keyExpressions, keyMatches, rowValue} from './boundary.ts';
import {findTable} from './catalog.ts';
import {Connection} from './connection.ts';
import {runFromManifest} from './from-manifest.ts';
import {publishIntoDatabase, publishNewFile} from './publish.ts';
import {quoteName} from './quote.ts';
import {definitionOf, fileSettings, type KeptFacts} from './schema.ts';
import {loadColumns} from './segment.ts';
import type {Table} from './table.ts';

/** The trees of UNIQUE constraints stay in memory while rows come in; more would show in bkp's peak. */
const loadCacheKib = 40 * 1024;
/**
 * CREATE INDEX sorts in runs of this size, one more for each thread. Measured on 9 million keys: 8 to 16 MiB and two
 * threads are the fastest, 128 MiB take the same time and five times the memory.
 */
const sortCacheKib = 8 * 1024;

export function stagingPath(database: string, id: string): string {
  return join(dirname(database), `${basename(database)}.bkp-stage-${id}`);
}

/** A database file and everything SQLite may have put beside it. */
export function removeDatabase(path: string): void {
  for (const end of ['', '-journal', '-wal', '-shm']) rmSync(path + end, {force: true});
}

/**
 * Tables in a file of their own beside the database. Nobody knows the file, and it is thrown away after a crash: so
 * nothing of it is synced before the end.
 */
export class SqliteStaging implements Staging {
  readonly #target: string;
  readonly #path: string;
  readonly #schemas: readonly TableSchema[];
  readonly #facts: KeptFacts;
  readonly #connection: Connection;
  readonly #tables: ReadonlyMap<TableName, Table>;

  constructor(target: string, path: string, schemas: readonly TableSchema[], facts: DatabaseFacts) {
    this.#target = target;
    this.#path = path;
    this.#schemas = schemas;
    this.#facts = facts as KeptFacts;
    this.#connection = new Connection(path, {create: true});
    try {
      this.#prepare();
      this.#tables = new Map(schemas.map((schema) => [schema.name, makeTable(this.#connection, schema)]));
      this.#connection.exec(`ATTACH ':memory:' AS seg`);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  #prepare(): void {
    // The page size and the encoding of the source, because a table is copied page by page in the end.
    this.#connection.exec(`${fileSettings(this.#facts)}
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA cache_size = -${loadCacheKib}; PRAGMA threads = 2;
      PRAGMA ignore_check_constraints = ON;`);
  }

  load(name: TableName, segment: Uint8Array): number {
    const table = this.#tables.get(name)!;
    const columns = loadColumns(table);
    this.#connection.deserialize('seg', segment);
    return this.#connection.run(`INSERT INTO main.${quoteName(name)} (${columns}) SELECT ${columns} FROM seg.rows`);
  }

  removeKeys(name: TableName, segment: Uint8Array): number {
    const {key} = this.#tables.get(name)!;
    const found = key.kind === 'columns' && key.alias === undefined ? keyExpressions(key) : [`t.${key.alias}`];
    this.#connection.deserialize('seg', segment);
    this.#connection.run(
      `DELETE FROM main.${quoteName(name)} AS t WHERE ${rowValue(found)} IN
       (SELECT ${found.join(', ')} FROM seg.keys AS k CROSS JOIN main.${quoteName(name)} AS t ON ${keyMatches(key)})`,
    );
    return this.#connection.number('SELECT count(*) FROM seg.keys');
  }

  async finish(options: {
    check: 'quick' | 'full';
    signal?: AbortSignal;
    progress?: (step: string) => void;
  }): Promise<readonly PublishedTable[]> {
    const connection = this.#connection;
    // Lets cancel and progress through between steps that each take their time.
    const step = async (name: string) => {
      options.progress?.(name);
      await new Promise(setImmediate);
      options.signal?.throwIfAborted();
    };
    connection.exec(`DETACH seg; PRAGMA cache_size = -${sortCacheKib}`);
    for (const schema of this.#schemas) {
      for (const index of definitionOf(schema).indexes) {
        await step('Indexes');
        runFromManifest(connection, {what: 'index', table: schema.name}, index);
      }
    }
    await step('Check');
    const pragma = options.check === 'full' ? 'integrity_check' : 'quick_check';
    const faults = connection.all(`PRAGMA main.${pragma}(20)`).map((row) => String(Object.values(row)[0]));
    if (faults.join() !== 'ok') {
      throw new BkpError(
        'SOURCE_DAMAGED',
        `the restored tables do not pass SQLite's ${pragma}; nothing was published`,
        {
          details: faults,
          next: 'the source was probably damaged when this backup was taken: restore an earlier one',
        },
      );
    }
    const counts: PublishedTable[] = [];
    for (const {name} of this.#schemas) {
      await step('Check');
      counts.push({name, rows: connection.number(`SELECT count(*) FROM main.${quoteName(name)}`)});
    }
    return counts;
  }

  async publish(options: {resume?: {owner: string; mark: Mark}; signal?: AbortSignal}): Promise<void> {
    const plan = {target: this.#target, staged: this.#path, schemas: this.#schemas, facts: this.#facts, ...options};
    if (statSync(this.#target, {throwIfNoEntry: false}) === undefined) publishNewFile(this.#connection, plan);
    else {
      this.#connection.close();
      publishIntoDatabase(plan);
    }
    this.discard();
  }

  discard(): void {
    this.#connection.close();
    removeDatabase(this.#path);
  }
}

/** Triggers come last of all, so that no row fires them. */
function makeTable(connection: Connection, schema: TableSchema): Table {
  runFromManifest(connection, {what: 'table', table: schema.name}, definitionOf(schema).table);
  const found = findTable(connection, schema.name);
  if (found.kind === 'table') return found.table;
  throw new BkpError('OBJECT_DAMAGED', `the statement that makes table ${schema.name} makes none that can be loaded`, {
    next: 'restore another backup, and report this',
  });
}
