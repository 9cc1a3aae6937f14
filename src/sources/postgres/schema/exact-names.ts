import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {unquoted} from '../connection/quote.ts';
import type {Entry} from './entries.ts';

/**
 * Objects by their class and oid, with the schema, the name of the table that they are a part of, and their own name.
 * Numbers of the catalogs: src/include/catalog of PostgreSQL.
 */
const objects = `SELECT * FROM (
  SELECT 1259, c.oid, n.nspname, NULL, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 2606, o.oid, n.nspname, c.relname, o.conname FROM pg_constraint o
    JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 2604, d.oid, n.nspname, c.relname, a.attname FROM pg_attrdef d
    JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 2620, t.oid, n.nspname, c.relname, t.tgname FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 2618, r.oid, n.nspname, c.relname, r.rulename FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 3256, p.oid, n.nspname, c.relname, p.polname FROM pg_policy p
    JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 3381, s.oid, n.nspname, NULL, s.stxname FROM pg_statistic_ext s
    JOIN pg_namespace n ON n.oid = s.stxnamespace
  UNION ALL SELECT 2615, n.oid, '', NULL, n.nspname FROM pg_namespace n
) found (class, oid, schema, of_table, own) WHERE schema !~ '^pg_'`;
const classOfSchemas = 2615;
const classOfTables = 1259;

/** Names of `NOT NULL` that need quotes, which PostgreSQL has from version 18 on. */
const notNulls = `SELECT o.conrelid, o.conname, quote_ident(o.conname), quote_ident(a.attname) FROM pg_constraint o
  JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.conkey[1]
  WHERE o.contype = 'n' AND quote_ident(o.conname) <> o.conname`;

/**
 * Names as they are: in its comments, pg_dump writes a space for each end of a line in a name (`sanitize_line` in
 * src/bin/pg_dump/dumputils.c), and what belongs to a table has the name of the table in front of its own.
 * @throws BkpError `UNSUPPORTED` if the comments have one name for two schemas
 */
export async function withExactNames(connection: Connection, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const found = new Map<string, {schema: string; table: string | null; own: string}>();
  const schemaNames: string[] = [];
  for (const [classOid, oid, schema, table, own] of await connection.rows(objects)) {
    found.set(`${classOid} ${oid}`, {schema: schema!, table: table!, own: own!});
    if (Number(classOid) === classOfSchemas) schemaNames.push(own!);
  }
  const schemas = byComment(schemaNames, 'schema');
  const roleRows = await connection.rows('SELECT rolname FROM pg_roles');
  const roles = byComment(
    roleRows.map(([name]) => name!),
    'role',
  );
  const quoteNotNulls = await notNullQuoting(connection);
  return entries.map(quoteNotNulls).map((entry) => {
    const exact = found.get(`${entry.classOid} ${entry.oid}`);
    const owner = roles(entry.owner);
    if (exact === undefined) {
      // `SCHEMA "app"`: its comment, or grants.
      const name = entry.name.replace(/^SCHEMA (.*)$/u, (_, of) => `SCHEMA ${schemas(unquoted(of))}`);
      return {...entry, owner, schema: schemas(entry.schema), name};
    }
    const {schema, table, own} = exact;
    return {...entry, owner, schema, own, name: table === null ? own : `${table} ${own}`};
  });
}

/**
 * pg_dump 18 writes no quotes around the name of a `NOT NULL` of a column that the table inherits
 * (`dumpTableSchema` in src/bin/pg_dump/pg_dump.c), so that the statement has another name or is none.
 */
async function notNullQuoting(connection: Connection): Promise<(entry: Entry) => Entry> {
  const ofTables = Map.groupBy(await connection.rows(notNulls), ([table]) => Number(table));
  return (entry) => {
    if (entry.classOid !== classOfTables) return entry;
    let {sql} = entry;
    for (const [, name, quoted, column] of ofTables.get(entry.oid) ?? []) {
      sql = sql.replace(
        `\n    CONSTRAINT ${name} NOT NULL ${column}`,
        () => `\n    CONSTRAINT ${quoted} NOT NULL ${column}`,
      );
    }
    return {...entry, sql};
  };
}

/** @returns the name that a comment means */
function byComment(all: readonly string[], noun: string): (shown: string) => string {
  const names = Map.groupBy(all, (name) => name.replaceAll(/[\r\n]/gu, ' '));
  return (shown) => {
    const [name = shown, other] = names.get(shown) ?? [];
    if (other === undefined) return name;
    throw new BkpError('UNSUPPORTED', `two ${noun}s differ only in the ends of lines in their names`, {
      cause: `pg_dump writes the names of both as ${shown}`,
      next: `rename one of them: ALTER ${noun.toUpperCase()} … RENAME TO …`,
    });
  };
}
