import type {TableName} from '../../source.ts';
import {rowsByTable} from '../catalog/by-table.ts';
import {objectKey} from '../catalog/depends.ts';
import {allColumnTypes} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified, quoteIdent, quoteText} from '../connection/quote.ts';
import type {LookingFunctions} from '../schema/looking-functions.ts';
import {additionOf, type Check, dropOf, isOfDomain, setsNotNull} from './checks.ts';
import {runOrLeave} from './later.ts';

const dropOfDomain = 'DROP DOMAIN ';

/** Of the statements that drop what was created. */
export const domainsIn = (drops: readonly string[]): readonly string[] =>
  drops.filter((sql) => sql.startsWith(dropOfDomain)).map((sql) => sql.slice(dropOfDomain.length));

/** `commenting`: the statement that gives it its comment again. */
export type DroppedCheck = {check: Check; commenting: string | undefined};

/**
 * Drops the checks and the NOT NULL of domains that were created, so that tables get rows which do not meet them. Those
 * of a domain within an array, a range or a row of a column stay: see held-domains.ts.
 * @param domains qualified, as statements name them
 * @param tables those that get their rows last come first
 * @returns what was dropped, each with the first of the tables that has its domain
 */
export async function dropDomainChecks(
  connection: Connection,
  looking: LookingFunctions | undefined,
  {domains, tables}: {domains: readonly string[]; tables: readonly {oid: number; name: TableName}[]},
): Promise<readonly DroppedCheck[]> {
  if (domains.length === 0) return [];
  const tableOf = new Map<string, TableName>();
  const types = await rowsByTable(
    connection,
    tables.map(({oid}) => oid),
    `${allColumnTypes} SELECT relid, oid FROM types JOIN pg_type USING (oid) WHERE typtype = 'd'`,
  );
  for (const {oid, name} of tables) {
    for (const [type] of types.of(oid)) tableOf.set(type!, tableOf.get(type!) ?? name);
  }
  const rows = await connection.rows(
    `SELECT 'pg_constraint'::regclass::oid, coalesce(c.oid, 0), t.oid, n.nspname, t.typname, c.conname,
        coalesce(pg_get_constraintdef(c.oid), '${setsNotNull}'), obj_description(c.oid, 'pg_constraint')
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      CROSS JOIN LATERAL (
        SELECT oid, conname FROM pg_constraint WHERE contypid = t.oid AND contype IN ('c', 'n')
        UNION ALL SELECT NULL, 'not null' WHERE t.typnotnull
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid AND contype = 'n')) c
      WHERE t.oid IN
        (SELECT name::regtype FROM pg_catalog.json_array_elements_text($1::pg_catalog.json) AS created (name))
      ORDER BY t.oid, c.conname`,
    [JSON.stringify(domains)],
  );
  const dropped: DroppedCheck[] = [];
  for (const [classOid, oid, type, schema, domain, name, definition, comment] of rows) {
    const table = tableOf.get(type!);
    if (table === undefined) continue;
    const check = {
      ...{table, alter: `ALTER DOMAIN ${qualified(schema!, domain!)}`, name: quoteIdent(name!)},
      definition: definition!,
      isLooking: looking?.lookedAtBy(objectKey(classOid!, oid!), new Set()) !== undefined,
    };
    // Added once, to know whether it can be.
    const drop = dropOf(check);
    if (!(await runOrLeave(connection, `${drop}; ${check.alter} ${additionOf(check)}; ${drop}`))) continue;
    const of = `CONSTRAINT ${check.name} ON DOMAIN ${qualified(schema!, domain!)}`;
    const commenting = comment ? `COMMENT ON ${of} IS ${quoteText(comment)}` : undefined;
    dropped.push({check, commenting});
  }
  return dropped;
}

/** What a check belongs to, for people. @param table under the name that it gets */
export const ownerOfCheck = (check: Check, table: TableName): string =>
  isOfDomain(check) ? check.alter.replace('ALTER DOMAIN', 'the domain') : table;
