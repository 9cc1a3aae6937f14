/** A piece of SQL. Joined, the tokens of a text are the text. */
export type Token = {kind: 'name' | 'string' | 'dollar' | 'comment' | 'space' | 'other'; text: string};

/**
 * Source: https://www.postgresql.org/docs/18/sql-syntax-lexical.html, with standard_conforming_strings on, as pg_dump
 * sets it. Block comments nest and are read apart; pg_dump writes none.
 */
const letter = String.raw`[A-Za-z_\u0080-\uffff]`;
const pattern = new RegExp(
  [
    String.raw`(?<space>\s+)`,
    String.raw`(?<comment>--[^\n]*)`,
    String.raw`(?<dollar>\$(?<tag>(?:${letter}[\w\u0080-\uffff]*)?)\$[^]*?\$\k<tag>\$)`,
    String.raw`(?<string>[eE]'(?:[^'\\]|\\[^]|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')`,
    String.raw`(?<name>(?:[uU]&)?"(?:[^"]|"")*"|${letter}[\w$\u0080-\uffff]*)`,
    String.raw`(?<other>\d[\w.]*|[^])`,
  ].join('|'),
  'uy',
);

export function* tokensOf(sql: string): Generator<Token> {
  pattern.lastIndex = 0;
  let at = 0;
  while (at < sql.length) {
    if (sql.startsWith('/*', at)) {
      const end = commentEnd(sql, at);
      yield {kind: 'comment', text: sql.slice(at, end)};
      at = end;
      continue;
    }
    pattern.lastIndex = at;
    const {groups, 0: text} = pattern.exec(sql)!;
    at += text.length;
    const kind = (['space', 'comment', 'dollar', 'string', 'name'] as const).find(
      (name) => groups![name] !== undefined,
    );
    yield {kind: kind ?? 'other', text};
  }
}

function commentEnd(sql: string, start: number): number {
  let depth = 0;
  for (let at = start; at < sql.length; at++) {
    if (sql.startsWith('/*', at)) {
      depth += 1;
      at += 1;
    } else if (sql.startsWith('*/', at)) {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  return sql.length;
}

const word = String.raw`("(?:[^"]|"")+"|${letter}[\w$\u0080-\uffff]*)`;
const pair = new RegExp(String.raw`${word}(?:\s*\.\s*${word})?`, 'gu');

/** All names in a text, those in strings and comments too, as the server reads them: `name` or `schema.name`. */
export function namePairs(text: string): readonly (readonly [first: string, second: string | undefined])[] {
  const read = (name: string) => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase());
  return [...text.matchAll(pair)].map(([, first, second]) => [read(first!), second && read(second)] as const);
}
