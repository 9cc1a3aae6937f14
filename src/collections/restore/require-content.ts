import {BkpError} from '../../errors/index.ts';
import type {PublishedTable, TableName} from '../../sources/index.ts';
import {expectedRows, type TableBackup} from '../stored/manifest.ts';

/** Tables whose content the backup recorded: a restore reads them again once they are complete. */
export const tablesWithContent = (tables: readonly TableBackup[]): ReadonlySet<TableName> =>
  new Set(tables.filter(({content}) => content !== undefined).map(({schema}) => schema.name));

/**
 * Compares restored tables with what the backup recorded: their rows, and the hash of all values. Backups of older
 * versions recorded the rows of tables without deltas; of other tables, the database's own check must suffice.
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function requireContent(tables: readonly TableBackup[], restored: readonly PublishedTable[]): void {
  for (const table of tables) {
    const {name} = table.schema;
    const found = restored.find((one) => one.name === name);
    const expected = expectedRows(table);
    if (expected !== undefined && found?.rows !== expected) {
      throw different(table, `was restored with ${found?.rows ?? 'no'} rows instead of ${expected}`);
    }
    if (found?.content === undefined || table.content === undefined) continue;
    if (found.content.rows !== found.rows || found.content.hash !== table.content.hash) {
      throw different(table, `was restored with other values than it had in the database (${expected} rows)`);
    }
  }
}

function different({schema: {name: table}, layers}: TableBackup, what: string): BkpError {
  const isOfIncrements = layers.length > 1;
  const likely = {
    cause: 'rows were changed past the change tracking, or an increment is not what was written',
    next: 'take a new full backup, which contains all rows, or restore an earlier one',
  };
  return new BkpError('OBJECT_DAMAGED', `table ${table} ${what}`, {
    ...(isOfIncrements ? likely : {next: 'restore another backup, and report this'}),
    context: {table},
  });
}
