import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {withConnection} from '../../../src/sources/sqlite/engine/connection.ts';
import {folder} from './database.ts';

for (const pageSize of [512, 4096, 65536])
  for (const autoVacuum of [0, 1, 2])
    test(`SQLite checkpoints after many drops: pages of ${pageSize}, auto_vacuum ${autoVacuum}`, () => {
      const path = join(folder(), 'app.db');
      const db = new DatabaseSync(path);
      db.exec(`PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${autoVacuum}; PRAGMA journal_mode = WAL;
        CREATE TABLE other (x)`);
      db.close();
      const ids = Array.from({length: pageSize === 512 ? 400 : 40}, (_, id) => id);
      withConnection(path, {}, (connection) => {
        connection.write(() => {
          connection.exec(ids.map((id) => `CREATE TABLE t${id} (x);`).join(''));
          connection.exec('CREATE TABLE kept (x); INSERT INTO kept VALUES (zeroblob(100000))');
          connection.exec(ids.map((id) => `DROP TABLE t${id};`).join(''));
        });
        expect(connection.all('PRAGMA wal_checkpoint')[0]).toMatchObject({busy: 0n});
      });
      expect(existsSync(`${path}-wal`)).toBe(false);
      withConnection(path, {}, (connection) => {
        expect(connection.value('PRAGMA integrity_check')).toBe('ok');
        expect(connection.number('SELECT length(x) FROM kept')).toBe(100_000);
      });
    });
