import {mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {unmountedAbove} from '../../../src/app/places/mounts.ts';

const wanted = `# /etc/fstab
UUID=1 / ext4 defaults 0 1
UUID=2	/mnt/backups/	ext4	noauto	0 2
LABEL=usb /media/my\\040disk vfat user 0 0
server:/x /srv/nfs nfs4 _netdev 0 0
/dev/sda2 none swap sw 0 0
#UUID=3 /mnt/old ext4 defaults 0 0
`;
const tables = (...mounted: string[]) => ({
  wanted,
  mounted: ['/', ...mounted].map((point) => `dev ${point} ext4 rw 0 0`).join('\n'),
});

test.each([
  ['/mnt/backups', '/mnt/backups'],
  ['/mnt/backups/shop', '/mnt/backups'],
  ['/media/my disk/bkp', '/media/my disk'],
  ['/srv/nfs/a/b', '/srv/nfs'],
  ['/mnt/backups2', undefined],
  ['/mnt/old/x', undefined],
  ['/home/me/cluster', undefined],
])('%s, with nothing mounted', (path, point) => {
  expect(unmountedAbove(path, tables())).toBe(point);
});

test('a mounted mount point is not reported', () => {
  expect(unmountedAbove('/mnt/backups/shop', tables('/mnt/backups'))).toBeUndefined();
  expect(unmountedAbove('/media/my disk/bkp', tables('/media/my\\040disk'))).toBeUndefined();
  // A systemd automount counts as mounted.
  expect(unmountedAbove('/srv/nfs/a', tables('/srv/nfs'))).toBeUndefined();
});

test('links are resolved before mount points are compared', () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bkp-mounts-')));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  mkdirSync(join(folder, 'disk'));
  symlinkSync(join(folder, 'disk'), join(folder, 'link'));
  const own = {wanted: `UUID=1 ${folder}/disk ext4 defaults 0 0`, mounted: ''};
  expect(unmountedAbove(join(folder, 'link', 'not', 'yet'), own)).toBe(`${folder}/disk`);
});

test('a system without these tables reports no missing mount', () => {
  expect(unmountedAbove('/mnt/backups', undefined)).toBeUndefined();
});
