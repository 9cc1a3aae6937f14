import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import type {MergedPair} from './merge-fit.ts';

/** The tables in an order in which each one comes after those to which its foreign keys refer, as far as possible. */
export async function parentsFirst(
  connection: Connection,
  pairs: readonly MergedPair[],
): Promise<readonly MergedPair[]> {
  const rows = await connection.rows("SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'");
  const parents = new Map<number, number[]>();
  for (const [child, parent] of rows) {
    parents.set(Number(child), [...(parents.get(Number(child)) ?? []), Number(parent)]);
  }
  const ordered: MergedPair[] = [];
  const seen = new Set<number>();
  const visit = (pair: MergedPair) => {
    if (seen.has(pair.oid)) return;
    seen.add(pair.oid);
    for (const parent of parents.get(pair.oid) ?? []) {
      const found = pairs.find(({oid}) => oid === parent);
      if (found !== undefined) visit(found);
    }
    ordered.push(pair);
  };
  for (const pair of pairs) visit(pair);
  return ordered;
}

/**
 * Refuses to delete or change rows if a foreign key would then delete or change rows of another table: nobody asked for
 * those.
 * @param what of a living row `t`, which is to be deleted or, with `staged` as `s`, changed
 * @throws BkpError `PRECONDITION`
 */
export async function requireNoCascade(
  connection: Connection,
  {oid, name, living}: MergedPair,
  what: {on: 'delete' | 'update'; condition: string},
): Promise<void> {
  const action = what.on === 'delete' ? 'confdeltype' : 'confupdtype';
  const keys = await connection.rows(
    `SELECT c.conname, n.nspname, r.relname,
      (SELECT string_agg(format('c.%I = t.%I', a.attname, f.attname), ' AND ' ORDER BY k.at)
        FROM unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (own, other, at)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
        JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other),
      (SELECT string_agg(quote_ident(f.attname), chr(1) ORDER BY k.at)
        FROM unnest(c.confkey) WITH ORDINALITY AS k (other, at)
        JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other)
    FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 AND ${action} NOT IN ('a', 'r')
      AND c.conrelid <> c.confrelid`,
    [oid],
  );
  for (const [key, schema, table, match, columns] of keys) {
    const child = qualified(schema!, table!);
    const differ = columns!
      .split('\u0001')
      .map((column) => `t.${column} IS DISTINCT FROM s.${column}`)
      .join(' OR ');
    const condition = what.on === 'delete' ? what.condition : what.condition.replace('$differ', differ);
    const rows = Number(
      await connection.value(
        `SELECT count(*) FROM ${child} c WHERE EXISTS (SELECT FROM ${living} t WHERE ${match} AND ${condition})`,
      ),
    );
    if (rows === 0) continue;
    throw new BkpError(
      'PRECONDITION',
      `the foreign key ${key} would ${what.on} ${formatCount(rows, 'row')} of ${schema}.${table} too`,
      {
        cause: `they refer to rows of ${name} that are not those of the backup`,
        next: `name both tables, or restore ${name} under another name (TABLE … AS …)`,
        context: {table: name},
      },
    );
  }
}
