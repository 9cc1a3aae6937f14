import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {clusterOfFile} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();
const guide = readFileSync(join(import.meta.dirname, '../../../docs/postgresql.md'), 'utf8');

const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gmsu'))].map(([, text]) => text!);

/** Arguments of a command line as the guide writes it. */
const wordsOf = (line: string) => [...line.matchAll(/"([^"]*)"|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain!);

test('the commands of the guide do what it says, typed as they are, against a fresh server', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec('CREATE DATABASE shop');
  await database.exec('CREATE DATABASE scratch');
  const shop = database.named('shop');
  const scratch = database.named('scratch');
  onTestFinished(async () => {
    await shop.close();
    await scratch.close();
  });
  await shop.exec(`CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app; CREATE SCHEMA billing AUTHORIZATION app;
    SET ROLE app; CREATE TABLE orders (id int PRIMARY KEY, total numeric);
    CREATE TABLE billing.cards (id int PRIMARY KEY, "order" int REFERENCES orders);
    INSERT INTO orders SELECT g, g FROM generate_series(1, 100) g;
    INSERT INTO billing.cards VALUES (1, 1); RESET ROLE`);
  const [rights] = blocks('sql');
  await shop.exec(rights!);

  // The names of the guide lead to the server of the test.
  const desk = openDesk(undefined, {
    ...{BKP_SOURCE: '', PGHOSTADDR: '127.0.0.1', PGPORT: String(cluster().port), PGUSER: 'postgres'},
    PATH: `${cluster().clientBin}:${process.env.PATH}`,
  });
  const type = async (line: string) => {
    const result = await desk.bkp(...wordsOf(line).slice(1));
    expect(result, `${line}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
    return `${result.stdout}${result.stderr}`;
  };
  const lines = blocks('sh').flatMap((text) => text.split('\n').filter((line) => line.startsWith('bkp ')));
  expect(lines).toHaveLength(6);
  for (const line of lines) await type(line);
  expect(await scratch.rows('orders')).toEqual(await shop.rows('orders'));
  expect(await scratch.rows('billing.cards')).toEqual(['(1,1)']);

  const named = (beginning: string) => {
    const found = [...guide.matchAll(/`([^`]*)`/gu)].find(([, text]) => text!.startsWith(beginning));
    return found![1]!;
  };
  await shop.exec('DELETE FROM orders WHERE id > 1');
  await type(`bkp sql --wait "${named('RESTORE shop TABLE')}"`);
  expect(await shop.rows('orders_before')).toHaveLength(100);
  await type(named('bkp --source postgres://localhost/postgres sql --wait "VERIFY'));
  await type(`bkp sql "${named('ALTER BACKUP COLLECTION shop SET')}"`);
  expect(await shop.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
});

test('everything around a collection of PostgreSQL works: lists, copies, retention, schedule, metrics', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)');
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  const backups = async () => (await done('sql', '--format', 'json', 'SHOW BACKUPS IN c')).trim().split('\n');
  for (const id of [2, 3]) {
    await done('sql', '--wait', 'BACKUP c');
    await database.exec(`INSERT INTO orders VALUES (${id})`);
    await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  }
  expect(await done('sql', 'SHOW BACKUP COLLECTIONS')).toMatch(/\bc\b/u);
  expect(await backups()).toHaveLength(4);
  await done('sql', '--wait', 'VERIFY c');
  expect(await done('metrics')).toMatch(/bkp_.*collection="c"/u);
  expect(await done('doctor')).toContain('PostgreSQL 18');
  await done('sql', '--wait', `COPY BACKUP COLLECTION c TO 'fs::root=${join(desk.folder, 'copies')}'`);
  expect(desk.has('copies')).toBe(true);
  await done('sql', "ALTER BACKUP COLLECTION c SET (KEEP_LAST='1', SCHEDULE='* * * * *')");
  expect(await done('schedule', 'next')).toContain('c');
  expect(await done('retention', 'plan')).toContain('one of the newest 1');
  await expect
    .poll(
      async () => {
        await done('scheduler', '--once');
        return (await backups()).length;
      },
      {timeout: 150_000, interval: 5000},
    )
    .toBeLessThan(4);
  expect(await done('__complete', '--', 'diff', 'c', '--table', '')).toBe('public.orders\n');
});
