import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {openVault} from '../../src/vault/index.ts';
import {createC, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const create = (except: string) =>
  `CREATE BACKUP COLLECTION c DATABASE EXCEPT (${except}) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')`;
const alter = (actions: string) => `ALTER BACKUP COLLECTION c ${actions}`;

/** A desk whose `restored` names everything that the newest backup brings. */
function openBench(schema = '') {
  const desk = openDesk();
  desk.exec(`CREATE TABLE secrets (id INTEGER PRIMARY KEY, v); INSERT INTO secrets VALUES (1, 'x'); ${schema}`);
  const {run} = runDirectly(desk);
  let copies = 0;
  const restored = async () => {
    const target = join(desk.folder, `${++copies}.db`);
    const {result} = await runDirectly({...desk, database: target}).run('RESTORE c');
    expect(existsSync(target)).toBe(true);
    const names = desk.column("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name", target);
    return {names, notices: result?.notices ?? []};
  };
  return {desk, run, restored};
}

describe('DATABASE EXCEPT', () => {
  test('leaves tables out, and names them when it is set up, at each backup, and at a restore', async () => {
    const {desk, run, restored} = openBench('CREATE VIEW v AS SELECT * FROM secrets');
    const leftOut = [
      'left out by EXCEPT: secrets',
      expect.stringMatching(/^view v reads secrets, not in the collection/),
    ];
    expect(await run(create('TABLE Secrets, TABLE later'))).toMatchObject({notices: leftOut});
    expect(await run('BACKUP c')).toMatchObject({result: {notices: expect.arrayContaining(leftOut)}});
    expect(await restored()).toEqual({
      names: ['orders', 'products'],
      notices: expect.arrayContaining(['not in the backup, by EXCEPT: secrets']),
    });
    // A table may be created after it was excepted; all others join.
    desk.exec('CREATE TABLE later (id INTEGER PRIMARY KEY); CREATE TABLE sooner (id INTEGER PRIMARY KEY)');
    expect(await run('BACKUP c INCREMENTAL')).toMatchObject({
      result: {notices: expect.arrayContaining(['left out by EXCEPT: secrets, later'])},
    });
    expect((await restored()).names).toEqual(['orders', 'products', 'sooner']);
    expect(desk.column("SELECT name FROM sqlite_schema WHERE name LIKE '_bkp_log_%'")).not.toContain(
      '_bkp_log_secrets',
    );
    expect((await run('SHOW BACKUP COLLECTIONS')).rows).toMatchObject({
      collections: [{members: {kind: 'database', except: ['Secrets', 'later']}}],
    });
  });

  test('takes the tables behind a virtual table with it, and not alone', async () => {
    const {run, restored} = openBench(`CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('a');
      CREATE VIRTUAL TABLE notes USING fts5(v, content='secrets', content_rowid='id')`);
    await expect(run(create('TABLE words_content'))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      next: 'EXCEPT (TABLE words) leaves out both',
    });
    await run(create('TABLE words, TABLE secrets'));
    await run('BACKUP c');
    const {names} = await restored();
    expect(names.filter((name) => String(name).startsWith('words'))).toEqual([]);
    // Its content was in the table that is left out; its index is its own.
    expect(names).toContain('notes_data');
  });

  test('is changed by ALTER', async () => {
    const {run, restored} = openBench();
    await run(create('TABLE secrets'));
    await run(alter('DROP TABLE products, ADD TABLE secrets'));
    await run('BACKUP c');
    expect((await restored()).names).toEqual(['orders', 'secrets']);
    await expect(run(alter('ADD TABLE orders'))).rejects.toMatchObject({code: 'BAD_REQUEST'});
    await expect(run(alter('DROP TABLE products'))).rejects.toMatchObject({code: 'BAD_REQUEST'});
    await run(alter('DROP DATABASE, ADD DATABASE EXCEPT (TABLE orders)'));
    await run('BACKUP c INCREMENTAL');
    expect((await restored()).names).toEqual(['products', 'secrets']);
    await run(alter('ADD TABLE orders'));
    await run('BACKUP c INCREMENTAL');
    expect((await restored()).names).toEqual(['orders', 'products', 'secrets']);
  });

  test('is refused by an older bkp, which would back up what is excepted', async () => {
    const {desk, run} = openBench();
    await run(create('TABLE secrets'));
    await run(createC(true).replace('COLLECTION c', 'COLLECTION d'));
    const store = await openDirectoryStore({root: desk.cluster, create: false});
    const vault = await openVault({store});
    const versionOf = async (name: string) => {
      const key = desk.storedKeys().find((stored) => stored.includes(`/${name}/definition/`))!;
      return ((await vault.document(key)) as {version: number}).version;
    };
    expect(await versionOf('c')).toBe(3);
    expect(await versionOf('d')).toBe(1);
    vault.close();
  });
});
