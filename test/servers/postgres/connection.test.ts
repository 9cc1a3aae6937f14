import {connect as connectSocket, createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {connect} from '../../../src/sources/postgres/connection/connect.ts';
import {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {resolveConnection} from '../../../src/sources/postgres/connection/resolve.ts';
import {fixSettings} from '../../../src/sources/postgres/connection/session.ts';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

async function connectionTo(database: string, more: Readonly<Record<string, string>> = {}): Promise<Connection> {
  const socket = join(cluster().folder, 's');
  const parameters = {host: socket, port: String(cluster().port), user: 'postgres', dbname: database, ...more};
  const connection = await connect(resolveConnection(parameters, {env: {}}), 'bkp test');
  onTestFinished(() => connection.close());
  return connection;
}

test('a statement whose server has forgotten the session fails, and one of a busy server does not', async () => {
  const facts = (await connectionTo('postgres')).facts;
  const quiet = async (isAlive: boolean) =>
    new Connection(await cluster().client('postgres'), facts, async () => isAlive, {quietMs: 100});
  await expect((await quiet(false)).rows('SELECT pg_sleep(20)')).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    retryable: true,
  });
  expect(await (await quiet(true)).value('SELECT 1 FROM pg_sleep(0.5)')).toBe('1');
});

test('a statement may be silent for a long time behind a pooler, which invents the numbers of sessions', async () => {
  const pooler = createServer((client) => {
    const server = connectSocket(cluster().port, '127.0.0.1');
    client.on('error', () => {}).pipe(server.on('error', () => {}));
    let isLoggedIn = false;
    server.on('data', (bytes: Buffer) => {
      // BackendKeyData: a type, the length 12, the number of the process, a secret.
      const at = isLoggedIn ? -1 : bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
      if (at !== -1) bytes.writeInt32BE(-480_538_566, at + 5);
      isLoggedIn ||= at !== -1;
      client.write(bytes);
    });
    server.on('close', () => client.end());
    client.on('close', () => server.destroy());
  });
  await new Promise<void>((done) => pooler.listen(0, '127.0.0.1', done));
  onTestFinished(() => void pooler.close());
  const {port} = pooler.address() as {port: number};
  const parameters = {host: '127.0.0.1', port: String(port), user: 'postgres', dbname: 'postgres'};
  const connection = await connect(resolveConnection(parameters, {env: {}}), 'bkp test', {quietMs: 300});
  onTestFinished(() => connection.close());
  expect(connection.pid).toBe(-480_538_566);
  expect(await connection.value('SELECT 1 FROM pg_sleep(2)')).toBe('1');
});

test('a session that an administrator ends fails with the reason', async () => {
  const connection = await connectionTo('postgres');
  const other = await connectionTo('postgres');
  const running = expect(connection.rows('SELECT pg_sleep(20)')).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    retryable: true,
  });
  await other.rows(`SELECT pg_terminate_backend(${connection.pid})`);
  await running;
  await expect(connection.rows('SELECT 1')).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
});

test('COPY hands over every row in order, however the network cuts it, and notices in between do no harm', async () => {
  const sent: Socket[] = [];
  // Passes on what the server sends in pieces of a few bytes.
  const proxy = createServer((client) => {
    const server = connectSocket(cluster().port, '127.0.0.1');
    sent.push(client, server);
    client.on('error', () => {}).pipe(server.on('error', () => {}));
    server.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 7) client.write(bytes.subarray(at, at + 7));
    });
    server.on('close', () => client.end());
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    for (const socket of sent) socket.destroy();
    proxy.close();
  });
  const {port} = proxy.address() as {port: number};
  const connection = await connectionTo('postgres', {host: '127.0.0.1', port: String(port)});
  await connection.run(`CREATE FUNCTION pg_temp.loud(n int) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN IF n % 50 = 0 THEN RAISE WARNING 'n is %', n; END IF; RETURN n; END $$`);
  const read: Buffer[] = [];
  const rows = await connection.copyOut(
    'COPY (SELECT pg_temp.loud(n), repeat(chr(10), n % 9) FROM generate_series(1, 2000) n) TO STDOUT',
    (bytes) => {
      read.push(Buffer.from(bytes));
      return read.length % 3 === 0 ? new Promise((done) => setImmediate(done)) : undefined;
    },
  );
  expect(rows).toBe(2000);
  const lines = Buffer.concat(read).toString().split('\n');
  expect(lines.slice(0, -1).map((line) => Number(line.split('\t')[0]))).toEqual(
    Array.from({length: 2000}, (_, at) => at + 1),
  );
});

test('settings of a role change no value', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE ROLE odd SUPERUSER LOGIN; ALTER ROLE odd SET extra_float_digits = -10;
    ALTER ROLE odd SET DateStyle = 'German'; ALTER ROLE odd SET IntervalStyle = 'sql_standard';
    ALTER ROLE odd SET bytea_output = 'escape'; ALTER ROLE odd SET TimeZone = 'Asia/Tokyo';
    ALTER ROLE odd SET search_path = 'nowhere'; ALTER ROLE odd SET statement_timeout = '1h'`);
  const connection = await connectionTo(database.name, {user: 'odd'});
  const values = await connection.transaction('BEGIN', async () => {
    await fixSettings(connection, {lockTimeoutSeconds: 5});
    return connection.value(`SELECT concat_ws('|', 0.1::float8 + 0.2::float8, '2026-11-27'::date,
      '1 year 2 days'::interval, '\\xff'::bytea, '2026-11-27 12:00+00'::timestamptz,
      current_setting('statement_timeout'))`);
  });
  expect(values).toBe('0.30000000000000004|2026-11-27|1 year 2 days|\\xff|2026-11-27 12:00:00+00|0');
});

test.each([
  [`''`, 'pg_catalog'],
  [`'', public`, 'pg_catalog, public'],
  [`"a,""b", '', "ä c"`, `pg_catalog, "a,""b", "ä c"`],
])('a role whose search path is %s can be used', async (path, wanted) => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`DROP ROLE IF EXISTS pathless; CREATE ROLE pathless SUPERUSER LOGIN`);
  await database.exec(`ALTER ROLE pathless SET search_path = ${path}`);
  const connection = await connectionTo(database.name, {user: 'pathless'});
  expect(await connection.value(`SELECT current_setting('search_path')`)).toBe(wanted);
});

test('row-level security that would hide rows is an error, not a smaller backup', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE t (id int PRIMARY KEY);
    INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id = 1)`);
  await expect(takeFull(database.as('reader'), {tables: ['t']})).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('row-level security'),
  });
});
