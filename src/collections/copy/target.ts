import {BkpError} from '../../errors/index.ts';
import type {VaultReader, VaultWriter} from '../../vault/index.ts';
import {lastKnownId, nextGeneration, putFirstDefinition} from '../define/define.ts';
import type {Definition, Storage} from '../stored/definition.ts';
import type {CollectionFolder} from '../stored/folder.ts';

/**
 * Collections of the same name can be unrelated, and their chains must not be mixed. If the target's definition
 * is damaged, the id in its backups decides; the copy then writes the definition again.
 * @param folder of the target
 * @throws BkpError `COLLECTION_EXISTS`, or why the target's definition cannot be judged
 */
export async function requireSameCollection(
  definition: Definition,
  folder: CollectionFolder,
  to: VaultReader,
): Promise<void> {
  const {newest, damage, backups} = folder;
  if (damage !== undefined) {
    if (damage.code === 'STORE_REFUSED') throw damage;
    const id = await lastKnownId(to, definition.name, folder);
    if (id === undefined && backups.length > 0) throw damage;
    if (id === undefined || id === definition.id) return;
  } else if (newest === undefined || newest.dropped !== undefined || newest.id === definition.id) return;
  throw new BkpError('COLLECTION_EXISTS', `${to.location} has another collection ${definition.name}`, {
    cause: 'another CREATE BACKUP COLLECTION made it',
    next: 'copy to another store, or drop the collection there first',
  });
}

/** Writes the members and settings of the newest definition, unless the target's are the same. */
export async function copyDefinition(
  to: VaultReader,
  writer: VaultWriter,
  definition: Definition,
  folder: CollectionFolder,
  storage: Storage,
): Promise<void> {
  const {dropped: _, ...living} = definition;
  const copy: Definition = {
    ...living,
    settings: {...definition.settings, storage},
    generation: nextGeneration(folder, writer),
  };
  const {newest} = folder;
  const meaning = ({members, settings}: Definition) => JSON.stringify([members, settings]);
  if (newest !== undefined && newest.dropped === undefined && meaning(newest) === meaning(copy)) return;
  await putFirstDefinition(to, writer, copy, folder);
}
