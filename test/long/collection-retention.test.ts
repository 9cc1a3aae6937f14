import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {
  alterCollection,
  type BackupName,
  type BackupType,
  collectionStandings,
  collectionsWithRetention,
  createCollection,
  listBackups,
  planRetention,
} from '../../src/collections/index.ts';
import type {AlterAction, Setting} from '../../src/sql/index.ts';
import {openMemoryStore, type Store} from '../../src/stores/index.ts';
import type {Vault} from '../../src/vault/index.ts';
import {type FaultyStore, faultyStore} from '../helpers/faulty-store.ts';
import {type Bench, inProcess} from '../helpers/in-process.ts';
import {type DatabaseImage, imageOf} from '../helpers/sqlite-compare.ts';
import fc from '../seeds/fast-check.ts';

const incremental = {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'};
const keep = (n: number): Setting => ({key: 'KEEP_LATEST', value: String(n)});
const tools = (vault: Vault) => ({vault, nowMicros: () => 1, randomId: () => 'c'.repeat(32)});
const manifest = (backup: BackupName) => `.backups/collections/c/${backup}/manifest`;

type Shop = {
  bench: Bench;
  database: string;
  folder: string;
  memory: ReturnType<typeof openMemoryStore>;
  notices: string[];
  /** Unset: the clock of this machine. */
  clock: {ms?: number};
};

/** A collection `c` of one table, in a memory store. */
async function openShop(settings: readonly Setting[], wrap: (store: Store) => Store = (store) => store): Promise<Shop> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-retention-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  return openShopIn(folder, settings, wrap);
}

async function openShopIn(folder: string, settings: readonly Setting[], wrap = (store: Store) => store): Promise<Shop> {
  const database = join(folder, 'app.db');
  exec(database, 'PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT)');
  const memory = openMemoryStore();
  const notices: string[] = [];
  const clock: Shop['clock'] = {};
  const bench = inProcess({
    database,
    openStore: async () => wrap(memory),
    notice: (text) => notices.push(text),
    nowMicros: () => (clock.ms ?? Date.now()) * 1000,
  });
  const request = {name: 'c', members: {kind: 'database' as const}, settings, ifNotExists: false};
  await bench.vault((vault) => createCollection(tools(vault), request));
  return {bench, database, folder, memory, notices, clock};
}

function exec(database: string, sql: string): void {
  const db = new DatabaseSync(database);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

async function take({bench, database}: Shop, ...types: BackupType[]): Promise<BackupName[]> {
  const names: BackupName[] = [];
  for (const type of types) {
    exec(database, "INSERT INTO t (at) VALUES ('now')");
    names.push(await bench.backup('c', type));
  }
  return names;
}

/** Takes full backups at these times. */
async function takeAt(shop: Shop, ...times: readonly string[]): Promise<BackupName[]> {
  const names: BackupName[] = [];
  for (const time of times) {
    shop.clock.ms = Date.parse(time);
    names.push(...(await take(shop, 'full')));
  }
  return names;
}

const planOf = ({bench}: Shop, options = {}) =>
  bench.vault((vault) => planRetention(vault, 'c', {nowMs: Date.now(), ...options}));

type Step = BackupType | 'change' | 'forget to clean up' | {keepLatest: number};

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {weight: 6, arbitrary: fc.constantFrom<Step>('full', 'incremental', 'incremental', 'incremental')},
    {weight: 4, arbitrary: fc.constant<Step>('change')},
    {weight: 1, arbitrary: fc.constant<Step>('forget to clean up')},
    {weight: 1, arbitrary: fc.integer({min: 1, max: 5}).map((keepLatest): Step => ({keepLatest}))},
  ),
  {minLength: 6, maxLength: 24},
);

test('after each cleanup of a random history the newest n backups stay, and each is restored exactly', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({min: 1, max: 4}), steps, async (first, history) => {
      const folder = mkdtempSync(join(tmpdir(), 'bkp-retention-'));
      try {
        await live(await openShopIn(folder, [incremental, keep(first)]), first, history);
      } finally {
        rmSync(folder, {recursive: true, force: true});
      }
    }),
    {numRuns: 10 * Number(process.env.BKP_TEST_RUNS ?? 1)},
  );
}, 200_000);

