import {type Heal, heal} from '../../backups/index.ts';
import {operationId} from '../../ops/index.ts';
import {openVaultAt, type Workplace} from '../places/workplace.ts';
import type {Work} from './work.ts';

/** Runs a verification that heals with the vault of this place, which is closed again. Without one it does not heal. */
export async function withHealing<T>(
  work: Work,
  place: Workplace | undefined,
  use: (heal: Heal | undefined) => Promise<T>,
): Promise<T> {
  if (place === undefined) return use(undefined);
  const {deps, open, logTraffic, operation} = work;
  const other = await openVaultAt(deps, place, open);
  try {
    return await use((recipes, verification) =>
      heal({...work, from: [other], operation: operationId(operation)}, recipes, verification),
    );
  } finally {
    other.close();
    logTraffic(other);
  }
}
