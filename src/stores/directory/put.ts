import {randomBytes} from 'node:crypto';
import {type link, lstat, open, readdir, rename, rm, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError, systemCode} from '../../errors/index.ts';
import {writeFully} from '../../lib/files.ts';

/** No key contains `#`, so no object has such a name. */
const temporaryPrefix = '.bkp#';

/** The process that wrote an older temporary file has ended: no single object takes a day to write. */
const staleAfterMs = 24 * 60 * 60 * 1000;

/** A claim is held for two system calls; after this time its process has ended. */
const claimStaleAfterMs = 60_000;

/** Of the file that keeps some room free; no listing shows it either. */
export const spareName = `${temporaryPrefix}spare`;

export const isTemporary = (name: string) => name.startsWith(temporaryPrefix);

const temporaryName = (folder: string) =>
  join(folder, `${temporaryPrefix}${process.pid}.${randomBytes(8).toString('hex')}`);

/** What a file gets: bytes, or parts that are made one after the other. */
export type Body = Uint8Array | (() => Iterable<Uint8Array>);

/**
 * Writes `body` under a temporary name in `folder` and makes it durable.
 * @returns its path; leaves no file behind when it throws
 */
export async function writeTemporary(folder: string, body: Body): Promise<string> {
  const path = temporaryName(folder);
  const handle = await open(path, 'wx', 0o600);
  try {
    try {
      for (const part of typeof body === 'function' ? body() : [body]) await writeFully(handle, part);
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

/** Gives the finished file its name unless an object has it. Of several concurrent callers exactly one succeeds. */
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
        // NFS may report a link that was created as failed, if the reply was lost.
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
 * Without hard links: the process that creates the claim file (exclusive on every file system) checks and renames;
 * others wait until the claim file is removed.
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
      throw new BkpError('STORE_UNAVAILABLE', `${claim} blocks the write`, {next: `remove ${claim}`, retryable: true});
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

/**
 * Compares the claim's age with a fresh file in the same folder, so that both times come from the file system's
 * clock.
 */
async function removeStaleClaim(claim: string, temporary: string): Promise<void> {
  await withFreshFile(dirname(temporary), async (fresh, nowMs) => {
    // Only one rename succeeds: two waiters never both remove the same claim.
    if (nowMs - (await stat(claim)).mtimeMs > claimStaleAfterMs) await rename(claim, fresh);
  }).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error;
  });
}

/**
 * @param use receives a new file in the folder, which is removed afterwards, and the time by the file system's clock:
 *   that of the host may be wrong
 */
async function withFreshFile(folder: string, use: (path: string, nowMs: number) => Promise<void>): Promise<void> {
  const fresh = temporaryName(folder);
  try {
    await (await open(fresh, 'wx', 0o600)).close();
    await use(fresh, (await stat(fresh)).mtimeMs);
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

/**
 * Removes temporary files in `folder` that ended processes left behind. As with claims, both times come from the file
 * system's clock: a host whose own clock is ahead by a day would remove what others are writing.
 */
export async function removeStaleTemporaries(folder: string): Promise<void> {
  const found = (await readdir(folder)).filter((name) => isTemporary(name) && name !== spareName);
  if (found.length === 0) return;
  await withFreshFile(folder, async (_, nowMs) => {
    for (const name of found) {
      const path = join(folder, name);
      const facts = await stat(path).catch(() => undefined);
      if (facts !== undefined && nowMs - facts.mtimeMs > staleAfterMs) await rm(path, {force: true});
    }
  });
}
