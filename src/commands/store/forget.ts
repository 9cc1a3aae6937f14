import {forgetBackups} from '../../app/places/known-backups.ts';
import {forgetVault, knownVault} from '../../app/places/known-vaults.ts';
import {placesOf} from '../../app/places/places.ts';
import {openVaultAt} from '../../app/places/workplace.ts';
import {describeStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';

/** Forgets no vault that can be opened. */
export async function runStoreForget(deps: CommandDeps): Promise<void> {
  for (const place of await placesOf(deps)) {
    const {store} = place;
    const vault = knownVault(deps.home, store);
    if (vault === undefined) {
      deps.stdout.write(`${describeStore(store)}: no vault is recorded\n`);
      continue;
    }
    if (await isThere(deps, place)) {
      deps.stdout.write(`${describeStore(store)}: vault ${vault} exists\n`);
      continue;
    }
    forgetVault(deps.home, store);
    forgetBackups(deps, store);
    deps.stdout.write(`${describeStore(store)}: vault ${vault} is forgotten; the next CREATE creates a new one\n`);
  }
}

async function isThere(deps: CommandDeps, place: Parameters<typeof openVaultAt>[1]): Promise<boolean> {
  try {
    (await openVaultAt(deps, place, {create: false})).close();
    return true;
  } catch (error) {
    // Any other failure (a network, a key, damage) does not prove that the vault is gone.
    if (error instanceof BkpError && [error.context.missing, error.context.replaced].includes('vault')) return false;
    throw error;
  }
}
