import {DatabaseSync} from 'node:sqlite';

/**
 * busy-writer.ts PATH AUTOCHECKPOINT [stay]: writes until it is killed. In every committed state
 * `total.rows` counts the rows of `row` and `total.sum` adds up their `n`. The database grows, shrinks and is
 * vacuumed (not with `stay`: a VACUUM moves all pages); the log is checkpointed in every way.
 */
const [path, autocheckpoint, stay] = process.argv.slice(2);
const db = new DatabaseSync(path!, {timeout: 20_000});
db.exec(`PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = ${Number(autocheckpoint)}`);
const insert = db.prepare('INSERT INTO row (n, filler) VALUES (?, randomblob(?))');
const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const random = (below: number) => Math.floor(Math.random() * below);
const settle = 'UPDATE total SET rows = (SELECT count(*) FROM row), sum = (SELECT coalesce(sum(n), 0) FROM row)';
const attempt = (sql: string) => {
  try {
    db.exec(sql);
  } catch {
    // A checkpoint or a VACUUM that readers block.
  }
};
console.log('ready');
for (;;) {
  db.exec('BEGIN IMMEDIATE');
  const what = random(20);
  if (what < 12) for (let n = random(8); n >= 0; n--) insert.run(random(1000), random(3000));
  else if (what < 16)
    db.exec(`UPDATE row SET filler = randomblob(${random(3000)}) WHERE id % 7 = ${random(7)} AND id % 5 = 1`);
  else if (what < 19) db.exec(`DELETE FROM row WHERE id % 11 = ${random(11)}`);
  else db.exec('DELETE FROM row WHERE id > 300');
  db.exec(settle);
  db.exec(random(10) === 0 ? 'ROLLBACK' : 'COMMIT');
  if (random(40) === 0) attempt(`PRAGMA wal_checkpoint(${['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'][random(4)]})`);
  if (stay === undefined && random(200) === 0) {
    db.exec('PRAGMA busy_timeout = 50');
    attempt('VACUUM');
    db.exec('PRAGMA busy_timeout = 20000');
  }
  // SQLite's lock has no queue: without a pause, other processes might never get it before their timeout.
  if (random(4) === 0) pause(1);
}
