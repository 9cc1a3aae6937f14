import {microsText} from '../../lib/time.ts';
import {
  backupOf,
  issuesOf,
  type Operation,
  operationId,
  phaseOf,
  resultOf,
  statusOf,
  subjectName,
} from '../../ops/index.ts';
import {defineView, type View} from '../../query/index.ts';
import type {Deps} from '../deps.ts';
import {allOperations} from '../orders/all-operations.ts';

export function operationsView(deps: Deps): View {
  return defineView(
    {
      id: 'VARCHAR',
      kind: 'VARCHAR',
      subject: 'VARCHAR',
      status: 'VARCHAR',
      state: 'VARCHAR',
      phase: 'VARCHAR',
      progress_percent: 'INT',
      bytes_done: 'LONG',
      bytes_total: 'LONG',
      create_ts: 'TIMESTAMP',
      start_ts: 'TIMESTAMP',
      end_ts: 'TIMESTAMP',
      error: 'VARCHAR',
      backup: 'VARCHAR',
      rows: 'LONG',
      deleted: 'LONG',
      logical_bytes: 'LONG',
      stored_bytes: 'LONG',
      freed_bytes: 'LONG',
      statement: 'VARCHAR',
      created_by: 'VARCHAR',
    },
    async () => {
      const journal = await deps.journal();
      // In a prompt the journal stays open, and workers may have died since.
      await journal.reap();
      const operations = await allOperations(journal);
      return operations.map((operation) => {
        const {progress, state} = operation;
        const result = resultOf(operation);
        const startedAtMicros = state.name === 'queued' ? undefined : state.startedAtMicros;
        return {
          id: operationId(operation),
          kind: operation.kind,
          subject: subjectName(operation.subject),
          status: statusOf(operation),
          state: state.name === 'running' && state.cancelRequested ? 'cancelling' : state.name,
          phase: phaseOf(operation),
          progress_percent: Math.floor(progress.percent),
          bytes_done: progress.bytesDone,
          bytes_total: progress.bytesTotal,
          create_ts: microsText(operation.createdAtMicros),
          start_ts: startedAtMicros === undefined ? undefined : microsText(startedAtMicros),
          end_ts: state.name === 'done' ? microsText(state.endedAtMicros) : undefined,
          error: errorOf(operation),
          backup: backupOf(operation),
          rows: result.rows,
          deleted: result.deletedRows,
          logical_bytes: result.logicalBytes,
          stored_bytes: result.storedBytes,
          freed_bytes: result.freedBytes,
          statement: operation.statement,
          created_by: operation.createdBy,
        };
      });
    },
  );
}

/** Every issue of an operation that did not do all of its work, one per line. */
function errorOf(operation: Operation): string | undefined {
  const status = statusOf(operation);
  if (status !== 'ERROR' && status !== 'PARTIAL') return undefined;
  return issuesOf(operation)
    .map(({message, cause}) => (cause === undefined ? message : `${message}: ${cause}`))
    .join('\n');
}
