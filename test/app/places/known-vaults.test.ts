import {existsSync, mkdirSync, readdirSync, renameSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {beforeEach, expect, onTestFinished, test, vi} from 'vitest';
import {runStoreForget} from '../../../src/commands/store/forget.ts';
import {runStoreCheck} from '../../../src/commands/store/index.ts';
import {testDeps} from '../../helpers/deps.ts';
import {createC, type Desk, openDesk} from '../../helpers/desk.ts';
import {runDirectly} from '../../helpers/run-directly.ts';

const mounts = vi.hoisted(() => ({unmounted: undefined as string | undefined}));
vi.mock('../../../src/app/places/mounts.ts', () => ({unmountedAbove: () => mounts.unmounted}));
beforeEach(() => {
  mounts.unmounted = undefined;
});

/** Runs statements on a desk whose profile has a cluster, and an object store if one is given. */
function at(desk: Desk, objectStore?: string) {
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const settings = async () => ({
    ...(await base.settings()),
    source: desk.database,
    cluster: desk.cluster,
    ...(objectStore === undefined
      ? {}
      : {objectStore: {address: {kind: 'directory' as const, root: join(desk.folder, objectStore)}}}),
  });
  const deps = {...base, settings};
  return {
    ...runDirectly(desk, {settings, warn: base.warn}),
    deps,
    forget: () => runStoreForget(deps),
    check: () => runStoreCheck(deps, {format: 'json'}),
  };
}

const gone = {
  code: 'STORE_UNAVAILABLE',
  message: expect.stringMatching(/^there is no vault in fs::root=.*cluster, but there was one before$/),
  next: expect.stringMatching(/mounted.*bkp --cluster '.*cluster' store forget$/),
};
const statements = [
  'SHOW BACKUP COLLECTIONS',
  'SHOW BACKUPS IN c',
  'SELECT * FROM collections()',
  'BACKUP c',
  'RESTORE c',
  'VERIFY c',
  'ALTER BACKUP COLLECTION c ADD TABLE orders',
  'DROP BACKUP COLLECTION c',
  createC(false),
];

test.each(['an empty folder', 'no folder'])(
  'a disk that is not mounted, and leaves %s, is not a new store',
  async (left) => {
    const desk = openDesk();
    const {run, forget, check, deps} = at(desk);
    await run(createC(false));
    await run('BACKUP c');
    const disk = join(desk.folder, 'disk');
    renameSync(desk.cluster, disk);
    if (left === 'an empty folder') mkdirSync(desk.cluster);
    for (const statement of statements) await expect(run(statement), statement).rejects.toMatchObject(gone);
    await check();
    expect(deps.status()).toBe(1);
    expect(deps.out()).toContain('store forget');
    expect(existsSync(join(desk.cluster, 'bkp.json'))).toBe(false);
    expect(existsSync(desk.cluster)).toBe(left === 'an empty folder');

    rmSync(desk.cluster, {recursive: true, force: true});
    renameSync(disk, desk.cluster);
    await run('VERIFY c');
    await forget();
    expect(deps.out()).toMatch(/vault [0-9a-f]{32} exists\n$/);

    rmSync(desk.cluster, {recursive: true});
    await forget();
    expect(deps.out()).toMatch(/is forgotten; the next CREATE creates a new one\n$/);
    await run(createC(false));
    expect(existsSync(join(desk.cluster, 'bkp.json'))).toBe(true);
  },
);

test('a new home has no recorded vault, and records the one it uses', async () => {
  const desk = openDesk();
  const {run, forget, deps} = at(desk);
  await expect(run('SHOW BACKUP COLLECTIONS')).rejects.toMatchObject({
    message: expect.stringContaining('there is no cluster directory'),
  });
  await forget();
  expect(deps.out()).toContain('no vault is recorded');
  await run(createC(false));
  const [known] = readdirSync(deps.home.vaultsDir);
  expect(readdirSync(deps.home.vaultsDir)).toEqual([known]);
  rmSync(desk.cluster, {recursive: true});
  await forget();
  await run(createC(false));
  expect(readdirSync(deps.home.vaultsDir)).toEqual([known]);
  rmSync(desk.cluster, {recursive: true});
  await expect(run('SHOW BACKUP COLLECTIONS')).rejects.toMatchObject(gone);
});

test('a collection is used from the other store with a warning; changes to its definition are refused', async () => {
  const desk = openDesk();
  const {run, deps} = at(desk, 'bucket');
  await run(createC(false));
  await run('BACKUP c');
  await run("COPY BACKUP COLLECTION c TO 's3'");
  await run("CREATE BACKUP COLLECTION far (TABLE orders) WITH (STORAGE='s3')");
  rmSync(desk.cluster, {recursive: true});
  for (const statement of ['SHOW BACKUPS IN c', 'VERIFY c', 'BACKUP c', 'BACKUP far']) {
    const before = deps.err();
    await run(statement);
    expect(deps.err().slice(before.length), statement).toMatch(
      /^bkp: there is no vault in .*cluster.*; (c|far) is used in fs::root=.*bucket\n$/,
    );
  }
  const refused = ['SHOW BACKUP COLLECTIONS', 'DROP BACKUP COLLECTION far', createC(false).replace(' c ', ' d ')];
  for (const statement of refused) await expect(run(statement), statement).rejects.toMatchObject(gone);
  await expect(run('BACKUP nowhere')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  expect(existsSync(desk.cluster)).toBe(false);
});

test('no vault is created where a disk should be mounted', async () => {
  const desk = openDesk();
  const {run} = at(desk);
  mkdirSync(desk.cluster);
  mounts.unmounted = desk.folder;
  const unmounted = {code: 'STORE_UNAVAILABLE', next: expect.stringContaining(`mount ${desk.folder}`)};
  await expect(run(createC(false))).rejects.toMatchObject(unmounted);
  await expect(run('SHOW BACKUP COLLECTIONS')).rejects.toMatchObject(unmounted);
  expect(readdirSync(desk.cluster)).toEqual([]);
  mounts.unmounted = undefined;
  await run(createC(false));
  // An existing vault is used even if the tables list its mount point as unmounted.
  mounts.unmounted = desk.folder;
  await run('BACKUP c');
});
