import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test} from 'vitest';
import {restore, takeFull} from '../../sources/layers.ts';
import {awkwardChanges, awkwardSchema, awkwardTables, untracked} from './awkward.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';

const owner = 'collection-1';
const versions = {16: clusterOfFile(16), 18: clusterOfFile(18)};

describe.each([16, 18] as const)('tables of every kind, PostgreSQL %i', (major) => {
  const cluster = versions[major];

  async function filled(): Promise<TestDatabase> {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(awkwardSchema);
    return database;
  }

  /** The statements of pg_dump, in any order. */
  function schemaOf({name}: TestDatabase): readonly string[] {
    const dump = execFileSync(join(cluster().bin, 'pg_dump'), ['-s', '-N', '_bkp', ...cluster().where, name], {
      encoding: 'utf8',
    });
    return dump
      .split(/;\n/u)
      .map((statement) => statement.replace(/^(?:--.*|\\.*|SET .*)?$\n?/gmu, '').trim())
      .filter((statement) => statement !== '' && !statement.includes('~bkp_'))
      .toSorted();
  }

  async function expectSame(target: TestDatabase, database: TestDatabase): Promise<void> {
    for (const table of awkwardTables) {
      const only = table === 'public.part' ? table : `ONLY ${table}`;
      expect(await target.rows(only), table).toEqual(await database.rows(only));
    }
    expect(schemaOf(target)).toEqual(schemaOf(database));
  }

  test('a full backup restores every value and every statement of the schema', async () => {
    const database = await filled();
    const backup = await takeFull(database.source, {tables: awkwardTables});
    const target = await cluster().create();
    onTestFinished(() => target.close());
    await restore(target.source, backup);
    await expectSame(target, database);
    expect(await target.rows("(SELECT nextval(pg_get_serial_sequence('a', 'id')))")).toEqual(
      await database.rows("(SELECT nextval(pg_get_serial_sequence('a', 'id')))"),
    );
  });

  test('an increment has changes of every kind, and begins a table again that was truncated', async () => {
    const database = await filled();
    const full = await takeFull(database.source, {tables: awkwardTables, track: {owner}, whole: untracked});
    await database.exec(awkwardChanges);
    const fingerprints = Object.fromEntries(
      full.schemas.filter(({name}) => !untracked.includes(name)).map(({name, fingerprint}) => [name, fingerprint]),
    );
    const notices: string[] = [];
    const snapshot = await database.source.snapshot({
      tables: awkwardTables,
      track: {owner},
      whole: untracked,
      since: {owner, mark: full.mark!, fingerprints},
      notice: (text) => notices.push(text),
    });
    const kinds = new Map<string, string>();
    for (const {name} of snapshot.schemas) {
      if (untracked.includes(name)) continue;
      const changes = await snapshot.changes(name, full.mark!);
      kinds.set(name, changes === 'rebase' ? 'rebase' : changes.logged === 0 ? 'same' : 'delta');
    }
    await snapshot.close();
    expect(Object.fromEntries(kinds)).toEqual({
      '"We ird"."T ä""x"': 'delta',
      'public.a': 'delta',
      'public.child': 'delta',
      'public.generated': 'delta',
      'public."order"': 'delta',
      'public.parent': 'rebase',
      'public.part': 'delta',
    });
    expect(notices).toEqual([expect.stringContaining('public.parent')]);
  });
});
