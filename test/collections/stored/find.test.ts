import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {
  collectionStandings,
  createCollection,
  listBackups,
  planRestore,
  planVerify,
} from '../../../src/collections/index.ts';
import {openSource} from '../../../src/sources/index.ts';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {inProcess} from '../../helpers/in-process.ts';

/** Takes one backup of one table at each given time of this machine's clock. */
async function backupsAt(moments: readonly string[], tickMicros = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-find-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  const db = new DatabaseSync(database);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  db.close();
  let nowMicros = 0;
  const notices: string[] = [];
  const store = openMemoryStore();
  const bench = inProcess({
    database,
    openStore: async () => store,
    nowMicros: () => (nowMicros += tickMicros),
    notice: (text) => notices.push(text),
  });
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => nowMicros, randomId: () => 'c'.repeat(32)},
      {name: 'c', members: {kind: 'tables', tables: ['t']}, settings: [], ifNotExists: false},
    ),
  );
  for (const moment of moments) {
    nowMicros = Date.parse(moment) * 1000;
    await bench.backup('c', 'full');
  }
  const at = (point: string) => bench.vault((vault) => planVerify(vault, {collection: 'c', point}));
  return {bench, notices, at, database};
}

test('a backup has one time in SHOW BACKUPS and in the plan of a restore, though its snapshot was later', async () => {
  const {bench, database} = await backupsAt(['2026-11-21T12:00:00Z'], 1_500_000);
  const [shown, planned] = await bench.vault(async (vault) => [
    (await listBackups(vault, 'c')).map(({takenAt}) => takenAt),
    (await planRestore(vault, await openSource({scheme: 'sqlite', path: database}), {collection: 'c'})).takenAt,
  ]);
  expect(shown).toEqual([planned]);
});

test('AT finds a backup by name, by the time part of a name, or as the newest at or before a time', async () => {
  const [noon, one, next] = ['20261121120000Z_full', '20261121130000Z_full', '20261122080000Z_full'];
  const {bench, at} = await backupsAt(['2026-11-21T12:00:00Z', '2026-11-21T13:00:00Z', '2026-11-22T08:00:00Z']);
  expect(await bench.backups('c')).toEqual([noon, one, next]);
  const found = {
    '20261121130000Z_full': one,
    '20261121130000Z': one,
    '2026-11-21T13:00:00Z': one,
    '2026-11-21 12:59:59': noon,
    '2026-11-21T12:00:00.000000Z': noon,
    '2026-11-21T14:30+02:00': noon,
    '2026-11-21T14:30+0200': noon,
    '2026-11-22': one,
    '2099-01-01': next,
    latest: next,
    ' LATEST ': next,
  };
  for (const [point, backup] of Object.entries(found)) expect([point, await at(point)]).toEqual([point, backup]);
  for (const point of ['2026-11-21T11:59:59Z', '20261121120001Z', '2026-13-01', 'yesterday', '']) {
    await expect(at(point), point).rejects.toMatchObject({code: 'BACKUP_NOT_FOUND'});
  }
});

test('AT with a time never means a backup that was taken later, though its statement was not', async () => {
  // Between two looks at the clock are 90 s: a name is of 13:01:30, the snapshot was open after that.
  const [noon, one] = ['20261121120130Z_full', '20261121130130Z_full'];
  const {bench, at} = await backupsAt(['2026-11-21T12:00:00Z', '2026-11-21T13:00:00Z'], 90_000_000);
  expect(await bench.backups('c')).toEqual([noon, one]);
  expect(await at('2026-11-21T13:01:31Z')).toBe(noon);
  expect(await at('2026-11-21T13:30:00Z')).toBe(one);
  // The time that SHOW BACKUPS has.
  expect(await at('2026-11-21T13:01:30Z')).toBe(one);
});

test('after a clock was ahead once, later backups have correct times', async () => {
  const right = ['2026-12-01T03:00:00Z', '2026-12-02T03:00:00Z'];
  const {bench, at, notices} = await backupsAt(['2026-11-30T03:00:00Z', '2031-01-01T00:00:00Z', ...right]);
  const [before, ahead, first, second] = await bench.backups('c');
  expect(ahead).toBe('20310101000000Z_full');
  // Name order is the order in which the backups were taken, whatever the clocks show.
  expect([first, second]).toEqual(['20310101000001Z_full', '20310101000002Z_full']);
  const listed = await bench.vault((vault) => listBackups(vault, 'c'));
  expect(listed.slice(2).map(({takenAt}) => Date.parse(takenAt))).toEqual(right.map((moment) => Date.parse(moment)));
  const [standing] = await bench.vault(collectionStandings);
  expect(standing?.newest).toMatchObject({name: second, takenAtMs: Date.parse(right[1]!)});
  expect(await at('2026-12-05')).toBe(second);
  expect(await at('2026-12-01T12:00:00Z')).toBe(first);
  expect(await at('2026-11-30T12:00:00Z')).toBe(before);
  expect(notices.filter((notice) => notice.includes(ahead!))).toHaveLength(1);
  expect(notices.filter((notice) => notice.includes('named after a time in the future'))).toHaveLength(2);
});
