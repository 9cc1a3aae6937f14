/**
 * A piece of a statement as SQLite divides it (https://www.sqlite.org/lang_keywords.html, tokenize.c), as far as needed to
 * tell what is code. `blank`: white space and comments. `name`: a quoted one. `unclosed`: from a quote without its end to the
 * end of the text. `other`: a number, or a single sign.
 */
export type Token = {kind: 'blank' | 'word' | 'name' | 'string' | 'unclosed' | 'other'; text: string};

/** Blanks that bkp's statements may hold anywhere, and that SQLite takes for letters. */
export const foreignBlanks = /[\v\u00a0\u2028\u2029\u3000]/g;

const blank = String.raw`[ \t\n\v\f\r\u00a0\u2028\u2029\u3000\ufeff]+|--[^\n]*|/\*[^]*?(?:\*/|$)`;
const string = "'[^']*(?:''[^']*)*'";
const name = String.raw`"[^"]*(?:""[^"]*)*"|${'`'}[^${'`'}]*(?:${'``'}[^${'`'}]*)*${'`'}|\[[^\]]*\]`;
const letters = String.raw`A-Za-z_\u0080-\u009f\u00a1-\u2027\u202a-\u2fff\u3001-\ufefe\uff00-\u{10ffff}`;

const token = new RegExp(
  `(?<blank>${blank})|(?<string>${string})|(?<name>${name})|(?<unclosed>['"${'`'}[][^]*)` +
    `|(?<word>[${letters}][$0-9${letters}]*)|(?<other>[0-9][$0-9${letters}]*|[^])`,
  'uyg',
);

/** Every text has tokens; put together they are the text. */
export function tokensOf(text: string): Token[] {
  return Array.from(text.matchAll(token), ({0: piece, groups}) => ({
    kind: Object.entries(groups!).find(([, found]) => found !== undefined)![0] as Token['kind'],
    text: piece,
  }));
}
