import {createHash} from 'node:crypto';
import {rowsByTable} from '../catalog/by-table.ts';
import {isComputedByOwn} from '../catalog/own-functions.ts';
import type {Relation} from '../catalog/relations.ts';
import {allColumnTypes} from '../catalog/text-state.ts';
import type {Connection, Row} from '../connection/connection.ts';

/**
 * What rows of the backups of a chain must have in common, by table: its columns, its key, their types, and what rows
 * of an older backup may not meet. Its text must stay as it is: increments compare it with that of the backup before.
 */
export async function fingerprintsOf(
  connection: Connection,
  relations: readonly Relation[],
): Promise<ReadonlyMap<number, string>> {
  const oids = relations.map(({oid}) => oid);
  // Since version 18, a NOT NULL may hold for new rows only.
  const notNull =
    connection.facts.version < 180_000
      ? 'a.attnotnull'
      : `a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
          AND c.conkey[1] = a.attnum AND NOT c.convalidated)`;
  const ask = (query: string) => rowsByTable(connection, oids, query);
  const columns = await ask(
    `SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text, ${notNull},
        a.attgenerated
      FROM pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attrelid, a.attnum`,
  );
  const keys = await ask(
    `SELECT indrelid, indkey::text, indclass::text, indcollation::text FROM pg_index
      WHERE indrelid = ANY ($1::oid[]) AND indisprimary`,
  );
  // A renamed value, or another attribute of a composite type, changes the text of rows that nothing writes to.
  const values = await ask(
    `${allColumnTypes} SELECT relid, types.oid::regtype::text AS type, e.enumlabel
      FROM types JOIN pg_enum e ON e.enumtypid = types.oid ORDER BY relid, type, e.enumlabel COLLATE "C"`,
  );
  const attributes = await ask(
    `${allColumnTypes} SELECT relid, oid::regtype::text AS type, a.attname, format_type(a.atttypid, a.atttypmod)
      FROM types JOIN pg_type t USING (oid) JOIN pg_attribute a ON a.attrelid = t.typrelid
      WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY relid, type, a.attnum`,
  );
  const domains = await ask(
    `${allColumnTypes} SELECT relid, oid::regtype::text AS type, t.typnotnull,
        (SELECT string_agg(pg_get_constraintdef(c.oid), chr(1) ORDER BY pg_get_constraintdef(c.oid) COLLATE "C")
          FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c')
      FROM types JOIN pg_type t USING (oid) WHERE t.typtype = 'd'
        AND (t.typnotnull OR EXISTS (SELECT FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
      ORDER BY relid, type`,
  );
  const generated = await ask(
    `SELECT a.attrelid, a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
      JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = ANY ($1::oid[]) AND a.attgenerated = 's' AND NOT a.attisdropped
      ORDER BY a.attrelid, a.attnum`,
  );
  // Backups of older versions lack their values.
  const taken = await ask(
    `SELECT a.attrelid, a.attname FROM pg_attribute a
      WHERE a.attrelid = ANY ($1::oid[]) AND NOT a.attisdropped AND ${isComputedByOwn('a')}
      ORDER BY a.attrelid, a.attnum`,
  );
  const partitioned = relations.filter(({kind}) => kind === 'partitioned').map(({oid}) => oid);
  const partitions = await strictPartitions(connection, partitioned, notNull);
  const hashOf = ({oid, kind}: Relation) => {
    const facts = JSON.stringify({
      kind,
      columns: columns.of(oid),
      key: keys.of(oid),
      ...ifAny('values', values.of(oid)),
      ...ifAny('attributes', attributes.of(oid)),
      ...ifAny('domains', domains.of(oid)),
      ...ifAny('generated', generated.of(oid)),
      ...ifAny('taken', taken.of(oid)),
      ...ifAny('partitions', partitions.of(oid)),
    });
    return createHash('sha256').update(facts).digest('hex').slice(0, 32);
  };
  return new Map(relations.map((relation) => [relation.oid, hashOf(relation)]));
}

const ifAny = (name: string, rows: readonly Row[]) => (rows.length === 0 ? {} : {[name]: rows});

/**
 * Partitions that do not take every row of their table: those of a hash, which no default partition completes, and
 * those whose columns are NOT NULL or computed otherwise than in the whole table.
 */
function strictPartitions(
  connection: Connection,
  oids: readonly number[],
  notNull: string,
): ReturnType<typeof rowsByTable> {
  return rowsByTable(
    connection,
    oids,
    `SELECT root.oid, bound, forbidden, computed FROM unnest($1::oid[]) root (oid)
      CROSS JOIN LATERAL pg_partition_tree(root.oid::regclass) tree JOIN pg_class m ON m.oid = tree.relid
      CROSS JOIN LATERAL (SELECT CASE WHEN p.partstrat = 'h' THEN pg_get_expr(m.relpartbound, m.oid) END AS bound,
        (SELECT string_agg(a.attname, chr(1) ORDER BY a.attname COLLATE "C") FROM pg_attribute a
          WHERE a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${notNull} AND NOT EXISTS (
            SELECT FROM pg_attribute r WHERE r.attrelid = root.oid AND r.attname = a.attname AND r.attnotnull
          )) AS forbidden,
        (SELECT string_agg(a.attname || chr(2) || pg_get_expr(d.adbin, d.adrelid), chr(1)
            ORDER BY a.attname COLLATE "C")
          FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE a.attrelid = m.oid AND a.attgenerated = 's' AND NOT a.attisdropped AND NOT EXISTS (
            SELECT FROM pg_attribute r JOIN pg_attrdef w ON w.adrelid = r.attrelid AND w.adnum = r.attnum
            WHERE r.attrelid = root.oid AND r.attname = a.attname
              AND pg_get_expr(w.adbin, w.adrelid) = pg_get_expr(d.adbin, d.adrelid))) AS computed
        FROM pg_partitioned_table p WHERE p.partrelid = tree.parentrelid) part
      WHERE concat(bound, forbidden, computed) <> '' ORDER BY root.oid, bound, forbidden, computed`,
  );
}
