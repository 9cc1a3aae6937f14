import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {seed} from '../../../seeds/seed.ts';
import {Random} from '../../../simulator/random.ts';
import {takeFull} from '../../layers.ts';
import {folder} from '../database.ts';

const runs = Math.ceil(6 * Number(process.env.BKP_TEST_RUNS ?? 1));

/** SQL of values whose order is easily mistaken. */
const values = [
  ...['0', '1', '-1', '0.0', '-0.5', '0.5', '127', '128', '-129', '32768', '8388608', '2147483648', '-2147483649'],
  ...['140737488355328', '9007199254740992', '9007199254740993', '9007199254740992.0', '9223372036854775807'],
  ...['9223372036854775807.0', '-9223372036854775808', '1e300', '-1e-300', '9e999', '-9e999', "''", "' '", "'a'"],
  ...["'A'", "'a '", "'a  '", "'B'", "'b'", "'a' || char(0)", "'a' || char(0) || 'x'", "'A' || char(0)", "'['", "'_'"],
  ...["'ä'", "'Ä'", "'😀'", "'￿'", "x''", "x'00'", "x'61'", "x'ff'", "x'6100'"],
];
const collations = ['', 'COLLATE BINARY', 'COLLATE NOCASE', 'COLLATE RTRIM', 'DESC', 'COLLATE NOCASE DESC'];

test(`the order of ${runs} tables without rowid is that of their keys, from seed ${seed} on`, async () => {
  for (let own = seed; own < seed + runs; own++) {
    const random = new Random(own);
    const path = join(folder(), 'app.db');
    const db = new DatabaseSync(path);
    const encoding = random.pick(['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be']);
    db.exec(`PRAGMA synchronous = OFF; PRAGMA page_size = 512; PRAGMA encoding = '${encoding}'`);
    const columns = ['a', 'b', 'c'].slice(0, random.between(1, 3));
    const types = columns.map(
      (column) => `${column} ${random.pick(['', 'TEXT', 'REAL', 'INTEGER', 'NUMERIC', 'BLOB'])}`,
    );
    const key = columns.map((column) => `${column} ${random.pick(collations)}`);
    db.exec(`CREATE TABLE t (x, ${types}, PRIMARY KEY (${key})) WITHOUT ROWID; BEGIN`);
    const insert = (row: string[]) => db.exec(`INSERT OR IGNORE INTO t VALUES (${[...row, random.pick(values)]})`);
    for (let n = 0; n < 150; n++) insert(columns.map(() => random.pick(values)));
    db.exec('COMMIT');
    db.close();
    await takeFull(new SqliteSource(path), {tables: ['t']}).catch((error) => {
      throw new Error(`BKP_TEST_SEED=${own}: ${types} (${key})`, {cause: error});
    });
  }
});

test.each([
  ['a number that became smaller', "(10, 'x'), (20, 'x'), (30, 'x')", [20, 5]],
  ['a number that became larger', "(10, 'x'), (20, 'x'), (30, 'x')", [20, 35]],
  ['a key twice', "(10, 'x'), (20, 'x'), (30, 'x')", [20, 30]],
])('%s is found, and the table named', async (_, rows, [from, to]) => {
  const path = join(folder(), 'app.db');
  const db = new DatabaseSync(path);
  db.exec(`CREATE TABLE t (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO t VALUES ${rows}`);
  db.close();
  const bytes = readFileSync(path);
  // A record of 3 bytes of header, a number of one byte and a text of one.
  bytes[bytes.lastIndexOf(Buffer.from([3, 1, 15, from!])) + 3] = to!;
  writeFileSync(path, bytes);
  await expect(takeFull(new SqliteSource(path), {tables: ['t']})).rejects.toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: 'table t is damaged: its rows are not in the order of its key',
  });
});
