import {styleText} from 'node:util';
import {printable, widthOf} from '../lib/text.ts';
import {wrap, wrappedIssue} from '../lib/wrap.ts';
import {padTo} from './text.ts';

export type Color = 'green' | 'yellow' | 'red' | 'cyan';

export type TableRow = {
  /** One for each column. */
  cells: readonly string[];
  /** Colours of single columns, by position; ignored without colours. */
  colors?: Readonly<Record<number, Color>>;
  /** Lines below the cells, across the whole width of the table. */
  notes?: readonly string[];
};

export type TableStyle = {
  /**
   * The table shrinks and wraps to fit. Where words would break in it, each cell gets a line of its own instead,
   * without a box. Undefined (a pipe): nothing wraps, so that a search finds a text in one piece. Either way, the last
   * column becomes as wide as the longest note needs, if there is room.
   */
  terminalColumns: number | undefined;
  colors: boolean;
};

/** What is left and right of a note. */
const border = 4;

/**
 * Renders a table in YDB's form: columns as wide as their widest cell, lines between rows, notes below their row.
 */
export function renderTable(
  columns: readonly string[],
  rows: readonly TableRow[],
  {terminalColumns, colors}: TableStyle,
): string {
  const clean = rows.map((row) => ({
    cells: row.cells.map(printable),
    notes: (row.notes ?? []).map(printable),
    colors: (colors && row.colors) || {},
  }));
  const widths = columns.map((name, at) =>
    Math.max(...[name, ...clean.map((row) => row.cells[at] ?? '')].map(widthOf)),
  );
  const longestNote = clean.flatMap(({notes}) => notes).reduce((longest, note) => Math.max(longest, widthOf(note)), 0);
  const inner = () => widths.reduce((sum, width) => sum + width + 3, -3);
  if (terminalColumns !== undefined) {
    const words = columns.map((name, at) =>
      Math.max(...[name, ...clean.map((row) => row.cells[at] ?? '')].map(longestWord)),
    );
    if (!shrink(widths, words, terminalColumns)) return renderRecords(columns, clean, terminalColumns);
  }
  const room = (terminalColumns ?? Number.POSITIVE_INFINITY) - border;
  widths[widths.length - 1]! += Math.max(0, Math.min(longestNote, room) - inner());
  const innerWidth = inner();

  const ruler = (left: string, line: string, cross: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(cross) + right;
  const boxed = (text: string, width: number) => ` ${padTo(text, width)} `;

  const cellLines = (cells: readonly string[], paint: Readonly<Record<number, Color>> = {}): string[] => {
    const columnsOfLines = widths.map((width, at) => wrap(cells[at] ?? '', width));
    const height = Math.max(...columnsOfLines.map((lines) => lines.length));
    return Array.from(
      {length: height},
      (_, line) =>
        `│${columnsOfLines.map((lines, at) => painted(boxed(lines[line] ?? '', widths[at]!), paint[at])).join('│')}│`,
    );
  };
  const noteLines = (notes: readonly string[]): string[] =>
    notes
      .flatMap((note) => (terminalColumns === undefined ? [note] : wrappedIssue(note, innerWidth)))
      .map((line) => `│${boxed(line, innerWidth)}│`);

  const lines = [ruler('┌', '─', '┬', '┐'), ...cellLines(columns)];
  let notesAbove = false;
  for (const {cells, notes, colors: paint} of clean) {
    lines.push(ruler('├', '─', notesAbove ? '┬' : '┼', '┤'), ...cellLines(cells, paint));
    if (notes.length > 0) lines.push(ruler('├', '╴', '┴', '┤'), ...noteLines(notes));
    notesAbove = notes.length > 0;
  }
  lines.push(ruler('└', '─', notesAbove ? '─' : '┴', '┘'));
  return `${lines.join('\n')}\n`;
}

function painted(text: string, color: Color | undefined): string {
  return color === undefined ? text : styleText(color, text, {validateStream: false});
}

const longestWord = (text: string) => Math.max(...text.split(/\s+/).map(widthOf));

/**
 * Narrows the widest column by one until the table fits.
 * @param least no column becomes narrower than this
 * @returns false if it does not fit then
 */
function shrink(widths: number[], least: readonly number[], terminalColumns: number): boolean {
  let excess = widths.reduce((sum, width) => sum + width + 3, 1) - terminalColumns;
  for (; excess > 0; excess -= 1) {
    const room = widths.map((width, at) => (width > least[at]! ? width : 0));
    const widest = Math.max(...room);
    if (widest === 0) return false;
    widths[room.indexOf(widest)]! -= 1;
  }
  return true;
}

/** A line for each cell, then the notes, and an empty line between rows. */
function renderRecords(
  columns: readonly string[],
  rows: readonly Required<TableRow>[],
  terminalColumns: number,
): string {
  const linesOfCell = (cell: string, name: string, color: Color | undefined) => {
    const lines = wrap(`${name}: ${cell}`, terminalColumns);
    return lines.length > 1 ? lines : [`${name}: ${painted(cell, color)}`];
  };
  const records = rows.map(({cells, colors, notes}) => [
    ...cells.flatMap((cell, at) => linesOfCell(cell, columns[at]!, colors[at])),
    ...notes.flatMap((note) => wrappedIssue(note, terminalColumns)),
  ]);
  return records.map((lines) => lines.map((line) => `${line}\n`).join('')).join('\n');
}
