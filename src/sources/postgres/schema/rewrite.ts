import {unquoted} from '../connection/quote.ts';
import {type Token, tokensOf} from './tokens.ts';

/** How objects are moved: new schema by schema and name, both as `quote_ident` writes them. */
export type Moves = ReadonlyMap<string, string>;

export const moveKey = (schema: string, name: string) => `${asIdent(schema)}.${asIdent(name)}`;

/** As `quote_ident` writes a name; keywords are always quoted, which means the same. */
export function asIdent(name: string): string {
  return /^[a-z_][a-z0-9_]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** What stands before the name of a table or of statistics that a list in parentheses follows. */
const beforeRelations = new Set(['TABLE', 'INTO', 'REFERENCES', 'STATISTICS', 'ONLY']);

/**
 * Replaces `schema.name` by the name in its new schema: everywhere but in comments, in the bodies of functions and in
 * strings, except for those that are cast to `regclass`, by which defaults name their sequence. A function or a
 * collation may have the name of a table, and stays.
 * @param names new names with their schemas, as statements write them; they precede `moves`
 */
export function rewrite(sql: string, moves: Moves, names: ReadonlyMap<string, string> = new Map()): string {
  const tokens = [...tokensOf(sql)];
  let out = '';
  for (let at = 0; at < tokens.length; at++) {
    const [token, dot, name] = [tokens[at]!, tokens[at + 1], tokens[at + 2]];
    if (token.kind === 'name' && dot?.text === '.' && name?.kind === 'name' && tokens[at - 1]?.text !== '.') {
      const key = `${plainName(token)}.${plainName(name)}`;
      const isMoved = (moves.has(key) || names.has(key)) && isRelation(tokens, at);
      const target = isMoved ? moves.get(key) : undefined;
      const renamed = isMoved ? names.get(key) : undefined;
      if (renamed !== undefined) out += renamed;
      else out += target === undefined ? `${token.text}.${name.text}` : `${asIdent(target)}.${name.text}`;
      at += 2;
    } else if (token.kind === 'string' && isRegclass(tokens.slice(at + 1, at + 4))) {
      const inner = token.text.slice(1, -1).replaceAll("''", "'");
      out += `'${rewrite(inner, moves, names).replaceAll("'", "''")}'`;
    } else out += token.text;
  }
  return out;
}

/** Whether `schema.name` is not the name of a function or a collation. @param at the place of the schema */
function isRelation(tokens: readonly Token[], at: number): boolean {
  const isWord = ({kind}: Token) => kind !== 'space' && kind !== 'comment';
  const before = tokens.slice(0, at).findLast(isWord)?.text ?? '';
  if (before === 'COLLATE') return false;
  const after = tokens.slice(at + 3).find(isWord)?.text;
  return after !== '(' || beforeRelations.has(before);
}

/** pg_dump quotes keywords, which `asIdent` does not. */
function plainName({text}: Token): string {
  return text.startsWith('"') ? asIdent(unquoted(text)) : text;
}

function isRegclass([first, second, type]: readonly Token[]): boolean {
  return first?.text === ':' && second?.text === ':' && type?.text === 'regclass';
}
