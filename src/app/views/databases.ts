import {listDatabaseBackups} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import {hasResult, isSameSubject, type Operation, operationId} from '../../ops/index.ts';
import {defineView, type RowOf, type Scalar, type View} from '../../query/index.ts';
import {capabilitiesOf, openCheckpointSource, type SourceSpec} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {allOperations} from '../orders/all-operations.ts';
import {databaseSubject} from '../orders/start.ts';
import {ownInstance} from '../places/own-instance.ts';
import {objectPlace, withVaultIfAny} from '../places/places.ts';
import {sourceSpecOf} from '../places/source-places.ts';
import type {Workplace} from '../places/workplace.ts';
import {databasePlan} from '../schedules/known-database.ts';
import {askForReload} from '../schedules/reload-signal.ts';

const columns = {
  status: 'VARCHAR',
  progress_percent: 'INT',
  start_ts: 'TIMESTAMP',
  end_ts: 'TIMESTAMP',
  backup_error: 'VARCHAR',
  cleanup_error: 'VARCHAR',
  verified: 'TIMESTAMP',
} as const;

type Row = RowOf<typeof columns>;

/** Backups of the database in use: those in this machine's journal, and those in the store that others took. */
export function backupsView(deps: Deps): View {
  return defineView(columns, async () => {
    const journal = await deps.journal();
    await journal.reap();
    const place = await databasePlace(deps);
    const rows = new Map<string, Row>();
    const listedMicros = deps.nowMicros();
    const stored = await storedBackups(deps, place);
    for (const {timestampMicros, body, verifiedMs, error} of stored ?? []) {
      const start = microsText(timestampMicros);
      rows.set(start, {
        status: error === undefined ? 'backup complete' : 'backup failed',
        progress_percent: 100,
        start_ts: start,
        end_ts: body === undefined ? undefined : microsText(body.finishedAtMicros),
        backup_error: error,
        cleanup_error: undefined,
        verified: verifiedMs === undefined ? undefined : microsText(verifiedMs * 1000),
      });
    }
    // The journal has more details of a backup than its manifest, but not its later damage.
    for (const operation of await allOperations(journal, ['dbbackup'])) {
      if (place.source === undefined || isSameSubject(operation.subject, databaseSubject(place.source))) {
        const row = rowOf(operation);
        // Its backup was removed since, by DROP or a cleanup.
        const {state} = operation;
        const wasListed = stored !== undefined && state.name === 'done' && state.endedAtMicros < listedMicros;
        if (wasListed && hasResult(operation) && !rows.has(row.start_ts as string)) continue;
        const {status, backup_error: error, verified} = rows.get(row.start_ts as string) ?? {};
        rows.set(row.start_ts as string, {...row, verified, ...(error == null ? {} : {status, backup_error: error})});
      }
    }
    return [...rows.values()].sort((a, b) => ((a.start_ts as string) < (b.start_ts as string) ? -1 : 1));
  });
}

/** @throws BkpError `USAGE` if no object store is set; people who have only collections look here too */
async function databasePlace(deps: Deps): Promise<Workplace> {
  try {
    return await objectPlace(deps);
  } catch (error) {
    if (!(error instanceof BkpError) || error.code !== 'USAGE') throw error;
    throw new BkpError(error.code, error.message, {
      cause: 'backups() lists backups of whole databases, which are in an object store',
      next: `SELECT * FROM collection_backups() lists those of collections; ${error.next}`,
    });
  }
}

/**
 * A new machine has no source and may still find the backups, see ownInstance.
 * @returns undefined if it is not known which ones are of this database
 */
async function storedBackups(deps: Deps, place: Workplace) {
  return withVaultIfAny(deps, place, async (vault) => {
    const name = (await ownInstance(deps, place, vault))?.name;
    if (name === undefined && place.source !== undefined) return undefined;
    return listDatabaseBackups(vault, {verified: true, ...(name === undefined ? {} : {instance: name})});
  });
}

function rowOf(operation: Operation): Row {
  const {state, progress} = operation;
  const known = {
    progress_percent: Math.floor(progress.percent),
    start_ts: operation.backup ?? microsText(operation.createdAtMicros),
    end_ts: state.name === 'done' ? microsText(state.endedAtMicros) : undefined,
    backup_error: undefined,
    cleanup_error: undefined,
    verified: undefined,
  };
  if (state.name !== 'done') {
    if (progress.phase === 'Cleanup') return {...known, status: 'cleanup in progress', progress_percent: 100};
    return {...known, status: 'backup in progress'};
  }
  const {outcome} = state;
  // A backup is never partial.
  if (outcome.status === 'SUCCESS' || outcome.status === 'PARTIAL') {
    const {cleanup, cleanupError} = outcome.result;
    if (cleanup === undefined) return {...known, status: 'backup complete'};
    return {...known, status: `cleanup ${cleanup}`, cleanup_error: cleanupError};
  }
  const why = outcome.status === 'CANCELLED' ? 'aborted' : outcome.error.message;
  return {...known, status: 'backup failed', backup_error: `${operationId(operation)}: ${why}`};
}

/** NULL before the first backup. */
export function backupInstanceName(deps: Deps): Scalar {
  return {
    type: 'VARCHAR',
    bare: true,
    value: async () => {
      const place = await objectPlace(deps);
      return (await withVaultIfAny(deps, place, (vault) => ownInstance(deps, place, vault)))?.name ?? null;
    },
  };
}

/** Commands read the configuration each time, so only the scheduler is notified. Wrong settings are reported here. */
export function reloadConfig(deps: Deps): Scalar {
  return {
    type: 'BOOLEAN',
    value: async () => {
      await databasePlan(await deps.again());
      askForReload(deps.home, deps.nowMicros());
      return true;
    },
  };
}

/** For a database without checkpoints, none is in progress. */
export function checkpointStatusView(deps: Deps): View {
  return defineView({in_progress: 'BOOLEAN', started_at: 'TIMESTAMP'}, async () => {
    const spec = await sourceSpecOf(deps, await objectPlace(deps));
    const held = capabilitiesOf(spec.scheme).checkpoints ? await heldCheckpoint(spec) : undefined;
    return [
      {in_progress: held !== undefined, started_at: held === undefined ? undefined : microsText(held.startedAtMicros)},
    ];
  });
}

async function heldCheckpoint(spec: SourceSpec) {
  const source = await openCheckpointSource(spec);
  try {
    return await source.heldCheckpoint();
  } finally {
    await source.close();
  }
}
