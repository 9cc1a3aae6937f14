import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();

test('a materialized view that had rows and stays empty is missing, in a restore and in a drill', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
    CREATE FUNCTION only_here(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      IF current_database() <> '${database.name}' THEN RAISE 'not in this database'; END IF; RETURN $1; END $$;
    CREATE MATERIALIZED VIEW sums AS SELECT public.only_here(id) AS id FROM public.t;
    CREATE MATERIALIZED VIEW plain AS SELECT id FROM t;
    CREATE MATERIALIZED VIEW never AS SELECT id FROM t WITH NO DATA`);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  const source = ['--source', addressOf(cluster(), target.name)];
  const planned = await done(...source, 'sql', '--format', 'json', "RESTORE c WITH (DRY_RUN='true')");
  expect(JSON.parse(planned).notices).toEqual([
    'the restore refreshes public.plain, public.sums, which a dry run does not try',
  ]);
  const missing =
    'the content of public.sums is missing: not in this database; REFRESH MATERIALIZED VIEW public.sums tries again';
  const restored = await desk.bkp(...source, 'sql', '--wait', 'RESTORE c');
  expect(restored.status).toBe(3);
  expect(`${restored.stdout}${restored.stderr}`.replaceAll(/\s+/gu, ' ')).toContain(missing);
  expect(await target.rows('t')).toEqual(['(1)']);
  expect(await target.rows('plain')).toEqual(['(1)']);
  const filled = "(SELECT relname, relispopulated FROM pg_class WHERE relkind = 'm')";
  expect(await target.rows(filled)).toEqual(['(never,f)', '(plain,t)', '(sums,f)']);
  const drill = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='restore')");
  expect(drill.status).toBe(3);
  expect(`${drill.stdout}${drill.stderr}`.replaceAll(/\s+/gu, ' ')).toContain(missing);
  expect((await done('report', 'c')).replaceAll(/\s+/gu, ' ')).toContain(
    'The content of public.sums is missing after a restore: not in this database',
  );
});
