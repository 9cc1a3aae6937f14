import {type CollectionFolder, readAllFolders} from '../../collections/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {withVaultIfAny} from '../places/places.ts';
import type {Workplace} from '../places/workplace.ts';

type Folders = readonly CollectionFolder[];

/** The collections of each store, read once for all checks of one run. What cannot be read is tried again. */
export class StoreFolders {
  readonly #deps: Deps;
  readonly #known = new Map<string, Folders>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Reads them with a vault that is open. */
  async read({storage}: Workplace, vault: VaultReader): Promise<Folders> {
    const folders = await readAllFolders(vault);
    this.#known.set(storage, folders);
    return folders;
  }

  /** @returns undefined if the store has no vault */
  async of(place: Workplace): Promise<Folders | undefined> {
    const known = this.#known.get(place.storage);
    return known ?? withVaultIfAny(this.#deps, place, (vault) => this.read(place, vault));
  }
}
