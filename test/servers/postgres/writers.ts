import {setTimeout as pause} from 'node:timers/promises';
import type pg from 'pg';
import {randomFrom} from '../../helpers/random-from.ts';
import type {Cluster} from './cluster.ts';

/**
 * Writers that record every change of a row in `history`, in the transaction that makes it. So any consistent moment
 * shows whether something of it is missing; see {@link faultsOf}.
 */
export const ledgerSchema = `
  CREATE TABLE account (id int PRIMARY KEY, turn int NOT NULL, note text NOT NULL, pad text);
  CREATE TABLE mirror (id int PRIMARY KEY REFERENCES account (id) ON UPDATE CASCADE ON DELETE CASCADE,
    turn int NOT NULL);
  CREATE TABLE word (a text COLLATE "C", b int, id int NOT NULL, turn int NOT NULL, PRIMARY KEY (a, b));
  CREATE TABLE part (id int PRIMARY KEY, turn int NOT NULL, note text, extra text) PARTITION BY RANGE (id);
  CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (MINVALUE) TO (40);
  CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (40) TO (MAXVALUE);
  CREATE TABLE history (id int, turn int, note text, PRIMARY KEY (id, turn));
  CREATE TABLE batch (id int PRIMARY KEY, batch int NOT NULL);
  CREATE TABLE batches (batch int PRIMARY KEY, rows int NOT NULL);`;
export const ledgerTables = ['account', 'mirror', 'word', 'part', 'history', 'batch', 'batches'];

const checks: Readonly<Record<string, string>> = {
  'turns missing in history': `SELECT id FROM history GROUP BY id HAVING count(*) <> max(turn) OR min(turn) <> 1`,
  'accounts unlike their last turn': `
    SELECT id FROM (SELECT DISTINCT ON (id) id, turn, note FROM history ORDER BY id, turn DESC) last
    FULL JOIN account USING (id)
    WHERE (last.note IS NULL) <> (account.id IS NULL)
      OR (account.id IS NOT NULL AND (account.turn, account.note) IS DISTINCT FROM (last.turn, last.note))`,
  'mirrors unlike their account': `
    SELECT id FROM account FULL JOIN mirror USING (id) WHERE account.turn IS DISTINCT FROM mirror.turn`,
  'words unlike their account': `
    SELECT id FROM account FULL JOIN word USING (id)
    WHERE (word.turn, word.b, word.a)
      IS DISTINCT FROM (account.turn, account.turn % 7, 'w' || account.id || account.turn % 3)`,
  'parts unlike their account': `
    SELECT id FROM account FULL JOIN part USING (id)
    WHERE (account.turn, account.note) IS DISTINCT FROM (part.turn, part.note)`,
  'batches unlike the newest one': `
    SELECT newest.batch FROM (SELECT batch, rows FROM batches ORDER BY batch DESC LIMIT 1) newest,
      LATERAL (SELECT count(*) AS rows, min(batch) AS low, max(batch) AS high FROM batch) found
    WHERE found.rows <> newest.rows
      OR (found.rows > 0 AND (found.low, found.high) IS DISTINCT FROM (newest.batch, newest.batch))`,
};

/** What is wrong with a moment of the ledger, with the number of rows; empty if nothing was lost. */
export async function faultsOf(client: pg.Client): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const [what, query] of Object.entries(checks)) {
    const {rows} = await client.query<{count: string}>(`SELECT count(*) FROM (${query}) wrong`);
    if (rows[0]!.count !== '0') faults.push(`${rows[0]!.count} ${what}`);
  }
  return faults;
}

export type WriterOptions = {
  count: number;
  seed: number;
  accounts?: number;
  longestMs?: number;
  /** Shares of the transactions that do more than to change rows. */
  odds?: Partial<Odds>;
};

type Odds = {
  truncate: number;
  /** As the apply worker of a subscription writes: triggers of the usual kind do not fire. */
  replica: number;
  /** Rows that change in a partition while it is detached or emptied. */
  partition: number;
  /** `DISABLE TRIGGER USER`, and what ENABLE leaves of triggers that were ALWAYS or REPLICA. */
  triggers: number;
};
const usualOdds: Odds = {truncate: 0.04, replica: 0.1, partition: 0.01, triggers: 0.01};

