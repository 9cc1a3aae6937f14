import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {ExecStandIn} from '../sources/questdb/exec-stand-in.ts';
import {writeRecordedRoot} from '../sources/questdb/recorded-root.ts';

// `_backup_restore`, as a QuestDB user puts it into a new root; the database is a recording.

test('_backup_restore is removed after a successful restore, and kept after a failed one', async () => {
  const desk = openDesk('');
  const served = join(desk.folder, 'served');
  writeRecordedRoot(served);
  const server = await ExecStandIn.start(served);
  onTestFinished(() => server.stop());
  const store = join(desk.folder, 'store');
  const source = `questdb::root=${served};http=${server.url}`;
  const taken = await desk.bkp('--source', source, '--store', `fs::root=${store}`, 'sql', '--wait', 'BACKUP DATABASE');
  expect(taken.status, taken.stderr).toBe(0);

  const root = join(desk.folder, 'new');
  const wish = join(root, '_backup_restore');
  mkdirSync(root);
  writeFileSync(wish, `backup.object.store=fs::root=${store}\n`);
  const restore = () => desk.bkp('restore', '--root', root, '--wait');
  expect((await desk.bkp('restore', '--root', root, '--dry-run')).status).toBe(0);
  expect(readdirSync(root)).toEqual(['_backup_restore']);

  const packs = join(store, 'packs');
  const pack = join(
    packs,
    readdirSync(packs, {recursive: true, encoding: 'utf8'}).find((name) => /[0-9a-f]{64}$/.test(name))!,
  );
  const bytes = readFileSync(pack);
  writeFileSync(pack, Buffer.from(bytes).fill(0, 0, bytes.length - 100));
  expect((await restore()).status).toBe(13);
  expect(existsSync(wish)).toBe(true);
  writeFileSync(pack, bytes);
  for (const name of ['.restore_failed', '_restore_failed']) rmSync(join(root, name), {recursive: true, force: true});

  const done = await restore();
  expect(done.status, done.stderr).toBe(0);
  expect(readdirSync(root).sort()).toEqual(['.checkpoint', '_restore', 'db']);
});
