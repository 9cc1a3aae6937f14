import {describe, expect, onTestFinished, test} from 'vitest';
import type {BaseStream, Cuts, Mark, Snapshot} from '../../../src/sources/index.ts';
import {seed} from '../../seeds/seed.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {rangesSchema, rangesTables, writeToRanges} from './ranges.ts';

const owner = 'collection-1';
const tables = rangesTables;
type Known = {mark: Mark; bases: ReadonlyMap<string, {segments: readonly Uint8Array[]; cuts: Cuts}>};

/** A full backup that takes over what it can, compared with all rows of the same snapshot. */
async function takeFull(
  {source}: TestDatabase,
  known: Known | undefined,
): Promise<Known & {unread: ReadonlyMap<string, number>}> {
  const snapshot = await source.snapshot({tables, track: {owner}});
  try {
    const bases = new Map<string, {segments: readonly Uint8Array[]; cuts: Cuts}>();
    const unread = new Map<string, number>();
    for (const table of tables) {
      const previous = known?.bases.get(table);
      const stream = await rowsOf(snapshot, table, previous && {...previous, mark: known!.mark});
      const segments: Uint8Array[] = [];
      for await (const {bytes, isUnchanged, previous: at, release} of stream) {
        segments.push(isUnchanged ? previous!.segments[at!]! : Buffer.from(bytes));
        release?.();
        if (isUnchanged) unread.set(table, (unread.get(table) ?? 0) + 1);
      }
      bases.set(table, {segments, cuts: stream.cuts()});
      const taken = await snapshot.content(table, {mostBytes: 0});
      const truth: Uint8Array[] = [];
      for await (const {bytes, release} of await rowsOf(snapshot, table)) {
        truth.push(Buffer.from(bytes));
        release?.();
      }
      expect(Buffer.concat(segments).equals(Buffer.concat(truth)), `the rows of ${table}`).toBe(true);
      expect(taken, `the content of ${table}`).toEqual(await snapshot.content(table, {mostBytes: 0}));
    }
    await snapshot.confirm();
    return {mark: snapshot.mark!, bases, unread};
  } finally {
    await snapshot.close();
  }
}

async function rowsOf(snapshot: Snapshot, table: string, before?: {cuts: Cuts; mark: Mark}): Promise<BaseStream> {
  const base = await snapshot.base(table, {
    previous: before && new Map([[table, before.cuts]]),
    takeOver: before && {mark: before.mark, isKept: () => true},
  });
  if (base.form !== 'rows') throw new Error('not rows');
  return base.rows;
}

