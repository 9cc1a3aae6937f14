import {placesOf, withVaultIfAny} from '../../app/places/places.ts';
import {goneLabel} from '../../backups/index.ts';
import {readAllFolders} from '../../collections/index.ts';
import {describeStore} from '../../config/index.ts';
import {listInstances} from '../../database/index.ts';
import type {CommandDeps} from '../deps.ts';

/** Backups that are gone from encrypted vaults are not expected any more. */
export async function runAcceptGone(deps: CommandDeps): Promise<void> {
  for (const place of await placesOf(deps)) {
    const accepted = await withVaultIfAny(deps, place, async (vault) => {
      await readAllFolders(vault);
      await listInstances(vault);
      const gone = vault.gone('');
      for (const each of gone) await vault.acceptGone(each);
      return gone.map(goneLabel);
    });
    const what = accepted === undefined || accepted.length === 0 ? 'no backup is gone' : accepted.join(', ');
    const accepts = what === 'no backup is gone' ? '' : ': no longer expected';
    deps.stdout.write(`${describeStore(place.store)}: ${what}${accepts}\n`);
  }
}
