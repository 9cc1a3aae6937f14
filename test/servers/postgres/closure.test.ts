import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {statementsOf} from './dumped.ts';

// A backup has all that its restore needs.

const versions = {15: clusterOfFile(15), 18: clusterOfFile(18)};

/** A new database, and a desk for it. */
async function filled(version: keyof typeof versions, sql: string) {
  const cluster = versions[version]();
  const database = await cluster.create();
  const target = await cluster.create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(sql);
  const {done, desk} = openPostgresDesk(cluster, database.name);
  return {cluster, database, target, done, desk, there: ['--source', addressOf(cluster, target.name)] as const};
}

const moved = `CREATE SCHEMA parts; COMMENT ON SCHEMA parts IS 'of the partitions';
  GRANT USAGE ON SCHEMA parts TO public;
  CREATE SCHEMA deep; CREATE SCHEMA st;
  CREATE TABLE ev (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
  CREATE TABLE parts.ev1 PARTITION OF ev FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts.ev2 PARTITION OF ev FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
  CREATE TABLE deep.ev21 PARTITION OF parts.ev2 DEFAULT;
  CREATE STATISTICS st.sx (ndistinct) ON id, v FROM ev;
  INSERT INTO ev VALUES (1, 'a'), (11, 'b')`;

test.each([
  [15, 'DATABASE'],
  [18, 'DATABASE'],
  [18, '(TABLE ev)'],
] as const)('partitions and statistics in schemas of their own: %i, %s', async (version, what) => {
  const {cluster, database, target, done, there} = await filled(version, moved);
  await done('sql', `CREATE BACKUP COLLECTION c ${what} WITH (STORAGE='cluster')`);
  await done('sql', '--wait', 'BACKUP c');
  expect(await done(...there, 'sql', '--wait', 'RESTORE c')).not.toContain('left out');
  expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
  expect(await target.rows('ev')).toEqual(await database.rows('ev'));
});
