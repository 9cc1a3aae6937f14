import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {runBkp} from '../helpers/bkp.ts';
import {backupsOf, casesSchema, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {type FakeS3, type FakeS3Options, startFakeS3} from '../helpers/fake-s3.ts';
import {filesWithSecret, holdsSecret} from '../helpers/secret-hunt.ts';

// bkp as a whole against an object store: real processes, and a server in this one.

const secret = 'wJalrXUtnFEMI+K7MDENG/bPxRfiCYzSECRETKEY';
const dropBoth = 'DROP TABLE orders; DROP TABLE products';
/** The definition that records a DROP. A cleanup a week later removes it. */
const drop = expect.stringMatching(/^team\/shop\/\.backups\/collections\/c\/definition\/\d{8}$/);
const inS3 = (statement: string) => statement.replace("'cluster'", "'s3'");

function storeText({endpoint, bucket}: FakeS3): string {
  return (
    `s3::bucket=${bucket};region=us-east-1;endpoint=${endpoint};root=team/shop;` +
    `access_key_id=AKIATEST;secret_access_key=${secret};`
  );
}

/** A desk whose object store is a fresh bucket; at the end of the test the secret is searched for everywhere. */
async function openDeskWithBucket(
  options: FakeS3Options = {},
  schema = casesSchema,
): Promise<{desk: Desk; server: FakeS3; said: string[]}> {
  const server = await startFakeS3(options);
  onTestFinished(() => server.close());
  const desk = openDesk(schema, {BKP_STORE: storeText(server)});
  const said: string[] = [];
  const bkp = async (...args: string[]) => {
    const result = await desk.bkp(...args);
    said.push(result.stdout, result.stderr);
    return result;
  };
  onTestFinished(() => {
    expect(filesWithSecret(desk.folder, secret)).toEqual([]);
    expect(said.filter((text) => holdsSecret(text, secret))).toEqual([]);
    const objects = server.objects.keys().filter((key) => holdsSecret(server.objects.get(key)!.body, secret));
    expect(objects).toEqual([]);
  });
  return {desk: {...desk, bkp}, server, said};
}

test('a machine that has only the store can restore, verify and drop full backups and increments', async () => {
  const {desk, server} = await openDeskWithBucket();
  await desk.sql(inS3(createC(true)));
  await desk.sqlWait('BACKUP c');
  const first = desk.all('SELECT * FROM orders');
  desk.exec("UPDATE orders SET txt = 'changed' WHERE id = 2; DELETE FROM orders WHERE id = 3");
  const second = desk.all('SELECT * FROM orders');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  await desk.sqlWait('VERIFY c');
  expect(existsSync(desk.cluster)).toBe(false);
  expect(server.objects.keys().every((key) => key.startsWith('team/shop/'))).toBe(true);

  const other = (...args: string[]) =>
    runBkp(['--store', storeText(server), ...args], {home: join(desk.folder, 'other'), cwd: desk.folder});
  expect((await other('collection', 'list')).stdout).toMatch(/^c +s3 +2 /m);
  const [full] = await backupsOf(desk);
  expect(await other('--source', 'new.db', 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
  expect(desk.all('SELECT * FROM orders', join(desk.folder, 'new.db'))).toEqual(second);
  expect(await other('--source', 'old.db', 'sql', '--wait', `RESTORE c AT '${full}'`)).toMatchObject({status: 0});
  expect(desk.all('SELECT * FROM orders', join(desk.folder, 'old.db'))).toEqual(first);

  await desk.sqlWait('DROP BACKUP COLLECTION c');
  // A late copy of the put of CREATE would otherwise bring the collection back.
  expect(server.objects.keys()).toEqual([drop, 'team/shop/bkp.json']);
});

test('a vault without encryption in a bucket without encryption is mentioned once, where it is made', async () => {
  const {desk} = await openDeskWithBucket({isEncrypted: false});
  const statement = inS3(createC(false));
  const first = await desk.bkp('sql', statement);
  expect(first).toMatchObject({status: 0, stderr: expect.stringContaining('aws s3api put-bucket-encryption --bucket')});
  expect((await desk.bkp('sql', statement.replace('COLLECTION c', 'COLLECTION d'))).stderr).not.toContain('encrypt');
  const encrypted = await openDeskWithBucket({isEncrypted: false});
  const byPassword = {BKP_PASSWORD: newKey().code};
  const made = await runBkp(['--store', storeText(encrypted.server), 'vault', 'create', '--encrypt'], {
    home: join(encrypted.desk.folder, 'home'),
    cwd: encrypted.desk.folder,
    env: byPassword,
  });
  expect(made).toMatchObject({status: 0, stderr: expect.not.stringContaining('put-bucket-encryption')});
});

test('the chain continues after a restore from the bucket', async () => {
  const {desk} = await openDeskWithBucket();
  await desk.sql(inS3(createC(true)));
  await desk.sqlWait('BACKUP c');
  desk.exec(dropBoth);
  await desk.sqlWait('RESTORE c');
  desk.exec("INSERT INTO orders VALUES (4, 40, 'four')");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  expect(await backupsOf(desk)).toHaveLength(2);
});

test('a name is looked for in the cluster directory, then in the bucket; --store says which', async () => {
  const {desk} = await openDeskWithBucket();
  await desk.sql(createC(false));
  await desk.sql(inS3(createC(false)).replace('COLLECTION c', 'COLLECTION d'));
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP d');
  const list = async (...flags: string[]) => (await desk.bkp(...flags, 'collection', 'list')).stdout;
  expect(await list()).toMatch(/c +cluster .*\nd +s3 /);
  expect(await list('--store', 's3')).not.toMatch(/^c /m);
  expect(await list('--store', 'cluster')).not.toMatch(/^d /m);
  const missed = await desk.bkp('--store', 's3', 'sql', 'BACKUP c');
  expect(missed.status).toBe(10);
  expect(missed.stderr).toContain('does not exist');
});

test('a name exists in one store only, and STORAGE and --store must not contradict each other', async () => {
  const {desk} = await openDeskWithBucket();
  await desk.sql(createC(false));
  const twice = await desk.refused(inS3(createC(false)));
  expect(twice.stderr).toMatch(/path exist: collection .*c[\s\S]*it is in fs::root=/);
  const contradiction = await desk.bkp('--store', 's3', 'sql', createC(false).replace('COLLECTION c', 'COLLECTION d'));
  expect(contradiction.status).toBe(12);
  expect(contradiction.stderr).toContain('contradict');
  const moved = await desk.refused("ALTER BACKUP COLLECTION c SET (STORAGE='s3')");
  expect(moved.stderr).toContain("COPY BACKUP COLLECTION … TO 's3'");
});

test('without an object store, STORAGE=s3 is refused with the command that sets one', async () => {
  const desk = openDesk();
  const refused = await desk.refused(inS3(createC(false)));
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain('bkp config set backup.object.store');
});

test('COPY copies all backups, copies nothing when repeated, and works in the other direction', async () => {
  const {desk, server} = await openDeskWithBucket();
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  const first = desk.all('SELECT * FROM orders');
  desk.exec("UPDATE orders SET txt = 'changed' WHERE id = 2");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const backups = await backupsOf(desk);

  await desk.sqlWait("COPY BACKUP COLLECTION c TO 's3'");
  const packs = () => server.objects.keys().filter((key) => key.includes('/packs/'));
  const copied = packs();
  expect(copied).not.toEqual([]);
  await desk.sqlWait("COPY BACKUP COLLECTION c TO 's3'");
  expect(packs()).toEqual(copied);

  desk.remove('cluster');
  expect(await backupsOf(desk)).toEqual(backups);
  await desk.sqlWait('VERIFY c');
  desk.exec(dropBoth);
  await desk.sqlWait(`RESTORE c AT '${backups[0]}'`);
  expect(desk.all('SELECT * FROM orders')).toEqual(first);

  expect((await desk.refused("COPY BACKUP COLLECTION c TO 'cluster'")).stderr).toContain('is its disk mounted?');
  expect((await desk.bkp('--store', 'cluster', 'store', 'forget')).status).toBe(0);
  await desk.sqlWait("COPY BACKUP COLLECTION c TO 'cluster'");
  await desk.bkp('--store', 'cluster', 'sql', '--wait', 'VERIFY c').then(({status}) => expect(status).toBe(0));
});

test('COPY copies one backup to any directory, and refuses immediately what cannot be copied', async () => {
  const {desk, server} = await openDeskWithBucket();
  await desk.sql(createC(true));
  await desk
    .refused("COPY BACKUP COLLECTION c TO 's3'")
    .then(({stderr}) => expect(stderr).toContain('Nothing to copy'));
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [full, increment] = await backupsOf(desk);
  const stick = join(desk.folder, 'stick');
  await desk.sqlWait(`COPY BACKUP COLLECTION c AT '${increment}' TO 'fs::root=${stick}'`);
  const there = await desk.bkp(
    '--cluster',
    stick,
    '--store',
    'cluster',
    'sql',
    '--format',
    'json',
    'SHOW BACKUPS IN c',
  );
  expect(there.stdout).toContain(increment);
  expect(there.stdout).not.toContain(full);

  await desk.refused("COPY BACKUP COLLECTION c TO 'cluster'").then(({stderr}) => expect(stderr).toContain('already'));
  await desk
    .refused(`COPY BACKUP COLLECTION c TO '${storeText(server)}'`)
    .then(({stderr}) => expect(stderr).toContain('must not contain keys'));
  await desk.bkp('--store', 's3', 'sql', inS3(createC(true)));
  await desk.refused("COPY BACKUP COLLECTION c TO 's3'").then(({status, stderr}) => {
    expect(status).toBe(12);
    expect(stderr).toContain('another collection');
  });
});

test('keys are read from a file, and a file that other users can read is reported', async () => {
  const {desk, server} = await openDeskWithBucket();
  const home = join(desk.folder, 'other');
  // Outside the folder that is searched for secrets: this file may contain one.
  const file = join(desk.folder, '..', `keys-${process.pid}-${Date.now()}`);
  writeFileSync(file, storeText(server), {mode: 0o644});
  onTestFinished(() => rmSync(file, {force: true}));
  await desk.sql(inS3(createC(false)));
  const listed = await runBkp(['collection', 'list'], {home, env: {BKP_STORE_FILE: file}, cwd: desk.folder});
  expect(listed.stdout).toMatch(/^c +s3 /m);
  expect(listed.stderr).toContain(`chmod 600 ${file}`);
});

test('a key that may not remove objects takes backups, and a cleanup names the permission it needs', async () => {
  const {desk, server} = await openDeskWithBucket();
  for (const call of ['DeleteObject', 'DeleteObjects']) server.settings.denied.add(call);
  await desk.sql(inS3(createC(true)));
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const refused = await desk.refused('DROP BACKUP COLLECTION c');
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('s3:DeleteObject');
  expect((await desk.bkp('--store', 's3', 'collection', 'list')).stdout).not.toMatch(/^c /m);
  server.settings.denied.clear();
  // The first cleanup removes what the key could not remove, the second one removes the notes about it.
  for (const _ of ['first', 'second'])
    await desk.bkp('--store', 's3', 'collection', 'cleanup', '--wait').then(({status}) => expect(status).toBe(0));
  // The verdicts stay for a week: a late copy of a manifest must not come back. So does what announced the definition:
  // that may come late as well.
  const left = server.objects.keys().map((key) => key.replace(/verdict\/[^/]+-removed$/, 'verdict/…-removed'));
  const verdict = expect.stringMatching(/\/verdict\/…-removed$/);
  const announced = expect.stringMatching(/\/creating\/\d{8}$/);
  expect(left).toEqual([verdict, verdict, announced, drop, 'team/shop/bkp.json']);
});

test('wrong keys and a missing server are reported with cause and next step, and without a secret', async () => {
  const {desk, server} = await openDeskWithBucket({accessKeyId: 'AKIAOTHER'});
  const denied = await desk.refused(inS3(createC(false)));
  expect(denied.status).toBe(12);
  expect(denied.stderr).toMatch(/next: /);
  const nobody = storeText(server).replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1');
  const home = join(desk.folder, 'other');
  mkdirSync(home);
  const checked = await runBkp(['--store', nobody, 'store', 'check'], {home});
  expect(checked.status).toBe(1);
  expect(checked.stdout).toMatch(/FAIL {2}s3: server: [\s\S]*next: /);
  expect(holdsSecret(checked.stdout + checked.stderr, secret)).toBe(false);
});

test('store check and doctor report what the server supports', async () => {
  const {desk, server} = await openDeskWithBucket({ignoreConditions: true});
  const checked = await desk.bkp('--store', 's3', 'store', 'check');
  expect(checked.status).toBe(0);
  expect(checked.stdout).toMatch(/conditional put: .*ignore/);
  expect(server.objects.keys()).toEqual([]);
  await desk.sql(inS3(createC(true)));
  await desk.sqlWait('BACKUP c');
  const {stdout} = await desk.bkp('doctor', '--format', 'json');
  const {checks} = JSON.parse(stdout) as {checks: {what: string; ok: boolean}[]};
  expect(checks.filter(({what}) => what.startsWith('s3: ')).length).toBeGreaterThan(5);
  expect(checks.find(({what}) => what === 'source: tracking')).toMatchObject({ok: true});
});

test('operation list and help do not load the S3 client', async () => {
  const {desk} = await openDeskWithBucket();
  await desk.sql(inS3(createC(false)));
  const report = join(desk.folder, 'loaded.txt');
  const hook = join(desk.folder, 'hook.mjs');
  writeFileSync(
    hook,
    `import {registerHooks} from 'node:module'; import {appendFileSync} from 'node:fs';
     registerHooks({load(url, context, next) {
        appendFileSync(${JSON.stringify(report)}, url + '\\n');
        return next(url, context);
     }});`,
  );
  const loads = async (...args: string[]) => {
    rmSync(report, {force: true});
    const {home, folder} = desk;
    const result = await runBkp(args, {
      home,
      cwd: folder,
      env: {BKP_STORE: 's3://nowhere/at-all', NODE_OPTIONS: `--import ${hook}`},
    });
    expect(result.status).toBeDefined();
    return /@aws-sdk|@smithy/.test(readFileSync(report, 'utf8'));
  };
  expect(await loads('operation', 'list')).toBe(false);
  expect(await loads('sql', '--help')).toBe(false);
  expect(await loads('config', 'list')).toBe(false);
  // Proves that the hook notices a loaded client.
  expect(await loads('--store', 's3', '--source', desk.database, 'sql', 'BACKUP nothing')).toBe(true);
});
