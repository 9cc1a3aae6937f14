import {findInstance, type Instance, listInstances, presentDatabase} from '../../database/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import type {Workplace} from '../workplace.ts';
import {withFileSource} from './places.ts';

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
