import {BkpError} from '../../../errors/index.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {isGone, isNew, isOther, isSame} from './compared.ts';
import {withFreeIdentities} from './identities.ts';
import type {MergedPair} from './merge-fit.ts';
import {requireNoCascade} from './references.ts';
import {type InnerKey, innerKeys, moveReferences, withWaitingKeys} from './waiting-keys.ts';

type Options = {mode: MergeMode; signal: AbortSignal | undefined};
type Counts = Map<string, MergedTable>;

/**
 * Gives living tables the rows of the backup, in the transaction of the caller. Columns that take no value from an
 * UPDATE get one only where a row has another value than in the backup.
 * @param pairs parents first
 */
export async function bringBack(
  connection: Connection,
  pairs: readonly MergedPair[],
  options: Options,
): Promise<ReadonlyMap<string, MergedTable>> {
  const free: MergedPair[] = [];
  for (const pair of pairs) if (await hasOtherIdentities(connection, pair)) free.push(pair);
  const tables = free.map(({living, fixed}) => ({living, columns: fixed}));
  return withFreeIdentities(connection, tables, () =>
    inSomeOrder(
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

/**
 * Most changes are possible in an order in which the foreign keys hold all the time. Where rows that stay refer to rows
 * that go, or tables to each other, the keys must wait until everything is there: nobody reads these tables then.
 */
async function inSomeOrder(connection: Connection, pairs: readonly MergedPair[], options: Options): Promise<Counts> {
  const keys = await innerKeys(connection, pairs);
  await connection.run('SAVEPOINT in_order');
  try {
    return await parentsFirst(connection, pairs, options);
  } catch (error) {
    if (keys.length === 0 || !isAboutKeys(error, pairs)) throw error;
    await connection.run('ROLLBACK TO SAVEPOINT in_order');
  }
  return withWaitingKeys(connection, keys, () => childrenFirst(connection, pairs, keys, options));
}

/** SQLSTATEs: `foreign_key_violation`, and `restrict_violation` since version 18. */
const refusedByKey = new Set(['23503', '23001']);

function isAboutKeys(error: unknown, pairs: readonly MergedPair[]): boolean {
  if (!(error instanceof BkpError)) return false;
  const {sqlState, child} = error.context;
  return refusedByKey.has(String(sqlState)) || pairs.some(({name}) => name === child);
}

/** Rows are deleted before others come, those that refer to others first, and come in the opposite order. */
async function parentsFirst(
  connection: Connection,
  pairs: readonly MergedPair[],
  {mode, signal}: Options,
): Promise<Counts> {
  const merged: Counts = new Map();
  const change = changesOf(connection, pairs, signal);
  await connection.run('SET CONSTRAINTS ALL DEFERRED');
  for (const pair of pairs.toReversed()) {
    const gone = mode === 'replace' ? await change.delete(pair) : await change.gone(pair);
    merged.set(pair.name, countsOf(pair, {mode, gone}));
  }
  for (const pair of pairs) {
    const of = merged.get(pair.name)!;
    of.updated = await change.update(pair);
    of.inserted = await change.insert(pair);
  }
  await connection.run('SET CONSTRAINTS ALL IMMEDIATE');
  return merged;
}

/**
 * Every table gets its rows before those to which it refers lose any, so that nothing refers to a row that goes: some
 * keys act or refuse at once. The keys between the tables wait.
 */
async function childrenFirst(
  connection: Connection,
  pairs: readonly MergedPair[],
  keys: readonly InnerKey[],
  {mode, signal}: Options,
): Promise<Counts> {
  const merged: Counts = new Map();
  const change = changesOf(connection, pairs, signal);
  await connection.run('SET CONSTRAINTS ALL DEFERRED');
  for (const pair of pairs) {
    const of = countsOf(pair, {mode, gone: await change.gone(pair)});
    of.updated = await change.other(pair);
    merged.set(pair.name, of);
  }
  // Those of a table to itself, and of tables that refer to each other.
  const at = (wanted: number) => pairs.findIndex(({oid}) => oid === wanted);
  const circular = keys.filter(({child, parent}) => at(child) <= at(parent));
  await moveReferences(connection, pairs, circular);
  for (const pair of pairs.toReversed()) {
    if (mode === 'replace') await change.delete(pair);
    await change.update(pair);
  }
  for (const pair of pairs) merged.get(pair.name)!.inserted = await change.insert(pair);
  await connection.run('SET CONSTRAINTS ALL IMMEDIATE');
  return merged;
}

const countsOf = ({name}: MergedPair, {mode, gone}: {mode: MergeMode; gone: number}) => ({
  ...{name, inserted: 0, updated: 0},
  ...(mode === 'merge' ? {deleted: 0, kept: gone} : {deleted: gone, kept: 0}),
});

function changesOf(connection: Connection, pairs: readonly MergedPair[], signal: AbortSignal | undefined) {
  const count = async (sql: string) => Number(await connection.value(`SELECT count(*) FROM ${sql}`));
  const affected = async (sql: string) => {
    signal?.throwIfAborted();
    return Number(await connection.value(`WITH done AS (${sql} RETURNING 1) SELECT count(*) FROM done`));
  };
  return {
    /** How many rows the backup does not have. */
    gone: (pair: MergedPair) => count(`${pair.living} t WHERE ${isGone(pair)}`),
    /** How many rows are other ones in the backup. */
    other: async (pair: MergedPair) =>
      pair.key.length === 0
        ? 0
        : count(`${pair.living} t JOIN ${pair.staged} s ON ${isSame(pair)} WHERE ${isOther(pair)}`),
    delete: async (pair: MergedPair) => {
      await requireNoCascade(connection, pair, {on: 'delete', condition: isGone(pair), pairs});
      return affected(`DELETE FROM ${pair.living} t WHERE ${isGone(pair)}`);
    },
    update: async (pair: MergedPair) => {
      const {living, staged, columns, key, fixed} = pair;
      const changeable = columns.filter((column) => !fixed.includes(column.name));
      if (key.length === 0 || changeable.length === 0) return 0;
      const condition = `EXISTS (SELECT FROM ${staged} s WHERE ${isSame(pair)} AND $differ)`;
      await requireNoCascade(connection, pair, {on: 'update', condition, pairs});
      const set = changeable.map(({name}) => `${quoteIdent(name)} = s.${quoteIdent(name)}`).join(', ');
      return affected(`UPDATE ${living} t SET ${set} FROM ${staged} s WHERE ${isSame(pair)} AND ${isOther(pair)}`);
    },
    insert: (pair: MergedPair) => {
      const {living, staged, columns} = pair;
      // A table may have no columns, and a list of none is not accepted.
      const into = columns.length === 0 ? '' : `(${columnList(columns)})`;
      return affected(
        `INSERT INTO ${living.replace(/^ONLY /u, '')} ${into} OVERRIDING SYSTEM VALUE
          SELECT ${columnList(columns, 's.')} FROM ${staged} s WHERE ${isNew(pair)}`,
      );
    },
  };
}
