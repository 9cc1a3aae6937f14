import {execFile} from 'node:child_process';
import {chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {build} from 'rolldown';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {systemProcesses} from '../../src/lib/processes.ts';
import {openJournal} from '../../src/ops/index.ts';
import {bareEnv} from './bkp.ts';
import type {Desk} from './desk.ts';
import {type Bench, inProcess} from './in-process.ts';

/** A desk whose collections are in some store. */
export type CrashPlace = {
  desk: Desk;
  /** Of `CREATE … WITH (STORAGE=…)`. */
  storage: 'cluster' | 's3';
  /** Settings that point bkp to the store. */
  env: Record<string, string>;
  bench: Bench;
  /** Another store, as `COPY … TO` names it; absent: COPY is not tested, because it takes long. */
  copy?: {to: string; bench: Bench};
  /** Another store, as `HEAL=…` names it; absent: neither heal nor merges are tested, because they take long. */
  healFrom?: string;
  storedKeys: () => Promise<string[]>;
  /** Saves the contents of the store, which are put back before each crash. */
  keepStore: () => Promise<() => Promise<void>>;
};

const schema = `
  CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB);
  CREATE INDEX notes_by_text ON notes (text);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
  INSERT INTO notes SELECT i, 'note ' || i, randomblob(4000) FROM n;
  CREATE TABLE tags (name TEXT PRIMARY KEY, note INTEGER) WITHOUT ROWID;
  CREATE INDEX tags_by_note ON tags (note DESC);
  INSERT INTO tags SELECT 'tag ' || id, id FROM notes;
`;

const createIn = (storage: CrashPlace['storage']) =>
  `CREATE BACKUP COLLECTION c (TABLE notes, TABLE tags) WITH (STORAGE='${storage}', INCREMENTAL_BACKUP_ENABLED='true')`;

/** Of so many a backup merges them. */
const smallPacks = 64;

/** Long enough for about thirty kills on two busy cores. */
const timeoutMs = 600_000;

/**
 * Kills a worker, a real process, right before each of its store calls in turn. After each kill: the journal
 * reports it, VERIFY is clean, the last good backup restores row by row, and the same work succeeds when
 * repeated.
 */
export function crashContract(openPlace: (schema: string) => Promise<CrashPlace>): void {
  let folder = '';
  let script = '';

  // Bundled into one file it starts three times as fast as from its many sources.
  beforeAll(async () => {
    folder = mkdtempSync(join(import.meta.dirname, '.crash-'));
    script = join(folder, 'crashing-worker.js');
    await build({
      input: join(import.meta.dirname, 'crashing-worker.ts'),
      platform: 'node',
      external: (id) => !/^[./]/.test(id) && !id.startsWith('/'),
      output: {file: script, format: 'esm', codeSplitting: false},
      logLevel: 'silent',
    });
  });
  afterAll(() => rmSync(folder, {recursive: true, force: true}));

  /** @returns the number of store calls if the worker finished, undefined if it was killed */
  async function runCrashing({desk, env}: CrashPlace, statement: string, at: number): Promise<number | undefined> {
    try {
      const {stdout} = await promisify(execFile)(process.execPath, [script, statement, String(at)], {
        env: bareEnv({home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster, ...env}}),
        cwd: desk.folder,
      });
      return Number(stdout.trim().split('\n').at(-1));
    } catch (error) {
      if ((error as {signal?: string}).signal === 'SIGKILL') return undefined;
      throw error;
    }
  }

  /**
   * Kills the worker at each call, or at about so many of them, the last ones included; `check` asserts what must hold
   * after each kill.
   */
  async function killAtEachCall(
    place: CrashPlace,
    statement: string,
    check: (at: number) => Promise<void>,
    about = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const putBackDesk = keepDesk(place.desk);
    const putBackStore = await place.keepStore();
    const calls = (await runCrashing(place, statement, 0))!;
    expect(calls).toBeGreaterThan(3);
    const step = Math.max(1, Math.floor(calls / about));
    for (let at = 1 + ((calls - 1) % step); at <= calls; at += step) {
      putBackDesk();
      await putBackStore();
      // Timers renew leases too, so that the number of calls varies between runs.
      if ((await runCrashing(place, statement, at)) !== undefined) continue;
      await expectAborted(place.desk, at);
      await check(at);
    }
  }

  test(
    'a full backup killed at every store call',
    async () => {
      const place = await openPlace(schema);
      const {desk, bench} = place;
      await desk.sql(createIn(place.storage));
      await expectRecords(bench, await bench.backup('c', 'full'));
      const before = rows(desk);
      desk.exec(
        "UPDATE notes SET text = 'changed', bytes = randomblob(4000) WHERE id % 3 = 0; DELETE FROM tags WHERE note = 5",
      );
      const after = rows(desk);
      await killAtEachCall(place, 'BACKUP c', async () => {
        // Killed after the manifest was written, the backup exists and is complete; before that, it does not exist.
        const done = (await bench.backups('c')).length === 2;
        await expectWhole(place, done ? after : before);
        await bench.backup('c', 'full');
        await bench.verify('c');
      });
    },
    timeoutMs,
  );

  test(
    'an incremental backup killed at every store call',
    async () => {
      const place = await openPlace(schema);
      const {desk, bench} = place;
      await desk.sql(createIn(place.storage));
      await bench.backup('c', 'full');
      const before = rows(desk);
      desk.exec(
        "UPDATE notes SET text = 'changed' WHERE id % 30 = 0; DELETE FROM notes WHERE id = 7; " +
          'UPDATE tags SET note = 0 WHERE note = 7; ' +
          "INSERT INTO notes (text) VALUES ('new')",
      );
      const after = rows(desk);
      await killAtEachCall(place, 'BACKUP c INCREMENTAL', async () => {
        const done = (await bench.backups('c')).length === 2;
        await expectWhole(place, done ? after : before);
        await bench.backup('c', 'incremental');
        await bench.verify('c');
      });
    },
    timeoutMs,
  );

  test(
    'a restore killed at every store call leaves nothing, and the next one works',
    async () => {
      const place = await openPlace(schema);
      const {desk, bench} = place;
      await desk.sql(createIn(place.storage));
      await bench.backup('c', 'full');
      const before = rows(desk);
      desk.exec('DROP TABLE notes; DROP TABLE tags; CREATE TABLE other (x)');
      await killAtEachCall(place, 'RESTORE c', async (at) => {
        const left = desk.column("SELECT name FROM sqlite_schema WHERE name IN ('notes', 'tags')");
        expect(left, `killed at call ${at}`).toEqual([]);
        await bench.restore('c', desk.database);
        expect(rows(desk)).toEqual(before);
      });
    },
    timeoutMs,
  );

  test(
    'a cleanup killed at every store call harms no other collection, and the next one ends it',
    async () => {
      const place = await openPlace(schema);
      const {desk, bench} = place;
      await desk.sql(createIn(place.storage));
      await desk.sql(createIn(place.storage).replace('COLLECTION c', 'COLLECTION d'));
      await bench.backup('d', 'full');
      desk.exec('UPDATE notes SET bytes = randomblob(4000)');
      await bench.backup('c', 'full');
      const after = rows(desk);
      // Where puts are repeated, the definition that says that it was dropped stays for a week.
      const left = place.storage === 's3' ? [expect.stringMatching(/\/d\/definition\/\d{8}$/)] : [];
      await killAtEachCall(place, 'DROP BACKUP COLLECTION d', async () => {
        await bench.verify('c');
        await bench.cleanUp();
        await expectWhole(place, after);
        expect((await place.storedKeys()).filter((key) => key.includes('/d/'))).toEqual(left);
      });
    },
    timeoutMs,
  );

  test(
    'a heal that is killed loses nothing that is left, and the next one ends it',
    async ({skip}) => {
      const place = await openPlace(schema);
      const {desk, bench, healFrom} = place;
      if (healFrom === undefined) return skip('tried in directories, because it takes long');
      await desk.sql(createIn(place.storage));
      await bench.backup('c', 'full');
      const old = rows(desk);
      desk.exec("UPDATE notes SET text = 'changed', bytes = randomblob(4000) WHERE id % 3 = 0");
      await bench.backup('c', 'incremental');
      const wanted = rows(desk);
      await desk.sqlWait(`COPY BACKUP COLLECTION c TO '${healFrom}'`);
      for (const key of (await place.storedKeys()).filter((stored) => stored.startsWith('packs/'))) {
        flipByte(join(desk.cluster, key), 5000);
      }
      await expect(bench.verify('c')).rejects.toMatchObject({code: 'DAMAGE_FOUND'});
      const statement = `VERIFY c WITH (HEAL='${healFrom}')`;
      const [first] = await bench.backups('c');
      await killAtEachCall(
        place,
        statement,
        async () => {
          await desk.sqlWait(statement);
          await expectWhole(place, wanted);
          await expectRestored(place, old, first);
        },
        8,
      );
    },
    timeoutMs,
  );

  test(
    'an increment that merges deltas and small packs loses nothing when it is killed, and the next one merges them',
    async ({skip}) => {
      const place = await openPlace(schema);
      const {desk, bench, healFrom} = place;
      if (healFrom === undefined) return skip('tried in directories, because it takes long');
      await desk.sql(createIn(place.storage));
      await bench.backup('c', 'full');
      const images = new Map<string, unknown[]>();
      const packs = async () => (await place.storedKeys()).filter((key) => key.startsWith('packs/')).length;
      // The pack of the full backup is a large one. The next increment merges the others.
      const large = await packs();
      for (let n = 1; (await packs()) < large + smallPacks - 1; n++) {
        desk.exec(`UPDATE notes SET text = 'change ${n}', bytes = randomblob(40) WHERE id = ${n}`);
        images.set(await bench.backup('c', 'incremental'), rows(desk));
      }
      desk.exec("UPDATE notes SET text = 'the last' WHERE id % 50 = 0");
      const [before, after] = [[...images.values()].at(-1)!, rows(desk)];
      const sample = [...images].filter((_, at) => at % 30 === 0);
      const has = (await bench.backups('c')).length;
      await killAtEachCall(
        place,
        'BACKUP c INCREMENTAL',
        async () => {
          const isDone = (await bench.backups('c')).length > has;
          await expectWhole(place, isDone ? after : before);
          // A merge does not wait long for others, so that a busy machine may leave it to a later backup.
          for (let n = 0; n === 0 || (n < 5 && (await packs()) > 10); n++) await desk.sqlWait('BACKUP c INCREMENTAL');
          expect(await packs()).toBeLessThan(10);
          await expectWhole(place, after);
          for (const [backup, image] of sample) {
            await expectRestored(place, image, backup);
          }
        },
        8,
      );
    },
    timeoutMs,
  );

  test(
    'a copy killed at every store call leaves no half backup, and the next one ends it',
    async ({skip}) => {
      const place = await openPlace(schema);
      const {desk, bench, copy} = place;
      if (copy === undefined) return skip('tried on servers, because it takes long');
      await desk.sql(createIn(place.storage));
      await bench.backup('c', 'full');
      desk.exec("UPDATE notes SET text = 'changed' WHERE id % 30 = 0");
      await bench.backup('c', 'incremental');
      const wanted = rows(desk);
      const statement = `COPY BACKUP COLLECTION c TO '${copy.to}'`;
      await killAtEachCall(place, statement, async () => {
        await desk.sqlWait(statement);
        await bench.verify('c');
        expect(await copy.bench.backups('c')).toEqual(await bench.backups('c'));
        await expectWhole({desk, bench: copy.bench}, wanted);
      });
    },
    timeoutMs,
  );
}

