import {existsSync, readFileSync, realpathSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';

/** The texts that Linux has: what is to be mounted, fstab(5), and what is, proc_pid_mounts(5). */
export type MountTables = {wanted: string; mounted: string};

/**
 * The mount point at `path` or above it that the system's table names, and at which nothing is mounted now.
 * @returns undefined when there is none, and on systems without these tables
 */
export function unmountedAbove(path: string, tables: MountTables | undefined = readTables()): string | undefined {
  if (tables === undefined) return undefined;
  const mounted = new Set(mountPoints(tables.mounted));
  const places = new Set([path, realPath(path)]);
  return mountPoints(tables.wanted)
    .filter((point) => point !== '/' && !mounted.has(point))
    .find((point) => [...places].some((place) => place === point || place.startsWith(`${point}/`)));
}

/** The second field of each line; spaces and the like are written in octal. */
function mountPoints(table: string): string[] {
  return table
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .map((line) => line.trim().split(/\s+/)[1] ?? '')
    .filter((point) => point.startsWith('/'))
    .map((point) => point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))))
    .map((point) => (point.length > 1 ? point.replace(/\/+$/, '') : point));
}

function readTables(): MountTables | undefined {
  try {
    return {wanted: readFileSync('/etc/fstab', 'utf8'), mounted: readFileSync('/proc/self/mounts', 'utf8')};
  } catch {
    return undefined;
  }
}

/** Without links, as far down as the path exists. */
function realPath(path: string): string {
  let existing = path;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    return join(realpathSync(existing), relative(existing, path));
  } catch {
    return path;
  }
}
