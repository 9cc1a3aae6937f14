import {existsSync} from 'node:fs';
import {readdir, readlink} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {type Registry, readRegistry} from '../format/registry.ts';
import {type TableState, tableMarks} from '../format/table.ts';

/** Files that a server creates when it starts for the first time. */
const ofServer = /^(tables\.d\.\d+|_tab_index\.d)$/;

/**
 * Tables of a stopped server that cannot be read as tables, so that a backup would leave them out: the registry names
 * a folder that is gone, a link leads nowhere (its volume is not mounted), or control files are missing.
 * @param tables the tables that can be read
 */
export async function lostTables(db: string, tables: readonly TableState[]): Promise<BkpError[]> {
  const registry = await readRegistry(db);
  const known = new Set([...tables.map(({folder}) => folder), ...registry.dropped]);
  const lost: BkpError[] = [];
  for (const entry of await readdir(db, {withFileTypes: true})) {
    if (known.has(entry.name) || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    known.add(entry.name);
    const fault = await whyNoTable(db, entry.name, {registry, isLink: entry.isSymbolicLink()});
    if (fault !== undefined) lost.push(fault);
  }
  for (const [folder, name] of registry.tables) {
    if (!known.has(folder)) lost.push(withoutFolder(folder, name));
  }
  return lost;
}

/** A `db` that no server has used: a mount point without its disk, for example. */
export async function isUnused(db: string): Promise<boolean> {
  return !(await readdir(db)).some((name) => ofServer.test(name));
}

async function whyNoTable(
  db: string,
  folder: string,
  {registry, isLink}: {registry: Registry; isLink: boolean},
): Promise<BkpError | undefined> {
  const path = join(db, folder);
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    if (!isAbsent(error)) throw unreadable(error, path);
    return isLink && !existsSync(path) ? leadsNowhere(folder, await readlink(path)) : undefined;
  }
  const name = registry.tables.get(folder);
  if (name === undefined && !tableMarks.some((mark) => names.includes(mark))) return undefined;
  const missing = tableMarks.find((mark) => !names.includes(mark)) ?? '_meta';
  return new BkpError('SOURCE_DAMAGED', `table ${name ?? folder} has lost db/${folder}/${missing}`, {
    cause: 'a table without it cannot be read, and would be missing in the backup',
    next: `restore the table from an earlier backup; if it is not needed, move the folder out of db`,
    context: {table: name ?? folder},
  });
}

function leadsNowhere(folder: string, target: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `the folder of a table, db/${folder}, is a link that leads nowhere`, {
    cause: `${target} does not exist; its volume may not be mounted`,
    next: 'mount the volume; if the table is not needed, remove the link',
    context: {table: folder},
  });
}

function withoutFolder(folder: string, name: string): BkpError {
  return new BkpError('SOURCE_DAMAGED', `table ${name} has lost its folder, db/${folder}`, {
    cause: 'the registry of the server (tables.d) names it',
    next: 'bring the folder back; if the table is not needed, start the server, which forgets it, and stop it again',
    context: {table: name},
  });
}
