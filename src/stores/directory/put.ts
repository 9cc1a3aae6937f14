import {randomBytes} from 'node:crypto';
import {type link, lstat, open, readdir, rename, rm, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError, systemCode} from '../../errors/index.ts';
import {writeFully} from '../../lib/files.ts';

/** `#` is in no key, so no object ever has such a name. */
const temporaryPrefix = '.bkp#';

/** A temporary file as old as this belongs to a process that has ended: no single object takes a day to write. */
const staleAfterMs = 24 * 60 * 60 * 1000;

/** A claim is held for two system calls; after this long its process is gone. */
const claimStaleAfterMs = 60_000;

export const isTemporary = (name: string) => name.startsWith(temporaryPrefix);

const temporaryName = (folder: string) =>
  join(folder, `${temporaryPrefix}${process.pid}.${randomBytes(8).toString('hex')}`);

/**
 * Writes `body` under a temporary name in `folder` and makes it durable.
 * @returns its path; nothing is left behind when this throws
 */
export async function writeTemporary(folder: string, body: Uint8Array): Promise<string> {
  const path = temporaryName(folder);
  const handle = await open(path, 'wx', 0o600);
  try {
    try {
      await writeFully(handle, body);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, {force: true});
    throw error;
  }
  return path;
}

export type Link = typeof link;

/** Gives the finished file its name if no object has it. The name is taken by exactly one of several callers. */
export async function publishIfAbsent(
  temporary: string,
  target: string,
  makeLink: Link,
): Promise<'written' | 'exists'> {
  try {
    await makeLink(temporary, target);
    return 'written';
  } catch (error) {
    switch (systemCode(error)) {
      case 'EEXIST':
        // Over NFS a link that was made may be reported as failed when the answer was lost.
        return (await isSameFile(temporary, target)) ? 'written' : 'exists';
      // FAT, exFAT and some network file systems have no hard links (EPERM: link(2)).
      case 'EPERM':
      case 'ENOTSUP':
      case 'EOPNOTSUPP':
      case 'ENOSYS':
        return publishUnderClaim(temporary, target);
      default:
        throw error;
    }
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([lstat(one, {bigint: true}), lstat(other, {bigint: true})]);
  return a.ino === b.ino && a.dev === b.dev;
}

/**
 * Without hard links: whoever creates the claim file (exclusive on every file system) may look and rename; the others
 * wait for it to go.
 */
async function publishUnderClaim(temporary: string, target: string): Promise<'written' | 'exists'> {
  const claim = join(dirname(target), `${temporaryPrefix}claim#${target.slice(dirname(target).length + 1)}`);
  for (let waitedMs = 0; ; waitedMs += 50) {
    try {
      await (await open(claim, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    if (waitedMs > 2 * claimStaleAfterMs) {
      throw new BkpError('STORE_UNAVAILABLE', `${claim} stays in the way`, {next: `remove ${claim}`, retryable: true});
    }
    await removeStaleClaim(claim, temporary);
    await sleep(50);
  }
  try {
    if (await exists(target)) return 'exists';
    await rename(temporary, target);
    return 'written';
  } finally {
    await rm(claim, {force: true});
  }
}

/** The claim's age is told by our own fresh file in the same folder: one clock, the file system's. */
async function removeStaleClaim(claim: string, temporary: string): Promise<void> {
  const fresh = temporaryName(dirname(temporary));
  try {
    await (await open(fresh, 'wx', 0o600)).close();
    const [held, now] = await Promise.all([stat(claim), stat(fresh)]);
    // Renaming is won by one: two waiters never both take the same claim away.
    if (now.mtimeMs - held.mtimeMs > claimStaleAfterMs) await rename(claim, fresh);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  } finally {
    await rm(fresh, {force: true});
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes temporary files that a process which has ended left in `folder`. */
export async function removeStaleTemporaries(folder: string, wallMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!isTemporary(name)) continue;
    const path = join(folder, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && wallMs - facts.mtimeMs > staleAfterMs) await rm(path, {force: true});
  }
}
