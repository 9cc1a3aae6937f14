import {printable, widthOf} from './text.ts';
import {wrapAroundCommands} from './wrap-steps.ts';

/**
 * @returns lines of at most `width` columns, wrapped between words where possible, otherwise within a word. A character
 *   wider than `width` gets its own line.
 */
export function wrap(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const piece of text.split(/(?<=\s)(?=\S)/)) {
    if (line !== '' && widthOf(line + piece.trimEnd()) > width) {
      lines.push(line.trimEnd());
      line = continuation(text);
    }
    line += piece;
    while (widthOf(line.trimEnd()) > width) {
      const head = startOf(line, width);
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  if (line.trim() !== '') lines.push(line.trimEnd());
  return lines;

  /** Indents continuation lines like the first line, if that leaves room for words. */
  function continuation(whole: string): string {
    const indent = /^\s*(?:- )?/.exec(whole)![0].length;
    return ' '.repeat(indent * 2 < width ? indent : 0);
  }
}

/** @returns the first characters (grapheme clusters) that fit into `width` columns; at least one */
export function startOf(text: string, width: number): string {
  let head = '';
  for (const {segment} of new Intl.Segmenter().segment(text)) {
    if (head !== '' && widthOf(head + segment) > width) break;
    head += segment;
  }
  return head;
}

/** @returns the text in at most `width` columns; `…` marks a cut */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return width < 2 ? startOf(text, width) : `${startOf(text, width - 1)}…`;
}

type Label = readonly [label: RegExp, wrap: (text: string, width: number) => string[]];
/** A next step is not broken within a command, so that it can be copied. */
const step: Label = [/^next: {1,2}/, wrapAroundCommands];
/** Parts of a rendered error whose text is wrapped. */
const ofError: readonly Label[] = [[/^(?:bkp: |cause: | {2}- )/, wrap], step];
const ofNotice: readonly Label[] = [[/^bkp: /, wrapAroundCommands], step];
/** Below what it points at. */
const pointer = /^ +\^/;

/**
 * A rendered error on a terminal: lines wrap between words, below the beginning of their text.
 * @param columns of the terminal; absent: it is none
 */
export function wrappedError(text: string, columns: number | undefined): string {
  return wrappedLines(text, columns, ofError);
}

/** A sentence that bkp says, on a terminal; it may contain commands. @param columns as of {@link wrappedError} */
export function wrappedNotice(text: string, columns: number | undefined): string {
  return wrappedLines(`bkp: ${text}\n`, columns, ofNotice);
}

/** A line of an issue, of at most `width` columns: commands of a next step are broken only if they are longer. */
export function wrappedIssue(line: string, width: number): string[] {
  const [, label = '', text] = /^(\s*next: {1,2})(\S.*)$/.exec(line) ?? [];
  if (text === undefined || label.length * 2 > width) return wrap(line, width);
  return wrapAroundCommands(text, width - label.length).flatMap((part, at) =>
    wrap((at === 0 ? label : ' '.repeat(label.length)) + part, width),
  );
}

function wrappedLines(text: string, columns: number | undefined, labels: readonly Label[]): string {
  if (columns === undefined) return text;
  const lines = text.split('\n');
  return lines
    .map((line, at) => {
      const [label, wrapped] = labels.find(([each]) => each.test(line)) ?? [];
      const width = label?.exec(line)?.[0].length ?? 0;
      if (wrapped === undefined || width * 2 > columns || pointer.test(lines[at + 1] ?? '')) return line;
      return line.slice(0, width) + wrapped(line.slice(width), columns - width).join(`\n${' '.repeat(width)}`);
    })
    .join('\n');
}

/** What takes the place of the line at the cursor. Names in it may have any characters. */
export function statusLine(line: string, columns: number | undefined): string {
  return `\r\x1b[K${shorten(printable(line), (columns ?? 80) - 1)}`;
}
