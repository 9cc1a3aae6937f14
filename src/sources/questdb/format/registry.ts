import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {readControlFile} from './bytes.ts';

const added = 0;
const reservedBytes = 64;

export type Registry = {
  /** Names of tables with WAL, by their folders below `db`. */
  tables: ReadonlyMap<string, string>;
  /** Folders of dropped tables that the server, now stopped, has not removed yet. */
  dropped: ReadonlySet<string>;
};

/**
 * The tables that the server has noted in `tables.d.N`, of which the largest N is valid: int64 its length, then for
 * each entry int32 0 (added) or -1 (dropped), the table's name, its folder, int32 id, int32 kind, and 64 reserved bytes
 * if added. Source: QuestDB's TableNameRegistryStore; compared with 9.3.4.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function readRegistry(db: string): Promise<Registry> {
  const versions = (await readdir(db)).map((name) => Number(/^tables\.d\.(\d+)$/.exec(name)?.[1] ?? -1));
  const file = readControlFile(join(db, `tables.d.${Math.max(-1, ...versions)}`));
  const tables = new Map<string, string>();
  const dropped = new Set<string>();
  if (file === undefined) return {tables, dropped};
  const end = file.count(0);
  for (let at = 8; at < end; ) {
    const isAdded = file.int32(at) === added;
    const name = file.text(at + 4);
    const folder = file.text(name.end);
    if (isAdded) {
      tables.set(folder.value, name.value);
      dropped.delete(folder.value);
    } else {
      tables.delete(folder.value);
      dropped.add(folder.value);
    }
    at = folder.end + 8 + (isAdded ? reservedBytes : 0);
  }
  return {tables, dropped};
}
