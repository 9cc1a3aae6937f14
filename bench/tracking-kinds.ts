import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {SqliteSource} from '../src/sources/sqlite/index.ts';
import {median} from './measure.ts';

/**
 * The CPU time that change tracking adds per row of one large INSERT and one large UPDATE, for several kinds of tables:
 * `node bench/tracking-kinds.ts`. Nothing is synced, so that disk time does not hide it.
 */
const rows = 400_000;
const pairs = 5;

const kinds: Record<string, {create: string; values: string}> = {
  '`INTEGER PRIMARY KEY`': {create: 't (k INTEGER PRIMARY KEY, a, b, c)', values: 'i, i * 7, text, i * 0.5'},
  '…, two plain indexes': {
    create: 't (k INTEGER PRIMARY KEY, a, b, c); CREATE INDEX x ON t (a); CREATE INDEX y ON t (c)',
    values: 'i, i * 7919 % 100003, text, i * 0.5',
  },
  '…, a `UNIQUE` column': {create: 't (k INTEGER PRIMARY KEY, a UNIQUE, b, c)', values: 'i, i * 7, text, i * 0.5'},
  '…, a unique index on an expression': {
    create: 't (k INTEGER PRIMARY KEY, a, b, c); CREATE UNIQUE INDEX x ON t (lower(b))',
    values: 'i, i * 7, text || i, i * 0.5',
  },
  '`TEXT PRIMARY KEY`': {create: 't (k TEXT PRIMARY KEY, a, b, c)', values: 'hex(i * 7919), i * 7, text, i * 0.5'},
  'two columns, `WITHOUT ROWID`': {
    create: 't (k, m, b, c, PRIMARY KEY (k, m)) WITHOUT ROWID',
    values: 'i / 3, i, text, i * 0.5',
  },
};

const folder = mkdtempSync(join(tmpdir(), 'bkp-tracking-'));

/** CPU microseconds per row of `sql`. */
function cost(db: DatabaseSync, sql: string): number {
  const before = process.cpuUsage();
  db.exec(sql);
  const {user, system} = process.cpuUsage(before);
  return (user + system) / rows;
}

async function measure({create, values}: (typeof kinds)[string], tracked: boolean) {
  const path = join(folder, 'app.db');
  rmSync(path, {force: true});
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA synchronous = OFF; CREATE TABLE ${create}`);
  if (tracked) await (await new SqliteSource(path).snapshot({tables: ['t'], track: {owner: 'bench'}})).close();
  const numbers =
    'WITH RECURSIVE n (i, text) AS (SELECT 1, hex(zeroblob(40)) UNION ALL SELECT i + 1, text FROM n ' +
    `WHERE i < ${rows})`;
  const insert = cost(db, `${numbers} INSERT INTO t SELECT ${values} FROM n`);
  const update = cost(db, 'UPDATE t SET c = c + 1');
  db.close();
  return {insert, update};
}

console.log('| table | insert, µs a row | tracked | update, µs a row | tracked |\n| --- | --- | --- | --- | --- |');
for (const [name, kind] of Object.entries(kinds)) {
  const plain: Awaited<ReturnType<typeof measure>>[] = [];
  const tracked: typeof plain = [];
  for (let pair = 0; pair < pairs; pair++) {
    plain.push(await measure(kind, false));
    tracked.push(await measure(kind, true));
  }
  const cells = (['insert', 'update'] as const).flatMap((what) =>
    [plain, tracked].map((runs) => median(runs.map((run) => run[what])).toFixed(1)),
  );
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
rmSync(folder, {recursive: true});
