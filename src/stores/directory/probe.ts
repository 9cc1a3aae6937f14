import {link, rm, stat, statfs} from 'node:fs/promises';
import {join} from 'node:path';
import {systemCode} from '../../errors/index.ts';
import {syncFolder} from '../../lib/files.ts';
import type {ProbePoint} from '../probe-point.ts';
import {writeTemporary} from './put.ts';

/** Less free space than this is reported as a fault: the smallest vault does not fit. */
const tooLittleBytes = 64 * 1024 * 1024;

/**
 * Checks a folder as a store: that it exists and is writable, links atomically, syncs and has free space. Leaves no
 * file behind. Skips checks that an earlier failure makes meaningless.
 */
export async function probeDirectory(root: string): Promise<readonly ProbePoint[]> {
  const there = await attempt('folder', 'exists', `mkdir -p ${root}`, async () => {
    if (!(await stat(root)).isDirectory()) throw new Error(`${root} is not a folder`);
  });
  if (!there.ok) return [there];

  let temporary: string | undefined;
  const writable = await attempt(
    'writable',
    'a file can be written and synced',
    `ls -ld ${root}; df -h ${root}`,
    async () => {
      temporary = await writeTemporary(root, new Uint8Array(4096));
    },
  );
  if (temporary === undefined) return [there, writable, await freeSpace(root)];
  try {
    return [there, writable, await atomicLink(root, temporary), await folderSync(root), await freeSpace(root)];
  } finally {
    await rm(temporary, {force: true});
  }
}

async function atomicLink(root: string, temporary: string): Promise<ProbePoint> {
  const what = 'atomic link';
  const name = join(root, `${temporary.slice(root.length + 1)}.link`);
  try {
    await link(temporary, name);
    const second = await link(temporary, name).then(() => undefined, systemCode);
    if (second === 'EEXIST') return {what, ok: true, detail: 'only one writer can create a name'};
    return {
      what,
      ok: false,
      detail: 'two writers can create the same name',
      next: 'choose a folder on another file system',
    };
  } catch (error) {
    return {
      what,
      ok: true,
      detail: `no hard links here (${systemCode(error) ?? error}): bkp uses claim files, which are slower`,
    };
  } finally {
    await rm(name, {force: true});
  }
}

const folderSync = (root: string) =>
  attempt('folder sync', 'names are durable', 'choose a folder on a file system whose folders can be synced', () =>
    syncFolder(root),
  );

async function freeSpace(root: string): Promise<ProbePoint> {
  try {
    const {bavail, bsize} = await statfs(root);
    const freeBytes = bavail * bsize;
    const detail = `${(freeBytes / 2 ** 30).toFixed(1)} GiB free`;
    if (freeBytes >= tooLittleBytes) return {what: 'free space', ok: true, detail};
    return {what: 'free space', ok: false, detail, next: `free space there: df -h ${root}`};
  } catch (error) {
    return {what: 'free space', ok: false, detail: (error as Error).message, next: `df -h ${root}`};
  }
}

async function attempt(what: string, good: string, next: string, work: () => Promise<void>): Promise<ProbePoint> {
  try {
    await work();
    return {what, ok: true, detail: good};
  } catch (error) {
    return {what, ok: false, detail: (error as Error).message, next};
  }
}
