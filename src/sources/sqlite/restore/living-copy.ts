import {assert} from '../../../errors/index.ts';
import type {BaseSegment, Snapshot, TableBase, TableName, TableSchema} from '../../source.ts';
import {TakeRows} from '../../take-rows.ts';
import {findTable} from '../catalog/catalog.ts';
import {isInWalMode} from '../engine/check-file.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {foldName} from '../engine/quote.ts';
import {tablesWithRelatives} from '../merge/foreign-keys.ts';
import {hasModule, makeObject} from '../schema/objects.ts';
import type {Table} from '../schema/table.ts';
import {openSnapshot} from '../snapshot/snapshot.ts';
import {trackedBy} from '../triggers/own-objects.ts';
import {SqliteStaging} from './staging.ts';

type CopyOptions = {signal?: AbortSignal | undefined; notice: (text: string) => void};

/**
 * Copies tables of a database into a new file, with the tables that foreign keys connect them with; the others, views
 * and triggers come without rows. One read transaction, as for a backup; nothing is written to the database.
 */
export async function copyLiving(
  {target, tables, copy, staging}: {target: string; tables: readonly Table[]; copy: string; staging: string},
  options: CopyOptions,
): Promise<void> {
  const {signal, notice} = options;
  const {names, left, others} = withConnection(target, {}, (connection) => {
    const all = tablesWithRelatives(
      connection,
      tables.map(({name}) => name),
    );
    const isCopied = (name: string) => findTable(connection, name).kind === 'table';
    return {names: all.filter(isCopied), left: all.filter((name) => !isCopied(name)), others: objectsOf(connection)};
  });
  if (left.length > 0) notice(`not in this dry run: foreign keys of ${left.join(', ')}, which bkp cannot copy`);
  if (!isInWalMode(target)) {
    notice('the database is not in WAL mode: writers wait while the dry run reads its tables');
  }
  const snapshot = await openSnapshot(target, {tables: names, signal});
  try {
    const schemas = snapshot.schemas.map(withoutTriggers);
    try {
      await copyRows(snapshot, schemas, {copy, staging, form: undefined, signal});
    } catch (error) {
      if (!(error instanceof TakeRows)) throw error;
      await copyRows(snapshot, schemas, {copy, staging, form: 'rows', signal});
    }
  } finally {
    await snapshot.close();
  }
  withConnection(copy, {}, (connection) => makeOthers(connection, others, names));
}

/** They come last, with those of the other tables. */
const withoutTriggers = (schema: TableSchema): TableSchema => ({
  ...schema,
  definition: {...schema.definition, triggers: []},
});

async function copyRows(
  snapshot: Snapshot,
  schemas: readonly TableSchema[],
  {
    copy,
    staging: path,
    form,
    signal,
  }: {
    copy: string;
    staging: string;
    form: 'rows' | undefined;
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const bases = new Map<TableName, TableBase>();
  for (const {name} of schemas) bases.set(name, await snapshot.base(name, {form}));
  const stored = [...bases].flatMap(([name, base]) => {
    if (base.form === 'rows') return [];
    const trees = base.trees.map(({records: _, ...tree}) => ({...tree, records: 0}));
    return [[name, {trees, changedKeys: 0}] as const];
  });
  const staging = new SqliteStaging(copy, path, {
    ...{schemas, objects: [], facts: snapshot.database, bases: new Map(stored), published: new Map()},
  });
  try {
    for (const [name, base] of bases) {
      if (base.form === 'rows') continue;
      const wanted = new Set(staging.wanted(name).map((tree) => tree.name));
      for (const {records, ...tree} of base.trees) {
        assert(wanted.has(tree.name), `${tree.name} is laid out, because the table has no deltas`);
        await staging.loadTree(name, tree, bytesOf(records, signal));
      }
    }
    for (const [name, base] of bases) {
      if (base.form === 'records') continue;
      for await (const bytes of bytesOf(base.rows, signal)) await staging.load(name, bytes);
    }
    await staging.finish({check: 'quick', signal});
    await staging.publish({});
  } finally {
    await staging.discard();
  }
}

async function* bytesOf(
  segments: AsyncIterable<BaseSegment>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const {bytes, release} of segments) {
    signal?.throwIfAborted();
    yield bytes;
    release?.();
  }
}

type Other = {type: 'table' | 'index' | 'virtual' | 'view' | 'trigger'; name: string; on: string; sql: string};

/** What a database has besides the indexes of constraints, in the order in which it was created. */
function objectsOf(connection: Connection): readonly Other[] {
  return connection
    .all(
      `SELECT iif(s.type = 'table' AND s.rootpage = 0, 'virtual', s.type) AS type, s.name, s.tbl_name AS "on", s.sql
       FROM main.sqlite_schema AS s
       LEFT JOIN pragma_table_list AS t ON s.type = 'table' AND t.schema = 'main' AND t.name = s.name
       WHERE s.sql IS NOT NULL AND t.type IS NOT 'shadow' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
       ORDER BY s.type = 'trigger', s.rowid`,
    )
    .map(({type, name, on, sql}) => ({
      type: type as Other['type'],
      name: String(name),
      on: String(on),
      sql: String(sql),
    }));
}

/** One that needs the application stays out: so does what needs it. */
function makeOthers(connection: Connection, others: readonly Other[], copied: readonly TableName[]): void {
  const present = new Set(copied.map(foldName));
  for (const other of others) {
    const {type, name} = other;
    const isThere = type === 'index' ? present.has(foldName(other.on)) : present.has(foldName(name));
    if (type === 'trigger' ? trackedBy(connection, other) !== undefined : isThere) continue;
    try {
      make(connection, other);
    } catch {}
  }
}

function make(connection: Connection, {type, name, on, sql}: Other): void {
  if (type === 'virtual') makeVirtual(connection, name, sql);
  else if (type === 'view') runFromManifest(connection, {what: 'view', view: name}, sql);
  else runFromManifest(connection, {what: type, table: type === 'table' ? name : on}, sql);
}

/** A full-text index must be one that can be rebuilt: its module makes its tables. */
function makeVirtual(connection: Connection, name: string, sql: string): void {
  const module = /\bUSING\s+(\w+)/i.exec(sql)?.[1] ?? '';
  if (/^fts[345]$/i.test(module) && hasModule(connection, module)) connection.exec(sql);
  else makeObject(connection, {name, definition: {kind: 'virtual', sql, triggers: []}});
}
