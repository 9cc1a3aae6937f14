import {randomBytes} from 'node:crypto';
import {readdirSync, rmSync, statfsSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {makeInHome} from '../../config/index.ts';
import {BkpError, isDiskFull} from '../../errors/index.ts';
import {formatBytes} from '../../lib/figures.ts';
import {readPlainFile} from '../../lib/plain-file.ts';
import {type ProcessIdentity, systemProcesses} from '../../lib/processes.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {Deps} from '../deps.ts';

/** A folder for tables of backups while a command reads them. Always to be removed. */
export type ScratchFolder = {
  /** A file in it that does not exist. */
  file(): string;
  /** @throws BkpError `SOURCE_FULL` when the disk has no room for this many bytes */
  requireRoom(bytes: number): void;
  remove(): void;
};

/** Left on the disk, for everything else that writes to it. */
const spareBytes = 256 * 2 ** 20;
/** A folder without its owner's name is removed after this time: its command ended while it was creating it. */
const ownerlessMs = 3600_000;

const ownerFile = 'owner.json';

/** Removes what commands that were killed left behind, and creates the folder. */
export function openScratchFolder({home, nowMicros}: Pick<Deps, 'home' | 'nowMicros'>): ScratchFolder {
  const {scratchDir} = home;
  removeAbandoned(scratchDir, nowMicros() / 1000);
  const folder = join(scratchDir, randomBytes(8).toString('hex'));
  try {
    makeInHome(home, folder);
    writeFileSync(join(folder, ownerFile), JSON.stringify(systemProcesses.self()));
  } catch (error) {
    rmSync(folder, {recursive: true, force: true});
    throw isDiskFull(error) ? full(scratchDir, error) : error;
  }
  let files = 0;
  const removeFolder = () => rmSync(folder, {recursive: true, force: true});
  // When the reader of a pipe ends, the process does too.
  process.once('exit', removeFolder);
  return {
    file: () => join(folder, `${files++}.db`),
    requireRoom: (bytes) => {
      const {bavail, bsize} = statfsSync(folder);
      const free = bavail * bsize;
      if (bytes + spareBytes <= free) return;
      throw new BkpError('SOURCE_FULL', `the tables need about ${formatBytes(bytes)} of disk space for a short time`, {
        cause: `${formatBytes(free)} are free in ${scratchDir}, and ${formatBytes(spareBytes)} of that stay free`,
        next: 'limit the rows by the primary key (WHERE id = …), free space, or use a home on another disk: --home',
      });
    },
    remove: () => {
      process.off('exit', removeFolder);
      removeFolder();
    },
  };
}

const full = (scratchDir: string, cause: unknown) =>
  new BkpError('SOURCE_FULL', `no space is left on the disk of ${scratchDir}`, {
    cause,
    next: `free space there (df -h ${shellQuoted(scratchDir)}), or use a home on another disk: --home`,
  });

/** Removes the folders of commands that no longer run. */
export function removeAbandoned(scratchDir: string, nowMs: number): void {
  for (const name of namesIn(scratchDir)) {
    const folder = join(scratchDir, name);
    if (isAbandoned(folder, nowMs)) rmSync(folder, {recursive: true, force: true});
  }
}

function isAbandoned(folder: string, nowMs: number): boolean {
  try {
    const owner = JSON.parse(readPlainFile(join(folder, ownerFile))) as ProcessIdentity;
    return ['gone', 'replaced', 'rebooted'].includes(systemProcesses.fateOf(owner));
  } catch {
    const changed = statSync(folder, {throwIfNoEntry: false});
    return changed !== undefined && nowMs - changed.mtimeMs > ownerlessMs;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
