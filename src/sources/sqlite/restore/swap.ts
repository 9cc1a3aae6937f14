import {BkpError} from '../../../errors/index.ts';
import type {TableName, TableSchema} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {isSameStatement} from '../engine/sql-text.ts';
import type {MergedPair} from '../merge/pair.ts';
import {definitionOf} from '../schema/schema.ts';
import {removeTracking, trackedTables} from '../tracking/inventory.ts';
import {Dependents} from './dependents.ts';
import type {Finishing} from './finishing.ts';
import {namesInTheWay, namesOfParts} from './names-in-the-way.ts';
import {createTables} from './publish.ts';
import type {StagedLanding} from './transfer-landing.ts';

/** The tables of the attached staging file that replace living ones. */
export type Swap = Pick<Finishing, 'schemas' | 'facts' | 'copiedIndexes'> & {
  landings: ReadonlyMap<TableName, StagedLanding>;
};

/**
 * Replaces living tables by those of the backup, with their schemas, indexes, triggers and counters. Within a write
 * transaction.
 *
 * Their change tracking ends with all of its marks, which no longer say what changed since a backup: so the next
 * increment of each collection takes a new base of such a table.
 * @throws BkpError `PRECONDITION` naming triggers of other tables that would fail; `TABLE_EXISTS` if an index or a
 *   trigger has another owner by now
 */
export function swapTables(
  connection: Connection,
  pairs: readonly MergedPair[],
  {landings, ...swap}: Swap,
  notice: (text: string) => void,
): void {
  const swapped = pairs.filter(({how}) => how.kind === 'swap');
  if (swapped.length === 0) return;
  const dependents = new Dependents(
    connection,
    swapped.map(({table}) => table.name),
  );
  requireOwnNames(connection, swap.schemas);
  const tracked = new Set(trackedTables(connection).map(({name}) => foldName(name)));
  removeTracking(
    connection,
    swapped.map(({table}) => table.name),
  );
  for (const {table} of swapped) connection.exec(`DROP TABLE main.${quoteName(table.name)}`);
  createTables(connection, {...swap, objects: [], notice}, landings);
  dependents.requireTriggers(notice);
  for (const pair of swapped) reportSwap(pair, swap, {notice, isTracked: tracked.has(foldName(pair.table.name))});
}

/**
 * @param schemas of tables that replace living ones of the same names
 * @throws BkpError `TABLE_EXISTS` if another table has an index or a trigger that has the name of one of theirs
 */
export function requireOwnNames(connection: Connection, schemas: readonly TableSchema[]): void {
  const replaced = new Set(schemas.map(({name}) => foldName(name)));
  const taken = namesInTheWay(connection, namesOfParts(schemas)).filter(
    (row) => !replaced.has(foldName(String(row.tbl_name))),
  );
  if (taken.length === 0) return;
  const named = taken.map(({type, name, tbl_name: on}) =>
    name === on ? `${type} ${name}` : `${type} ${name} of ${on}`,
  );
  throw new BkpError('TABLE_EXISTS', `path exist: ${named.join(', ')}`, {
    cause: 'the table had an index or a trigger of this name in the backup; nothing was changed',
    next: taken.some(({type}) => type === 'table')
      ? 'rename it (ALTER TABLE … RENAME TO …); then give the statement again'
      : 'drop it, and create it again under another name; then give the statement again',
  });
}

function reportSwap(
  {table, how}: MergedPair,
  {schemas}: Pick<Swap, 'schemas'>,
  {notice, isTracked}: {notice: (text: string) => void; isTracked: boolean},
): void {
  const {name} = table;
  const differences =
    how.kind === 'swap' && how.differences.length > 0 ? how.differences : ['its CREATE TABLE differs'];
  notice(`${name} comes with the schema that it had in the backup: ${differences.join('; ')}`);
  const {
    indexes,
    omittedIndexes = [],
    triggers,
  } = definitionOf(schemas.find((schema) => foldName(schema.name) === foldName(name))!);
  const has = (statements: readonly string[], sql: string) => statements.some((one) => isSameStatement(one, sql));
  for (const [what, now, then] of [
    ['index', table.indexes, [...indexes, ...omittedIndexes]],
    ['trigger', table.triggers, triggers],
  ] as const) {
    for (const {name: gone, sql} of now) {
      if (has(then, sql)) continue;
      notice(`${what} ${gone} of ${name} is not in the backup, and is gone; create it again if it is needed: ${sql}`);
    }
  }
  if (isTracked) notice(`the next increment takes all rows of ${name}: its changes are tracked from then on`);
}
