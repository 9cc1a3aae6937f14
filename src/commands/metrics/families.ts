import type {History, JournalFacts} from '../../app/health/journal-facts.ts';
import type {StoreFacts} from '../../app/health/store-facts.ts';
import type {DrillFacts} from '../../backups/index.ts';
import type {Family, Sample} from './exposition.ts';

type Measured<Of> = {name: string; help: string; of: (from: Of) => number | undefined};

/** In the order in which they are printed. `docs/monitoring.md` lists them. */
export function families(stores: readonly StoreFacts[], journal: JournalFacts, nowMicros: number): Family[] {
  const collections = stores.flatMap((store) =>
    store.reachable ? store.collections.map((collection) => ({...collection, storage: store.storage})) : [],
  );
  const databases = stores.flatMap((store) =>
    store.reachable ? store.databases.map((database) => ({...database, storage: store.storage})) : [],
  );
  return [
    ...measured(stores, ({storage}) => ({storage}), [
      {
        name: 'bkp_store_reachable',
        help: 'Whether the backups in the store could be listed: 1 or 0.',
        of: ({reachable}) => Number(reachable),
      },
      {
        name: 'bkp_store_collections',
        help: 'Collections in the store.',
        of: (store) => (store.reachable ? store.collections.length : undefined),
      },
    ]),
    ...measured(collections, ({name, storage}) => ({collection: name, storage}), [
      {name: 'bkp_collection_backups', help: 'Backups of the collection in the store.', of: ({backups}) => backups},
      {
        name: 'bkp_collection_unreadable_backups',
        help: 'Backups that cannot be restored whole, as far as is known without reading their data.',
        of: ({unreadable}) => unreadable,
      },
      {
        name: 'bkp_collection_newest_backup_timestamp_seconds',
        help: 'When the newest good backup was taken, in seconds since 1970.',
        of: ({newest}) => newest && newest.takenAtMs / 1000,
      },
      {
        name: 'bkp_collection_newest_backup_age_seconds',
        help: 'Age of the newest good backup when these metrics were made.',
        // The clock may have been set back in the meantime.
        of: ({newest}) => newest && Math.max(0, nowMicros / 1e6 - newest.takenAtMs / 1000),
      },
      ...verifiedMetrics<(typeof collections)[number]>(
        'bkp_collection',
        nowMicros,
        ({newestVerified}) =>
          newestVerified && {takenAtMs: newestVerified.backup.takenAtMs, verifiedMs: newestVerified.verifiedMs},
      ),
      ...drillMetrics<(typeof collections)[number]>('bkp_collection', nowMicros),
      {
        name: 'bkp_collection_newest_backup_logical_bytes',
        help: 'Plain bytes of what the newest good backup wrote.',
        of: ({newest}) => newest?.cost.logicalBytes,
      },
      {
        name: 'bkp_collection_newest_backup_stored_bytes',
        help: 'Bytes that the newest good backup added to the store.',
        of: ({newest}) => newest?.cost.storedBytes,
      },
    ]),
    // Prometheus reserves the label instance for the scraped target.
    ...measured(databases, ({instance, storage}) => ({database_instance: instance, storage}), [
      {name: 'bkp_database_backups', help: 'Backups of the database in the store.', of: ({backups}) => backups},
      {
        name: 'bkp_database_unreadable_backups',
        help: 'Backups that cannot be restored whole, as far as is known without reading their data.',
        of: ({unreadable}) => unreadable,
      },
      {
        name: 'bkp_database_newest_backup_timestamp_seconds',
        help: 'The moment that the newest good backup holds, in seconds since 1970.',
        of: ({newest}) => newest && newest.takenAtMicros / 1e6,
      },
      {
        name: 'bkp_database_newest_backup_age_seconds',
        help: 'Age of the newest good backup when these metrics were made.',
        of: ({newest}) => newest && Math.max(0, (nowMicros - newest.takenAtMicros) / 1e6),
      },
      ...verifiedMetrics<(typeof databases)[number]>(
        'bkp_database',
        nowMicros,
        ({newestVerified}) =>
          newestVerified && {
            takenAtMs: newestVerified.backup.takenAtMicros / 1000,
            verifiedMs: newestVerified.verifiedMs,
          },
      ),
      ...drillMetrics<(typeof databases)[number]>('bkp_database', nowMicros),
      {
        name: 'bkp_database_newest_backup_logical_bytes',
        help: 'Plain bytes of the whole database in the newest good backup.',
        of: ({newest}) => newest?.logicalBytes,
      },
      {
        name: 'bkp_database_newest_backup_stored_bytes',
        help: 'Bytes that the newest good backup added to the store.',
        of: ({newest}) => newest?.storedBytes,
      },
    ]),
    {
      name: 'bkp_operations',
      help: 'Operations in the journal; less when some are forgotten.',
      samples: journal.counts.map(({kind, status, count}) => ({labels: {kind, status}, value: count})),
    },
    ...measured(journal.histories, ({subject, kind}) => ({...subject, kind}), historyMetrics(nowMicros)),
  ];
}

