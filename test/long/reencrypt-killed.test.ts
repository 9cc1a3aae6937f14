import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {type Desk, openDesk} from '../helpers/desk.ts';
import {buildKillableCommand, type KillableCommand, keptDesk} from '../helpers/killed-command.ts';
import {readWith} from '../reader/run.ts';

const schema = `
  CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
  INSERT INTO notes SELECT i, 'note ' || i, randomblob(4000) FROM n;
`;
const secret = {BKP_PASSWORD: newKey().code};
const rotate = ['vault', 'key', 'rotate', '--reencrypt'];

/** So many of the calls are tried, spread over all of them; the vault's own test tries each. */
const kills = 12;

let command: KillableCommand;
beforeAll(async () => {
  command = await buildKillableCommand();
});
afterAll(() => command.remove());

const rows = (desk: Desk, file?: string) => desk.all('SELECT id, text, hex(bytes) AS bytes FROM notes', file);

/** By the reader, which shares no code with bkp. */
function expectReadable(desk: Desk, backups: Record<string, unknown[]>, context: string): void {
  for (const [name, wanted] of Object.entries(backups)) {
    desk.remove('read.db');
    const target = join(desk.folder, 'read.db');
    const {status, stderr} = readWith(secret, desk.cluster, `c/${name}`, '--to', target);
    expect(status, `${context}: ${stderr}`).toBe(0);
    expect(rows(desk, target), context).toEqual(wanted);
  }
}

const backupsOf = async (desk: Desk) =>
  (await desk.sql('SHOW BACKUPS IN c')).match(/\d{14}Z_(full|incremental)/g)!.sort();

test('a re-encryption killed anywhere leaves all backups readable, and goes on when it is repeated', async () => {
  const desk = openDesk(schema, secret);
  await desk.bkp('vault', 'create', '--encrypt');
  await desk.sql(
    "CREATE BACKUP COLLECTION c (TABLE notes) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')",
  );
  await desk.sqlWait('BACKUP c');
  const before = rows(desk);
  desk.exec("UPDATE notes SET text = 'changed' WHERE id % 30 = 0");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [full = '', incremental = ''] = await backupsOf(desk);
  const backups = {[full]: before, [incremental]: rows(desk)};
  const putBack = keptDesk(desk);
  const calls = (await command.run(desk, secret, rotate, 0))!;
  expectReadable(desk, backups, 'complete');
  let goneOn = 0;
  for (let at = 1; at <= calls; at += Math.ceil(calls / kills)) {
    putBack();
    if ((await command.run(desk, secret, rotate, at)) !== undefined) continue;
    expectReadable(desk, backups, `killed at call ${at}`);
    const {stderr, status} = await desk.bkp(...rotate, '--wait');
    expect(status, stderr).toBe(0);
    if (stderr.includes('goes on with the same keys')) goneOn += 1;
    expectReadable(desk, backups, `continued after call ${at}`);
  }
  expect(goneOn).toBeGreaterThan(0);
  await desk.sqlWait("VERIFY c WITH (LEVEL='data')");
  expect((await desk.bkp('doctor')).stdout).not.toContain('re-encryption of');
}, 600_000);
