import {createHash} from 'node:crypto';
import {readFileSync, realpathSync, statSync} from 'node:fs';
import {hostname} from 'node:os';
import * as v from 'valibot';
import {text} from '../lib/schema.ts';

/**
 * Which file or folder on which machine a database is. A copy of a database has its identity, and is another one: this tells
 * the two apart.
 */
export type Origin = {
  host: string;
  /** Tells machines of one name apart; absent where the system has no id, as in most containers. */
  machine?: string;
  /** Without links. */
  path: string;
  /** `<inode>` or `<inode>-<birth, ns>`: stays when the file is renamed or mounted elsewhere, and is another one for a copy. */
  file: string;
};

export const originSchema = v.object({host: text, machine: v.exactOptional(text), path: text, file: text});

/** What is known of a database. */
export type Whereabouts = {
  /** As the user wrote it: `sqlite::path=/srv/app.db`. */
  description: string;
  /** Absent: an older bkp wrote it down, or there is nothing at that place. */
  origin?: Origin;
};

/** @returns undefined when nothing is there */
export function originOf(path: string): Origin | undefined {
  const found = statSync(path, {bigint: true, throwIfNoEntry: false});
  if (found === undefined) return undefined;
  const {ino, birthtimeNs, ctimeNs} = found;
  // Where a file system keeps no birth, the system may give the time of the last change instead.
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
 * Whether both are one database's place: the same file, wherever it is mounted or moved within its disk, or the same path on the
 * same machine, whatever file is there by now (VACUUM INTO and rename, a restore after a crash).
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
  // Without births an inode is a small number that many disks have.
  return before.path === after.path;
}

/** For people: `/srv/app.db on db1`. */
export function placeText({description, origin}: Whereabouts): string {
  return origin === undefined ? description : `${origin.path} on ${origin.host}`;
}

/** The id itself is not to be given away (machine-id(5)). */
function machineId(): string | undefined {
  try {
    const id = readFileSync('/etc/machine-id', 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? createHash('sha256').update(`bkp ${id}`).digest('hex').slice(0, 16) : undefined;
  } catch {
    return undefined;
  }
}
