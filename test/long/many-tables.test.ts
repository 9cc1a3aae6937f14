import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {openSource} from '../../src/sources/index.ts';

/** CPU time of the snapshot of an increment, and of knowing what is in the database. */
async function costOf(tables: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-many-'));
  const path = join(folder, 'app.db');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN');
  for (let n = 0; n < tables; n++) db.exec(`CREATE TABLE t${n} (id INTEGER PRIMARY KEY, a UNIQUE)`);
  db.exec('COMMIT');
  db.close();
  const source = await openSource({scheme: 'sqlite', path});
  const names = (await source.describe('all')).map(({name}) => name);
  const options = {tables: names, known: names, signal: new AbortController().signal, track: {owner: 'o'}};
  const first = await source.snapshot(options);
  const mark = first.mark!;
  const fingerprints = Object.fromEntries(first.schemas.map(({name, fingerprint}) => [name, fingerprint]));
  await first.close();
  const before = process.cpuUsage();
  await source.describe('all');
  await source.leftBehind('all');
  const next = await source.snapshot({...options, since: {owner: 'o', mark, fingerprints}});
  for (const name of names) await next.changes(name, mark);
  await next.close();
  await source.acknowledge('o', next.mark!);
  expect(await source.tracking()).toMatchObject([{tables: {length: tables}}]);
  expect(await source.brokenTracking()).toEqual([]);
  const {user, system} = process.cpuUsage(before);
  await source.close();
  rmSync(folder, {recursive: true, force: true});
  return user + system;
}

test('a timer fires while many tables are described', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-many-'));
  const path = join(folder, 'app.db');
  const db = new DatabaseSync(path);
  db.exec('BEGIN');
  for (let n = 0; n < 200; n++) db.exec(`CREATE TABLE t${n} (id INTEGER PRIMARY KEY, a UNIQUE)`);
  db.exec('COMMIT');
  db.close();
  const source = await openSource({scheme: 'sqlite', path});
  for (const work of [() => source.describe('all'), () => source.leftBehind('all')]) {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await work();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  }
  await source.close();
  rmSync(folder, {recursive: true, force: true});
});

test('an increment of four times the tables costs about four times as much', async () => {
  await costOf(50);
  const [few, many] = [await costOf(150), await costOf(600)];
  // Ten times and more while each table read the complete schema.
  expect(many / few).toBeLessThan(6.5);
}, 300_000);
