import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';

/** True if the fault concerns one backup, in one of the stores: the others can still be copied. */
export function isOfOneBackup(error: unknown): error is BkpError {
  return isDamage(error) || (error instanceof BkpError && ['COLLECTION_EXISTS', 'STORE_REFUSED'].includes(error.code));
}

/** Ends the next step of a fault that only the target has. */
const copyAgain = ', and copy again';

export function damagedInTarget(
  {to, collection}: {to: VaultReader; collection: string},
  name: BackupName,
  cause: BkpError,
): BkpError {
  const next = `remove ${manifestKey(collection, name)} in ${to.location}${copyAgain}`;
  return new BkpError(cause.code, `its manifest in ${to.location} is damaged: ${next}`, {
    cause,
    next,
    context: cause.context,
  });
}

/** @param wanted how many backups were to be copied */
export function notAllCopied(
  {from, to, collection}: {from: VaultReader; to: VaultReader; collection: string},
  failures: ReadonlyMap<BackupName, BkpError>,
  wanted: number,
): BkpError {
  const errors = [...failures.values()];
  const complete = wanted - failures.size;
  return new BkpError(
    errors.some(isDamage) ? 'DAMAGE_FOUND' : errors[0]!.code,
    `${failures.size} of ${wanted} backups of ${collection} are not complete in ${to.location}; the other ` +
      `${complete} are`,
    {
      details: [...failures].map(([name, error]) => `${collection}/${name}: ${error.message}`),
      next: nextStep(errors, {from, collection}),
      context: {collection},
    },
  );
}

/** One step for all of the errors. If they differ, each has its own in the details. */
function nextStep(errors: readonly BkpError[], {from, collection}: {from: VaultReader; collection: string}): string {
  const [first, ...more] = errors;
  if (more.length === 0 && first?.next !== undefined) return first.next;
  if (errors.every(({next}) => next?.endsWith(copyAgain))) {
    return `what the lines above say, then COPY BACKUP COLLECTION ${quoteName(collection)} again`;
  }
  return (
    `VERIFY ${quoteName(collection)} names what ${from.location} has lost; a new full backup stores it again, ` +
    'and can be copied'
  );
}
