import {expect, onTestFinished, test} from 'vitest';
import {fillStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

const cluster = clusterOfFile();

test('policies and rules that need a view come with it, and nothing says that they are left out', async () => {
  const database = await databaseOfTest(
    cluster(),
    `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1);
     CREATE VIEW allowed AS SELECT id FROM u; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
     CREATE POLICY p ON t USING (id IN (SELECT id FROM allowed)); CREATE POLICY q ON t USING (id < 5);
     COMMENT ON POLICY p ON t IS 'as allowed'; CREATE RULE r AS ON INSERT TO u DO ALSO SELECT * FROM allowed`,
  );
  const target = await databaseOfTest(cluster(), '');
  const full = await takeFull(database.source, {tables: ['public.t', 'public.u'], objects: true});
  const notices: string[] = [];
  const staging = await fillStaging(target.source, full);
  onTestFinished(() => staging.discard());
  await staging.publish({notice: (text) => notices.push(text)});
  expect(notices).toEqual([]);
  const made = `(SELECT polname::text, polrelid::regclass::text, obj_description(oid) FROM pg_policy
    UNION ALL SELECT rulename, ev_class::regclass::text, NULL FROM pg_rewrite WHERE rulename = 'r')`;
  expect(await target.rows(made)).toEqual(await database.rows(made));
  expect(await target.rows(made)).toHaveLength(3);
});
