import {describe, expect, onTestFinished, test} from 'vitest';
import {fillStaging, merge, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';
import {statementsOf} from './dumped.ts';

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const owner = 'c';
const tables = ['public.child', 'public.part', 'public.t'];

const made = (version: number) => `CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, v int, w d);
  INSERT INTO t VALUES (1, -1, -1), (2, 2, 2);
  CREATE TABLE child (id int PRIMARY KEY, t int, n int); INSERT INTO child VALUES (1, 99, NULL), (2, 2, 2);
  CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); CREATE TABLE part1 PARTITION OF part DEFAULT;
  INSERT INTO part VALUES (1, -1), (2, 2);
  ALTER TABLE t ADD CONSTRAINT above CHECK (v > 0) NOT VALID;
  ALTER DOMAIN d ADD CONSTRAINT da CHECK (VALUE > 0) NOT VALID;
  ALTER TABLE part1 ADD CONSTRAINT pa CHECK (v > 0) NOT VALID;
  ALTER TABLE part ADD CONSTRAINT pb CHECK (v > 0) NOT VALID;
  ALTER TABLE child ADD CONSTRAINT of_t FOREIGN KEY (t) REFERENCES t ON DELETE CASCADE NOT VALID;
  ${
    version < 18
      ? ''
      : `ALTER TABLE child ADD CONSTRAINT nn NOT NULL n NOT VALID;
    ALTER TABLE t ADD CONSTRAINT off CHECK (v < 1) NOT ENFORCED;
    ALTER TABLE part ADD CONSTRAINT of_part FOREIGN KEY (v) REFERENCES t NOT VALID;`
  }`;

describe.each([
  [15, 'triggers'],
  [15, 'scan'],
  [18, 'triggers'],
  [18, 'scan'],
] as const)('version %i, tracking=%s', (version, tracking) => {
  test('constraints that are not valid come back as they are, in full backups and increments', async () => {
    const {database, target} = await filledAndEmpty(clusters[version](), made(version));
    const source = database.with({tracking});
    onTestFinished(() => source.close());
    const full = await takeFull(source, {tables, track: {owner}});
    const rowsOf = (one: typeof database) => Promise.all(tables.map((table) => one.rows(table)));
    const restored = async (backup: typeof full, into: typeof target) => {
      const told: string[] = [];
      const tell = (text: string) => told.push(text);
      const staging = await fillStaging(into.source, backup);
      await staging.publish({notice: tell, missing: ({name, why}) => tell(`${name}: ${why}`)});
      await staging.discard();
      expect(told).toEqual([]);
      expect(await rowsOf(into)).toEqual(await rowsOf(database));
      expect(statementsOf(clusters[version](), into.name)).toEqual(statementsOf(clusters[version](), database.name));
    };
    await restored(full, target);
    // Of rows that no constraint would allow, some stay, some go, and others come.
    await database.exec(
      `UPDATE t SET v = 5 WHERE id = 1; INSERT INTO t VALUES (3, 3, 3); DELETE FROM child WHERE id = 1;
      UPDATE part SET v = 3 WHERE id = 2; INSERT INTO child VALUES (3, 3, 3)`.replace(
        'UPDATE t SET v = 5',
        version < 18 ? 'UPDATE t SET v = 5' : 'UPDATE t SET w = 5, v = 5',
      ),
    );
    const next = await takeIncrement(source, owner, full);
    const second = await clusters[version]().create();
    onTestFinished(() => second.close());
    await restored(next, second);
    // One became valid, one is new.
    await database.exec(
      `ALTER TABLE t VALIDATE CONSTRAINT above; ALTER TABLE child ADD CONSTRAINT late CHECK (id > 1) NOT VALID`,
    );
    const third = await clusters[version]().create();
    onTestFinished(() => third.close());
    await restored(await takeIncrement(source, owner, next), third);
    // The server refuses a value that breaks a check of a domain, wherever it is written to.
    await database.exec('ALTER DOMAIN d DROP CONSTRAINT da; UPDATE t SET v = 7; DELETE FROM child');
    const before = await rowsOf(third);
    await merge(database.source, next, 'replace');
    expect(await rowsOf(database)).toEqual(before);
  });
});
