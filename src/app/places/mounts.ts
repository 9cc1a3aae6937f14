import {existsSync, readFileSync, realpathSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {mountPoints} from '../../lib/mount-points.ts';

/** Linux's tables: wanted mounts, fstab(5), and current mounts, proc_pid_mounts(5). */
export type MountTables = {wanted: string; mounted: string};

/**
 * The mount point at or above `path` that fstab lists and where nothing is mounted now.
 * @returns undefined if there is none, and on systems without these tables
 */
export function unmountedAbove(path: string, tables: MountTables | undefined = readTables()): string | undefined {
  if (tables === undefined) return undefined;
  const mounted = new Set(mountPoints(tables.mounted));
  const places = new Set([path, realPath(path)]);
  return mountPoints(tables.wanted)
    .filter((point) => point !== '/' && !mounted.has(point))
    .find((point) => [...places].some((place) => place === point || place.startsWith(`${point}/`)));
}

function readTables(): MountTables | undefined {
  try {
    return {wanted: readFileSync('/etc/fstab', 'utf8'), mounted: readFileSync('/proc/self/mounts', 'utf8')};
  } catch {
    return undefined;
  }
}

/** Resolves links in the part of the path that exists. */
function realPath(path: string): string {
  let existing = path;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    return join(realpathSync(existing), relative(existing, path));
  } catch {
    return path;
  }
}