async function live(shop: Shop, first: number, history: readonly Step[]): Promise<void> {
  const {bench, database, folder} = shop;
  let n = first;
  let isSkipped = false;
  let there: BackupName[] = [];
  const taken = new Map<BackupName, DatabaseImage>();
  for (const step of history) {
    if (step === 'change') exec(database, "DELETE FROM t WHERE id % 3 = 1; INSERT INTO t (at) VALUES ('x'), ('y')");
    else if (step === 'forget to clean up') isSkipped = true;
    else if (typeof step === 'object') {
      n = step.keepLatest;
      const action = {kind: 'set' as const, settings: [keep(n)]};
      await bench.vault((vault) => alterCollection(tools(vault), 'c', [action]));
    } else {
      const [name] = await take(shop, taken.size === 0 ? 'full' : step);
      taken.set(name!, imageOf(database, ['t']));
      if (isSkipped) {
        isSkipped = false;
        there.push(name!);
      } else {
        await bench.cleanUp('c');
        there = [...there, name!].slice(-n);
        expect(await bench.backups('c')).toEqual(there);
      }
    }
  }
  if (taken.size === 0) return;
  await bench.cleanUp('c');
  const kept = await bench.backups('c');
  expect(kept).toEqual(there.slice(-n));
  await bench.verify('c');
  for (const name of kept) {
    const target = join(folder, `${name}.db`);
    await bench.restore('c', target, name);
    expect(imageOf(target)).toEqual(taken.get(name));
  }
}

test('a cleanup frees the space of data that only a removed backup needed', async () => {
  const shop = await openShop([keep(1)]);
  exec(
    shop.database,
    `WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT i, hex(randomblob(20)) FROM n`,
  );
  await take(shop, 'full');
  exec(shop.database, 'DELETE FROM t');
  await take(shop, 'full');
  expect(await shop.bench.cleanUp('c')).toBeGreaterThan(400_000);
});

test('a plan contains a verdict for each backup, and removes nothing', async () => {
  const shop = await openShop([incremental, keep(2)]);
  const [a, b, c] = await take(shop, 'full', 'incremental', 'full');
  const plan = await planOf(shop, {readerOf: () => undefined});
  expect(plan).toEqual({
    collection: 'c',
    pins: new Map(),
    settings: ["KEEP_LATEST='2'"],
    verdicts: [
      {backup: c, goes: false, why: 'one of the newest 2', counts: true, rules: ['last']},
      {backup: b, goes: false, why: 'one of the newest 2, until the next backup', counts: true, rules: ['last']},
      {backup: a, goes: true, why: 'not one of the newest 2', counts: false, rules: []},
    ],
  });
  expect(await shop.bench.backups('c')).toEqual([a, b, c]);
  expect(await shop.bench.vault(collectionsWithRetention)).toEqual(['c']);
});

test('without KEEP_LATEST all backups stay, and a cleanup without a collection removes none', async () => {
  const shop = await openShop([incremental]);
  const names = await take(shop, 'full', 'incremental', 'full');
  expect((await planOf(shop)).verdicts.map(({goes}) => goes)).toEqual([false, false, false]);
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual(names);
  expect(await shop.bench.vault(collectionsWithRetention)).toEqual([]);
  await shop.bench.vault((vault) => alterCollection(tools(vault), 'c', [{kind: 'set', settings: [keep(1)]}]));
  await shop.bench.cleanUp();
  expect(await shop.bench.backups('c')).toEqual(names);
});

