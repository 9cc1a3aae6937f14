import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();

test('a key that lacks a row is found: the backup fails, and names the table', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  // Rows are wide, so that counting the entries of the key is what the server would choose.
  await database.exec(`CREATE TABLE item (id int PRIMARY KEY, pad text);
    INSERT INTO item SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 20000) g;
    UPDATE pg_index SET indisready = false WHERE indexrelid = 'item_pkey'::regclass;
    INSERT INTO item VALUES (20001, 'not in the key');
    UPDATE pg_index SET indisready = true WHERE indexrelid = 'item_pkey'::regclass`);
  await database.exec('VACUUM ANALYZE item');
  expect(await database.rows('(SELECT count(*) FROM item)')).toEqual(['(20000)']);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c (TABLE item) WITH (STORAGE='cluster')");
  const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(status).not.toBe(0);
  expect(stderr).toContain('has 20001 rows, and 20000 were read');
  expect((await desk.bkp('sql', '--format', 'json', 'SHOW BACKUPS IN c')).stdout).toBe('');
});
