import {unquoted} from '../connection/quote.ts';
import {type Token, tokensOf} from './tokens.ts';

/** How objects are moved: new schema by schema and name, both as `quote_ident` writes them. */
export type Moves = ReadonlyMap<string, string>;

export const moveKey = (schema: string, name: string) => `${asIdent(schema)}.${asIdent(name)}`;

/** As `quote_ident` writes a name; keywords are always quoted, which means the same. */
export function asIdent(name: string): string {
  return /^[a-z_][a-z0-9_]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/**
 * Replaces `schema.name` by the name in its new schema: everywhere but in comments, in the bodies of functions and in
 * strings, except for those that are cast to `regclass`, by which defaults name their sequence.
 * @param names new names with their schemas, as statements write them; they precede `moves`
 */
export function rewrite(sql: string, moves: Moves, names: ReadonlyMap<string, string> = new Map()): string {
  const tokens = [...tokensOf(sql)];
  let out = '';
  for (let at = 0; at < tokens.length; at++) {
    const [token, dot, name] = [tokens[at]!, tokens[at + 1], tokens[at + 2]];
    if (token.kind === 'name' && dot?.text === '.' && name?.kind === 'name' && tokens[at - 1]?.text !== '.') {
      const key = `${plainName(token)}.${plainName(name)}`;
      const target = moves.get(key);
      const renamed = names.get(key);
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

/** pg_dump quotes keywords, which `asIdent` does not. */
function plainName({text}: Token): string {
  return text.startsWith('"') ? asIdent(unquoted(text)) : text;
}

function isRegclass([first, second, type]: readonly Token[]): boolean {
  return first?.text === ':' && second?.text === ':' && type?.text === 'regclass';
}
