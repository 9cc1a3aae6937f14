import {existsSync, mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {makeShop} from '../src/commands/demo/shop.ts';
import {copyDatabase} from './tools.ts';

/** Number of customers for which the database file is about 1 GiB. */
const customersPerGib = 624_000;

/** The demo's shop at the requested size; generated once and kept in `folder`. */
export function shopDatabase(folder: string, gib: number): string {
  mkdirSync(folder, {recursive: true});
  const file = join(folder, `shop-${gib}gib.db`);
  if (!existsSync(file)) {
    const half = `${file}.half`;
    rmSync(half, {force: true});
    console.error(`making ${file}`);
    makeShop(half, Math.round(customersPerGib * gib));
    copyDatabase(half, file);
    rmSync(half, {force: true});
  }
  return file;
}