test('a backup stays if any rule keeps it, and the plan names the rules', async () => {
  const shop = await openShop([keep(1), {key: 'KEEP_DAILY', value: '2'}, {key: 'KEEP_WITHIN', value: '2 Hours'}]);
  const [a, b, c, d, e] = await takeAt(
    shop,
    ...['2026-07-01T08:00:00Z', '2026-07-01T12:00:00Z', '2026-07-02T08:00:00Z', '2026-07-02T11:00:00Z'],
    '2026-07-02T12:00:00Z',
  );
  expect(await planOf(shop)).toEqual({
    collection: 'c',
    pins: new Map(),
    settings: ["KEEP_LATEST='1'", "KEEP_DAILY='2'", "KEEP_WITHIN='2 hours'"],
    verdicts: [
      {
        ...{backup: e, goes: false, counts: true, rules: ['last', 'daily', 'within']},
        why: 'newest 1 of 1, day 1 of 2, within 2 hours',
      },
      {backup: d, goes: false, why: 'within 2 hours', counts: true, rules: ['within']},
      {backup: c, goes: true, why: 'no rule keeps it', counts: false, rules: []},
      {backup: b, goes: false, why: 'day 2 of 2', counts: true, rules: ['daily']},
      {backup: a, goes: true, why: 'no rule keeps it', counts: false, rules: []},
    ],
  });
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual([b, d, e]);
  expect(shop.notices.at(-1)).toBe(`removed by KEEP_LATEST='1', KEEP_DAILY='2', KEEP_WITHIN='2 hours': ${c}, ${a}`);
});

test('the newest verified backup stays whatever the other rules say, and alone the rule removes nothing', async () => {
  const shop = await openShop([keep(1), {key: 'KEEP_VERIFIED', value: '1'}]);
  const [a] = await take(shop, 'full');
  await shop.bench.verify('c');
  const [b, c] = await take(shop, 'full', 'full');
  expect((await planOf(shop)).verdicts.map(({backup, goes, why}) => [backup, goes, why])).toEqual([
    [c, false, 'newest 1 of 1'],
    [b, true, 'no rule keeps it'],
    [a, false, 'verified 1 of 1'],
  ]);
  await shop.bench.cleanUp('c');
  await shop.bench.verify('c');
  expect((await planOf(shop)).verdicts.map(({backup, goes}) => [backup, goes])).toEqual([
    [c, false],
    [a, true],
  ]);
  const reset = {kind: 'reset' as const, keys: ['KEEP_LATEST']};
  await shop.bench.vault((vault) => alterCollection(tools(vault), 'c', [reset]));
  expect((await planOf(shop)).verdicts.map(({goes}) => goes)).toEqual([false, false]);
});

test('a day is one of SCHEDULE_TZ', async () => {
  const shop = await openShop([
    {key: 'KEEP_DAILY', value: '2'},
    {key: 'SCHEDULE_TZ', value: 'Europe/Berlin'},
  ]);
  // In Berlin, the first two are of 1 July, the last one of 2 July.
  const [, b, c] = await takeAt(shop, '2026-06-30T22:30:00Z', '2026-07-01T21:30:00Z', '2026-07-01T22:30:00Z');
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual([b, c]);
});

test('while a backup that a rule keeps is damaged, no backup is removed', async () => {
  const shop = await openShop([{key: 'KEEP_YEARLY', value: '2'}]);
  const names = await takeAt(shop, '2025-01-01T00:00:00Z', '2025-02-01T00:00:00Z', '2026-01-01T00:00:00Z');
  shop.memory.objects.get(manifest(names[1]!))!.bytes[40]! ^= 1;
  await expect(shop.bench.cleanUp('c')).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: `no backup of c was removed: ${names[1]} that KEEP_YEARLY='2' keeps is damaged`,
  });
  expect(await shop.bench.backups('c')).toEqual(names);
});

test('a definition with rules that an older bkp does not know has a version that it refuses', async () => {
  const shop = await openShop([keep(3)]);
  const newestVersion = async () => ((await shop.bench.vault(newestDefinition)) as {version: number}).version;
  const alter = (action: AlterAction) => shop.bench.vault((vault) => alterCollection(tools(vault), 'c', [action]));
  expect(await newestVersion()).toBe(1);
  await alter({kind: 'set', settings: [{key: 'KEEP_MONTHLY', value: '12'}]});
  expect(await newestVersion()).toBe(2);
  await alter({kind: 'reset', keys: ['KEEP_MONTHLY']});
  expect(await newestVersion()).toBe(1);
});

async function newestDefinition(vault: Vault) {
  const keys: string[] = [];
  for await (const key of vault.keys('.backups/collections/c/definition/')) keys.push(key);
  return vault.document(keys.at(-1)!);
}

