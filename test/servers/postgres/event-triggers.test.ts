import {expect, test} from 'vitest';
import {restore, takeFull} from '../../sources/layers.ts';
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
