import type {Connection} from '../connection/connection.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import {isSame} from './compared.ts';
import type {MergedPair} from './merge-fit.ts';

/** A foreign key of a merged table to a merged table. */
export type InnerKey = {
  name: string;
  child: number;
  parent: number;
  /** What stands behind ALTER TABLE. */
  table: string;
  isDeferrable: boolean;
  columns: readonly string[];
};

export async function innerKeys(connection: Connection, pairs: readonly MergedPair[]): Promise<readonly InnerKey[]> {
  const all = `'{${pairs.map(({oid}) => oid).join(',')}}'::oid[]`;
  const rows = await connection.rows(
    `SELECT c.conname, c.conrelid, c.confrelid, n.nspname, r.relname, c.condeferrable,
      (SELECT string_agg(a.attname, chr(1) ORDER BY k.at) FROM unnest(c.conkey) WITH ORDINALITY AS k (own, at)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own)
    FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid = ANY (${all}) AND c.confrelid = ANY (${all})
    ORDER BY n.nspname, r.relname, c.conname`,
  );
  return rows.map(([name, child, parent, schema, table, isDeferrable, columns]) => ({
    name: name!,
    child: Number(child),
    parent: Number(parent),
    table: qualified(schema!, table!),
    isDeferrable: isDeferrable === 't',
    columns: columns!.split('\u0001'),
  }));
}

/** Runs `work` in a transaction in which these foreign keys can wait for its end. It ends with all of them checked. */
export async function withWaitingKeys<T>(
  connection: Connection,
  keys: readonly InnerKey[],
  work: () => Promise<T>,
): Promise<T> {
  const setAll = async (how: string) => {
    for (const {table, name, isDeferrable} of keys) {
      if (!isDeferrable) await connection.run(`ALTER TABLE ${table} ALTER CONSTRAINT ${quoteIdent(name)} ${how}`);
    }
  };
  await setAll('DEFERRABLE');
  const result = await work();
  await setAll('NOT DEFERRABLE');
  return result;
}

/** Lets the living rows that the backup has refer to what they refer to there, and leaves all else as it is. */
export async function moveReferences(
  connection: Connection,
  pairs: readonly MergedPair[],
  keys: readonly InnerKey[],
): Promise<void> {
  for (const {child, columns} of keys) {
    const pair = pairs.find(({oid}) => oid === child)!;
    const stored = new Set(pair.columns.map(({name}) => name));
    const own = columns.filter((column) => stored.has(column) && !pair.fixed.includes(column)).map(quoteIdent);
    if (pair.key.length === 0 || own.length === 0) continue;
    const row = (of: string) => `row(${own.map((column) => `${of}.${column}`).join(', ')})`;
    await connection.run(
      `UPDATE ${pair.living} t SET ${own.map((column) => `${column} = s.${column}`).join(', ')}
        FROM ${pair.staged} s WHERE ${isSame(pair)} AND pg_catalog.record_image_ne(${row('t')}, ${row('s')})`,
    );
  }
}
