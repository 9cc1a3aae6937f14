import {formatRate} from '../lib/figures.ts';
import {secondsText} from '../lib/time.ts';
import {
  backupOf,
  issuesOf,
  type Operation,
  type OperationStatus,
  operationId,
  resultOf,
  statusOf,
} from '../ops/index.ts';
import {byteWords, coverageWords, issueLines, mergedLines, progressOf, rowWords} from './operation-words.ts';
import {type Color, renderTable, type TableRow, type TableStyle} from './table.ts';

/** One page of operations; an empty page is only the line with the next page token. */
export function renderOperationList(
  page: {operations: readonly Operation[]; nextPage: number},
  style: TableStyle,
): string {
  const table = page.operations.length === 0 ? '' : operationTable(page.operations, style);
  return `${table}\nNext page token: ${page.nextPage}\n`;
}

/** One operation as a table, followed by an empty line. */
export function renderOperation(operation: Operation, style: TableStyle): string {
  return `${operationTable([operation], style)}\n`;
}

function operationTable(operations: readonly Operation[], style: TableStyle): string {
  return renderTable(['id', 'ready', 'status', 'progress'], operations.map(rowOf), style);
}

export const statusColors: Readonly<Record<OperationStatus, Color>> = {
  PROGRESS: 'cyan',
  SUCCESS: 'green',
  PARTIAL: 'yellow',
  CANCELLED: 'yellow',
  ERROR: 'red',
};

function rowOf(operation: Operation): TableRow {
  const status = statusOf(operation);
  return {
    cells: [operationId(operation), String(operation.state.name === 'done'), status, progressOf(operation)],
    colors: {2: statusColors[status]},
    notes: notesOf(operation),
  };
}

function notesOf(operation: Operation): string[] {
  const notes: string[] = [];
  const backup = backupOf(operation);
  if (backup !== undefined) notes.push(`Backup: ${backup}`);
  // Two lines, because one would often be wider than the table, and a pipe does not wrap.
  const [rows, bytes] = [rowWords(resultOf(operation)), byteWords(resultOf(operation))];
  if (rows.length > 0) notes.push(`Rows: ${rows.join(', ')}`);
  for (const text of mergedLines(resultOf(operation))) notes.push(`Table: ${text}`);
  if (bytes.length > 0) notes.push(`Bytes: ${bytes.join(', ')}`);
  const coverage = coverageWords(resultOf(operation));
  if (coverage.length > 0) notes.push(`Verified: ${coverage.join(', ')}`);
  if (operation.state.name !== 'done' && operation.limits !== undefined) {
    const {uploadBytesPerSecond: up, downloadBytesPerSecond: down} = operation.limits;
    notes.push(`Bounds: ${boundWords('upload', up)}, ${boundWords('download', down)}`);
  }
  const issues = issuesOf(operation);
  if (issues.length > 0) notes.push('Issues: ', ...issues.flatMap(indented));
  notes.push(`Created by: ${operation.createdBy}`, `Create time: ${secondsText(operation.createdAtMicros)}`);
  if (operation.state.name === 'done') notes.push(`End time: ${secondsText(operation.state.endedAtMicros)}`);
  return notes;
}

function boundWords(direction: string, bytesPerSecond: number | undefined): string {
  return `${direction} ${bytesPerSecond === undefined ? 'off' : formatRate(bytesPerSecond)}`;
}

function indented(issue: Parameters<typeof issueLines>[0]): string[] {
  return issueLines(issue).map((line, at) => (at === 0 ? `  - ${line}` : `    ${line}`));
}
