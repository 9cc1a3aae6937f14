import {cpSync, existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {isDeepStrictEqual} from 'node:util';
import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {testDeps} from '../helpers/deps.ts';
import {openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';
import {seed} from '../seeds/seed.ts';

// Whatever object of a vault is damaged, nothing says good of a backup of a database that does not come back.

const rounds = Number(process.env.BKP_TEST_RUNS ?? 1);

const damages: Record<string, (bytes: Buffer, at: number) => Buffer | undefined> = {
  flip: (bytes, at) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at % changed.length]! ^= 1 << (at % 8);
    return changed;
  },
  cut: (bytes, at) => bytes.subarray(0, bytes.length === 0 ? 0 : at % bytes.length),
  grow: (bytes) => Buffer.concat([bytes, Buffer.from('more')]),
  zero: (bytes) => Buffer.alloc(bytes.length),
  remove: () => undefined,
};

test(`damage of any object (seed ${seed})`, async () => {
  const desk = openDesk('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
  const deps = testDeps(desk.home);
  Object.assign(deps.env, {
    BKP_SOURCE: desk.database,
    BKP_CLUSTER: join(desk.folder, 'none'),
    BKP_STORE: `fs::root=${desk.cluster}`,
  });
  const {run} = runDirectly(desk, {settings: deps.settings});
  const rows = new Map<string, unknown>();
  for (let n = 0; n < 3; n++) {
    desk.exec(`WITH RECURSIVE i (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 400)
      INSERT INTO t (v) SELECT randomblob(300) FROM i; UPDATE t SET v = ${n} WHERE id % 7 = ${n}`);
    await run('BACKUP DATABASE');
    const {table} = await run('SELECT max(start_ts) FROM backups()');
    rows.set(String(table!.rows[0]![0]), desk.all('SELECT id, hex(v) AS v FROM t ORDER BY id'));
  }
  const kept = join(desk.folder, 'kept');
  cpSync(desk.cluster, kept, {recursive: true});
  const keys = desk.storedKeys();
  const into = join(desk.folder, 'restored.db');
  const works = async (statement: string): Promise<boolean> => {
    try {
      await run(statement);
      return true;
    } catch (error) {
      if (error instanceof BkpError) return false;
      throw error;
    }
  };
  const restored = async (at: string): Promise<boolean> => {
    for (const end of ['', '-wal', '-shm']) rmSync(into + end, {force: true});
    if (!(await works(`RESTORE DATABASE AT '${at}' INTO '${into}'`))) return false;
    expect(existsSync(into)).toBe(true);
    expect(isDeepStrictEqual(desk.all('SELECT id, hex(v) AS v FROM t ORDER BY id', into), rows.get(at)), at).toBe(true);
    return true;
  };
  const tally = {verified: 0, drilled: 0, restored: 0, cases: 0};
  for (let round = 0; round < rounds; round++) {
    for (const [nth, key] of keys.entries()) {
      for (const [how, damage] of Object.entries(damages)) {
        rmSync(desk.cluster, {recursive: true, force: true});
        cpSync(kept, desk.cluster, {recursive: true});
        const file = join(desk.cluster, key);
        // Without its manifest there is no backup, which a listing shows, and its time means the one before it.
        if (how === 'remove' && key.endsWith('/manifest')) continue;
        const changed = damage(readFileSync(file), seed * 7919 + nth * 104_729 + round * 1_299_709);
        if (changed === undefined) rmSync(file);
        else writeFileSync(file, changed);
        const what = `${how} ${key}, round ${round}`;
        tally.cases++;
        const backups = [...rows.keys()];
        const at = backups[(nth + round) % backups.length]!;
        const isDrilled = await works(`VERIFY DATABASE AT '${at}' WITH (LEVEL='restore')`);
        const isVerified = await works('VERIFY DATABASE');
        const came = new Map<string, boolean>();
        for (const backup of backups) came.set(backup, await restored(backup));
        tally.drilled += Number(isDrilled);
        tally.verified += Number(isVerified);
        tally.restored += [...came.values()].filter(Boolean).length;
        if (isDrilled) expect(came.get(at), `${what}: the drill passed`).toBe(true);
        if (isVerified) expect([...came.values()], `${what}: VERIFY passed`).toEqual([true, true, true]);
      }
    }
  }
  console.log(JSON.stringify(tally));
  expect(tally.verified).toBeLessThan(tally.cases);
  expect(tally.verified).toBeGreaterThan(0);
  deps.close();
}, 600_000);
