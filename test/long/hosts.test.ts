import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {type BackupName, copyCollection, createCollection, listBackups} from '../../src/collections/index.ts';
import {buildHosts, type HostWork, type Outcome} from '../helpers/hosts.ts';
import {type Bench, inProcess} from '../helpers/in-process.ts';

// Hosts that share a store, as real processes. Whatever one of them does, and whenever one of them is paused, nothing
// that a backup needs may be removed as long as the backup exists.

/** So many of a work's store calls are tried, spread over all of them. */
const pauses = Number(process.env.BKP_TEST_PAUSES ?? 6);

/** So often a host tries again: on a busy machine it may lose its lease, because its clock is so fast. */
const mostTries = 20;

let hosts: Awaited<ReturnType<typeof buildHosts>>;
beforeAll(async () => {
  hosts = await buildHosts();
});
afterAll(() => hosts.remove());

/** A collection with three backups, of which its rule keeps two. */
async function openShared() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-hosts-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const [store, database] = [join(folder, 'cluster'), join(folder, 'app.db')];
  const bench = inProcess({database, cluster: store});
  const db = new DatabaseSync(database);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB)');
  const rows = (file = database) => {
    const read = new DatabaseSync(file, {readOnly: true});
    try {
      return read.prepare('SELECT id, text, hex(bytes) AS bytes FROM notes ORDER BY id').all();
    } finally {
      read.close();
    }
  };
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        ...{name: 'c', members: {kind: 'database'}, ifNotExists: false},
        settings: [{key: 'KEEP_LATEST', value: '2'}],
      },
    ),
  );
  const contents = new Map<string, unknown[]>();
  for (let n = 1; n <= 3; n++) {
    db.exec(`DELETE FROM notes WHERE id % 3 = ${n % 3};
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
      INSERT OR IGNORE INTO notes SELECT ${n} * 100 + i, 'note ' || i, randomblob(3000) FROM n`);
    contents.set(await bench.backup('c', 'full'), rows());
    if (n === 1) db.exec(`VACUUM INTO '${join(folder, 'oldest.db')}'`);
  }
  db.close();
  const kept = join(folder, 'kept');
  cpSync(store, kept, {recursive: true});
  const exec = (sql: string) => {
    const changing = new DatabaseSync(database, {timeout: 60_000});
    changing.exec(sql);
    changing.close();
  };
  return {
    store,
    database,
    rows,
    /** Rows that no other backup has, so that a backup needs packs of its own. */
    change: () => exec('UPDATE notes SET bytes = randomblob(3000)'),
    /** What the oldest backup has, so that a backup uses what a cleanup is about to remove. */
    changeBack: () =>
      exec(`ATTACH '${join(folder, 'oldest.db')}' AS oldest; DELETE FROM notes;
        INSERT INTO notes SELECT * FROM oldest.notes`),
    bench,
    putBack: () => {
      rmSync(store, {recursive: true, force: true});
      cpSync(kept, store, {recursive: true});
    },
    expectAllSound: soundIn(bench, {folder, rows, contents}),
    folder,
    contents,
    from: undefined,
  };
}

type Facts = {folder: string; rows: (file?: string) => unknown[]; contents: ReadonlyMap<string, unknown[]>};

/**
 * @returns a check that each backup that is listed is sound and complete. `states`: what one that was made meanwhile
 *   may contain
 */
function soundIn(bench: Bench, {folder, rows, contents}: Facts) {
  return async (context: string, states: readonly unknown[][] = [rows()]) => {
    const listed = await bench.vault((vault) => listBackups(vault, 'c'));
    expect(listed.length, context).toBeGreaterThanOrEqual(2);
    expect(
      listed.filter(({error}) => error !== undefined),
      context,
    ).toEqual([]);
    await bench.verify('c');
    for (const {name} of listed) {
      const target = join(folder, 'restored.db');
      rmSync(target, {force: true});
      await bench.restore('c', target, name);
      const restored = rows(target);
      const wanted = contents.get(name);
      if (wanted !== undefined) expect(restored, `${context}: ${name}`).toEqual(wanted);
      else expect(states, `${context}: ${name}`).toContainEqual(restored);
    }
    return listed.map(({name}) => name as string);
  };
}

/** A store that has the oldest backup of another one. */
async function targetOf({store: from, database, folder, rows, contents}: Awaited<ReturnType<typeof openShared>>) {
  const [store, kept] = [join(folder, 'target'), join(folder, 'target-kept')];
  const [oldest] = contents.keys();
  const bench = inProcess({database, cluster: store});
  const source = inProcess({database, cluster: from});
  const tools = {signal: new AbortController().signal, progress: () => {}, notice: () => {}};
  const request = {collection: 'c', storage: 'cluster' as const, operation: 'test'};
  await bench.vault((to) =>
    source.vault((opened) =>
      copyCollection(
        {...tools, nowMicros: () => Date.now() * 1000, from: opened, to},
        {...request, backup: oldest as BackupName},
      ),
    ),
  );
  cpSync(store, kept, {recursive: true});
  return {
    store,
    from,
    fresh: () => {
      rmSync(store, {recursive: true, force: true});
      cpSync(kept, store, {recursive: true});
    },
    expectAllSound: soundIn(bench, {folder, rows, contents}),
  };
}

