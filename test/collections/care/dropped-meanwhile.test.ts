import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, expect, test} from 'vitest';
import {compareWithSource, liveAfter, openBackup} from '../../../src/collections/index.ts';
import {openSource, type TableSource} from '../../../src/sources/index.ts';
import {changed} from '../../helpers/as-rows.ts';
import {collectDatabase, inProcess} from '../../helpers/in-process.ts';

// Applications drop tables at any time: while VERIFY restores the backup that it compares with the database, and
// between the listing of the tables and the snapshot.

const folder = mkdtempSync(join(tmpdir(), 'bkp-dropped-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));
const signal = new AbortController().signal;

/** A tracked database with a backup, and what drops its table `passing`. */
async function backedUp(name: string) {
  const database = join(folder, `${name}.db`);
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    db.exec(sql);
    db.close();
  };
  exec('CREATE TABLE passing (id INTEGER PRIMARY KEY); CREATE TABLE stays (id INTEGER PRIMARY KEY)');
  const bench = inProcess({database, cluster: join(folder, name)});
  await collectDatabase(bench);
  const backup = await bench.backup('c', 'full');
  exec('INSERT INTO stays VALUES (1), (2)');
  const source = await openSource({scheme: 'sqlite', path: database});
  return {bench, backup, source, drop: () => exec('DROP TABLE IF EXISTS passing')};
}

/** The source, in which the table is gone right after the tables were listed so many times. */
function droppingAfter(listings: number, source: TableSource, drop: () => void): TableSource {
  let left = listings;
  return changed(source, {
    describe: async (tables) => {
      const facts = await source.describe(tables);
      if (--left === 0) drop();
      return facts;
    },
  });
}

const compare = ({bench, backup, source}: Awaited<ReturnType<typeof backedUp>>, name: string, beside = () => {}) =>
  bench.vault(async (vault) => {
    const place = await openSource({scheme: 'sqlite', path: join(folder, `${name}-scratch.db`)});
    const scratch = changed(place, {
      stage: (...given) => {
        beside();
        return place.stage(...given);
      },
    });
    const author = {bkp: '0', node: '0', sqlite: '0', host: 'here', operation: 'verify/1'};
    const tools = {signal, author, vault, source, scratch, random: '01234567'};
    const silent = {nowMicros: () => Date.now() * 1000, progress: () => {}, notice: () => {}};
    return compareWithSource({...tools, ...silent}, {collection: 'c', backup});
  });

const withoutPassing = {
  rows: 2,
  report: {notChecked: expect.arrayContaining(['passing: not in the source any more.'])},
};

test('a table that is dropped while VERIFY restores the backup is not compared, the others are', async () => {
  const given = await backedUp('restoring');
  expect(await compare(given, 'restoring', given.drop)).toMatchObject(withoutPassing);
});

test('a table that is dropped before the snapshot of VERIFY is not compared, the others are', async () => {
  const given = await backedUp('listing');
  const source = droppingAfter(2, given.source, given.drop);
  expect(await compare({...given, source}, 'listing')).toMatchObject(withoutPassing);
});

test('a table that is dropped before the snapshot of a difference is not in the database', async () => {
  const given = await backedUp('difference');
  const source = droppingAfter(1, given.source, given.drop);
  await given.bench.vault(async (vault) => {
    const after = await liveAfter(await openBackup(vault, {collection: 'c', point: undefined}), {source, signal});
    expect([...after.tables.keys()]).toEqual(['stays']);
    await after.close();
  });
});