/** The collections of this desk in its cluster directory. */
export async function clusterPlace(desk: Desk): Promise<CrashPlace> {
  return {
    desk,
    storage: 'cluster',
    env: {},
    bench: inProcess(desk),
    healFrom: `fs::root=${join(desk.folder, 'other')}`,
    storedKeys: async () => desk.storedKeys(),
    // Its directory is restored with the desk.
    keepStore: async () => async () => {},
  };
}

function keepDesk(desk: Desk): () => void {
  const parts = ['home', 'cluster', 'app.db', 'app.db-wal', 'app.db-shm'];
  const present = parts.filter((part) => desk.has(part));
  const kept = join(desk.folder, 'kept');
  const copy = (from: string, to: string) => {
    for (const part of present) cpSync(join(from, part), join(to, part), {recursive: true});
  };
  copy(desk.folder, kept);
  return () => {
    desk.remove(...parts);
    copy(kept, desk.folder);
  };
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at % bytes.length]! ^= 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

const rows = (desk: Desk, file?: string) => [
  ...desk.all('SELECT id, text, hex(bytes) AS bytes FROM notes ORDER BY id', file),
  ...desk.all('SELECT name, note FROM tags ORDER BY name', file),
];

async function expectWhole(place: Pick<CrashPlace, 'desk' | 'bench'>, expected: unknown[]): Promise<void> {
  await place.bench.verify('c');
  await expectRestored(place, expected);
}

