import type {StoreAddress} from '../../config/index.ts';
import {
  isBackupKind,
  type Journal,
  type Operation,
  type OperationKind,
  type OperationResult,
  operationKinds,
  type Subject,
  subjectText,
} from '../../ops/index.ts';
import {orderOf} from '../orders/work-order.ts';

export const statuses = ['queued', 'running', 'success', 'partial', 'error', 'cancelled'] as const;
export type Status = (typeof statuses)[number];

/** What the journal has about one kind of operation on one subject. Times are microseconds since 1970. */
export type History = {
  /** Labels that name it: a `collection`, a `database` by its source, or none for the databases of the store. */
  subject: Readonly<Record<string, string>>;
  kind: OperationKind;
  /** Whether the newest finished operation succeeded. A cancelled one did not. */
  lastSucceeded?: boolean;
  lastSuccess?: {endedAtMicros: number; durationMicros: number; result: OperationResult};
  lastFailureAtMicros?: number;
  /** When the oldest open operation was created. */
  openSinceMicros?: number;
};

export type JournalFacts = {
  /** The number of operations of each kind in each status, including zeros. */
  counts: readonly {kind: OperationKind; status: Status; count: number}[];
  histories: readonly History[];
  /** Stores into which operations have written a backup. */
  storesWithBackups: readonly StoreAddress[];
};

/** Reads every operation in the journal. */
export async function journalFacts(journal: Journal): Promise<JournalFacts> {
  const counts = new Map<string, number>();
  const histories = new Map<string, History>();
  const storesWithBackups = new Map<string, StoreAddress>();
  for await (const operation of newestFirst(journal)) {
    const {kind} = operation;
    const status = statusOf(operation);
    counts.set(`${kind} ${status}`, (counts.get(`${kind} ${status}`) ?? 0) + 1);
    const subject = labelsOf(operation.subject);
    if (subject !== undefined) {
      const key = `${subjectText(operation.subject)} ${kind}`;
      const history = histories.get(key) ?? {subject, kind};
      histories.set(key, history);
      addOlder(history, operation);
    }
    const store = orderOf(operation)?.place.store;
    if (isBackupKind(kind) && status === 'success' && store !== undefined) {
      storesWithBackups.set(JSON.stringify(store), store);
    }
  }
  return {
    counts: operationKinds.flatMap((kind) =>
      statuses.map((status) => ({kind, status, count: counts.get(`${kind} ${status}`) ?? 0})),
    ),
    histories: [...histories].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, history]) => history),
    storesWithBackups: [...storesWithBackups.values()],
  };
}

/** One batch at a time is in memory. */
async function* newestFirst(journal: Journal): AsyncIterable<Operation> {
  for await (const batch of journal.batches()) yield* batch;
}

/** @returns undefined for one-time work, which has no history: a restore into a place, the cleanup of a store */
function labelsOf(subject: Subject): History['subject'] | undefined {
  switch (subject.kind) {
    // VERIFY DATABASE reads the backups of every database in the store.
    case 'databases':
      return {};
    case 'collection':
    case 'database':
      return {[subject.kind]: subject.name};
    default:
      return undefined;
  }
}

/**
 * Adds an operation older than those added before. The last one created is the newest: two of a kind do not
 * overlap.
 */
function addOlder(history: History, {state, createdAtMicros}: Operation): void {
  if (state.name !== 'done') {
    history.openSinceMicros = createdAtMicros;
    return;
  }
  const {endedAtMicros, outcome, startedAtMicros = endedAtMicros} = state;
  const succeeded = outcome.status === 'SUCCESS';
  history.lastSucceeded ??= succeeded;
  if (succeeded) {
    history.lastSuccess ??= {endedAtMicros, durationMicros: endedAtMicros - startedAtMicros, result: outcome.result};
  } else history.lastFailureAtMicros ??= endedAtMicros;
}

function statusOf({state}: Operation): Status {
  return state.name === 'done'
    ? (state.outcome.status.toLowerCase() as Lowercase<typeof state.outcome.status>)
    : state.name;
}
