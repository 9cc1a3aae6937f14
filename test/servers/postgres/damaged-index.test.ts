import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {backupsOf} from '../../helpers/desk.ts';
import {clusterOfFile} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();

// Rows are wide, so that counting the entries of the key is what the server would choose.
const schema = `CREATE TABLE item (id int PRIMARY KEY, pad text);
  INSERT INTO item SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 20000) g;`;
/** A row that the key does not have. */
const missed = `UPDATE pg_index SET indisready = false WHERE indexrelid = 'item_pkey'::regclass;
  INSERT INTO item VALUES (20001, 'not in the key');
  UPDATE pg_index SET indisready = true WHERE indexrelid = 'item_pkey'::regclass`;

const urlOf = (name: string) =>
  `postgres://postgres@/${name}?host=${encodeURIComponent(join(cluster().folder, 's'))}&port=${cluster().port}`;

test.for(['a full backup', 'an increment that reads'] as const)(
  'a key that lacks a row is found: %s fails, and names the table',
  async (what) => {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(schema);
    const isFull = what === 'a full backup';
    const {desk, done} = openPostgresDesk(cluster(), database.name);
    const source = isFull ? [] : ['--source', `postgres::url=${urlOf(database.name)};tracking=scan`];
    const settings = `STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='${!isFull}'`;
    await done(...source, 'sql', `CREATE BACKUP COLLECTION c (TABLE item) WITH (${settings})`);
    if (!isFull) await done(...source, 'sql', '--wait', 'BACKUP c');
    await database.exec(missed);
    await database.exec('VACUUM ANALYZE item');
    expect(await database.rows('(SELECT count(*) FROM item)')).toEqual(['(20000)']);
    const before = await backupsOf(desk);
    const {status, stderr} = await desk.bkp(...source, 'sql', '--wait', isFull ? 'BACKUP c' : 'BACKUP c INCREMENTAL');
    expect(status).not.toBe(0);
    expect(stderr).toContain('has 20001 rows, and 20000 were read');
    expect(await backupsOf(desk)).toEqual(before);
  },
);
