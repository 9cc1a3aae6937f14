import {widthOf} from '../lib/text.ts';

/** @returns the text with spaces behind it up to `width` columns; longer text stays as it is. */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/**
 * Lines of at most `width` columns, broken between words where there is room, else within one.
 * A character wider than `width` gets a line of its own.
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

  /** Wrapped lines stay under the text they belong to, if that leaves room for words. */
  function continuation(whole: string): string {
    const indent = /^\s*(?:- )?/.exec(whole)![0].length;
    return ' '.repeat(indent * 2 < width ? indent : 0);
  }
}

/** The first characters that fit into `width` columns; at least one. Characters as people see them, not halves of them. */
export function startOf(text: string, width: number): string {
  let head = '';
  for (const {segment} of new Intl.Segmenter().segment(text)) {
    if (head !== '' && widthOf(head + segment) > width) break;
    head += segment;
  }
  return head;
}

/** The text in at most `width` columns; `…` stands for what was left out. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return width < 2 ? startOf(text, width) : `${startOf(text, width - 1)}…`;
}
