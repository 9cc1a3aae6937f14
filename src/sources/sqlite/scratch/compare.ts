import type {RowChange, RowCounts, StoredRow, StoredValue} from '../../scratch.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {kindOf, sameValues} from '../engine/same-values.ts';
import {nullable} from '../rows/boundary.ts';
import {type Key, type KeyPart, keyAffinity, recordedColumns, type Table} from '../schema/table.ts';

/**
 * Compares a table of `main` (before) with one of `other` (after), which has the same key. Rows with equal keys are one
 * row; it changed if a value did, bit by bit, in the columns that both have. A row with a NULL in its key has
 * no identity: it is added or deleted.
 */
export function countChanges(connection: Connection, before: Table, after: Table): RowCounts {
  const parts = partsOf(before, after);
  const count = (sql: string) => connection.number(sql);
  const counts = {
    changed: count(`SELECT count(*) FROM ${parts.changed}`),
    deleted: count(`SELECT count(*) FROM ${parts.deleted}`),
    added: count(`SELECT count(*) FROM ${parts.added}`),
  };
  for (const {kind, times} of loose(connection, parts)) counts[kind] += times;
  return counts;
}

/** The same changes, row by row, with all columns of each table. */
export function* changesBetween(connection: Connection, before: Table, after: Table): Generator<RowChange> {
  const parts = partsOf(before, after);
  const [ours, theirs] = [namesOf(before), namesOf(after)];
  const list = (name: string, columns: readonly string[]) => columns.map((column) => `${name}.${quoteName(column)}`);
  for (const row of connection.iterate(`SELECT ${list('a', ours).join(', ')} FROM ${parts.deleted}`))
    yield {kind: 'deleted', row: named(ours, row)};
  const both = [...list('a', ours), ...list('b', theirs)].join(', ');
  for (const row of connection.iterate(`SELECT ${both} FROM ${parts.changed}`)) {
    const [old, now] = [row.slice(0, ours.length), row.slice(ours.length)];
    yield {kind: 'changed', row: named(theirs, now), before: named(ours, old)};
  }
  for (const row of connection.iterate(`SELECT ${list('b', theirs).join(', ')} FROM ${parts.added}`))
    yield {kind: 'added', row: named(theirs, row)};
  for (const {kind, times, row} of loose(connection, parts))
    for (let n = 0; n < times; n++) yield {kind, row: named(parts.common, row)};
}

/**
 * Whether rows of the two tables can be told apart by the same key. Between a text and a number, SQLite would convert
 * one of them, and take the text '46' for the number 46.
 */
export function haveSameKey(before: Table, after: Table): boolean {
  return keyText(before) === keyText(after);
}

function keyText(table: Table): string {
  const {key} = table;
  if (key.kind === 'rowid') return 'rowid';
  return JSON.stringify(
    key.parts.map(({column, collation}, at) => {
      const kind = keyAffinity(table, at);
      return [foldName(column), collation.toUpperCase(), ['TEXT', 'BLOB'].includes(kind) ? kind : 'number'];
    }),
  );
}

type Parts = {
  /** FROM and WHERE; `a` is a row before, `b` one after. */
  changed: string;
  added: string;
  deleted: string;
  /** Columns that both have, by the names of the table before. */
  common: readonly string[];
  loose: {a: string; b: string} | undefined;
};

function partsOf(before: Table, after: Table): Parts {
  const [a, b] = [`main.${quoteName(before.name)} AS a`, `other.${quoteName(after.name)} AS b`];
  const theirs = new Set(recordedColumns(after).map(({name}) => foldName(name)));
  const common = recordedColumns(before)
    .map(({name}) => name)
    .filter((name) => theirs.has(foldName(name)));
  const same = sameValues(common.map((name) => [`a.${quoteName(name)}`, `b.${quoteName(name)}`]));
  const match = keysMatch(before.key, after.key);
  const [noA, noB] = [noNulls('a', before.key), noNulls('b', after.key)];
  const hasNulls = nullable(before.key).length + nullable(after.key).length > 0;
  return {
    // Tables whose only equal key is the rowid may have no column in common.
    changed: `${a} JOIN ${b} ON ${match} WHERE NOT (${same})`,
    deleted: `${a} WHERE ${noA} AND NOT EXISTS (SELECT 1 FROM ${b} WHERE ${match})`,
    added: `${b} WHERE ${noB} AND NOT EXISTS (SELECT 1 FROM ${a} WHERE ${match})`,
    common,
    loose: hasNulls ? {a: `${a} WHERE NOT (${noA})`, b: `${b} WHERE NOT (${noB})`} : undefined,
  };
}

function keysMatch(before: Key, after: Key): string {
  if (before.kind === 'rowid' || after.kind === 'rowid') return `a.${aliasOf(before)} = b.${aliasOf(after)}`;
  return before.parts.map((part, i) => `${comparable('a', part)} = ${comparable('b', after.parts[i]!)}`).join(' AND ');
}

const aliasOf = (key: Key) => key.alias ?? 'rowid';

function comparable(name: string, part: KeyPart): string {
  return `${name}.${quoteName(part.column)}${part.explicit ? ` COLLATE ${quoteName(part.collation)}` : ''}`;
}

function noNulls(name: string, key: Key): string {
  if (key.kind === 'rowid') return '1';
  const parts = nullable(key).map((part) => `${name}.${quoteName(key.parts[part]!.column)} IS NOT NULL`);
  return parts.length === 0 ? '1' : parts.join(' AND ');
}

type Loose = {kind: 'added' | 'deleted'; times: number; row: readonly Value[]};

/** Rows with a NULL in their key: how many times more often each one exists on one side. */
function* loose(connection: Connection, {loose: from, common}: Parts): Generator<Loose> {
  if (from === undefined) return;
  const of = (name: 'a' | 'b', sign: number) => {
    const columns = common.map((column, i) => `${name}.${quoteName(column)} COLLATE BINARY AS c${i}`);
    const types = common.map((column, i) => `${kindOf(`${name}.${quoteName(column)}`)} AS t${i}`);
    return `SELECT ${[...columns, ...types, `${sign} AS n`].join(', ')} FROM ${from[name]}`;
  };
  const columns = common.map((_, i) => `c${i}`);
  const groups = common.flatMap((_, i) => [`c${i} COLLATE BINARY`, `t${i}`]);
  const sql =
    `SELECT sum(n), ${columns.join(', ')} FROM (${of('a', -1)} UNION ALL ${of('b', 1)}) ` +
    `GROUP BY ${groups.join(', ')} HAVING sum(n) <> 0`;
  for (const [n, ...row] of connection.iterate(sql)) {
    const times = Number(n);
    yield {kind: times > 0 ? 'added' : 'deleted', times: Math.abs(times), row};
  }
}

const namesOf = ({columns}: Table) => columns.map(({name}) => name);

function named(columns: readonly string[], values: readonly StoredValue[]): StoredRow {
  return new Map(columns.map((column, at) => [column, values[at] ?? null]));
}
