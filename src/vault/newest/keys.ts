import type {Key} from '../../stores/index.ts';

// In an encrypted vault the folder of a collection's or a database's backups says which backup is the newest, so that
// its loss is noticed: docs/format.md, "Backups that are gone".

const backupPattern = '\\d{14}Z_(?:full|incremental)|\\d{8}T\\d{6}\\.\\d{6}Z';
const below = new RegExp(
  '^(\\.backups/collections/[^/]+/|backup/[^/]+/)' +
    `(?:(${backupPattern})/manifest|pins/(${backupPattern})/\\d{8}/manifest` +
    `|newest/(${backupPattern})|removed/(${backupPattern})-[0-9a-f]{32})$`,
);
const folders = /^(\.backups\/collections\/[^/]+\/|backup\/[^/]+\/)$/;

export type NewestKey = {
  /** Ends in `/`. */
  folder: string;
  /** Within one folder, the order of names is that of time. */
  backup: string;
  kind: 'manifest' | 'pin' | 'newest' | 'removed';
};

/** @returns undefined for a key that is none of these, or whose backup has a time that does not exist */
export function parseNewestKey(key: Key): NewestKey | undefined {
  const [, folder, manifest, pin, newest, removed] = below.exec(key) ?? [];
  const backup = manifest ?? pin ?? newest ?? removed;
  if (folder === undefined || backup === undefined || !hasTime(backup)) return undefined;
  const kind =
    manifest !== undefined ? 'manifest' : pin !== undefined ? 'pin' : newest === undefined ? 'removed' : 'newest';
  return {folder, backup, kind};
}

export const isBackupFolder = (prefix: string) => folders.test(prefix);

export const newestKey = (folder: string, backup: string): Key => `${folder}newest/${backup}`;
export const removedKey = (folder: string, backup: string, id: string): Key => `${folder}removed/${backup}-${id}`;

function hasTime(backup: string): boolean {
  const digits = backup.replace('T', '').slice(0, 14);
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/
    .exec(digits)!
    .map(Number);
  const ms = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!);
  return new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14) === digits;
}
