import type {TableSchema} from '../../source.ts';
import {requireTable} from '../catalog/catalog.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {objectName} from '../engine/sql-text.ts';
import {computedIndexes, reindexAdvice} from '../schema/computed-indexes.ts';
import {dropView, makeObject, objectDefinitionOf, virtualTables} from '../schema/objects.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import {reachOfTrigger, reachOfView} from '../schema/reach.ts';
import {definitionOf} from '../schema/schema.ts';
import {restoreMark} from '../tracking/marks.ts';
import {ensureTracking} from '../tracking/tracking.ts';
import type {Finishing} from './finishing.ts';
import {reportDangling} from './foreign-keys.ts';
import {rebuildTextIndexes} from './text-index.ts';

/**
 * Restores what follows the rows: counters, virtual tables and views, triggers, and tracking. A trigger whose
 * tables are missing would make every write to its table fail, and every ALTER TABLE … RENAME in the database:
 * so it is left out.
 */
export function finishTables(connection: Connection, finishing: Finishing): void {
  const {schemas, resume, notice} = finishing;
  const before = virtualTables(connection);
  reportComputedIndexes(connection, finishing);
  reportOmittedIndexes(finishing);
  for (const schema of schemas) restoreSequence(connection, schema);
  const gone = makeObjects(connection, finishing);
  // Before triggers are created: a manifest may contain one on the tables of an index, and it must not fire.
  const rebuilt = rebuildTextIndexes(connection, {tables: schemas.map(({name}) => name), notice}, before);
  const used = makeTriggers(connection, finishing, gone);
  for (const {name} of before) {
    if (!used.has(foldName(name)) || rebuilt.has(name)) continue;
    notice(
      `virtual table ${name} existed before, and triggers of restored tables write to it: its ` +
        'content may match older rows, so rebuild it',
    );
  }
  reportDangling(connection, finishing);
  if (resume === undefined) return;
  const tables = schemas.map((schema) => requireTable(connection, schema.name));
  const tracked = tables.filter((table) => trackingObstacle(table) === undefined);
  ensureTracking(connection, tracked);
  restoreMark(connection, resume.owner, tracked, resume.mark);
}

/** What decides which views and triggers come. */
export type Attaching = Pick<Finishing, 'schemas' | 'objects' | 'notice'>;

/** @returns the names of the views that were left out */
export function makeObjects(connection: Connection, attaching: Attaching): ReadonlySet<string> {
  for (const object of attaching.objects) makeObject(connection, object);
  return dropViewsWithoutTables(connection, attaching);
}

/** @param gone the views that were left out @returns the tables that the triggers use, folded */
export function makeTriggers(
  connection: Connection,
  {schemas, objects, notice}: Attaching,
  gone: ReadonlySet<string>,
): ReadonlySet<string> {
  const used = new Set<string>();
  const make = (on: string, triggers: readonly string[]) => {
    for (const sql of triggers) for (const name of makeTrigger(connection, on, sql, notice)) used.add(name);
  };
  for (const schema of schemas) make(schema.name, definitionOf(schema).triggers);
  for (const object of objects) {
    if (!gone.has(object.name)) make(object.name, objectDefinitionOf(object).triggers);
  }
  return used;
}

/** Without a UNIQUE index the application's ON CONFLICT clauses and foreign keys may fail, and duplicates do not. */
function reportOmittedIndexes({schemas, notice}: Finishing): void {
  for (const schema of schemas) {
    const {omittedIndexes = []} = definitionOf(schema);
    for (const sql of omittedIndexes) {
      notice(`an index of ${schema.name} is not in the backup (OMIT_INDEXES); create it again: ${sql}`);
    }
  }
}

/** bkp's version builds indexes here, and the application's version searches them. */
function reportComputedIndexes(connection: Connection, {schemas, facts, copiedIndexes, notice}: Finishing): void {
  const built = schemas
    .flatMap((schema) => computedIndexes(connection, schema.name))
    .filter((name) => !copiedIndexes.has(name));
  const advice = reindexAdvice(connection, built, [Number(facts.written_by ?? 0)]);
  if (advice !== undefined) notice(advice);
}

function restoreSequence(connection: Connection, schema: TableSchema): void {
  const {sequence, sequenceRows} = definitionOf(schema);
  // Copying the rows created a counter, even if the source has none (any more).
  if (!requireTable(connection, schema.name).autoincrement) return;
  connection.run('DELETE FROM main.sqlite_sequence WHERE name = ?', schema.name);
  const rows = sequenceRows ?? (sequence === null ? [] : [`integer:${sequence}`]);
  for (const row of rows) {
    const [type, value] = row.split(':') as [string, string];
    connection.run(
      `INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ${type === 'text' ? 'CAST(? AS TEXT)' : '?'})`,
      schema.name,
      sequenceValue(type, value),
    );
  }
}

function sequenceValue(type: string, value: string): Value {
  switch (type) {
    case 'integer':
      return BigInt(value);
    case 'real':
      return Number(value);
    case 'null':
      return null;
    default:
      return Buffer.from(value, 'hex');
  }
}

/** Dropping a view also drops the views that read it. @returns the names of the dropped views */
function dropViewsWithoutTables(connection: Connection, {objects, notice}: Attaching): ReadonlySet<string> {
  const views = new Map(
    objects.flatMap((object) => {
      const {kind, sql} = objectDefinitionOf(object);
      return kind === 'view' ? [[object.name, sql] as const] : [];
    }),
  );
  const gone = new Set<string>();
  for (let more = true; more; ) {
    more = false;
    for (const [view, sql] of views) {
      const {missing} = reachOfView(connection, {name: view, sql});
      if (missing === undefined) continue;
      dropView(connection, view);
      notice(`view ${view} is left out: it reads ${missing}, which does not exist here`);
      views.delete(view);
      gone.add(view);
      more = true;
    }
  }
  return gone;
}

/** @returns the tables that it uses, folded; empty when the trigger was left out */
function makeTrigger(
  connection: Connection,
  on: string,
  sql: string,
  notice: (text: string) => void,
): ReadonlySet<string> {
  runFromManifest(connection, {what: 'trigger', table: on}, sql);
  const name = objectName(sql);
  const {missing, used} = reachOfTrigger(connection, on, {name, sql});
  if (missing === undefined) return used;
  connection.exec(`DROP TRIGGER main.${quoteName(name)}`);
  notice(
    `trigger ${name} of ${on} is left out: it needs ${missing}, which does not exist here; create ` +
      'both again, or restore them together',
  );
  return new Set();
}
