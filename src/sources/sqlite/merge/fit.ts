import {BkpError} from '../../../errors/index.ts';
import {quoteName} from '../../../lib/statement-name.ts';
import type {MergeMode} from '../../source.ts';
import {foldName} from '../engine/quote.ts';
import {isSameStatement} from '../engine/sql-text.ts';
import type {Column, Table} from '../schema/table.ts';
import {hasKey} from './match.ts';
import type {MergedPair} from './pair.ts';

/**
 * Decides how a living table gets the rows of the backup.
 *
 * - `replace` brings the table of the backup: row by row if the table still has the same statement, else with the
 *   schema of the backup.
 * - `merge` keeps the living table. It must have the columns and the key of the backup. It may have further columns:
 *   a row that comes back gets their defaults, as the rows did that existed when the column was added.
 *
 * Other constraints, indexes and triggers may differ: rows that they refuse are reported when they come.
 * @throws BkpError `PRECONDITION` naming each difference; `UNSUPPORTED` for a table without a key
 */
export function fitOf(table: Table, stored: Table, mode: MergeMode): MergedPair {
  if (table.shadowOf !== undefined) {
    throw new BkpError('UNSUPPORTED', `${table.name} holds the rows of the virtual table ${table.shadowOf}`, {
      cause: 'its rows make sense only together, so they are not changed one by one',
      next: 'name the tables that are to be changed, without it',
      context: {table: table.name},
    });
  }
  const differences = [...columnDifferences(table, stored), ...formDifferences(table, stored)];
  if (mode === 'replace') {
    const isSame = isSameStatement(table.sql, stored.sql);
    return {table, stored, how: isSame ? {kind: 'rows'} : {kind: 'swap', differences: differences.map(textOf)}};
  }
  if (!hasKey(table) || !hasKey(stored)) {
    throw new BkpError('UNSUPPORTED', `table ${table.name} has no primary key, so its rows cannot be merged`, {
      cause: 'VACUUM and a dump give such rows other rowids: nothing says which row of the backup is which living row',
      next: "MODE='replace' brings all rows of the backup, and removes all others",
      context: {table: table.name},
    });
  }
  if (differences.some(({isExact}) => !isExact)) {
    throw new BkpError(
      'PRECONDITION',
      `rows of the backup do not fit into table ${table.name}: its schema changed since then`,
      {
        details: differences.map(textOf),
        next: `MODE='replace' brings the table with the schema that it had; or ${underAnotherName(table)}`,
        context: {table: table.name},
      },
    );
  }
  return {table, stored, how: {kind: 'rows'}};
}

/** Columns that only the living table has, whose values a merge keeps. */
export function addedColumns({table, stored}: MergedPair): readonly Column[] {
  const then = new Set(stored.columns.map(({name}) => foldName(name)));
  return table.columns.filter(({name, generated}) => !generated && !then.has(foldName(name)));
}

/** The next step where the rows of the backup cannot go into the table. */
export function underAnotherName({name}: Table): string {
  const copy = `TABLE ${quoteName(name)} AS ${quoteName(`${name}_before`)}`;
  return `restore it under another name (${copy}), and copy what you need`;
}

/** `isExact`: no value of the backup is lost if rows come back nevertheless. */
type Difference = {text: string; isExact: boolean};
const textOf = ({text}: Difference) => text;

function columnDifferences(table: Table, stored: Table): Difference[] {
  const byName = (columns: readonly Column[]) => new Map(columns.map((column) => [foldName(column.name), column]));
  const [now, then] = [byName(table.columns), byName(stored.columns)];
  const gone = stored.columns.filter(({name}) => !now.has(foldName(name)));
  const added = table.columns.filter(({name}) => !then.has(foldName(name)));
  return [
    ...gone.map((column) => ({
      text: `column ${described(column)} is in the backup only`,
      isExact: column.generated,
    })),
    ...added.map((column) => ({text: `column ${described(column)} is in the table only`, isExact: true})),
    ...table.columns.flatMap((column) => {
      const before = then.get(foldName(column.name));
      const changed = before !== undefined && described(before, column.name) !== described(column);
      return changed
        ? [{text: `column ${described(column)} was ${described(before, column.name)} in the backup`, isExact: false}]
        : [];
    }),
  ];
}

function described({name, type, generated, collation}: Column, as = name): string {
  const words = [as, type, collation === 'BINARY' ? '' : `COLLATE ${collation}`, generated ? '(generated)' : ''];
  return words.filter((word) => word !== '').join(' ');
}

function formDifferences(table: Table, stored: Table): Difference[] {
  const forms = (of: Table) => [of.withoutRowid ? 'WITHOUT ROWID' : '', of.strict ? 'STRICT' : ''].filter(Boolean);
  const [now, then] = [forms(table), forms(stored)].map((words) => words.join(', ') || 'an ordinary table');
  const difference = (text: string): Difference[] => [{text, isExact: false}];
  return [
    ...(keyOf(table) === keyOf(stored)
      ? []
      : difference(`its key is ${keyOf(table)}, and was ${keyOf(stored)} in the backup`)),
    ...(now === then ? [] : difference(`it is ${now}, and was ${then} in the backup`)),
  ];
}

function keyOf({key}: Table): string {
  if (key.kind === 'rowid') return key.column === undefined ? 'the rowid' : foldName(key.column);
  return key.parts.map(({column, collation}) => `${foldName(column)} COLLATE ${foldName(collation)}`).join(', ');
}
