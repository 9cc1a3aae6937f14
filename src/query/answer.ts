import type {SQLOutputValue, StatementSync} from 'node:sqlite';
import type {Catalogue, Value} from './catalogue.ts';
import {tableOf} from './database.ts';

export type Answer = {
  columns: readonly string[];
  rows: readonly (readonly Value[])[];
  /** Rows of backups with U+FFFD in a text, if there are any; see `hasReplaced`. */
  replaced?: number;
};

type Shape = {name: string; isBoolean: boolean};

/**
 * The columns of a prepared statement: unique names, and whether their values are booleans.
 * @param asWritten what the user wrote for a part of the statement
 */
export function shapeOf(
  statement: StatementSync,
  {views, scalars}: Catalogue,
  asWritten: (part: string) => string,
): Shape[] {
  const booleans = new Set(
    Object.entries(views).flatMap(([view, {columns}]) =>
      Object.entries(columns).flatMap(([column, type]) => (type === 'BOOLEAN' ? [`${tableOf(view)}\0${column}`] : [])),
    ),
  );
  const taken = new Set<string>();
  return statement.columns().map(({name, table, column}) => {
    // In QuestDB, the column of `SELECT reload_config()` is called reload_config.
    const scalar = /^([^\s()]+)\(\)$/.exec(name)?.[1];
    return {
      // Others have the name of a column, or one that follows AS.
      name: unique(scalar ?? (column === null ? asWritten(name) : name), taken),
      isBoolean: booleans.has(`${table}\0${column}`) || scalars[scalar?.toLowerCase() ?? '']?.type === 'BOOLEAN',
    };
  });
}

/** A row is an object, so names must be unique: `SELECT a.id, b.id` has the columns `id` and `id1`, as in QuestDB. */
function unique(name: string, taken: Set<string>): string {
  let free = name;
  for (let at = 1; taken.has(free); at++) free = `${name}${at}`;
  taken.add(free);
  return free;
}

export function shown(value: SQLOutputValue, {isBoolean}: Shape): Value {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'bigint') return value;
  if (isBoolean) return value !== 0n;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
