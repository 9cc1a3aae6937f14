import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../engine/connection.ts';
import {otherVersion, ownVersion, versionText} from '../engine/versions.ts';
import {computedFromColumns, computedIndexes, hasLongReal} from '../schema/computed-indexes.ts';
import {underAnotherName} from './fit.ts';
import {livingTable, storedTable} from './match.ts';
import type {MergedPair} from './pair.ts';

/**
 * bkp's SQLite writes the rows into the living table, and so the entries of its indexes. The application's SQLite would
 * not find, and could not delete, a row whose entry it computes differently.
 * @param written versions that have written the database and its backup
 * @throws BkpError `PRECONDITION` if an index has values that the versions compute differently
 */
export function requireSameComputation(connection: Connection, pair: MergedPair, written: readonly number[]): void {
  const {table} = pair;
  const indexes = computedIndexes(connection, table.name);
  const theirs = otherVersion(connection, written);
  if (pair.how.kind === 'swap' || indexes.length === 0 || theirs === undefined) return;
  const columns = computedFromColumns(connection, table, indexes);
  const stored = new Set(pair.stored.columns.map(({name}) => name));
  const differs = (of: string, names: readonly string[]) =>
    connection.get(`SELECT 1 FROM ${of} WHERE ${hasLongReal(names)} LIMIT 1`) !== undefined;
  if (
    !differs(livingTable(pair), columns) &&
    !differs(
      storedTable(pair),
      columns.filter((name) => stored.has(name)),
    )
  )
    return;
  const [here, there] = [ownVersion(connection), theirs].map(versionText);
  throw new BkpError('PRECONDITION', `rows of ${table.name} cannot come back beside index ${indexes.join(', ')}`, {
    cause:
      `the index has values computed from real numbers, which SQLite ${there} of the application and ${here} of bkp ` +
      'write with different digits: the application would not find the rows',
    next: underAnotherName(table),
    context: {table: table.name},
  });
}
