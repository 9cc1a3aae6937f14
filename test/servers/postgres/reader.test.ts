import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {read} from '../../reader/run.ts';
import {awkwardChanges, awkwardSchema, awkwardTables} from './awkward.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

async function openCollection(sql: string) {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(sql);
  const where = `host=${join(cluster().folder, 's')} port=${cluster().port} user=postgres`;
  const desk = openDesk(undefined, {
    BKP_SOURCE: `${where} dbname=${database.name}`,
    PATH: `${cluster().bin}:${process.env.PATH}`,
  });
  const done = async (...args: string[]) => {
    const result = await desk.bkp(...args);
    expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
  };
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  return {database, desk, done};
}

async function loadScript(script: string) {
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const options = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...cluster().where, '-d', target.name];
  execFileSync(join(cluster().bin, 'psql'), [...options, '-f', script], {stdio: 'pipe'});
  return target;
}

test('psql restores a full backup and an increment from the script that bkp-reader writes', async () => {
  const {database, desk, done} = await openCollection(awkwardSchema);
  const expectRestored = async (file: string) => {
    const script = join(desk.folder, file);
    const run = read(desk.cluster, 'c', '--to', script);
    expect(run, run.stderr).toMatchObject({status: 0});
    const target = await loadScript(script);
    for (const table of awkwardTables) {
      const only = table === 'public.part' ? table : `ONLY ${table}`;
      expect(await target.rows(only), table).toEqual(await database.rows(only));
    }
  };
  await expectRestored('full.sql');
  await database.exec(awkwardChanges);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  await expectRestored('increment.sql');
});

/** A child whose columns a script creates in another order, a table without columns, and a function of a row type. */
const entangled = `CREATE TABLE p (id int PRIMARY KEY, a text);
  CREATE TABLE t (own text, PRIMARY KEY (id)) INHERITS (p); ALTER TABLE p ADD late text; ALTER TABLE t ADD b text;
  ALTER TABLE p ADD later text;
  INSERT INTO t (id, a, own, late, b, later)
    SELECT g, 'a' || g, 'own' || g, 'late' || g, 'b' || g, 'later' || g FROM generate_series(1, 9) g;
  CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES;
  CREATE FUNCTION twice(p) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT ($1).id * 2; END;
  CREATE TABLE u (id int PRIMARY KEY, x p, y int CHECK (y = twice(x)));
  INSERT INTO u VALUES (1, ROW (3, 'c', NULL, NULL), 6);
  CREATE FUNCTION half(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2';
  CREATE TABLE g (id int, half int GENERATED ALWAYS AS (half(id)) STORED, v text, PRIMARY KEY (half, id));
  INSERT INTO g (id, v) SELECT g, 'v' || g FROM generate_series(1, 9) g`;
const tables = ['p', 't', 'bare', 'u', 'g'];
const values = (table: string) => `(SELECT to_jsonb(t) FROM ONLY ${table} t ORDER BY to_jsonb(t))`;

test('scripts bring values into their columns, and functions where tables need them', async () => {
  const {database, desk, done} = await openCollection(entangled);
  const expectRestored = async (script: string) => {
    const target = await loadScript(script);
    for (const table of tables) {
      expect(await target.rows(values(table)), table).toEqual(await database.rows(values(table)));
    }
  };
  for (const file of ['full', 'increment']) {
    const [byReader, byExport] = [join(desk.folder, `${file}-reader.sql`), join(desk.folder, `${file}.sql`)];
    const run = read(desk.cluster, 'c', '--to', byReader);
    expect(run, run.stderr).toMatchObject({status: 0});
    await expectRestored(byReader);
    await done('export', 'c', byExport);
    await expectRestored(byExport);
    await database.exec(`UPDATE t SET own = 'new', b = 'other' WHERE id < 4; DELETE FROM t WHERE id = 9;
      UPDATE g SET id = id + 10 WHERE id < 4; DELETE FROM g WHERE id = 9`);
    await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  }
});
