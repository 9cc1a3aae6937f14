import {printable, widthOf} from '../lib/text.ts';
import {wrap} from '../lib/wrap.ts';
import {padTo} from './text.ts';

export type Cell = string | number | bigint | boolean | null;
export type RowFormat = 'pretty' | 'json';

const mostAlignedCharacters = 64 * 2 ** 20;

/** How to make `pretty` fit a terminal. */
export type RowFit = {
  /** Absent: not a terminal. All columns are printed, and nothing wraps. */
  terminalColumns?: number | undefined;
  /** Positions of columns that may be left out, the first one first: other columns have most of what they show. */
  spare?: readonly number[] | undefined;
};

/** Below this width, a text is not wrapped: it would have one word a line. */
const narrowestText = 16;

/**
 * Renders the rows that a statement returns.
 * `pretty`: a header and aligned columns, two spaces apart; numbers on the right. Empty text without columns. On a
 * terminal that is too narrow, spare columns are left out, then a text in the last column wraps, or where there is no
 * room for that, it gets lines of its own below its row. A single row that still does not fit gets a line for each
 * column.
 * `json`: one object a line, with the columns as keys; integers that a double cannot represent become text.
 */
export function renderRows(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  format: RowFormat,
  fit: RowFit = {},
): string {
  const lines = format === 'json' ? rows.map((row) => jsonLine(columns, row)) : fittedLines(columns, rows, fit);
  return lines.map((line) => `${line}\n`).join('');
}

function fittedLines(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  {terminalColumns = Number.POSITIVE_INFINITY, spare = []}: RowFit,
): string[] {
  const left = new Set(columns.keys());
  for (const at of spare) if (widthWith(columns, rows, left) > terminalColumns) left.delete(at);
  const kept = [...left];
  const shown = rows.map((row) => kept.map((at) => row[at] ?? null));
  const names = kept.map((at) => columns[at]!);
  const beside = countBeside(names, shown, terminalColumns);
  if (beside < names.length) return linesWithTextBelow(names, shown, {beside, terminalColumns});
  const lines = alignedLines(names, shown, wrapLast(names, shown, terminalColumns));
  const [row] = shown;
  const isTooWide = lines.some((line) => widthOf(line) > terminalColumns);
  return isTooWide && shown.length === 1 ? recordLines(names, row!, terminalColumns) : lines;
}

/** One row, a line for each column. */
function recordLines(columns: readonly string[], row: readonly Cell[], terminalColumns: number): string[] {
  const names = columns.map(printable);
  const width = Math.max(...names.map(widthOf));
  const room = Math.max(narrowestText, terminalColumns - width - 2);
  return names.flatMap((name, at) =>
    wrap(printable(textOf(row[at] ?? null)), room).map(
      (line, part) => `${padTo(part === 0 ? name : '', width)}  ${line}`,
    ),
  );
}

const widthOfColumn = (columns: readonly string[], rows: readonly (readonly Cell[])[], at: number) =>
  rows.reduce((widest, row) => Math.max(widest, widthOf(printable(textOf(row[at] ?? null)))), widthOf(columns[at]!));

const widthWith = (columns: readonly string[], rows: readonly (readonly Cell[])[], left: ReadonlySet<number>) =>
  [...left].reduce((sum, at) => sum + 2 + widthOfColumn(columns, rows, at), -2);

/** How many of the first columns stay in the table: those after them are texts for which there is no room. */
function countBeside(columns: readonly string[], rows: readonly (readonly Cell[])[], terminalColumns: number): number {
  const width = (count: number) => widthWith(columns, rows, new Set(Array.from({length: count}, (_, at) => at)));
  let count = columns.length;
  while (count > 1 && width(count) > terminalColumns) {
    const isText = rows.every((row) => row[count - 1] === null || typeof row[count - 1] === 'string');
    const fitsWrapped = count === columns.length && terminalColumns - width(count - 1) - 2 >= narrowestText;
    if (!isText || fitsWrapped) break;
    count -= 1;
  }
  return width(count) <= terminalColumns ? count : columns.length;
}

function linesWithTextBelow(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  {beside, terminalColumns}: {beside: number; terminalColumns: number},
): string[] {
  const cut = rows.map((row) => row.slice(0, beside));
  const [header = '', ...lines] = alignedLines(columns.slice(0, beside), cut, cut);
  const below = rows.map((row) =>
    columns.slice(beside).flatMap((name, at) => {
      const text = textOf(row[beside + at] ?? null);
      return row[beside + at] == null ? [] : wrap(`  ${name}: ${printable(text)}`, terminalColumns);
    }),
  );
  return [header, ...lines.flatMap((line, at) => [line, ...below[at]!])];
}

/** Rows whose last cell is too wide become several. */
function wrapLast(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  terminalColumns: number,
): readonly (readonly Cell[])[] {
  const last = columns.length - 1;
  if (last < 0 || terminalColumns === Number.POSITIVE_INFINITY) return rows;
  const others = new Set(columns.keys());
  others.delete(last);
  const room = terminalColumns - widthWith(columns, rows, others) - 2;
  if (room < narrowestText) return rows;
  return rows.flatMap((row) => {
    const text = row[last];
    if (typeof text !== 'string' || widthOf(printable(text)) <= room) return [row];
    const [first = '', ...more] = wrap(printable(text), room);
    return [[...row.slice(0, last), first], ...more.map((line) => [...row.slice(0, last).map(() => ''), line])];
  });
}

function jsonLine(columns: readonly string[], row: readonly Cell[]): string {
  const members = columns.map((name, at) => `${JSON.stringify(name)}:${jsonText(row[at] ?? null)}`);
  return `{${members.join(',')}}`;
}

/** Integers beyond a double, and numbers that JSON lacks, are texts. */
function jsonText(cell: Cell): string {
  if (typeof cell === 'bigint') return isSafe(cell) ? String(cell) : `"${cell}"`;
  if (typeof cell !== 'number') return JSON.stringify(cell);
  return Number.isFinite(cell) ? textOf(cell) : `"${cell}"`;
}

function isSafe(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

/** @param lines the rows as they are printed: some may continue on the next line */
function alignedLines(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  lines: readonly (readonly Cell[])[],
): string[] {
  if (columns.length === 0) return [];
  const body = lines.map((row) => columns.map((_, at) => printable(textOf(row[at] ?? null))));
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
  if (cell === null) return 'NULL';
  return Object.is(cell, -0) ? '-0.0' : String(cell);
}

function isNumeric(cell: Cell): boolean {
  return cell === null || typeof cell === 'number' || typeof cell === 'bigint';
}
