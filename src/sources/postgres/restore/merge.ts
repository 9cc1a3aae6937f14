import {BkpError} from '../../../errors/index.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {quoteIdent} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {withFreeIdentities} from './identities.ts';
import {fitOf, type MergedPair} from './merge-fit.ts';
import {parentsFirst, requireNoCascade} from './references.ts';
import {withSilentTriggers} from './silenced.ts';
import type {StoredTable} from './stored.ts';

export type MergeRequest = {
  tables: readonly {stored: StoredTable; staged: {oid: number; name: string}}[];
  mode: MergeMode;
};

type MergeOptions = {
  dryRun: boolean;
  signal?: AbortSignal | undefined;
  notice?: ((text: string) => void) | undefined;
};

type BringBackOptions = {mode: MergeMode; signal: AbortSignal | undefined};

const lockTimeoutSeconds = 30;

/**
 * See `Staging.merge`. A dry run does the same and rolls it back, so it finds whatever the server refuses. Either way
 * writers of the tables wait until it has ended.
 */
export async function mergeTables(
  connection: Connection,
  {tables, mode}: MergeRequest,
  {dryRun, signal, notice}: MergeOptions,
): Promise<readonly MergedTable[]> {
  await connection.run('BEGIN');
  try {
    await fixSettings(connection, {lockTimeoutSeconds});
    const pairs = await pairsOf(connection, {tables, mode});
    for (const {living} of pairs) await connection.run(`LOCK TABLE ${living} IN SHARE ROW EXCLUSIVE MODE`);
    for (const {name, added} of pairs) {
      if (added.length > 0) notice?.(`${name}: ${added.join(', ')} stay as they are, which the backup does not have`);
    }
    const ordered = await parentsFirst(connection, pairs);
    const merged = await withSilentTriggers(connection, pairs, {
      notice,
      work: () => bringBackIdentities(connection, ordered, {mode, signal}),
    });
    signal?.throwIfAborted();
    await connection.run(dryRun ? 'ROLLBACK' : 'COMMIT');
    return pairs.map(({name}) => merged.get(name)!);
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {});
    throw refused(error);
  }
}

/** See `Staging.compare`. */
export async function compareTables(
  connection: Connection,
  request: MergeRequest,
  examples: number,
): Promise<readonly MergedTable[]> {
  return connection.transaction('BEGIN READ ONLY', async () => {
    await fixSettings(connection, {lockTimeoutSeconds});
    const found: MergedTable[] = [];
    for (const pair of await pairsOf(connection, request)) found.push(await counted(connection, pair, examples));
    return found;
  });
}

async function pairsOf(connection: Connection, {tables, mode}: MergeRequest): Promise<readonly MergedPair[]> {
  const pairs: MergedPair[] = [];
  for (const {stored, staged} of tables) pairs.push(await fitOf(connection, stored, {staged, mode}));
  return pairs;
}

const rowOf = ({columns}: MergedPair, of: string) => `row(${columnList(columns, `${of}.`)})`;
const isSame = ({key}: MergedPair) =>
  key.map(({name, equals}) => `t.${quoteIdent(name)} ${equals} s.${quoteIdent(name)}`).join(' AND ');
/** A row without a key is another one than every row of the backup. */
const isGone = (pair: MergedPair) =>
  pair.key.length === 0 ? 'true' : `NOT EXISTS (SELECT FROM ${pair.staged} s WHERE ${isSame(pair)})`;
const isNew = (pair: MergedPair) =>
  pair.key.length === 0 ? 'true' : `NOT EXISTS (SELECT FROM ${pair.living} t WHERE ${isSame(pair)})`;
/** By image: `1.0` and `1.00` are equal and not the same. */
const isOther = (pair: MergedPair) =>
  pair.key.length === 0 ? 'false' : `pg_catalog.record_image_ne(${rowOf(pair, 't')}, ${rowOf(pair, 's')})`;

/** Columns that take no value from an UPDATE get one only where a row has another value than in the backup. */
async function bringBackIdentities(
  connection: Connection,
  pairs: readonly MergedPair[],
  options: BringBackOptions,
): Promise<ReadonlyMap<string, MergedTable>> {
  const free: MergedPair[] = [];
  for (const pair of pairs) if (await hasOtherIdentities(connection, pair)) free.push(pair);
  const tables = free.map(({living, fixed}) => ({living, columns: fixed}));
  return withFreeIdentities(connection, tables, () =>
    bringBack(
      connection,
      pairs.map((pair) => (free.includes(pair) ? {...pair, fixed: []} : pair)),
      options,
    ),
  );
}

