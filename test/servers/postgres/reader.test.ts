import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {read} from '../../reader/run.ts';
import {awkwardChanges, awkwardSchema, awkwardTables} from './awkward.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

test('psql restores a full backup and an increment from the script that bkp-reader writes', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(awkwardSchema);
  const where = `host=${join(cluster().folder, 's')} port=${cluster().port} user=postgres`;
  const desk = openDesk(undefined, {
    BKP_SOURCE: `${where} dbname=${database.name}`,
    PATH: `${cluster().bin}:${process.env.PATH}`,
  });
  const done = async (...args: string[]) => {
    const result = await desk.bkp(...args);
    expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
  };
  const expectRestored = async (file: string) => {
    const script = join(desk.folder, file);
    const run = read(desk.cluster, 'c', '--to', script);
    expect(run, run.stderr).toMatchObject({status: 0});
    const target = await cluster().create();
    onTestFinished(() => target.close());
    const psql = join(cluster().bin, 'psql');
    execFileSync(psql, ['-X', '-q', ...cluster().where, '-d', target.name, '-f', script], {stdio: 'pipe'});
    for (const table of awkwardTables) {
      const only = table === 'public.part' ? table : `ONLY ${table}`;
      expect(await target.rows(only), table).toEqual(await database.rows(only));
    }
  };
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await expectRestored('full.sql');
  await database.exec(awkwardChanges);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  await expectRestored('increment.sql');
});