test('KEEP_LAST is KEEP_LATEST, and a statement cannot set both', async () => {
  const shop = await openShop([{key: 'KEEP_LAST', value: '2'}]);
  expect((await planOf(shop)).settings).toEqual(["KEEP_LATEST='2'"]);
  const action = (...keys: string[]) => ({kind: 'set' as const, settings: keys.map((key) => ({key, value: '3'}))});
  const alter = (change: AlterAction) => shop.bench.vault((vault) => alterCollection(tools(vault), 'c', [change]));
  await alter(action('KEEP_LATEST'));
  expect((await planOf(shop)).settings).toEqual(["KEEP_LATEST='3'"]);
  await expect(alter(action('KEEP_LATEST', 'KEEP_LAST'))).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await alter({kind: 'reset', keys: ['KEEP_LAST']});
  expect((await planOf(shop)).settings).toEqual([]);
});

test.each(['3', 'days', '0 days', ''])('KEEP_WITHIN cannot be %j', async (value) => {
  await expect(openShop([{key: 'KEEP_WITHIN', value}])).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    next: expect.stringContaining("KEEP_WITHIN='3 days'"),
  });
});

test('increments continue from the newest backup after all older ones were removed', async () => {
  const shop = await openShop([incremental, keep(1)]);
  for (const type of ['full', 'incremental', 'incremental', 'incremental'] as const) {
    const [name] = await take(shop, type);
    await shop.bench.cleanUp('c');
    expect(await shop.bench.backups('c')).toEqual([name]);
  }
  const target = join(shop.folder, 'new.db');
  await shop.bench.restore('c', target);
  expect(imageOf(target)).toEqual(imageOf(shop.database, ['t']));
});

test('a backup stays while an operation reads it', async () => {
  const shop = await openShop([keep(1)]);
  const [a, b, c] = await take(shop, 'full', 'full', 'full');
  const plan = await planOf(shop, {readerOf: (backup: BackupName) => (backup === a ? 'restore/5' : undefined)});
  expect(plan.verdicts.slice(1)).toEqual([
    {backup: b, goes: true, why: 'not one of the newest 1', counts: false, rules: []},
    {backup: a, goes: false, why: 'restore/5 reads it', counts: false, rules: []},
  ]);
  expect(c).toBeDefined();
});

test('while one of the newest backups has a damaged manifest, no backup is removed; newer ones end that', async () => {
  const shop = await openShop([keep(2)]);
  const [a, b, c] = await take(shop, 'full', 'full', 'full');
  shop.memory.objects.get(manifest(b!))!.bytes[40]! ^= 1;
  await expect(shop.bench.cleanUp('c')).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: `no backup of c was removed: ${b} that KEEP_LATEST='2' keeps is damaged`,
  });
  expect((await planOf(shop)).verdicts).toEqual([
    {backup: c, goes: false, why: 'one of the newest 2', counts: true, rules: ['last']},
    {backup: b, goes: false, why: 'it is damaged: see VERIFY', counts: false, rules: []},
    {backup: a, goes: false, why: `${b}, which is newer, is damaged`, counts: false, rules: []},
  ]);
  expect(await shop.bench.backups('c')).toEqual([a, b, c]);
  const [d] = await take(shop, 'full');
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual([c, d]);
});

test('a backup that VERIFY found damaged displaces no sound one; newer ones end that', async () => {
  const shop = await openShop([keep(2)]);
  const [a] = await take(shop, 'full');
  const old = new Set(shop.memory.objects.keys());
  const [b] = await take(shop, 'full');
  for (const [key, {bytes}] of shop.memory.objects) if (key.startsWith('packs/') && !old.has(key)) bytes[60]! ^= 1;
  await expect(shop.bench.verify('c')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
  const [c] = await take(shop, 'full');
  // SHOW BACKUPS and the metrics report the damage while the backup exists.
  const shown = await shop.bench.vault((vault) => listBackups(vault, 'c'));
  expect(shown.map(({error}) => error)).toEqual([undefined, expect.stringContaining('found damaged'), undefined]);
  expect(await shop.bench.vault(collectionStandings)).toMatchObject([{backups: 3, unreadable: 1, newest: {name: c}}]);
  await expect(shop.bench.cleanUp('c')).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: `no backup of c was removed: ${b} that KEEP_LATEST='2' keeps is damaged`,
  });
  expect((await planOf(shop)).verdicts).toEqual([
    {backup: c, goes: false, why: 'one of the newest 2', counts: true, rules: ['last']},
    {backup: b, goes: false, why: 'it is damaged: see VERIFY', counts: false, rules: []},
    {backup: a, goes: false, why: `${b}, which is newer, is damaged`, counts: false, rules: []},
  ]);
  await shop.bench.restore('c', join(shop.folder, 'a.db'), a);
  const [d] = await take(shop, 'full');
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual([c, d]);
  await shop.bench.verify('c');
});

