import type {Pin, Standing} from '../../backups/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import {examineDatabaseBackup} from '../stored/examine.ts';
import {listInstances} from '../stored/instance.ts';
import type {DatabaseBackupBody} from '../stored/manifest.ts';
import {backupMicros, type DatabaseBackupName} from '../stored/names.ts';

/** One backup in a store. */
export type DatabaseBackupSummary = {
  instance: string;
  backup: DatabaseBackupName;
  /** The backup's timestamp, microseconds since 1970. */
  timestampMicros: number;
  state: Standing<unknown>['state'];
  /** Absent if the manifest cannot be read. */
  body?: DatabaseBackupBody | undefined;
  /** When all that the backup needs was last read intact; absent: never, or this was not asked for. */
  verifiedMs?: number | undefined;
  /** Its time may be over. */
  pin?: Pin | undefined;
  /** Why the backup is not sound. */
  error?: string | undefined;
};

/**
 * Oldest first, instance by instance.
 * @param options.instance absent: of all
 * @param options.verified find out when each was verified
 */
export async function listDatabaseBackups(
  vault: VaultReader,
  options: {instance?: string | undefined; verified?: boolean} = {},
): Promise<readonly DatabaseBackupSummary[]> {
  const wanted = (await listInstances(vault)).filter(({name}) => (options.instance ?? name) === name);
  const all = wanted.flatMap(({name, backups, pins}) =>
    backups.map((backup) => ({instance: name, backup, pin: pins.get(backup)})),
  );
  if (all.length === 0) return [];
  const survey = await vault.survey();
  // All concurrently: the store itself limits the number of its requests.
  return Promise.all(
    all.map(async (one): Promise<DatabaseBackupSummary> => {
      const {state, backup, fault} = await examineDatabaseBackup(vault, survey, one);
      const streams = options.verified && backup !== undefined ? [backup.data, backup.list] : undefined;
      const verifiedMs = streams && (await survey.verifiedMs(streams).catch(unlessReadable));
      return {
        ...one,
        timestampMicros: backupMicros(one.backup),
        state,
        body: backup?.body,
        verifiedMs,
        error: fault?.message,
      };
    }),
  );
}

/** What cannot be read was not verified since. */
function unlessReadable(error: unknown): undefined {
  if (!isDamage(error)) throw error;
}
