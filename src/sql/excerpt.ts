import {printable, widthOf} from '../lib/text.ts';

/** With a label in front, fits into a terminal of 80 columns. */
const widthColumns = 72;
/** Columns of a long line that are kept before the mark. */
const leadColumns = 40;
/** A line of a generated script may have a megabyte; only this much around the mark is processed. */
const reachUnits = 400;

type Cell = {text: string; columns: number};

/**
 * One line of `text`, and a second line with `^` under `offset`. A long line is truncated on both sides of the mark.
 */
export function excerpt(text: string, offset: number): string {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  const lineEnd = text.indexOf('\n', offset);
  const from = Math.max(lineStart, offset - reachUnits);
  const to = Math.min(lineEnd === -1 ? text.length : lineEnd, offset + reachUnits);
  const before = cells(text.slice(from, offset));
  const after = cells(text.slice(offset, to).trimEnd());

  const shownBefore = takeLast(
    before,
    columnsOf(after) + columnsOf(before) <= widthColumns ? widthColumns : leadColumns,
  );
  const head = shownBefore.length < before.length || from > lineStart ? '…' : '';
  const shownAfter = takeFirst(after, widthColumns - columnsOf(shownBefore));
  const tail = shownAfter.length < after.length ? '…' : '';

  const line = head + join(shownBefore) + join(shownAfter) + tail;
  return `${line}\n${' '.repeat(head.length + columnsOf(shownBefore))}^`;
}

function cells(text: string): Cell[] {
  const shown = printable(text.replaceAll('\t', '    '));
  // Few statements need the tables of Unicode, which take long to load.
  if (/^[ -~]*$/.test(shown)) return Array.from(shown, (character) => ({text: character, columns: 1}));
  const graphemes = new Intl.Segmenter(undefined, {granularity: 'grapheme'}).segment(shown);
  return Array.from(graphemes, ({segment}) => ({text: segment, columns: widthOf(segment)}));
}

function takeFirst(all: readonly Cell[], columns: number): readonly Cell[] {
  let end = 0;
  for (let used = 0; end < all.length; end++) {
    used += all[end]!.columns;
    if (used > columns) break;
  }
  return all.slice(0, end);
}

function takeLast(all: readonly Cell[], columns: number): readonly Cell[] {
  return takeFirst(all.toReversed(), columns).toReversed();
}

function columnsOf(all: readonly Cell[]): number {
  return all.reduce((sum, cell) => sum + cell.columns, 0);
}

function join(all: readonly Cell[]): string {
  return all.map((cell) => cell.text).join('');
}
