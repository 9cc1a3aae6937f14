import type {Journal, Operation, OperationKind} from '../../ops/index.ts';

/** Oldest first. */
export async function allOperations(journal: Journal, kinds?: readonly OperationKind[]): Promise<Operation[]> {
  const found: Operation[] = [];
  for await (const batch of journal.batches(kinds)) found.push(...batch);
  return found.reverse();
}
