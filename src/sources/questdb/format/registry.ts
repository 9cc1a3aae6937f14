import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {readControlFile} from './bytes.ts';

const added = 0;
const reservedBytes = 64;

/**
 * Folders below `db` of dropped tables that the server, now stopped, has not removed yet. They are listed in
 * `tables.d.N` with the largest N: int64 its length, then for each entry int32 0 (added) or -1 (dropped), the table's
 * name, its folder, int32 id, int32 kind, and 64 reserved bytes if added. Source: QuestDB's TableNameRegistryStore;
 * compared with 9.3.4.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function droppedFolders(db: string): Promise<Set<string>> {
  const versions = (await readdir(db)).map((name) => Number(/^tables\.d\.(\d+)$/.exec(name)?.[1] ?? -1));
  const file = readControlFile(join(db, `tables.d.${Math.max(-1, ...versions)}`));
  const dropped = new Set<string>();
  if (file === undefined) return dropped;
  const end = file.count(0);
  for (let at = 8; at < end; ) {
    const isAdded = file.int32(at) === added;
    const folder = file.text(file.text(at + 4).end);
    if (isAdded) dropped.delete(folder.value);
    else dropped.add(folder.value);
    at = folder.end + 8 + (isAdded ? reservedBytes : 0);
  }
  return dropped;
}
