import {BkpError} from '../../errors/index.ts';
import type {Setting} from '../../sql/index.ts';

/**
 * What ADOPT says, the only setting of BACKUP: go on with this database, although the backups before are of another place.
 * @throws BkpError `BAD_REQUEST` for any other setting
 */
export function adoptValue(settings: readonly Setting[], statement: string, example: string): string | undefined {
  for (const {key} of settings) {
    if (key === 'ADOPT') continue;
    throw new BkpError('BAD_REQUEST', `${key} is not a setting of ${statement}`, {
      next: `write WITH (ADOPT='${example}')`,
    });
  }
  return settings.at(-1)?.value;
}

/** Of `BACKUP c`. @throws BkpError `BAD_REQUEST` */
export function isAdopting(settings: readonly Setting[]): boolean {
  const value = adoptValue(settings, 'BACKUP', 'true')?.toLowerCase();
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw new BkpError('BAD_REQUEST', `ADOPT cannot be '${value}'`, {next: "write ADOPT='true', or leave it away"});
}
