import {unquoted} from '../connection/quote.ts';
import {type Token, tokensOf} from './tokens.ts';

/** How objects are moved: new schema by schema and name, both as `quote_ident` writes them. See {@link movedKeys}. */
export type Moves = ReadonlyMap<string, string>;

export const moveKey = (schema: string, name: string) => `${asIdent(schema)}.${asIdent(name)}`;

/**
 * The keys of what is created with a table. A type may have the name of an index or of a sequence and stays, but a
 * table has a type of its own, which moves with it.
 */
export function movedKeys(schema: string, name: string, {isTable}: {isTable: boolean}): readonly string[] {
  const key = moveKey(schema, name);
  return isTable ? [key, typeKey(key)] : [key];
}

const typeKey = (key: string) => `${key} type`;

/** A check that pg_dump does not write with its domain, because it is not valid for all values. */
export const isDomainCheck = ({type, sql}: {type: string; sql: string}) =>
  type === 'CHECK CONSTRAINT' && sql.startsWith('ALTER DOMAIN ');

/** As `quote_ident` writes a name; keywords are always quoted, which means the same. */
export function asIdent(name: string): string {
  return /^[a-z_][a-z0-9_]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** What stands before the name of a table or of statistics that a list in parentheses follows. */
const beforeRelations = new Set(['TABLE', 'INTO', 'REFERENCES', 'STATISTICS', 'ONLY']);

/**
 * Replaces `schema.name` by the name in its new schema: everywhere but in comments, in the bodies of functions and in
 * strings, except for those that are cast to `regclass`, by which defaults name their sequence. A function, a collation
 * or an operator class may have the name of a table, and stays.
 * @param names new names with their schemas, as statements write them; they precede `moves`
 */
export function rewrite(sql: string, moves: Moves, names: ReadonlyMap<string, string> = new Map()): string {
  const tokens = [...tokensOf(sql)];
  let out = '';
  for (let at = 0; at < tokens.length; at++) {
    const [token, dot, name] = [tokens[at]!, tokens[at + 1], tokens[at + 2]];
    if (token.kind === 'name' && dot?.text === '.' && name?.kind === 'name' && tokens[at - 1]?.text !== '.') {
      const relation = `${plainName(token)}.${plainName(name)}`;
      const key = isType(tokens, at) ? typeKey(relation) : relation;
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

/**
 * Whether `schema.name` is not the name of a function, a collation or an operator class.
 * @param at the place of the schema
 */
function isRelation(tokens: readonly Token[], at: number): boolean {
  const before = wordBefore(tokens, at);
  if (before === 'COLLATE' || (isOperand(before) && isIndexed(tokens, at))) return false;
  const after = tokens.slice(at + 3).find(isWord)?.text;
  return after !== '(' || beforeRelations.has(before);
}

/** Whether `schema.name` stands where a type does: behind the name of a column, or in a cast. */
function isType(tokens: readonly Token[], at: number): boolean {
  const before = wordBefore(tokens, at);
  return before === ':' || isOperand(before);
}

const isWord = ({kind}: Token) => kind !== 'space' && kind !== 'comment';
const wordBefore = (tokens: readonly Token[], at: number) => tokens.slice(0, at).findLast(isWord)?.text ?? '';

/** The name of a column or the end of an expression; pg_dump writes keywords in capitals, and quotes other names. */
const isOperand = (word: string) => word === ')' || /^(?:"|[a-z_\u0080-\uffff])/u.test(word);

/** Whether a place is in a list of what is indexed or divides a table, whose parts may have operator classes. */
function isIndexed(tokens: readonly Token[], at: number): boolean {
  const words = tokens.slice(0, at).filter(isWord);
  const starts = ['CREATE INDEX ON', 'EXCLUDE USING', 'PARTITION BY'];
  return starts.some((start) => {
    const wanted = start.split(' ');
    let from = -1;
    for (const word of wanted) {
      from = words.findIndex(({text}, index) => index > from && text === word);
      if (from === -1) return false;
    }
    return true;
  });
}

/** pg_dump quotes keywords, which `asIdent` does not. */
function plainName({text}: Token): string {
  return text.startsWith('"') ? asIdent(unquoted(text)) : text;
}

function isRegclass([first, second, type]: readonly Token[]): boolean {
  return first?.text === ':' && second?.text === ':' && type?.text === 'regclass';
}