/** Errors of a writer that are no faults: a deadlock of two writers, and a lock that is not free in time. */
const expected = new Set(['40P01', '55P03']);

/** How a session chooses. Only it writes to the accounts from `first` on. */
type Session = {random: () => number; first: number; accounts: number; longestMs: number; odds: Odds};

/**
 * Sessions that write until they are stopped: long, nested, prepared and rolled back transactions, TRUNCATE, COPY,
 * replicated changes, partitions that come and go, triggers that are switched off and on. The transactions of the first
 * session last for several backups.
 */
export class Writers {
  transactions = 0;
  readonly errors: string[] = [];
  /** How often each of the {@link Odds} came true. */
  readonly done: Record<keyof Odds, number> = {truncate: 0, replica: 0, partition: 0, triggers: 0};
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>[];

  constructor(cluster: Cluster, database: string, options: WriterOptions) {
    const {count, seed, accounts = 80, longestMs = 1000} = options;
    const odds = {...usualOdds, ...options.odds};
    this.#running = Array.from({length: count}, (_, at) => {
      const random = randomFrom(seed * 1000 + at);
      const session =
        at === 0
          ? {first: accounts + 1, accounts: 10, longestMs: longestMs * 6, odds: {...odds, truncate: 0}}
          : {first: 1, accounts, longestMs, odds};
      return this.#write(cluster, database, {...session, random});
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#running);
  }

  async #write(cluster: Cluster, database: string, session: Session): Promise<void> {
    const client = await cluster.client(database);
    await client.query("SET lock_timeout = '20s'");
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#transaction(client, session);
        this.transactions += 1;
      } catch (error) {
        const {code, message} = error as Error & {code?: string};
        if (!expected.has(code!)) this.errors.push(message);
        // Without a code, the connection is gone.
        if (code === undefined) return;
        await client.query('ROLLBACK').catch(() => {});
      }
    }
    await client.end();
  }

  async #transaction(client: pg.Client, session: Session): Promise<void> {
    const {random, first, accounts, longestMs, odds} = session;
    const some = (limit: number) => Math.floor(random() * limit);
    const does = (what: keyof Odds) => {
      const is = random() < odds[what];
      if (is) this.done[what] += 1;
      return is;
    };
    if (does('partition')) return void (await client.query(changePartition(some)));
    if (does('triggers')) return void (await client.query(switchTriggers(1 + some(accounts), {random, some})));
    await client.query('BEGIN');
    if (does('replica')) await client.query('SET LOCAL session_replication_role = replica');
    const ids = new Set(Array.from({length: [1, 1, 2, 5][some(4)]!}, () => first + some(accounts)));
    // One writer for each row, always in the same order.
    for (const id of [...ids].toSorted((a, b) => a - b)) {
      await client.query(`SELECT pg_advisory_xact_lock(${id})`);
      if (random() < 0.15) {
        await client.query(`SAVEPOINT never; UPDATE account SET note = 'never' WHERE id = ${id}; ROLLBACK TO never`);
      }
      const change = changeOf(id, {random, some});
      await client.query(random() < 0.2 ? `SAVEPOINT inner_; ${change}; RELEASE inner_` : change);
    }
    if (does('truncate')) await client.query(replaceBatch(some(5)));
    if (random() < 0.3) await pause(random() * longestMs);
    const end = random();
    if (end < 0.08) await client.query('ROLLBACK');
    else if (end < 0.14) {
      const name = `bkp_${some(1e9)}`;
      await client.query(`PREPARE TRANSACTION '${name}'`);
      await pause(random() * longestMs);
      await client.query(`${random() < 0.8 ? 'COMMIT' : 'ROLLBACK'} PREPARED '${name}'`);
    } else await client.query('COMMIT');
  }
}

type Chance = {random: () => number; some: (limit: number) => number};

