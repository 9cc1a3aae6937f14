import {BkpError} from '../../errors/index.ts';
import type {Setting} from '../../sql/index.ts';
import type {VerifyLevel} from '../../vault/index.ts';

/**
 * The value of ADOPT, the only setting of BACKUP: continue with this database although the earlier backups are
 * of another place.
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

/** ADOPT of `BACKUP c`. @throws BkpError `BAD_REQUEST` */
export function isAdopting(settings: readonly Setting[]): boolean {
  const value = adoptValue(settings, 'BACKUP', 'true')?.toLowerCase();
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw new BkpError('BAD_REQUEST', `ADOPT cannot be '${value}'`, {next: "write ADOPT='true', or leave it out"});
}

/** LEVEL, the only setting of VERIFY; `data` by default. @throws BkpError `BAD_REQUEST` */
export function verifyLevel(settings: readonly Setting[]): VerifyLevel {
  let level: VerifyLevel = 'data';
  for (const {key, value} of settings) {
    if (key !== 'LEVEL')
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of VERIFY`, {next: "write WITH (LEVEL='structure')"});
    const wanted = value.toLowerCase();
    if (wanted !== 'structure' && wanted !== 'data') {
      throw new BkpError('BAD_REQUEST', `LEVEL cannot be '${value}'`, {
        next: "write LEVEL='structure' or LEVEL='data'",
      });
    }
    level = wanted;
  }
  return level;
}
