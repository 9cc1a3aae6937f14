import {expect, test} from 'vitest';
import {
  applyRetention,
  type DatabaseBackupSummary,
  databaseStandings,
  listDatabaseBackups,
  planDatabaseRestore,
  planDatabaseRetention,
  restoreDatabase,
  verifyDatabaseBackups,
} from '../../../src/database/index.ts';
import {backupMicros, backupNameAt} from '../../../src/database/stored/names.ts';
import {changed, keysOf, newStore, noise, open} from '../../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup, toKeep, toRemove} from '../fakes.ts';

type Summaries = [DatabaseBackupSummary, DatabaseBackupSummary, DatabaseBackupSummary, DatabaseBackupSummary];

function summary(day: number): DatabaseBackupSummary {
  const backup = backupNameAt(Date.UTC(2026, 0, day) * 1000);
  return {instance: 'a-a-a', backup, timestampMicros: backupMicros(backup), state: 'sound'};
}

test('the newest sound backups stay, in whatever order the list is', () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((day) => summary(day)) as Summaries;
  const unreadable = {...d, state: 'future' as const, error: 'a newer bkp wrote it'};
  const plan = planDatabaseRetention([c, a, unreadable, b], {keepLatest: 2}, Date.now());
  expect(plan.verdicts.map(({backup, goes, why}) => [backup, goes, why])).toEqual([
    [d.backup, false, 'its manifest cannot be read: it is not counted'],
    [c.backup, false, 'number 1 of the 2 newest'],
    [b.backup, false, 'number 2 of the 2 newest'],
    [a.backup, true, '2 complete backups are newer'],
  ]);
  expect(() => planDatabaseRetention([a], {keepLatest: 0}, Date.now())).toThrow();
  expect(() => planDatabaseRetention([a, {...b, instance: 'b-b-b'}], {keepLatest: 1}, Date.now())).toThrow();
  expect(planDatabaseRetention([], {keepLatest: 1}, Date.now())).toEqual({verdicts: []});
});

test('the rules of the calendar keep more than the newest n, and see only sound backups', () => {
  const [a, b, c, d] = [1, 2, 3, 40].map((day) => summary(day)) as Summaries;
  const rules = {keepLatest: 1, keep: {monthly: 2, within: '1 day'}, zone: 'UTC'};
  const decide = (...backups: DatabaseBackupSummary[]) =>
    planDatabaseRetention(backups, rules, Date.UTC(2026, 5, 1)).verdicts.map(({goes, why, rules}) => [
      goes,
      why,
      rules,
    ]);
  expect(decide(a, b, c, d)).toEqual([
    [false, 'newest 1 of 1, month 1 of 2, within 1 day', ['last', 'monthly', 'within']],
    [false, 'month 2 of 2', ['monthly']],
    [true, 'no rule keeps it; 2 complete backups are newer', []],
    [true, 'no rule keeps it; 3 complete backups are newer', []],
  ]);
  const verified = {keepLatest: 1, keep: {verified: 1}};
  const summaries = [{...a, verifiedMs: 1}, {...b, verifiedMs: 1}, c, d];
  const plan = planDatabaseRetention(summaries, verified, Date.UTC(2026, 5, 1));
  expect(plan.verdicts.map(({goes}) => goes)).toEqual([false, true, false, true]);
  // The damaged one of January goes, as the newest sound one of January stays.
  const damaged = {...c, state: 'damaged' as const, error: 'x'};
  expect(decide(a, b, damaged, d).map(([goes]) => goes)).toEqual([false, true, false, true]);
});

test('removed backups free their space, and the others can be restored', async () => {
  const store = newStore();
  const vault = await open(store);
  const database = new FakeDatabase();
  database.set('stays', noise(10_000, 1));
  const contents = [];
  for (let n = 0; n < 4; n++) {
    database.set('changes', noise(10_000, 10 + n));
    await takeBackup(vault, database);
    contents.push(contentOf(database));
  }
  const plan = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 2}, Date.now());
  const report = await applyRetention({...surroundings(), vault}, plan, 'cleanup/1');
  expect(report.removed).toBe(2);
  expect(report.freedBytes).toBeGreaterThan(9000);
  const left = await listDatabaseBackups(vault);
  expect(left).toHaveLength(2);
  for (const [n, {timestampMicros}] of left.entries()) {
    const target = new FakeTarget();
    const restore = await planDatabaseRestore({vault, target}, {at: timestampMicros});
    await restoreDatabase({...surroundings(), vault, target}, restore);
    expect(target.published).toEqual(contents[n + 2]);
  }
  await expect(planDatabaseRestore({vault}, {at: left[0]!.body!.takenAtMicros - 1})).rejects.toMatchObject({
    message: expect.stringContaining('No backup timestamp found that is <='),
  });
  expect(
    await applyRetention({...surroundings(), vault}, planDatabaseRetention(left, {keepLatest: 2}, Date.now()), '2'),
  ).toEqual({
    removed: 0,
    freedBytes: 0,
  });
});

