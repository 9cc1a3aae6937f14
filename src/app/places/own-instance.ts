import {findInstance, type Instance, listInstances, presentDatabase} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {withFileSource} from './source-places.ts';
import type {Workplace} from './workplace.ts';

/**
 * Whose backups in the vault are those of the place's database. A fresh machine has no source, and may know it all the same.
 * @returns undefined before the database's first backup; without a source, when the store has not exactly one instance
 * @throws BkpError when the database is away, or several instances are of it
 */
export async function ownInstance(
  deps: Pick<Deps, 'settings'>,
  place: Workplace,
  vault: Vault,
): Promise<Instance | undefined> {
  const instances = await listInstances(vault);
  if (place.source === undefined) return instances.length === 1 ? instances[0] : undefined;
  // A database that was never backed up may have no id yet, and would be given one only to be looked up.
  if (instances.length === 0) return undefined;
  const present = await withFileSource(deps, place, presentDatabase);
  return (await findInstance(vault, present)).instance;
}

/**
 * Whose backup is meant where none is named and the store has those of several databases: of the profile's own, if it is one of them.
 * @returns undefined where there is nothing to choose, or nobody can tell
 */
export async function meantInstance(
  deps: Pick<Deps, 'settings'>,
  place: Workplace,
  vault: Vault,
): Promise<string | undefined> {
  const usable = (await listInstances(vault)).filter(({backups}) => backups.length > 0);
  if (usable.length <= 1 || place.source === undefined) return undefined;
  try {
    const own = await ownInstance(deps, place, vault);
    return usable.find(({name}) => name === own?.name)?.name;
  } catch (error) {
    // The database is gone: that is why one restores.
    if (error instanceof BkpError) return undefined;
    throw error;
  }
}
