import {quoteName} from '../engine/quote.ts';
import {sameValues} from '../engine/same-values.ts';
import {loadedNames, type Table} from '../schema/table.ts';
import type {MergedPair} from './pair.ts';

/** The living table and its state in the backup, as statements name them. */
export const [living, stored] = ['m', 's'] as const;
export const livingTable = ({table}: Pick<Pair, 'table'>) => `main.${quoteName(table.name)}`;
export const storedTable = (pair: Pick<Pair, 'stored'>) => `staged.${quoteName(pair.stored.name)}`;

type Pair = Pick<MergedPair, 'table' | 'stored'>;
type Side = typeof living | typeof stored;
const tableOf = (pair: Pair, side: Side) => (side === living ? pair.table : pair.stored);

/** Whether rows are identified by something that the application knows; rowids change with VACUUM. */
export function hasKey({key}: Table): boolean {
  return key.kind === 'columns' || key.column !== undefined;
}

/**
 * The condition that a living row and a stored one have the same key, as the table's own key compares.
 * @param operator `=` matches no NULL; `IS` does
 */
export function sameKey(pair: Pair, operator: '=' | 'IS'): string {
  const {key} = pair.table;
  if (key.kind === 'rowid') return `${living}.${key.alias} ${operator} ${stored}.${pair.stored.key.alias}`;
  return key.parts
    .map(({column, collation}) => {
      const side = (name: Side) => `${name}.${quoteName(column)}`;
      return `${side(living)} ${operator} ${side(stored)} COLLATE ${quoteName(collation)}`;
    })
    .join(' AND ');
}

/**
 * The condition that a living row has the values of a stored one.
 * @param options.generated compares stored generated columns too, which usually follow from the others
 */
export function sameRow(pair: Pair, {generated = false}: {generated?: boolean} = {}): string {
  const {columns} = loadedNames(pair.stored, {generated});
  return sameValues(columns.map((column) => [`${living}.${column}`, `${stored}.${column}`]));
}

/** The condition that a row has a NULL in its key. */
export function nullInKey(pair: Pair, side: Side): string | undefined {
  const {key} = tableOf(pair, side);
  if (key.kind === 'rowid') return undefined;
  const parts = key.parts.filter(({notNull}) => !notNull);
  if (parts.length === 0) return undefined;
  return parts.map(({column}) => `${side}.${quoteName(column)} IS NULL`).join(' OR ');
}

/** The key of a row as text for people: `id 5`, `shop 'a', id 5`. */
export function keyText(pair: Pair, side: Side): string {
  const {key} = tableOf(pair, side);
  const parts = key.kind === 'rowid' ? [[key.column ?? 'rowid', key.alias] as const] : key.parts.map(named);
  return parts.map(([name, column]) => `${quoted(name)} || quote(${side}.${column})`).join(` || ', ' || `);
}

const named = ({column}: {column: string}) => [column, quoteName(column)] as const;
const quoted = (name: string) => `'${name.replaceAll("'", "''")} '`;