test('a plan that relies on a backup that no longer exists removes nothing', async () => {
  const store = newStore();
  const vault = await open(store);
  const database = new FakeDatabase();
  database.set('file', 'x');
  await takeBackup(vault, database);
  await takeBackup(vault, database);
  const plan = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 1}, Date.now());
  await store.delete((await keysOf(store, 'backup/')).filter((key) => key.includes(toKeep(plan)[0]!.backup)));
  await expect(applyRetention({...surroundings(), vault}, plan, '1')).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(await listDatabaseBackups(vault)).toHaveLength(1);
});

/** Two backups without a common block; `lost` are the packs of the newer one. */
async function twoBackups() {
  const kept = new Set<string>();
  const store = newStore();
  const vault = await open(store);
  const database = new FakeDatabase();
  for (const seed of [1, 2]) {
    database.set('file', noise(100_000, seed));
    await takeBackup(vault, database);
    if (seed === 2) continue;
    // The packs of the first backup.
    for (const key of await keysOf(store, 'packs/')) kept.add(key);
  }
  return {store, vault, database, lost: (await keysOf(store, 'packs/')).filter((key) => !kept.has(key))};
}

test('nothing is removed if a counted backup loses data after the plan was made', async () => {
  const {store, vault, lost} = await twoBackups();
  const plan = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 1}, Date.now());
  expect(toRemove(plan)).toHaveLength(1);
  await store.delete(lost);
  await expect(applyRetention({...surroundings(), vault}, plan, '1')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(await listDatabaseBackups(vault)).toHaveLength(2);
});

test.each(['gone', 'cut off', 'found damaged'])('a backup with a pack that is %s does not count', async (how) => {
  const {store, vault, database, lost} = await twoBackups();
  for (const key of lost) {
    const bytes = await store.get(key);
    if (how === 'gone') await store.delete([key]);
    else await store.put(key, how === 'cut off' ? bytes.subarray(0, -10) : changed(bytes, 500));
  }
  if (how === 'found damaged') {
    // The damage is not known yet.
    expect((await listDatabaseBackups(vault)).map(({error}) => error)).toEqual([undefined, undefined]);
    const verify = (level: 'data' | 'structure') => verifyDatabaseBackups({...surroundings(), vault}, {level});
    await expect(verify('data')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
    await expect(verify('structure')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  }
  const all = await listDatabaseBackups(vault);
  const sound = {takenAtMicros: all[0]!.body!.takenAtMicros};
  expect(await databaseStandings(vault)).toMatchObject([{backups: 2, unreadable: 1, newest: sound}]);
  await planDatabaseRestore({vault}, {at: all[0]!.timestampMicros});
  // A dry run reports the damage.
  await expect(planDatabaseRestore({vault}, {})).rejects.toMatchObject({code: expect.stringMatching(/^OBJECT_/)});
  const plan = planDatabaseRetention(all, {keepLatest: 1}, Date.now());
  expect(toRemove(plan)).toEqual([]);
  expect(toKeep(plan).map(({why}) => why)).toEqual([expect.stringMatching(/damaged/), 'number 1 of the 1 newest']);
  // It is removed once enough sound ones are newer.
  database.set('file', noise(100_000, 3));
  await takeBackup(vault, database);
  const next = planDatabaseRetention(await listDatabaseBackups(vault), {keepLatest: 1}, Date.now());
  expect(toRemove(next)).toHaveLength(2);
  expect(await applyRetention({...surroundings(), vault}, next, '1')).toMatchObject({removed: 2});
  expect((await listDatabaseBackups(vault)).map(({error}) => error)).toEqual([undefined]);
});
