import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {Random} from '../../simulator/random.ts';
import {type Backup, type Form, restore, takeFull, takeIncrement} from '../layers.ts';
import {contentsBySql, contentsOf, isQuickBySql} from './contents.ts';
import {folder} from './database.ts';
import {changeRandomDatabase, makeRandomDatabase, type RandomDatabase} from './random-database.ts';

// Databases of every page size, encoding and kind of table are taken as rows and as records, at the same moment and
// while they are written to. Both restore what was there at that moment, into a new file and beside other tables.

const owner = 'collection-1';
const forms: readonly Form[] = [undefined, 'rows'];

/** @throws Error that names the seed of the first one that failed */
export async function tryBothForms(count: number, firstSeed: number): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const random = new Random(seed);
    const path = join(folder(), 'app.db');
    const database = makeRandomDatabase(path, random);
    try {
      await live(path, database, random);
    } catch (error) {
      throw new Error(`BKP_TEST_SEED=${seed}: ${database.note}`, {cause: error});
    } finally {
      database.db.close();
    }
  }
}

/** Three backups in each form, with changes between them. */
async function live(path: string, database: RandomDatabase, random: Random): Promise<void> {
  const source = new SqliteSource(path);
  const {tables} = database;
  const facts = await source.describe(tables);
  const tracked = facts.every((fact) => fact.state === 'present' && fact.fullOnly === undefined);
  const taken = new Map<Form, Backup>();
  for (let round = 0; round < 3; round++) {
    for (const form of forms) {
      const image = imageOf(path, tables);
      const last = taken.get(form);
      // In WAL mode others write while a backup reads; in other modes they would wait for it.
      const isWal = database.note.endsWith('wal');
      const meanwhile = () => {
        if (isWal && random.chance(0.05)) changeRandomDatabase(database, random);
        if (isWal && random.chance(0.1)) database.db.exec(`PRAGMA wal_checkpoint(${random.pick(['PASSIVE', 'FULL'])})`);
      };
      const track = tracked ? {track: {owner: `${owner}${form}`}} : {};
      const backup =
        last !== undefined && tracked && random.chance(0.5)
          ? await takeIncrement(source, `${owner}${form}`, last, {form, meanwhile})
          : await takeFull(source, {
              tables,
              ...track,
              form,
              meanwhile,
              ...(last === undefined ? {} : {previous: last}),
            });
      taken.set(form, backup);
      await expectBack(backup, image, random);
    }
    changeRandomDatabase(database, random);
  }
}

async function expectBack(backup: Backup, image: unknown, random: Random): Promise<void> {
  const tables = backup.schemas.map(({name}) => name);
  const fresh = join(folder(), 'new.db');
  await restore(new SqliteSource(fresh), backup);
  expect(imageOf(fresh, tables)).toEqual(image);
  if (isQuickBySql(fresh)) expect(await contentsOf(fresh, tables)).toEqual(contentsBySql(fresh, tables));
  const existing = join(folder(), 'existing.db');
  const other = new DatabaseSync(existing);
  const encoding = String(backup.database.encoding ?? 'UTF-8');
  other.exec(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = ${random.pick([512, 4096, 65536])};
    PRAGMA auto_vacuum = ${random.pick([0, 1])}; CREATE TABLE other (x)`);
  other.close();
  await restore(new SqliteSource(existing), backup);
  expect(imageOf(existing, tables)).toEqual(image);
}