/** One change of an account in one of several ways, and all that follows from it. */
function changeOf(id: number, {random, some}: Chance): string {
  const note = String(random()).slice(2, 8);
  const nextTurn = `coalesce((SELECT max(turn) FROM history WHERE id = ${id}), 0) + 1`;
  const ways = [
    `UPDATE account SET note = '${note}', pad = repeat('x', ${some(3000)}) WHERE id = ${id}`,
    `INSERT INTO account VALUES (${id}, 0, '${note}') ON CONFLICT (id) DO UPDATE SET note = excluded.note`,
    `MERGE INTO account a USING (VALUES (${id}, '${note}')) AS s (id, note) ON a.id = s.id
      WHEN MATCHED THEN UPDATE SET note = s.note WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0, s.note)`,
    `DELETE FROM account WHERE id = ${id}`,
    `DELETE FROM account WHERE id = ${id};
      COPY account (id, turn, note) FROM PROGRAM 'printf "${id}\\t0\\t${note}\\n"'`,
    `UPDATE account SET id = -id WHERE id = ${id}; UPDATE account SET id = ${id}, note = '${note}' WHERE id = -${id}`,
  ];
  if (random() < 0.15) {
    return `WITH gone AS (DELETE FROM account WHERE id = ${id} RETURNING id)
        INSERT INTO history SELECT id, ${nextTurn}, NULL FROM gone;
      DELETE FROM word WHERE id = ${id}; DELETE FROM part WHERE id = ${id};
      -- Replicated changes fire no foreign keys.
      DELETE FROM mirror WHERE id = ${id}`;
  }
  const word = `'w' || id || turn % 3, turn % 7`;
  const words =
    random() < 0.5
      ? `DELETE FROM word WHERE id = ${id}; INSERT INTO word SELECT ${word}, id, turn FROM account WHERE id = ${id}`
      : `UPDATE word SET (a, b, turn) = (SELECT ${word}, turn FROM account WHERE id = ${id}) WHERE id = ${id};
        INSERT INTO word SELECT ${word}, id, turn FROM account a WHERE id = ${id}
          AND NOT EXISTS (SELECT FROM word w WHERE w.id = a.id)`;
  return `${ways[some(ways.length)]};
    INSERT INTO account SELECT ${id}, 0, '${note}' WHERE NOT EXISTS (SELECT FROM account WHERE id = ${id});
    UPDATE account SET turn = ${nextTurn} WHERE id = ${id};
    INSERT INTO history SELECT id, turn, note FROM account WHERE id = ${id};
    INSERT INTO mirror SELECT id, turn FROM account WHERE id = ${id}
      ON CONFLICT (id) DO UPDATE SET turn = excluded.turn;
    ${words};
    INSERT INTO part (id, turn, note) SELECT id, turn, note FROM account WHERE id = ${id}
      ON CONFLICT (id) DO UPDATE SET turn = excluded.turn, note = excluded.note`;
}

/** Changes rows of a partition where no trigger of its table sees it. */
function changePartition(some: (limit: number) => number): string {
  const extra = `extra = 'e${some(1e6)}' WHERE id % 5 = ${some(5)}`;
  const ways = [
    `ALTER TABLE part DETACH PARTITION part_high; UPDATE part_high SET ${extra};
      ALTER TABLE part ATTACH PARTITION part_high FOR VALUES FROM (40) TO (MAXVALUE)`,
    `CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM part_low; TRUNCATE part_low; UPDATE kept SET ${extra};
      INSERT INTO part SELECT * FROM kept`,
    `UPDATE part_low SET ${extra}; UPDATE part_high SET ${extra}`,
  ];
  return `BEGIN; SET LOCAL lock_timeout = '3s'; LOCK TABLE part IN ACCESS EXCLUSIVE MODE; ${ways[some(3)]}; COMMIT`;
}

function switchTriggers(id: number, chance: Chance): string {
  // Nothing waits for a row while it has a table.
  return `BEGIN; SET LOCAL lock_timeout = '3s'; LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE;
    SET LOCAL lock_timeout = '10ms'; SELECT pg_advisory_xact_lock(${id}); SET LOCAL lock_timeout = '3s';
    ALTER TABLE account DISABLE TRIGGER USER; ${changeOf(id, chance)}; ALTER TABLE account ENABLE TRIGGER USER; COMMIT`;
}

/** Empties a table and fills it again, in the transaction of the caller. */
export function replaceBatch(rows: number): string {
  return `SELECT pg_advisory_xact_lock(1000000); LOCK TABLE batches IN EXCLUSIVE MODE; TRUNCATE batch;
    INSERT INTO batches SELECT coalesce(max(batch), 0) + 1, ${rows} FROM batches;
    INSERT INTO batch SELECT g, (SELECT max(batch) FROM batches) FROM generate_series(1, ${rows}) g`;
}
