import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';
import {bareEnv, bkpFile} from '../helpers/bkp.ts';
import {openDesk} from '../helpers/desk.ts';

// Every command of the restore handbook, typed in its order after the loss that its section is about.

const manual = readFileSync(join(import.meta.dirname, '../../docs/restore.md'), 'utf8');
const sections = manual.split(/^## /m).slice(1);

const schema = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, total REAL);
  CREATE INDEX orders_by_customer ON orders (customer);
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');
  INSERT INTO orders VALUES (1, 1, 5), (2, 2, 50), (3, 1, 7);`;

type Desk = ReturnType<typeof openDesk>;

/** What happens before a section, and what must hold after it. */
const cases: Record<string, {loss?: (desk: Desk) => void; holds: (desk: Desk) => void}> = {
  First: {holds: (desk) => expect(desk.has('broken/app.db')).toBe(true)},
  'A table is gone': {
    loss: (desk) => desk.exec('DROP TABLE orders'),
    holds: (desk) => expect(desk.column('SELECT total FROM orders')).toEqual([5, 50, 7]),
  },
  'Rows were deleted or changed by mistake': {
    loss: (desk) =>
      desk.exec('DELETE FROM orders WHERE id = 1; UPDATE orders SET total = 0; INSERT INTO orders VALUES (9, 2, 9)'),
    holds: (desk) => {
      expect(desk.column('SELECT total FROM orders_before ORDER BY id')).toEqual([5, 50, 7]);
      expect(desk.column('SELECT total FROM orders ORDER BY id')).toEqual([5, 50, 7, 9]);
    },
  },
  'The database is gone': {
    loss: (desk) => desk.remove('app.db', 'app.db-wal', 'app.db-shm'),
    holds: (desk) => {
      for (const file of ['app.db', 'restored.db']) {
        expect(desk.column('SELECT total FROM orders', join(desk.folder, file))).toEqual([5, 50, 7]);
      }
    },
  },
  'As of a moment': {
    holds: (desk) => expect(desk.column('SELECT total FROM orders', join(desk.folder, 'yesterday.db'))).toHaveLength(3),
  },
  'On a new machine': {
    loss: (desk) => desk.remove('app.db', 'app.db-wal', 'app.db-shm', 'home'),
    holds: (desk) => expect(desk.column('SELECT count(*) FROM orders')).toEqual([3]),
  },
  'The backups are damaged': {
    holds: (desk) => expect(desk.column('SELECT count(*) FROM orders', join(desk.folder, 'rescued.db'))).toEqual([3]),
  },
  'A backup of a whole database': {
    holds: (desk) => expect(desk.column('SELECT count(*) FROM orders', join(desk.folder, 'whole.db'))).toEqual([3]),
  },
  'While it runs, and afterwards': {holds: () => {}},
};

test('every command of the handbook does what its section says', async () => {
  const desk = openDesk(schema, {});
  const store = `fs::root=${join(desk.folder, 'objects')}`;
  await desk.sql("CREATE BACKUP COLLECTION shop DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await desk.sqlWait('BACKUP shop');
  const env = {
    ...bareEnv({home: desk.home, env: {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster}}),
    BKP_BACKUP_OBJECT_STORE: store,
  };
  const shell = promisify(execFile);
  const backedUp = await shell(process.execPath, [bkpFile, 'sql', '--wait', 'BACKUP DATABASE'], {
    cwd: desk.folder,
    env,
  });
  expect(backedUp.stdout).toMatch(/backup_timestamp/);
  expect(sections.map((section) => section.split('\n')[0])).toEqual(Object.keys(cases));
  for (const section of sections) {
    const title = section.split('\n')[0]!;
    const {loss, holds} = cases[title]!;
    loss?.(desk);
    for (const [, block] of section.matchAll(/^ *```sh\n(.*?)^ *```$/gms)) {
      for (const line of block!.trim().split('\n')) {
        // The only backup is a few seconds old, and stands for the one of that time.
        const typed = line
          .trim()
          .replace(/--at '[^']*'/, '--at latest')
          .replace('/mnt/backups', desk.cluster);
        const script = `bkp() { "${process.execPath}" "${bkpFile}" "$@"; }; ${typed}`;
        const result = await shell('/bin/sh', ['-c', script], {cwd: desk.folder, env}).then(
          ({stdout}) => ({code: 0, text: stdout}),
          (error: {code: number; stdout: string; stderr: string}) => ({
            code: error.code,
            text: error.stdout + error.stderr,
          }),
        );
        expect(result, `${title}: ${line}`).toMatchObject({code: 0});
      }
    }
    holds(desk);
  }
});
