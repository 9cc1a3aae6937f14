import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent, quoteText} from '../connection/quote.ts';
import {tokensOf} from '../schema/tokens.ts';
import type {SharedObject} from './stored.ts';

/** SQLSTATEs of objects that exist already. */
const exists = new Set(['42710', '42P06', '42P07', '42723', '42P16']);
/** SQLSTATE of a role that does not exist, in a grant. */
const undefinedObject = '42704';
/** SQLSTATEs of an extension that the server does not have. */
const notInstalled = new Set(['0A000', '58P01']);

/**
 * Creates what the tables need and the target lacks: schemas, extensions, types, functions. What exists stays as it
 * is.
 */
export async function createShared(connection: Connection, objects: readonly SharedObject[]): Promise<void> {
  for (const object of objects) {
    const {type, name, schema, sql, value} = object;
    if (sql === '') continue;
    await connection.run('SAVEPOINT shared');
    try {
      await connection.run(sql);
      if (value !== undefined) await setSequence(connection, value, schema);
      await connection.run('RELEASE SAVEPOINT shared');
    } catch (error) {
      await connection.run('ROLLBACK TO SAVEPOINT shared');
      const state = error instanceof BkpError ? error.context.sqlState : undefined;
      if (type === 'EXTENSION' && notInstalled.has(String(state))) throw missingExtension(name, error);
      const isKnown = exists.has(String(state)) || (type === 'ACL' && state === undefinedObject);
      if (!isKnown) throw error;
      if (type === 'TYPE') await requireValues(connection, object);
    }
  }
}

function missingExtension(name: string, cause: unknown): BkpError {
  return new BkpError('PRECONDITION', `the target server does not have the extension ${name}, which tables need`, {
    cause,
    next: `install its package on the server; then CREATE EXTENSION ${quoteIdent(name)} works there`,
  });
}

/**
 * An enum that exists stays as it is, but it must have the values of the backup, which rows may have.
 * @throws BkpError `PRECONDITION` naming those that it lacks
 */
async function requireValues(connection: Connection, {schema, name, sql}: SharedObject): Promise<void> {
  if (!/^CREATE TYPE \S+ AS ENUM/u.test(sql)) return;
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
    details: missing.map(
      (label) => `ALTER TYPE ${quoteIdent(schema)}.${quoteIdent(name)} ADD VALUE ${quoteText(label)}`,
    ),
    next: 'add the values, or restore into another database with --source',
  });
}

/** Without the schemas that the restore leaves empty. */
export function neededShared(
  objects: readonly SharedObject[],
  restored: readonly {schema: string}[],
): readonly SharedObject[] {
  const used = new Set([...restored, ...objects].map(({schema}) => schema));
  const isUsed = ({type, name}: SharedObject) => {
    const schema = type === 'SCHEMA' ? name : /^SCHEMA (.*)$/u.exec(name)?.[1];
    return schema === undefined || used.has(schema.replace(/^"(.*)"$/u, '$1').replaceAll('""', '"'));
  };
  return objects.filter(isUsed);
}

/** @param value as `sharedText` writes it @param schema in which the sequence is now */
export async function setSequence(connection: Connection, value: string, schema: string): Promise<void> {
  const [, name, last, isCalled] = JSON.parse(value) as [string, string, string, boolean];
  await connection.rows('SELECT setval($1::text::regclass, $2::bigint, $3::boolean)', [
    `${quoteIdent(schema)}.${quoteIdent(name)}`,
    last,
    String(isCalled),
  ]);
}
