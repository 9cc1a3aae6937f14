import {randomBytes} from 'node:crypto';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {onTestFinished} from 'vitest';
import {createCollection, dropCollection} from '../../src/collections/index.ts';
import type {Store} from '../../src/stores/index.ts';
import type {Vault} from '../../src/vault/index.ts';
import {type Bench, inProcess} from '../helpers/in-process.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';

/** A database, and the collection `shop` of its tables. */
export type Shop = {
  database: string;
  exec: (sql: string) => void;
  /** Its backups in that store; every operation opens the vault again, as each process of bkp does. */
  at: (
    openStore: () => Promise<Store>,
    notice?: (text: string) => void,
  ) => Bench & {
    create: () => Promise<void>;
    drop: () => Promise<void>;
    /** Restores into a new database and compares every value with the shop, or with a copy from `keepCopy`. */
    expectRestored: (wanted?: {copy?: string; point?: string}) => Promise<void>;
  };
  /** A copy of the database as it is now. */
  keepCopy: () => string;
};

const tables = ['orders', 'notes'];

const toolsFor = (vault: Vault) => ({
  vault,
  nowMicros: () => Date.now() * 1000,
  randomId: () => randomBytes(16).toString('hex'),
});

/** @param mebibytes size of rows that do not compress, in two tables */
export function openShop(mebibytes: number): Shop {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-shop-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));
  const database = join(folder, 'shop.db');
  const exec = (sql: string) => {
    const db = new DatabaseSync(database);
    try {
      db.exec(sql);
    } finally {
      db.close();
    }
  };
  exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, scan BLOB);
    CREATE INDEX orders_by_customer ON orders (customer);
    CREATE TABLE notes (name TEXT PRIMARY KEY, text TEXT);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${mebibytes * 64})
    INSERT INTO orders SELECT i, 'customer ' || i % 100, randomblob(16 * 1024) FROM n;
    INSERT INTO notes SELECT 'note ' || id, hex(substr(scan, 1, 100)) FROM orders;
  `);
  let files = 0;
  const keepCopy = () => {
    const copy = join(folder, `copy-${++files}.db`);
    exec(`VACUUM INTO '${copy}'`);
    return copy;
  };
  const at: Shop['at'] = (openStore, notice) => {
    const bench = inProcess({database, openStore, ...(notice === undefined ? {} : {notice})});
    return {
      ...bench,
      create: () =>
        bench.vault(async (vault) => {
          await createCollection(toolsFor(vault), {
            name: 'shop',
            members: {kind: 'tables', tables},
            settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
            ifNotExists: false,
          });
        }),
      drop: () =>
        bench.vault(async (vault) => {
          await dropCollection(toolsFor(vault), {name: 'shop', ifExists: false});
        }),
      expectRestored: async ({copy = database, point} = {}) => {
        const target = join(folder, `restored-${++files}.db`);
        await bench.restore('shop', target, point);
        expectSame(target, copy, tables);
      },
    };
  };
  return {database, exec, at, keepCopy};
}

/** Changes about 1 % of the rows, and inserts and deletes some. */
export const someChanges = `
  UPDATE orders SET scan = randomblob(16 * 1024) WHERE id % 100 = 7;
  DELETE FROM orders WHERE id % 500 = 11;
  INSERT INTO orders (customer, scan) VALUES ('new', randomblob(1000));
  UPDATE notes SET text = 'changed' WHERE name LIKE '%99';
`;
