/**
 * A piece of a statement as SQLite divides it (https://www.sqlite.org/lang_keywords.html, tokenize.c), as far as
 * needed to find the code in it. `blank`: white space and comments. `name`: a quoted one. `unclosed`: from a quote
 * without its end to the end of the text. `other`: a number, or a single character.
 */
export type Token = {kind: 'blank' | 'word' | 'name' | 'string' | 'unclosed' | 'other'; text: string};

/** Blanks that bkp's statements may hold anywhere, and that SQLite treats as letters. */
export const foreignBlanks = /[\v\u00a0\u2028\u2029\u3000]/g;

const comment = String.raw`--[^\n]*|/\*[^]*?(?:\*/|$)`;
const string = "'[^']*(?:''[^']*)*'";
const name = String.raw`"[^"]*(?:""[^"]*)*"|${'`'}[^${'`'}]*(?:${'``'}[^${'`'}]*)*${'`'}|\[[^\]]*\]`;

/** In the order of the pattern's groups, of which one matches the whole token. */
const kinds = ['blank', 'string', 'name', 'unclosed', 'word', 'other'] as const satisfies readonly Token['kind'][];

const pattern = (blanks: string, letters: string) =>
  new RegExp(
    `([${blanks}]+|${comment})|(${string})|(${name})|(['"${'`'}[][^]*)` +
      `|([${letters}][$0-9${letters}]*)|([0-9][$0-9${letters}]*|[^])`,
    'uyg',
  );

const ofSqlite = pattern(String.raw` \t\n\f\r`, String.raw`A-Za-z_\u0080-\u{10ffff}`);
const withForeignBlanks = pattern(
  String.raw` \t\n\v\f\r\u00a0\u2028\u2029\u3000\ufeff`,
  String.raw`A-Za-z_\u0080-\u009f\u00a1-\u2027\u202a-\u2fff\u3001-\ufefe\uff00-\u{10ffff}`,
);

/**
 * Every text has tokens; joined they are the text.
 * @param options.foreignBlanks a statement typed by a user, where {@link foreignBlanks} count as blanks. Default:
 *   SQL as SQLite has accepted it
 */
export function tokensOf(text: string, options: {foreignBlanks?: boolean} = {}): Token[] {
  const token = options.foreignBlanks === true ? withForeignBlanks : ofSqlite;
  return Array.from(text.matchAll(token), (match) => ({kind: kinds[match.indexOf(match[0], 1) - 1]!, text: match[0]}));
}

/** The name that a text means if it is one quoted name of SQL: `"my table"`. Absent for any other text. */
export function quotedName(text: string): string | undefined {
  const [token, ...more] = tokensOf(text);
  if (token?.kind !== 'name' || more.length > 0) return undefined;
  const quote = text[0]!;
  const inner = text.slice(1, -1);
  return quote === '[' ? inner : inner.replaceAll(quote + quote, quote);
}