describe('ranges that did not change', () => {
  const cluster = clusterOfFile(18);

  async function filled(): Promise<TestDatabase> {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(rangesSchema);
    return database;
  }

  /** Ranges of each table that a full backup after `change` does not read. */
  async function unreadAfter(change: string, database?: TestDatabase): Promise<Readonly<Record<string, number>>> {
    const changed = database ?? (await filled());
    const first = await takeFull(changed, undefined);
    for (const statement of change.split(';;')) await changed.exec(statement);
    const {unread} = await takeFull(changed, first);
    return Object.fromEntries(tables.map((table) => [table.replace('public.', ''), unread.get(table) ?? 0]));
  }

  test('are not read again, whatever locks, rolls back, analyzes or freezes', async () => {
    const unread = await unreadAfter(`
      BEGIN; UPDATE by_key SET n = 1; UPDATE by_block SET n = 1; DELETE FROM pieces; ROLLBACK;;
      BEGIN; SELECT FROM by_key FOR UPDATE; SELECT FROM by_block FOR SHARE; SELECT FROM pieces FOR UPDATE; COMMIT;;
      VACUUM (FREEZE, ANALYZE) by_key;; VACUUM (FREEZE) by_block;; VACUUM FREEZE pieces`);
    expect(unread.by_key).toBeGreaterThanOrEqual(7);
    expect(unread.by_block).toBeGreaterThanOrEqual(7);
    expect(unread.pieces).toBeGreaterThanOrEqual(7);
  });

  test('are the only ones that are not read: a changed, deleted, replaced or new row is noticed', async () => {
    const database = await filled();
    let known = await takeFull(database, undefined);
    const changes = [
      'UPDATE by_key SET n = 2 WHERE id = 4000; UPDATE by_block SET n = 2 WHERE id[0] = 4000',
      'DELETE FROM by_key WHERE id = 5000; DELETE FROM by_block WHERE id[0] = 5000',
      `DELETE FROM by_key WHERE id = 4001; INSERT INTO by_key SELECT 4001, 0, repeat(md5('4001'), 31), 'ok';
        DELETE FROM by_block WHERE id[0] = 4001;
        INSERT INTO by_block SELECT point(4001, 0), 0, repeat(md5('4001'), 31)`,
      'SAVEPOINT s; UPDATE by_key SET n = 3 WHERE id = 4000; UPDATE by_block SET n = 3 WHERE id[0] = 4000',
    ];
    for (const change of changes) {
      await database.exec(`BEGIN; ${change}; COMMIT`);
      const before = known.bases;
      known = await takeFull(database, known);
      const read = (table: string) => before.get(table)!.segments.length - (known.unread.get(table) ?? 0);
      expect(read('public.by_key'), change).toBe(1);
      // The new version of a row can be in other blocks.
      expect([1, 2], change).toContain(read('public.by_block'));
      expect(read('public.pieces'), change).toBe(0);
    }
  });

  test('are read when blocks moved, as with CLUSTER, unless keys decide', async () => {
    const unread = await unreadAfter('VACUUM FULL by_block;; VACUUM FULL by_key');
    expect(unread.by_block).toBe(0);
    expect(unread.by_key).toBeGreaterThanOrEqual(7);
  });

  test('are read when something else changes the text of rows, or which rows there are', async () => {
    expect(await unreadAfter(`ALTER TYPE mood RENAME VALUE 'ok' TO 'well'`)).toMatchObject({by_key: 0});
    expect(await unreadAfter('ALTER TABLE by_key ADD more int DEFAULT 5')).toMatchObject({by_key: 0});
    const database = await filled();
    // These rows are older than the first backup, and come into the table after it.
    await database.exec(`CREATE TABLE other (LIKE pieces INCLUDING ALL);
      INSERT INTO other SELECT id, 7, pad FROM pieces WHERE id >= 4000`);
    const unread = await unreadAfter(
      `ALTER TABLE pieces DETACH PARTITION piece_b;
        ALTER TABLE pieces ATTACH PARTITION other FOR VALUES FROM (4000) TO (9000)`,
      database,
    );
    expect(unread.pieces).toBe(0);
  });

  test('are read after COPY FREEZE, which writes rows that look old', async () => {
    const unread = await unreadAfter(`
      CREATE TABLE kept AS SELECT id, n + 1 AS n, pad, feels FROM by_key;;
      COPY kept TO '/tmp/bkp-frozen-${process.pid}';;
      BEGIN; TRUNCATE by_key; COPY by_key FROM '/tmp/bkp-frozen-${process.pid}' WITH (FREEZE); COMMIT`);
    expect(unread.by_key).toBe(0);
  });

  test('are read when a transaction that was open at the backup before has ended since', async () => {
    const database = await filled();
    const client = await cluster().client(database.name);
    onTestFinished(() => client.end());
    // Change tracking begins between two transactions.
    await takeFull(database, undefined);
    for (const end of ['COMMIT', "COMMIT PREPARED 'later'"]) {
      await client.query('BEGIN; UPDATE by_key SET n = n + 1 WHERE id = 4000');
      if (end !== 'COMMIT') await client.query("PREPARE TRANSACTION 'later'");
      // Younger transactions end before the backup, so that the open one is not the newest.
      await database.exec('CREATE TABLE IF NOT EXISTS later (id int); INSERT INTO later VALUES (1)');
      const first = await takeFull(database, undefined);
      await client.query(end);
      const {unread} = await takeFull(database, first);
      expect(unread.get('public.by_key'), end).toBe(first.bases.get('public.by_key')!.segments.length - 1);
    }
  });

  test('are read when the database does not know the backup before', async () => {
    const database = await filled();
    const first = await takeFull(database, undefined);
    await database.exec(`DELETE FROM _bkp.mark WHERE mark = '${first.mark}'`);
    expect((await takeFull(database, first)).unread.size).toBe(0);
  });

  test('are read by every tenth backup', async () => {
    const database = await filled();
    let known = await takeFull(database, undefined);
    const unread: number[] = [];
    for (let backup = 0; backup < 11; backup++) {
      known = await takeFull(database, known);
      unread.push(known.unread.size);
    }
    expect(unread).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 3]);
  });

  test('are never taken for unchanged beside concurrent writers', async () => {
    console.log(`seed ${seed}: BKP_TEST_SEED=${seed} repeats the writers`);
    const database = await filled();
    const stopped = new AbortController();
    const writers = writeToRanges(cluster(), database.name, {seed, signal: stopped.signal});
    const end = Date.now() + Number(process.env.BKP_WRITERS_SECONDS ?? 15) * 1000;
    const unread = new Map<string, number>();
    let known: Known | undefined;
    let backups = 0;
    try {
      // On a machine that is slow for a while, the time alone may be that of one backup.
      while (Date.now() < end || tables.some((table) => !unread.get(table))) {
        const taken = await takeFull(database, known);
        for (const [table, ranges] of taken.unread) unread.set(table, (unread.get(table) ?? 0) + ranges);
        // Some backups follow one that is older than the newest.
        if (known === undefined || backups % 3 !== 2) known = taken;
        backups += 1;
      }
    } finally {
      stopped.abort();
    }
    expect(await writers).toEqual([]);
    console.log(`${backups} backups, unread ranges: ${JSON.stringify([...unread])}`);
    for (const table of tables) expect(unread.get(table), `${table} of ${backups} backups`).toBeGreaterThan(0);
  });
});
