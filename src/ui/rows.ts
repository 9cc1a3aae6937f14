import {padTo, printable, widthOf} from './text.ts';

export type Cell = string | number | bigint | boolean | null;
export type RowFormat = 'pretty' | 'json';

/**
 * The rows that a statement answers.
 * `pretty`: a header and aligned columns, two spaces apart; numbers on the right. Empty text without columns.
 * `json`: an object a line, keys are the columns; integers that a double cannot hold become text.
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
  const widths = columns.map((_, at) => Math.max(...table.map((cells) => widthOf(cells[at]!))));
  const toTheRight = columns.map((_, at) => rows.length > 0 && rows.every((row) => isNumeric(row[at] ?? null)));
  return table.map((cells) =>
    cells
      .map((cell, at) => (toTheRight[at] ? ' '.repeat(widths[at]! - widthOf(cell)) + cell : padTo(cell, widths[at]!)))
      .join('  ')
      .trimEnd(),
  );
}

function textOf(cell: Cell): string {
  return cell === null ? 'NULL' : String(cell);
}

function isNumeric(cell: Cell): boolean {
  return cell === null || typeof cell === 'number' || typeof cell === 'bigint';
}
