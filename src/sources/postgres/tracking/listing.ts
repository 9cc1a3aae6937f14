import type {TableName} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {isTracking, keepMark} from './marks.ts';
import {dropTableObjects, logOf, seenQuery} from './objects.ts';

export async function identityOf(connection: Connection): Promise<string | undefined> {
  if (!(await isTracking(connection))) return undefined;
  return connection.value("SELECT value FROM _bkp.meta WHERE name = 'identity'");
}

/** See `TableSource.tracking`. */
export async function listTracking(
  connection: Connection,
): Promise<readonly {owner: string; tables: readonly TableName[]; logRows: number}[]> {
  if (!(await isTracking(connection))) return [];
  const rows = await connection.rows(
    `
    SELECT m.owner, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.oid
    FROM (SELECT DISTINCT owner, rel FROM _bkp.mark) m JOIN pg_class c ON c.oid = m.rel
    JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2`,
  );
  const owners = new Map<string, {tables: TableName[]; logRows: number}>();
  for (const [owner, table, oid] of rows) {
    const entry = owners.get(owner!) ?? {tables: [], logRows: 0};
    const log = logOf(Number(oid));
    const exists = (await connection.value(`SELECT to_regclass('${log}') IS NOT NULL`)) === 't';
    entry.tables.push(table!);
    entry.logRows += exists ? Number(await connection.value(`SELECT count(*) FROM ${log}`)) : 0;
    owners.set(owner!, entry);
  }
  return [...owners].map(([owner, entry]) => ({owner, ...entry}));
}

/** Ends the tracking of an owner; removes what no other owner needs. */
export async function untrack(connection: Connection, owner: string): Promise<void> {
  if (!(await isTracking(connection))) return;
  await keepMark(connection, owner, undefined);
  await removeUnneeded(connection);
}

/** Removes the logs of tables that no mark names, and with the last one everything. */
export async function removeUnneeded(connection: Connection): Promise<void> {
  await connection.transaction('BEGIN', async () => {
    await connection.run("SET LOCAL lock_timeout = '5s'");
    const unneeded = await connection.rows(
      'SELECT rel FROM _bkp.tracked t WHERE NOT EXISTS (SELECT FROM _bkp.mark m WHERE m.rel = t.rel)',
    );
    for (const [rel] of unneeded) {
      await connection.run(dropTableObjects(Number(rel)));
      await connection.rows('DELETE FROM _bkp.tracked WHERE rel = $1', [rel!]);
    }
    if ((await connection.value('SELECT EXISTS (SELECT FROM _bkp.tracked)')) === 't') return;
    await connection.run('SET LOCAL client_min_messages = error; DROP SCHEMA _bkp CASCADE');
  });
}

/** Tables whose tracking was changed or removed in part. */
export async function brokenTracking(
  connection: Connection,
): Promise<readonly {table: TableName; oid: number; detail: string}[]> {
  if (!(await isTracking(connection))) return [];
  const tracked = await connection.rows(`
    SELECT t.rel, t.seen, coalesce(quote_ident(n.nspname) || '.' || quote_ident(c.relname), 'table ' || t.rel)
    FROM _bkp.tracked t LEFT JOIN pg_class c ON c.oid = t.rel LEFT JOIN pg_namespace n ON n.oid = c.relnamespace`);
  const broken: {table: TableName; oid: number; detail: string}[] = [];
  for (const [rel, seen, table] of tracked) {
    const oid = Number(rel);
    if ((await connection.value(seenQuery(oid))) === seen) continue;
    broken.push({table: table!, oid, detail: 'its triggers, functions or log were changed; writes are not affected'});
  }
  return broken;
}
