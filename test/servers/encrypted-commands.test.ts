import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand} from '@aws-sdk/client-s3';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {openDesk} from '../helpers/desk.ts';
import {storeText} from './open.ts';
import {type S3Server, startMinio, startVersitygw} from './s3-server.ts';
import {objectsOf} from './secrets.ts';
import {appendOnly, sessionKeys} from './session-keys.ts';

// The commands as users give them, on an encrypted vault in a bucket.

const secret = {BKP_PASSWORD: newKey().code};
const create = "CREATE BACKUP COLLECTION c (TABLE notes) WITH (STORAGE='s3', INCREMENTAL_BACKUP_ENABLED='true')";
const schema = `
  CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  INSERT INTO notes SELECT i, 'note ' || i, randomblob(3000) FROM n;
`;

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('on %s', (_, start) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.stop());

  async function keysIn(bucket: string, prefix: string): Promise<string[]> {
    const {Contents = []} = await server.client.send(new ListObjectsV2Command({Bucket: bucket, Prefix: prefix}));
    return Contents.map(({Key}) => Key!);
  }

  async function flipIn(bucket: string, key: string): Promise<void> {
    const {Body} = await server.client.send(new GetObjectCommand({Bucket: bucket, Key: key}));
    const bytes = Buffer.from(await Body!.transformToByteArray());
    bytes[4321 % bytes.length]! ^= 1;
    await server.client.send(new PutObjectCommand({Bucket: bucket, Key: key, Body: bytes}));
  }

  async function bucketDesk() {
    const bucket = await server.bucket();
    const desk = openDesk(schema, {BKP_STORE: storeText(server, bucket), ...secret});
    const done = async (...args: string[]) => {
      const {status, stdout, stderr} = await desk.bkp(...args);
      expect(status, `${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
      return stdout;
    };
    return {bucket, desk, done};
  }

  test('a copy heals what is damaged, a drill passes, and backups are looked into', async () => {
    const {bucket, desk, done} = await bucketDesk();
    const inS3 = (statement: string) => done('--store', 's3', 'sql', '--wait', statement);
    const rows = 'SELECT id, text, hex(bytes) AS bytes FROM notes';
    await done('sql', create);
    await inS3('BACKUP c');
    const first = desk.all(rows);
    const times = 3;
    for (let i = 1; i <= times; i++) {
      desk.exec(`UPDATE notes SET text = 'changed ${i}' WHERE id = ${i}`);
      await inS3('BACKUP c INCREMENTAL');
    }
    const packs = await keysIn(bucket, 'packs/');
    await inS3("COPY BACKUP COLLECTION c TO 'cluster'");
    expect(JSON.parse(readFileSync(join(desk.cluster, 'bkp.json'), 'utf8')).encryption).toBe('bkp-1');
    for (const key of packs) await flipIn(bucket, key);
    const found = await desk.bkp('--store', 's3', 'sql', '--wait', 'VERIFY c');
    expect(found.status, found.stderr).toBe(13);
    await inS3(`VERIFY c WITH (HEAL = 'fs::root=${desk.cluster}')`);
    await inS3('VERIFY c');
    await inS3("VERIFY c WITH (LEVEL = 'restore')");

    const [full] = (await inS3('SHOW BACKUPS IN c')).match(/\d{14}Z_full/g)!;
    const restored = join(desk.folder, 'restored.db');
    await done('--store', 's3', '--source', restored, 'sql', '--wait', 'RESTORE c');
    expect(desk.all(rows, restored)).toEqual(desk.all(rows));
    expect(await done('--store', 's3', 'diff', 'c', full!, '--format', 'json')).toContain(`"changed":${times}`);
    await done('--store', 's3', 'export', 'c', 'first.csv', '--at', full!);
    const lines = readFileSync(join(desk.folder, 'first.csv'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(first.length + 1);
    const select = `SELECT id, text FROM backup('c', '${full}').notes WHERE id = 7`;
    expect(await done('--store', 's3', 'sql', '--format', 'json', select)).toContain('"note 7"');
  });

  test('after a re-encryption the older keys are forgotten, with their rings, and a new machine restores', async () => {
    const {bucket, desk, done} = await bucketDesk();
    const key = (...args: string[]) => done('--store', 's3', 'vault', 'key', ...args);
    await done('sql', create);
    await done('sql', '--wait', 'BACKUP c');
    await key('rotate');
    expect(await key('forget')).toContain('2 keys kept: objects need them');
    await key('rotate', '--reencrypt', '--wait');
    const forgotten = await key('forget');
    expect(forgotten).toContain('4 keys forgotten');
    expect(forgotten).toContain('a bucket that keeps older versions of objects still has the rings');
    const rings = (await keysIn(bucket, 'keys/')).filter((name) => name.includes('rings/'));
    expect(rings).toHaveLength(2);
    await done('sql', '--wait', "VERIFY c WITH (LEVEL = 'data')");
    const restored = join(desk.folder, 'restored.db');
    await done('--home', join(desk.folder, 'fresh'), '--source', restored, 'sql', '--wait', 'RESTORE c');
    expect(desk.all('SELECT id, text FROM notes', restored)).toEqual(desk.all('SELECT id, text FROM notes'));
  });
});

describe('a store that keeps old objects', () => {
  let minio: S3Server;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio?.stop());

  const ring = async (desk: ReturnType<typeof openDesk>) =>
    /ring (\d+)-/.exec((await desk.bkp('--store', 's3', 'vault', 'key', 'list')).stdout)?.[1];
  const reencrypt = ['--store', 's3', 'vault', 'key', 'rotate', '--reencrypt', '--wait'];

  test('re-encryption is refused before the keys are changed where objects are locked', async () => {
    const bucket = await minio.bucket({objectLock: true});
    const lock = {BKP_BACKUP_OBJECT_STORE_LOCK: '1d'};
    const desk = openDesk(schema, {BKP_STORE: storeText(minio, bucket), ...secret, ...lock});
    await desk.sql(create);
    await desk.sqlWait('BACKUP c');
    const refused = await desk.bkp(...reencrypt);
    expect(refused, refused.stderr).toMatchObject({status: 12, stderr: expect.stringMatching(/lock[\s\S]*\nnext: /)});
    expect(await ring(desk)).toBe('1');
    const plain = await desk.bkp('--store', 's3', 'vault', 'key', 'rotate');
    expect(plain, plain.stderr).toMatchObject({status: 0});
    await desk.sqlWait('BACKUP c INCREMENTAL');
    await desk.sqlWait('VERIFY c');
  });

  test('keys that nothing needs are forgotten where objects are locked, and the rings stay locked', async () => {
    const bucket = await minio.bucket({objectLock: true});
    const lock = {BKP_BACKUP_OBJECT_STORE_LOCK: '1d'};
    const desk = openDesk(schema, {BKP_STORE: storeText(minio, bucket), ...secret, ...lock});
    const key = (...args: string[]) => desk.bkp('--store', 's3', 'vault', 'key', ...args);
    const done = async (...args: string[]) => {
      const {status, stdout, stderr} = await key(...args);
      expect(status, `${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
      return {stdout, stderr};
    };
    type Found = {forgotten: {key: string; objects: number}[]; kept: Found['forgotten']; complete: boolean};
    const found = async (...args: string[]) => {
      const {stdout, stderr} = await done('forget', '--format', 'json', ...args);
      return {...(JSON.parse(stdout) as Found), stderr};
    };
    await desk.sql(create);
    await desk.sqlWait('BACKUP c');
    await done('rotate');
    // The newest keys of then have sealed nothing when the next ones come.
    await done('rotate');
    await desk.sqlWait('BACKUP c INCREMENTAL');
    const {forgotten, kept} = await found('--dry-run');
    expect([forgotten.length, kept.length]).toEqual([2, 2]);
    for (const {key: id, objects} of kept) {
      expect(objects).toBeGreaterThan(0);
      expect(await key('forget', id)).toMatchObject({status: 12, stderr: expect.stringContaining('is needed by')});
    }
    const ended = await found();
    expect(ended.forgotten.map(({key: id}) => id)).toEqual(forgotten.map(({key: id}) => id));
    expect([ended.kept.length, ended.complete]).toEqual([2, false]);
    expect(ended.stderr).toContain('are still in the store: an object lock protects them, or');
    const rings = [...(await objectsOf(minio, bucket)).keys()].filter((name) => name.includes('/rings/'));
    expect(rings).toHaveLength(8);
    // The same again says what is left, and changes nothing.
    expect(await found()).toMatchObject({forgotten: [], kept: [{}, {}], complete: false});
    const until = async (name: string) =>
      (
        await minio.client.send(new HeadObjectCommand({Bucket: bucket, Key: name}))
      ).ObjectLockRetainUntilDate?.getTime();
    expect(await until('keys/rings/00000004')).toBeGreaterThan(Date.now());
    await desk.sqlWait('VERIFY c');
    const restored = join(desk.folder, 'restored.db');
    const fresh = await desk.bkp('--home', join(desk.folder, 'fresh'), '--source', restored, 'sql', '-w', 'RESTORE c');
    expect(fresh, fresh.stderr).toMatchObject({status: 0});
    expect(desk.all('SELECT id, text FROM notes', restored)).toEqual(desk.all('SELECT id, text FROM notes'));
  });

  test('keys that may only read are refused, and those that may write and not remove suffice', async () => {
    const bucket = await minio.bucket();
    const owner = {BKP_STORE: storeText(minio, bucket), ...secret};
    const desk = openDesk(schema, owner);
    await desk.sql(create);
    await desk.sqlWait('BACKUP c');
    const keys = await sessionKeys(minio, [...appendOnly.filter((action) => action !== 's3:PutObject')]);
    const readOnly = openDesk(schema, {BKP_STORE: storeText(minio, bucket, {keys}), ...secret});
    const refused = await readOnly.bkp(...reencrypt);
    expect(refused, refused.stderr).toMatchObject({status: 12, stderr: expect.stringMatching(/\ncause: .*\nnext: /)});
    expect(await ring(desk)).toBe('1');
    const noRemoval = await sessionKeys(minio, appendOnly);
    const restricted = openDesk(schema, {BKP_STORE: storeText(minio, bucket, {keys: noRemoval}), ...secret});
    const ended = await restricted.bkp(...reencrypt);
    // Each object is put again in its place: nothing has to be removed.
    expect(ended, ended.stderr).toMatchObject({status: 0});
    await desk.sqlWait('VERIFY c');
    const restored = join(desk.folder, 'restored.db');
    expect(await desk.bkp('--source', restored, 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
  });
});