test('no older backup is removed when a kept one has lost a pack', async () => {
  const shop = await openShop([keep(1)]);
  const [a] = await take(shop, 'full');
  const old = new Set(shop.memory.objects.keys());
  exec(shop.database, "UPDATE t SET at = 'later'");
  const [b] = await take(shop, 'full');
  for (const key of [...shop.memory.objects.keys()]) {
    if (key.startsWith('packs/') && !old.has(key)) shop.memory.objects.delete(key);
  }
  await expect(shop.bench.cleanUp('c')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(await shop.bench.backups('c')).toEqual([a, b]);
});

test('locked objects stay and are reported, and are removed when their lock ends', async () => {
  const state = {isOver: false};
  const shop = await openShop([keep(1)], (inner) => ({
    ...inner,
    delete: async (keys) => {
      const held = state.isOver ? [] : keys.filter((key) => key.endsWith('/manifest'));
      await inner.delete(keys.filter((key) => !held.includes(key)));
      return held.map((key) => ({key, untilMs: Date.UTC(2030, 0, 1)}));
    },
  }));
  const names = await take(shop, 'full', 'full', 'full');
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual(names);
  expect(shop.notices).toEqual([
    '2 objects are under retention until 2030-01-01T00:00:00.000Z; a cleanup after that removes them',
  ]);
  await shop.bench.verify('c');
  state.isOver = true;
  await shop.bench.cleanUp('c');
  expect(await shop.bench.backups('c')).toEqual(names.slice(-1));
  expect(shop.notices.at(-1)).toBe(`removed by KEEP_LATEST='1': ${names[1]}, ${names[0]}`);
});

test.each(['0', '-1', '', 'seven', '7.5', '1e3', '1000000'])('KEEP_LATEST cannot be %j', async (value) => {
  await expect(openShop([{key: 'KEEP_LATEST', value}])).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    next: expect.stringContaining("KEEP_LATEST='7'"),
  });
});

test.each(['end before', 'end after', 'fail'] as const)(
  'a removal with the fault “%s” at any call leaves the newest backups intact, and the next removal completes it',
  async (fault) => {
    let at = 0;
    let faulty: FaultyStore | undefined;
    const shop = await openShop([incremental, keep(2)], (store) => {
      if (at === 0) return store;
      faulty = faultyStore(store, {at, fault});
      return faulty;
    });
    const names = await take(shop, 'full', 'incremental', 'full', 'incremental');
    const kept = names.slice(-2);
    const image = imageOf(shop.database, ['t']);
    const snapshot = new Map(shop.memory.objects);
    let failures = 0;
    for (let call = 1; ; call++) {
      shop.memory.objects.clear();
      for (const [key, object] of snapshot) shop.memory.objects.set(key, object);
      at = call;
      const isDone = await shop.bench.cleanUp('c').then(
        () => true,
        () => false,
      );
      at = 0;
      if (!isDone) failures++;
      const there = await shop.bench.backups('c');
      expect(there.slice(-2)).toEqual(kept);
      await shop.bench.verify('c');
      await shop.bench.cleanUp('c');
      expect(await shop.bench.backups('c')).toEqual(kept);
      await shop.bench.verify('c');
      if (call > faulty!.calls.length) break;
    }
    const target = join(shop.folder, 'restored.db');
    await shop.bench.restore('c', target);
    expect(imageOf(target)).toEqual(image);
    expect(failures).toBeGreaterThan(10);
  },
);
