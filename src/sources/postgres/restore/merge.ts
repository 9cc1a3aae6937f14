import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {MergedTable, MergeMode} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {quoteIdent} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {bringBack} from './bring-back.ts';
import {isGone, isNew, isOther, isSame} from './compared.ts';
import {isAboutNames, onSomePath, runOrLeave} from './later.ts';
import {fitOf, type MergedPair} from './merge-fit.ts';
import {parentsFirst} from './references.ts';
import {advanceSequences} from './sequences.ts';
import {withSilentTriggers} from './silenced.ts';
import type {StoredTable} from './stored.ts';

export type MergeRequest = {
  tables: readonly {stored: StoredTable; staged: {oid: number; name: string}}[];
  mode: MergeMode;
  /** Of the database of the backup; see {@link onSomePath}. */
  searchPath: string | undefined;
};

type MergeOptions = {
  dryRun: boolean;
  signal?: AbortSignal | undefined;
  notice?: ((text: string) => void) | undefined;
};

const lockTimeoutSeconds = 30;

/**
 * See `Staging.merge`. A dry run does the same and rolls it back, so it finds whatever the server refuses. Either way
 * writers of the tables wait until it has ended.
 */
export async function mergeTables(
  connection: Connection,
  {tables, mode, searchPath}: MergeRequest,
  {dryRun, signal, notice}: MergeOptions,
): Promise<readonly MergedTable[]> {
  await connection.run('BEGIN');
  try {
    await fixSettings(connection, {lockTimeoutSeconds});
    await requireOrigin(connection);
    const pairs = await pairsOf(connection, {tables, mode});
    for (const {living} of pairs) await connection.run(`LOCK TABLE ${living} IN SHARE ROW EXCLUSIVE MODE`);
    for (const {name, added} of pairs) {
      if (added.length > 0) notice?.(`${name}: ${added.join(', ')} stay as they are, which the backup does not have`);
    }
    const ordered = await parentsFirst(connection, pairs);
    const merged = await withSilentTriggers(connection, pairs, {
      notice,
      // Functions of indexes, checks and generated columns may name others without a schema.
      work: () =>
        onSomePath(connection, searchPath, () => bringBack(connection, ordered, {mode, signal}), isAboutNames),
    });
    signal?.throwIfAborted();
    for (const pair of pairs) await tellComputed(connection, pair, notice);
    await advanceSequences(connection, pairs, {dryRun, notice});
    await connection.run(dryRun ? 'ROLLBACK' : 'COMMIT');
    return pairs.map(({name}) => merged.get(name)!);
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {});
    throw refused(error);
  }
}

/**
 * With another role of replication, the server checks no foreign key, and rules for it change what is written.
 * @throws BkpError `PRECONDITION` if the setting cannot be changed
 */
async function requireOrigin(connection: Connection): Promise<void> {
  const role = await connection.value("SELECT current_setting('session_replication_role')");
  if (role === 'origin') return;
  if (await runOrLeave(connection, 'SET LOCAL session_replication_role = origin')) return;
  throw new BkpError('PRECONDITION', `session_replication_role is ${role} for the role of ${connection.facts.place}`, {
    cause: 'the server would check no foreign key of the rows that come back, and this role may not change that',
    next: 'ALTER ROLE … RESET session_replication_role, and ALTER DATABASE … RESET session_replication_role',
  });
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
    for (const pair of await pairsOf(connection, request)) {
      found.push(await counted(connection, {...pair, columns: [...pair.columns, ...pair.computed]}, examples));
    }
    return found;
  });
}

async function pairsOf(
  connection: Connection,
  {tables, mode}: Pick<MergeRequest, 'tables' | 'mode'>,
): Promise<readonly MergedPair[]> {
  const pairs: MergedPair[] = [];
  for (const {stored, staged} of tables) {
    const neededBy = tables.filter((one) => one.stored.needs?.includes(stored.name)).map((one) => one.stored.name);
    pairs.push(await fitOf(connection, stored, {staged, mode, neededBy}));
  }
  return pairs;
}

/**
 * What the living table computes is its own, also where the backup has another value.
 * @throws BkpError `PRECONDITION` if that is a part of the key, so that other rows have come than those of the backup
 */
async function tellComputed(
  connection: Connection,
  pair: MergedPair,
  notice: ((text: string) => void) | undefined,
): Promise<void> {
  const {name, computed, living, staged, key} = pair;
  if (computed.length === 0 || key.length === 0) return;
  const isKey = new Set(key.map((column) => column.name));
  if (computed.some((column) => isKey.has(column.name))) {
    const sql = `${staged} s WHERE NOT EXISTS (SELECT FROM ${living} t WHERE ${isSame(pair)})`;
    const lost = Number(await connection.value(`SELECT count(*) FROM ${sql}`));
    if (lost > 0) throw otherKeys(name, lost);
  }
  const others = `${living} t JOIN ${staged} s ON ${isSame(pair)} WHERE ${isOther({...pair, columns: computed})}`;
  const rows = Number(await connection.value(`SELECT count(*) FROM ${others}`));
  if (rows === 0) return;
  const columns = computed.map((column) => column.name).join(', ');
  notice?.(
    `${formatCount(rows, 'row')} of ${name} have other values than in the backup: the table computes ${columns}`,
  );
}

function otherKeys(name: string, rows: number): BkpError {
  return new BkpError(
    'PRECONDITION',
    `${name} computes other keys than the backup has of ${formatCount(rows, 'row')}; nothing was changed`,
    {
      cause: 'a function of a generated column in the primary key was replaced',
      next: 'restore the table under another name (TABLE … AS …), and copy what you need',
      context: {table: name},
    },
  );
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
