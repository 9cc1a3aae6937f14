import {copyFileSync, readFileSync, truncateSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {BkpError} from '../../../src/errors/index.ts';
import type {SnapshotOptions, TableSource} from '../../../src/sources/index.ts';
import {type Backup, takeFull, takeIncrement} from '../layers.ts';
import {Database, expectComesBack, folder, full, owner} from './database.ts';

const schema = `PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;
  CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')`;

/** Commits `sql` once a snapshot has set its mark, and before its view begins. */
function withCommitAfterMark(database: Database, sql: string): TableSource {
  let isDone = false;
  const commit = () => {
    if (!isDone) database.exec(sql);
    isDone = true;
  };
  return Object.assign(Object.create(database.source), {
    snapshot: (options: SnapshotOptions) =>
      database.source.snapshot({
        ...options,
        // The view asks for it when it begins.
        get signal() {
          commit();
          return undefined;
        },
      }),
  }) as TableSource;
}

/** Lengths of the write-ahead log after each transaction. Source: https://www.sqlite.org/fileformat2.html#walformat */
function commitsIn(log: Buffer): number[] {
  const frameBytes = 24 + log.readUInt32BE(8);
  const ends: number[] = [];
  for (let at = 32; at + frameBytes <= log.length; at += frameBytes) {
    if (log.readUInt32BE(at + 4) !== 0) ends.push(at + frameBytes);
  }
  return ends;
}

/** The database after a power failure that left only the beginning of its log. */
function afterPowerFailure(database: Database, logBytes: number): Database {
  const path = join(folder(), 'app.db');
  copyFileSync(database.path, path);
  copyFileSync(`${database.path}-wal`, `${path}-wal`);
  truncateSync(`${path}-wal`, logBytes);
  return new Database('', {path});
}

/** @returns whether the next increment of what is left took all rows, or none because the chain ended */
async function continued(left: Database, backup: Backup): Promise<'all rows' | 'changes' | 'refused'> {
  const notices: string[] = [];
  // The application goes on.
  left.exec(`UPDATE t SET a = 'later' WHERE k = 3`);
  try {
    const next = await takeIncrement(left.source, owner, backup, {notice: (text) => notices.push(text)});
    await expectComesBack(left, next);
  } catch (error) {
    if ((error as BkpError).code !== 'CHAIN_BROKEN') throw error;
    return 'refused';
  }
  return notices.some((text) => text.includes('may have lost')) ? 'all rows' : 'changes';
}

const changed = `INSERT INTO t VALUES (4, 'four'); UPDATE t SET a = 'new' WHERE k = 1; DELETE FROM t WHERE k = 2`;

test.for(['a full backup', 'an increment'] as const)(
  'an increment after a power failure is right, whatever it took that %s had seen',
  async (what) => {
    const database = new Database(schema);
    const before = await full(database, ['t']);
    const source = withCommitAfterMark(database, changed);
    const backup =
      what === 'an increment'
        ? await takeIncrement(source, owner, before)
        : await takeFull(source, {tables: ['t'], track: {owner}});
    const log = readFileSync(`${database.path}-wal`);
    const outcomes: string[] = [];
    for (const logBytes of commitsIn(log)) {
      const left = afterPowerFailure(database, logBytes);
      // Before the table existed, there was nothing to back up.
      const exists = left.value(`SELECT count(*) FROM sqlite_schema WHERE name = 't'`) === 1;
      if (exists) outcomes.push(await continued(left, backup));
    }
    // Before the mark, between mark and confirmation, and after it.
    expect(new Set(outcomes)).toEqual(new Set(['refused', 'all rows', 'changes']));
    expect(outcomes.at(-1)).toBe('changes');
  },
);
