import {copyFileSync, existsSync, readdirSync, statSync, truncateSync, unlinkSync, writeFileSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {join} from 'node:path';
import {expect, onTestFinished, test, vi} from 'vitest';
import type {Staging} from '../../src/sources/index.ts';
import {IndexBuilder} from '../../src/sources/sqlite/restore/index-builder.ts';
import {IndexProgress, takeOverIndexes} from '../../src/sources/sqlite/restore/index-progress.ts';
import {StagingFile} from '../../src/sources/sqlite/restore/staging-file.ts';
import {type IndexState, readRecord} from '../../src/sources/sqlite/restore/staging-record.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';
import type {Backup} from '../sources/layers.ts';
import {begin, loadBases, stepsOf} from '../sources/sqlite/continuing.ts';
import {Database, filesIn, folder, full, increment} from '../sources/sqlite/database.ts';

// A restore that is interrupted while it builds indexes, or after. The files that a killed process leaves are those
// that it has at that moment.

const schema = (rows: number) => `
  CREATE TABLE big (id INTEGER PRIMARY KEY, txt TEXT UNIQUE, more, n);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO big SELECT i, 'order ' || (i * 7919 % ${rows}) || hex(randomblob(300)), i % 7, i / 2 FROM n;
  CREATE TABLE keyed (name TEXT COLLATE NOCASE PRIMARY KEY, value);
  INSERT INTO keyed SELECT 'key ' || id, n FROM big;
  CREATE TABLE bare (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID;
  INSERT INTO bare SELECT id, id % 10 FROM big;
  CREATE INDEX large ON big (txt, id);
  CREATE INDEX computed ON big (length(txt) + id);
  CREATE INDEX part ON big (more) WHERE more > 3;
  CREATE INDEX wide ON big (n);
  CREATE INDEX of_keyed ON keyed (value, name);`;
const tables = ['big', 'keyed', 'bare'];
const indexes = 7;

/** Gives an index a statement that its rows do not allow. */
function edit({db}: Database, index: string, sql: string): void {
  db.enableDefensive(false);
  db.exec('PRAGMA writable_schema = ON');
  db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(sql, index);
  db.exec('PRAGMA writable_schema = RESET');
}

async function chain({form, rows = 900}: {form?: 'rows' | undefined; rows?: number} = {}) {
  const database = new Database(schema(rows));
  const base = await full(database, tables, undefined, form);
  database.exec('UPDATE big SET more = more + 1 WHERE id % 3 = 0; DELETE FROM keyed WHERE value % 2 = 0');
  database.exec('DELETE FROM bare WHERE a % 2 = 0');
  return {database, backup: await increment(database, base, form)};
}

function watchBuilds(): {count: () => number} {
  const built = vi.spyOn(IndexBuilder.prototype, 'build');
  onTestFinished(() => built.mockRestore());
  return {count: () => built.mock.calls.length};
}

const recordOf = (place: string, id: string) => readRecord(join(place, `app.db.bkp-stage-${id}`));

function copied(place: string): string {
  const copy = folder();
  for (const name of readdirSync(place)) copyFileSync(join(place, name), join(copy, name));
  return copy;
}

/** Loads all, and calls `at` whenever the restore tells a step of its last phases. */
async function loadAndFinish(
  staging: Staging,
  backup: Backup,
  at: (phase: string) => void = () => {},
): Promise<{loaded: number; notices: string[]}> {
  const notices: string[] = [];
  const loaded = await loadBases(staging, backup);
  const steps = stepsOf(backup).slice(staging.applied!().length);
  for (const step of steps) await step(staging);
  await staging.finish({check: 'full', progress: at, notice: (text) => notices.push(text)});
  return {loaded: loaded + steps.length, notices};
}

/** The places of a restore, as a kill in each step of its last phases leaves them. */
async function killedPlaces(backup: Backup, checkpointBytes: number): Promise<{place: string; phase: string}[]> {
  const place = folder();
  const staging = await begin(join(place, 'app.db'), 'one', backup, checkpointBytes);
  const places: {place: string; phase: string}[] = [];
  await loadAndFinish(staging, backup, (phase) => places.push({place: copied(place), phase}));
  places.push({place: copied(place), phase: 'Publish'});
  await staging.discard();
  return places;
}

async function continues(
  place: string,
  {database, backup}: {database?: Database; backup: Backup},
): Promise<{loaded: number; notices: string[]}> {
  const path = join(place, 'app.db');
  const staging = await begin(path, 'two', backup, 1);
  const finished = await loadAndFinish(staging, backup);
  await staging.publish({});
  if (database !== undefined) expectSame(path, database.path, tables);
  expect(filesIn(place).filter((name) => name.includes('two'))).toEqual([]);
  return finished;
}

for (const form of [undefined, 'rows'] as const) {
  test(`a restore killed while it builds indexes builds none of them again (${form ?? 'records'})`, async () => {
    const made = await chain({form});
    const builds = watchBuilds();
    const places = await killedPlaces(made.backup, 1);
    expect(builds.count()).toBe(indexes);
    const seen = new Set<number>();
    for (const {place, phase} of places) {
      const record = recordOf(place, 'one')!;
      const done = record.indexes?.built.length ?? 0;
      if (phase !== 'Indexes') expect(done, phase).toBe(indexes);
      seen.add(done);
      const before = builds.count();
      const {loaded} = await continues(place, made);
      // At the first step of the phase, the last changes may not be in the file yet.
      if (record.indexes !== undefined) expect(loaded, phase).toBe(0);
      expect(builds.count() - before, phase).toBe(indexes - done);
      expect(filesIn(place)).toEqual(['app.db']);
    }
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
}

test('a restore into an existing database goes on too', async () => {
  const made = await chain();
  const places = await killedPlaces(made.backup, 1);
  const builds = watchBuilds();
  for (const {place, phase} of [places[6]!, places.at(-1)!]) {
    new Database('CREATE TABLE mine (x)', {path: join(place, 'app.db')}).close();
    const done = recordOf(place, 'one')!.indexes!.built.length;
    expect(done, phase).toBeGreaterThan(0);
    const before = builds.count();
    const {loaded} = await continues(place, made);
    expect({loaded, built: builds.count() - before}).toEqual({loaded: 0, built: indexes - done});
  }
});

/** In the midst of a transaction that has written to the file already. */
async function midst(): Promise<{made: {database: Database; backup: Backup}; place: string; staged: string}> {
  const made = await chain({rows: 18_000});
  const [first] = (await killedPlaces(made.backup, 1)).filter(({place}) => recordOf(place, 'one')?.indexes);
  // More than the rows of one table have, so that a group has two of its indexes.
  const loaded = recordOf(first!.place, 'one')!.loaded.reduce((sum, [, bytes]) => sum + bytes, 0);
  const places = await killedPlaces(made.backup, loaded);
  const sizes = places.map(({place}) => statSync(join(place, 'app.db.bkp-stage-one')).size);
  const {place} = places[sizes.findIndex((size) => size > sizes[0]! + 1_000_000)]!;
  return {made, place, staged: join(place, 'app.db.bkp-stage-one')};
}

/** @param damages of the file that was left */
async function expectAnew(
  place: string,
  made: {database: Database; backup: Backup},
  damages: Readonly<Record<string, (staged: string) => void>>,
): Promise<void> {
  for (const [damage, make] of Object.entries(damages)) {
    const copy = copied(place);
    const staged = join(copy, 'app.db.bkp-stage-one');
    make(staged);
    const {loaded} = await continues(copy, made);
    expect(loaded, damage).toBeGreaterThan(0);
    expect(existsSync(staged), damage).toBe(false);
  }
}

test('what a kill or a loss of power leaves of an unfinished group is undone', async () => {
  const {made, place, staged} = await midst();
  const {indexes: noted} = recordOf(place, 'one')!;
  expect(noted).toMatchObject({isWriting: true, built: []});
  expect(statSync(staged).size).toBeGreaterThan(noted!.bytes);
  for (const power of [false, true]) {
    const copy = copied(place);
    if (power) {
      // No page after those that count was synced.
      const file = await open(join(copy, 'app.db.bkp-stage-one'), 'r+');
      await file.write(Buffer.alloc(statSync(staged).size - noted!.bytes, 0xa5), {position: noted!.bytes});
      await file.close();
    }
    expect(await continues(copy, made)).toMatchObject({loaded: 0});
    expect(filesIn(copy)).toEqual(['app.db']);
  }
  await expectAnew(place, made, {
    'no journal': (path) => unlinkSync(`${path}-journal`),
    'an empty journal': (path) => truncateSync(`${path}-journal`, 0),
    'another program rolled back, and wrote': (path) => new Database('DELETE FROM bare', {path}).close(),
  });
});

test('a file that something else has written to is not continued', async () => {
  const made = await chain();
  const {place} = (await killedPlaces(made.backup, 1)).at(-1)!;
  await expectAnew(place, made, {
    'another program wrote': (path) => new Database('UPDATE big SET n = n + 1', {path}).close(),
    'another program wrote what was there': (path) => new Database('UPDATE big SET n = n WHERE id = 1', {path}).close(),
    'another mode': (path) => new Database('PRAGMA journal_mode = WAL', {path}).close(),
    'cut off': (path) => truncateSync(path, statSync(path).size - 4096),
    longer: (path) => truncateSync(path, statSync(path).size + 4096),
    'no bytes': (path) => writeFileSync(path, ''),
  });
});

test('what building an index told is told by the one that continues, too', async () => {
  const database = new Database(schema(900));
  edit(database, 'wide', 'CREATE UNIQUE INDEX wide ON big (n)');
  edit(database, 'computed', 'CREATE INDEX computed ON big (abs(id - 9223372036854775807 - 2))');
  const base = await full(database, tables);
  database.exec('UPDATE big SET more = 0 WHERE id % 2 = 0');
  const backup = await increment(database, base);
  const builds = watchBuilds();
  const told: string[][] = [];
  for (const {place, phase} of await killedPlaces(backup, 1)) {
    const before = builds.count();
    const {notices} = await continues(place, {backup});
    told.push(notices.toSorted());
    if (phase !== 'Indexes') expect(builds.count() - before).toBe(0);
    const restored = new Database('', {path: join(place, 'app.db')});
    expect(restored.value(`SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('wide', 'computed')`)).toBe(
      'wide',
    );
    expect(restored.value('SELECT count(*) FROM big INDEXED BY wide WHERE n >= 0')).toBe(900);
    restored.close();
  }
  expect(told[0]).toEqual(
    expect.arrayContaining([
      expect.stringContaining('an index of big is left out'),
      expect.stringContaining('violate its own UNIQUE'),
    ]),
  );
  for (const notices of told) expect(notices).toEqual(told[0]);
});

test('a file is taken in the state that its note says, or not at all', async () => {
  const place = folder();
  const file = new StagingFile(join(place, 'left'), {});
  file.connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
  for (let n = 0; n < 50; n++) file.connection.exec('INSERT INTO t (v) VALUES (randomblob(900))');
  file.close();
  let noted: IndexState | undefined;
  const states: {path: string; state: IndexState | undefined}[] = [];
  const save = async (state: IndexState) => {
    // Before a note is replaced, and after.
    states.push({path: copied(place), state: noted});
    noted = state;
    states.push({path: copied(place), state});
  };
  const progress = new IndexProgress(file, {everyBytes: 1, save, report: () => ({notices: [], lost: []})});
  await progress.begin(() => file.connection.exec('CREATE INDEX landed ON t (id)'));
  for (const name of ['one', 'two']) {
    await progress.build(name, 1, () => file.connection.exec(`CREATE INDEX ${name} ON t (v)`));
  }
  await progress.end();
  file.close();
  const taken = states.map(({path, state}) => {
    const fresh = join(path, 'fresh');
    if (state === undefined || !takeOverIndexes(fresh, join(path, 'left'), state)) return undefined;
    const database = new Database('', {path: fresh});
    expect(database.value('PRAGMA integrity_check')).toBe('ok');
    expect(database.value('SELECT count(*) FROM t')).toBe(50);
    const names = String(database.value(`SELECT group_concat(name) FROM sqlite_schema WHERE type = 'index'`) ?? '');
    database.close();
    expect(names).toBe(state.isLanded ? ['landed', ...state.built].join() : '');
    return state.built.length;
  });
  // Between the end of a transaction and its note, nothing says which state the file is in.
  expect(taken).toEqual([undefined, 0, undefined, 0, undefined, 1, undefined, 2, undefined, 2]);
});
