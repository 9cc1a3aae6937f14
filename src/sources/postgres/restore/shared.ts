import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import type {SharedObject} from './stored.ts';

/** SQLSTATEs of objects that exist already. */
const exists = new Set(['42710', '42P06', '42P07', '42723', '42P16', '42704']);

/**
 * Creates what the tables need and the target lacks: schemas, extensions, types, functions. What exists stays as it
 * is.
 */
export async function createShared(connection: Connection, objects: readonly SharedObject[]): Promise<void> {
  for (const {schema, sql, value} of objects) {
    if (sql === '') continue;
    await connection.run('SAVEPOINT shared');
    try {
      await connection.run(sql);
      if (value !== undefined) await setSequence(connection, value, schema);
      await connection.run('RELEASE SAVEPOINT shared');
    } catch (error) {
      await connection.run('ROLLBACK TO SAVEPOINT shared');
      const state = error instanceof BkpError ? error.context.sqlState : undefined;
      if (typeof state !== 'string' || !exists.has(state)) throw error;
    }
  }
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
