import {execFile} from 'node:child_process';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
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

/** A new backup, of which the rows of orders are damaged. */
async function damageOrders(desk: Desk, copy?: string): Promise<void> {
  desk.exec('UPDATE orders SET total = total + 1');
  const before = desk.storedKeys();
  await desk.sqlWait('BACKUP shop');
  if (copy !== undefined) await desk.sqlWait(`COPY BACKUP COLLECTION shop TO '${copy}'`);
  // The rows of customers are in an older pack.
  const added = desk.storedKeys().filter((key) => key.startsWith('packs/') && !before.includes(key));
  expect(added).toHaveLength(1);
  const file = join(desk.cluster, added[0]!);
  const bytes = readFileSync(file);
  bytes[3]! ^= 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

/** `losses`: what happens before each block of a section. `codes`: exit statuses other than 0. */
type Case = {
  loss?: (desk: Desk) => void;
  losses?: readonly ((desk: Desk) => Promise<unknown>)[];
  codes?: Record<string, number>;
  holds: (desk: Desk) => unknown;
};

/** What happens before a section, and what must hold after it. */
const cases: Record<string, Case> = {
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
    losses: [
      (desk) => damageOrders(desk, `fs::root=${join(desk.folder, 'copy')}`),
      async () => {},
      async (desk) => {
        await desk.sqlWait('VERIFY shop');
        await damageOrders(desk);
      },
    ],
    codes: {'bkp sql --wait "VERIFY shop"': 13, 'bkp restore shop --partial --into ./rescued.db --wait': 3},
    holds: async (desk) => {
      const rescued = join(desk.folder, 'rescued.db');
      expect(desk.column("SELECT name FROM sqlite_schema WHERE type = 'table'", rescued)).toEqual(['customers']);
      expect(desk.column('SELECT name FROM customers', rescued)).toEqual(['Ada', 'Bo']);
      desk.exec('UPDATE orders SET total = total + 1');
      await desk.sqlWait('BACKUP shop');
    },
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
    const {loss, losses, codes, holds} = cases[title]!;
    loss?.(desk);
    for (const [at, [, block]] of [...section.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].entries()) {
      await losses?.[at]?.(desk);
      for (const line of block!.trim().split('\n')) {
        // The only backup is a few seconds old, and stands for the one of that time.
        const typed = line
          .trim()
          .replace(/--at '[^']*'/, '--at latest')
          .replace('/mnt/backups', desk.cluster)
          .replace('/mnt/copy', join(desk.folder, 'copy'));
        const script = `bkp() { "${process.execPath}" "${bkpFile}" "$@"; }; ${typed}`;
        const result = await shell('/bin/sh', ['-c', script], {cwd: desk.folder, env}).then(
          ({stdout}) => ({code: 0, text: stdout}),
          (error: {code: number; stdout: string; stderr: string}) => ({
            code: error.code,
            text: error.stdout + error.stderr,
          }),
        );
        expect(result, `${title}: ${line}`).toMatchObject({code: codes?.[line.trim()] ?? 0});
      }
    }
    await holds(desk);
  }
});