async function hasOtherIdentities(connection: Connection, pair: MergedPair): Promise<boolean> {
  const {fixed, key, living, staged} = pair;
  if (fixed.length === 0 || key.length === 0) return false;
  const differ = fixed.map((column) => `t.${quoteIdent(column)} <> s.${quoteIdent(column)}`).join(' OR ');
  const sql = `SELECT EXISTS (SELECT FROM ${living} t JOIN ${staged} s ON ${isSame(pair)} WHERE ${differ})`;
  return (await connection.value(sql)) === 't';
}

/** Rows are deleted before others come, those that refer to others first, and come in the opposite order. */
async function bringBack(
  connection: Connection,
  pairs: readonly MergedPair[],
  {mode, signal}: BringBackOptions,
): Promise<ReadonlyMap<string, MergedTable>> {
  const merged = new Map<string, MergedTable>();
  await connection.run('SET CONSTRAINTS ALL DEFERRED');
  const affected = async (sql: string) => {
    signal?.throwIfAborted();
    return Number(await connection.value(`WITH done AS (${sql} RETURNING 1) SELECT count(*) FROM done`));
  };
  for (const pair of pairs.toReversed()) {
    const {name, living} = pair;
    const rows = Number(await connection.value(`SELECT count(*) FROM ${living} t WHERE ${isGone(pair)}`));
    const of = {name, inserted: 0, updated: 0, deleted: 0, kept: mode === 'merge' ? rows : 0};
    merged.set(name, of);
    if (mode === 'merge') continue;
    await requireNoCascade(connection, pair, {on: 'delete', condition: isGone(pair)});
    of.deleted = await affected(`DELETE FROM ${living} t WHERE ${isGone(pair)}`);
  }
  for (const pair of pairs) {
    const {living, staged, columns, key, fixed} = pair;
    const of = merged.get(pair.name)!;
    const changeable = columns.filter((column) => !fixed.includes(column.name));
    if (key.length > 0 && changeable.length > 0) {
      const changed = `EXISTS (SELECT FROM ${staged} s WHERE ${isSame(pair)} AND ($differ))`;
      await requireNoCascade(connection, pair, {on: 'update', condition: changed});
      const set = changeable.map(({name}) => `${quoteIdent(name)} = s.${quoteIdent(name)}`).join(', ');
      of.updated = await affected(
        `UPDATE ${living} t SET ${set} FROM ${staged} s WHERE ${isSame(pair)} AND ${isOther(pair)}`,
      );
    }
    const list = columnList(columns);
    const into = living.replace(/^ONLY /u, '');
    of.inserted = await affected(
      `INSERT INTO ${into} (${list}) OVERRIDING SYSTEM VALUE
        SELECT ${columnList(columns, 's.')} FROM ${staged} s WHERE ${isNew(pair)}`,
    );
  }
  await connection.run('SET CONSTRAINTS ALL IMMEDIATE');
  return merged;
}

async function counted(connection: Connection, pair: MergedPair, most: number): Promise<MergedTable> {
  const {name, living, staged, key} = pair;
  const count = async (sql: string) => Number(await connection.value(`SELECT count(*) FROM ${sql}`));
  const from = {
    inserted: `${staged} s WHERE ${isNew(pair)}`,
    updated: key.length === 0 ? undefined : `${living} t JOIN ${staged} s ON ${isSame(pair)} AND ${isOther(pair)}`,
    deleted: `${living} t WHERE ${isGone(pair)}`,
  };
  const examples = async (sql: string | undefined, of: string) => {
    if (sql === undefined || most === 0 || key.length === 0) return [];
    const text = key.map((column) => `${of}.${quoteIdent(column.name)}::text`).join(", ', ', ");
    const rows = await connection.rows(`SELECT concat(${text}) FROM ${sql} LIMIT ${most}`);
    return rows.map(([one]) => one!);
  };
  return {
    name,
    inserted: await count(from.inserted),
    updated: from.updated === undefined ? 0 : await count(from.updated),
    deleted: await count(from.deleted),
    kept: 0,
    examples: {
      inserted: await examples(from.inserted, 's'),
      updated: await examples(from.updated, 't'),
      deleted: await examples(from.deleted, 't'),
    },
  };
}

/** What a constraint of the living table refuses is no fault of the server. */
function refused(error: unknown): unknown {
  if (!(error instanceof BkpError) || !String(error.context.sqlState ?? '').startsWith('23')) return error;
  return new BkpError('PRECONDITION', 'the tables do not allow rows of the backup; nothing was changed', {
    cause: `${serverWords(error)}; ${String(error.cause ?? '')}`,
    next: 'restore the table under another name (TABLE … AS …), and copy what you need',
    context: error.context,
  });
}
