import {isUserSchema, userSchemas} from '../catalog/own-schemas.ts';
import type {Connection} from '../connection/connection.ts';

/**
 * Changes whenever a statement changes the definition of one of the tables, or of a type or function of the database:
 * the `xmin` of a catalog row is the transaction that wrote it. Temporary tables change nothing of it.
 * @param oids of the tables and their partitions
 */
export async function schemaState(connection: Connection, oids: readonly number[]): Promise<string> {
  const tables = `(${[0, ...oids].join(', ')})`;
  const of = (catalog: string, key: string, where: string) => `
    (SELECT string_agg(concat_ws(',', ${key}, c.xmin), ';' ORDER BY ${key}, c.xmin::text)
      FROM ${catalog} c WHERE ${where})`;
  const ofUsers = (namespace: string) => `${namespace} IN ${userSchemas}`;
  const parts = [
    // VACUUM and CREATE INDEX change other columns of pg_class.
    `(SELECT string_agg(concat_ws(',', c.oid, c.relname, c.relnamespace, c.relkind, c.relowner, c.relacl::text,
      c.relrowsecurity, c.relforcerowsecurity, c.relreplident), ';' ORDER BY c.oid)
      FROM pg_class c WHERE c.oid IN ${tables})`,
    of('pg_attribute', 'c.attrelid, c.attnum', `c.attrelid IN ${tables} AND c.attnum > 0`),
    of('pg_attrdef', 'c.oid', `c.adrelid IN ${tables}`),
    of('pg_constraint', 'c.oid', `c.conrelid IN ${tables}`),
    of('pg_index', 'c.indexrelid', `c.indrelid IN ${tables}`),
    of('pg_trigger', 'c.oid', `c.tgrelid IN ${tables} AND c.tgname NOT LIKE '~bkp%' AND NOT c.tgisinternal`),
    of('pg_policy', 'c.oid', `c.polrelid IN ${tables}`),
    of('pg_rewrite', 'c.oid', `c.ev_class IN ${tables}`),
    of('pg_statistic_ext', 'c.oid', `c.stxrelid IN ${tables}`),
    of('pg_inherits', 'c.inhrelid', `c.inhrelid IN ${tables} OR c.inhparent IN ${tables}`),
    of('pg_type', 'c.oid', ofUsers('c.typnamespace')),
    of('pg_enum', 'c.oid', 'true'),
    of('pg_proc', 'c.oid', ofUsers('c.pronamespace')),
    of('pg_extension', 'c.oid', 'true'),
    `(SELECT string_agg(n.oid::text, ';' ORDER BY n.oid) FROM pg_namespace n WHERE ${isUserSchema})`,
    `(SELECT string_agg(concat_ws(',', c.oid, c.relname), ';' ORDER BY c.oid) FROM pg_class c
      WHERE c.relkind IN ('S', 'v', 'm') AND ${ofUsers('c.relnamespace')})`,
  ];
  return (await connection.value(`SELECT md5(concat_ws('|', ${parts.join(', ')}))`))!;
}
