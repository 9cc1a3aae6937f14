import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {type RunResult, runBkp} from '../helpers/bkp.ts';
import {openDesk} from '../helpers/desk.ts';
import {storeText} from './open.ts';
import {type Keys, type S3Server, startMinio} from './s3-server.ts';
import {filesIn, leaksIn, objectsOf, watchCommandLines} from './secrets.ts';
import {appendOnly, sessionKeys} from './session-keys.ts';

// The real bkp as users start it, on MinIO. After each test, everything that others can read is searched for the
// secret key.

const create =
  "CREATE BACKUP COLLECTION c (TABLE orders, TABLE products) WITH (STORAGE='s3', INCREMENTAL_BACKUP_ENABLED='true')";
const rows = 'SELECT * FROM orders UNION ALL SELECT * FROM products ORDER BY id, txt';

const root = 'team/shop';

let minio: S3Server;
beforeAll(async () => {
  minio = await startMinio();
});
afterAll(() => minio?.stop());

/** A desk whose bkp gets the bucket from its environment; all output is kept. */
async function deskAt(env: (bucket: string) => Record<string, string>, keys: Keys = minio.keys) {
  const bucket = await minio.bucket();
  const secrets = [keys.secretAccessKey, ...(keys.sessionToken === undefined ? [] : [keys.sessionToken])];
  const said: string[] = [];
  const desk = openDesk(undefined, env(bucket));
  const commandLines = watchCommandLines(secrets, desk.home);
  onTestFinished(() => void commandLines.stop());
  const heard = async (result: Promise<RunResult>) => {
    const {stdout, stderr, status} = await result;
    said.push(stdout, stderr);
    return {stdout, stderr, status};
  };
  const bkp = (...args: string[]) => heard(desk.bkp(...args));
  const done = async (...args: string[]) => {
    const result = await bkp(...args);
    expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
    return result.stdout;
  };
  /** To be called at the end of a test, while the files still exist. */
  const expectNoLeak = async ({workers = true} = {}) => {
    const {leaks, workersSeen} = commandLines.stop();
    expect(leaks).toEqual([]);
    expect(workersSeen > 0).toBe(workers);
    const texts = said.map((text, n): [string, Buffer] => [`output ${n}`, Buffer.from(text)]);
    const kept = filesIn(desk.folder).filter(([file]) => !file.endsWith('/store-file'));
    expect(kept.some(([file]) => file.endsWith('journal.db'))).toBe(true);
    expect(kept.some(([file]) => file.endsWith('.log'))).toBe(workers);
    const objects = await objectsOf(minio, bucket);
    expect(leaksIn(secrets, [...texts, ...kept, ...objects])).toEqual([]);
  };
  return {desk, bucket, secrets, bkp, done, heard, expectNoLeak};
}

test('a machine that has only the store backs up, verifies, restores and drops a collection', async () => {
  const {desk, bucket, secrets, done, heard, expectNoLeak} = await deskAt((name) => ({
    BKP_STORE: storeText(minio, name, {root}),
  }));
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  desk.exec(
    'UPDATE orders SET number = 11 WHERE id = 1; DELETE FROM products WHERE id = 2; INSERT INTO ' +
      "orders VALUES (4, 40, 'four')",
  );
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  await done('sql', '--wait', 'VERIFY c');
  expect([...(await objectsOf(minio, bucket)).keys()].every((key) => key.startsWith('team/shop/'))).toBe(true);

  const other = openDesk('');
  const target = join(other.folder, 'new.db');
  const elsewhere = (...args: string[]) =>
    heard(
      runBkp(args, {
        home: other.home.replace('home', 'fresh'),
        env: {BKP_STORE: storeText(minio, bucket, {root})},
        cwd: other.folder,
      }),
    );
  const list = await elsewhere('collection', 'list');
  expect(list, list.stderr).toMatchObject({status: 0, stdout: expect.stringMatching(/\bc\b/)});
  const restore = await elsewhere('--source', target, 'sql', '--wait', 'RESTORE c');
  expect(restore, restore.stderr).toMatchObject({status: 0});
  expect(other.all(rows, target)).toEqual(desk.all(rows));
  expect(leaksIn(secrets, filesIn(other.folder))).toEqual([]);

  await done('operation', 'list');
  await done('operation', 'list', '--format', 'json');
  await done('sql', '--wait', 'DROP BACKUP COLLECTION c');
  const left = [...(await objectsOf(minio, bucket)).keys()];
  expect(left.filter((key) => /packs|manifest/.test(key))).toEqual([]);
  await expectNoLeak();
});

test('an address in a file works, with temporary keys that may neither remove nor overwrite', async () => {
  const keys = await sessionKeys(minio, appendOnly);
  const {desk, bucket, bkp, done, expectNoLeak} = await deskAt(() => ({BKP_STORE_FILE: 'store-file'}), keys);
  writeFileSync(join(desk.folder, 'store-file'), storeText(minio, bucket, {root, keys}), {mode: 0o600});
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  desk.exec('UPDATE orders SET number = number + 1');
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = join(desk.folder, 'new.db');
  await done('--source', target, 'sql', '--wait', 'RESTORE c');
  expect(desk.all(rows, target)).toEqual(desk.all(rows));
  const drop = await bkp('sql', '--wait', 'DROP BACKUP COLLECTION c');
  expect(drop, drop.stderr).toMatchObject({status: 12});
  expect(drop.stderr).toMatch(/^bkp: .*\ncause: .*\nnext: {2}/m);
  await done('operation', 'list');
  await expectNoLeak();
});

test.each([
  ['a wrong secret', (keys: Keys) => ({...keys, secretAccessKey: 'quite-wrong-secret'})],
  ['an unknown key', () => ({accessKeyId: 'nobody', secretAccessKey: 'quite-wrong-secret'})],
])('%s is reported in the foreground, with the next step', async (_, wrong) => {
  const keys = wrong(minio.keys);
  const {bkp, done, expectNoLeak} = await deskAt((name) => ({BKP_STORE: storeText(minio, name, {root, keys})}), keys);
  // Creates a journal to search.
  await done('operation', 'list');
  const refused = await bkp('sql', create);
  expect(refused, refused.stderr).toMatchObject({status: 12, stdout: ''});
  expect(refused.stderr).toMatch(/^bkp: .*\ncause: .*\nnext: {2}/m);
  expect(refused.stderr).not.toMatch(/^ {4}at /m);
  await expectNoLeak({workers: false});
});
