import {type Operation, operationId} from '../ops/index.ts';
import {formatTime} from './figures.ts';
import {backupOf, issueLines, issuesOf, progressOf, resultOf, resultWords, statusOf} from './operation-words.ts';
import {renderTable, type TableRow} from './table.ts';

/** One page of operations; with none of them only the line that says where the next page is. */
export function renderOperationList(
  page: {operations: readonly Operation[]; nextPage: number},
  terminalColumns: number | undefined,
): string {
  const table = page.operations.length === 0 ? '' : operationTable(page.operations, terminalColumns);
  return `${table}\nNext page token: ${page.nextPage}\n`;
}

/** One operation: its table and an empty line. */
export function renderOperation(operation: Operation, terminalColumns: number | undefined): string {
  return `${operationTable([operation], terminalColumns)}\n`;
}

function operationTable(operations: readonly Operation[], terminalColumns: number | undefined): string {
  return renderTable(['id', 'ready', 'status', 'progress'], operations.map(rowOf), terminalColumns);
}

function rowOf(operation: Operation): TableRow {
  const {state} = operation;
  return {
    cells: [operationId(operation), String(state.name === 'done'), statusOf(operation), progressOf(operation)],
    notes: notesOf(operation),
  };
}

function notesOf(operation: Operation): string[] {
  const notes: string[] = [];
  const backup = backupOf(operation);
  if (backup !== undefined) notes.push(`Backup: ${backup}`);
  const result = resultWords(resultOf(operation));
  if (result.length > 0) notes.push(`Result: ${result.join(', ')}`);
  const issues = issuesOf(operation);
  if (issues.length > 0) notes.push('Issues: ', ...issues.flatMap(indented));
  notes.push(`Created by: ${operation.createdBy}`, `Create time: ${formatTime(operation.createdAtMicros)}`);
  if (operation.state.name === 'done') notes.push(`End time: ${formatTime(operation.state.endedAtMicros)}`);
  return notes;
}

function indented(issue: Parameters<typeof issueLines>[0]): string[] {
  return issueLines(issue).map((line, at) => (at === 0 ? `  - ${line}` : `    ${line}`));
}
