import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {onTestFinished} from 'vitest';
import {type CollectionMembers, createCollection} from '../../../src/collections/index.ts';
import {inProcess} from '../../helpers/in-process.ts';

const wholeDatabase: CollectionMembers = {kind: 'database'};

/** A database `app.db` with the collection `c`, in a folder that is removed after the test. */
export async function placeWith(
  schema: string,
  {members = wholeDatabase, incremental = false}: {members?: CollectionMembers; incremental?: boolean} = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-restore-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const notices: string[] = [];
  const path = (name: string) => join(folder, name);
  const bench = inProcess({
    database: path('app.db'),
    cluster: path('cluster'),
    notice: (text) => notices.push(text),
  });
  const use = <T>(name: string, body: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(path(name), {enableForeignKeyConstraints: false, defensive: false});
    try {
      return body(db);
    } finally {
      db.close();
    }
  };
  const exec = (sql: string, name = 'app.db') => use(name, (db) => db.exec(sql));
  /** The rows as text, their columns separated by `|`. */
  const all = (sql: string, name = 'app.db') =>
    use(name, (db) =>
      db
        .prepare(sql)
        .all()
        .map((row) => Object.values(row).join('|')),
    );
  exec(schema);
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members,
        settings: incremental ? [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}] : [],
        ifNotExists: false,
      },
    ),
  );
  return {
    path,
    bench,
    exec,
    all,
    /** Those since the last call. */
    notices: () => notices.splice(0).join('\n'),
    /** @param tables `name` or `name AS new name` */
    restore: (tables: readonly string[], database = 'app.db', point?: string) =>
      bench.restore(
        'c',
        path(database),
        point,
        tables.map((table) => {
          const [name = '', as] = table.split(' AS ');
          return {name, as};
        }),
      ),
  };
}
