import {setTimeout as pause} from 'node:timers/promises';
import type pg from 'pg';
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
  CREATE TABLE part (id int PRIMARY KEY, turn int NOT NULL, note text) PARTITION BY RANGE (id);
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

export type WriterOptions = {count: number; seed: number; accounts?: number; longestMs?: number};

/** Sessions that write until they are stopped: long, nested, prepared and rolled back transactions, and TRUNCATE. */
export class Writers {
  transactions = 0;
  readonly errors: string[] = [];
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>[];

  constructor(cluster: Cluster, database: string, {count, seed, accounts = 80, longestMs = 1000}: WriterOptions) {
    this.#running = Array.from({length: count}, (_, at) =>
      this.#write(cluster, database, {random: randomFrom(seed * 1000 + at), accounts, longestMs}),
    );
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#running);
  }

  async #write(
    cluster: Cluster,
    database: string,
    {random, accounts, longestMs}: {random: () => number; accounts: number; longestMs: number},
  ): Promise<void> {
    const client = await cluster.client(database);
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#transaction(client, {random, accounts, longestMs});
        this.transactions += 1;
      } catch (error) {
        const {code, message} = error as Error & {code?: string};
        // A deadlock of two writers is theirs alone.
        if (code !== '40P01') this.errors.push(message);
        // Without a code, the connection is gone.
        if (code === undefined) return;
        await client.query('ROLLBACK').catch(() => {});
      }
    }
    await client.end();
  }

  async #transaction(
    client: pg.Client,
    {random, accounts, longestMs}: {random: () => number; accounts: number; longestMs: number},
  ): Promise<void> {
    const some = (limit: number) => Math.floor(random() * limit);
    await client.query('BEGIN');
    const ids = new Set(Array.from({length: [1, 1, 2, 5][some(4)]!}, () => 1 + some(accounts)));
    // One writer for each row, always in the same order.
    for (const id of [...ids].toSorted((a, b) => a - b)) {
      await client.query(`SELECT pg_advisory_xact_lock(${id})`);
      if (random() < 0.15) {
        await client.query(`SAVEPOINT never; UPDATE account SET note = 'never' WHERE id = ${id}; ROLLBACK TO never`);
      }
      const change = changeOf(id, {random, some});
      await client.query(random() < 0.2 ? `SAVEPOINT inner_; ${change}; RELEASE inner_` : change);
    }
    if (random() < 0.04) await client.query(replaceBatch(some(5)));
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
    `UPDATE account SET id = -id WHERE id = ${id}; UPDATE account SET id = ${id}, note = '${note}' WHERE id = -${id}`,
  ];
  if (random() < 0.15) {
    return `WITH gone AS (DELETE FROM account WHERE id = ${id} RETURNING id)
        INSERT INTO history SELECT id, ${nextTurn}, NULL FROM gone;
      DELETE FROM word WHERE id = ${id}; DELETE FROM part WHERE id = ${id}`;
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
    INSERT INTO part SELECT id, turn, note FROM account WHERE id = ${id}
      ON CONFLICT (id) DO UPDATE SET turn = excluded.turn, note = excluded.note`;
}

function replaceBatch(rows: number): string {
  return `SELECT pg_advisory_xact_lock(1000000); LOCK TABLE batches IN EXCLUSIVE MODE; TRUNCATE batch;
    INSERT INTO batches SELECT coalesce(max(batch), 0) + 1, ${rows} FROM batches;
    INSERT INTO batch SELECT g, (SELECT max(batch) FROM batches) FROM generate_series(1, ${rows}) g`;
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
