import {type Journal, largestPageSize, type Operation, type OperationKind} from '../../ops/index.ts';

/** Oldest first; each once, even if an operation is added between two pages. */
export async function allOperations(journal: Journal, kinds?: readonly OperationKind[]): Promise<Operation[]> {
  const found = new Map<number, Operation>();
  for (let page = 1; page > 0; ) {
    const {operations, nextPage} = await journal.list({page, pageSize: largestPageSize, kinds});
    for (const operation of operations) found.set(operation.number, operation);
    page = nextPage;
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}
