import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {BkpError} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {type Fingerprint, fingerprint} from './fingerprint.ts';
import {playPostgres} from './postgres.ts';
import {startPostgres} from './postgres-server.ts';
import {changeShop, makeShop, shopTables} from './shop.ts';
import {openStage, type Stage} from './stage.ts';

export type DemoOptions = {
  customers: number;
  /** Keep the folder after the demo. */
  keep: boolean;
  /** On a server of PostgreSQL instead of a file of SQLite. */
  postgres: boolean;
};

const createShop =
  'CREATE BACKUP COLLECTION shop (TABLE customers, TABLE products, TABLE orders, TABLE order_items) WITH ' +
  "(STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";

/** @throws BkpError when a step of the demo does not do what it announces: then the demo has found a fault */
export async function runDemo(deps: CommandDeps, {customers, keep, postgres}: DemoOptions): Promise<void> {
  if (!Number.isInteger(customers) || customers < 1)
    throw new BkpError('USAGE', '--customers takes a whole number above 0');
  const folder = mkdtempSync(join(tmpdir(), 'bkp-demo-'));
  try {
    if (postgres) await playOnServer(deps, folder, customers);
    else await play(openStage(deps, folder), join(folder, 'shop.db'), customers);
    if (keep) deps.stdout.write(`Everything is in ${folder}\n`);
  } finally {
    if (!keep) rmSync(folder, {recursive: true, force: true, maxRetries: 3});
  }
}

async function playOnServer(deps: CommandDeps, folder: string, customers: number): Promise<void> {
  const server = await startPostgres(folder, deps.env);
  try {
    const env = {...deps.env, PATH: `${server.bin}${delimiter}${deps.env.PATH ?? ''}`};
    await playPostgres(openStage({...deps, env}, folder), server, customers);
  } finally {
    await server.stop();
  }
}

async function play(stage: Stage, shop: string, customers: number): Promise<void> {
  stage.title('A shop database');
  stage.say(
    `${makeShop(shop, customers).toLocaleString('en')} rows in ${shopTables.join(', ')}; indexes, a trigger, ` +
      `foreign keys.`,
  );
  await stage.bkp('config', 'set', 'source', 'sqlite::path=./shop.db');
  await stage.bkp('sql', createShop);

  stage.title('A full backup, in the background');
  const first = fingerprint(shop, shopTables);
  await stage.bkp('sql', 'BACKUP shop');
  stage.say('The prompt is back at once; a worker does the rest. This waits for it:');
  await stage.bkp('operation', 'wait', 'last');

  stage.title('A day passes: 1 % of the rows change, 0.2 % go, 1 % come');
  const {updated, deleted, inserted} = changeShop(shop);
  stage.say(`${updated} updated, ${deleted} deleted, ${inserted} inserted, scattered over the tables.`);
  const second = fingerprint(shop, shopTables);
  await stage.bkp('sql', '--wait', 'BACKUP shop INCREMENTAL');
  stage.say('What each backup holds, what it added to the store, and what a restore of it reads:');
  await stage.bkp('sql', 'SHOW BACKUPS IN shop');

  stage.title('A small accident: prices of one table are lost');
  const sku = losePrices(stage, shop);
  stage.say('What differs from the newest backup, and what it has:');
  const newest = backupsOf(await stage.quietly('sql', '--format', 'json', 'SHOW BACKUPS IN shop')).at(-1)!;
  await stage.bkp('diff', 'shop', newest, 'now');
  await stage.bkp('sql', `SELECT sku, price_cents FROM backup('shop', 'latest').products WHERE sku = '${sku}'`);
  await stage.bkp('sql', '--wait', "RESTORE shop TABLE products WITH (MODE='merge')");
  compare(stage, 'after the merge', second, fingerprint(shop, shopTables));

  stage.title('The accident');
  dropTables(stage, shop);
  await stage.bkp('sql', '--wait', 'RESTORE shop');
  compare(stage, 'after the restore', second, fingerprint(shop, shopTables));

  stage.title('The chain continues after the restore');
  const db = new DatabaseSync(shop);
  db.exec("UPDATE products SET price_cents = price_cents + 1 WHERE sku LIKE 'ka-%'");
  db.close();
  await stage.bkp('sql', '--wait', 'BACKUP shop INCREMENTAL');

  stage.title('A new machine has only the cluster directory: back to the full backup, into a new file');
  const backups = await stage.quietly('sql', '--format', 'json', 'SHOW BACKUPS IN shop');
  const [full] = backupsOf(backups);
  await stage.bkp(
    '--home',
    './other-machine',
    '--cluster',
    './home/cluster',
    '--source',
    'new.db',
    'sql',
    '--wait',
    `RESTORE \`shop/${full}\``,
  );
  compare(stage, 'in new.db', first, fingerprint(join(shop, '..', 'new.db'), shopTables));

  stage.title('Are the backups whole?');
  await stage.bkp('sql', '--wait', 'VERIFY shop');
  stage.say('A drill restores the newest one into a scratch database, and asks it what you want to know:');
  const question = 'SELECT count(*) > 0 FROM orders';
  await stage.bkp('sql', '--wait', `VERIFY shop WITH (LEVEL='restore', CHECK_SQL='${question}')`);
  await stage.bkp('operation', 'list');

  stage.title('For your own database');
  stage.say(
    [
      'bkp config set source sqlite::path=./app.db',
      'bkp config set cluster /backups',
      'bkp doctor',
      "bkp sql \"CREATE BACKUP COLLECTION app DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')\"",
      'bkp sql --wait "BACKUP app"                  # and from cron: BACKUP app INCREMENTAL',
    ].join('\n'),
  );
}

/** @returns the key of a product without a price */
function losePrices(stage: Stage, shop: string): string {
  const lose = "UPDATE products SET price_cents = 0 WHERE sku LIKE 'ka-%'";
  stage.command(`sqlite3 shop.db "${lose}"`);
  const db = new DatabaseSync(shop);
  db.exec(lose);
  const sku = db.prepare('SELECT min(sku) AS sku FROM products WHERE price_cents = 0').get()?.sku;
  db.close();
  return String(sku);
}

/** The names in a listing, oldest first. */
const backupsOf = (listing: string) =>
  listing
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as {backup: string}).backup);

function dropTables(stage: Stage, shop: string): void {
  const statements = [...shopTables].reverse().map((table) => `DROP TABLE ${table};`);
  stage.command(`sqlite3 shop.db "${statements.join(' ')}"`);
  const db = new DatabaseSync(shop);
  db.exec(`PRAGMA foreign_keys = OFF; ${statements.join(' ')}`);
  db.close();
}

function compare(stage: Stage, where: string, wanted: Fingerprint, found: Fingerprint): void {
  const rows = `${found.rows.toLocaleString('en')} rows`;
  if (found.digest !== wanted.digest || found.integrity !== 'ok') {
    throw new BkpError(
      'INTERNAL',
      `${where}: ${rows}, fingerprint ${found.digest} instead of ${wanted.digest}, integrity ${found.integrity}`,
    );
  }
  stage.say(
    stage.good(
      `✓ every row ${where} equals the one backed up: ${rows}, fingerprint ${found.digest}, integrity_check ok`,
    ),
  );
}
