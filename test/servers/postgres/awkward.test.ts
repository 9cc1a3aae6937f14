import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test} from 'vitest';
import {postgresPrograms} from '../../../scripts/servers.js';
import {fillStaging, restore, takeFull} from '../../sources/layers.ts';
import {awkwardChanges, awkwardSchema, awkwardTables, untracked} from './awkward.ts';
import {type Cluster, clusterOfFile, type TestDatabase} from './cluster.ts';

const owner = 'collection-1';
const versions = {15: clusterOfFile(15), 16: clusterOfFile(16), 18: clusterOfFile(18)};

/** The statements of pg_dump, in any order. */
function schemaOf(cluster: Cluster, {name}: TestDatabase): readonly string[] {
  const program = join(postgresPrograms(18), 'pg_dump');
  const dump = execFileSync(program, ['-s', '-N', '_bkp', ...cluster.where, name], {encoding: 'utf8'});
  return dump
    .split(/;\n/u)
    .map((statement) => statement.replace(/^(?:--.*|\\.*|SET .*)?$\n?/gmu, '').trim())
    .filter((statement) => statement !== '' && !statement.includes('~bkp_'))
    .toSorted();
}

type Place = {cluster: Cluster; database: TestDatabase};

async function expectSame(target: Place, origin: Place): Promise<void> {
  for (const table of awkwardTables) {
    const only = table === 'public.part' ? table : `ONLY ${table}`;
    expect(await target.database.rows(only), table).toEqual(await origin.database.rows(only));
  }
  expect(schemaOf(target.cluster, target.database)).toEqual(schemaOf(origin.cluster, origin.database));
}

test.each([15, 16] as const)('a backup of PostgreSQL %i restores into a server of version 18', async (major) => {
  const [from, to] = [versions[major](), versions[18]()];
  const [database, target] = [await from.create(), await to.create()];
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(awkwardSchema);
  await restore(target.source, await takeFull(database.source, {tables: awkwardTables}));
  await expectSame({cluster: to, database: target}, {cluster: from, database});
});

test('a server that is older than the backup is named, also where it refuses what it does not know', async () => {
  const [database, target] = [await versions[18]().create(), await versions[15]().create()];
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1);
    CREATE TABLE newer (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL)`);
  const newer = await takeFull(database.source, {tables: ['public.newer']});
  await expect(restore(target.source, newer)).rejects.toMatchObject({
    cause: expect.stringContaining('the server is PostgreSQL 15, the backup is of 18'),
    next: expect.stringContaining('PostgreSQL 18 or newer'),
  });
  const notices: string[] = [];
  const staging = await fillStaging(target.source, await takeFull(database.source, {tables: ['public.plain']}));
  await staging.publish({notice: (text) => notices.push(text)});
  await staging.discard();
  expect(notices).toEqual([expect.stringMatching(/^the backup is of PostgreSQL 18 and the server is 15:/)]);
  expect(await target.rows('public.plain')).toEqual(['(1)']);
});

describe.each([15, 16, 18] as const)('tables of every kind, PostgreSQL %i', (major) => {
  const cluster = versions[major];

  async function filled(): Promise<TestDatabase> {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(awkwardSchema);
    return database;
  }

  test('a full backup restores every value and every statement of the schema', async () => {
    const database = await filled();
    const backup = await takeFull(database.source, {tables: awkwardTables});
    const target = await cluster().create();
    onTestFinished(() => target.close());
    await restore(target.source, backup);
    const place = {cluster: cluster(), database};
    await expectSame({...place, database: target}, place);
    expect(await target.rows("(SELECT nextval(pg_get_serial_sequence('a', 'id')))")).toEqual(
      await database.rows("(SELECT nextval(pg_get_serial_sequence('a', 'id')))"),
    );
  });

  test('an increment has changes of every kind, and begins a table again that was truncated', async () => {
    const database = await filled();
    const full = await takeFull(database.source, {tables: awkwardTables, track: {owner}, whole: untracked});
    await database.exec(awkwardChanges);
    const fingerprints = Object.fromEntries(
      full.schemas.filter(({name}) => !untracked.includes(name)).map(({name, fingerprint}) => [name, fingerprint]),
    );
    const anew: string[] = [];
    const snapshot = await database.source.snapshot({
      tables: awkwardTables,
      track: {owner},
      whole: untracked,
      since: {owner, mark: full.mark!, fingerprints},
      allRows: (table) => anew.push(table),
    });
    const kinds = new Map<string, string>();
    for (const {name} of snapshot.schemas) {
      if (untracked.includes(name)) continue;
      const changes = await snapshot.changes(name, full.mark!);
      kinds.set(name, changes === 'rebase' ? 'rebase' : changes.logged === 0 ? 'same' : 'delta');
    }
    await snapshot.close();
    expect(Object.fromEntries(kinds)).toEqual({
      '"We ird"."T ä""x"': 'delta',
      'public.a': 'delta',
      'public.child': 'delta',
      'public.generated': 'delta',
      'public."order"': 'delta',
      'public.parent': 'rebase',
      'public.part': 'delta',
    });
    expect(anew).toEqual(['public.parent']);
  });
});
