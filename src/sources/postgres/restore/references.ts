import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {onlyOf} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';
import {asIdent} from '../schema/rewrite.ts';
import {isGone} from './compared.ts';
import type {MergedPair} from './merge-fit.ts';

/**
 * The tables in an order in which each one comes after those to which its foreign keys refer, as far as possible. Of
 * tables that refer to each other, ON DELETE RESTRICT decides: such a key does not wait for rows that go later.
 */
export async function parentsFirst(
  connection: Connection,
  pairs: readonly MergedPair[],
): Promise<readonly MergedPair[]> {
  const rows = await connection.rows(
    "SELECT conrelid, confrelid, confdeltype = 'r' FROM pg_constraint WHERE contype = 'f'",
  );
  const merged = new Set(pairs.map(({oid}) => oid));
  const all = new Map<number, number[]>();
  const keys = rows
    .map(([child, parent, isStrict]) => ({child: Number(child), parent: Number(parent), isStrict: isStrict === 't'}))
    .filter(({child, parent}) => merged.has(child) && merged.has(parent));
  for (const {child, parent} of keys) all.set(child, [...(all.get(child) ?? []), parent]);
  const parents = new Map<number, number[]>();
  for (const {child, parent, isStrict} of keys) {
    if (isStrict || !refersTo(all, parent, child)) parents.set(child, [...(parents.get(child) ?? []), parent]);
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

/** Whether a table refers to another one, also by way of others. */
function refersTo(parents: ReadonlyMap<number, readonly number[]>, child: number, parent: number): boolean {
  const seen = new Set([child]);
  for (const one of seen) for (const other of parents.get(one) ?? []) seen.add(other);
  return seen.has(parent);
}

/** A foreign key, for {@link requireNoCascade}. */
type ActingKey = {
  name: string;
  childOid: number;
  /** As bkp names tables, and as a statement has it. */
  called: string;
  child: string;
  /** Whether a row `c` refers to a row `t`. */
  match: string;
  /** Columns to which it refers, quoted. */
  columns: readonly string[];
  /** Whether ON UPDATE CASCADE would give a row `c` other bytes, once `t` is as `s`; undefined for other actions. */
  cascadeDiffers: string | undefined;
};

/**
 * Refuses to delete or change rows if a foreign key would then delete or change rows that are to stay as they are:
 * rows of another table, or of a merged one that the backup has too. A merged table has no triggers meanwhile, so
 * ON UPDATE CASCADE may give its rows the bytes that they have.
 * @param what of a living row `t`, which is to be deleted or, with `staged` as `s`, changed
 * @param what.pairs all merged tables; their rows that are deleted anyway do not count
 * @throws BkpError `PRECONDITION`; its context names the `child`
 */
export async function requireNoCascade(
  connection: Connection,
  {oid, name, living}: MergedPair,
  what: {on: 'delete' | 'update'; condition: string; pairs: readonly MergedPair[]},
): Promise<void> {
  for (const key of await actingKeys(connection, oid, what.on)) {
    const {childOid, match, columns, cascadeDiffers} = key;
    const child = what.pairs.find((pair) => pair.oid === childOid);
    // The server compares the bytes of a key to know whether it was changed.
    const list = (of: string) => columns.map((column) => `${of}.${column}`);
    const differ = `pg_catalog.record_image_ne(row(${list('t').join(', ')}), row(${list('s').join(', ')}))`;
    const acts = child === undefined || cascadeDiffers === undefined ? differ : `${differ} AND ${cascadeDiffers}`;
    const condition = what.on === 'delete' ? what.condition : what.condition.replace('$differ', () => acts);
    const stays = child === undefined || what.on === 'update' ? '' : ` AND NOT (${isGone(child, 'c')})`;
    const rows = Number(
      await connection.value(
        `SELECT count(*) FROM ${key.child} c
          WHERE EXISTS (SELECT FROM ${living} t WHERE ${match} AND ${condition})${stays}`,
      ),
    );
    if (rows === 0) continue;
    const other = `restore ${name} under another name (TABLE … AS …)`;
    throw new BkpError(
      'PRECONDITION',
      `the foreign key ${key.name} would ${what.on} ${formatCount(rows, 'row')} of ${key.called} too`,
      {
        cause: `they refer to rows of ${name} that are not those of the backup`,
        next: child === undefined ? `name both tables, or ${other}` : other,
        context: {table: name, child: key.called},
      },
    );
  }
}

async function actingKeys(
  connection: Connection,
  parent: number,
  on: 'delete' | 'update',
): Promise<readonly ActingKey[]> {
  const action = on === 'delete' ? 'confdeltype' : 'confupdtype';
  const rows = await connection.rows(
    `SELECT c.conname, c.conrelid, n.nspname, r.relname, r.relkind,
      (SELECT string_agg(format('t.%I OPERATOR(%I.%s) c.%I', f.attname, s.nspname, o.oprname, a.attname), ' AND '
        ORDER BY k.at)
        FROM unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY AS k (own, other, op, at)
        JOIN pg_operator o ON o.oid = k.op JOIN pg_namespace s ON s.oid = o.oprnamespace
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
        JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other),
      (SELECT string_agg(quote_ident(f.attname), chr(1) ORDER BY k.at)
        FROM unnest(c.confkey) WITH ORDINALITY AS k (other, at)
        JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other),
      CASE WHEN ${action} = 'c' THEN (SELECT format('record_image_ne(row(%s), row(%s))',
          string_agg(format('c.%I', a.attname), ', ' ORDER BY k.at),
          string_agg(format('s.%I::%s', f.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.at))
        FROM unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (own, other, at)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
        JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other) END
    FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 AND ${action} NOT IN ('a', 'r')`,
    [parent],
  );
  return rows.map(([name, childOid, schema, table, kind, match, columns, cascadeDiffers]) => ({
    name: name!,
    childOid: Number(childOid),
    called: `${asIdent(schema!)}.${asIdent(table!)}`,
    child: onlyOf(kind === 'p' ? 'partitioned' : 'table') + qualified(schema!, table!),
    match: match!,
    columns: columns!.split('\u0001'),
    cascadeDiffers: cascadeDiffers ?? undefined,
  }));
}
