import {printable, widthOf} from '../lib/text.ts';
import {padTo} from './text.ts';

export type Cell = string | number | bigint | boolean | null;
export type RowFormat = 'pretty' | 'json';

const mostAlignedCharacters = 64 * 2 ** 20;

/**
 * Renders the rows that a statement returns.
 * `pretty`: a header and aligned columns, two spaces apart; numbers on the right. Empty text without columns.
 * `json`: one object a line, with the columns as keys; integers that a double cannot represent become text.
 */
export function renderRows(columns: readonly string[], rows: readonly (readonly Cell[])[], format: RowFormat): string {
  const lines = format === 'json' ? rows.map((row) => jsonLine(columns, row)) : alignedLines(columns, rows);
  return lines.map((line) => `${line}\n`).join('');
}

function jsonLine(columns: readonly string[], row: readonly Cell[]): string {
  const plain = (cell: Cell) => (typeof cell !== 'bigint' ? cell : isSafe(cell) ? Number(cell) : String(cell));
  return JSON.stringify(Object.fromEntries(columns.map((name, at) => [name, plain(row[at] ?? null)])));
}

function isSafe(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

function alignedLines(columns: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  if (columns.length === 0) return [];
  const body = rows.map((row) => columns.map((_, at) => printable(textOf(row[at] ?? null))));
  const table = [columns.map(printable), ...body];
  const widths = bounded(
    columns.map((_, at) => table.reduce((widest, cells) => Math.max(widest, widthOf(cells[at]!)), 0)),
    table.length,
  );
  const toTheRight = columns.map((_, at) => rows.length > 0 && rows.every((row) => isNumeric(row[at] ?? null)));
  return table.map((cells) =>
    cells
      .map((cell, at) =>
        toTheRight[at] ? ' '.repeat(Math.max(0, widths[at]! - widthOf(cell))) + cell : padTo(cell, widths[at]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/**
 * Limits the widths: padding many rows to one very long text would take gigabytes. Longer texts then stick out, and
 * shorter ones stay aligned.
 */
function bounded(widths: readonly number[], rows: number): number[] {
  const sum = (most: number) => widths.reduce((total, width) => total + Math.min(width, most), 0);
  let most = Math.max(0, ...widths);
  while (most > 1 && rows * sum(most) > mostAlignedCharacters) most = Math.floor(most / 2);
  return widths.map((width) => Math.min(width, most));
}

function textOf(cell: Cell): string {
  return cell === null ? 'NULL' : String(cell);
}

function isNumeric(cell: Cell): boolean {
  return cell === null || typeof cell === 'number' || typeof cell === 'bigint';
}
