import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {rowsByTable} from './by-table.ts';
import {isComputedByOwn} from './own-functions.ts';

/** A column whose values are stored and copied: not a generated one, which the target computes. */
export type Column = {name: string /** As `format_type` writes it. */; type: string};

/** A column of the primary key, and the equality and order of its index. */
export type KeyColumn = Column & {
  /** `OPERATOR(pg_catalog.=)`: with an empty search path, the operators of an extension's type need their schema. */
  equals: string;
  /** ` COLLATE "x"."y"`, or nothing for a type without a collation. */
  collate: string;
  /** `::"x"."y"` or nothing; see {@link comparable}. */
  cast: string;
};

export type TableColumns = {
  key: readonly KeyColumn[];
  /** The key first, then the others in their order. */
  columns: readonly Column[];
  /** Names of the columns that the table computes. */
  computed: ReadonlySet<string>;
};

/** @param oid of a table */
export async function columnsOf(connection: Connection, oid: number): Promise<TableColumns> {
  return (await columnsOfAll(connection, [oid])).get(oid)!;
}

/**
 * Those that a backup takes: also stored generated ones that call functions of the user, which may compute other values
 * when they are restored than they did when the rows were written.
 */
export async function takenColumnsOf(connection: Connection, oid: number): Promise<TableColumns> {
  return (await takenColumnsOfAll(connection, [oid])).get(oid)!;
}

/** Also all that the table computes. */
export async function allColumnsOf(connection: Connection, oid: number): Promise<TableColumns> {
  return (await columnsOfAll(connection, [oid], 'true')).get(oid)!;
}

export const takenColumnsOfAll = (connection: Connection, oids: readonly number[]) =>
  columnsOfAll(connection, oids, isComputedByOwn('a'));

/** @param oids of tables @param orComputed which generated columns count, too */
async function columnsOfAll(
  connection: Connection,
  oids: readonly number[],
  orComputed = 'false',
): Promise<ReadonlyMap<number, TableColumns>> {
  const keys = await rowsByTable(
    connection,
    oids,
    `
    SELECT i.indrelid, a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN i.indisexclusion AND k.at = i.indnkeyatts THEN 'OPERATOR(pg_catalog.=)'
        ELSE format('OPERATOR(%I.%s)', opn.nspname, o.oprname) END,
      CASE WHEN i.indcollation[k.at - 1] = 0 THEN '' ELSE format(' COLLATE %I.%I', cn.nspname, co.collname) END,
      (WITH RECURSIVE below (type) AS (
          SELECT a.atttypid
          UNION ALL SELECT d.typbasetype FROM below JOIN pg_type d ON d.oid = type AND d.typtype = 'd')
        SELECT format('::%s', format_type(e.oid, NULL)) FROM below JOIN pg_type e ON e.oid = type
          WHERE e.typtype = 'e' AND e.oid <> a.atttypid)
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (number, class, at)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    JOIN pg_opclass c ON c.oid = k.class
    -- A key WITHOUT OVERLAPS has an index of GiST, whose strategy 3 is &&. The constraint has the equality of its
    -- columns, and && for the last one, which is a range: two rows have one key only if that is equal too.
    LEFT JOIN pg_constraint r ON i.indisexclusion AND r.conrelid = i.indrelid AND r.conindid = i.indexrelid
    LEFT JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3
      AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
    JOIN pg_operator o ON o.oid = CASE WHEN i.indisexclusion THEN r.conexclop[k.at] ELSE p.amopopr END
    JOIN pg_namespace opn ON opn.oid = o.oprnamespace
    LEFT JOIN pg_collation co ON co.oid = i.indcollation[k.at - 1]
    LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    WHERE i.indrelid = ANY ($1::oid[]) AND i.indisprimary AND k.at <= i.indnkeyatts ORDER BY i.indrelid, k.at`,
  );
  const stored = await rowsByTable(
    connection,
    oids,
    `
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated FROM pg_attribute a
    WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
      AND (a.attgenerated = '' OR ${orComputed} OR EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary
          AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
    ORDER BY a.attrelid, a.attnum`,
  );
  return new Map(
    oids.map((oid) => {
      const key = keys.of(oid).map(([name, type, equals, collate, cast]) => {
        return {name: name!, type: type!, equals: equals!, collate: collate!, cast: cast ?? ''};
      });
      const isKey = new Set(key.map(({name}) => name));
      const others = stored.of(oid).filter(([name]) => !isKey.has(name!));
      const columns = [
        ...key.map(({name, type}) => ({name, type})),
        ...others.map(([name, type]) => ({name: name!, type: type!})),
      ];
      const computed = new Set(stored.of(oid).flatMap(([name, , generated]) => (generated === '' ? [] : [name!])));
      return [oid, {key, columns, computed}] as const;
    }),
  );
}

/**
 * The kinds of types by the columns of a table: the type below a domain, without modifiers; `enum`, `array`; `other`
 * for a text whose equality only the server knows.
 */
export async function kindsOf(connection: Connection, oid: number): Promise<ReadonlyMap<string, string>> {
  return (await kindsOfAll(connection, [oid])).get(oid)!;
}

/** As {@link kindsOf}, of several tables. */
export async function kindsOfAll(
  connection: Connection,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ReadonlyMap<string, string>>> {
  const kinds = await rowsByTable(
    connection,
    oids,
    `
    WITH RECURSIVE below (relid, number, type) AS (
      SELECT attrelid, attnum, atttypid FROM pg_attribute
        WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
      UNION ALL
      SELECT b.relid, b.number, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
    )
    SELECT b.relid, a.attname, CASE
      WHEN t.typtype = 'e' THEN 'enum' WHEN t.typcategory = 'A' THEN 'array'
      WHEN NOT coalesce(c.collisdeterministic, true) THEN 'other' ELSE format_type(t.oid, NULL) END
    FROM below b JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
    JOIN pg_attribute a ON a.attrelid = b.relid AND a.attnum = b.number
    LEFT JOIN pg_collation c ON c.oid = a.attcollation`,
  );
  return new Map(oids.map((oid) => [oid, new Map(kinds.of(oid).map(([name, kind]) => [name!, kind!]))]));
}

/** Names of the columns of a table whose type is a domain. */
export async function columnsOfDomains(connection: Connection, oid: number): Promise<ReadonlySet<string>> {
  const rows = await connection.rows(
    `SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd'`,
    [oid],
  );
  return new Set(rows.map(([name]) => name!));
}

export const columnList = (columns: readonly Pick<Column, 'name'>[], prefix = '') =>
  columns.map(({name}) => `${prefix}${quoteIdent(name)}`).join(', ');

/**
 * A value as statements compare it. The server finds no operator of a domain over an enum, although an index of it
 * works: the operators of enums are for `anyenum`, which a domain is not.
 */
export const comparable = (value: string, {cast}: Pick<KeyColumn, 'cast'>) => `${value}${cast}`;

/** Whether a row `t` of a table has a key `d` of a log or a segment, whose columns are `k0`, `k1`, … */
export const sameKey = (key: readonly KeyColumn[]) =>
  key
    .map((part, at) => [comparable(`t.${quoteIdent(part.name)}`, part), part.equals, comparable(`d.k${at}`, part)])
    .map((condition) => condition.join(' '))
    .join(' AND ');

/**
 * An expression: `(id integer, name text)`, the columns of a relation with their types, in the order in which a value
 * of its row type has them.
 * @param oid of the relation, in SQL
 */
export const rowTypeOf = (oid: string) => `(
  SELECT '(' || coalesce(string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', '
      ORDER BY a.attnum), '') || ')'
    FROM pg_attribute a WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped)`;
