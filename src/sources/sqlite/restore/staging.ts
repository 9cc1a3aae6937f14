import {statSync} from 'node:fs';
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
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {definitionOf, type KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {checkRestored} from './check-restored.ts';
import {buildConstraintIndex, buildIndex, computedBytes, constraintIndexes, Landing} from './landing.ts';
import {type PublishPlan, publishIntoDatabase, publishNewFile} from './publish.ts';
import {StagingFile} from './staging-file.ts';

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

/**
 * Tables in a separate file next to the database. No other process uses the file, and after a crash it is
 * removed: so nothing is synced before the end.
 */
export class SqliteStaging implements Staging {
  readonly #target: string;
  readonly #schemas: readonly TableSchema[];
  readonly #objects: readonly SchemaObject[];
  readonly #facts: KeptFacts;
  readonly #file: StagingFile;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #landings: ReadonlyMap<TableName, Landing>;
  /** Bytes of each table's segments. */
  readonly #loadedBytes: Map<TableName, number>;
  #largestSegment = 0;
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
    this.#schemas = schemas;
    this.#objects = objects;
    this.#facts = facts as KeptFacts;
    this.#loadedBytes = new Map(schemas.map(({name}) => [name, 0]));
    this.#file = new StagingFile(path, this.#facts);
    try {
      const {connection} = this.#file;
      this.#tables = new Map(schemas.map((schema) => [schema.name, makeTable(connection, schema)]));
      this.#landings = new Map(
        [...this.#tables.values()].map((table, id) => [table.name, new Landing(connection, table, id)]),
      );
      connection.exec(`ATTACH ':memory:' AS seg`);
    } catch (error) {
      this.#file.remove();
      throw error;
    }
  }

  wanted(): readonly Tree[] {
    return [];
  }

  async loadTree(): Promise<void> {}

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    this.#loadedBytes.set(name, this.#loadedBytes.get(name)! + segment.byteLength);
    this.#largestSegment = Math.max(this.#largestSegment, segment.byteLength);
    this.#file.connection.deserialize('seg', segment);
    return this.#landings.get(name)!.load();
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    this.#file.connection.deserialize('seg', segment);
    return this.#landings.get(name)!.removeKeys();
  }

  async finish(options: {
    check: 'quick' | 'full';
    signal?: AbortSignal | undefined;
    progress?: ((step: string) => void) | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<readonly PublishedTable[]> {
    const {connection} = this.#file;
    const {notice = () => {}} = options;
    // Lets cancellation and progress run between long steps.
    const step = async (name: string) => {
      options.progress?.(name);
      await new Promise(setImmediate);
      options.signal?.throwIfAborted();
    };
    connection.exec('DETACH seg');
    this.#file.beginIndexes();
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
    const {check, signal} = options;
    const sizes = new Map([...this.#tables].map(([name, table]) => [table.name, this.#loadedBytes.get(name)!]));
    const counts = await checkRestored(this.#file, {check, sizes, signal, notice});
    return [...this.#tables].map(([name, table]) => ({name, rows: counts.get(table.name)!}));
  }

  /** The rows exist without the index too, so the restore continues and reports it. */
  #buildIndex(table: TableName, sql: string, notice: (text: string) => void): void {
    const {connection} = this.#file;
    const make = (text: string) => runFromManifest(connection, {what: 'index', table}, text);
    const leaveOut = (why: string) => {
      this.#lost.add(sql);
      notice(`an index of ${table} is left out, ${why}: ${sql}`);
    };
    try {
      // An expression can compute a gigabyte from a row of few bytes, and sorting writes all of it to disk.
      connection.limitLength(Math.max(leastLength, 4 * this.#largestSegment));
      const bytes = computedBytes(connection, this.#tables.get(table)!, sql);
      const loaded = [...this.#loadedBytes.values()].reduce((sum, size) => sum + size, 0);
      if (bytes > leastIndex + mostGrowth * loaded) {
        leaveOut(`it would hold ${bytes} bytes, computed from rows of ${loaded}`);
        return;
      }
      if (!buildIndex(connection, sql, make)) notice(brokenUnique(table));
    } catch (error) {
      const code = resultCode(error);
      if (code !== ResultCode.error && code !== ResultCode.tooBig) throw error;
      leaveOut(`its rows do not let SQLite compute it: ${(error as Error).message}`);
    } finally {
      connection.limitLength(Number.MAX_SAFE_INTEGER);
    }
  }

  async publish(options: {
    resume?: {owner: string; mark: Mark} | undefined;
    signal?: AbortSignal | undefined;
    notice?: ((text: string) => void) | undefined;
  }): Promise<void> {
    const plan: PublishPlan = {
      target: this.#target,
      staged: this.#file.path,
      schemas: this.#publishable(),
      objects: this.#objects,
      facts: this.#facts,
      notice: options.notice ?? (() => {}),
      resume: options.resume,
    };
    if (statSync(this.#target, {throwIfNoEntry: false}) === undefined) publishNewFile(this.#file.connection, plan);
    else {
      this.#file.close();
      publishIntoDatabase(plan);
    }
    this.#file.remove();
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
    this.#file.remove();
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