/** Of the newest backup of which every byte was read intact. */
function verifiedMetrics<Of>(
  prefix: string,
  nowMicros: number,
  verified: (of: Of) => {takenAtMs: number; verifiedMs: number} | undefined,
): Measured<Of>[] {
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
  const age = (ms: number | undefined) => (ms === undefined ? undefined : Math.max(0, (nowMicros / 1000 - ms) / 1000));
  return [
    {
      name: `${prefix}_newest_verified_backup_timestamp_seconds`,
      help: 'When the newest good backup was taken of which VERIFY has read every byte, in seconds since 1970.',
      of: (from) => seconds(verified(from)?.takenAtMs),
    },
    {
      name: `${prefix}_newest_verified_backup_age_seconds`,
      help: 'Age of that backup when these metrics were made.',
      of: (from) => age(verified(from)?.takenAtMs),
    },
    {
      name: `${prefix}_newest_verified_backup_verified_timestamp_seconds`,
      help: 'When the least recently verified byte of that backup was read, in seconds since 1970.',
      of: (from) => seconds(verified(from)?.verifiedMs),
    },
  ];
}

/** Of the newest restore on trial that passed, and whether the last one did. */
function drillMetrics<Of extends DrillFacts>(prefix: string, nowMicros: number): Measured<Of>[] {
  return [
    {
      name: `${prefix}_newest_drill_timestamp_seconds`,
      help: "When VERIFY with LEVEL='restore' last passed, in seconds since 1970.",
      of: ({newestDrillMs: ms}) => (ms === undefined ? undefined : ms / 1000),
    },
    {
      name: `${prefix}_newest_drill_age_seconds`,
      help: 'How long ago that was when these metrics were made.',
      of: ({newestDrillMs: ms}) => (ms === undefined ? undefined : Math.max(0, nowMicros / 1e6 - ms / 1000)),
    },
    {
      name: `${prefix}_last_drill_passed`,
      help: "1 if the newest VERIFY with LEVEL='restore' passed, by the reports in the store; 0 if it failed.",
      of: ({hasLastDrillPassed}) => (hasLastDrillPassed === undefined ? undefined : Number(hasLastDrillPassed)),
    },
  ];
}

function historyMetrics(nowMicros: number): Measured<History>[] {
  return [
    {
      name: 'bkp_operation_last_succeeded',
      help: 'Whether the newest ended operation of the kind succeeded: 1, or 0 for any other end.',
      of: ({lastSucceeded}) => (lastSucceeded === undefined ? undefined : Number(lastSucceeded)),
    },
    {
      name: 'bkp_operation_last_success_timestamp_seconds',
      help: 'When the newest successful operation of the kind ended, in seconds since 1970.',
      of: ({lastSuccess}) => lastSuccess && lastSuccess.endedAtMicros / 1e6,
    },
    {
      name: 'bkp_operation_last_failure_timestamp_seconds',
      help: 'When the newest operation of the kind ended that did not succeed, in seconds since 1970.',
      of: ({lastFailureAtMicros}) => lastFailureAtMicros && lastFailureAtMicros / 1e6,
    },
    {
      name: 'bkp_operation_last_success_duration_seconds',
      help: 'How long the newest successful operation of the kind took.',
      of: ({lastSuccess}) => lastSuccess && lastSuccess.durationMicros / 1e6,
    },
    {
      name: 'bkp_operation_last_success_logical_bytes',
      help: 'Plain bytes that the newest successful operation of the kind wrote or read.',
      of: ({lastSuccess}) => lastSuccess?.result.logicalBytes,
    },
    {
      name: 'bkp_operation_last_success_stored_bytes',
      help: 'Bytes that the newest successful operation of the kind added to its store.',
      of: ({lastSuccess}) => lastSuccess?.result.storedBytes,
    },
    {
      name: 'bkp_operation_open_seconds',
      help: 'How long the oldest operation of the kind that is not done has been queued or running.',
      of: ({openSinceMicros}) => openSinceMicros && Math.max(0, (nowMicros - openSinceMicros) / 1e6),
    },
  ];
}

function measured<Of>(
  things: readonly Of[],
  labelsOf: (thing: Of) => Sample['labels'],
  metrics: readonly Measured<Of>[],
): Family[] {
  return metrics.map(({name, help, of}) => ({
    name,
    help,
    samples: things.flatMap((thing) => {
      const value = of(thing);
      return value === undefined ? [] : [{labels: labelsOf(thing), value}];
    }),
  }));
}
