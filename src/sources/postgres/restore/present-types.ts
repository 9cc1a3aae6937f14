import {BkpError} from '../../../errors/index.ts';
import {rowsByTable} from '../catalog/by-table.ts';
import {rowTypeOf} from '../catalog/columns.ts';
import {allColumnTypes} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {nameInSql, qualified, quoteIdent, quoteText} from '../connection/quote.ts';
import {tokensOf} from '../schema/tokens.ts';
import type {SharedObject} from './stored.ts';

const isEnum = new RegExp(`^CREATE TYPE ${nameInSql} AS ENUM`, 'u');
const isRange = new RegExp(`^CREATE TYPE ${nameInSql} AS RANGE`, 'u');
const isCompared = new RegExp(`^(CREATE DOMAIN|CREATE TYPE(?= ${nameInSql} AS (?:RANGE )?\\()) ${nameInSql}( AS)`, 'u');

/**
 * A type that exists stays as it is, but rows must mean in it what they mean in that of the backup: the text of a row
 * type has no names of its attributes, and a domain may round. Types that the tables do not use may have changed.
 * @param oids of the tables, which are there
 * @throws BkpError `PRECONDITION`
 */
export async function requireSameTypes(
  connection: Connection,
  objects: readonly SharedObject[],
  oids: readonly number[],
): Promise<void> {
  const compared = objects.filter(({sql, position}) => position === undefined && isCompared.test(sql));
  if (compared.length === 0) return;
  const types = await rowsByTable(
    connection,
    oids,
    `${allColumnTypes} SELECT relid, n.nspname, t.typname
      FROM types JOIN pg_type t USING (oid) JOIN pg_namespace n ON n.oid = t.typnamespace`,
  );
  const used = new Set(oids.flatMap((oid) => types.of(oid).map((names) => JSON.stringify(names))));
  for (const object of compared) {
    if (used.has(JSON.stringify([object.schema, object.name]))) await requireSameType(connection, object);
  }
}

async function requireSameType(connection: Connection, object: SharedObject): Promise<void> {
  const wanted = await shapeOfStored(connection, object);
  const found = await shapeOf(connection, object.schema, object.name);
  if (wanted === undefined || found === undefined || isAsWide(found, wanted)) return;
  const kind = object.type === 'DOMAIN' ? 'domain' : 'type';
  const rename =
    `ALTER ${kind.toUpperCase()} ${qualified(object.schema, object.name)} ` +
    `RENAME TO ${quoteIdent(`${object.name}_old`)}`;
  const elsewhere = 'restore into another database with --source';
  throw new BkpError(
    'PRECONDITION',
    `the ${kind} ${object.schema}.${object.name} of the target is ${found}, that of the backup is ${wanted}`,
    {
      cause: 'rows of the backup could come back with other values; nothing was restored',
      // The functions that a range is made with keep their names.
      next: isRange.test(object.sql)
        ? elsewhere
        : `${elsewhere}, or rename it first, which its tables follow: ${rename}`,
      context: {type: `${object.schema}.${object.name}`},
    },
  );
}

/** @throws BkpError `PRECONDITION` naming the values of the backup that an enum lacks: rows may have them */
export async function requireValues(connection: Connection, {schema, name, sql}: SharedObject): Promise<void> {
  if (!isEnum.test(sql)) return;
  const wanted = [...tokensOf(sql)].flatMap(({kind, text}) =>
    kind === 'string' ? [text.slice(1, -1).replaceAll("''", "'")] : [],
  );
  const rows = await connection.rows(
    `SELECT e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
      JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`,
    [schema, name],
  );
  const present = new Set(rows.map(([label]) => label));
  const missing = wanted.filter((label) => !present.has(label));
  if (missing.length === 0) return;
  throw new BkpError('PRECONDITION', `the type ${schema}.${name} of the target lacks values of the backup`, {
    details: missing.map((label) => `ALTER TYPE ${qualified(schema, name)} ADD VALUE ${quoteText(label)}`),
    next: 'add the values, or restore into another database with --source',
  });
}

/** Only there until the savepoint before it. */
const beside = '_bkp_compared';

/** @returns undefined for what cannot be created a second time */
async function shapeOfStored(connection: Connection, {sql}: SharedObject): Promise<string | undefined> {
  const create = sql
    .replace(isCompared, `$1 ${beside}.this$2`)
    .replace(/(multirange_type_name = )[^,\n]+/u, `$1${beside}.these`);
  await connection.run('SAVEPOINT compared');
  try {
    await connection.run(`CREATE SCHEMA ${beside}`);
    await connection.run(create);
    return await shapeOf(connection, beside, 'this');
  } catch (error) {
    if (error instanceof BkpError && error.code === 'SOURCE_REFUSED') return undefined;
    throw error;
  } finally {
    await connection.run('ROLLBACK TO SAVEPOINT compared; RELEASE SAVEPOINT compared');
  }
}

/** What a value of the type consists of, in SQL; undefined if there is no such type. */
async function shapeOf(connection: Connection, schema: string, name: string): Promise<string | undefined> {
  const [row] = await connection.rows(
    `SELECT coalesce(
        CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
        CASE WHEN t.typtype = 'c' THEN ${rowTypeOf('t.typrelid')} END,
        (SELECT 'a range of ' || format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
        'of another kind')
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`,
    [schema, name],
  );
  return row?.[0] ?? undefined;
}

/** A domain may have lost its limit: `numeric(10,2)` has become `numeric`, or `character varying(20)` `text`. */
function isAsWide(found: string, wanted: string): boolean {
  const unlimited = (shape: string) => shape.replace(/^(numeric|character varying)\([\d,]+\)$/u, '$1');
  const isText = (shape: string) => shape === 'text' || shape === 'character varying';
  return found === wanted || found === unlimited(wanted) || (isText(found) && isText(unlimited(wanted)));
}
