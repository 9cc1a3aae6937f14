import {readFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';

/**
 * holder.ts PATH HOW: `read` keeps a read transaction open for a limited time, `read-on` until its standard input
 * ends, `write` writes until it is killed. Prints `ready` when it has begun.
 */
const [path, how] = process.argv.slice(2);
const db = new DatabaseSync(path!, {timeout: 20_000});
const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
if (how === 'read' || how === 'read-on') {
  db.exec('BEGIN');
  console.log('ready', db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n);
  if (how === 'read') pause(1500);
  else readFileSync(0);
  console.log('still', db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n);
  db.exec('COMMIT');
} else {
  db.exec('CREATE TABLE IF NOT EXISTS busy (k INTEGER PRIMARY KEY, a)');
  console.log('ready');
  for (;;) {
    db.exec('BEGIN IMMEDIATE; INSERT INTO busy (a) VALUES (randomblob(500)); COMMIT');
    pause(1);
  }
}
