import {BkpError} from '../../../errors/index.ts';
import {onlyOf, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/**
 * PostgreSQL checks a DEFERRABLE key by a trigger, which does not fire with session_replication_role = replica: two
 * rows can have one key. No restore can create such a key, and an increment that finds rows by it would miss one.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function requireUniqueRows(connection: Connection, relations: readonly Relation[]): Promise<void> {
  const keys = await connection.rows(
    `SELECT k.conrelid, quote_ident(k.conname), string_agg(quote_ident(a.attname), ', ' ORDER BY at),
        -- Before 15, no index knows NULLS NOT DISTINCT.
        CASE WHEN bool_or((to_jsonb(i) ->> 'indnullsnotdistinct')::bool) THEN 'true'
          ELSE string_agg(format('%I IS NOT NULL', a.attname), ' AND ') END
      FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid
      CROSS JOIN unnest(k.conkey) WITH ORDINALITY AS part (number, at)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = part.number
      -- Of a key WITHOUT OVERLAPS, equal values are allowed.
      WHERE k.contype IN ('p', 'u') AND k.condeferrable AND NOT i.indisexclusion AND k.conrelid = ANY ($1::oid[])
      GROUP BY k.oid, k.conrelid, k.conname ORDER BY k.conrelid, k.conname`,
    [`{${relations.map(({oid}) => oid).join(',')}}`],
  );
  for (const [oid, constraint, columns, present] of keys) {
    const {name, kind} = relations.find((relation) => relation.oid === Number(oid))!;
    const repeated = `FROM ${onlyOf(kind)}${name} WHERE ${present} GROUP BY ${columns} HAVING count(*) > 1`;
    if ((await connection.value(`SELECT 1 ${repeated} LIMIT 1`)) === undefined) continue;
    throw new BkpError('SOURCE_DAMAGED', `two rows of table ${name} have the same values of its key ${constraint}`, {
      cause:
        'the key is DEFERRABLE, which PostgreSQL does not check for rows that come with session_replication_role = ' +
        'replica; no restore could bring such rows back',
      next:
        `SELECT ${columns}, count(*) ${repeated}; remove or change all but one of each, ` +
        'then give the statement again',
      context: {table: name},
    });
  }
}
