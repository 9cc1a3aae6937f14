import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {readRegistry} from '../format/registry.ts';
import {type TableState, tableMarks} from '../format/table.ts';
import type {QuestDbHttp} from '../server/http.ts';

/**
 * Folders that look like tables and that neither the checkpoint nor the server knows, as sentences. A server forgets a
 * table when it starts without the table's `_txn` or volume, and nobody may have noticed. (Seen with 8.2.0 to 9.3.4.)
 * @param tables those of the checkpoint
 */
export async function forgottenTables(
  http: QuestDbHttp,
  db: string,
  tables: readonly TableState[],
): Promise<readonly string[]> {
  const known = new Set(tables.map(({folder}) => folder));
  const strangers: string[] = [];
  for (const entry of await readdir(db, {withFileTypes: true})) {
    if (known.has(entry.name) || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    if (await looksLikeTable(join(db, entry.name), entry.isSymbolicLink())) strangers.push(entry.name);
  }
  if (strangers.length === 0) return [];
  // Tables are created and dropped while this looks. What is gone now, or known now, was not forgotten.
  const listed = new Set((await http.rows('SELECT directoryName FROM tables()')).map((row) => row.directoryName));
  const {dropped} = await readRegistry(db);
  const there = new Set(await readdir(db));
  return strangers
    .filter((folder) => there.has(folder) && !listed.has(folder) && !dropped.has(folder))
    .map((folder) => `db/${folder} looks like a table, but the server lists none there: it is not in the backup`);
}

async function looksLikeTable(path: string, isLink: boolean): Promise<boolean> {
  try {
    const names = await readdir(path);
    return tableMarks.some((mark) => names.includes(mark));
  } catch (error) {
    // The volume of a table that is a link may not be mounted.
    if (isAbsent(error)) return isLink;
    throw unreadable(error, path);
  }
}
