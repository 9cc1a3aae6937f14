import {createHash} from 'node:crypto';
import {readFileSync, realpathSync, statSync} from 'node:fs';
import {hostname} from 'node:os';
import * as v from 'valibot';
import {text} from '../lib/schema.ts';

/**
 * The file or folder of a database, and its machine. A copy of a database has the same identity and is another
 * database: this distinguishes the two.
 */
export type Origin = {
  host: string;
  /** Distinguishes machines of the same name; absent where the system has no id, as in most containers. */
  machine?: string;
  /** With links resolved. */
  path: string;
  /**
   * `<inode>` or `<inode>-<birth, ns>`: unchanged when the file is renamed or mounted elsewhere; different for
   * a copy.
   */
  file: string;
};

export const originSchema = v.object({host: text, machine: v.exactOptional(text), path: text, file: text});

/** What is known about the location of a database. */
export type Whereabouts = {
  /** As the user wrote it: `sqlite::path=/srv/app.db`. */
  description: string;
  /** Absent: an older bkp recorded it, or nothing exists at that path. */
  origin?: Origin;
};

/** @returns undefined when nothing exists at the path */
export function originOf(path: string): Origin | undefined {
  const found = statSync(path, {bigint: true, throwIfNoEntry: false});
  if (found === undefined) return undefined;
  const {ino, birthtimeNs, ctimeNs} = found;
  // Where a file system stores no birth time, the system may return the time of the last change instead.
  const isBorn = birthtimeNs > 0n && birthtimeNs !== ctimeNs;
  const machine = machineId();
  return {
    host: hostname(),
    ...(machine === undefined ? {} : {machine}),
    path: realpathSync(path),
    file: isBorn ? `${ino}-${birthtimeNs}` : String(ino),
  };
}

/**
 * Whether both are the location of one database: the same file, wherever it is mounted or moved on its disk, or
 * the same path on the same machine, even if the file there has been replaced (VACUUM INTO and rename, a
 * restore after a crash).
 */
export function isSamePlace(known: Whereabouts, now: Whereabouts): boolean {
  const [before, after] = [known.origin, now.origin];
  if (before === undefined || after === undefined) return known.description === now.description;
  if (isSameFile(before, after)) return true;
  const isSameHost =
    before.host === after.host && (before.machine ?? after.machine) === (after.machine ?? before.machine);
  return isSameHost && (before.path === after.path || known.description === now.description);
}

export function isSameFile(before: Origin, after: Origin): boolean {
  const [inode, birth] = before.file.split('-');
  const [inodeNow, birthNow] = after.file.split('-');
  if (inode !== inodeNow) return false;
  if (birth !== undefined && birthNow !== undefined) return birth === birthNow;
  // Without birth times an inode is a small number that occurs on many disks.
  return before.path === after.path;
}

/** For people: `/srv/app.db on db1`. */
export function placeText({description, origin}: Whereabouts): string {
  return origin === undefined ? description : `${origin.path} on ${origin.host}`;
}

/** Hashed, because the id itself should be kept confidential (machine-id(5)). */
function machineId(): string | undefined {
  try {
    const id = readFileSync('/etc/machine-id', 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? createHash('sha256').update(`bkp ${id}`).digest('hex').slice(0, 16) : undefined;
  } catch {
    return undefined;
  }
}
