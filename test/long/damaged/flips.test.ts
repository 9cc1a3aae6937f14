import {join} from 'node:path';
import {expect, test} from 'vitest';
import {seed} from '../../seeds/seed.ts';
import {Random} from '../../simulator/random.ts';
import {folder} from '../../sources/sqlite/database.ts';
import {cellsOf, DamagedFile, headerOf, makeDatabase, pageBytes} from './pages.ts';
import {tryBackup, tryRestore} from './try.ts';

const flips = 200 * Number(process.env.BKP_TEST_RUNS ?? 1);

/** Half of the flips hit what SQLite finds its way by: headers, pointers, the beginnings of cells. */
function randomPlace(file: DamagedFile, random: Random): {page: number; at: number} {
  const page = random.between(1, file.pages);
  const at = random.below(pageBytes);
  const bytes = file.page(page);
  if (page === 1 || ![2, 5, 10, 13].includes(bytes[0]!) || random.chance(0.5)) return {page, at};
  const cells = cellsOf(bytes);
  if (cells.length > 0 && random.chance(0.5)) return {page, at: (random.pick(cells) + random.below(8)) % pageBytes};
  return {page, at: random.below(headerOf(bytes) + 2 * cells.length)};
}

test(`of ${flips} flipped bits, records miss none that rows find, from seed ${seed} on`, async () => {
  const good = join(folder(), 'good.db');
  makeDatabase(good);
  const file = new DamagedFile(good);
  const random = new Random(seed);
  for (let n = 0; n < flips; n++) {
    const {page, at} = randomPlace(file, random);
    const bit = random.below(8);
    const note = `flip ${n} of seed ${seed}: page ${page}, byte ${at}, bit ${bit}`;
    const path = join(folder(), 'damaged.db');
    file.damage(path, page, (bytes) => bytes.writeUInt8(bytes[at]! ^ (1 << bit), at));
    const [records, rows] = [await tryBackup(path), await tryBackup(path, 'rows')];
    if (records.error !== undefined) {
      expect(records.error.code, note).toBe(page === 1 && rows.error ? rows.error.code : 'SOURCE_DAMAGED');
      continue;
    }
    expect(rows.error, note).toBeUndefined();
    // What is in the backup is what SQLite reads.
    expect(await tryRestore(records.backup!), note).toEqual(await tryRestore(rows.backup!));
  }
});
