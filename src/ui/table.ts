import {padTo, printable, widthOf, wrap} from './text.ts';

export type TableRow = {
  /** One for each column. */
  cells: readonly string[];
  /** Lines below the cells, over the whole width of the table. */
  notes?: readonly string[];
};

/** Below this no column shrinks: a word a line is still readable, a letter a line is not. */
const narrowestColumn = 4;

/**
 * A table in YDB's form: columns as wide as their widest cell, rows divided by lines, notes under their row.
 * @param terminalColumns the table shrinks and wraps to fit; undefined (a pipe): nothing wraps, and a note
 *   that is longer than the table runs over its edge, so that whoever searches for it finds it whole.
 */
export function renderTable(
  columns: readonly string[],
  rows: readonly TableRow[],
  terminalColumns: number | undefined,
): string {
  const clean = rows.map((row) => ({cells: row.cells.map(printable), notes: (row.notes ?? []).map(printable)}));
  const widths = columns.map((name, at) =>
    Math.max(...[name, ...clean.map((row) => row.cells[at] ?? '')].map(widthOf)),
  );
  if (terminalColumns !== undefined) shrink(widths, terminalColumns);
  const innerWidth = widths.reduce((sum, width) => sum + width + 3, -3);

  const ruler = (left: string, line: string, cross: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(cross) + right;
  const boxed = (text: string, width: number) => ` ${padTo(text, width)} `;

  const cellLines = (cells: readonly string[]): string[] => {
    const columnsOfLines = widths.map((width, at) => wrap(cells[at] ?? '', width));
    const height = Math.max(...columnsOfLines.map((lines) => lines.length));
    return Array.from(
      {length: height},
      (_, line) => `│${columnsOfLines.map((lines, at) => boxed(lines[line] ?? '', widths[at]!)).join('│')}│`,
    );
  };
  const noteLines = (notes: readonly string[]): string[] =>
    notes
      .flatMap((note) => (terminalColumns === undefined ? [note] : wrap(note, innerWidth)))
      .map((line) => `│${boxed(line, innerWidth)}│`);

  const lines = [ruler('┌', '─', '┬', '┐'), ...cellLines(columns)];
  let notesAbove = false;
  for (const {cells, notes} of clean) {
    lines.push(ruler('├', '─', notesAbove ? '┬' : '┼', '┤'), ...cellLines(cells));
    if (notes.length > 0) lines.push(ruler('├', '╴', '┴', '┤'), ...noteLines(notes));
    notesAbove = notes.length > 0;
  }
  lines.push(ruler('└', '─', notesAbove ? '─' : '┴', '┘'));
  return `${lines.join('\n')}\n`;
}

/** Takes columns from the widest, one at a time, until the table fits or all are as narrow as they may be. */
function shrink(widths: number[], terminalColumns: number): void {
  let excess = widths.reduce((sum, width) => sum + width + 3, 1) - terminalColumns;
  for (; excess > 0; excess -= 1) {
    const widest = Math.max(...widths);
    if (widest <= narrowestColumn) return;
    widths[widths.indexOf(widest)]! -= 1;
  }
}
