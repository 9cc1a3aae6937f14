import {expect, test} from 'vitest';
import {merge, restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

const cluster = clusterOfFile();

test('an event trigger of the target that adds columns is named, and the backup is not called damaged', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE TABLE p (id int, v int); INSERT INTO p VALUES (1, 2)`,
  );
  const full = await takeFull(database.source, {tables: ['public.p'], objects: true});
  await target.exec(
    `CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE name text; BEGIN
       FOR name IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
         EXECUTE format('ALTER TABLE %s ADD made timestamptz', name); END LOOP; END $$;
     CREATE EVENT TRIGGER "E t" ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION f()`,
  );
  const {schemas, objects = [], database: facts} = full;
  const incoming = {schemas, stored: schemas, objects, database: facts, bytes: 1};
  const {obstacle} = await target.source.survey(incoming, {rehearse: true});
  for (const error of [obstacle, await restore(target.source, full).catch((refusal: unknown) => refusal)]) {
    expect(error).toMatchObject({
      code: 'PRECONDITION',
      message: 'public.p has columns in the target that the backup does not have',
      cause: expect.stringContaining('may add made to new tables'),
      next: expect.stringMatching(/^ALTER EVENT TRIGGER "E t" DISABLE;/u),
    });
  }
  expect(await target.source.describe('all')).toEqual([]);
  await target.exec('ALTER EVENT TRIGGER "E t" DISABLE');
  await restore(target.source, full);
  expect(await target.rows('p')).toEqual(['(1,2)']);
});

const refusing = (event: string, body: string) =>
  `CREATE SCHEMA guard; CREATE FUNCTION guard."No DDL"() RETURNS event_trigger LANGUAGE plpgsql AS
     $$ BEGIN ${body} END $$; CREATE EVENT TRIGGER "E t" ON ${event} EXECUTE FUNCTION guard."No DDL"()`;
const raise = "RAISE 'not here';";
const own = "(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp%')";

test.each([
  ['ddl_command_start', raise],
  ['ddl_command_end', raise],
  ['sql_drop', raise],
  [
    'sql_drop',
    `IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'schema') THEN ${raise} END IF;`,
  ],
])(
  'an event trigger on %s that refuses is named before anything is loaded, and nothing is left (%s)',
  async (...how) => {
    const {database, target} = await filledAndEmpty(
      cluster(),
      'CREATE TABLE p (id int PRIMARY KEY, v int); INSERT INTO p VALUES (1, 2)',
    );
    const full = await takeFull(database.source, {tables: ['public.p'], objects: true});
    const guard = refusing(...how);
    await target.exec(guard);
    const {schemas, objects = [], database: facts} = full;
    const incoming = {schemas, stored: schemas, objects, database: facts, bytes: 1};
    const named = {
      code: 'PRECONDITION',
      message: expect.stringMatching(/^the event trigger "E t" of .* refuses: not here$/u),
      next: expect.stringMatching(/^ALTER EVENT TRIGGER "E t" DISABLE; then .* ALTER EVENT TRIGGER "E t" ENABLE; /u),
    };
    expect((await target.source.survey(incoming, {rehearse: true})).obstacle).toMatchObject(named);
    const id = 'test';
    await expect(target.source.stage(schemas, {id, database: facts, objects, bases: new Map()})).rejects.toMatchObject(
      named,
    );
    expect(await target.rows(own)).toEqual([]);
    await target.exec('ALTER EVENT TRIGGER "E t" DISABLE');
    await restore(target.source, full);
    expect(await target.rows('p')).toEqual(['(1,2)']);
    // MODE has a staging too.
    await target.exec('UPDATE p SET v = 7; ALTER EVENT TRIGGER "E t" ENABLE');
    await expect(merge(target.source, full, 'merge')).rejects.toMatchObject(named);
    expect([await target.rows('p'), await target.rows(own)]).toEqual([['(1,7)'], []]);
    // Change tracking begins with tables of its own.
    if (how[0] !== 'sql_drop') {
      await expect(takeFull(target.source, {tables: ['public.p'], track: {owner: 'c'}})).rejects.toMatchObject(named);
      return;
    }
    await takeFull(target.source, {tables: ['public.p'], track: {owner: 'c'}});
    await expect(target.source.untrack('c')).rejects.toMatchObject(named);
    await target.exec('UPDATE p SET v = 8; ALTER EVENT TRIGGER "E t" DISABLE');
    await target.source.untrack('c');
    expect(await target.rows(own)).toEqual([]);
  },
);
