import {type Standing, standingOf} from '../../backups/index.ts';
import type {Survey, SurveyOptions, VaultReader} from '../../vault/index.ts';
import {type Backup, readBackup} from './manifest.ts';
import type {BackupName} from './names.ts';

/** What is known of a backup without reading its data. */
export function examineBackup(
  vault: VaultReader,
  survey: Survey,
  {collection, backup, ...options}: {collection: string; backup: BackupName} & SurveyOptions,
): Promise<Standing<Backup>> {
  const read = async () => {
    const found = await readBackup(vault, collection, backup);
    return {backup: found, streams: found.streams};
  };
  return standingOf(survey, read, options);
}
