import {findInstance, type Instance, listInstances, presentDatabase} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {withFileSource} from './source-places.ts';
import type {Workplace} from './workplace.ts';

/**
 * The instance in the vault that holds the backups of the place's database. A new machine without a source
 * still finds it if the store holds only one.
 * @returns undefined before the database's first backup; without a source, unless the store has exactly one
 * instance
 * @throws BkpError when the database is unavailable, or several instances belong to it
 */
export async function ownInstance(
  deps: Pick<Deps, 'settings' | 'env'>,
  place: Workplace,
  vault: Vault,
): Promise<Instance | undefined> {
  const instances = await listInstances(vault);
  if (place.source === undefined) return instances.length === 1 ? instances[0] : undefined;
  // A database without a backup may have no id yet; looking it up would create one.
  if (instances.length === 0) return undefined;
  const present = await withFileSource(deps, place, presentDatabase);
  return (await findInstance(vault, present)).instance;
}

/**
 * The instance to use when none is named and the store has backups of several databases: the profile's own, if
 * it is one of them.
 * @returns undefined if there is nothing to choose from or the profile's database cannot be read
 */
export async function meantInstance(
  deps: Pick<Deps, 'settings' | 'env'>,
  place: Workplace,
  vault: Vault,
): Promise<string | undefined> {
  const usable = (await listInstances(vault)).filter(({backups}) => backups.length > 0);
  if (usable.length <= 1 || place.source === undefined) return undefined;
  try {
    const own = await ownInstance(deps, place, vault);
    return usable.find(({name}) => name === own?.name)?.name;
  } catch (error) {
    // A lost database is a common reason for a restore.
    if (error instanceof BkpError) return undefined;
    throw error;
  }
}
