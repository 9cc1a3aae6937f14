import {widthOf} from '../lib/text.ts';

/** @returns the text padded with spaces to `width` columns; a longer text unchanged */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

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
