import {BkpError} from '../../../errors/index.ts';
import type {MergeMode} from '../../source.ts';
import {foldName} from '../engine/quote.ts';
import type {Column, Table} from '../schema/table.ts';
import {hasKey} from './match.ts';

/**
 * Whether rows of the backup can go into the living table: it has the same columns and the same key. Other
 * constraints, indexes and triggers may differ: rows that they refuse are reported when they come.
 * @throws BkpError `PRECONDITION` naming each difference; `UNSUPPORTED` for a table without a key
 */
export function requireFit(table: Table, stored: Table, mode: MergeMode): void {
  if (table.shadowOf !== undefined) {
    throw new BkpError('UNSUPPORTED', `${table.name} holds the rows of the virtual table ${table.shadowOf}`, {
      cause: 'its rows make sense only together, so they are not changed one by one',
      next: 'name the tables that are to be changed, without it',
      context: {table: table.name},
    });
  }
  if (mode === 'merge' && !hasKey(table)) {
    throw new BkpError('UNSUPPORTED', `table ${table.name} has no primary key, so its rows cannot be merged`, {
      cause: 'VACUUM and a dump give such rows other rowids: nothing says which row of the backup is which living row',
      next: "MODE='replace' brings all rows of the backup, and removes all others",
      context: {table: table.name},
    });
  }
  const differences = [...columnDifferences(table, stored), ...formDifferences(table, stored)];
  if (differences.length === 0) return;
  throw new BkpError(
    'PRECONDITION',
    `table ${table.name} does not have the columns and the key that it had in the backup`,
    {
      details: differences,
      next: underAnotherName(table),
      context: {table: table.name},
    },
  );
}

/** The next step where the rows of the backup cannot go into the table. */
export function underAnotherName({name}: Table): string {
  return `restore it under another name (TABLE ${name} AS ${name}_before), and copy what you need`;
}

function columnDifferences(table: Table, stored: Table): string[] {
  const byName = (columns: readonly Column[]) => new Map(columns.map((column) => [foldName(column.name), column]));
  const [now, then] = [byName(table.columns), byName(stored.columns)];
  const gone = stored.columns.filter(({name}) => !now.has(foldName(name)));
  const added = table.columns.filter(({name}) => !then.has(foldName(name)));
  return [
    ...gone.map((column) => `column ${described(column)} is in the backup only`),
    ...added.map((column) => `column ${described(column)} is in the table only`),
    ...table.columns.flatMap((column) => {
      const before = then.get(foldName(column.name));
      const changed = before !== undefined && described(before, column.name) !== described(column);
      return changed ? [`column ${described(column)} was ${described(before, column.name)} in the backup`] : [];
    }),
  ];
}

function described({name, type, generated, collation}: Column, as = name): string {
  const words = [as, type, collation === 'BINARY' ? '' : `COLLATE ${collation}`, generated ? '(generated)' : ''];
  return words.filter((word) => word !== '').join(' ');
}

function formDifferences(table: Table, stored: Table): string[] {
  const forms = (of: Table) => [of.withoutRowid ? 'WITHOUT ROWID' : '', of.strict ? 'STRICT' : ''].filter(Boolean);
  const [now, then] = [forms(table), forms(stored)].map((words) => words.join(', ') || 'an ordinary table');
  return [
    ...(keyOf(table) === keyOf(stored) ? [] : [`its key is ${keyOf(table)}, and was ${keyOf(stored)} in the backup`]),
    ...(now === then ? [] : [`it is ${now}, and was ${then} in the backup`]),
  ];
}

function keyOf({key}: Table): string {
  if (key.kind === 'rowid') return key.column === undefined ? 'the rowid' : foldName(key.column);
  return key.parts.map(({column, collation}) => `${foldName(column)} COLLATE ${foldName(collation)}`).join(', ');
}