/** @param backup default: the newest one */
async function expectRestored(
  {desk, bench}: Pick<CrashPlace, 'desk' | 'bench'>,
  expected: unknown[],
  backup?: string,
): Promise<void> {
  desk.remove('restored.db');
  const target = join(desk.folder, 'restored.db');
  await bench.restore('c', target, backup);
  expect(rows(desk, target), backup).toEqual(expected);
}

/** The records of both tables: rows would not test the way that backups take. */
async function expectRecords(bench: Bench, backup: string): Promise<void> {
  const {body} = await bench.vault((vault) => vault.manifest(`.backups/collections/c/${backup}/manifest`));
  const {tables} = body as unknown as {tables: readonly {layers: readonly {form?: string}[]}[]};
  expect(tables.map(({layers}) => layers[0]?.form)).toEqual(['records', 'records']);
}

async function expectAborted(desk: Desk, at: number): Promise<void> {
  const journal = openJournal({
    file: join(desk.home, 'journal.db'),
    logsDir: join(desk.home, 'logs'),
    nowMicros: () => Date.now() * 1000,
    processes: systemProcesses,
  });
  await journal.reap();
  const {state} = await journal.find({last: true});
  journal.close();
  expect(state, `killed at call ${at}`).toMatchObject({
    name: 'done',
    outcome: {status: 'ERROR', error: {status: 'ABORTED'}},
  });
}
