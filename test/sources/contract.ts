import {describe, expect, test} from 'vitest';
import type {TableSource} from '../../src/sources/index.ts';
import {
  type Backup,
  deltaSize,
  fillStaging,
  loadStaging,
  restore,
  rowsIn,
  streamsOf,
  takeFull,
  takeIncrement,
} from './layers.ts';

/** A test's own database. It executes SQL that every database system understands. */
export type ContractDatabase = {
  source: TableSource;
  exec(sql: string): Promise<void>;
  /** Every row as text, sorted. */
  rows(table: string): Promise<readonly string[]>;
};

export type ContractOptions = {
  name: string;
  /** The database's own spelling of a table's name. Default: the name itself. */
  nameOf?: (table: string) => string;
  /** @returns a database without tables, removed after the test */
  make: () => Promise<ContractDatabase>;
};

const schema = `
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, note VARCHAR(100) UNIQUE);
  CREATE TABLE notes (id INTEGER);
  INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy');
  INSERT INTO orders VALUES (1, 1, 'first'), (2, 1, NULL), (3, 3, 'third');`;
const owner = 'collection-1';
const track = {owner};

/** The contract that every source of tables keeps. */
export function describeTableSource({name, make, nameOf = (table) => table}: ContractOptions): void {
  const [customers, notes, orders, mine] = ['customers', 'notes', 'orders', 'mine'].map(nameOf) as [
    string,
    string,
    string,
    string,
  ];
  const tables = [customers, orders];
  const filled = async () => {
    const database = await make();
    await database.exec(schema);
    return database;
  };
  const fullOf = ({source}: ContractDatabase, previous?: Backup) =>
    takeFull(source, {tables, track, ...(previous === undefined ? {} : {previous})});

  async function expectComesBack(from: ContractDatabase, backup: Backup): Promise<void> {
    const target = await make();
    await restore(target.source, backup);
    for (const {name: table} of backup.schemas) expect(await target.rows(table)).toEqual(await from.rows(table));
  }

  describe(`a ${name} source describes`, () => {
    test('tables by name, absent tables, and all tables in order', async () => {
      const {source} = await filled();
      expect(await source.describe(['orders', 'nothing'])).toMatchObject([
        {name: orders, state: 'present'},
        {name: 'nothing', state: 'absent'},
      ]);
      expect((await source.describe('all')).map((table) => table.name)).toEqual([customers, notes, orders]);
      expect(await source.describe(['notes'])).toMatchObject([{fullOnly: expect.any(String)}]);
      expect(await source.describe(['orders'])).toEqual([{name: orders, state: 'present'}]);
    });

    test('itself, even before the database exists', async () => {
      const {source} = await make();
      expect(source.description).toMatch(/::|:\/\//);
      expect(await source.tracking()).toEqual([]);
    });
  });

  describe(`a snapshot of a ${name} source`, () => {
    test('holds every row, and exact counts', async () => {
      const database = await filled();
      const snapshot = await database.source.snapshot({tables});
      expect(snapshot.mark).toBeUndefined();
      expect(await Promise.all(tables.map((table) => snapshot.countRows(table)))).toEqual([3, 3]);
      expect(await snapshot.estimatedBytes(customers)).toBeGreaterThan(0);
      await snapshot.close();
      const backup = await takeFull(database.source, {tables});
      expect(rowsIn(streamsOf(backup, orders)[0]!.segments)).toBe(3);
      await expectComesBack(database, backup);
    });

    test('of a table without rows', async () => {
      const database = await filled();
      await expectComesBack(database, await takeFull(database.source, {tables: ['notes']}));
    });

    test('leaves nothing in the source when nothing is tracked', async () => {
      const database = await filled();
      await takeFull(database.source, {tables});
      expect(await database.source.identity()).toBeUndefined();
      expect(await database.source.tracking()).toEqual([]);
    });

    test('names the missing table', async () => {
      const {source} = await filled();
      await expect(source.snapshot({tables: ['orders', 'nothing']})).rejects.toMatchObject({code: 'TABLE_NOT_FOUND'});
    });

    test('gives the same bytes again while nothing changes', async () => {
      const database = await filled();
      const first = await fullOf(database);
      const second = await fullOf(database, first);
      // Cuts may also say when they were made.
      const segmentsOf = (backup: Backup, table: string) => streamsOf(backup, table).map(({segments}) => segments);
      for (const table of tables) expect(segmentsOf(second, table)).toMatchObject(segmentsOf(first, table));
      expect(second.schemas).toEqual(first.schemas);
    });

    test('leaves indexes out of the schema on request', async () => {
      const database = await filled();
      await database.exec('CREATE INDEX by_customer ON orders (customer)');
      const schemaOf = async (omitIndexes: boolean) => {
        const snapshot = await database.source.snapshot({tables: ['orders'], omitIndexes});
        await snapshot.close();
        return snapshot.schemas[0]!;
      };
      const [whole, without] = [await schemaOf(false), await schemaOf(true)];
      expect(whole.definition.indexes).toEqual([expect.stringContaining('by_customer')]);
      expect(without.definition.indexes).toEqual([]);
      expect(whole.fingerprint).toBe(without.fingerprint);
    });
  });

  describe(`increments of a ${name} source`, () => {
    test('are inserts, updates and deletes since the mark, each key once', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec(`
        INSERT INTO orders VALUES (4, 2, 'fourth'); UPDATE orders SET note = 'changed' WHERE id = 1;
        UPDATE orders SET note = 'again' WHERE id = 1; DELETE FROM orders WHERE id = 2;
        UPDATE orders SET id = 30 WHERE id = 3`);
      const first = await takeIncrement(database.source, owner, base);
      expect(deltaSize(first, orders)).toEqual({keys: 5, rows: 3});
      expect(first.layers[customers]).toHaveLength(1);
      await expectComesBack(database, first);
      await database.exec('DELETE FROM orders; DELETE FROM customers WHERE id = 1');
      const second = await takeIncrement(database.source, owner, first);
      expect(deltaSize(second, orders)).toEqual({keys: 4 - 1, rows: 0});
      await expectComesBack(database, second);
    });

    test('start again from an earlier mark when the later backup was not kept', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec('DELETE FROM orders WHERE id = 2');
      await takeIncrement(database.source, owner, base);
      await database.exec('DELETE FROM orders WHERE id = 3');
      const kept = await takeIncrement(database.source, owner, base);
      expect(deltaSize(kept, orders)).toEqual({keys: 2, rows: 0});
      await expectComesBack(database, kept);
    });

    test('cannot start from a mark before the acknowledged one', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec('DELETE FROM orders WHERE id = 2');
      const next = await takeIncrement(database.source, owner, base);
      await database.source.acknowledge(owner, next.mark!);
      await expect(takeIncrement(database.source, owner, base)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
      await database.exec('DELETE FROM orders WHERE id = 3');
      await expectComesBack(database, await takeIncrement(database.source, owner, next));
    });

    test('of another database, or of another owner, are refused', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await expect(takeIncrement((await filled()).source, owner, base)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
      await expect(takeIncrement(database.source, 'somebody else', base)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
    });

    test('take all rows of a table whose columns changed, and the changes of the others', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec(`ALTER TABLE orders ADD COLUMN more INTEGER; DELETE FROM customers WHERE id = 1`);
      const next = await takeIncrement(database.source, owner, base);
      expect(next.layers[orders]!.map(({kind}) => kind)).toEqual(['base']);
      expect(deltaSize(next, customers)).toEqual({keys: 1, rows: 0});
      await expectComesBack(database, next);
      await database.exec('UPDATE orders SET more = 5');
      await expectComesBack(database, await takeIncrement(database.source, owner, next));
    });

    test('are kept for each owner until it is untracked', async () => {
      const database = await filled();
      const {source} = database;
      const mine = await fullOf(database);
      const theirs = await takeFull(source, {tables: ['orders'], track: {owner: 'other'}});
      expect((await source.tracking()).map((entry) => [entry.owner, entry.tables])).toEqual([
        [owner, tables],
        ['other', [orders]],
      ]);
      expect(await source.identity()).toBeTruthy();
      await database.exec('DELETE FROM orders WHERE id = 1');
      await source.untrack(owner);
      await expect(takeIncrement(source, owner, mine)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
      await expectComesBack(database, await takeIncrement(source, 'other', theirs));
      await source.untrack('other');
      await source.untrack('nobody');
      expect(await source.tracking()).toEqual([]);
      expect((await source.describe('all')).map((table) => table.name)).toEqual([customers, notes, orders]);
    });
  });

  describe(`staging in a ${name} source`, () => {
    test('shows no table before it is published, and all tables after', async () => {
      const target = await make();
      await target.exec('CREATE TABLE mine (id INTEGER PRIMARY KEY)');
      const staging = await loadStaging(target.source, await fullOf(await filled()));
      expect((await target.source.describe('all')).map((table) => table.name)).toEqual([mine]);
      expect(await staging.finish({check: 'full'})).toEqual([
        {name: customers, rows: 3},
        {name: orders, rows: 3},
      ]);
      await staging.publish({});
      expect((await target.source.describe('all')).map((table) => table.name)).toEqual([customers, mine, orders]);
    });

    test('reports what its tables contain, which is what they contained at the backup', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec("UPDATE orders SET note = 'other' WHERE id = 1; DELETE FROM customers WHERE id = 2");
      const next = await takeIncrement(database.source, owner, base);
      for (const check of ['quick', 'full'] as const) {
        const contentOf = new Set(tables);
        const complete = await loadStaging((await make()).source, next);
        const found = await complete.finish({check, contentOf});
        expect(new Map(found.map(({name: table, content}) => [table, content]))).toEqual(next.contents);
        await complete.discard();
        const wrong = await loadStaging((await make()).source, {...next, layers: base.layers});
        for (const {name: table, content} of await wrong.finish({check, contentOf}))
          expect(content).not.toEqual(next.contents.get(table));
        await wrong.discard();
      }
    });

    test('is discarded without a trace', async () => {
      const target = await make();
      await target.exec('CREATE TABLE mine (id INTEGER PRIMARY KEY)');
      const backup = await fullOf(await filled());
      await (await fillStaging(target.source, backup)).discard();
      expect(await target.source.discardStaging('test')).toBe(false);
      expect(await target.source.discardStaging('test', {unlessContinuable: true})).toBe(false);
      expect((await target.source.describe('all')).map((table) => table.name)).toEqual([mine]);
      await restore(target.source, backup);
    });

    test('names every conflicting table, before loading and at publishing', async () => {
      const target = await filled();
      const backup = await fullOf(target);
      await expect(restore(target.source, backup)).rejects.toMatchObject({
        code: 'TABLE_EXISTS',
        message: expect.stringMatching(/customers.*orders/),
      });
      const late = await make();
      await late.exec('CREATE TABLE mine (id INTEGER PRIMARY KEY)');
      const staging = await fillStaging(late.source, backup);
      await late.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY)');
      await expect(staging.publish({})).rejects.toMatchObject({code: 'TABLE_EXISTS'});
      await staging.discard();
      expect((await late.source.describe('all')).map((table) => table.name)).toEqual([mine, orders]);
    });

    test('continues the chain when it is published with its mark', async () => {
      const database = await filled();
      const base = await fullOf(database);
      await database.exec('DROP TABLE orders; DROP TABLE customers');
      await restore(database.source, base, {owner, mark: base.mark!});
      await database.exec(`UPDATE customers SET name = 'Di' WHERE id = 2`);
      const next = await takeIncrement(database.source, owner, base);
      expect(deltaSize(next, customers)).toEqual({keys: 1, rows: 1});
      await expectComesBack(database, next);
    });

    test('stops when its signal aborts', async () => {
      const target = await make();
      const backup = await fullOf(await filled());
      const staging = await loadStaging(target.source, backup);
      await expect(staging.finish({check: 'quick', signal: AbortSignal.abort()})).rejects.toThrow();
      await staging.discard();
    });
  });
}
