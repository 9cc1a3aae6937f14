import {expect, onTestFinished, test} from 'vitest';
import {merge, restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

// Rows that a policy hides must never be missing without a word.

const cluster = clusterOfFile();
let roles = 0;

/** Tables of a role that is neither a superuser nor has BYPASSRLS, and an empty database where it may create. */
async function owned(force: string) {
  const app = `app_${++roles}`;
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE ROLE ${app} LOGIN CREATEDB; GRANT CREATE ON SCHEMA public TO ${app}; SET ROLE ${app};
     CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
     CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain VALUES (1, 'a'), (2, 'b');
     CREATE TABLE named (id int PRIMARY KEY, r regclass, g int GENERATED ALWAYS AS (f(id)) STORED,
       n int REFERENCES plain);
     INSERT INTO named (id, r, n) VALUES (1, 'plain', 1), (2, 'named', 2);
     ALTER TABLE plain ENABLE ROW LEVEL SECURITY; ALTER TABLE named ENABLE ROW LEVEL SECURITY;
     ${force === '' ? '' : 'ALTER TABLE plain FORCE ROW LEVEL SECURITY; ALTER TABLE named FORCE ROW LEVEL SECURITY;'}
     CREATE POLICY one ON plain USING (id = 1); CREATE POLICY one ON named USING (id = 1); RESET ROLE`,
  );
  await target.exec(`GRANT CREATE ON SCHEMA public TO ${app}; GRANT CREATE ON DATABASE ${target.name} TO ${app}`);
  await database.exec(`GRANT CREATE ON DATABASE ${database.name} TO ${app}`);
  const tables = ['public.named', 'public.plain'];
  const backup = await takeFull(database.source, {tables});
  const as = (one: typeof database) => {
    const source = one.as(app);
    onTestFinished(() => source.close());
    return source;
  };
  return {app, database, target, tables, backup, as};
}

test.each(['', 'forced'])('a role whose rows policies hide restores all of them (%s)', async (force) => {
  const {database, target, tables, backup, as} = await owned(force);
  await restore(as(target), backup);
  for (const table of tables) expect(await target.rows(table)).toEqual(await database.rows(table));
  const security =
    '(SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = $$r$$ AND relrowsecurity)';
  expect(await target.rows(security)).toEqual(await database.rows(security));
});

test.each(['', 'forced'])('MODE brings back rows that policies hide, or refuses (%s)', async (force) => {
  const {database, tables, backup, as} = await owned(force);
  const before = await Promise.all(tables.map((table) => database.rows(table)));
  await database.exec("UPDATE plain SET v = 'x'; DELETE FROM named; INSERT INTO plain VALUES (3, 'new')");
  const damaged = await Promise.all(tables.map((table) => database.rows(table)));
  const merged = merge(as(database), backup, 'replace');
  if (force === '') {
    await merged;
    expect(await Promise.all(tables.map((table) => database.rows(table)))).toEqual(before);
    return;
  }
  await expect(merged).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringMatching(
      /^row-level security would hide rows of public\.named, public\.plain in .* from the role$/u,
    ),
    next: expect.stringMatching(/BYPASSRLS.* NO FORCE ROW LEVEL SECURITY/u),
  });
  expect(await Promise.all(tables.map((table) => database.rows(table)))).toEqual(damaged);
});

test('VERIFY sees rows that policies hide, or refuses', async () => {
  const {app, database} = await owned('forced');
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  const verified = async (by: string, level: string, more = '') => {
    const statement = `VERIFY c WITH (LEVEL='${level}'${more})`;
    const address = addressOf(cluster(), database.name, by);
    const {status, stderr} = await desk.bkp('--source', address, 'sql', '--wait', statement);
    return {status, text: stderr.replaceAll(/\s+/gu, ' ')};
  };
  await database.exec(`UPDATE plain SET v = 'seen' WHERE id = 2;
    CREATE ROLE ${app}_by LOGIN CREATEDB BYPASSRLS IN ROLE ${app}; GRANT USAGE ON SCHEMA _bkp TO ${app}, ${app}_by;
    GRANT SELECT ON ALL TABLES IN SCHEMA _bkp TO ${app}, ${app}_by`);
  const asked = ", CHECK_SQL='SELECT count(*) = 2 FROM plain'";
  expect(await verified(app, 'source')).toMatchObject({
    status: 12,
    text: expect.stringMatching(/row-level security would hide rows of "plain" in .* BYPASSRLS/u),
  });
  // The rows are there, and the query of this role cannot see them.
  expect(await verified(app, 'restore', asked)).toMatchObject({
    status: 13,
    text: expect.stringMatching(/the query does not hold: .* row-level security would hide rows of "plain"/u),
  });
  expect(await verified(app, 'restore')).toMatchObject({status: 0});
  expect(await verified(`${app}_by`, 'source')).toMatchObject({status: 0});
  expect(await verified(`${app}_by`, 'restore', asked)).toMatchObject({status: 0});
  await database.exec(`UPDATE plain SET v = 'hidden' WHERE id = 2; SET _bkp.trim = on;
    DO $$ BEGIN EXECUTE 'DELETE FROM _bkp.log_' || 'plain'::regclass::oid; END $$; RESET _bkp.trim`);
  expect(await verified(`${app}_by`, 'source')).toMatchObject({
    status: 13,
    text: expect.stringContaining('public.plain: 1 row with other values (2)'),
  });
});

test('rules that do something instead keep no row from coming back', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE TABLE t (id int PRIMARY KEY, v text, r regclass); INSERT INTO t VALUES (1, 'a', 't'), (2, 'b', NULL);
     CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT;
     INSERT INTO p VALUES (1, 'a'), (2, 'b');
     CREATE RULE i AS ON INSERT TO t DO INSTEAD NOTHING; CREATE RULE u AS ON UPDATE TO t DO INSTEAD NOTHING;
     CREATE RULE d AS ON DELETE TO t DO INSTEAD NOTHING;
     CREATE RULE w AS ON INSERT TO p WHERE id = 2 DO INSTEAD NOTHING;
     CREATE RULE i1 AS ON INSERT TO p1 DO INSTEAD NOTHING;
     CREATE RULE r AS ON INSERT TO p DO INSTEAD NOTHING; ALTER TABLE p ENABLE REPLICA RULE r`,
  );
  const tables = ['public.p', 'public.t'];
  const backup = await takeFull(database.source, {tables});
  const [p, t] = [await database.rows('p'), await database.rows('t')];
  const damage = `ALTER TABLE t DISABLE RULE i; ALTER TABLE t DISABLE RULE u; ALTER TABLE t DISABLE RULE d;
    UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'new');
    ALTER TABLE t ENABLE RULE i; ALTER TABLE t ENABLE RULE u; ALTER TABLE t ENABLE ALWAYS RULE d;
    DELETE FROM p WHERE id = 2; UPDATE p SET v = 'x'`;
  await database.exec(damage);
  await merge(database.source, backup, 'replace');
  expect([await database.rows('p'), await database.rows('t')]).toEqual([p, t]);
  await restore(target.source, backup);
  expect([await target.rows('p'), await target.rows('t')]).toEqual([p, t]);
  // Of the role or the database.
  await database.exec(`${damage};
    CREATE ROLE replaying SUPERUSER LOGIN; CREATE ROLE replaying_no LOGIN IN ROLE postgres;
    ALTER ROLE replaying SET session_replication_role = replica;
    ALTER ROLE replaying_no SET session_replication_role = replica;
    GRANT CREATE ON DATABASE ${database.name} TO replaying_no`);
  const as = (role: string) => {
    const source = database.as(role);
    onTestFinished(() => source.close());
    return source;
  };
  await expect(merge(as('replaying_no'), backup, 'replace')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('session_replication_role is replica'),
  });
  await merge(as('replaying'), backup, 'replace');
  expect([await database.rows('p'), await database.rows('t')]).toEqual([p, t]);
});
