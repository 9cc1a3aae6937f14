import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {loadStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {wildSchema} from './faithful.ts';

const cluster = clusterOfFile('contrib');

/** The statements of pg_dump, in any order. */
function schemaOf({name}: TestDatabase): readonly string[] {
  const dump = execFileSync(join(cluster().clientBin, 'pg_dump'), ['-s', '-N', '_bkp', ...cluster().where, name], {
    encoding: 'utf8',
  });
  return dump
    .split(/;\n/u)
    .map((statement) => statement.replace(/^(?:--.*|\\.*|SET .*)?$\n?/gmu, '').trim())
    .filter((statement) => statement !== '' && !statement.includes('~bkp_'))
    .toSorted();
}

/** Tables, partitions and materialized views, as statements name them. */
const relations = `(SELECT format('%I.%I', n.nspname, c.relname), c.relispopulated FROM pg_class c
  JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'm') AND nspname IN ('app', 'Odd Schema'))`;

test('a restored database has every statement of its source, by pg_dump, and every row', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec('CREATE ROLE wild_reader; CREATE ROLE wild_owner');
  await database.exec(wildSchema);
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec("UPDATE app.orders SET note = 'changed' WHERE id < 9; INSERT INTO app.hashed VALUES (99, 'new')");
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const restored = await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(restored).not.toMatch(/left out|not in/u);
  expect(schemaOf(target)).toEqual(schemaOf(database));
  const found = await database.rows(relations);
  expect(found.length).toBeGreaterThan(24);
  expect(await target.rows(relations)).toEqual(found);
  for (const line of found.filter((one) => one.endsWith(',t)'))) {
    const name = line
      .slice(1, -3)
      .replace(/^"(.*)"$/u, '$1')
      .replaceAll('""', '"');
    expect(await target.rows(name), name).toEqual(await database.rows(name));
  }
  // amcheck, which this server has.
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='restore')");
  const page = await done('report', 'c');
  expect(page).toMatch(/amcheck found no fault in \d+ indexes/u);
});

test('an extension that the target has stays when a restore fails, and one that it brought goes', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE EXTENSION citext; CREATE EXTENSION pgcrypto;
    CREATE TABLE t (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, mail citext,
      hash text DEFAULT crypt('', gen_salt('md5')))`);
  const backup = await takeFull(database.source, {tables: ['public.t']});
  const target = await cluster().create();
  onTestFinished(() => target.close());
  await target.exec('CREATE EXTENSION pgcrypto');
  const staging = await loadStaging(target.source, backup);
  const extensions = "(SELECT extname FROM pg_extension WHERE extname <> 'plpgsql')";
  expect(await target.rows(extensions)).toEqual(['(citext)', '(pgcrypto)']);
  await staging.discard();
  expect(await target.rows(extensions)).toEqual(['(pgcrypto)']);
});
