import {existsSync} from 'node:fs';
import {dirname} from 'node:path';
import {goneTexts} from '../../backups/index.ts';
import {isLiving} from '../../collections/index.ts';
import type {DirectoryAddress} from '../../config/index.ts';
import {listInstances} from '../../database/index.ts';
import {formatCount} from '../../lib/figures.ts';
import type {Deps} from '../deps.ts';
import {whyAway} from '../places/known-vaults.ts';
import {withVaultIfAny} from '../places/places.ts';
import {isWithoutFolder, type Workplace} from '../places/workplace.ts';
import {type Check, tried} from './check.ts';
import {StoreFolders} from './store-folders.ts';

/** Checks what the store can do, then its vault. `what` begins with `cluster: ` or `s3: `. */
export function checkPlace(deps: Deps, place: Workplace, folders = new StoreFolders(deps)): Promise<Check[]> {
  const {store, storage} = place;
  return tried(storage, async () => {
    if (isWithoutFolder(store)) return [await absentDirectory(deps, store, storage)];
    const checks = (await deps.probeStore(store)).map((probe) => ({...probe, what: `${storage}: ${probe.what}`}));
    if (checks.some((check) => !check.ok)) return checks;
    return [...checks, ...(await tried('vault', () => checkVault(deps, place, folders)))];
  });
}

/** The first CREATE creates the directory; this checks whether that is possible. */
async function absentDirectory(deps: Deps, {root}: DirectoryAddress, storage: string): Promise<Check> {
  const what = `${storage}: folder`;
  const away = whyAway(deps, {kind: 'directory', root});
  if (away !== undefined) throw away;
  let above = dirname(root);
  while (!existsSync(above)) above = dirname(above);
  const fault = (await deps.probeStore({kind: 'directory', root: above})).find((probe) => !probe.ok);
  if (fault === undefined) {
    return {
      what,
      ok: true,
      detail: `${root} does not exist yet; the first CREATE BACKUP COLLECTION or BACKUP DATABASE creates it`,
    };
  }
  return {...fault, what, detail: `${root} cannot be created: ${fault.what} of ${above}: ${fault.detail}`};
}

async function checkVault(deps: Deps, place: Workplace, known: StoreFolders): Promise<Check[]> {
  const what = 'vault';
  const checks = await withVaultIfAny(deps, place, async (vault): Promise<Check[]> => {
    const folders = await known.read(place, vault);
    const [damage] = folders.flatMap((folder) => folder.damage ?? []);
    if (damage !== undefined) {
      const next =
        'SHOW BACKUP COLLECTIONS names the collection; CREATE BACKUP COLLECTION … writes its definition again';
      return [{what, ok: false, detail: damage.message, next}];
    }
    const instances = await listInstances(vault);
    const [gone] = goneTexts(vault, '');
    if (gone !== undefined) {
      return [{what, ok: false, detail: gone, next: 'take a new backup; or accept it: bkp store forget --gone'}];
    }
    const backups = [...folders, ...instances].reduce((sum, one) => sum + one.backups.length, 0);
    const counts = [
      formatCount(folders.filter(isLiving).length, 'collection'),
      formatCount(instances.length, 'database'),
      formatCount(backups, 'backup'),
    ].join(', ');
    const kind = vault.encryption === undefined ? 'not encrypted' : 'encrypted';
    const notes = (await vault.damagedNotes()).map(({message, next}) => ({
      ...{what: 'vault: note', ok: false, detail: message},
      ...(next === undefined ? {} : {next}),
    }));
    return [{what, ok: true, detail: `${vault.id}, ${kind}, ${counts}`}, ...notes];
  });
  return (
    checks ?? [{what, ok: true, detail: 'none yet; the first CREATE BACKUP COLLECTION or BACKUP DATABASE creates it'}]
  );
}
