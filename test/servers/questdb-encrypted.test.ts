import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {fetchQuestDb} from '../../scripts/questdb-jar.js';
import {runBkp} from '../helpers/bkp.ts';
import {readerPath} from '../reader/run.ts';
import {QuestDbServer} from './questdb-server.ts';
import {filesIn, leaksIn} from './secrets.ts';

// BACKUP DATABASE of a real QuestDB into an encrypted vault, and every way back.

const password = 'a password for the test of encrypted QuestDB';
/** In names and values of the database; none of them may be readable outside of it. */
const words = ['clandestine', 'whispered', 'concealed', 'undisclosed'];

let server: QuestDbServer;
beforeAll(async () => {
  server = await QuestDbServer.start();
  await server.sql(
    `CREATE TABLE clandestine (ts TIMESTAMP, sym SYMBOL INDEX, whispered VARCHAR, price DOUBLE, n LONG)
     TIMESTAMP(ts) PARTITION BY DAY WAL`,
  );
  await server.sql('CREATE TABLE "odd ünd" (ts TIMESTAMP, text STRING) TIMESTAMP(ts) PARTITION BY MONTH');
  await server.sql('CREATE MATERIALIZED VIEW daily AS (SELECT ts, sum(n) AS total FROM clandestine SAMPLE BY 1d)');
  await insert(0, 20_000);
  await server.sql(`INSERT INTO "odd ünd" VALUES ('2026-01-01', 'undisclosed'), ('2026-02-01', NULL)`);
  await server.applied();
});
afterAll(() => server.remove());

async function insert(after: number, count: number): Promise<void> {
  await server.sql(
    `INSERT INTO clandestine SELECT (1767225600000000L + (x + ${after}) * 20000000L)::TIMESTAMP,
     rnd_symbol('concealed', 'B', NULL), 'whispered ' || x, rnd_double(), x + ${after} FROM long_sequence(${count})`,
  );
}

/** All rows, and those that the index of a symbol finds. One after the other: the server allows two exports. */
async function contents(of: QuestDbServer): Promise<string[]> {
  const found: string[] = [];
  for (const from of ['clandestine', "clandestine WHERE sym = 'concealed'", '"odd ünd"'])
    found.push(await of.csv(`SELECT * FROM ${from}`));
  return found;
}

async function contentsOf(root: string): Promise<string[]> {
  const restored = await QuestDbServer.start({root});
  try {
    await restored.applied();
    return await contents(restored);
  } finally {
    await restored.remove();
  }
}

test('two backups in an encrypted vault come back on a server, and nothing of them can be read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-encrypted-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));
  const [home, store] = [join(folder, 'home'), join(folder, 'store')];
  const settings = {
    BKP_SOURCE: `questdb::root=${server.root};http=${server.url}`,
    BKP_STORE: `fs::root=${store}`,
    BKP_VERIFY_QUESTDB_COMMAND: `java -Xmx256m -p '${fetchQuestDb()}' -m io.questdb/io.questdb.ServerMain`,
  };
  const any = (args: string[], {at = home, env = {}}: {at?: string; env?: Record<string, string>} = {}) =>
    runBkp(args, {home: at, cwd: folder, env: {...settings, BKP_PASSWORD: password, ...env}});
  const bkp = async (...args: string[]) => {
    const result = await any(args);
    expect(result.status, `${args.join(' ')}: ${result.stderr}`).toBe(0);
    return result.stdout;
  };
  const rowsOf = (printed: string) =>
    printed
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  const backup = async () =>
    rowsOf(await bkp('sql', '--wait', '--format', 'json', 'BACKUP DATABASE'))[0].backup_timestamp as string;
  const stored = () => filesIn(store).reduce((sum, [, bytes]) => sum + bytes.length, 0);

  const first = {timestamp: await backup(), contents: await contents(server)};
  const firstBytes = stored();
  await insert(20_000, 100);
  await server.sql("INSERT INTO clandestine VALUES ('2026-01-02T00:00:01', 'late', 'whispered late', 1.5, -1)");
  await server.sql('ALTER TABLE clandestine ADD COLUMN extra INT');
  await server.sql("UPDATE clandestine SET extra = 7 WHERE ts IN '2026-01-03'");
  await server.sql(`INSERT INTO "odd ünd" VALUES ('2026-01-15', 'undisclosed too')`);
  await server.applied();
  const second = {timestamp: await backup(), contents: await contents(server)};
  expect(stored() - firstBytes).toBeLessThan(firstBytes);
  expect(second.contents).not.toEqual(first.contents);

  await bkp('sql', '--wait', 'VERIFY DATABASE');
  const checks = "SELECT count() = 20101 FROM clandestine;;SELECT count() FROM clandestine WHERE sym = ''late''";
  await bkp('sql', '--wait', `VERIFY DATABASE WITH (LEVEL='restore', CHECK_SQL='${checks}')`);
  const report = JSON.parse(await bkp('report', '--format', 'json'));
  expect(report).toMatchObject({outcome: 'passed', faults: [], queries: [{found: 'true'}, {found: '1'}]});
  expect(report.tables).toContainEqual({name: 'clandestine', rows: 20_101, expected: 20_101, content: 'equal'});

  // Neither the names nor the values are in the store, and the password is nowhere.
  expect(leaksIn([...words, password], filesIn(store))).toEqual([]);
  expect(leaksIn([password], filesIn(home))).toEqual([]);

  const root = (name: string) => join(folder, name);
  const refused = await any(['restore', '--root', root('refused'), '--wait'], {env: {BKP_PASSWORD: 'another'}});
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('this password opens no slot');

  // A new machine: the store and the password are enough.
  const away = await any(['restore', '--root', root('second'), '--wait'], {
    at: root('new-home'),
    env: {BKP_SOURCE: ''},
  });
  expect(away.status, away.stderr).toBe(0);
  expect(await contentsOf(root('second'))).toEqual(second.contents);
  await bkp(
    'sql',
    '--wait',
    `RESTORE DATABASE TABLE clandestine TO TIMESTAMP '${first.timestamp}' INTO '${root('one')}'`,
  );
  const one = await QuestDbServer.start({root: root('one')});
  onTestFinished(() => one.remove());
  await one.applied();
  expect(await one.csv('clandestine')).toBe(first.contents[0]);
  await one.remove();

  // Without bkp, from a copy of the store.
  cpSync(store, root('copy'), {recursive: true});
  const instance = rowsOf(await bkp('sql', '--format', 'json', 'SELECT backup_instance_name'))[0].backup_instance_name;
  const name = first.timestamp.replace(/[-:]/g, '');
  const read = await runBkp([root('copy'), `${instance}/${name}`, '--to', root('read')], {
    home,
    cwd: folder,
    env: {BKP_PASSWORD: password},
    file: readerPath,
  });
  expect(read.status, read.stderr).toBe(0);
  expect(await contentsOf(root('read'))).toEqual(first.contents);
});