/** Runs the work again until it succeeds. */
async function untilDone(work: HostWork): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const outcome = await hosts.start(work).outcome;
    if (outcome.error === undefined) return outcome;
    if (tries === mostTries) throw new Error(`${work.name}: ${outcome.error}: ${outcome.message}`);
  }
}

for (const paused of ['clean', 'backup'] as const) {
  test(`a ${paused} that another host takes for dead for ten minutes harms no backup`, async () => {
    const {store, database, rows, change, changeBack, putBack, expectAllSound} = await openShared();
    const first: HostWork = {store, database, name: 'first', what: paused};
    // Its clocks are fast, so it soon takes the paused one for dead.
    const second = {store, database, name: 'second', speed: 40} as const;
    const {calls} = await untilDone(first);
    const seen = {stopped: 0, failed: 0};
    for (let at = 1; at <= calls; at += Math.ceil(calls / pauses)) {
      putBack();
      change();
      const states = [rows()];
      const context = `paused before call ${at} of ${calls}`;
      const host = hosts.start({...first, at});
      if (await host.stopped) seen.stopped += 1;
      const made: string[] = [];
      try {
        if (paused === 'clean') changeBack();
        else change();
        states.push(rows());
        if (paused === 'clean') made.push((await untilDone({...second, what: 'backup'})).backup!);
        await untilDone({...second, what: 'clean'});
        made.push((await untilDone({...second, what: 'backup'})).backup!);
      } finally {
        host.proceed();
      }
      const outcome = await host.outcome;
      if (outcome.error !== undefined) seen.failed += 1;
      if (outcome.backup !== undefined) made.push(outcome.backup);
      const listed = await expectAllSound(context, states);
      // No cleanup came after the last of them. What is reported as made exists.
      if (paused === 'backup') expect(listed, context).toEqual(expect.arrayContaining(made));
      else expect(listed, context).toContain(made.at(-1));
      // Verdicts on what was left unfinished come with the next cleanup.
      await untilDone({...second, name: 'third', what: 'clean'});
      expect((await expectAllSound(`${context}, then cleaned`, states)).length, context).toBe(2);
    }
    expect(seen.stopped).toBeGreaterThan(1);
    // Otherwise no pause was long enough to matter.
    expect(seen.failed).toBeGreaterThan(0);
  }, 600_000);
}

for (const paused of ['pin', 'drop', 'copy'] as const) {
  test(`a ${paused} that another host takes for dead for ten minutes harms no backup`, async () => {
    const shared = await openShared();
    const {database, rows, putBack} = shared;
    const states: unknown[][] = [rows()];
    // What is copied to: of the three backups, only the oldest one.
    const {store, from, fresh, expectAllSound} =
      paused === 'copy' ? await targetOf(shared) : {...shared, fresh: putBack};
    const first: HostWork = {store, database, name: 'first', what: paused, ...(from === undefined ? {} : {from})};
    const second = {...first, name: 'second', speed: 40} as const;
    await fresh();
    const {calls} = await untilDone(first);
    const seen = {stopped: 0, failed: 0};
    for (let at = 1; at <= calls; at += Math.ceil(calls / pauses)) {
      await fresh();
      const context = `paused before call ${at} of ${calls}`;
      const host = hosts.start({...first, at});
      if (await host.stopped) seen.stopped += 1;
      let made: string | undefined;
      try {
        shared.change();
        states.push(rows());
        if (paused === 'copy') await untilDone(second);
        await untilDone({...second, what: 'clean'});
        made = (await untilDone({...second, what: 'backup'})).backup;
      } finally {
        host.proceed();
      }
      const {error, backup: pinned} = await host.outcome;
      if (error !== undefined) seen.failed += 1;
      const listed = await expectAllSound(context, states);
      expect(listed, context).toContain(made);
      if (pinned !== undefined) expect(listed, context).toContain(pinned);
      await untilDone({...second, name: 'third', what: 'clean'});
      const left = await expectAllSound(`${context}, then cleaned`, states);
      if (pinned !== undefined) expect(left, context).toContain(pinned);
    }
    expect(seen.stopped).toBeGreaterThan(1);
    expect(seen.failed).toBeGreaterThan(0);
  }, 600_000);
}

test('hosts that clean and back up one store at the same time harm no backup', async () => {
  const {store, database, expectAllSound} = await openShared();
  const names = ['first', 'second', 'third'];
  for (let round = 1; round <= 3; round++) {
    const started = names.flatMap((name) =>
      (['clean', 'backup', 'clean'] as const).map((what) =>
        hosts.start({store, database, name: `${name} ${what}`, what}),
      ),
    );
    const outcomes = await Promise.all(started.map(({outcome}) => outcome));
    const made = outcomes.flatMap(({backup}) => backup ?? []);
    // A collection has one writer at a time; the others are told so.
    expect(made.length, JSON.stringify(outcomes)).toBeGreaterThan(0);
    await expectAllSound(`round ${round}`);
  }
  await untilDone({store, database, name: 'last', what: 'clean'});
  expect(await expectAllSound('at the end')).toHaveLength(2);
}, 600_000);
