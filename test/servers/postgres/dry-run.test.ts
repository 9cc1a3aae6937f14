import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();
const contrib = clusterOfFile('contrib');

const schema = `CREATE TYPE state AS ENUM ('new', 'paid'); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE customers (id int PRIMARY KEY, name text);
  CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, state state, n int DEFAULT one());
  CREATE INDEX by_state ON orders (state); CREATE VIEW paid AS SELECT id FROM orders WHERE state = 'paid';
  INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 50) g;
  INSERT INTO orders (customer, state) SELECT g % 50 + 1, 'paid' FROM generate_series(1, 200) g`;

const rowsAreCompared =
  'public.orders refers to public.customers: one of them is not restored, so the rows are compared at the end';

async function backedUp(sql: string, build = cluster) {
  const database = await build().create();
  onTestFinished(() => database.close());
  await database.exec(sql);
  const {desk, done} = openPostgresDesk(build(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  const dryRun = async (source: string, what = 'RESTORE c') => {
    const {status, stdout, stderr} = await desk.bkp(
      ...['--source', source, 'sql', '--format', 'json', `${what} WITH (DRY_RUN='true')`],
    );
    return {status, stderr, plan: stdout.startsWith('{') ? JSON.parse(stdout) : undefined};
  };
  return {desk, done, dryRun, database};
}

async function target(sql = 'SELECT 1', at = cluster) {
  const database = await at().create();
  onTestFinished(() => database.close());
  await database.exec(sql);
  return {database, source: addressOf(at(), database.name)};
}

test('what the target lacks is in the way in the words of the restore, and what is told comes', async () => {
  const {dryRun, desk} = await backedUp(schema);
  const {database, source} = await target("CREATE TYPE state AS ENUM ('new')");
  const {status, plan} = await dryRun(source);
  expect(status).toBe(12);
  expect(plan.possible).toBe(false);
  const message = 'the type public.state of the target lacks values of the backup';
  expect(plan.in_the_way.message).toBe(message);
  const restore = () => desk.bkp('--source', source, 'sql', '--wait', '--format', 'json', 'RESTORE c');
  expect((await restore()).stderr).toContain(message);
  await database.exec("ALTER TYPE state ADD VALUE 'paid'");
  const found = await dryRun(source);
  expect(found).toMatchObject({status: 0, plan: {possible: true, in_the_way: null, notices: []}});
  expect(await database.rows('(SELECT relname FROM pg_class WHERE relnamespace = $$public$$::regnamespace)')).toEqual(
    [],
  );
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp%')")).toEqual([]);
  expect((await restore()).status).toBe(0);
  const counts = await Promise.all(['customers', 'orders'].map((name) => database.rows(name)));
  const rows = plan.tables.map((table: {rows: number}) => table.rows);
  expect(counts.map(({length}) => length)).toEqual(rows);
});

test('an extension that the server does not have is in the way', async () => {
  const {dryRun} = await backedUp('CREATE EXTENSION citext; CREATE TABLE t (id int PRIMARY KEY, v citext)', contrib);
  const {source} = await target();
  const {status, plan} = await dryRun(source);
  expect(plan.in_the_way.message).toBe('the target server does not have the extension citext, which tables need');
  expect(status).toBe(12);
});

test('a database that does not exist, or in which a role may not create schemas, is named', async () => {
  const {dryRun, database} = await backedUp(schema);
  const absent = await dryRun(addressOf(cluster(), 'nowhere'));
  expect(absent.status).not.toBe(0);
  expect(absent.stderr).toContain('there is no database nowhere');
  const {source} = await target();
  await database.exec('CREATE ROLE weak LOGIN');
  const weak = await dryRun(source.replace('user=postgres', 'user=weak'));
  expect(weak.status).toBe(12);
  expect(weak.plan.in_the_way.message).toMatch(/^the role lacks a right on .*: permission denied for /u);
});

test('a table that others use for long stops neither the dry run nor its writers', async () => {
  const {dryRun, database} = await backedUp(schema);
  await database.exec('DROP TABLE orders CASCADE; DROP TYPE state');
  const writer = await cluster().client(database.name);
  onTestFinished(() => writer.end());
  await writer.query("BEGIN; INSERT INTO customers VALUES (99, 'new')");
  const {status, plan} = await dryRun(addressOf(cluster(), database.name), 'RESTORE c TABLE orders');
  expect(status).toBe(0);
  expect(plan.notices.join('\n')).toContain('was not free in time');
  await writer.query('COMMIT');
  const free = await dryRun(addressOf(cluster(), database.name), 'RESTORE c TABLE orders');
  expect(free.plan).toMatchObject({in_the_way: null, notices: [rowsAreCompared]});
});

test('a foreign key whose rows it cannot compare is named; one that cannot come is named once', async () => {
  const {dryRun, done} = await backedUp(schema);
  const {database, source} = await target(`CREATE TABLE customers (id int PRIMARY KEY);
    INSERT INTO customers VALUES (1); CREATE TYPE state AS ENUM ('new', 'paid')`);
  const what = 'RESTORE c TABLE orders';
  const found = await dryRun(source, what);
  expect(found.plan.notices).toEqual([rowsAreCompared]);
  const restored = await done('--source', source, 'sql', '--wait', what);
  expect(restored.replaceAll(/\s+/gu, ' ')).toContain('a foreign key of public.orders is not valid for all rows: ');
  await database.exec('DROP TABLE orders, customers');
  const {plan} = await dryRun(source, what);
  expect(plan.notices).toEqual([expect.stringMatching(/^left out of public\.orders: .* does not exist$/u)]);
  const again = (await done('--source', source, 'sql', '--wait', what)).replaceAll(/\s+/gu, ' ');
  expect(again).toContain('left out of public.orders: ');
  expect(again).not.toContain('is not valid for all rows');
});
